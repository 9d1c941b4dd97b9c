/* A call of the library on arrays of any layout, in pieces: contiguous ones as they are, others through tiles that are
 * gathered and scattered in the order of memory. An element keeps its logical index, so nothing of this can be seen in
 * results. */
#ifndef PYSR_WALK_H
#define PYSR_WALK_H

#include "srcore/srcore.h"

#include <string.h>

#define WALK_AXES 64
#define WALK_PIECE 65536 /* elements: what a thread takes at a time */
#define WALK_TILE 262144
#define WALK_ROOM(tile) (4 * (tile))
#define WALK_RUN 256
#define WALK_START 512   /* elements of a row that are fetched before it */
#define WALK_BLOCK 16    /* elements of 4 bytes in a line of the cache */
#define WALK_SETS 4096   /* addresses so many bytes apart share a set of the first-level cache */
#define WALK_AHEAD 32    /* columns between those that are transposed and those that are fetched */
#define WALK_NEAR 2048   /* elements of other tiles: the first-level cache */
#define WALK_PAD 64      /* bytes between rows in a tile: powers of two would push one another out of the cache */
#define WALK_ROWS 32     /* pieces have a multiple of so many entries */

typedef struct walk_operand {
    char *data;
    ptrdiff_t strides[WALK_AXES]; /* bytes */
} walk_operand;

typedef struct walk_call {
    sr_plan plan;
    sr_words words; /* `bits` contiguous, if any */
    sr_carrier carrier;
    int codes;      /* to codes */
    int has_direction;
    size_t value_bytes, result_bytes;
    /* Flat: all operands contiguous. Else axes are merged where they can be, C order. */
    int flat;
    size_t n;
    int axes;
    size_t shape[WALK_AXES];
    walk_operand x, direction, y;
    size_t piece_rows; /* entries of the first axis in a piece; flat: elements */
    char *rooms;       /* not flat: for each thread room for a tile's values, directions and codes */
    size_t tile;       /* bytes of a tile's values */
} walk_call;

/* x's elements may lie `step` apart. */
static sr_status walk_row(const walk_call *c, const sr_words *words, size_t n, const void *x, ptrdiff_t step,
                          const void *direction, void *y, uint64_t *index)
{
    if (c->carrier == SR_CARRIER_F32) {
        const float *const v = (const float *)direction;
        if (c->codes) return sr_encode_f32(&c->plan, words, n, (const float *)x, step, v, 1, y, 1, index);
        return sr_round_f32(&c->plan, words, n, (const float *)x, step, v, 1, (float *)y, 1, index);
    } else {
        const double *const v = (const double *)direction;
        if (c->codes) return sr_encode_f64(&c->plan, words, n, (const double *)x, step, v, 1, y, 1, index);
        return sr_round_f64(&c->plan, words, n, (const double *)x, step, v, 1, (double *)y, 1, index);
    }
}

static sr_status walk_flat(const walk_call *c, const sr_words *words, size_t n, const void *x, const void *direction,
                           void *y, uint64_t *index)
{
    return walk_row(c, words, n, x, 1, direction, y, index);
}

static sr_status walk_check_flat(const walk_call *c, const sr_words *words, size_t n, const void *x,
                                 const void *direction, uint64_t *index)
{
    if (c->carrier == SR_CARRIER_F32)
        return sr_check_f32(&c->plan, words, n, (const float *)x, 1, (const float *)direction, 1, c->codes, index);
    return sr_check_f64(&c->plan, words, n, (const double *)x, 1, (const double *)direction, 1, c->codes, index);
}

/* The words of elements from logical index `first` of the call on. */
static sr_words walk_words(const walk_call *c, size_t first)
{
    sr_words words = c->words;
    words.offset += first;
    if (words.bits) words.bits = (const char *)words.bits + first * (size_t)(c->plan.word_bits / 8);
    return words;
}

/* ---- tiles ---------------------------------------------------------------------------------------- */

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define WALK_SHUFFLE __builtin_shufflevector
#endif
#endif

/* So many bytes will soon be wanted. */
static inline void walk_fetch(const char *from, size_t bytes)
{
#if defined(__GNUC__)
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
#else
    (void)from;
    (void)bytes;
#endif
}

/* 4 x 4 elements of 4 bytes, transposed; a row's elements are adjacent. */
static inline void walk_transpose4(const char *from, ptrdiff_t from_row, char *to, ptrdiff_t to_row)
{
#ifdef WALK_SHUFFLE
    typedef uint32_t four __attribute__((vector_size(16)));
    four a, b, c, d;
    memcpy(&a, from, 16);
    memcpy(&b, from + from_row, 16);
    memcpy(&c, from + 2 * from_row, 16);
    memcpy(&d, from + 3 * from_row, 16);
    {
        four const ab = WALK_SHUFFLE(a, b, 0, 4, 1, 5), cd = WALK_SHUFFLE(c, d, 0, 4, 1, 5);
        four const ab2 = WALK_SHUFFLE(a, b, 2, 6, 3, 7), cd2 = WALK_SHUFFLE(c, d, 2, 6, 3, 7);
        a = WALK_SHUFFLE(ab, cd, 0, 1, 4, 5);
        b = WALK_SHUFFLE(ab, cd, 2, 3, 6, 7);
        c = WALK_SHUFFLE(ab2, cd2, 0, 1, 4, 5);
        d = WALK_SHUFFLE(ab2, cd2, 2, 3, 6, 7);
    }
    memcpy(to, &a, 16);
    memcpy(to + to_row, &b, 16);
    memcpy(to + 2 * to_row, &c, 16);
    memcpy(to + 3 * to_row, &d, 16);
#else
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) memcpy(to + j * to_row + 4 * i, from + i * from_row + 4 * j, 4);
#endif
}

#define WALK_COPY(BYTES)                                                                                               \
    static void walk_copy##BYTES(size_t rows, size_t columns, const char *from, ptrdiff_t from_row,                    \
                                 ptrdiff_t from_column, char *restrict to, ptrdiff_t to_row, ptrdiff_t to_column)      \
    {                                                                                                                  \
        for (size_t i = 0; i < rows; i++) {                                                                            \
            const char *restrict source = from + (ptrdiff_t)i * from_row;                                              \
            char *restrict target = to + (ptrdiff_t)i * to_row;                                                                 \
            if (from_column == BYTES && to_column == BYTES) {                                                          \
                memcpy(target, source, columns * BYTES);                                                               \
                continue;                                                                                              \
            }                                                                                                          \
            /* Known strides become vectors. */                                                                        \
            if (from_column == -(ptrdiff_t)BYTES && to_column == BYTES) {                                              \
                const char *const last = source - (ptrdiff_t)(columns - 1) * BYTES;                                    \
                for (size_t j = 0; j < columns; j++) memcpy(target + BYTES * j, last + BYTES * (columns - 1 - j), BYTES); \
                continue;                                                                                              \
            }                                                                                                          \
            if (from_column == 2 * BYTES && to_column == BYTES) {                                                      \
                for (size_t j = 0; j < columns; j++) memcpy(target + BYTES * j, source + 2 * BYTES * j, BYTES);        \
                continue;                                                                                              \
            }                                                                                                          \
            for (size_t j = 0; j < columns; j++) {                                                                     \
                memcpy(target, source, BYTES);                                                                         \
                source += from_column;                                                                                 \
                target += to_column;                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }
WALK_COPY(1)
WALK_COPY(2)
WALK_COPY(4)
WALK_COPY(8)
#undef WALK_COPY

#define WALK_SHORT(BYTES)                                                                                              \
    static void walk_rows##BYTES(size_t rows, const char *restrict from, ptrdiff_t from_row, char *restrict to,         \
                                 ptrdiff_t to_row)                                                                     \
    {                                                                                                                  \
        for (size_t i = 0; i < rows; i++)                                                                              \
            memcpy(to + (ptrdiff_t)i * to_row, from + (ptrdiff_t)i * from_row, BYTES);                                 \
    }
WALK_SHORT(8)
WALK_SHORT(12)
WALK_SHORT(16)
WALK_SHORT(24)
WALK_SHORT(32)
WALK_SHORT(64)
#undef WALK_SHORT

static ptrdiff_t walk_abs(ptrdiff_t v) { return v < 0 ? -v : v; }

/* rows x columns elements of 4 bytes, whose rows are adjacent on one side and columns on the other. By columns: the few
 * rows of a tile fill whole lines of memory. */
static void walk_turn(size_t rows, size_t columns, const char *from, ptrdiff_t from_row, ptrdiff_t from_column, char *to,
                      ptrdiff_t to_row, ptrdiff_t to_column)
{
    int const gather = from_row == 4;
    /* Columns that share a set of the cache: few at a time. */
    size_t const block = (gather ? from_column : to_column) % WALK_SETS == 0 ? 4 : WALK_BLOCK;
    size_t const whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (size_t j = 0; j < whole_columns; j += block) {
        size_t const columns_end = whole_columns - j < block ? whole_columns : j + block;
        for (size_t k = j + WALK_AHEAD; k < j + WALK_AHEAD + block && k < columns; k++) {
            if (gather)
                walk_fetch(from + (ptrdiff_t)k * from_column, rows * 4);
            else
                walk_fetch(to + (ptrdiff_t)k * to_column, rows * 4);
        }
        for (size_t i = 0; i < whole_rows; i += WALK_BLOCK) { /* whole lines of both: rows may share a set of the cache */
            size_t const rows_end = whole_rows - i < WALK_BLOCK ? whole_rows : i + WALK_BLOCK;
            for (size_t r = i; r < rows_end; r += 4)
                for (size_t k = j; k < columns_end; k += 4)
                    walk_transpose4(from + (ptrdiff_t)r * from_row + (ptrdiff_t)k * from_column,
                                    gather ? from_column : from_row,
                                    to + (ptrdiff_t)r * to_row + (ptrdiff_t)k * to_column, gather ? to_row : to_column);
        }
    }
    walk_copy4(rows - whole_rows, columns, from + (ptrdiff_t)whole_rows * from_row, from_row, from_column,
               to + (ptrdiff_t)whole_rows * to_row, to_row, to_column);
    walk_copy4(whole_rows, columns - whole_columns, from + (ptrdiff_t)whole_columns * from_column, from_row, from_column,
               to + (ptrdiff_t)whole_columns * to_column, to_row, to_column);
}

/* rows x columns elements from one pair of strides to another, along memory. */
static void walk_copy(size_t bytes, size_t rows, size_t columns, const char *from, ptrdiff_t from_row,
                      ptrdiff_t from_column, char *to, ptrdiff_t to_row, ptrdiff_t to_column)
{
    if (bytes == 4 && ((from_row == 4 && to_column == 4) || (from_column == 4 && to_row == 4))) {
        walk_turn(rows, columns, from, from_row, from_column, to, to_row, to_column);
        return;
    }
    if (from_column == (ptrdiff_t)bytes && to_column == (ptrdiff_t)bytes) { /* short rows: a call of memcpy takes longer */
        switch (columns * bytes) {
        case 8: walk_rows8(rows, from, from_row, to, to_row); return;
        case 12: walk_rows12(rows, from, from_row, to, to_row); return;
        case 16: walk_rows16(rows, from, from_row, to, to_row); return;
        case 24: walk_rows24(rows, from, from_row, to, to_row); return;
        case 32: walk_rows32(rows, from, from_row, to, to_row); return;
        case 64: walk_rows64(rows, from, from_row, to, to_row); return;
        default: break;
        }
    }
    if (walk_abs(from_row) + walk_abs(to_row) < walk_abs(from_column) + walk_abs(to_column)) {
        size_t const rows_then = rows;
        ptrdiff_t const from_then = from_row, to_then = to_row;
        rows = columns;
        columns = rows_then;
        from_row = from_column;
        from_column = from_then;
        to_row = to_column;
        to_column = to_then;
    }
    switch (bytes) {
    case 1: walk_copy1(rows, columns, from, from_row, from_column, to, to_row, to_column); break;
    case 2: walk_copy2(rows, columns, from, from_row, from_column, to, to_row, to_column); break;
    case 4: walk_copy4(rows, columns, from, from_row, from_column, to, to_row, to_column); break;
    default: walk_copy8(rows, columns, from, from_row, from_column, to, to_row, to_column); break;
    }
}

typedef struct walk_tile {
    size_t rows, columns;
    size_t index, row_index; /* logical index of the first element; from one row to the next */
    ptrdiff_t row, column;   /* which axes */
    int across;              /* the elements of a column lie closer than those of a row */
    char *x, *direction, *y;
    const char *next; /* across: x of the tile beside it in memory, or NULL */
} walk_tile;

static sr_status walk_one_tile(const walk_call *c, const walk_tile *t, int check, char *room, uint64_t *index)
{
    ptrdiff_t const values = (ptrdiff_t)c->value_bytes, results = (ptrdiff_t)c->result_bytes;
    ptrdiff_t const no = 0;
    const ptrdiff_t *const xs = c->x.strides, *const ds = c->direction.strides, *const ys = c->y.strides;
    ptrdiff_t const y_row = t->row < 0 ? no : ys[t->row];
    int const one_run = t->rows == 1 || t->row_index == t->columns;
    size_t const pitch = t->columns + (t->across && !one_run ? WALK_PAD / c->value_bytes : 0);
    int const y_direct = !check && ys[t->column] == results && (t->rows == 1 || y_row == (ptrdiff_t)pitch * results);
    /* Long rows that are contiguous already need no room; nor, where the library's kernels take them, others. */
    int const stepped = !check && c->plan.mode == SR_MODE_SR && c->plan.random_bits == SR_EXACT && !t->across &&
                        xs[t->column] % values == 0;
    int const long_rows = !c->has_direction && (stepped || xs[t->column] == values) && ys[t->column] == results &&
                          t->columns >= 256;
    /* Values go through the result's own memory, where that is contiguous. */
    char *const x = y_direct && !c->codes ? t->y : room;
    char *const directions = room + c->tile;
    /* So are rows of results, wherever each of them is a call. */
    int const row_direct = y_direct || (!check && !one_run && ys[t->column] == results);
    char *const y = row_direct ? t->y : c->codes ? directions + c->tile : x;
    ptrdiff_t const y_pitch = row_direct && !y_direct ? y_row : (ptrdiff_t)pitch * results;
    if (long_rows) {
        for (size_t i = 0; i < t->rows; i++) {
            const char *const from = t->x + (t->row < 0 ? 0 : (ptrdiff_t)i * xs[t->row]);
            sr_words const words = walk_words(c, t->index + i * t->row_index);
            if (i + 1 < t->rows) { /* where the processor does not expect it */
                size_t const n = t->columns < WALK_START ? t->columns : WALK_START;
                size_t const span = n * c->value_bytes;
                walk_fetch(from + xs[t->row] - (xs[t->column] < 0 ? (ptrdiff_t)(span - c->value_bytes) : 0), span);
                if (!check) walk_fetch(t->y + (ptrdiff_t)(i + 1) * y_row, n * c->result_bytes);
            }
            sr_status const status = check ? walk_check_flat(c, &words, t->columns, from, NULL, index)
                                           : walk_row(c, &words, t->columns, from, xs[t->column] / values, NULL,
                                                      t->y + (t->row < 0 ? 0 : (ptrdiff_t)i * ys[t->row]), index);
            if (status != SR_OK) return status;
        }
        return SR_OK;
    }
    if (x != t->x)
        walk_copy(c->value_bytes, t->rows, t->columns, t->x, t->row < 0 ? no : xs[t->row], xs[t->column], x,
                  (ptrdiff_t)pitch * values, values);
    if (c->has_direction)
        walk_copy(c->value_bytes, t->rows, t->columns, t->direction, t->row < 0 ? no : ds[t->row], ds[t->column],
                  directions, (ptrdiff_t)pitch * values, values);
    for (size_t i = 0; i < (one_run ? 1 : t->rows); i++) {
        size_t const at = i * pitch, n = one_run ? t->rows * t->columns : t->columns;
        sr_words const words = walk_words(c, t->index + i * t->row_index);
        const void *const direction = c->has_direction ? directions + at * c->value_bytes : NULL;
        if (row_direct && i + 1 < t->rows) walk_fetch(y + (ptrdiff_t)(i + 1) * y_pitch, n * c->result_bytes);
        if (!one_run && t->across) {
            size_t const k0 = i * t->columns / t->rows, k1 = (i + 1) * t->columns / t->rows;
            if (t->next && xs[t->row] == values)
                for (size_t k = k0; k < k1; k++)
                    walk_fetch(t->next + (ptrdiff_t)k * xs[t->column], t->rows * c->value_bytes);
            if (!row_direct && ys[t->row] == results)
                for (size_t k = k0; k < k1; k++)
                    walk_fetch(t->y + (ptrdiff_t)k * ys[t->column], t->rows * c->result_bytes);
        }
        sr_status const status =
            check ? walk_check_flat(c, &words, n, x + at * c->value_bytes, direction, index)
                  : walk_flat(c, &words, n, x + at * c->value_bytes, direction, y + (ptrdiff_t)i * y_pitch, index);
        if (status != SR_OK) return status;
    }
    if (!check && !row_direct)
        walk_copy(c->result_bytes, t->rows, t->columns, y, (ptrdiff_t)pitch * results, results, t->y, y_row,
                  ys[t->column]);
    return SR_OK;
}

/* Is there an axis along which an operand's elements lie closer than along the last one? */
static int walk_closest(const walk_call *c, const size_t *shape, const walk_operand *operand, int *axis)
{
    ptrdiff_t least = walk_abs(operand->strides[c->axes - 1]);
    int found = 0;
    for (int a = 0; a < c->axes - 1; a++) {
        if (shape[a] == 1 || operand->strides[a] == 0 || walk_abs(operand->strides[a]) >= least) continue;
        least = walk_abs(operand->strides[a]);
        *axis = a;
        found = 1;
    }
    return found;
}

/* Entries [from, to) of the first axis. Tiles do not come in logical order: an error's index is the lowest of all. */
static sr_status walk_rows(const walk_call *c, size_t from, size_t to, int check, char *room, uint64_t *index)
{
    size_t counter[WALK_AXES] = {0};
    size_t shape[WALK_AXES], logical[WALK_AXES];
    int const column = c->axes - 1;
    int row = c->axes - 2;
    size_t tile_rows, tile_columns;
    int across, whole;
    sr_status first = SR_OK;
    uint64_t first_index = 0;
    for (int a = c->axes - 1; a >= 0; a--) {
        shape[a] = a == 0 ? to - from : c->shape[a];
        logical[a] = a == column ? 1 : logical[a + 1] * c->shape[a + 1];
    }
    across = walk_closest(c, shape, &c->x, &row) || walk_closest(c, shape, &c->y, &row);
    {
        size_t const tile = c->tile / c->value_bytes, run = WALK_RUN / c->value_bytes, least = 128 / c->value_bytes;
        size_t const pad = WALK_PAD / c->value_bytes;
        size_t most = tile;
        whole = across && shape[column] <= tile / least && logical[row] == shape[column] &&
                shape[column] * c->value_bytes % (WALK_SETS / 2) != 0;
        if (whole)
            most = shape[column];
        else if (across)
            most = tile / run > 8 * pad ? tile / run - 4 * pad : 1; /* whole groups of the kernels */
        else if (tile > WALK_NEAR)
            most = WALK_NEAR;
        tile_columns = shape[column] < most ? shape[column] : most;
        if (across && tile_columns < shape[column]) { /* in parts of about the same size, of whole groups of the kernels */
            size_t const parts = (shape[column] + most - 1) / most, even = (shape[column] + parts - 1) / parts;
            tile_columns = (even + 63) / 64 * 64;
        }
        tile_rows = row < 0 ? 1 : (across ? tile : most) / (tile_columns + (across && !whole ? pad : 0));
        if (whole) tile_rows = tile_rows / 16 * 16;
        if (tile_rows == 0) tile_rows = 1;
        if (across && tile_columns < shape[column] && tile_rows > run) tile_rows = run;
    }
    for (;;) {
        walk_tile t;
        size_t base = from * logical[0];
        ptrdiff_t x = 0, d = 0, y = 0;
        for (int a = 0; a < c->axes; a++) {
            size_t const at = counter[a] + (a == 0 ? from : 0);
            x += (ptrdiff_t)at * c->x.strides[a];
            if (c->has_direction) d += (ptrdiff_t)at * c->direction.strides[a];
            y += (ptrdiff_t)at * c->y.strides[a];
            base += counter[a] * logical[a];
        }
        t.row = row;
        t.column = column;
        t.across = across;
        t.columns = shape[column] - counter[column] < tile_columns ? shape[column] - counter[column] : tile_columns;
        t.rows = row < 0 ? 1 : shape[row] - counter[row] < tile_rows ? shape[row] - counter[row] : tile_rows;
        t.index = base;
        t.row_index = row < 0 ? 0 : logical[row];
        t.x = c->x.data + x;
        t.direction = c->has_direction ? c->direction.data + d : NULL;
        t.y = c->y.data + y;
        t.next = across && counter[row] + t.rows < shape[row] ? t.x + (ptrdiff_t)t.rows * c->x.strides[row] : NULL;
        {
            uint64_t here = 0;
            sr_status const status = walk_one_tile(c, &t, check, room, &here);
            if (status != SR_OK && (first == SR_OK || here < first_index)) {
                first = status;
                first_index = here;
            }
        }
        { /* the next tile: the one beside it in memory, then the other way, then the other axes */
            int a;
            if (across) {
                counter[row] += t.rows;
                if (counter[row] < shape[row]) continue;
                counter[row] = 0;
            }
            counter[column] += t.columns;
            if (counter[column] < shape[column]) continue;
            counter[column] = 0;
            if (row >= 0 && !across) {
                counter[row] += t.rows;
                if (counter[row] < shape[row]) continue;
                counter[row] = 0;
            }
            for (a = column - 1; a >= 0; a--) {
                if (a == row) continue;
                if (++counter[a] < shape[a]) break;
                counter[a] = 0;
            }
            if (a < 0) break;
        }
    }
    if (first != SR_OK) *index = first_index;
    return first;
}

/* ---- pieces --------------------------------------------------------------------------------------- */

static size_t walk_entries(const walk_call *c) { return c->flat ? c->n : c->shape[0]; }

static size_t walk_pieces(const walk_call *c)
{
    return (walk_entries(c) + c->piece_rows - 1) / c->piece_rows;
}

static sr_status walk_piece_of(const walk_call *c, int check, int thread, size_t piece, uint64_t *index)
{
    size_t const from = piece * c->piece_rows, all = walk_entries(c);
    size_t const to = all - from < c->piece_rows ? all : from + c->piece_rows;
    if (c->flat) {
        sr_words const words = walk_words(c, from);
        const char *const x = c->x.data + from * c->value_bytes;
        const char *const v = c->has_direction ? c->direction.data + from * c->value_bytes : NULL;
        if (check) return walk_check_flat(c, &words, to - from, x, v, index);
        return walk_flat(c, &words, to - from, x, v, c->y.data + from * c->result_bytes, index);
    }
    return walk_rows(c, from, to, check, c->rooms + (size_t)thread * WALK_ROOM(c->tile), index);
}

static sr_status walk_check_piece(const void *job, int thread, size_t piece, uint64_t *index)
{
    return walk_piece_of((const walk_call *)job, 1, thread, piece, index);
}

static sr_status walk_piece(const void *job, int thread, size_t piece, uint64_t *index)
{
    return walk_piece_of((const walk_call *)job, 0, thread, piece, index);
}

/* Merges axes that all operands can walk as one, and drops those of one entry. At least one axis is left. */
static void walk_merge(walk_call *c)
{
    int axes = 0;
    for (int a = 0; a < c->axes; a++) {
        if (c->shape[a] == 1) continue;
        if (axes > 0 && c->x.strides[axes - 1] == (ptrdiff_t)c->shape[a] * c->x.strides[a] &&
            c->y.strides[axes - 1] == (ptrdiff_t)c->shape[a] * c->y.strides[a] &&
            (!c->has_direction ||
             c->direction.strides[axes - 1] == (ptrdiff_t)c->shape[a] * c->direction.strides[a])) {
            c->shape[axes - 1] *= c->shape[a];
            axes--;
        } else {
            c->shape[axes] = c->shape[a];
        }
        c->x.strides[axes] = c->x.strides[a];
        c->direction.strides[axes] = c->direction.strides[a];
        c->y.strides[axes] = c->y.strides[a];
        axes++;
    }
    if (axes == 0) {
        c->shape[0] = 1;
        c->x.strides[0] = c->y.strides[0] = c->direction.strides[0] = 0;
        axes = 1;
    }
    c->axes = axes;
}

#endif
