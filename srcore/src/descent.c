/* Steps of gradient descent (S10): three roundings one after the other, some coordinates at a time. */
#include "call.h"

#define ROUNDINGS 3
#define BLOCK 256

typedef struct descent_call {
    const sr_plan *plans[ROUNDINGS];
    sr_words words[ROUNDINGS];
    int own[ROUNDINGS]; /* to nearest in the carrier's own format */
    const sr_kernels *kernels;
    sr_carrier carrier, of; /* of x; of g, or spectrum and minimizer */
    size_t runs, run, n;    /* of `runs` runs, this one and those after it */
    void *y, *rounded;
    const void *x, *g, *spectrum, *minimizer;
    double step;
    sr_descent_counts *counts;
    sr_descent_failure *failure;
} descent_call;

static size_t bytes_of(sr_carrier carrier) { return carrier == SR_CARRIER_F32 ? sizeof(float) : sizeof(double); }

static const void *element(sr_carrier carrier, const void *array, size_t at)
{
    return (const unsigned char *)array + at * bytes_of(carrier);
}

static sr_status fail_at(const descent_call *c, sr_status status, int rounding, uint64_t index)
{
    if (c->failure) {
        c->failure->run = c->run;
        c->failure->rounding = (sr_descent_rounding)rounding;
        c->failure->index = index;
    }
    return status;
}

/* Is there an error that only values can show? */
static int fallible(const descent_call *c)
{
    if (c->plans[SR_DESCENT_UPDATE]->mode == SR_MODE_SR_SIGNED) return 1;
    for (int k = 0; k < ROUNDINGS; k++)
        if (c->plans[k]->overflow == SR_OVERFLOW_RAISE || c->plans[k]->overflow == SR_OVERFLOW_WRAP) return 1;
    return 0;
}

/* x has become y, where the gradient was g: binary64 patterns. */
static void count_coordinate(sr_descent_counts *counts, uint64_t x, uint64_t y, uint64_t g)
{
    uint64_t const xm = x & ~SR_F64_SIGN, ym = y & ~SR_F64_SIGN;
    int const kept = x == y || (xm | ym) == 0 || (xm > SR_F64_INF && ym > SR_F64_INF);
    counts->moved += !kept;
    counts->stagnated += kept && (g & ~SR_F64_SIGN) != 0;
}

/* ---- coordinate by coordinate --------------------------------------------------------------------- */

/* The last block that a rounding has drawn */
typedef struct drawn_block {
    int valid;
    uint64_t number;
    uint32_t words[4];
} drawn_block;

static uint64_t word_at(const sr_plan *plan, const sr_words *words, uint64_t i, drawn_block *last)
{
    uint32_t const per_block = 128u / (uint32_t)plan->word_bits;
    uint64_t const number = words->block + i / per_block;
    if (!last->valid || last->number != number) {
        sr_philox_block(words->seed, words->stream, number, 0, last->words);
        last->valid = 1;
        last->number = number;
    }
    return sr_philox_pick(last->words, plan->word_bits, (uint32_t)(i % per_block)) >>
           (plan->random_bits == SR_EXACT ? 0 : plan->word_bits - plan->random_bits); /* S4.5 */
}

static int trailing_zeros(uint64_t v) { return sr_bit_length(v & (0 - v)) - 1; }

/* The exact result of finite operands, where that is a number of binary64; a zero is 0. */
static int exact_result(sr_op op, uint64_t x, uint64_t y, uint64_t *result)
{
    uint64_t const xm = x & ~SR_F64_SIGN, ym = y & ~SR_F64_SIGN;
    int negative = ((x ^ y) & SR_F64_SIGN) != 0;
    sr_number a, b, exact;
    int least;
    if (xm >= SR_F64_INF || ym >= SR_F64_INF) return 0;
    *result = 0;
    if (op == SR_OP_MUL) {
        if (xm == 0 || ym == 0) return 1;
    } else if (xm == 0 || ym == 0) { /* SR_OP_SUB */
        if (xm) *result = x;
        if (ym) *result = y ^ SR_F64_SIGN;
        return 1;
    }
    a = sr_unpack(xm);
    b = sr_unpack(ym);
    a.exponent += trailing_zeros(a.significand);
    b.exponent += trailing_zeros(b.significand);
    a.significand >>= trailing_zeros(a.significand);
    b.significand >>= trailing_zeros(b.significand);
    if (op == SR_OP_MUL) {
        if (sr_bit_length(a.significand) + sr_bit_length(b.significand) > 53) return 0;
        exact.significand = a.significand * b.significand;
        exact.exponent = a.exponent + b.exponent;
    } else {
        least = a.exponent < b.exponent ? a.exponent : b.exponent;
        if (sr_exponent(a) - least > 51 || sr_exponent(b) - least > 51) return 0;
        a.significand <<= a.exponent - least;
        b.significand <<= b.exponent - least;
        exact.exponent = least;
        if (negative) { /* magnitudes add up */
            exact.significand = a.significand + b.significand;
            negative = (x & SR_F64_SIGN) != 0;
        } else {
            negative = ((x & SR_F64_SIGN) != 0) != (a.significand < b.significand);
            exact.significand =
                a.significand < b.significand ? b.significand - a.significand : a.significand - b.significand;
            if (exact.significand == 0) return 1;
        }
    }
    if (exact.exponent < -1022 || sr_exponent(exact) > 1023) return 0;
    *result = (negative ? SR_F64_SIGN : 0) | sr_pack(exact);
    return 1;
}

/* One rounding of coordinate i of the run. */
static sr_status round_one(const descent_call *c, int k, sr_op op, uint64_t i, uint64_t x, uint64_t y, uint64_t v,
                           uint64_t word, uint64_t *value, uint64_t *overflow)
{
    const sr_plan *const plan = c->plans[k];
    refinement deeper;
    uint64_t exact;
    unsigned flags;
    int direction = 0;
    deeper.seed = c->words[k].seed;
    deeper.stream = c->words[k].stream;
    deeper.counter = 8 * c->words[k].block + i;
    if (plan->mode == SR_MODE_SR_SIGNED) {
        if ((v & ~SR_F64_SIGN) > SR_F64_INF) return SR_ERR_DIRECTION_NAN;
        direction = sign_of(v);
    }
    *value = SR_F64_NAN;
    if (op != SR_OP_ROUND && plan->format.precision == SR_FIXED_POINT && exact_result(op, x, y, &exact))
        *value = sr_round_bits(plan, exact, word, direction, refine_philox, &deeper, &flags);
    if ((*value & ~SR_F64_SIGN) > SR_F64_INF)
        *value = sr_arith_bits(plan, op, x, y, 0, word, direction, refine_philox, &deeper, &flags);
    if (!c->own[k]) *overflow += (flags & SR_FLAG_OVERFLOW) != 0;
    return flags & SR_FLAG_REFUSED ? SR_ERR_OVERFLOW : SR_OK;
}

/* Coordinate i of the run, from x and its gradient: binary64 patterns. */
static sr_status descend_one(const descent_call *c, uint64_t i, uint64_t x, uint64_t g, drawn_block *last, uint64_t *y,
                             uint64_t *rounded, sr_descent_counts *counts)
{
    uint64_t product, words[ROUNDINGS];
    sr_status status;
    int k;
    for (k = 0; k < ROUNDINGS; k++)
        words[k] = c->plans[k]->word_bits ? word_at(c->plans[k], &c->words[k], i, &last[k]) : 0;
    k = SR_DESCENT_GRADIENT;
    status = round_one(c, k, SR_OP_ROUND, i, g, 0, 0, words[k], rounded, &counts->overflow[k]);
    if (status == SR_OK) {
        k = SR_DESCENT_PRODUCT;
        status =
            round_one(c, k, SR_OP_MUL, i, *rounded, sr_bits_f64(c->step), 0, words[k], &product, &counts->overflow[k]);
    }
    if (status == SR_OK) {
        k = SR_DESCENT_UPDATE;
        status = round_one(c, k, SR_OP_SUB, i, x, product, *rounded, words[k], y, &counts->overflow[k]);
    }
    if (status != SR_OK) return fail_at(c, status, k, i);
    count_coordinate(counts, x, *y, g);
    return SR_OK;
}

/* Coordinates [at, at + n) of the arrays; without `write` it only looks for a failure. */
static sr_status descend_by_one(const descent_call *c, size_t at, size_t n, const double *x, const double *g, int write,
                                sr_descent_counts *counts)
{
    drawn_block last[ROUNDINGS];
    for (int k = 0; k < ROUNDINGS; k++) last[k].valid = 0;
    for (size_t j = 0; j < n; j++) {
        uint64_t rounded, y;
        sr_status const status =
            descend_one(c, c->words[0].offset + at + j, load_value(SR_CARRIER_F64, x, (ptrdiff_t)j),
                        load_value(SR_CARRIER_F64, g, (ptrdiff_t)j), last, &y, &rounded, counts);
        if (status != SR_OK) return status;
        if (!write) continue;
        store_value(c->carrier, c->y, (ptrdiff_t)(at + j), y);
        if (c->rounded) store_value(c->carrier, c->rounded, (ptrdiff_t)(at + j), rounded);
    }
    return SR_OK;
}

/* ---- by the array calls --------------------------------------------------------------------------- */

static void load_doubles(const sr_kernels *kernels, sr_carrier carrier, const void *array, size_t at, size_t n,
                         double *to)
{
    if (carrier == SR_CARRIER_F64) {
        copy_elements(sizeof(double), n, element(carrier, array, at), 1, to, 1);
    } else if (kernels->widen && n >= FEW_ELEMENTS) {
        kernels->widen((const float *)array + at, n, to);
    } else {
        for (size_t j = 0; j < n; j++)
            store_value(SR_CARRIER_F64, to, (ptrdiff_t)j, load_value(carrier, array, (ptrdiff_t)(at + j)));
    }
}

/* Of values that the carrier holds. */
static void store_doubles(const sr_kernels *kernels, sr_carrier carrier, const double *from, size_t n, void *array,
                          size_t at)
{
    if (carrier == SR_CARRIER_F64) {
        copy_elements(sizeof(double), n, from, 1, (double *)array + at, 1);
    } else if (kernels->narrow) {
        kernels->narrow(from, n, (float *)array + at);
    } else {
        for (size_t j = 0; j < n; j++)
            store_value(carrier, array, (ptrdiff_t)(at + j), load_value(SR_CARRIER_F64, from, (ptrdiff_t)j));
    }
}

/* One operation in binary64, to nearest. */
static void nearest(const sr_kernels *kernels, sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n,
                    double *result)
{
    static sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_format format;
    sr_plan plan;
    if (kernels->nearest) {
        kernels->nearest(op, x, y, y_stride, n, result);
        return;
    }
    sr_format_named(&format, "binary64");
    sr_plan_init(&plan, &format, &rounding);
    for (size_t j = 0; j < n; j++) {
        uint64_t const a = load_value(SR_CARRIER_F64, x, (ptrdiff_t)j);
        uint64_t const b = load_value(SR_CARRIER_F64, y, (ptrdiff_t)j * y_stride);
        unsigned flags;
        store_value(SR_CARRIER_F64, result, (ptrdiff_t)j, sr_arith_bits(&plan, op, a, b, 0, 0, 0, NULL, NULL, &flags));
    }
}

/* Is it done without the path's arithmetic? Differences and products of few coordinates often are exact. */
static int gradient_one(const descent_call *c, size_t at, double *g)
{
    uint64_t const x = load_value(c->carrier, c->x, (ptrdiff_t)at);
    uint64_t difference, product;
    if (!exact_result(SR_OP_SUB, x, load_value(c->of, c->minimizer, (ptrdiff_t)at), &difference)) return 0;
    if (!exact_result(SR_OP_MUL, load_value(c->of, c->spectrum, (ptrdiff_t)at), difference, &product)) return 0;
    if (product == 0) return 0; /* perhaps it is -0 */
    store_value(SR_CARRIER_F64, g, 0, product);
    return 1;
}

/* Values and gradients of coordinates [at, at + n), n <= BLOCK */
static void load_block(const descent_call *c, size_t at, size_t n, double *x, double *g)
{
    load_doubles(c->kernels, c->carrier, c->x, at, n, x);
    if (c->g) {
        load_doubles(c->kernels, c->of, c->g, at, n, g);
    } else if (n > 1 || !gradient_one(c, at, g)) {
        double other[BLOCK];
        load_doubles(c->kernels, c->of, c->minimizer, at, n, other);
        nearest(c->kernels, SR_OP_SUB, x, other, 1, n, g);
        load_doubles(c->kernels, c->of, c->spectrum, at, n, other);
        nearest(c->kernels, SR_OP_MUL, other, g, 1, n, g);
    }
}

/* One rounding of n results. */
static sr_status round_block(const descent_call *c, int k, sr_op op, size_t at, size_t n, const double *x,
                             const double *y, ptrdiff_t y_stride, const double *direction, double *result,
                             uint64_t *overflow, uint64_t *index)
{
    sr_words words = c->words[k];
    sr_counts happened = {0, 0, 0, 0};
    const double *operands[3];
    ptrdiff_t const strides[3] = {1, op == SR_OP_ROUND ? 1 : y_stride, 1};
    sr_status status;
    words.offset += at;
    if (c->own[k] && c->carrier == SR_CARRIER_F64) {
        if (op != SR_OP_ROUND) {
            nearest(c->kernels, op, x, y, y_stride, n, result);
            return SR_OK;
        }
        for (size_t j = 0; j < n; j++) {
            uint64_t const v = load_value(SR_CARRIER_F64, x, (ptrdiff_t)j);
            store_value(SR_CARRIER_F64, result, (ptrdiff_t)j, (v & ~SR_F64_SIGN) > SR_F64_INF ? v | SR_F64_QUIET : v);
        }
        return SR_OK;
    }
    operands[0] = x;
    operands[1] = op == SR_OP_ROUND ? direction : y;
    operands[2] = direction;
    status = sr_arith_f64(c->plans[k], op, &words, n, operands, strides, result, 1, &happened, index);
    if (status == SR_OK && !c->own[k]) *overflow += happened.overflow;
    return status;
}

static sr_status descend_block(const descent_call *c, size_t at, size_t n, const double *x, const double *g, int write,
                               sr_descent_counts *counts)
{
    double rounded[BLOCK], product[BLOCK], y[BLOCK];
    sr_status failed = SR_OK;
    int k = 0;
    while (k < ROUNDINGS && n) {
        sr_status status;
        uint64_t index = 0;
        switch (k) {
        case SR_DESCENT_GRADIENT:
            status = round_block(c, k, SR_OP_ROUND, at, n, g, NULL, 0, NULL, rounded, &counts->overflow[k], &index);
            break;
        case SR_DESCENT_PRODUCT:
            status =
                round_block(c, k, SR_OP_MUL, at, n, rounded, &c->step, 0, NULL, product, &counts->overflow[k], &index);
            break;
        default: status = round_block(c, k, SR_OP_SUB, at, n, x, product, 1, rounded, y, &counts->overflow[k], &index);
        }
        if (status == SR_OK) {
            k++;
            continue;
        }
        if (status != SR_ERR_OVERFLOW && status != SR_ERR_DIRECTION_NAN) return status;
        failed = fail_at(c, status, k, index); /* those before it may fail later on */
        n = (size_t)(index - c->words[k].offset) - at;
    }
    if (failed != SR_OK || !write) return failed;
    for (size_t j = 0; j < n; j++)
        count_coordinate(counts, load_value(SR_CARRIER_F64, x, (ptrdiff_t)j),
                         load_value(SR_CARRIER_F64, y, (ptrdiff_t)j), load_value(SR_CARRIER_F64, g, (ptrdiff_t)j));
    store_doubles(c->kernels, c->carrier, y, n, c->y, at);
    if (c->rounded) store_doubles(c->kernels, c->carrier, rounded, n, c->rounded, at);
    return SR_OK;
}

/* ---- in fixed point, by a kernel ------------------------------------------------------------------ */

/* Signed fixed point of at most 30 bits and the sign, from -2^bits to 2^bits - 1 quanta, none of them above 1 */
static int small_fixed(const sr_plan *plan, uint32_t *most)
{
    int const bits = plan->code_bits - 1, q = plan->format.qmin;
    sr_number limit;
    if (plan->format.precision != SR_FIXED_POINT || !(plan->format.flags & SR_SIGNED) || bits > 30 || q > 0 || q < -100)
        return 0;
    *most = (uint32_t)sr_ones(bits);
    limit.exponent = q;
    limit.significand = *most;
    if (sr_pack(limit) != plan->max_bits) return 0;
    limit.significand++;
    return sr_pack(limit) == plan->min_bits;
}

static double power(int e) { return sr_value_f64((uint64_t)(e + 1023) << 52); }

/* How a plan decides; 0 where no kernel does. */
static int decides(const sr_plan *plan, sr_descent_lanes *lanes, sr_kind *kind)
{
    uint64_t const one = (uint64_t)1 << 32;
    lanes->cap = lanes->full = lanes->ties = lanes->ties_odd = 0;
    switch (plan->mode) {
    case SR_MODE_SR: *kind = SR_KIND_EXACT; return plan->random_bits == SR_EXACT;
    case SR_MODE_SR_EPS:
        *kind = SR_KIND_BIASED;
        lanes->cap = plan->eps == one ? 0 : (uint32_t)(one - 1 - plan->eps);
        lanes->full = plan->eps == one;
        return 1;
    case SR_MODE_RNE:
    case SR_MODE_RNA:
    case SR_MODE_RNZ:
        *kind = SR_KIND_NEAREST;
        lanes->ties = plan->mode == SR_MODE_RNA;
        lanes->ties_odd = plan->mode == SR_MODE_RNE;
        return 1;
    default: return 0;
    }
}

/* What a kernel's context is: elements from `at` on of a call. */
typedef struct descent_part {
    const descent_call *c;
    size_t at;
    sr_descent_counts *counts;
} descent_part;

static sr_status descent_settle(void *context, size_t j, uint64_t *y, uint64_t *rounded)
{
    const descent_part *const part = (const descent_part *)context;
    const descent_call *const c = part->c;
    size_t const at = part->at + j;
    drawn_block last[ROUNDINGS];
    double x, g;
    for (int k = 0; k < ROUNDINGS; k++) last[k].valid = 0;
    load_block(c, at, 1, &x, &g);
    return descend_one(c, c->words[0].offset + at, load_value(SR_CARRIER_F64, &x, 0), load_value(SR_CARRIER_F64, &g, 0),
                       last, y, rounded, part->counts);
}

/* 0 where no kernel serves. Elements of the call are those of the run: no pointers yet. */
static int fixed_point_run(const descent_call *c, sr_descent_run *run)
{
    const sr_plan *const gradient = c->plans[0], *const product = c->plans[1], *const update = c->plans[2];
    uint64_t const step = sr_bits_f64(c->step) & ~SR_F64_SIGN;
    sr_number t;
    sr_kind kind;
    int const by = gradient->format.qmin - product->format.qmin + 32;
    int exact, e;
    if (!c->kernels->descend || c->own[0] || c->own[1] || c->own[2]) return 0;
    if (gradient->kernels != c->kernels || product->kernels != c->kernels) return 0;
    if (!small_fixed(gradient, &run->gradient.most) || !small_fixed(product, &run->product.most) ||
        !small_fixed(update, &run->update.most) || update->format.qmin != product->format.qmin)
        return 0;
    if (!decides(gradient, &run->gradient, &run->kind) || !decides(product, &run->product, &kind) || kind != run->kind)
        return 0;
    if (step == 0 || step >= SR_F64_INF) return 0;
    t = sr_unpack(step);
    for (; !(t.significand & 1); t.exponent++) t.significand >>= 1;
    e = sr_exponent(t);
    /* Products are exact; or, rounded toward zero, have all bits that are looked at. */
    exact = sr_bit_length(t.significand) + gradient->code_bits <= 53;
    if (e < -800 || e > 800 || (!exact && product->code_bits > 20)) return 0;
    run->gradient.scale = power(32 - gradient->format.qmin);
    t.exponent += by;
    run->product.scale = sr_value_f64(sr_pack(t));
    run->product.deep = t.exponent < 0 ? (uint32_t)sr_ones(-t.exponent) : 0; /* the last bit of t counts */
    run->product.factor = run->product.shift = 0;
    if (t.exponent >= 0 && t.exponent <= 32 && sr_bit_length(t.significand) + gradient->code_bits <= 32) {
        run->product.factor = (uint32_t)t.significand;
        run->product.shift = (uint32_t)(32 - t.exponent);
    }
    run->minus = (sr_bits_f64(c->step) & SR_F64_SIGN) != 0;
    run->per_quantum = power(-product->format.qmin);
    run->quantum = power(product->format.qmin);
    run->gradient_quantum = power(gradient->format.qmin);
    run->gradient.saturate = gradient->overflow == SR_OVERFLOW_SATURATE;
    run->product.saturate = product->overflow == SR_OVERFLOW_SATURATE;
    run->update.saturate = update->overflow == SR_OVERFLOW_SATURATE;
    run->carrier = c->carrier;
    run->of = c->of;
    return 1;
}

/* Elements from `at` on. */
static sr_status descend_given(const descent_call *c, sr_descent_run *run, size_t at, int write,
                               sr_status (*settle)(void *, size_t, uint64_t *, uint64_t *), void *context,
                               sr_descent_counts *counts)
{
    uint64_t const i = c->words[0].offset + at;
    sr_status status;
    run->seed = c->words[0].seed;
    run->stream = c->words[0].stream;
    run->n = c->n - at;
    run->x = element(c->carrier, c->x, at);
    run->g = c->g ? element(c->of, c->g, at) : NULL;
    run->spectrum = c->g ? NULL : element(c->of, c->spectrum, at);
    run->minimizer = c->g ? NULL : element(c->of, c->minimizer, at);
    run->y = write ? (unsigned char *)c->y + at * bytes_of(c->carrier) : NULL;
    run->rounded = write && c->rounded ? (unsigned char *)c->rounded + at * bytes_of(c->carrier) : NULL;
    run->gradient.block =
        c->words[0].block + (c->plans[0]->word_bits ? i / (128 / (uint64_t)c->plans[0]->word_bits) : 0);
    run->product.block =
        c->words[1].block + (c->plans[1]->word_bits ? i / (128 / (uint64_t)c->plans[1]->word_bits) : 0);
    run->overflow[0] = run->overflow[1] = run->overflow[2] = run->moved = run->stagnated = 0;
    run->settle = settle;
    run->context = context;
    status = c->kernels->descend(run);
    for (int k = 0; k < ROUNDINGS; k++) counts->overflow[k] += run->overflow[k];
    counts->moved += run->moved;
    counts->stagnated += run->stagnated;
    return status;
}

/* The same, drawing words: element `at` is the first of a block. */
static sr_status descend_fixed_point(const descent_call *c, sr_descent_run *run, size_t at, int write,
                                     sr_descent_counts *counts)
{
    descent_part part;
    part.c = c;
    part.at = at;
    part.counts = counts;
    run->words[0] = run->words[1] = NULL;
    return descend_given(c, run, at, write, descent_settle, &part, counts);
}

/* `run`: NULL, or what fixed_point_run has made. */
static sr_status descend_pass(const descent_call *c, const sr_descent_run *run, int write, sr_descent_counts *counts)
{
    double x[BLOCK], g[BLOCK];
    if (run && c->n >= FEW_ELEMENTS) {
        size_t const head = (size_t)(0 - c->words[0].offset) % 8;
        sr_descent_run now = *run;
        sr_status status = SR_OK;
        if (head) {
            load_block(c, 0, head, x, g);
            status = descend_by_one(c, 0, head, x, g, write, counts);
        }
        return status == SR_OK ? descend_fixed_point(c, &now, head, write, counts) : status;
    }
    for (size_t at = 0; at < c->n; at += BLOCK) {
        size_t const n = c->n - at < BLOCK ? c->n - at : BLOCK;
        sr_status status;
        load_block(c, at, n, x, g);
        status = n < FEW_ELEMENTS ? descend_by_one(c, at, n, x, g, write, counts)
                                  : descend_block(c, at, n, x, g, write, counts);
        if (status != SR_OK) return status;
    }
    return SR_OK;
}

/* Run r of a call */
static descent_call run_of(const descent_call *c, size_t r)
{
    descent_call one = *c;
    size_t const at = r * c->n;
    one.run = c->run + r;
    one.x = element(c->carrier, c->x, at);
    one.y = (unsigned char *)c->y + at * bytes_of(c->carrier);
    if (c->rounded) one.rounded = (unsigned char *)c->rounded + at * bytes_of(c->carrier);
    if (c->g) one.g = element(c->of, c->g, at);
    for (int k = 0; k < ROUNDINGS; k++) one.words[k].stream += r;
    return one;
}

static void add_counts(sr_descent_counts *to, const sr_descent_counts *more)
{
    for (int k = 0; k < ROUNDINGS; k++) to->overflow[k] += more->overflow[k];
    to->stagnated += more->stagnated;
    to->moved += more->moved;
}

/* ---- short runs, side by side --------------------------------------------------------------------- */

/* Coordinates of runs that are done side by side, at most */
#define SIDE_BY_SIDE 32

/* What a kernel's context is: runs from one on. */
typedef struct descent_side {
    const descent_call *c;
    size_t first;
    uint64_t overflow;
} descent_side;

static sr_status settle_side(void *context, size_t j, uint64_t *y, uint64_t *rounded)
{
    descent_side *const side = (descent_side *)context;
    descent_call const one = run_of(side->c, side->first + j / side->c->n);
    sr_descent_counts happened = {{0, 0, 0}, 0, 0};
    descent_part part;
    sr_status status;
    part.c = &one;
    part.at = 0;
    part.counts = &happened;
    status = descent_settle(&part, j % side->c->n, y, rounded);
    side->overflow += happened.overflow[0] + happened.overflow[1] + happened.overflow[2];
    return status;
}

/* The words of one rounding of so many runs from `first` on, one after the other. */
static void words_side_by_side(const descent_call *c, int k, size_t first, size_t runs, unsigned char *to)
{
    size_t const bytes = (size_t)c->plans[k]->word_bits / 8, own = c->n * bytes;
    uint32_t drawn[4 * (BLOCK + SR_PHILOX_SLACK)];
    if (bytes == 0) return;
    for (size_t done = 0, b = 0; done < own; done += 16, b++) {
        size_t const part = own - done < 16 ? own - done : 16;
        c->kernels->streams(c->words[k].seed, c->words[k].stream + first, c->words[k].block + b, runs, drawn);
        for (size_t r = 0; r < runs; r++)
            for (size_t i = 0; i < part; i++) to[r * own + done + i] = ((const unsigned char *)(drawn + 4 * r))[i];
    }
}

/* Copies of n elements, one after the other */
static void repeat(sr_carrier carrier, const void *from, size_t n, size_t times, void *to)
{
    size_t const bytes = n * bytes_of(carrier);
    for (size_t r = 0; r < times; r++)
        for (size_t i = 0; i < bytes; i++) ((unsigned char *)to)[r * bytes + i] = ((const unsigned char *)from)[i];
}

static sr_status descend_side_by_side(const descent_call *c, sr_descent_run *run, int write)
{
    size_t const many = BLOCK / c->n;
    double spectrum[BLOCK], minimizer[BLOCK]; /* of either carrier */
    uint32_t words[2][BLOCK + 16];
    sr_descent_counts unused = {{0, 0, 0}, 0, 0};
    if (!c->g) {
        repeat(c->of, c->spectrum, c->n, many, spectrum);
        repeat(c->of, c->minimizer, c->n, many, minimizer);
    }
    for (size_t first = 0; first < c->runs; first += many) {
        size_t const runs = c->runs - first < many ? c->runs - first : many;
        descent_call some = run_of(c, first);
        double x[BLOCK], y[BLOCK], g[BLOCK];
        descent_side side;
        sr_status status;
        side.c = c;
        side.first = first;
        side.overflow = 0;
        some.n = runs * c->n;
        if (!c->g) {
            some.spectrum = spectrum;
            some.minimizer = minimizer;
        }
        load_block(&some, 0, some.n, x, g);
        for (int k = 0; k < 2; k++) words_side_by_side(c, k, first, runs, (unsigned char *)words[k]);
        run->words[0] = words[0];
        run->words[1] = words[1];
        status = descend_given(&some, run, 0, write, settle_side, &side, &unused);
        if (status != SR_OK) return status;
        if (!write || !c->counts) continue;
        for (int k = 0; k < ROUNDINGS; k++) side.overflow += run->overflow[k];
        load_doubles(c->kernels, c->carrier, some.y, 0, some.n, y);
        for (size_t j = 0; j < some.n; j++) {
            uint64_t const xj = load_value(SR_CARRIER_F64, x, (ptrdiff_t)j),
                           gj = load_value(SR_CARRIER_F64, g, (ptrdiff_t)j);
            sr_descent_counts *const counts = &c->counts[first + j / c->n];
            if (side.overflow) { /* whose it was */
                descent_call const one = run_of(c, first + j / c->n);
                sr_descent_counts happened = {{0, 0, 0}, 0, 0};
                drawn_block last[ROUNDINGS];
                uint64_t value, rounded;
                for (int k = 0; k < ROUNDINGS; k++) last[k].valid = 0;
                descend_one(&one, j % c->n, xj, gj, last, &value, &rounded, &happened);
                add_counts(counts, &happened);
            } else {
                count_coordinate(counts, xj, load_value(SR_CARRIER_F64, y, (ptrdiff_t)j), gj);
            }
        }
    }
    return SR_OK;
}

/* ---- the calls ------------------------------------------------------------------------------------ */

/* Do so many elements of both share memory, without being the very same? */
static int collide(const void *a, size_t a_count, sr_carrier a_carrier, const void *b, size_t b_count,
                   sr_carrier b_carrier)
{
    uintptr_t const from = (uintptr_t)a, other = (uintptr_t)b;
    if (!a || !b || (a == b && a_count == b_count && a_carrier == b_carrier)) return 0;
    return from < other + b_count * bytes_of(b_carrier) && other < from + a_count * bytes_of(a_carrier);
}

static int overlapping(const descent_call *c)
{
    size_t const all = c->runs * c->n;
    for (int k = 0; k < 2; k++) {
        const void *const to = k ? c->rounded : c->y;
        if (collide(to, all, c->carrier, c->x, all, c->carrier) || collide(to, all, c->carrier, c->g, all, c->of) ||
            collide(to, all, c->carrier, c->spectrum, c->n, c->of) ||
            collide(to, all, c->carrier, c->minimizer, c->n, c->of))
            return 1;
        if (to && (to == c->spectrum || to == c->minimizer || (k && (to == c->x || to == c->g || to == c->y))))
            return 1;
    }
    return collide(c->y, all, c->carrier, c->rounded, all, c->carrier);
}

/* own_plan: room for the way that carriers round */
static sr_status prepare(descent_call *c, const sr_descent *descent, const sr_words *words, sr_plan *own_plan)
{
    static sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    uint64_t const offset = words ? words->offset : 0;
    uint64_t block = words ? words->block : 0;
    int const some = c->n != 0 && c->runs != 0;
    if (!descent) return SR_ERR_NULL;
    if (some && (!c->x || !c->y || (!c->g && (!c->spectrum || !c->minimizer)))) return SR_ERR_NULL;
    if (offset > descent->size || c->n > descent->size - offset) return SR_ERR_OFFSET;
    if (words && (words->stream >> 48 || c->runs > ((uint64_t)1 << 48) - words->stream)) return SR_ERR_STREAM;
    if (words && words->bits) return SR_ERR_BITS_UNUSED;
    if (some && overlapping(c)) return SR_ERR_OVERLAP;
    c->plans[SR_DESCENT_GRADIENT] = descent->gradient;
    c->plans[SR_DESCENT_PRODUCT] = descent->product;
    c->plans[SR_DESCENT_UPDATE] = descent->update;
    c->step = descent->step;
    c->kernels = NULL;
    for (int k = 0; k < ROUNDINGS; k++) {
        const sr_plan *const plan = c->plans[k];
        c->own[k] = plan == NULL;
        if (!plan) continue;
        if (!plan->kernels) return SR_ERR_PATH;
        if (plan->format.precision == SR_GRID) return SR_ERR_GRID;
        if (c->carrier == SR_CARRIER_F32 && !plan->fits_f32) return SR_ERR_CARRIER;
        if (k != SR_DESCENT_UPDATE && plan->mode == SR_MODE_SR_SIGNED) return SR_ERR_DIRECTION;
        if (plan->word_bits && !words) return SR_ERR_NULL;
        if (!c->kernels) c->kernels = plan->kernels;
    }
    if (!c->kernels) c->kernels = sr_kernels_for(sr_path_best());
    if (c->own[0] || c->own[1] || c->own[2]) {
        sr_format format;
        sr_format_named(&format, c->carrier == SR_CARRIER_F32 ? "binary32" : "binary64");
        sr_plan_init(own_plan, &format, &rounding);
        own_plan->kernels = c->kernels;
    }
    for (int k = 0; k < ROUNDINGS; k++) {
        if (c->own[k]) c->plans[k] = own_plan;
        c->words[k].seed = words ? words->seed : 0;
        c->words[k].stream = words ? words->stream : 0;
        c->words[k].block = block;
        c->words[k].offset = offset;
        c->words[k].bits = NULL;
        c->words[k].bits_stride = 0;
        block += sr_call_blocks(c->plans[k], descent->size);
    }
    return SR_OK;
}

static sr_status descend_runs(const descent_call *c, int write)
{
    sr_descent_run run;
    int const fixed = c->runs * c->n >= FEW_ELEMENTS && fixed_point_run(c, &run);
    if (fixed && c->n <= SIDE_BY_SIDE && c->runs > 1 && c->words[0].offset == 0)
        return descend_side_by_side(c, &run, write);
    for (size_t r = 0; r < c->runs; r++) {
        sr_descent_counts happened = {{0, 0, 0}, 0, 0};
        descent_call const one = run_of(c, r);
        sr_status const status = descend_pass(&one, fixed ? &run : NULL, write, &happened);
        if (status != SR_OK) return status;
        if (write && c->counts) add_counts(&c->counts[r], &happened);
    }
    return SR_OK;
}

static sr_status descend(descent_call *c, const sr_descent *descent, const sr_words *words)
{
    sr_plan own_plan;
    sr_status status = prepare(c, descent, words, &own_plan);
    if (status != SR_OK || c->n == 0) return status;
    if (c->y == c->x && fallible(c)) {
        status = descend_runs(c, 0);
        if (status != SR_OK) return status;
    }
    return descend_runs(c, 1);
}

uint64_t sr_descend_blocks(const sr_descent *descent)
{
    uint64_t blocks = 0;
    if (descent->gradient) blocks += sr_call_blocks(descent->gradient, descent->size);
    if (descent->product) blocks += sr_call_blocks(descent->product, descent->size);
    if (descent->update) blocks += sr_call_blocks(descent->update, descent->size);
    return blocks;
}

static descent_call call_of(sr_carrier carrier, sr_carrier of, size_t runs, size_t n, const void *x, void *y,
                            void *rounded, sr_descent_counts *counts, sr_descent_failure *failure)
{
    descent_call c;
    c.carrier = carrier;
    c.of = of;
    c.runs = runs;
    c.run = 0;
    c.n = n;
    c.x = x;
    c.y = y;
    c.rounded = rounded;
    c.g = c.spectrum = c.minimizer = NULL;
    c.counts = counts;
    c.failure = failure;
    return c;
}

sr_status sr_descend_f32(const sr_descent *descent, const sr_words *words, size_t runs, size_t n, const float *x,
                         const void *g, sr_carrier g_carrier, float *y, float *rounded, sr_descent_counts *counts,
                         sr_descent_failure *failure)
{
    descent_call c = call_of(SR_CARRIER_F32, g_carrier, runs, n, x, y, rounded, counts, failure);
    c.g = g;
    return descend(&c, descent, words);
}

sr_status sr_descend_f64(const sr_descent *descent, const sr_words *words, size_t runs, size_t n, const double *x,
                         const void *g, sr_carrier g_carrier, double *y, double *rounded, sr_descent_counts *counts,
                         sr_descent_failure *failure)
{
    descent_call c = call_of(SR_CARRIER_F64, g_carrier, runs, n, x, y, rounded, counts, failure);
    c.g = g;
    return descend(&c, descent, words);
}

sr_status sr_descend_diagonal_f32(const sr_descent *descent, const sr_words *words, size_t runs, size_t n,
                                  const float *x, const void *spectrum, const void *minimizer, sr_carrier g_carrier,
                                  float *y, float *rounded, sr_descent_counts *counts, sr_descent_failure *failure)
{
    descent_call c = call_of(SR_CARRIER_F32, g_carrier, runs, n, x, y, rounded, counts, failure);
    c.spectrum = spectrum;
    c.minimizer = minimizer;
    return descend(&c, descent, words);
}

sr_status sr_descend_diagonal_f64(const sr_descent *descent, const sr_words *words, size_t runs, size_t n,
                                  const double *x, const void *spectrum, const void *minimizer, sr_carrier g_carrier,
                                  double *y, double *rounded, sr_descent_counts *counts, sr_descent_failure *failure)
{
    descent_call c = call_of(SR_CARRIER_F64, g_carrier, runs, n, x, y, rounded, counts, failure);
    c.spectrum = spectrum;
    c.minimizer = minimizer;
    return descend(&c, descent, words);
}
