/* Array calls with arbitrary formats, ways of rounding, words, strides and values, on every path, against the
 * definition element by element; nothing but the result may be written. */
#include "fuzz.h"

#define MOST 3000
#define GAP 0xA5 /* what results lie in */

/* A strided array in a block of its own, so that a sanitizer sees what is beyond. */
typedef struct array {
    unsigned char *block, *first; /* element 0 */
    size_t bytes, size;           /* of an element, of the block */
    ptrdiff_t stride;
} array;

static array make_array(size_t n, size_t bytes, ptrdiff_t stride)
{
    array a;
    size_t const apart = (size_t)(stride < 0 ? -stride : stride);
    a.bytes = bytes;
    a.stride = stride;
    a.size = n ? ((n - 1) * apart + 1) * bytes : 0;
    a.block = (unsigned char *)malloc(a.size ? a.size : 1);
    if (!a.block) exit(1);
    memset(a.block, GAP, a.size);
    a.first = stride < 0 && n ? a.block + a.size - bytes : a.block;
    return a;
}

static uint64_t get(const array *a, size_t j)
{
    const unsigned char *const at = a->first + (ptrdiff_t)j * a->stride * (ptrdiff_t)a->bytes;
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (a->bytes) {
    case 1: memcpy(&v8, at, 1); return v8;
    case 2: memcpy(&v16, at, 2); return v16;
    case 4: memcpy(&v32, at, 4); return v32;
    default: memcpy(&v64, at, 8); return v64;
    }
}

static void put(array *a, size_t j, uint64_t v)
{
    unsigned char *const at = a->first + (ptrdiff_t)j * a->stride * (ptrdiff_t)a->bytes;
    uint8_t const v8 = (uint8_t)v;
    uint16_t const v16 = (uint16_t)v;
    uint32_t const v32 = (uint32_t)v;
    switch (a->bytes) {
    case 1: memcpy(at, &v8, 1); break;
    case 2: memcpy(at, &v16, 2); break;
    case 4: memcpy(at, &v32, 4); break;
    default: memcpy(at, &v, 8);
    }
}

/* The fuzzed call. */
typedef struct scene {
    sr_plan plan;
    sr_words words;
    const sr_words *words_or_null;
    int width, codes, index_wanted;
    size_t n;
    array x, direction, bits, y, before; /* y, and what it held */
    int with_direction, with_bits, in_place;
    sr_status status; /* as the definition has it, */
    uint64_t index;   /* and the element to blame */
    uint64_t *expected;
} scene;

static uint64_t widened(const scene *s, uint64_t carried)
{
    return s->width == 32 ? sr_widen_f32((uint32_t)carried) : carried;
}

static uint64_t carried(const scene *s, uint64_t bits)
{
    return s->width == 32 ? sr_narrow_f32(bits) : bits;
}

/* ---- making ---- */

static sr_status make_format(reader *in, sr_format *format)
{
    char name[16];
    switch (take(in, 1) % 5) {
    case 4: {
        uint64_t const num = take(in, choose(in, 1, 7)), den = choose(in, 0, 1) ? 1 : take(in, choose(in, 1, 7));
        int const exponent = choose(in, 0, 1) ? choose(in, -40, 9) : choose(in, -1090, 1023);
        return sr_format_grid(format, num, den, exponent, (sr_overflow)choose(in, 0, (int)SR_OVERFLOW_RAISE));
    }
    case 0: return sr_format_named(format, sr_format_name((size_t)choose(in, 0, 15)));
    case 1: {
        int const bits = choose(in, 1, 53), fraction = choose(in, 0, 15) ? choose(in, -4, 60) : choose(in, -1022, 1074);
        return sr_format_fixed(format, bits - fraction, fraction, (int)(take(in, 1) & 1),
                               (sr_overflow)choose(in, 0, (int)SR_OVERFLOW_RAISE));
    }
    case 2: {
        int const carrier = choose(in, 0, 2);
        static const int most[] = {2, 12, 24, 53};
        int const precision = choose(in, 1, most[choose(in, 0, 3)]);
        int const emin = carrier ? choose(in, -149, 100) : choose(in, -1074, 1023);
        int const emax = emin + (choose(in, 0, 1) ? choose(in, 0, 20) : choose(in, 0, 2046));
        int const less = choose(in, 0, 5); /* some of the largest values do not exist */
        unsigned const flags = SR_IEEE_FLAGS & ~(unsigned)(choose(in, 0, 1) ? take(in, 1) & take(in, 1) : 0);
        sr_overflow const overflow = (sr_overflow)choose(in, 0, (int)SR_OVERFLOW_RAISE);
        sr_status status;
        sr_number max;
        status = sr_format_float(format, precision, emin, emax, 0, flags, overflow);
        if (status != SR_OK) return status;
        max = sr_unpack(sr_bits_f64(format->max));
        if (max.exponent >= -1074 + 53) return status;
        max.exponent = sr_exponent(max) - precision + 1;
        max.significand = sr_ones(precision) - (uint64_t)less;
        return sr_format_float(format, precision, emin, emax, sr_value_f64(sr_pack(max)), flags, overflow);
    }
    default:
        snprintf(name, sizeof name, "%sQ%d.%d", choose(in, 0, 1) ? "U" : "", choose(in, -2, 16), choose(in, -2, 24));
        return sr_format_named(format, name);
    }
}

static void make_rounding(reader *in, sr_rounding *rounding)
{
    rounding->mode = choose(in, 0, 2) == 0 ? SR_MODE_SR : (sr_mode)choose(in, 0, (int)SR_MODE_SR_SIGNED);
    rounding->overflow = choose(in, 0, 1) ? SR_OVERFLOW_DEFAULT : (sr_overflow)choose(in, 0, (int)SR_OVERFLOW_RAISE);
    rounding->random_bits = choose(in, 0, 1) ? SR_EXACT : choose(in, 0, 64);
    rounding->variant = (sr_variant)choose(in, 0, 2);
    switch (choose(in, 0, 3)) {
    case 0: rounding->eps = 0; break;
    case 1: rounding->eps = 1; break;
    case 2: rounding->eps = (double)(uint32_t)take(in, 4) / 4294967296.0; break;
    default: rounding->eps = 0x1p-33; break;
    }
}

/* The integer T of element j (S3.1, S4.5). */
static uint64_t word_of(const scene *s, size_t j)
{
    sr_plan const *const plan = &s->plan;
    uint64_t const i = s->words.offset + j;
    uint64_t per_block;
    uint32_t block[4];
    uint64_t word;
    if (plan->word_bits == 0) return 0;
    if (s->with_bits) return get(&s->bits, j);
    per_block = 128 / (uint64_t)plan->word_bits;
    sr_philox_block(s->words.seed, s->words.stream, s->words.block + i / per_block, 0, block);
    word = sr_philox_pick(block, plan->word_bits, (uint32_t)(i % per_block));
    return plan->random_bits == SR_EXACT ? word : word >> (plan->word_bits - plan->random_bits);
}

/* Within the format's range, nothing special: whole vectors of such values stay in a kernel's fast part. */
static uint64_t ordinary(const scene *s, uint64_t *state)
{
    const sr_format *const f = &s->plan.format;
    uint64_t const r = next_random(state), t = next_random(state);
    int const high = sr_exponent(sr_unpack(s->plan.max_bits));
    int const low = f->precision != SR_FIXED_POINT && !(f->flags & SR_SUBNORMALS) ? f->emin : f->qmin;
    sr_number number;
    number.significand = r >> 11 | (uint64_t)1 << 52;
    number.exponent = (low < high ? low + (int)(t % (uint64_t)(high - low)) : high - 1) - 52;
    if (number.exponent < -1074) number.exponent = -1074;
    return carried(s, sr_pack(number) | (f->flags & SR_SIGNED ? r << 63 : 0));
}

/* A pattern of the carrier: the input's bytes; then made up about the format's values. */
static uint64_t make_value(reader *in, const scene *s, uint64_t *state, int kinds)
{
    uint64_t const r = next_random(state), t = next_random(state);
    const sr_format *const f = &s->plan.format;
    uint64_t const sign = t & 1 ? SR_F64_SIGN : 0;
    uint64_t value = 0;
    sr_number number;
    if (in->left) return take(in, s->width / 8);
    if (kinds < 1 || (kinds == 1 && r % 97)) return ordinary(s, state);
    switch ((int)(r & 63) % kinds) {
    case 0: { /* between two values, next to one, or the first 16 bits of the fraction undecided */
        int const bits = f->precision <= SR_FIXED_POINT ? 1 + (int)(t >> 8 & 15) : f->precision;
        uint64_t const whole = (t >> 10) & sr_ones(bits);
        int const below = 53 - bits < 22 ? 53 - bits : 22;
        uint64_t const some[4] = {0, 1, sr_ones(below), r >> 20 & sr_ones(below)};
        uint64_t const span = (uint64_t)(sr_exponent(sr_unpack(s->plan.max_bits)) - f->qmin + 3);
        number.significand = whole << below | some[r >> 8 & 3];
        number.exponent = f->qmin - below + (r >> 10 & 1 ? (int)((r >> 40) % span) - bits : 0);
        if (number.significand && number.exponent >= -1074) value = sr_pack(number);
        break;
    }
    case 1: value = s->plan.max_bits + (r >> 8 & 3) * ((uint64_t)1 << (r >> 16 & 63)) - (r >> 24 & 3); break;
    case 2: value = s->plan.min_bits + (r >> 8 & 3) * ((uint64_t)1 << (r >> 16 & 63)) - (r >> 24 & 3); break;
    case 3: { /* undecided by T */
        uint64_t const top = 0xFFFF - (r >> 8 & 0xFFFF);
        number.significand = (uint64_t)1 << 22 | (top << 6) | (r & 63);
        number.exponent = f->qmin - 22 + (int)(r >> 40 & 15);
        if (number.exponent >= -1074) value = sr_pack(number);
        break;
    }
    case 4: {
        static const uint64_t special[] = {0, 1, 0x7FF0000000000000u, 0x7FF8000000000000u, 0x7FF0000020000000u,
                                           0x36A0000000000000u, 0x380FFFFFC0000000u, 0x3810000000000000u,
                                           0x7FEFFFFFFFFFFFFFu, 0x47EFFFFFE0000000u};
        value = special[(r >> 8) % (sizeof special / sizeof special[0])];
        break;
    }
    default: return s->width == 32 ? r >> 32 : r;
    }
    return carried(s, (value & ~SR_F64_SIGN) | sign);
}

static ptrdiff_t make_stride(reader *in, int zero_too)
{
    ptrdiff_t const stride = choose(in, 0, 2) ? 1 : (ptrdiff_t)choose(in, -3, 3);
    return stride == 0 && !zero_too ? 1 : stride;
}

/* ---- by the definition ---- */

typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
}

/* The result of every element, and the first that is refused, in the order in which arguments are checked. */
static void define(scene *s)
{
    sr_plan const *const plan = &s->plan;
    s->status = SR_OK;
    for (size_t j = 0; s->with_direction && j < s->n; j++)
        if ((widened(s, get(&s->direction, j)) & ~SR_F64_SIGN) > SR_F64_INF) {
            s->status = SR_ERR_DIRECTION_NAN;
            s->index = s->words.offset + j;
            return;
        }
    for (size_t j = 0; s->with_bits && j < s->n; j++)
        if (get(&s->bits, j) & ~sr_ones(plan->random_bits)) {
            s->status = SR_ERR_BITS;
            s->index = s->words.offset + j;
            return;
        }
    for (size_t j = 0; j < s->n; j++) {
        refinement at = {s->words.seed, s->words.stream, 8 * s->words.block + s->words.offset + j};
        uint64_t const v = s->with_direction ? widened(s, get(&s->direction, j)) : 0;
        int const direction = (v & ~SR_F64_SIGN) == 0 ? 0 : v & SR_F64_SIGN ? -1 : 1;
        uint64_t code = 0, value;
        unsigned flags;
        value = sr_round_bits(plan, widened(s, get(&s->x, j)), word_of(s, j), direction, refine, &at, &flags);
        if (flags & SR_FLAG_REFUSED)
            s->status = SR_ERR_OVERFLOW;
        else if (s->codes && !sr_encode_bits(plan, value, &code))
            s->status = SR_ERR_NO_CODE;
        if (s->status != SR_OK) {
            s->index = s->words.offset + j;
            return;
        }
        s->expected[j] = s->codes ? code & sr_ones(8 * (int)s->y.bytes) : carried(s, value);
    }
}

/* ---- calling ---- */

/* Elements [from, to) as a call of their own. */
static sr_status call(const scene *s, size_t from, size_t to, uint64_t *index)
{
    ptrdiff_t const at = (ptrdiff_t)from;
    const void *const x = s->x.first + at * s->x.stride * (ptrdiff_t)s->x.bytes;
    ptrdiff_t const v_stride = s->with_direction ? s->direction.stride : 0;
    const void *const v = s->with_direction ? s->direction.first + at * v_stride * (ptrdiff_t)s->x.bytes : NULL;
    void *const y = s->y.first + at * s->y.stride * (ptrdiff_t)s->y.bytes;
    size_t const n = to - from;
    sr_words words = s->words;
    const sr_words *const w = s->words_or_null ? &words : NULL;
    words.offset += from;
    if (s->with_bits) words.bits = s->bits.first + at * s->bits.stride * (ptrdiff_t)s->bits.bytes;
    if (s->width == 32)
        return s->codes ? sr_encode_f32(&s->plan, w, n, (const float *)x, s->x.stride, (const float *)v, v_stride, y,
                                        s->y.stride, index)
                        : sr_round_f32(&s->plan, w, n, (const float *)x, s->x.stride, (const float *)v, v_stride,
                                       (float *)y, s->y.stride, index);
    return s->codes ? sr_encode_f64(&s->plan, w, n, (const double *)x, s->x.stride, (const double *)v, v_stride, y,
                                    s->y.stride, index)
                    : sr_round_f64(&s->plan, w, n, (const double *)x, s->x.stride, (const double *)v, v_stride,
                                   (double *)y, s->y.stride, index);
}

static sr_status check(const scene *s, uint64_t *index)
{
    const void *const x = s->x.first, *const v = s->with_direction ? s->direction.first : NULL;
    ptrdiff_t const v_stride = s->with_direction ? s->direction.stride : 0;
    if (s->width == 32)
        return sr_check_f32(&s->plan, s->words_or_null, s->n, (const float *)x, s->x.stride, (const float *)v, v_stride,
                            s->codes, index);
    return sr_check_f64(&s->plan, s->words_or_null, s->n, (const double *)x, s->x.stride, (const double *)v, v_stride,
                        s->codes, index);
}

static void restore(scene *s)
{
    memcpy(s->y.block, s->before.block, s->y.size);
}

/* Nothing but the result has been written, and that is right. */
static void compare(scene *s, sr_status status, const char *what)
{
    if (status == SR_OK) {
        for (size_t j = 0; j < s->n; j++) {
            REQUIRE(get(&s->y, j) == s->expected[j], "%s, element %zu of %zu: %llx, expected %llx", what, j, s->n,
                    (unsigned long long)get(&s->y, j), (unsigned long long)s->expected[j]);
            put(&s->y, j, get(&s->before, j));
        }
    }
    REQUIRE(memcmp(s->y.block, s->before.block, s->y.size) == 0, "%s, status %d: wrote beside the result", what,
            (int)status);
}

static void everywhere(scene *s, size_t cut)
{
    for (int p = 0; p < SR_PATH_COUNT; p++) {
        uint64_t index = 0;
        sr_status status;
        const char *const path = sr_path_name((sr_path)p);
        if (sr_plan_set_path(&s->plan, (sr_path)p) != SR_OK) continue;
        restore(s);
        status = check(s, &index);
        REQUIRE(status == s->status, "check on %s: status %d, expected %d", path, (int)status, (int)s->status);
        if (status != SR_OK) REQUIRE(index == s->index, "check on %s", path);
        index = 0;
        status = call(s, 0, s->n, s->index_wanted ? &index : NULL);
        REQUIRE(status == s->status, "%s: status %d, expected %d", path, (int)status, (int)s->status);
        if (status != SR_OK && s->index_wanted) REQUIRE(index == s->index, "%s", path);
        compare(s, status, path);
        if (status != SR_OK) continue;
        restore(s);
        REQUIRE(call(s, cut, s->n, NULL) == SR_OK && call(s, 0, cut, NULL) == SR_OK, "in pieces on %s", path);
        compare(s, status, "in pieces");
    }
}

/* Arguments that are wrong: refused, and nothing written. */
static void wrong(scene *s, reader *in)
{
    scene t = *s;
    sr_status status;
    sr_rounding const other = {s->plan.mode == SR_MODE_SR_SIGNED ? SR_MODE_RZ : SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT,
                               SR_EXACT, SR_VARIANT_A, 0.5};
    if (s->n < 2) return;
    restore(s);
    switch (choose(in, 0, 4)) {
    case 0:
        t.words.stream |= (uint64_t)1 << 48;
        t.words_or_null = &t.words;
        break;
    case 1:
        t.words.offset = UINT64_MAX - (s->n - 2);
        t.words_or_null = &t.words;
        break;
    case 2: t.y.stride = 0; break;
    case 3:
        if (s->plan.word_bits == 0) return;
        t.words_or_null = NULL;
        break;
    default:
        if (sr_plan_init(&t.plan, &s->plan.format, &other) != SR_OK) return;
        break;
    }
    t.status = SR_OK;
    status = call(&t, 0, t.n, NULL);
    REQUIRE(status != SR_OK, "wrong arguments");
    REQUIRE(memcmp(s->y.block, s->before.block, s->y.size) == 0, "refused, and written");
}

/* Codes, those made or arbitrary ones, to values. */
static void decode(const scene *s, reader *in)
{
    const sr_format *const f = &s->plan.format;
    size_t const bytes = (size_t)sr_format_code_bytes(f);
    int const width = sr_format_fits(f, SR_CARRIER_F32) == SR_OK && choose(in, 0, 1) ? 32 : 64;
    array codes = make_array(s->n, bytes, make_stride(in, 1));
    array y = make_array(s->n, (size_t)width / 8, make_stride(in, 0));
    uint64_t const top = (uint64_t)1 << (8 * bytes - 1);
    uint64_t state = take(in, 8), index = 0, first = s->n;
    uint64_t *const expected = (uint64_t *)malloc((s->n + 1) * sizeof *expected);
    int const wild = choose(in, 0, 3) == 0;
    sr_status status;
    if (!expected) exit(1);
    for (size_t j = 0; j < s->n; j++) {
        uint64_t code = s->codes && s->status == SR_OK ? s->expected[j] : next_random(&state);
        if (f->precision == SR_FIXED_POINT && f->flags & SR_SIGNED) {
            uint64_t const sign = (uint64_t)1 << (s->plan.code_bits - 1);
            if (!wild) code = ((code & sr_ones(s->plan.code_bits)) ^ sign) - sign;
        } else if (!wild) {
            code &= sr_ones(s->plan.code_bits);
        }
        put(&codes, j, code);
    }
    for (size_t j = 0; j < s->n && first == s->n; j++) {
        uint64_t code = get(&codes, j), value;
        if (f->precision == SR_FIXED_POINT && f->flags & SR_SIGNED) code = (code ^ top) - top;
        if (!sr_decode_bits(&s->plan, code, &value))
            first = j;
        else
            expected[j] = width == 32 ? sr_narrow_f32(value) : value;
    }
    status = width == 32
                 ? sr_decode_f32(f, s->n, codes.first, codes.stride, (float *)(void *)y.first, y.stride, &index)
                 : sr_decode_f64(f, s->n, codes.first, codes.stride, (double *)(void *)y.first, y.stride, &index);
    if (first < s->n) {
        REQUIRE(status == SR_ERR_CODE && index == first, "decoding: status %d at %llu, not at %llu", (int)status,
                (unsigned long long)index, (unsigned long long)first);
    } else {
        REQUIRE(status == SR_OK, "decoding: status %d", (int)status);
        for (size_t j = 0; j < s->n; j++) {
            REQUIRE(get(&y, j) == expected[j], "decoding, element %zu: %llx, expected %llx", j,
                    (unsigned long long)get(&y, j), (unsigned long long)expected[j]);
            put(&y, j, sr_ones(64) / 0xFF * GAP);
        }
    }
    for (size_t i = 0; i < y.size; i++) REQUIRE(y.block[i] == GAP, "decoding wrote beside the result, at %zu", i);
    free(codes.block);
    free(y.block);
    free(expected);
}

/* ---- an input ---- */

static void make_words(reader *in, scene *s)
{
    static const uint64_t about[] = {0, (uint64_t)1 << 32, (uint64_t)1 << 48, (uint64_t)1 << 61, (uint64_t)1 << 62};
    int const bytes = s->plan.word_bits / 8;
    s->words.seed = take(in, 2) * 0x9E3779B97F4A7C15u;
    s->words.stream = choose(in, 0, 3) ? take(in, 1) : sr_ones(48);
    s->words.block = about[choose(in, 0, 2)] - (uint64_t)choose(in, 0, 300); /* 0 - 1 is a block too */
    s->words.offset = about[choose(in, 0, 4)] + take(in, 2) % 40;
    s->words.bits = NULL;
    s->words.bits_stride = 0;
    s->with_bits = bytes != 0 && s->plan.random_bits != SR_EXACT && choose(in, 0, 1);
    s->bits = make_array(0, 1, 1);
    if (s->with_bits) {
        uint64_t state = take(in, 4);
        int const foul = choose(in, 0, 15) == 0;
        free(s->bits.block);
        s->bits = make_array(s->n, (size_t)bytes, make_stride(in, 1));
        for (size_t j = 0; j < s->n; j++)
            put(&s->bits, j, next_random(&state) & (foul && j % 7 == 6 ? ~(uint64_t)0 : sr_ones(s->plan.random_bits)));
        s->words.bits = s->bits.first;
        s->words.bits_stride = s->bits.stride;
    }
    s->words_or_null = s->plan.word_bits == 0 && choose(in, 0, 1) ? NULL : &s->words;
    if (!s->words_or_null) s->words.offset = 0; /* and so are indices */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reader in = {data, size};
    sr_format format;
    sr_rounding rounding;
    scene s;
    uint64_t state;
    int kinds, share_direction;
    size_t cut;

    if (make_format(&in, &format) != SR_OK) return 0;
    make_rounding(&in, &rounding);
    memset(&s, 0, sizeof s);
    if (sr_plan_init(&s.plan, &format, &rounding) != SR_OK) return 0;
    s.width = s.plan.fits_f32 && choose(&in, 0, 2) ? 32 : 64;
    s.codes = choose(&in, 0, 1);
    s.index_wanted = choose(&in, 0, 3) != 0;
    s.n = choose(&in, 0, 15) ? (size_t)choose(&in, 0, 150) : (size_t)choose(&in, 0, MOST);
    s.in_place = !s.codes && choose(&in, 0, 3) == 0;
    s.with_direction = s.plan.mode == SR_MODE_SR_SIGNED;
    share_direction = s.with_direction && choose(&in, 0, 7) == 0;
    cut = s.n ? (size_t)choose(&in, 0, (int)s.n) : 0;
    make_words(&in, &s);
    state = take(&in, 4);
    kinds = choose(&in, -3, 9);

    s.x = make_array(s.n, (size_t)s.width / 8, make_stride(&in, !s.in_place));
    s.direction = make_array(s.n, (size_t)s.width / 8, make_stride(&in, 1));
    if (s.with_direction)
        for (size_t j = 0; j < s.n; j++) {
            uint64_t const r = next_random(&state);
            put(&s.direction, j, carried(&s, r & 7 ? (r << 63) | 0x3FF0000000000000u : r & 8 ? r << 63 : r));
        }
    for (size_t j = 0; j < s.n; j++) put(&s.x, j, make_value(&in, &s, &state, kinds));
    if (share_direction) {
        free(s.direction.block);
        s.direction = s.x;
    }
    s.y = s.x;
    if (!s.in_place)
        s.y = make_array(s.n, s.codes ? (size_t)sr_format_code_bytes(&format) : s.x.bytes, make_stride(&in, 0));
    s.before = s.y;
    s.before.block = (unsigned char *)malloc(s.y.size ? s.y.size : 1);
    s.expected = (uint64_t *)malloc((s.n + 1) * sizeof *s.expected);
    if (!s.before.block || !s.expected) exit(1);
    memcpy(s.before.block, s.y.block, s.y.size);
    s.before.first = s.before.block + (s.y.first - s.y.block);

    define(&s);
    everywhere(&s, cut);
    wrong(&s, &in);
    decode(&s, &in);

    free(s.before.block);
    free(s.expected);
    if (!s.in_place) free(s.y.block);
    if (!share_direction) free(s.direction.block);
    free(s.x.block);
    free(s.bits.block);
    return 0;
}
