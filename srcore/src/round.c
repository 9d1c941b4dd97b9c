/* Array kernels over the definition: rounding, encoding, decoding. Loads and stores are bit patterns throughout. */
#include "srcore/scalar.h"

#ifdef __FAST_MATH__
#error "srcore must not be built with -ffast-math"
#endif

#if defined(__GNUC__)
#define SR_SPECIALIZE static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define SR_SPECIALIZE static __forceinline
#else
#define SR_SPECIALIZE static inline
#endif

void sr_philox4x32(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4])
{
    sr_philox_rounds(counter, key, rounds, out);
}

void sr_philox_fill(uint64_t seed, uint64_t stream, uint64_t block, uint64_t first, size_t n, uint32_t *out)
{
    uint32_t words[4] = {0, 0, 0, 0};
    for (size_t j = 0; j < n; j++) {
        uint64_t const i = first + j;
        if (j == 0 || (i & 3) == 0) sr_philox_block(seed, stream, block + (i >> 2), 0, words);
        out[j] = words[i & 3];
    }
}

/* ---- loads and stores ----------------------------------------------------------------------------- */

/* A constant size: an ordinary load or store, whatever the array's declared type, and no value passes through a
 * floating-point register, where a signalling NaN could change. */
#if defined(__GNUC__)
#define SR_COPY(to, from, bytes) __builtin_memcpy(to, from, bytes)
#else
#include <string.h>
#define SR_COPY(to, from, bytes) memcpy(to, from, bytes)
#endif

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

static uint64_t load_word(int bytes, const void *words, ptrdiff_t at)
{
    switch (bytes) {
    case 1: return ((const uint8_t *)words)[at];
    case 2: return ((const uint16_t *)words)[at];
    case 4: return ((const uint32_t *)words)[at];
    default: return ((const uint64_t *)words)[at];
    }
}

static void store_code(int bytes, void *codes, ptrdiff_t at, uint64_t code)
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

static void refine_philox(void *context, uint32_t level, uint32_t words[4])
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
} call;

static sr_status fail(const call *c, sr_status status, size_t j)
{
    if (c->index) *c->index = (c->words ? c->words->offset : 0) + j;
    return status;
}

/* Does the result share memory with an operand that is not the very same array? Told for stride 1; the caller answers
 * for other strides. */
static int overlaps(const call *c, size_t y_bytes, const void *operand, ptrdiff_t stride, size_t bytes)
{
    uintptr_t const a = (uintptr_t)operand, y = (uintptr_t)c->y;
    if (!operand || c->n == 0 || stride != 1 || c->y_stride != 1) return 0;
    if (a == y && y_bytes == bytes) return 0;
    return a < y + c->n * y_bytes && y < a + c->n * bytes;
}

static int overlap(const call *c, size_t value_bytes)
{
    size_t const y_bytes = c->result_bytes ? (size_t)c->result_bytes : value_bytes;
    return overlaps(c, y_bytes, c->x, c->x_stride, value_bytes) ||
           overlaps(c, y_bytes, c->direction, c->direction_stride, value_bytes) ||
           (c->words && overlaps(c, y_bytes, c->words->bits, c->words->bits_stride, (size_t)c->plan->word_bits / 8));
}

static sr_status check_words(const call *c)
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

SR_SPECIALIZE sr_status check_call(const call *c, sr_carrier carrier)
{
    sr_status status;
    if (!c->plan || (c->n && (!c->x || !c->y))) return SR_ERR_NULL;
    status = sr_format_fits(&c->plan->format, carrier);
    if (status != SR_OK) return status;
    if (c->n > 1 && c->y_stride == 0) return SR_ERR_STRIDE;
    if (overlap(c, carrier == SR_CARRIER_F32 ? sizeof(float) : sizeof(double))) return SR_ERR_OVERLAP;
    if (c->n && (c->direction != NULL) != (c->plan->mode == SR_MODE_SR_SIGNED)) return SR_ERR_DIRECTION;
    if (c->direction)
        for (size_t j = 0; j < c->n; j++)
            if ((load_value(carrier, c->direction, (ptrdiff_t)j * c->direction_stride) & ~SR_F64_SIGN) > SR_F64_INF)
                return fail(c, SR_ERR_DIRECTION_NAN, j);
    return check_words(c);
}

SR_SPECIALIZE int sign_of(uint64_t v)
{
    return (v & ~SR_F64_SIGN) == 0 ? 0 : v & SR_F64_SIGN ? -1 : 1;
}

/* One pass over the elements, in order; without `write` it only looks for the first one that is refused. */
SR_SPECIALIZE sr_status pass(const call *c, sr_carrier carrier, int write)
{
    const sr_plan *const plan = c->plan;
    const sr_words *const words = c->words;
    int const drawn = plan->word_bits != 0 && !words->bits;
    uint32_t const per_block = plan->word_bits ? 128u / (uint32_t)plan->word_bits : 1;
    int const unused_bits = plan->random_bits == SR_EXACT ? 0 : plan->word_bits - plan->random_bits;
    uint32_t block[4] = {0, 0, 0, 0};

    for (size_t j = 0; j < c->n; j++) {
        ptrdiff_t const at = (ptrdiff_t)j;
        uint64_t const x = load_value(carrier, c->x, at * c->x_stride);
        int const direction = c->direction ? sign_of(load_value(carrier, c->direction, at * c->direction_stride)) : 0;
        refinement deeper = {0, 0, 0};
        uint64_t word = 0, result, code;
        unsigned flags;
        if (drawn) {
            uint64_t const i = words->offset + j;
            uint32_t const position = (uint32_t)(i % per_block);
            if (j == 0 || position == 0)
                sr_philox_block(words->seed, words->stream, words->block + i / per_block, 0, block);
            word = sr_philox_pick(block, plan->word_bits, position) >> unused_bits; /* S4.5 */
            deeper.seed = words->seed;
            deeper.stream = words->stream;
            deeper.counter = 8 * words->block + i;
        } else if (plan->word_bits) {
            word = load_word(plan->word_bits / 8, words->bits, at * words->bits_stride);
        }
        result = sr_round_bits(plan, x, word, direction, refine_philox, &deeper, &flags);
        if (flags & SR_FLAG_REFUSED) return fail(c, SR_ERR_OVERFLOW, j);
        if (c->result_bytes) {
            if (!sr_encode_bits(plan, result, &code)) return fail(c, SR_ERR_NO_CODE, j);
            if (write) store_code(c->result_bytes, c->y, at * c->y_stride, code);
        } else if (write) {
            store_value(carrier, c->y, at * c->y_stride, result);
        }
    }
    return SR_OK;
}

/* Nothing is written before it is known that no element will be refused. */
SR_SPECIALIZE sr_status run(call *c, sr_carrier carrier, int codes)
{
    sr_status status = check_call(c, carrier);
    int may_refuse;
    if (status != SR_OK) return status;
    may_refuse = c->plan->overflow == SR_OVERFLOW_RAISE || c->plan->overflow == SR_OVERFLOW_WRAP ||
                 (codes && !(c->plan->format.flags & SR_NAN));
    if (may_refuse) {
        status = pass(c, carrier, 0);
        if (status != SR_OK) return status;
    }
    return pass(c, carrier, 1);
}

sr_status sr_round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                       const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index};
    return run(&c, SR_CARRIER_F32, 0);
}

sr_status sr_round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                       const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index};
    return run(&c, SR_CARRIER_F64, 0);
}

sr_status sr_encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                        const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index};
    return run(&c, SR_CARRIER_F32, 1);
}

sr_status sr_encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                        const double *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index};
    return run(&c, SR_CARRIER_F64, 1);
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
                        carrier == SR_CARRIER_F32 ? (int)sizeof(float) : (int)sizeof(double), index};
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
