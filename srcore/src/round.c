/* The array calls: they check their arguments, cut arrays into chunks, bring operands and words into a kernel's shape, and
 * let the plan's path do the work. Loads and stores are bit patterns throughout. */
#include "call.h"

void sr_philox4x32(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4])
{
    sr_philox_rounds(counter, key, rounds, out);
}

void sr_philox_fill_on(const sr_kernels *kernels, uint64_t seed, uint64_t stream, uint64_t block, uint64_t first,
                       size_t n, uint32_t *out)
{
    uint32_t part[4 * SR_PHILOX_SLACK];
    while (n) {
        uint64_t const at = block + (first >> 2);
        size_t const skip = (size_t)(first & 3);
        /* Written in place, without slack: philox() starts anew where the upper half of a block's number changes. */
        uint64_t const left = ((uint64_t)1 << 32) - (uint32_t)at;
        size_t const blocks = n / 4 < left ? n / 4 : (size_t)left;
        size_t const whole = blocks / SR_PHILOX_SLACK * SR_PHILOX_SLACK;
        size_t done = 4 * whole;
        if (skip == 0 && whole) {
            kernels->philox(seed, stream, at, whole, out);
        } else {
            kernels->philox(seed, stream, at, 1, part);
            done = 4 - skip < n ? 4 - skip : n;
            for (size_t j = 0; j < done; j++) out[j] = part[skip + j];
        }
        out += done;
        first += done;
        n -= done;
    }
}

void sr_philox_fill(uint64_t seed, uint64_t stream, uint64_t block, uint64_t first, size_t n, uint32_t *out)
{
    sr_philox_fill_on(sr_kernels_for(sr_path_best()), seed, stream, block, first, n, out);
}

uint64_t sr_settle(const sr_chunk *chunk, int width, size_t j, uint64_t x)
{
    const sr_plan *const plan = chunk->plan;
    sr_carrier const carrier = width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64;
    int const direction = chunk->direction ? sign_of(load_value(carrier, chunk->direction, (ptrdiff_t)j)) : 0;
    refinement deeper;
    uint64_t word = 0;
    unsigned flags;
    if (chunk->settle) return chunk->settle(chunk->context, chunk->x, j);
    if (chunk->lanes->kind == SR_KIND_FEW || chunk->lanes->kind == SR_KIND_BIASED)
        word = load_word(width / 8, chunk->words, (ptrdiff_t)j) >> (width - plan->random_bits);
    else if (plan->word_bits)
        word = load_word(2, chunk->words, (ptrdiff_t)j);
    deeper.seed = chunk->seed;
    deeper.stream = chunk->stream;
    deeper.counter = chunk->counter + j;
    return sr_round_bits(plan, x, word, direction, refine_philox, &deeper, &flags);
}

/* ---- in chunks ------------------------------------------------------------------------------------- */

SR_SPECIALIZE void run_chunks(const call *c, const sr_lanes *lanes, int width)
{
    const sr_kernels *const kernels = c->plan->kernels;
    int const value_bytes = width / 8;
    int const y_bytes = c->result_bytes ? c->result_bytes : value_bytes;
    workspace room;
    sr_chunk chunk;
    chunk.plan = c->plan;
    chunk.lanes = lanes;
    chunk.settle = NULL;
    chunk.context = NULL;
    chunk.seed = c->words ? c->words->seed : 0;
    chunk.stream = c->words ? c->words->stream : 0;
    for (size_t start = 0; start < c->n; start += chunk.n) {
        unsigned char *const y = (unsigned char *)c->y + (ptrdiff_t)start * c->y_stride * y_bytes;
        int const direct = c->y_stride == 1;
        uint64_t const i = c->words ? c->words->offset + start : 0;
        chunk.n = c->n - start < SR_CHUNK ? c->n - start : SR_CHUNK;
        chunk.counter = c->words ? 8 * c->words->block + i : 0;
        chunk.words = NULL;
        chunk.block = c->words ? c->words->block + i / 8 : 0;
        chunk.x_stride = 1;
        if (direct && i % 8 == 0 && sr_draws_itself(lanes, c->result_bytes != 0)) {
            chunk.n = drawable(c->n - start, (uint32_t)chunk.block);
            chunk.x_stride = c->x_stride;
            chunk.x = (const unsigned char *)c->x + (ptrdiff_t)start * c->x_stride * value_bytes;
        } else {
            chunk.words = words_of(c, lanes, width, start, chunk.n, &room);
            chunk.x = gather(value_bytes, chunk.n, c->x, c->x_stride, start, room.x);
        }
        chunk.direction = gather(value_bytes, chunk.n, c->direction, c->direction_stride, start, room.direction);
        chunk.y = direct ? (void *)y : (void *)room.y;
        if (c->plan->format.precision == SR_GRID) {
            kernels->grid(&chunk, c->result_bytes != 0);
        } else if (c->result_bytes) {
            if (width == 32)
                kernels->encode_32(&chunk);
            else
                kernels->encode_64(&chunk);
        } else {
            if (width == 32)
                kernels->round_32(&chunk);
            else
                kernels->round_64(&chunk);
        }
        if (!direct) copy_strided(y_bytes, chunk.n, room.y, 1, y, c->y_stride);
    }
}

/* The first element that is refused, if the rule or the format's codes can refuse one at all. */
SR_SPECIALIZE sr_status check_values(const call *c, sr_carrier carrier)
{
    const sr_plan *const plan = c->plan;
    int const width = carrier == SR_CARRIER_F32 ? 32 : 64;
    uint64_t const infinity = carrier == SR_CARRIER_F32 ? 0x7F800000u : SR_F64_INF;
    int const has_zero = (plan->format.flags & SR_ZERO) != 0, is_signed = (plan->format.flags & SR_SIGNED) != 0;
    int const no_nan = c->result_bytes && !(plan->format.flags & SR_NAN); /* a NaN has no code */
    uint64_t const least = plan->max_bits < plan->min_bits ? plan->max_bits : plan->min_bits;
    uint64_t limit = 0; /* magnitudes up to this are never refused */
    uint64_t room[SR_CHUNK];
    switch (plan->overflow) {
    case SR_OVERFLOW_RAISE: break;
    case SR_OVERFLOW_WRAP: limit = infinity - 1; break; /* has a zero: fixed point */
    default:
        if (!no_nan) return SR_OK;
        limit = infinity;
    }
    if (plan->overflow == SR_OVERFLOW_RAISE || (no_nan && plan->overflow == SR_OVERFLOW_NAN))
        limit = width == 32 ? sr_narrow_f32(least) : least;
    if (c->result_bytes && plan->format.precision == SR_GRID) { /* S9.5 */
        uint64_t const coded = sr_pack(sr_grid_point(&plan->format, (uint64_t)1 << 62));
        limit = coded < plan->max_bits ? coded : plan->max_bits;
    }
    /* Zeros, or negative values, may be refused too. */
    if (!has_zero || (!is_signed && plan->overflow != SR_OVERFLOW_SATURATE && plan->overflow != SR_OVERFLOW_WRAP))
        return pass(c, carrier, 0, c->n, 0);
    for (size_t start = 0; start < c->n; start += SR_CHUNK) {
        size_t const n = c->n - start < SR_CHUNK ? c->n - start : SR_CHUNK;
        const void *const x = gather(width / 8, n, c->x, c->x_stride, start, room);
        int const above = width == 32 ? plan->kernels->above_32(x, n, limit) : plan->kernels->above_64(x, n, limit);
        if (above) {
            sr_status const status = pass(c, carrier, start, start + n, 0);
            if (status != SR_OK) return status;
        }
    }
    return SR_OK;
}

/* Nothing is written before it is known that no element will be refused. */
SR_SPECIALIZE sr_status run(const call *c, sr_carrier carrier)
{
    int const width = carrier == SR_CARRIER_F32 ? 32 : 64;
    sr_lanes room;
    const sr_lanes *lanes;
    sr_status status = check_call(c, carrier, 1);
    if (status == SR_OK) status = check_values(c, carrier);
    if (status != SR_OK) return status;
    lanes = c->n < FEW_ELEMENTS ? NULL : sr_lanes_of(&room, c->plan, width);
    if (!lanes) return pass(c, carrier, 0, c->n, 1);
    run_chunks(c, lanes, width);
    return SR_OK;
}

sr_status sr_round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                       const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    return run(&c, SR_CARRIER_F32);
}

sr_status sr_round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                       const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    return run(&c, SR_CARRIER_F64);
}

sr_status sr_encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                        const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    return run(&c, SR_CARRIER_F32);
}

sr_status sr_encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                        const double *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    return run(&c, SR_CARRIER_F64);
}

sr_status sr_check_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                       const float *direction, ptrdiff_t direction_stride, int codes, uint64_t *index)
{
    call const c = {plan, words, n, x, direction, NULL, x_stride, direction_stride, 1, codes ? 1 : 0, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    sr_status const status = check_call(&c, SR_CARRIER_F32, 0);
    return status == SR_OK ? check_values(&c, SR_CARRIER_F32) : status;
}

sr_status sr_check_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                       const double *direction, ptrdiff_t direction_stride, int codes, uint64_t *index)
{
    call const c = {plan, words, n, x, direction, NULL, x_stride, direction_stride, 1, codes ? 1 : 0, index, SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
    sr_status const status = check_call(&c, SR_CARRIER_F64, 0);
    return status == SR_OK ? check_values(&c, SR_CARRIER_F64) : status;
}

/* ---- decoding ------------------------------------------------------------------------------------- */

/* One pass, as above. Signed fixed-point codes are sign-extended to the definition's 64 bits. */
SR_SPECIALIZE sr_status decode_pass(const sr_plan *plan, sr_carrier carrier, size_t n, const void *codes,
                                    ptrdiff_t codes_stride, void *y, ptrdiff_t y_stride, uint64_t *index, int write)
{
    int const bytes = sr_code_bytes(plan->code_bits);
    int const extend = plan->format.precision == SR_FIXED_POINT && plan->format.flags & SR_SIGNED;
    uint64_t const top = (uint64_t)1 << (8 * bytes - 1);
    for (size_t j = 0; j < n; j++) {
        uint64_t code = load_word(bytes, codes, (ptrdiff_t)j * codes_stride);
        uint64_t value;
        if (extend) code = (code ^ top) - top;
        if (!sr_decode_bits(plan, code, &value)) {
            if (index) *index = j;
            return SR_ERR_CODE;
        }
        if (write) store_value(carrier, y, (ptrdiff_t)j * y_stride, value);
    }
    return SR_OK;
}

SR_SPECIALIZE sr_status decode(const sr_format *format, sr_carrier carrier, size_t n, const void *codes,
                               ptrdiff_t codes_stride, void *y, ptrdiff_t y_stride, uint64_t *index)
{
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_plan plan;
    sr_status status = sr_plan_init(&plan, format, &rounding);
    if (status != SR_OK) return status;
    {
        call const c = {&plan, NULL, n, codes, NULL, y, codes_stride, 0, y_stride,
                        carrier == SR_CARRIER_F32 ? (int)sizeof(float) : (int)sizeof(double), index,
                        SR_OP_ROUND, NULL, NULL, 0, 0, NULL};
        if (n && (!codes || !y)) return SR_ERR_NULL;
        status = sr_format_fits(format, carrier);
        if (status != SR_OK) return status;
        if (n > 1 && y_stride == 0) return SR_ERR_STRIDE;
        if (overlap(&c, (size_t)sr_code_bytes(plan.code_bits)) || (n && codes == y)) return SR_ERR_OVERLAP;
    }
    if (8 * sr_code_bytes(plan.code_bits) > plan.code_bits) { /* else every code is within the format's bits */
        status = decode_pass(&plan, carrier, n, codes, codes_stride, y, y_stride, index, 0);
        if (status != SR_OK) return status;
    }
    return decode_pass(&plan, carrier, n, codes, codes_stride, y, y_stride, index, 1);
}

sr_status sr_decode_f32(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, float *y,
                        ptrdiff_t y_stride, uint64_t *index)
{
    return decode(format, SR_CARRIER_F32, n, codes, codes_stride, y, y_stride, index);
}

sr_status sr_decode_f64(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, double *y,
                        ptrdiff_t y_stride, uint64_t *index)
{
    return decode(format, SR_CARRIER_F64, n, codes, codes_stride, y, y_stride, index);
}
