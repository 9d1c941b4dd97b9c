/* Sums and products of many terms, every node of their tree rounded (S8). Results are worked on side by side, a lane each:
 * the same node of all of them is one step of a path's kernel. The definition does what that leaves open, and everything
 * where a path has no arithmetic. */
#include "nodes.h"

/* Of fewer results each is worked on alone, where a kernel does that. */
#define FEW_RESULTS 8

/* ---- terms ------------------------------------------------------------------------------------------ */

static const unsigned char *place(const reducing *at, int k, size_t t)
{
    size_t const bytes = at->carrier == SR_CARRIER_F32 ? 4 : 8;
    return (const unsigned char *)at->operands[k] +
           ((ptrdiff_t)at->first * at->strides[k][0] + (ptrdiff_t)t * at->strides[k][1]) * (ptrdiff_t)bytes;
}

/* Term t of an operand, for each result. */
static void fetch(const reducing *at, int k, size_t t, double *to)
{
    const unsigned char *const from = place(at, k, t);
    ptrdiff_t const stride = at->strides[k][0];
    if (at->carrier == SR_CARRIER_F32) /* by patterns: the caller may flush subnormals */
        for (size_t j = 0; j < at->n; j++) to[j] = sr_value_f64(load_value(SR_CARRIER_F32, from, (ptrdiff_t)j * stride));
    else
        for (size_t j = 0; j < at->n; j++) SR_COPY(to + j, from + (ptrdiff_t)j * stride * 8, 8);
}

static void put(const reducing *at, size_t t, const double *from)
{
    ptrdiff_t const start = (ptrdiff_t)at->first * at->y_strides[0] + (ptrdiff_t)t * at->y_strides[1];
    if (!at->y) return;
    for (size_t j = 0; j < at->n; j++)
        store_value(at->carrier, at->y, start + (ptrdiff_t)j * at->y_strides[0], sr_bits_f64(from[j]));
}

/* Term t of the sum itself, or of the product. */
static void term(reducing *at, size_t t, double *to)
{
    SR_ALIGNED(64) side y;
    fetch(at, 0, t, to);
    if (at->r->terms != SR_TERMS_DOT) return;
    clear(y);
    fetch(at, 1, t, y);
    node(at, &at->products, SR_OP_MUL, to, y, NULL, 2 * (uint64_t)t, to);
}

/* The number of step t's rounding. */
static uint64_t step_number(const reducing *at, size_t t)
{
    return at->r->terms == SR_TERMS_DOT ? 2 * (uint64_t)t + 1 : t;
}

static sr_op joining(const reducing *at)
{
    return at->r->terms == SR_TERMS_PRODUCT ? SR_OP_MUL : SR_OP_ADD;
}

/* ---- orders ----------------------------------------------------------------------------------------- */

/* Eight adjacent terms of SR_SIDE results, in columns: constants, so that loops become vectors. */
SR_SPECIALIZE void turn(const uint32_t *from, ptrdiff_t result, uint32_t *to)
{
    for (int j = 0; j < SR_SIDE; j += 4) {
        uint32_t terms[4][8];
        for (int i = 0; i < 4; i++) SR_COPY(terms[i], from + (j + i) * result, sizeof terms[i]);
        for (int k = 0; k < 8; k++) {
            uint32_t const four[4] = {terms[0][k], terms[1][k], terms[2][k], terms[3][k]};
            SR_COPY(to + k * SR_SIDE + j, four, sizeof four);
        }
    }
}

/* Terms of results side by side, so many rows of them: in place where the results are adjacent in memory. */
static const void *rows_of(const reducing *at, size_t t, size_t rows, void *room, ptrdiff_t *row)
{
    ptrdiff_t const result = at->strides[0][0], next = at->strides[0][1];
    int const bytes = at->carrier == SR_CARRIER_F32 ? 4 : 8;
    const unsigned char *const from = place(at, 0, t);
    if (result == 1 && at->n == SR_SIDE) {
        *row = next;
        return from;
    }
    *row = SR_SIDE;
    if (bytes == 4 && next == 1 && rows == 8 && at->n == SR_SIDE) {
        turn((const uint32_t *)(const void *)from, result, (uint32_t *)room);
        return room;
    }
    for (size_t j = 0; j < at->n; j++)
        copy_strided(bytes, rows, from + (ptrdiff_t)j * result * bytes, next,
                     (unsigned char *)room + j * (size_t)bytes, SR_SIDE);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = at->n * (size_t)bytes; k < SR_SIDE * (size_t)bytes; k++)
            ((unsigned char *)room)[i * SR_SIDE * (size_t)bytes + k] = 0;
    return room;
}

/* Does a kernel take sums of float32 as they are? */
static int serves_halves(const reducing *at)
{
    const sr_plan *const plan = at->sums.plan;
    return at->half && at->carrier == SR_CARRIER_F32 && at->r->terms == SR_TERMS_SUM && plan->mode == SR_MODE_SR;
}

/* Some of the steps [from, to) of `value`, or of `single` if that is given; *steps of them, whose words lie in one block of each result: how many kernels have done. */
static size_t some_rows(reducing *at, size_t from, size_t to, double *value, float *single, size_t *steps)
{
    enum { MOST = 16 };
    const way *const w = &at->sums;
    const sr_kernels *const kernels = w->plan->kernels;
    SR_ALIGNED(64) uint64_t room[MOST * SR_SIDE];
    sr_rows s;
    size_t done;
    s.steps = to - from < MOST ? to - from : (size_t)MOST;
    s.lanes = w->lanes;
    s.op = joining(at);
    s.width = at->carrier == SR_CARRIER_F32 ? 32 : 64;
    s.n = at->n;
    s.drawn = NULL;
    s.word_bits = w->plan->word_bits;
    s.position = 0;
    s.mask = 0;
    if (at->per_block) {
        size_t const position = from % at->per_block;
        if (at->per_block - position < s.steps) s.steps = at->per_block - position;
        draw(at, from);
        s.drawn = (const uint32_t(*)[SR_SIDE])at->drawn;
        s.position = (int)position;
        s.mask = ~sr_ones(64 - (w->plan->random_bits == SR_EXACT ? 16 : w->plan->random_bits));
    }
    *steps = s.steps;
    s.terms = rows_of(at, from, s.steps, room, &s.row);
    s.most = w->most;
    s.least = w->least;
    s.zero_sums = w->plan->mode == SR_MODE_RD;
    s.inexact = s.underflow = 0;
    if (single) {
        s.lanes = at->half;
        done = kernels->half_rows(&s, single);
    } else {
        done = kernels->rows(&s, value);
    }
    if (at->counts) {
        at->counts->inexact += s.inexact;
        at->counts->underflow += s.underflow;
    }
    return done;
}

static int is_nan(double x) { return (sr_bits_f64(x) & ~SR_F64_SIGN) > SR_F64_INF; }

/* Steps of one result alone from `from` on, as far as kernels go: how many. Of `value`, or of `single` if that is given. */
static size_t some_line(reducing *at, size_t from, size_t to, double *value, float *single)
{
    const sr_words *const words = at->words;
    const sr_kernels *const kernels = at->sums.plan->kernels;
    int const bytes = at->carrier == SR_CARRIER_F32 ? 4 : 8;
    size_t const most = to - from < SR_LINE ? to - from : (size_t)SR_LINE;
    size_t const skip = at->per_block ? from % at->per_block : 0, steps = most - most % SR_LINE_GROUP;
    SR_ALIGNED(64) uint32_t drawn[SR_LINE / 2 + 4 + 4 * SR_PHILOX_SLACK];
    SR_ALIGNED(64) double terms[SR_LINE];
    uint64_t room[SR_LINE];
    size_t done;
    sr_line s;
    if (steps == 0) return 0;
    if (at->per_block)
        kernels->philox(words->seed, words->stream, first_block(at) + from / at->per_block,
                        (skip + steps + at->per_block - 1) / at->per_block, drawn);
    s.steps = steps;
    s.words = (const unsigned char *)drawn + 2 * skip;
    s.terms = gather(bytes, steps, place(at, 0, from), at->strides[0][1], 0, room);
    s.inexact = s.underflow = 0;
    if (single) {
        s.lanes = at->half;
        done = kernels->half_line(&s, single);
    } else {
        if (bytes == 4) {
            kernels->widen((const float *)s.terms, steps, terms);
            s.terms = terms;
        }
        s.lanes = at->sums.lanes;
        done = kernels->line(&s, value);
    }
    if (at->counts) {
        at->counts->inexact += s.inexact;
        at->counts->underflow += s.underflow;
    }
    return done;
}

/* Terms [from, to), from left to right, after what is in `value` where `follows`. */
static void sequential(reducing *at, size_t from, size_t to, int follows, double *value)
{
    SR_ALIGNED(64) side next;
    SR_ALIGNED(64) float halves[SR_SIDE];
    float *single = NULL;
    size_t again = 0;
    clear(next);
    if (!follows) term(at, from, value);
    if (!follows && at->r->running) {
        node(at, &at->sums, SR_OP_ROUND, value, NULL, NULL, 0, next);
        put(at, 0, next);
    }
    if (at->in_rows && serves_halves(at)) single = halves;
    if (single) at->sums.plan->kernels->narrow(value, SR_SIDE, single);
    for (size_t t = from + !follows; t < to;) {
        if (at->in_line && is_nan(single ? (double)single[0] : value[0])) { /* it stays, and makes none */
            value[0] = sr_value_f64(SR_F64_NAN);
            return;
        }
        if (at->in_line && t >= again) {
            size_t const done = some_line(at, t, to, value, single);
            t += done;
            if (done) continue;
            again = t + SR_LINE_GROUP; /* one of these is special */
        }
        if (at->in_rows) {
            size_t steps;
            size_t const done = some_rows(at, t, to, value, single, &steps);
            t += done;
            if (done == steps) continue;
        }
        if (single) at->sums.plan->kernels->widen(single, SR_SIDE, value);
        term(at, t, next);
        node(at, &at->sums, joining(at), value, next, NULL, step_number(at, t), value);
        if (single) at->sums.plan->kernels->narrow(value, SR_SIDE, single);
        if (at->r->running) put(at, t, value);
        t++;
    }
    if (single) at->sums.plan->kernels->widen(single, SR_SIDE, value);
}

static void blocked(reducing *at, double *value)
{
    SR_ALIGNED(64) side sum;
    size_t const n = at->r->n, block = at->r->block;
    clear(sum);
    for (size_t from = 0; from < n; from += at->r->block) {
        size_t const to = n - from > block ? from + block : n;
        sequential(at, from, to, 0, from ? sum : value);
        if (from) node(at, &at->sums, joining(at), value, sum, NULL, step_number(at, from), value);
        if (n - from <= block) break;
    }
}

/* A binary counter: sums of 2^k terms, the largest first; two of the same size become one. What is left at the end is
 * joined from the right, which is the tree that splits at the largest power of two below n. */
static void pairwise(reducing *at, double *value)
{
    enum { MOST = 8 * sizeof(size_t) };
    SR_ALIGNED(64) double sums[MOST + 1][SR_SIDE];
    size_t begins[MOST + 1], sizes[MOST + 1];
    int held = 0;
    for (size_t t = 0; t < at->r->n; t++) {
        clear(sums[held]);
        term(at, t, sums[held]);
        begins[held] = t;
        sizes[held] = 1;
        for (held++; held > 1 && sizes[held - 1] == sizes[held - 2]; held--) {
            node(at, &at->sums, joining(at), sums[held - 2], sums[held - 1], NULL, step_number(at, begins[held - 1]),
                 sums[held - 2]);
            sizes[held - 2] *= 2;
        }
    }
    for (; held > 1; held--)
        node(at, &at->sums, joining(at), sums[held - 2], sums[held - 1], NULL, step_number(at, begins[held - 1]),
             sums[held - 2]);
    for (size_t j = 0; j < at->n; j++) value[j] = sums[0][j];
}

/* One result at a time: `at` is about that one alone. */
static void exact(reducing *at, double *value)
{
    sr_total total;
    sr_total_clear(&total);
    for (size_t t = 0; t < at->r->n; t++) {
        term(at, t, value);
        sr_total_add(&total, 0, sr_bits_f64(value[0]), 0);
    }
    value[0] = round_total(at, &total, step_number(at, 0), 0);
}

/* Where the terms of a block, products [from, to) and `value` unless NULL, are cut off (S8.9). */
static int lowest_place(const reducing *at, size_t from, size_t to, const double *value)
{
    SR_ALIGNED(64) side x, y;
    int highest = SR_TOTAL_EXPONENT;
    if (!at->r->align_bits) return SR_TOTAL_EXPONENT;
    if (value) highest = sr_term_place(0, sr_bits_f64(value[0]), 0);
    for (size_t t = from; t < to; t++) {
        int place;
        fetch(at, 0, t, x);
        fetch(at, 1, t, y);
        place = sr_term_place(1, sr_bits_f64(x[0]), sr_bits_f64(y[0]));
        if (place > highest) highest = place;
    }
    return highest + 1 - at->r->align_bits;
}

static void fused(reducing *at, int follows, double *value)
{
    SR_ALIGNED(64) side x, y;
    size_t const n = at->r->n;
    uint64_t m = 0;
    clear(x);
    clear(y);
    for (size_t from = 0; from < n; m++) {
        size_t const to = n - from > at->r->block ? from + at->r->block : n;
        int const sums = follows || from, lowest = lowest_place(at, from, to, sums ? value : NULL);
        sr_total total;
        sr_total_clear(&total);
        if (sums) sr_total_add_cut(&total, 0, sr_bits_f64(value[0]), 0, lowest);
        for (size_t t = from; t < to; t++) {
            fetch(at, 0, t, x);
            fetch(at, 1, t, y);
            sr_total_add_cut(&total, 1, sr_bits_f64(x[0]), sr_bits_f64(y[0]), lowest);
        }
        value[0] = round_total(at, &total, m, 0);
        from = to;
    }
}

static void chained(reducing *at, int follows, double *value)
{
    SR_ALIGNED(64) side x, y;
    clear(x);
    clear(y);
    for (size_t t = 0; t < at->r->n; t++) {
        fetch(at, 0, t, x);
        fetch(at, 1, t, y);
        if (t || follows)
            node(at, &at->sums, SR_OP_FMA, x, y, value, t, value);
        else
            node(at, &at->sums, SR_OP_MUL, x, y, NULL, t, value);
    }
}

static void no_bits(void *context, uint32_t level, uint32_t words[4])
{
    (void)context, (void)level;
    for (int i = 0; i < 4; i++) words[i] = 0;
}

/* S8.2: nothing to add is +0, to multiply 1, or what it would have joined; rounded with random bits of zero. */
static void nothing(reducing *at, int follows, double *value)
{
    for (size_t j = 0; j < at->n; j++) {
        double const neutral = at->r->terms == SR_TERMS_PRODUCT ? 1 : 0;
        unsigned flags;
        uint64_t const result = sr_arith_bits(at->sums.plan, SR_OP_ROUND, sr_bits_f64(follows ? value[j] : neutral), 0, 0,
                                              0, 0, no_bits, NULL, &flags);
        happened(at, flags, j);
        value[j] = one_nan(result);
    }
}

/* The results at hand. */
static void reduce_side(reducing *at)
{
    SR_ALIGNED(64) side value;
    const sr_reduction *const r = at->r;
    int const follows = at->operands[2] != NULL;
    at->drawn_block = ~(uint64_t)0;
    clear(value);
    if (follows) fetch(at, 2, 0, value);
    if (r->n == 0 && r->running) return;
    if (r->n == 0) {
        nothing(at, follows, value);
    } else if (r->terms == SR_TERMS_FMA) {
        chained(at, follows, value);
    } else if (r->terms == SR_TERMS_FUSED) {
        fused(at, follows, value);
    } else if (r->order == SR_ORDER_EXACT) {
        exact(at, value);
    } else {
        if (r->order == SR_ORDER_SEQUENTIAL)
            sequential(at, 0, r->n, follows, value);
        else if (r->order == SR_ORDER_BLOCKED)
            blocked(at, value);
        else
            pairwise(at, value);
        if (r->running) return;
        /* One term alone: step 0 rounds it. */
        if (r->n == 1 && !follows) node(at, &at->sums, SR_OP_ROUND, value, NULL, NULL, step_number(at, 0), value);
    }
    put(at, 0, value);
}

/* ---- the call --------------------------------------------------------------------------------------- */

static uint64_t roundings(const sr_reduction *r)
{
    switch (r->terms) {
    case SR_TERMS_DOT: return 2 * (uint64_t)r->n;
    case SR_TERMS_FUSED: return r->n / r->block + (r->n % r->block != 0);
    case SR_TERMS_SUM: return r->order == SR_ORDER_EXACT ? r->n != 0 : r->n;
    default: return r->n;
    }
}

static sr_status check_reduction(const sr_plan *plan, const sr_reduction *r)
{
    int const sums = r->terms == SR_TERMS_SUM || r->terms == SR_TERMS_PRODUCT;
    if (plan->format.precision == SR_GRID || (r->products && r->products->format.precision == SR_GRID)) return SR_ERR_GRID;
    if ((unsigned)r->terms > (unsigned)SR_TERMS_FUSED || (unsigned)r->order > (unsigned)SR_ORDER_EXACT) return SR_ERR_ORDER;
    if ((r->terms == SR_TERMS_FMA || r->terms == SR_TERMS_FUSED) && r->order != SR_ORDER_SEQUENTIAL) return SR_ERR_ORDER;
    if ((r->terms == SR_TERMS_FUSED || r->order == SR_ORDER_BLOCKED) && r->block == 0) return SR_ERR_ORDER;
    if (r->terms == SR_TERMS_PRODUCT && r->order == SR_ORDER_EXACT) return SR_ERR_ORDER;
    if (r->running && !(sums && r->order == SR_ORDER_SEQUENTIAL)) return SR_ERR_ORDER;
    if (r->products && r->terms != SR_TERMS_DOT) return SR_ERR_ORDER;
    if (r->align_bits < 0 || r->align_bits > SR_ALIGN_MOST || (r->align_bits && r->terms != SR_TERMS_FUSED))
        return SR_ERR_ORDER;
    if (r->products && (r->products->mode != plan->mode || r->products->word_bits != plan->word_bits)) return SR_ERR_MODE;
    if (plan->mode == SR_MODE_SR_SIGNED) return SR_ERR_DIRECTION;
    return SR_OK;
}

uint64_t sr_reduce_blocks(const sr_plan *plan, const sr_reduction *r)
{
    uint64_t per_block;
    if (!plan || !r || check_reduction(plan, r) != SR_OK || plan->word_bits == 0) return 0;
    per_block = 128 / (uint64_t)plan->word_bits;
    return roundings(r) / per_block + (roundings(r) % per_block != 0);
}

static void reduce_all(reducing *at, size_t results)
{
    /* These are no matter of lanes. */
    int const alone = at->r->terms == SR_TERMS_FUSED || at->r->order == SR_ORDER_EXACT;
    for (at->first = 0; at->first < results; at->first += at->n) {
        size_t const left = results - at->first, most = alone || at->in_line ? 1 : SR_SIDE;
        at->n = left < most ? left : most;
        reduce_side(at);
    }
}

sr_status sr_reduce_passes(const sr_plan *plan, const sr_reduction *r, const sr_words *words, size_t results,
                           sr_carrier carrier, const void *const *operands, const ptrdiff_t (*strides)[2], void *y,
                           const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index, int passes)
{
    reducing at;
    sr_status status;
    int const two = r && r->terms >= SR_TERMS_DOT;
    if (!plan || !r || !operands || !strides || !y_strides) return SR_ERR_NULL;
    status = check_reduction(plan, r);
    if (status != SR_OK) return status;
    if (!plan->kernels || (r->products && !r->products->kernels)) return SR_ERR_PATH;
    if (results && (!y || (r->n && (!operands[0] || (two && !operands[1]))))) return SR_ERR_NULL;
    if (carrier == SR_CARRIER_F32 && !(plan->fits_f32 && (!r->products || r->products->fits_f32))) return SR_ERR_CARRIER;
    if (results > 1 && y_strides[0] == 0) return SR_ERR_STRIDE;
    if (r->running && r->n > 1 && y_strides[1] == 0) return SR_ERR_STRIDE;
    if (two && operands[2] && r->order != SR_ORDER_SEQUENTIAL) return SR_ERR_ORDER;
    if (!words && plan->word_bits) return SR_ERR_NULL;
    if (words && words->stream >> 48) return SR_ERR_STREAM;
    if (words && words->bits) return SR_ERR_BITS_UNUSED;
    if (words && results && words->offset > UINT64_MAX - (results - 1)) return SR_ERR_OFFSET;
    set_reducing(&at, plan, r, words, carrier);
    for (int k = 0; k < 3; k++) {
        int const used = k == 0 || two;
        at.operands[k] = used ? operands[k] : NULL;
        for (int i = 0; i < 2; i++) at.strides[k][i] = used ? strides[k][i] : 0;
    }
    at.y_strides[0] = y_strides[0];
    at.y_strides[1] = r->running ? y_strides[1] : 0;
    /* Words of 64 bits are put together by step. */
    at.in_rows = at.sums.lanes && r->terms <= SR_TERMS_PRODUCT && !r->running && plan->word_bits != 64;
    /* Toward minus infinity a sum of zero is -0, which the kernel of a line does not know. */
    at.in_line = at.in_rows && results < FEW_RESULTS && r->terms == SR_TERMS_SUM && r->order != SR_ORDER_PAIRWISE &&
                 plan->mode != SR_MODE_RD &&
                 (at.sums.lanes->kind <= SR_KIND_ODD || at.sums.lanes->kind == SR_KIND_EXACT);
    if (passes & SR_PASS_CHECK && (refuses(plan) || (r->products && refuses(r->products)))) { /* by the definition */
        const sr_lanes *const lanes = at.sums.lanes, *const product_lanes = at.products.lanes;
        int const in_rows = at.in_rows, in_line = at.in_line;
        at.y = NULL;
        at.counts = NULL;
        at.sums.lanes = at.products.lanes = NULL;
        at.in_rows = at.in_line = 0;
        reduce_all(&at, results);
        if (at.status != SR_OK) {
            if (index) *index = (words ? words->offset : 0) + at.refused;
            return at.status;
        }
        at.sums.lanes = lanes;
        at.products.lanes = product_lanes;
        at.in_rows = in_rows;
        at.in_line = in_line;
    }
    at.y = y;
    at.counts = counts;
    if (passes & SR_PASS_WRITE) reduce_all(&at, results);
    return SR_OK;
}

sr_status sr_reduce_f32(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t results,
                        const float *const *operands, const ptrdiff_t (*strides)[2], float *y, const ptrdiff_t *y_strides,
                        sr_counts *counts, uint64_t *index)
{
    const void *given[3] = {NULL, NULL, NULL};
    for (int k = 0; operands && reduction && k < (reduction->terms >= SR_TERMS_DOT ? 3 : 1); k++) given[k] = operands[k];
    return sr_reduce_passes(plan, reduction, words, results, SR_CARRIER_F32, operands ? given : NULL, strides, y, y_strides,
                            counts, index, SR_PASS_CHECK | SR_PASS_WRITE);
}

sr_status sr_reduce_f64(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t results,
                        const double *const *operands, const ptrdiff_t (*strides)[2], double *y, const ptrdiff_t *y_strides,
                        sr_counts *counts, uint64_t *index)
{
    const void *given[3] = {NULL, NULL, NULL};
    for (int k = 0; operands && reduction && k < (reduction->terms >= SR_TERMS_DOT ? 3 : 1); k++) given[k] = operands[k];
    return sr_reduce_passes(plan, reduction, words, results, SR_CARRIER_F64, operands ? given : NULL, strides, y, y_strides,
                            counts, index, SR_PASS_CHECK | SR_PASS_WRITE);
}
