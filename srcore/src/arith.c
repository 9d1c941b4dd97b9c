/* Rounded arithmetic on arrays. A path computes exact results rounded to odd in binary64, its 64-bit kernels round those as
 * they round any values, and the definition settles what either leaves undecided, from the operands. */
#include "call.h"

/* The definition's result for one element of a call that draws its words or has them given. */
static uint64_t definition_at(const call *c, sr_carrier carrier, size_t j, unsigned *flags)
{
    const sr_plan *const plan = c->plan;
    const sr_words *const words = c->words;
    uint64_t word = 0, value = 0, code;
    if (plan->word_bits && words->bits) {
        word = load_word(plan->word_bits / 8, words->bits, (ptrdiff_t)j * words->bits_stride);
    } else if (plan->word_bits) {
        uint32_t const per_block = 128u / (uint32_t)plan->word_bits;
        uint64_t const i = words->offset + j;
        uint32_t block[4];
        sr_philox_block(words->seed, words->stream, words->block + i / per_block, 0, block);
        word = sr_philox_pick(block, plan->word_bits, (uint32_t)(i % per_block));
        if (plan->random_bits != SR_EXACT) word >>= plan->word_bits - plan->random_bits; /* S4.5 */
    }
    define(c, carrier, j, word, &value, &code, flags);
    return value;
}

/* Bits that a decision takes from a result rounded to odd, below the quantum: those it reads, and one that tells whether
 * anything follows. 0 where there is no such number: what it reads may be all of binary64. */
static int bits_below(const sr_plan *plan)
{
    switch (plan->mode) {
    case SR_MODE_SR:
        if (plan->random_bits == SR_EXACT) return 17; /* undecided lanes are settled */
        return plan->random_bits + 2;
    case SR_MODE_SR_EPS:
    case SR_MODE_SR_SIGNED: return 33;
    default: return 2; /* a half, and anything below it */
    }
}

uint64_t sr_arith_trusted(const sr_plan *plan, sr_carrier carrier)
{
    uint64_t const huge = carrier == SR_CARRIER_F32 ? SR_F64_INF : (uint64_t)(1023 + 1000) << 52;
    int const below = bits_below(plan);
    if (plan->format.precision == SR_FIXED_POINT) {
        /* Rounded to odd, |t| < 2^e has bits down to 2^(e - 53). */
        sr_number limit;
        limit.significand = 1;
        limit.exponent = plan->format.qmin - below + 53;
        if (limit.exponent < -1000) return 0;
        if (limit.exponent > 1000) return huge;
        limit.exponent -= 1; /* in fact below 2^(e - 1), so that no rounding reaches 2^e */
        return sr_pack(limit) < huge ? sr_pack(limit) : huge;
    }
    /* Bits of a subnormal t are missing at the end where its quantum is binary64's own. */
    if (plan->format.precision + below > 53 || plan->format.qmin - below < -1074) return 0;
    return huge;
}

typedef struct arith_part {
    const call *of;
    sr_carrier carrier;
    const double *t;
    size_t start;
} arith_part;

static uint64_t settle_part(const void *context, const void *x, size_t j)
{
    const arith_part *const part = (const arith_part *)context;
    unsigned flags;
    return definition_at(part->of, part->carrier, part->start + (size_t)((const double *)x - part->t) + j, &flags);
}

/* What happened where t, or what became of it, is special: the definition is asked if that does not tell. */
static void count_part(const arith_part *part, const uint64_t *y, size_t n, uint64_t least)
{
    const call *const c = part->of;
    for (size_t j = 0; j < n; j++) {
        uint64_t const tm = sr_bits_f64(part->t[j]) & ~SR_F64_SIGN, ym = y[j] & ~SR_F64_SIGN;
        if (tm == ym && tm <= least) continue;
        if (tm > least || ym > SR_F64_INF) {
            unsigned flags;
            definition_at(c, part->carrier, part->start + j, &flags);
            count(c->counts, flags);
            continue;
        }
        c->counts->inexact += 1;
        c->counts->underflow += ym == 0;
    }
}

/* `round` keeps the signs and payloads of NaN. */
static uint64_t *copy_of(const uint64_t *y, uint64_t *spare, size_t n)
{
    for (size_t j = 0; j < (n + 7) / 8 * 8; j++) spare[j] = y[j];
    return spare;
}

/* Elements from 0 on that their path can truncate; how many it were. */
static size_t in_halves(const call *c)
{
    const sr_plan *const plan = c->plan;
    enum { PART = SR_CHUNK };
    sr_lanes room;
    const sr_lanes *const lanes = sr_lanes_of(&room, plan, 32);
    uint64_t rooms[3][PART / 2];
    uint16_t doubtful[PART];
    sr_operands operands;
    sr_chunk chunk;
    size_t start = 0;
    int const apart = c->y_stride != 1 || c->y == c->x || c->y == c->second; /* operands are looked at again */
    if (!lanes || lanes->quick != SR_QUICK_HALF || lanes->kind != SR_KIND_EXACT || c->words->offset % 8 ||
        !sr_draws_itself(lanes, 0))
        return 0;
    operands.op = c->op;
    operands.width = 32;
    operands.z = NULL;
    operands.inexact = c->counts ? &c->counts->inexact : NULL;
    chunk.plan = plan;
    chunk.lanes = lanes;
    chunk.seed = c->words->seed;
    chunk.stream = c->words->stream;
    while (c->n - start >= SR_HALVES_GROUP) {
        size_t const left = (c->n - start) / SR_HALVES_GROUP * SR_HALVES_GROUP;
        float *const to = (float *)c->y + (ptrdiff_t)start * c->y_stride;
        float *const y = apart ? (float *)(void *)rooms[2] : to;
        size_t found;
        chunk.block = c->words->block + (c->words->offset + start) / 8;
        operands.n = left < PART ? left : (size_t)PART;
        if (drawable(operands.n, (uint32_t)chunk.block) < operands.n) break;
        operands.x = gather(4, operands.n, c->x, c->x_stride, start, rooms[0]);
        operands.y = gather(4, operands.n, c->second, c->second_stride, start, rooms[1]);
        found = plan->kernels->halves(&operands, &chunk, y, doubtful);
        for (size_t k = 0; k < found; k++) {
            unsigned flags;
            uint32_t const bits = sr_narrow_f32(definition_at(c, SR_CARRIER_F32, start + doubtful[k], &flags));
            SR_COPY(y + doubtful[k], &bits, sizeof bits);
            if (c->counts) count(c->counts, flags);
        }
        if (apart) copy_strided(4, operands.n, y, 1, to, c->y_stride);
        start += operands.n;
    }
    return start;
}

/* Elements from `first` on. */
static void in_parts(const call *c, sr_carrier carrier, const sr_lanes *lanes, uint64_t most, size_t first)
{
    const sr_plan *const plan = c->plan;
    const sr_kernels *const kernels = plan->kernels;
    int const width = carrier == SR_CARRIER_F32 ? 32 : 64, bytes = width / 8;
    SR_ALIGNED(64) double t[SR_ARITH + 8];
    SR_ALIGNED(64) uint64_t y[SR_ARITH], spare[SR_ARITH];
    uint64_t const least = plan->max_bits < plan->min_bits ? plan->max_bits : plan->min_bits;
    SR_ALIGNED(64) float narrowed[SR_ARITH];
    uint64_t rooms[3][SR_ARITH];
    double direction[SR_ARITH];
    uint16_t doubtful[SR_ARITH];
    workspace room;
    sr_operands operands;
    sr_chunk chunk;
    arith_part part;
    operands.op = c->op;
    operands.width = width;
    operands.most = most;
    operands.zero_sums = plan->mode == SR_MODE_RD;
    part.of = c;
    part.carrier = carrier;
    part.t = t;
    chunk.plan = plan;
    chunk.lanes = lanes;
    chunk.seed = c->words ? c->words->seed : 0;
    chunk.stream = c->words ? c->words->stream : 0;
    chunk.settle = settle_part;
    chunk.context = &part;
    chunk.direction = NULL;
    chunk.x = t;
    chunk.x_stride = 1;
    chunk.y = y;
    for (size_t start = first; start < c->n; start += operands.n) {
        uint64_t const i = c->words ? c->words->offset + start : 0;
        unsigned char *const to = (unsigned char *)c->y + (ptrdiff_t)start * c->y_stride * bytes;
        size_t found;
        operands.n = c->n - start < SR_ARITH ? c->n - start : SR_ARITH;
        operands.x = gather(bytes, operands.n, c->x, c->x_stride, start, rooms[0]);
        operands.y = gather(bytes, operands.n, c->second, c->second_stride, start, rooms[1]);
        operands.z = gather(bytes, operands.n, c->third, c->third_stride, start, rooms[2]);
        part.start = start;
        found = kernels->to_odd(&operands, t, doubtful);

        chunk.n = operands.n;
        chunk.counter = c->words ? 8 * c->words->block + i : 0;
        chunk.words = NULL;
        chunk.block = c->words ? c->words->block + i / 8 : 0;
        if (!(i % 8 == 0 && sr_draws_itself(lanes, 0) && drawable(chunk.n, (uint32_t)chunk.block) == chunk.n))
            chunk.words = words_of(c, lanes, 64, start, chunk.n, &room);
        for (size_t j = 0; c->direction && j < chunk.n; j++) { /* signs, by patterns */
            uint64_t const v = load_value(carrier, c->direction, (ptrdiff_t)(start + j) * c->direction_stride);
            direction[j] = sign_of(v);
            chunk.direction = direction;
        }
        kernels->round_64(&chunk);

        for (size_t k = 0; k < found; k++) t[doubtful[k]] = 0; /* these are settled and counted by themselves */
        for (size_t k = 0; k < found; k++) y[doubtful[k]] = 0;
        for (size_t j = chunk.n; j < SR_ARITH && j % 8; j++) {
            t[j] = 0;
            y[j] = 0;
        }
        if (c->op != SR_OP_ROUND || c->counts) {
            uint64_t kept[2] = {0, 0};
            int const special = kernels->finish(t, c->op == SR_OP_ROUND ? copy_of(y, spare, chunk.n) : y, chunk.n, least, kept);
            if (c->counts && special) {
                count_part(&part, y, chunk.n, least);
            } else if (c->counts) {
                c->counts->inexact += kept[0];
                c->counts->underflow += kept[1];
            }
        }
        for (size_t k = 0; k < found; k++) {
            unsigned flags;
            y[doubtful[k]] = definition_at(c, carrier, start + doubtful[k], &flags);
            if (c->counts) count(c->counts, flags);
        }
        if (carrier == SR_CARRIER_F32) {
            float *const direct = c->y_stride == 1 ? (float *)(void *)to : narrowed;
            kernels->narrow((const double *)(const void *)y, chunk.n, direct);
            if (direct == narrowed) copy_strided(bytes, chunk.n, narrowed, 1, to, c->y_stride);
        } else {
            copy_strided(bytes, chunk.n, y, 1, to, c->y_stride);
        }
    }
}

/* Without the direction; 0 for no operation. */
static int value_count(sr_op op)
{
    if ((unsigned)op > (unsigned)SR_OP_FMA) return 0;
    return op == SR_OP_FMA ? 3 : op == SR_OP_ROUND || op == SR_OP_SQRT ? 1 : 2;
}

static int operand_count(sr_op op, const sr_plan *plan)
{
    int const values = value_count(op);
    return values ? values + (plan->mode == SR_MODE_SR_SIGNED) : 0;
}

SR_SPECIALIZE sr_status arith(call *c, sr_carrier carrier, const void *const *operands, const ptrdiff_t *strides)
{
    const sr_plan *const plan = c->plan;
    int const values = value_count(c->op);
    size_t done = 0;
    uint64_t most;
    sr_lanes room;
    const sr_lanes *lanes = NULL;
    sr_status status;
    if (!plan || !operands || !strides) return SR_ERR_NULL;
    if ((unsigned)c->op > (unsigned)SR_OP_FMA) return SR_ERR_OP;
    if (plan->format.precision == SR_GRID) return SR_ERR_GRID;
    c->x = operands[0];
    c->x_stride = strides[0];
    if (values > 1) {
        c->second = operands[1];
        c->second_stride = strides[1];
        if (c->n && !c->second) return SR_ERR_NULL;
    }
    if (values > 2) {
        c->third = operands[2];
        c->third_stride = strides[2];
        if (c->n && !c->third) return SR_ERR_NULL;
    }
    if (plan->mode == SR_MODE_SR_SIGNED) {
        c->direction = operands[values];
        c->direction_stride = strides[values];
    }
    status = check_call(c, carrier, 1);
    if (status != SR_OK) return status;
    if (plan->overflow == SR_OVERFLOW_RAISE || plan->overflow == SR_OVERFLOW_WRAP) {
        status = pass(c, carrier, 0, c->n, 0);
        if (status != SR_OK) return status;
    }
    most = sr_arith_trusted(plan, carrier);
    if (c->n >= FEW_ELEMENTS && plan->kernels->to_odd && most != 0) lanes = sr_lanes_of(&room, plan, 64);
    if (!lanes) return pass(c, carrier, 0, c->n, 1);
    if (carrier == SR_CARRIER_F32 && c->op >= SR_OP_ADD && c->op <= SR_OP_MUL && plan->word_bits == 16 &&
        plan->mode == SR_MODE_SR)
        done = in_halves(c);
    in_parts(c, carrier, lanes, most, done);
    return SR_OK;
}

sr_status sr_arith_f32(const sr_plan *plan, sr_op op, const sr_words *words, size_t n, const float *const *operands,
                       const ptrdiff_t *strides, float *y, ptrdiff_t y_stride, sr_counts *counts, uint64_t *index)
{
    call c = {plan, words, n, NULL, NULL, y, 0, 0, y_stride, 0, index, op, NULL, NULL, 0, 0, counts};
    const void *given[4] = {NULL, NULL, NULL, NULL};
    for (int k = 0; operands && plan && k < operand_count(op, plan); k++)
        given[k] = operands[k];
    return arith(&c, SR_CARRIER_F32, operands ? given : NULL, strides);
}

sr_status sr_arith_f64(const sr_plan *plan, sr_op op, const sr_words *words, size_t n, const double *const *operands,
                       const ptrdiff_t *strides, double *y, ptrdiff_t y_stride, sr_counts *counts, uint64_t *index)
{
    call c = {plan, words, n, NULL, NULL, y, 0, 0, y_stride, 0, index, op, NULL, NULL, 0, 0, counts};
    const void *given[4] = {NULL, NULL, NULL, NULL};
    for (int k = 0; operands && plan && k < operand_count(op, plan); k++)
        given[k] = operands[k];
    return arith(&c, SR_CARRIER_F64, operands ? given : NULL, strides);
}
