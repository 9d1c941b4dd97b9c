/* What array calls have in common: operands of any stride, their words, and what can be wrong with them. Internal. */
#ifndef SRCORE_CALL_H
#define SRCORE_CALL_H

#include "kernels.h"

/* ---- loads and stores ----------------------------------------------------------------------------- */

SR_SPECIALIZE uint64_t load_value(sr_carrier carrier, const void *x, ptrdiff_t at)
{
    uint32_t single;
    uint64_t bits;
    if (carrier == SR_CARRIER_F32) {
        SR_COPY(&single, (const float *)x + at, sizeof single);
        return sr_widen_f32(single);
    }
    SR_COPY(&bits, (const double *)x + at, sizeof bits);
    return bits;
}

SR_SPECIALIZE void store_value(sr_carrier carrier, void *y, ptrdiff_t at, uint64_t bits)
{
    uint32_t single;
    if (carrier == SR_CARRIER_F32) {
        single = sr_narrow_f32(bits);
        SR_COPY((float *)y + at, &single, sizeof single);
    } else {
        SR_COPY((double *)y + at, &bits, sizeof bits);
    }
}

SR_SPECIALIZE uint64_t load_word(int bytes, const void *words, ptrdiff_t at)
{
    switch (bytes) {
    case 1: return ((const uint8_t *)words)[at];
    case 2: return ((const uint16_t *)words)[at];
    case 4: return ((const uint32_t *)words)[at];
    default: return ((const uint64_t *)words)[at];
    }
}

SR_SPECIALIZE void store_code(int bytes, void *codes, ptrdiff_t at, uint64_t code)
{
    switch (bytes) {
    case 1: ((uint8_t *)codes)[at] = (uint8_t)code; break;
    case 2: ((uint16_t *)codes)[at] = (uint16_t)code; break;
    case 4: ((uint32_t *)codes)[at] = (uint32_t)code; break;
    default: ((uint64_t *)codes)[at] = code; break;
    }
}

/* ---- random words --------------------------------------------------------------------------------- */

/* S4.10: the refinement keystream of one element. */
typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static inline void refine_philox(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
}

/* ---- the call ------------------------------------------------------------------------------------- */

/* What both carriers and both kinds of result have in common. */
typedef struct call {
    const sr_plan *plan;
    const sr_words *words;
    size_t n;
    const void *x, *direction;
    void *y;
    ptrdiff_t x_stride, direction_stride, y_stride;
    int result_bytes; /* of a code; 0 for values */
    uint64_t *index;
    /* Arithmetic (arith.c) */
    sr_op op;
    const void *second, *third;
    ptrdiff_t second_stride, third_stride;
    sr_counts *counts;
} call;

SR_SPECIALIZE sr_status fail(const call *c, sr_status status, size_t j)
{
    if (c->index) *c->index = (c->words ? c->words->offset : 0) + j;
    return status;
}

/* Does the result share memory with an operand that is not the very same array? Told for stride 1; the caller answers
 * for other strides. */
SR_SPECIALIZE int overlaps(const call *c, size_t y_bytes, const void *operand, ptrdiff_t stride, size_t bytes)
{
    uintptr_t const a = (uintptr_t)operand, y = (uintptr_t)c->y;
    if (!operand || c->n == 0 || stride != 1 || c->y_stride != 1) return 0;
    if (a == y && y_bytes == bytes) return 0;
    return a < y + c->n * y_bytes && y < a + c->n * bytes;
}

SR_SPECIALIZE int overlap(const call *c, size_t value_bytes)
{
    size_t const y_bytes = c->result_bytes ? (size_t)c->result_bytes : value_bytes;
    return overlaps(c, y_bytes, c->x, c->x_stride, value_bytes) ||
           overlaps(c, y_bytes, c->direction, c->direction_stride, value_bytes) ||
           overlaps(c, y_bytes, c->second, c->second_stride, value_bytes) ||
           overlaps(c, y_bytes, c->third, c->third_stride, value_bytes) ||
           (c->words && overlaps(c, y_bytes, c->words->bits, c->words->bits_stride, (size_t)c->plan->word_bits / 8));
}

SR_SPECIALIZE sr_status check_words(const call *c)
{
    const sr_plan *const plan = c->plan;
    const sr_words *const words = c->words;
    if (!words) return plan->word_bits ? SR_ERR_NULL : SR_OK;
    if (words->stream >> 48) return SR_ERR_STREAM;
    if (c->n && words->offset > UINT64_MAX - (c->n - 1)) return SR_ERR_OFFSET;
    if (!words->bits) return SR_OK;
    if (plan->word_bits == 0 || plan->random_bits == SR_EXACT) return SR_ERR_BITS_UNUSED;
    if (plan->random_bits == plan->word_bits) return SR_OK; /* any word will do */
    for (size_t j = 0; j < c->n; j++) {
        uint64_t const word = load_word(plan->word_bits / 8, words->bits, (ptrdiff_t)j * words->bits_stride);
        if (word & ~sr_ones(plan->random_bits)) return fail(c, SR_ERR_BITS, j);
    }
    return SR_OK;
}

SR_SPECIALIZE int sign_of(uint64_t v)
{
    return (v & ~SR_F64_SIGN) == 0 ? 0 : v & SR_F64_SIGN ? -1 : 1;
}

/* ---- in chunks ------------------------------------------------------------------------------------ */

/* Room for a chunk's words as they are drawn, from the start of a block, and as lanes; for operands and results that are
 * not contiguous. */
typedef struct workspace {
    SR_ALIGNED(64) uint32_t drawn[2 * SR_CHUNK + 4 * SR_PHILOX_SLACK + 4];
    SR_ALIGNED(64) uint64_t words[SR_CHUNK + 8];
    SR_ALIGNED(64) uint64_t x[SR_CHUNK], direction[SR_CHUNK], y[SR_CHUNK];
} workspace;

/* n elements of so many bytes from one stride, in elements, to another */
SR_SPECIALIZE void copy_elements(size_t bytes, size_t n, const void *from, ptrdiff_t from_stride, void *to,
                                 ptrdiff_t to_stride)
{
    const unsigned char *source = (const unsigned char *)from;
    unsigned char *target = (unsigned char *)to;
    for (size_t j = 0; j < n; j++) {
        SR_COPY(target, source, bytes);
        source += from_stride * (ptrdiff_t)bytes;
        target += to_stride * (ptrdiff_t)bytes;
    }
}

SR_SPECIALIZE void copy_strided(int bytes, size_t n, const void *from, ptrdiff_t from_stride, void *to, ptrdiff_t to_stride)
{
    switch (bytes) {
    case 1: copy_elements(1, n, from, from_stride, to, to_stride); break;
    case 2: copy_elements(2, n, from, from_stride, to, to_stride); break;
    case 4: copy_elements(4, n, from, from_stride, to, to_stride); break;
    default: copy_elements(8, n, from, from_stride, to, to_stride); break;
    }
}

/* An operand's elements from `start` on, contiguous. */
SR_SPECIALIZE const void *gather(int bytes, size_t n, const void *from, ptrdiff_t stride, size_t start, void *room)
{
    const unsigned char *first;
    if (!from) return NULL;
    first = (const unsigned char *)from + (ptrdiff_t)start * stride * bytes;
    if (stride == 1) return first;
    copy_strided(bytes, n, first, stride, room, 1);
    return room;
}

/* Words of 32 bits, little-endian one after the other (S4.3), as an array of words of another width. */
SR_SPECIALIZE void order_words(uint32_t *words, size_t n, int bits)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < n; i++) {
        uint32_t const w = words[i];
        if (bits == 8) words[i] = w >> 24 | (w >> 8 & 0xFF00u) | (w << 8 & 0xFF0000u) | w << 24;
        if (bits == 16) words[i] = w >> 16 | w << 16;
    }
    for (size_t i = 0; bits == 64 && i + 1 < n; i += 2) {
        uint32_t const low = words[i];
        words[i] = words[i + 1];
        words[i + 1] = low;
    }
#else
    (void)words;
    (void)n;
    (void)bits;
#endif
}

/* r random bits from each word, which has some unused ones below, to the top of a lane */
SR_SPECIALIZE void spread(int bytes, int width, size_t n, const unsigned char *from, ptrdiff_t stride, int unused, int r,
                          uint64_t *lanes)
{
    uint32_t *const lanes32 = (uint32_t *)lanes;
    for (size_t j = 0; j < n; j++) {
        uint64_t const word = load_word(bytes, from, (ptrdiff_t)j * stride) >> unused;
        if (width == 32)
            lanes32[j] = (uint32_t)word << (32 - r);
        else
            lanes[j] = word << (64 - r);
    }
}

/* The words of elements [start, start + n) as the kernels of a kind take them. */
SR_SPECIALIZE const void *words_of(const call *c, const sr_lanes *lanes, int width, size_t start, size_t n, workspace *room)
{
    const sr_plan *const plan = c->plan;
    const sr_words *const words = c->words;
    int const bytes = plan->word_bits / 8;
    int unused_bits = 0;
    const unsigned char *from;
    ptrdiff_t stride = 1;
    if (bytes == 0) return NULL;
    if (words->bits) {
        from = (const unsigned char *)words->bits + (ptrdiff_t)start * words->bits_stride * bytes;
        stride = words->bits_stride;
    } else {
        uint64_t const per_block = 128 / (uint64_t)plan->word_bits;
        uint64_t const i = words->offset + start;
        size_t const skip = (size_t)(i % per_block);
        size_t const blocks = (skip + n + (size_t)per_block - 1) / (size_t)per_block;
        plan->kernels->philox(words->seed, words->stream, words->block + i / per_block, blocks, room->drawn);
        order_words(room->drawn, 4 * blocks, plan->word_bits);
        from = (const unsigned char *)room->drawn + skip * (size_t)bytes;
        if (plan->random_bits != SR_EXACT) unused_bits = plan->word_bits - plan->random_bits;
    }
    if (lanes->kind == SR_KIND_EXACT || lanes->kind == SR_KIND_EQUAL) {
        if (!words->bits) return from;
        copy_elements(2, n, from, stride, room->words, 1);
        return room->words;
    }
    switch (bytes) {
    case 1: spread(1, width, n, from, stride, unused_bits, plan->random_bits, room->words); break;
    case 2: spread(2, width, n, from, stride, unused_bits, plan->random_bits, room->words); break;
    case 4: spread(4, width, n, from, stride, unused_bits, plan->random_bits, room->words); break;
    default: spread(8, width, n, from, stride, unused_bits, plan->random_bits, room->words); break;
    }
    return room->words;
}

SR_SPECIALIZE sr_status check_call(const call *c, sr_carrier carrier, int write)
{
    uint64_t const infinity = carrier == SR_CARRIER_F32 ? 0x7F800000u : SR_F64_INF;
    int const width = carrier == SR_CARRIER_F32 ? 32 : 64;
    uint64_t room[SR_CHUNK];
    if (!c->plan || (c->n && (!c->x || (write && !c->y)))) return SR_ERR_NULL;
    if (!c->plan->kernels) return SR_ERR_PATH;
    if (carrier == SR_CARRIER_F32 && !c->plan->fits_f32) return SR_ERR_CARRIER;
    if (write && c->n > 1 && c->y_stride == 0) return SR_ERR_STRIDE;
    if (write && overlap(c, (size_t)width / 8)) return SR_ERR_OVERLAP;
    if (c->n && (c->direction != NULL) != (c->plan->mode == SR_MODE_SR_SIGNED)) return SR_ERR_DIRECTION;
    for (size_t start = 0; c->direction && start < c->n; start += SR_CHUNK) {
        size_t const n = c->n - start < SR_CHUNK ? c->n - start : SR_CHUNK;
        const void *const v = gather(width / 8, n, c->direction, c->direction_stride, start, room);
        if (!(width == 32 ? c->plan->kernels->above_32(v, n, infinity) : c->plan->kernels->above_64(v, n, infinity)))
            continue;
        for (size_t j = 0; j < n; j++)
            if ((load_value(carrier, v, (ptrdiff_t)j) & ~SR_F64_SIGN) > SR_F64_INF)
                return fail(c, SR_ERR_DIRECTION_NAN, start + j);
    }
    return check_words(c);
}

/* ---- by the definition ---------------------------------------------------------------------------- */

/* The definition's result for one element, and how it went. */
SR_SPECIALIZE sr_status define(const call *c, sr_carrier carrier, size_t j, uint64_t word, uint64_t *value, uint64_t *code,
                               unsigned *flags)
{
    const sr_words *const words = c->words;
    ptrdiff_t const at = (ptrdiff_t)j;
    uint64_t const x = load_value(carrier, c->x, at * c->x_stride);
    int const direction = c->direction ? sign_of(load_value(carrier, c->direction, at * c->direction_stride)) : 0;
    refinement deeper = {0, 0, 0};
    if (words) {
        deeper.seed = words->seed;
        deeper.stream = words->stream;
        deeper.counter = 8 * words->block + words->offset + j;
    }
    if (c->op == SR_OP_ROUND && !c->counts) {
        *value = sr_round_bits(c->plan, x, word, direction, refine_philox, &deeper, flags);
    } else {
        uint64_t const y = c->second ? load_value(carrier, c->second, at * c->second_stride) : 0;
        uint64_t const z = c->third ? load_value(carrier, c->third, at * c->third_stride) : 0;
        *value = sr_arith_bits(c->plan, c->op, x, y, z, word, direction, refine_philox, &deeper, flags);
    }
    if (*flags & SR_FLAG_REFUSED) return SR_ERR_OVERFLOW;
    if (c->result_bytes && !sr_encode_bits(c->plan, *value, code)) return SR_ERR_NO_CODE;
    return SR_OK;
}

SR_SPECIALIZE void count(sr_counts *counts, unsigned flags)
{
    counts->inexact += (flags & SR_FLAG_INEXACT) != 0;
    counts->overflow += (flags & SR_FLAG_OVERFLOW) != 0;
    counts->underflow += (flags & SR_FLAG_UNDERFLOW) != 0;
    counts->nan += (flags & SR_FLAG_NAN) != 0;
}

/* Elements [from, to) in order; without `write` it only looks for the first one that is refused. */
SR_SPECIALIZE sr_status pass(const call *c, sr_carrier carrier, size_t from, size_t to, int write)
{
    const sr_plan *const plan = c->plan;
    const sr_words *const words = c->words;
    int const drawn = plan->word_bits != 0 && !words->bits;
    uint32_t const per_block = plan->word_bits ? 128u / (uint32_t)plan->word_bits : 1;
    int const unused_bits = plan->random_bits == SR_EXACT ? 0 : plan->word_bits - plan->random_bits;
    uint32_t block[4] = {0, 0, 0, 0};

    for (size_t j = from; j < to; j++) {
        uint64_t word = 0, value, code = 0;
        sr_status status;
        unsigned flags;
        if (drawn) {
            uint64_t const i = words->offset + j;
            uint32_t const position = (uint32_t)(i % per_block);
            if (j == from || position == 0)
                sr_philox_block(words->seed, words->stream, words->block + i / per_block, 0, block);
            word = sr_philox_pick(block, plan->word_bits, position) >> unused_bits; /* S4.5 */
        } else if (plan->word_bits) {
            word = load_word(plan->word_bits / 8, words->bits, (ptrdiff_t)j * words->bits_stride);
        }
        status = define(c, carrier, j, word, &value, &code, &flags);
        if (status != SR_OK) return fail(c, status, j);
        if (!write) continue;
        if (c->counts) count(c->counts, flags);
        if (c->result_bytes)
            store_code(c->result_bytes, c->y, (ptrdiff_t)j * c->y_stride, code);
        else
            store_value(carrier, c->y, (ptrdiff_t)j * c->y_stride, value);
    }
    return SR_OK;
}

/* Below so many elements the definition is done sooner than a kernel is prepared. */
#define FEW_ELEMENTS 8

/* Of n elements, 8 a block, those whose blocks have numbers with the same upper half. */
SR_SPECIALIZE size_t drawable(size_t n, uint32_t block)
{
    uint64_t const left = (((uint64_t)1 << 32) - block) * 8;
    return n < left ? n : (size_t)left;
}

#endif
