/* The array calls: they check their arguments, cut arrays into chunks, bring operands and words into a kernel's shape, and
 * let the plan's path do the work. Loads and stores are bit patterns throughout. */
#include "kernels.h"

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

static const void *gather(int bytes, size_t n, const void *from, ptrdiff_t stride, size_t start, void *room);

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

SR_SPECIALIZE int sign_of(uint64_t v)
{
    return (v & ~SR_F64_SIGN) == 0 ? 0 : v & SR_F64_SIGN ? -1 : 1;
}

/* ---- by the definition ---------------------------------------------------------------------------- */

/* The definition's result for one element, and how it went. */
SR_SPECIALIZE sr_status define(const call *c, sr_carrier carrier, size_t j, uint64_t word, uint64_t *value, uint64_t *code)
{
    const sr_words *const words = c->words;
    ptrdiff_t const at = (ptrdiff_t)j;
    uint64_t const x = load_value(carrier, c->x, at * c->x_stride);
    int const direction = c->direction ? sign_of(load_value(carrier, c->direction, at * c->direction_stride)) : 0;
    refinement deeper = {0, 0, 0};
    unsigned flags;
    if (words) {
        deeper.seed = words->seed;
        deeper.stream = words->stream;
        deeper.counter = 8 * words->block + words->offset + j;
    }
    *value = sr_round_bits(c->plan, x, word, direction, refine_philox, &deeper, &flags);
    if (flags & SR_FLAG_REFUSED) return SR_ERR_OVERFLOW;
    if (c->result_bytes && !sr_encode_bits(c->plan, *value, code)) return SR_ERR_NO_CODE;
    return SR_OK;
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
        if (drawn) {
            uint64_t const i = words->offset + j;
            uint32_t const position = (uint32_t)(i % per_block);
            if (j == from || position == 0)
                sr_philox_block(words->seed, words->stream, words->block + i / per_block, 0, block);
            word = sr_philox_pick(block, plan->word_bits, position) >> unused_bits; /* S4.5 */
        } else if (plan->word_bits) {
            word = load_word(plan->word_bits / 8, words->bits, (ptrdiff_t)j * words->bits_stride);
        }
        status = define(c, carrier, j, word, &value, &code);
        if (status != SR_OK) return fail(c, status, j);
        if (!write) continue;
        if (c->result_bytes)
            store_code(c->result_bytes, c->y, (ptrdiff_t)j * c->y_stride, code);
        else
            store_value(carrier, c->y, (ptrdiff_t)j * c->y_stride, value);
    }
    return SR_OK;
}

uint64_t sr_settle(const sr_chunk *chunk, int width, size_t j, uint64_t x)
{
    const sr_plan *const plan = chunk->plan;
    sr_carrier const carrier = width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64;
    int const direction = chunk->direction ? sign_of(load_value(carrier, chunk->direction, (ptrdiff_t)j)) : 0;
    refinement deeper;
    uint64_t word = 0;
    unsigned flags;
    if (chunk->lanes->kind == SR_KIND_FEW || chunk->lanes->kind == SR_KIND_BIASED)
        word = load_word(width / 8, chunk->words, (ptrdiff_t)j) >> (width - plan->random_bits);
    else if (plan->word_bits)
        word = load_word(2, chunk->words, (ptrdiff_t)j);
    deeper.seed = chunk->seed;
    deeper.stream = chunk->stream;
    deeper.counter = chunk->counter + j;
    return sr_round_bits(plan, x, word, direction, refine_philox, &deeper, &flags);
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

static void copy_strided(int bytes, size_t n, const void *from, ptrdiff_t from_stride, void *to, ptrdiff_t to_stride)
{
    switch (bytes) {
    case 1: copy_elements(1, n, from, from_stride, to, to_stride); break;
    case 2: copy_elements(2, n, from, from_stride, to, to_stride); break;
    case 4: copy_elements(4, n, from, from_stride, to, to_stride); break;
    default: copy_elements(8, n, from, from_stride, to, to_stride); break;
    }
}

/* An operand's elements from `start` on, contiguous. */
static const void *gather(int bytes, size_t n, const void *from, ptrdiff_t stride, size_t start, void *room)
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

/* Below so many elements the definition is done sooner than a kernel is prepared. */
#define FEW_ELEMENTS 8

/* Of n elements, 8 a block, those whose blocks have numbers with the same upper half. */
SR_SPECIALIZE size_t drawable(size_t n, uint32_t block)
{
    uint64_t const left = (((uint64_t)1 << 32) - block) * 8;
    return n < left ? n : (size_t)left;
}

SR_SPECIALIZE void run_chunks(const call *c, const sr_lanes *lanes, int width)
{
    const sr_kernels *const kernels = c->plan->kernels;
    int const value_bytes = width / 8;
    int const y_bytes = c->result_bytes ? c->result_bytes : value_bytes;
    workspace room;
    sr_chunk chunk;
    chunk.plan = c->plan;
    chunk.lanes = lanes;
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
        if (direct && c->x_stride == 1 && i % 8 == 0 && sr_draws_itself(lanes, c->result_bytes != 0))
            chunk.n = drawable(c->n - start, (uint32_t)chunk.block);
        else
            chunk.words = words_of(c, lanes, width, start, chunk.n, &room);
        chunk.x = gather(value_bytes, chunk.n, c->x, c->x_stride, start, room.x);
        chunk.direction = gather(value_bytes, chunk.n, c->direction, c->direction_stride, start, room.direction);
        chunk.y = direct ? (void *)y : (void *)room.y;
        if (c->result_bytes) {
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
    sr_lanes lanes;
    sr_status status = check_call(c, carrier, 1);
    if (status == SR_OK) status = check_values(c, carrier);
    if (status != SR_OK) return status;
    if (c->n < FEW_ELEMENTS || !sr_lanes_of(&lanes, c->plan, width)) return pass(c, carrier, 0, c->n, 1);
    run_chunks(c, &lanes, width);
    return SR_OK;
}

sr_status sr_round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                       const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index};
    return run(&c, SR_CARRIER_F32);
}

sr_status sr_round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                       const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                       uint64_t *index)
{
    call c = {plan, words, n, x, direction, y, x_stride, direction_stride, y_stride, 0, index};
    return run(&c, SR_CARRIER_F64);
}

sr_status sr_encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                        const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index};
    return run(&c, SR_CARRIER_F32);
}

sr_status sr_encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                        const double *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                        uint64_t *index)
{
    call c = {plan, words, n, x, direction, codes, x_stride, direction_stride, codes_stride,
              plan ? sr_code_bytes(plan->code_bits) : 1, index};
    return run(&c, SR_CARRIER_F64);
}

sr_status sr_check_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                       const float *direction, ptrdiff_t direction_stride, int codes, uint64_t *index)
{
    call const c = {plan, words, n, x, direction, NULL, x_stride, direction_stride, 1, codes ? 1 : 0, index};
    sr_status const status = check_call(&c, SR_CARRIER_F32, 0);
    return status == SR_OK ? check_values(&c, SR_CARRIER_F32) : status;
}

sr_status sr_check_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                       const double *direction, ptrdiff_t direction_stride, int codes, uint64_t *index)
{
    call const c = {plan, words, n, x, direction, NULL, x_stride, direction_stride, 1, codes ? 1 : 0, index};
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
