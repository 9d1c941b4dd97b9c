/* The array calls: every status, pieces and strides, aliasing, nothing written where something is wrong. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "srcore/srcore.h"

enum { N = 1000 };

static float x[N], y[N], z[2 * N];
static double x64[N], y64[N];
static unsigned char codes[4 * N], codes_again[4 * N];

static sr_format named(const char *name)
{
    sr_format format;
    memset(&format, 0, sizeof format);
    CHECK(sr_format_named(&format, name) == SR_OK, "%s", name);
    return format;
}

static sr_plan plan_of(const char *name, sr_mode mode, sr_overflow overflow, int random_bits, double eps)
{
    sr_rounding const rounding = {mode, overflow, random_bits, SR_VARIANT_A, eps};
    sr_format const format = named(name);
    sr_plan plan;
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "%s", name);
    return plan;
}

static sr_words words_of(uint64_t seed, uint64_t offset)
{
    sr_words words = {0, 0, 0, 0, NULL, 1};
    words.seed = seed;
    words.stream = 5;
    words.block = 11;
    words.offset = offset;
    return words;
}

static void fill(void)
{
    uint64_t state = 42;
    for (int i = 0; i < N; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x64[i] = ldexp((double)(int64_t)state * 0x1p-63, (int)(state % 40) - 20);
        x[i] = (float)x64[i];
    }
}

static void check_formats(void)
{
    sr_format f;
    size_t count = 0;
    for (; sr_format_name(count); count++) {
        f = named(sr_format_name(count));
        CHECK(sr_format_fits(&f, SR_CARRIER_F64) == SR_OK, "%s", sr_format_name(count));
    }
    CHECK(count == 16, "%zu names", count);
    CHECK(sr_format_named(&f, "Q3.8") == SR_OK && f.max == 7.99609375 && f.min == -8, "Q3.8");
    CHECK(sr_format_code_bits(&f) == 12 && sr_format_code_bytes(&f) == 2, "Q3.8");
    CHECK(sr_format_named(&f, "UQ0.8") == SR_OK && f.max == 0.99609375 && f.min == 0, "UQ0.8");
    CHECK(sr_format_named(&f, "Q-2.10") == SR_OK && f.max == 0.25 - 0x1p-10, "Q-2.10");
    CHECK(sr_format_named(&f, "Q12.-4") == SR_OK && f.max == 4096 - 16, "Q12.-4");
    CHECK(sr_format_named(&f, "Q53.0") == SR_OK && f.max == 0x1p53 - 1, "Q53.0");
    {
        static const char *const bad[] = {"", "Q", "U", "UQ", "Q3", "Q3.", "Q.8", "Q3.8 ", "q3.8", "Q3.8.1", "bfloat",
                                          "bfloat166", "Q--3.8", "Q99999.0"};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
            CHECK(sr_format_named(&f, bad[i]) == SR_ERR_NAME, "%s", bad[i]);
    }
    CHECK(sr_format_named(&f, "Q60.8") == SR_ERR_FIXED_BITS, "too wide");
    CHECK(sr_format_named(&f, "Q0.0") == SR_ERR_FIXED_BITS, "no bits");
    CHECK(sr_format_named(NULL, "Q3.8") == SR_ERR_NULL, "NULL");
    CHECK(sr_format_float(&f, 0, -14, 15, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_PRECISION, "p = 0");
    CHECK(sr_format_float(&f, 54, -14, 15, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_PRECISION, "p = 54");
    CHECK(sr_format_float(&f, 11, 16, 15, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_EXPONENT, "emin > emax");
    CHECK(sr_format_float(&f, 11, -14, 1024, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_EXPONENT, "emax");
    CHECK(sr_format_float(&f, 11, -1065, 15, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_EXPONENT, "emin");
    CHECK(sr_format_float(&f, 4, -6, 8, 449, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_MAX, "off the grid");
    CHECK(sr_format_float(&f, 4, -6, 8, 512, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_MAX, "beyond emax");
    CHECK(sr_format_float(&f, 4, -6, 8, -448, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_MAX, "negative");
    CHECK(sr_format_float(&f, 4, -6, 8, NAN, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_ERR_MAX, "NaN");
    CHECK(sr_format_float(&f, 4, -6, 8, 0, 64u, SR_OVERFLOW_DEFAULT) == SR_ERR_FLAGS, "flags");
    CHECK(sr_format_float(&f, 4, -6, 8, 0, SR_SUBNORMALS, SR_OVERFLOW_DEFAULT) == SR_ERR_FLAGS, "no zero");
    CHECK(sr_format_float(&f, 4, -6, 8, 0, SR_ZERO | SR_SIGNED, SR_OVERFLOW_INF) == SR_ERR_OVERFLOW_RULE, "rule");
    CHECK(sr_format_fixed(&f, 3, 8, 1, SR_OVERFLOW_INF) == SR_ERR_OVERFLOW_RULE, "rule");
    for (int i = 0; i < 60; i++) {
        CHECK(sr_strerror((sr_status)i) != NULL, "%d", i);
    }
}

static void check_plan(void)
{
    sr_format f = named("float16"), broken;
    sr_plan plan;
    sr_prepared kept;
    sr_rounding r = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.word_bits == 16 && sr_call_blocks(&plan, 9) == 2, "exact");
    CHECK(!plan.prepared && sr_plan_prepare(&plan, NULL) == SR_ERR_NULL && sr_plan_prepare(NULL, &kept) == SR_ERR_NULL,
          "prepare NULL");
    CHECK(sr_plan_prepare(&plan, &kept) == SR_OK && plan.prepared == &kept, "prepare");
    CHECK(sr_plan_set_path(&plan, SR_PATH_SCALAR) == SR_OK && !plan.prepared, "let go of");
    r.random_bits = 65;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_RANDOM_BITS, "65");
    r.random_bits = -1;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_RANDOM_BITS, "-1");
    r.random_bits = 33;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.word_bits == 64, "33");
    r.mode = (sr_mode)12;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_MODE, "mode");
    r.mode = SR_MODE_SR_EPS;
    r.eps = 1.0000001;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_EPS, "eps");
    r.eps = -0x1p-1074;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_EPS, "eps");
    r.eps = NAN;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_EPS, "eps");
    r.eps = 1;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.eps == (uint64_t)1 << 32, "eps");
    r.eps = 0x1p-33; /* a tie, to even */
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.eps == 0, "eps");
    r.eps = 0x3p-33;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.eps == 2, "eps");
    r.eps = 0x1.0000000000001p-33;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_OK && plan.eps == 1, "eps");
    r.eps = 0;
    r.variant = (sr_variant)3;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_VARIANT, "variant");
    r.variant = SR_VARIANT_A;
    r.overflow = (sr_overflow)7;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_OVERFLOW_RULE, "rule");
    r.overflow = SR_OVERFLOW_WRAP;
    CHECK(sr_plan_init(&plan, &f, &r) == SR_ERR_OVERFLOW_RULE, "wrap");
    r.overflow = SR_OVERFLOW_DEFAULT;
    broken = f;
    broken.qmin = -25;
    CHECK(sr_plan_init(&plan, &broken, &r) == SR_ERR_FLAGS, "qmin");
    broken = f;
    broken.min = -1;
    CHECK(sr_plan_init(&plan, &broken, &r) == SR_ERR_FLAGS, "min");
    broken = f;
    broken.max = INFINITY;
    CHECK(sr_plan_init(&plan, &broken, &r) == SR_ERR_MAX, "max");
    broken = f;
    broken.overflow = SR_OVERFLOW_WRAP;
    CHECK(sr_plan_init(&plan, &broken, &r) == SR_ERR_OVERFLOW_RULE, "rule");
    CHECK(sr_plan_init(&plan, NULL, &r) == SR_ERR_NULL, "NULL");
}

/* In pieces, with strides, backwards, in place: the same values as in one call. */
static void check_pieces(sr_mode mode, int random_bits)
{
    sr_plan const plan = plan_of("bfloat16", mode, SR_OVERFLOW_DEFAULT, random_bits, 0.25);
    sr_words words = words_of(9, 0);
    const float *const direction = mode == SR_MODE_SR_SIGNED ? x : NULL;
    size_t const cuts[] = {0, 1, 2, 9, 10, 64, 65, 500, 999, N};
    CHECK(sr_round_f32(&plan, &words, N, x, 1, direction, 1, y, 1, NULL) == SR_OK, "mode %d", (int)mode);
    for (size_t c = 0; c + 1 < sizeof cuts / sizeof cuts[0]; c++) {
        words = words_of(9, cuts[c]);
        CHECK(sr_round_f32(&plan, &words, cuts[c + 1] - cuts[c], x + cuts[c], 1,
                           direction ? direction + cuts[c] : NULL, 1, z + cuts[c], 1, NULL) == SR_OK,
              "mode %d", (int)mode);
    }
    CHECK(memcmp(y, z, sizeof y) == 0, "pieces, mode %d", (int)mode);

    words = words_of(9, 0);
    memset(z, 0, sizeof z);
    CHECK(sr_round_f32(&plan, &words, N, x, 1, direction, 1, z + 2 * N - 1, -2, NULL) == SR_OK, "strides");
    for (size_t i = 0; i < N; i++)
        CHECK(memcmp(&y[i], &z[2 * N - 1 - 2 * i], sizeof y[i]) == 0, "stride -2, element %zu", i);
    memcpy(z, x, sizeof x);
    CHECK(sr_round_f32(&plan, &words, N, z, 1, direction ? z : NULL, 1, z, 1, NULL) == SR_OK, "in place");
    CHECK(memcmp(y, z, sizeof y) == 0, "in place, mode %d", (int)mode);
    for (size_t i = 0; i < N; i++) z[i] = x[3];
    CHECK(sr_round_f32(&plan, &words, N, z, 1, direction ? z : NULL, 1, z, 1, NULL) == SR_OK, "constant");
    CHECK(sr_round_f32(&plan, &words, N, x + 3, 0, direction ? x + 3 : NULL, 0, y, 1, NULL) == SR_OK, "stride 0");
    CHECK(memcmp(y, z, sizeof y) == 0, "stride 0, mode %d", (int)mode);

    /* Float64 of the same values: the same values. Codes: the codes of these values. */
    for (size_t i = 0; i < N; i++) y64[i] = (double)x[i];
    CHECK(sr_round_f32(&plan, &words, N, x, 1, direction, 1, y, 1, NULL) == SR_OK, "f32");
    CHECK(sr_encode_f64(&plan, &words, N, y64, 1, direction ? y64 : NULL, 1, codes_again, 1, NULL) == SR_OK, "codes");
    CHECK(sr_encode_f32(&plan, &words, N, x, 1, direction, 1, codes, 1, NULL) == SR_OK, "codes");
    CHECK(memcmp(codes, codes_again, 2 * N) == 0, "codes of both carriers");
    CHECK(sr_round_f64(&plan, &words, N, y64, 1, direction ? y64 : NULL, 1, y64, 1, NULL) == SR_OK, "f64");
    CHECK(sr_decode_f32(&plan.format, N, codes, 1, z, 1, NULL) == SR_OK, "decode");
    for (size_t i = 0; i < N; i++)
        CHECK(y64[i] == (double)y[i] && z[i] == y[i], "element %zu: %a %a", i, y64[i], (double)z[i]);
}

static void check_refusals(void)
{
    sr_plan plan = plan_of("float16", SR_MODE_SR, SR_OVERFLOW_RAISE, SR_EXACT, 0);
    sr_words words = words_of(1, 100);
    uint64_t index = 0;
    float bad[N], untouched[N];
    uint16_t given[N];

    for (int i = 0; i < N; i++) bad[i] = x[i] * 0x1p-6f;
    memcpy(untouched, x, sizeof bad);
    bad[700] = 1e6f;
    bad[800] = -INFINITY;
    memcpy(y, untouched, sizeof y);
    CHECK(sr_round_f32(&plan, &words, N, bad, 1, NULL, 0, y, 1, &index) == SR_ERR_OVERFLOW, "1e6");
    CHECK(index == 800, "index %d", (int)index);
    CHECK(memcmp(y, untouched, sizeof y) == 0, "written before the check");
    CHECK(sr_round_f32(&plan, &words, N, bad, 1, NULL, 0, y, 1, NULL) == SR_ERR_OVERFLOW, "no index");

    plan = plan_of("Q3.8", SR_MODE_RNE, SR_OVERFLOW_WRAP, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, NULL, N, bad, 1, NULL, 0, y, 1, &index) == SR_ERR_OVERFLOW, "infinity wraps");
    CHECK(index == 800, "index %d", (int)index);
    CHECK(memcmp(y, untouched, sizeof y) == 0, "written before the check");

    plan = plan_of("float6_e2m3fn", SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    bad[300] = NAN;
    memset(codes, 0xAB, sizeof codes);
    memset(codes_again, 0xAB, sizeof codes);
    CHECK(sr_encode_f32(&plan, NULL, N, bad, 1, NULL, 0, codes, 1, &index) == SR_ERR_NO_CODE, "no code");
    CHECK(index == 300, "index %d", (int)index);
    CHECK(memcmp(codes, codes_again, sizeof codes) == 0, "written before the check");
    codes[7] = 64;
    CHECK(sr_decode_f32(&plan.format, 8, codes, 1, y, 1, &index) == SR_ERR_CODE && index == 0, "code");
    CHECK(memcmp(y, untouched, sizeof y) == 0, "written before the check");

    plan = plan_of("float16", SR_MODE_SR, SR_OVERFLOW_DEFAULT, 12, 0);
    for (int i = 0; i < N; i++) given[i] = (uint16_t)(i * 4);
    words.bits = given;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, &index) == SR_OK, "12 bits");
    given[600] = 4096;
    memcpy(y, untouched, sizeof y);
    CHECK(sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_BITS && index == 700, "13 bits");
    CHECK(memcmp(y, untouched, sizeof y) == 0, "written before the check");
    plan = plan_of("float16", SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_BITS_UNUSED, "bits with exact");
    plan = plan_of("float16", SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_BITS_UNUSED, "bits with rne");
    CHECK(sr_round_f32(&plan, NULL, N, x, 1, x, 1, y, 1, &index) == SR_ERR_DIRECTION, "direction with rne");
    CHECK(sr_round_f32(&plan, NULL, N, x, 1, NULL, 0, y, 0, &index) == SR_ERR_STRIDE, "stride 0");
    CHECK(sr_round_f32(&plan, NULL, N - 1, z, 1, NULL, 0, z + 1, 1, &index) == SR_ERR_OVERLAP, "overlap");
    CHECK(sr_encode_f32(&plan, NULL, N, z, 1, NULL, 0, z, 1, &index) == SR_ERR_OVERLAP, "overlap");
    plan = plan_of("float16", SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT, SR_EXACT, 0.5);
    words.bits = NULL;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, z, 1, z + 1, 1, &index) == SR_ERR_OVERLAP, "direction overlaps");
    words.bits = z + 1;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, x, 1, z, 1, &index) == SR_ERR_OVERLAP, "bits overlap");
    words.bits = NULL;
    plan = plan_of("float16", SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, NULL, N, NULL, 1, NULL, 0, y, 1, &index) == SR_ERR_NULL, "NULL");
    CHECK(sr_round_f32(&plan, NULL, 0, NULL, 1, NULL, 0, NULL, 1, &index) == SR_OK, "nothing to do");
    CHECK(sr_round_f32(NULL, NULL, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_NULL, "NULL plan");

    plan = plan_of("float16", SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT, SR_EXACT, 0.5);
    words.bits = NULL;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_DIRECTION, "no direction");
    CHECK(sr_round_f32(&plan, &words, N, x, 1, bad, 1, y, 1, &index) == SR_ERR_DIRECTION_NAN && index == 400, "NaN");
    CHECK(sr_round_f32(&plan, NULL, N, x, 1, x, 1, y, 1, &index) == SR_ERR_NULL, "no words");
    words.stream = (uint64_t)1 << 48;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, x, 1, y, 1, &index) == SR_ERR_STREAM, "stream");
    words.stream = 0;
    words.offset = UINT64_MAX - N + 2;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, x, 1, y, 1, &index) == SR_ERR_OFFSET, "offset");
    words.offset = UINT64_MAX - N + 1;
    CHECK(sr_round_f32(&plan, &words, N, x, 1, x, 1, y, 1, &index) == SR_OK, "offset");
    plan = plan_of("binary64", SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, NULL, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_CARRIER, "carrier");
    plan = plan_of("Q10.15", SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
    CHECK(sr_round_f32(&plan, NULL, N, x, 1, NULL, 0, y, 1, &index) == SR_ERR_CARRIER, "carrier");
    CHECK(sr_round_f64(&plan, NULL, N, x64, 1, NULL, 0, y64, 1, &index) == SR_OK, "carrier");
}

/* Every code of every named format of at most 16 bits: to a value and back; what decodes to NaN need not come back. */
static void check_codes(void)
{
    for (size_t k = 0; sr_format_name(k); k++) {
        sr_plan const plan = plan_of(sr_format_name(k), SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, 0);
        int const bits = plan.code_bits, bytes = sr_format_code_bytes(&plan.format);
        long values = 0;
        if (bits > 16) continue;
        for (uint32_t c = 0; c < (uint32_t)1 << bits; c++) {
            uint8_t const c8 = (uint8_t)c;
            uint16_t const c16 = (uint16_t)c;
            const void *const code = bytes == 1 ? (const void *)&c8 : (const void *)&c16;
            uint16_t back = 0;
            uint8_t back8 = 0;
            void *const encoded = bytes == 1 ? (void *)&back8 : (void *)&back;
            double v;
            CHECK(sr_decode_f64(&plan.format, 1, code, 1, &v, 1, NULL) == SR_OK, "code %u", (unsigned)c);
            if (isnan(v)) continue;
            values++;
            CHECK(sr_encode_f64(&plan, NULL, 1, &v, 1, NULL, 0, encoded, 1, NULL) == SR_OK, "code %u", (unsigned)c);
            CHECK((bytes == 1 ? back8 : back) == c, "%s: code %u, value %a", sr_format_name(k), (unsigned)c, v);
        }
        CHECK(values >= ((long)1 << bits) - ((long)1 << (bits - 1)), "%s: %ld values", sr_format_name(k), values);
    }
}

int main(void)
{
    fill();
    check_formats();
    check_plan();
    check_pieces(SR_MODE_SR, SR_EXACT);
    check_pieces(SR_MODE_SR, 5);
    check_pieces(SR_MODE_SR, 12);
    check_pieces(SR_MODE_SR, 24);
    check_pieces(SR_MODE_SR, 64);
    check_pieces(SR_MODE_SR_EQUAL, SR_EXACT);
    check_pieces(SR_MODE_SR_EPS, SR_EXACT);
    check_pieces(SR_MODE_SR_SIGNED, SR_EXACT);
    check_pieces(SR_MODE_RNE, SR_EXACT);
    check_refusals();
    check_codes();
    return check_report();
}
