/* The library's results in few words: a hash a line of what it makes of formats x ways of rounding x overflow rules,
 * the same on every path, machine and byte order, and in every floating-point environment.
 *
 *     hashes [--path NAME] [--check FILE [--environment]]
 *
 * prints them, or compares them with FILE's and names the lines that differ; with --environment, again under flushing
 * of subnormals and each rounding direction. Without a path: on the fastest one. Status 77: the machine lacks it. */
#include "srcore/srcore.h"

#include "sweep.h"

#include <fenv.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

#define N 1091     /* elements of a combination: a chunk and a part of one */
#define SPREAD 3   /* stride of operands that are not contiguous */
#define MOST_LINES 600

typedef union array {
    float f[SPREAD * N];
    double d[SPREAD * N];
    uint32_t u[SPREAD * N];
    uint64_t v[SPREAD * N];
} array;

static uint64_t values[N]; /* binary64 patterns */
static uint64_t directions[N], words_of[N];
static array x, v, y;
static uint64_t codes[SPREAD * N], bits[SPREAD * N];

/* ---- lines ---- */

static uint64_t hash;

/* FNV-1a by numbers instead of bytes, with the upper half folded in: byte order has no part in it. */
static void add(uint64_t number)
{
    hash = (hash ^ number) * 0x100000001B3u;
    hash ^= hash >> 32;
}

static void start_hash(void)
{
    hash = 0xCBF29CE484222325u;
}

static char expected[MOST_LINES][100];
static int expected_lines, line_number, lines_wrong, checking;
static const char *circumstances = "";

static int read_lines(const char *name)
{
    FILE *const file = fopen(name, "r");
    char line[200];
    expected_lines = 0;
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0] == 0 || line[0] == '#') continue;
        if (expected_lines == MOST_LINES || strlen(line) >= sizeof expected[0]) {
            expected_lines = 0;
            break;
        }
        memcpy(expected[expected_lines++], line, strlen(line) + 1);
    }
    fclose(file);
    return expected_lines != 0;
}

static void line(const char *name, const char *carrier, const char *kind)
{
    char made[200];
    int length = snprintf(made, sizeof made, "%s %s %s %016llx", name, carrier, kind, (unsigned long long)hash);
    for (int i = 0; name[i]; i++)
        if (made[i] == ' ') made[i] = '_';
    if (length >= (int)sizeof expected[0]) exit(2);
    if (!checking) {
        printf("%s\n", made);
    } else if (line_number >= expected_lines || strcmp(made, expected[line_number]) != 0) {
        printf("%s%s\n    not %s\n", circumstances, made,
               line_number < expected_lines ? expected[line_number] : "in the file");
        lines_wrong++;
    }
    line_number++;
}

/* ---- calls ---- */

static uint64_t code_at(const void *from, int bytes, size_t j)
{
    switch (bytes) {
    case 1: return ((const uint8_t *)from)[j];
    case 2: return ((const uint16_t *)from)[j];
    case 4: return ((const uint32_t *)from)[j];
    default: return ((const uint64_t *)from)[j];
    }
}

static void put_code(void *to, int bytes, size_t j, uint64_t code)
{
    switch (bytes) {
    case 1: ((uint8_t *)to)[j] = (uint8_t)code; break;
    case 2: ((uint16_t *)to)[j] = (uint16_t)code; break;
    case 4: ((uint32_t *)to)[j] = (uint32_t)code; break;
    default: ((uint64_t *)to)[j] = code; break;
    }
}

static void put(array *to, int width, size_t j, uint64_t pattern)
{
    if (width == 32)
        to->u[j] = (uint32_t)pattern;
    else
        to->v[j] = pattern;
}

static void refine(void *context, uint32_t level, uint32_t block[4])
{
    const uint64_t *const at = (const uint64_t *)context;
    sr_philox_block(at[0], at[1], at[2], level, block);
}

static int sign_of(uint64_t pattern, int width)
{
    uint64_t const sign = (uint64_t)1 << (width - 1);
    return (pattern & (sign - 1)) == 0 ? 0 : pattern & sign ? -1 : 1;
}

/* Does the definition refuse element j? */
static int refused(const sr_plan *plan, const sr_words *words, int width, int to_codes, size_t j)
{
    uint64_t at[3], code;
    unsigned flags;
    uint64_t result;
    at[0] = words->seed;
    at[1] = words->stream;
    at[2] = 8 * words->block + words->offset + j;
    result = sr_round_bits(plan, values[j], words_of[j], sign_of(directions[j], width), refine, at, &flags);
    return flags & SR_FLAG_REFUSED || (to_codes && !sr_encode_bits(plan, result, &code));
}

/* The first n elements, operands and result with strides: hashes the result, or the refusal. Was there one? */
static int call(const sr_plan *plan, const sr_words *words, int width, int to_codes, size_t n, int step,
                int result_step)
{
    int const bytes = sr_format_code_bytes(&plan->format);
    int const directed = plan->mode == SR_MODE_SR_SIGNED;
    const float *const vf = directed ? v.f : NULL;
    const double *const vd = directed ? v.d : NULL;
    size_t const last = result_step < 0 ? (n - 1) * (size_t)-result_step : 0; /* where a descending result begins */
    uint64_t index = 0;
    sr_status status;
    if (to_codes) {
        unsigned char *const to = (unsigned char *)codes + last * (size_t)bytes;
        status = width == 32 ? sr_encode_f32(plan, words, n, x.f, step, vf, step, to, result_step, &index)
                             : sr_encode_f64(plan, words, n, x.d, step, vd, step, to, result_step, &index);
    } else {
        status = width == 32 ? sr_round_f32(plan, words, n, x.f, step, vf, step, y.f + last, result_step, &index)
                             : sr_round_f64(plan, words, n, x.d, step, vd, step, y.d + last, result_step, &index);
    }
    add((uint64_t)status);
    if (status != SR_OK) {
        add(index);
        return 1;
    }
    for (size_t j = 0; j < n; j++) {
        size_t const at = result_step < 0 ? last - j * (size_t)-result_step : j * (size_t)result_step;
        add(to_codes ? code_at(codes, bytes, at) : width == 32 ? y.u[at] : y.v[at]);
    }
    return 0;
}

/* One format, way of rounding, rule, carrier and kind of result, on what values[] and so on hold. */
static void combination(const sr_plan *plan, const sr_words *words, int width, int to_codes, size_t few)
{
    int const on_grid = plan->format.precision == SR_GRID; /* whose largest value may have no code */
    for (size_t j = 0; j < N; j++) {
        put(&x, width, j, width == 32 ? sr_narrow_f32(values[j]) : values[j]);
        put(&v, width, j, directions[j]);
    }
    if (call(plan, words, width, to_codes, N, 1, 1)) {
        for (size_t j = 0; j < N; j++)
            if (refused(plan, words, width, to_codes, j))
                put(&x, width, j, on_grid ? 0 : width == 32 ? sr_narrow_f32(plan->max_bits) : plan->max_bits);
        call(plan, words, width, to_codes, N, 1, 1);
    }
    if (plan->overflow != SR_OVERFLOW_SATURATE) return;
    /* A few elements apart from each other, upside down, and with words of the caller's where the mode takes them. */
    sr_words given = *words;
    for (size_t j = 0; j < few; j++) {
        put(&x, width, j * SPREAD, width == 32 ? sr_narrow_f32(values[j]) : values[j]);
        put(&v, width, j * SPREAD, directions[j]);
        if (plan->word_bits) put_code(bits, plan->word_bits / 8, j * SPREAD, words_of[j]);
    }
    if (plan->word_bits && plan->random_bits != SR_EXACT) {
        given.bits = bits;
        given.bits_stride = SPREAD;
    }
    call(plan, &given, width, to_codes, few, SPREAD, -2);
}

static void check(sr_status status)
{
    if (status == SR_OK) return;
    printf("%s\n", sr_strerror(status));
    exit(1);
}

static void round_all(size_t k, const char *name, const sr_format *format, int width, const sr_path *path)
{
    uint64_t hashes[2];
    start_hash();
    hashes[0] = hashes[1] = hash;
    for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
        /* Both ends of a block's number, and odd elements. */
        sr_words const words = {1000 + k, way & 4 ? ((uint64_t)1 << 48) - 1 - way : way,
                                (way & 1 ? 0 : (uint64_t)1 << 32) - 20, way & 2 ? 5 + way : 0, NULL, 0};
        sr_rounding rounding = sweep_roundings[way];
        uint64_t state = 100 * k + way + (width == 32 ? 0 : 50);
        sr_plan plan;
        rounding.overflow = SR_OVERFLOW_SATURATE;
        check(sr_plan_init(&plan, format, &rounding));
        for (size_t j = 0; j < N; j++) {
            words_of[j] = sweep_word(&plan, &words, words.offset + j);
            values[j] = format->precision == SR_GRID ? sweep_on_grid(&plan, words_of[j], &state)
                                                     : sweep_element(&plan, width, words_of[j], j, way + k, &state);
            directions[j] = sweep_direction(width, &state);
        }
        for (int rule = SR_OVERFLOW_INF; rule <= SR_OVERFLOW_RAISE; rule++) {
            rounding.overflow = (sr_overflow)rule;
            if (sr_plan_init(&plan, format, &rounding) != SR_OK) continue;
            if (path) check(sr_plan_set_path(&plan, *path));
            for (int to_codes = 0; to_codes < 2; to_codes++) {
                hash = hashes[to_codes];
                combination(&plan, &words, width, to_codes, 1 + (13 * way + 5 * k) % 67);
                hashes[to_codes] = hash;
            }
        }
    }
    for (int to_codes = 0; to_codes < 2; to_codes++) {
        hash = hashes[to_codes];
        line(name, width == 32 ? "float32" : "float64", to_codes ? "codes" : "values");
    }
}

/* All codes of up to 16 bits; as many of wider ones; and one that is none. */
static void decode_all(size_t k, const char *name, const sr_format *format, int width)
{
    int const code_bits = sr_format_code_bits(format), bytes = sr_format_code_bytes(format);
    int const is_signed = format->precision == SR_FIXED_POINT && format->flags & SR_SIGNED;
    uint64_t const count = code_bits < 16 ? sr_ones(code_bits) + 1 : 65536;
    uint64_t const top = (uint64_t)1 << (code_bits - 1);
    uint64_t state = k;
    start_hash();
    for (uint64_t from = 0; from < count; from += N) {
        size_t const n = count - from < N ? (size_t)(count - from) : N;
        uint64_t index = 0;
        sr_status status;
        for (size_t j = 0; j < n; j++) {
            uint64_t code = code_bits <= 16 ? from + j : sweep_random(&state) & sr_ones(code_bits);
            if (is_signed) code = (code ^ top) - top;
            put_code(codes, bytes, j, code);
        }
        for (int again = 0; again < 2; again++) {
            status = width == 32 ? sr_decode_f32(format, n, codes, 1, y.f, 1, &index)
                                 : sr_decode_f64(format, n, codes, 1, y.d, 1, &index);
            add((uint64_t)status);
            for (size_t j = 0; status == SR_OK && j < n; j++) add(width == 32 ? y.u[j] : y.v[j]);
            if (status != SR_OK) add(index);
            if (code_bits == 8 * bytes || from) break;
            put_code(codes, bytes, n / 2, is_signed ? top : 2 * top);
        }
    }
    line(name, width == 32 ? "float32" : "float64", "decoded");
}

/* Words from odd places, over the ends of a block's number. */
static void fill_all(const char *name, uint64_t block, const sr_path *path)
{
    static uint32_t drawn[4 * N];
    long long beyond = 0;
    start_hash();
    for (size_t n = 1; n < 140; n++)
        for (uint64_t first = 0; first < 9; first++) {
            uint64_t const from = first < 8 ? first : (uint64_t)1 << (n % 63);
            size_t const count = n == 139 ? 3 * N : n;
            uint64_t const seed = n * 0x9E3779B97F4A7C15u, stream = first & 1 ? ((uint64_t)1 << 48) - n : n;
            for (size_t j = count; j < count + 64; j++) drawn[j] = 0xA5A5A5A5u;
            if (path)
                sr_philox_fill_on(sr_kernels_for(*path), seed, stream, block, from, count, drawn);
            else
                sr_philox_fill(seed, stream, block, from, count, drawn);
            for (size_t j = 0; j < count; j++) add(drawn[j]);
            for (size_t j = count; j < count + 64; j++) beyond += drawn[j] != 0xA5A5A5A5u;
        }
    if (beyond) {
        printf("philox %s: %lld words written beyond the end\n", name, beyond);
        lines_wrong++;
    }
    line("philox", name, "words");
}

/* All operations in one format, all ways of rounding, and how often what happened. */
static void arith_all(size_t k, const sr_format *format, int width, const sr_path *path)
{
    static array second, third, again;
    start_hash();
    for (int op = SR_OP_ADD; op <= SR_OP_FMA; op++)
        for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
            sr_words const words = {2000 + k, way, way & 1 ? 0 : (uint64_t)1 << 40, way & 2 ? 5 + way : 0, NULL, 0};
            size_t const n = 200;
            int const values_of = op == SR_OP_FMA ? 3 : op == SR_OP_SQRT ? 1 : 2;
            uint64_t state = 1000 * k + 40 * way + (uint64_t)op;
            sr_rounding rounding = sweep_roundings[way];
            sr_counts counts = {0, 0, 0, 0};
            uint64_t index = 0;
            const float *f[4] = {x.f, second.f, third.f, NULL};
            const double *d[4] = {x.d, second.d, third.d, NULL};
            ptrdiff_t const strides[4] = {1, 1, 1, 1};
            sr_status status;
            sr_plan plan;
            rounding.overflow = SR_OVERFLOW_SATURATE;
            check(sr_plan_init(&plan, format, &rounding));
            if (path) check(sr_plan_set_path(&plan, *path));
            for (size_t j = 0; j < n; j++) {
                uint64_t const a = sweep_element(&plan, width, sweep_word(&plan, &words, words.offset + j), j, way, &state);
                uint64_t const b = sweep_other(&plan, width, a, &state), c = sweep_other(&plan, width, b, &state);
                put(&x, width, j, width == 32 ? sr_narrow_f32(a) : a);
                put(&second, width, j, width == 32 ? sr_narrow_f32(b) : b);
                put(&third, width, j, width == 32 ? sr_narrow_f32(c) : c);
                put(&v, width, j, sweep_direction(width, &state));
            }
            f[values_of] = v.f;
            d[values_of] = v.d;
            status = width == 32 ? sr_arith_f32(&plan, (sr_op)op, &words, n, f, strides, y.f, 1, &counts, &index)
                                 : sr_arith_f64(&plan, (sr_op)op, &words, n, d, strides, y.d, 1, &counts, &index);
            add((uint64_t)status);
            for (size_t j = 0; j < n; j++) add(width == 32 ? y.u[j] : y.v[j]);
            if (width == 32)
                sr_arith_f32(&plan, (sr_op)op, &words, n, f, strides, again.f, 1, NULL, &index);
            else
                sr_arith_f64(&plan, (sr_op)op, &words, n, d, strides, again.d, 1, NULL, &index);
            add((uint64_t)(memcmp(&again, &y, n * (size_t)width / 8) != 0)); /* without totals: the same */
            add(counts.overflow);
            add(counts.underflow);
            add(counts.nan);
            add(counts.inexact);
            if (way + 1 == SWEEP_ROUNDINGS && op == SR_OP_FMA)
                line(sweep_formats[k].name, width == 32 ? "float32" : "float64", "arithmetic");
        }
}

/* Steps of gradient descent, gradient and product rounded alike: one long run, and short ones side by side. */
static void descend_all(size_t k, const char *name, const sr_format *format, int width, const sr_path *path)
{
    static array second, third;
    static const double steps[] = {0.25, -0.1, 3, 0x1p-12};
    start_hash();
    for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
        sr_words const words = {k, 70 * way, ((uint64_t)1 << 32) - 40, way & 1 ? 3 : 0, NULL, 0};
        sr_carrier const carrier = width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64;
        sr_rounding rounding = sweep_roundings[way], last = sweep_roundings[way & 1 ? way : 0];
        uint64_t state = 31 * k + way + (uint64_t)width;
        sr_plan plan, update;
        rounding.overflow = last.overflow = SR_OVERFLOW_SATURATE;
        if (rounding.mode == SR_MODE_SR_SIGNED) rounding.mode = SR_MODE_SR_EPS;
        check(sr_plan_init(&plan, format, &rounding));
        check(sr_plan_init(&update, format, &last));
        if (path) check(sr_plan_set_path(&plan, *path));
        if (path) check(sr_plan_set_path(&update, *path));
        for (size_t runs = 1; runs <= N / 5; runs += N / 5 - 1) {
            size_t const n = runs == 1 ? N - 20 : 5;
            sr_words from = words;
            sr_descent const descent = {&plan, &plan, &update, steps[way % 4], n + from.offset};
            sr_descent_counts counts[N / 5];
            sr_descent_failure failure = {0, 0, SR_DESCENT_GRADIENT};
            sr_status status;
            memset(counts, 0, sizeof counts);
            for (size_t j = 0; j < runs * n; j++) {
                uint64_t const a = sweep_element(&plan, width, sweep_word(&plan, &words, words.offset + j), j, k, &state);
                uint64_t const b = sweep_value(&update, width, 0, &state), c = sweep_other(&plan, width, b, &state);
                int const nan = last.mode == SR_MODE_SR_SIGNED && (a & ~SR_F64_SIGN) > SR_F64_INF; /* no direction */
                put(&x, width, j, width == 32 ? sr_narrow_f32(b) : b);
                put(&second, width, j, nan ? 0 : width == 32 ? sr_narrow_f32(a) : a);
                put(&third, width, j, width == 32 ? sr_narrow_f32(c) : c);
            }
            if (width == 32)
                status = way & 2 ? sr_descend_diagonal_f32(&descent, &from, runs, n, x.f, second.f, third.f, carrier, y.f,
                                                           v.f, counts, &failure)
                                 : sr_descend_f32(&descent, &from, runs, n, x.f, second.f, carrier, y.f, v.f, counts,
                                                  &failure);
            else
                status = way & 2 ? sr_descend_diagonal_f64(&descent, &from, runs, n, x.d, second.d, third.d, carrier, y.d,
                                                           v.d, counts, &failure)
                                 : sr_descend_f64(&descent, &from, runs, n, x.d, second.d, carrier, y.d, v.d, counts,
                                                  &failure);
            add((uint64_t)status);
            add(failure.run);
            add(failure.index);
            for (size_t j = 0; status == SR_OK && j < runs * n; j++) {
                add(width == 32 ? y.u[j] : y.v[j]);
                add(width == 32 ? v.u[j] : v.v[j]);
            }
            for (size_t r = 0; status == SR_OK && r < runs; r++) {
                for (int i = 0; i < 3; i++) add(counts[r].overflow[i]);
                add(counts[r].stagnated);
                add(counts[r].moved);
            }
        }
    }
    line(name, width == 32 ? "float32" : "float64", "descent");
}

static void all_lines(const sr_path *path)
{
    line_number = 0;
    fill_all("0", 0, path);
    fill_all("2^32-9", ((uint64_t)1 << 32) - 9, path);
    fill_all("2^64-9", (uint64_t)0 - 9, path);
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format;
        check(sweep_format(&format, k));
        for (int width = 32; width <= 64; width += 32) {
            if (sr_format_fits(&format, width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64) != SR_OK) continue;
            round_all(k, sweep_formats[k].name, &format, width, path);
            decode_all(k, sweep_formats[k].name, &format, width);
            arith_all(k, &format, width, path);
        }
    }
    for (size_t k = 0; k < SWEEP_GRIDS; k++) {
        char name[60];
        sr_format format;
        check(sweep_grid(&format, k));
        snprintf(name, sizeof name, "grid of %s", sweep_grids[k].name);
        round_all(SWEEP_FORMATS + k, name, &format, 64, path);
        decode_all(SWEEP_FORMATS + k, name, &format, 64);
    }
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format;
        check(sweep_format(&format, k));
        for (int width = 32; width <= 64; width += 32)
            if (sr_format_fits(&format, width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64) == SR_OK)
                descend_all(k, sweep_formats[k].name, &format, width, path);
    }
    if (checking && line_number < expected_lines) {
        printf("%s%d lines of the file were not made\n", circumstances, expected_lines - line_number);
        lines_wrong++;
    }
}

/* ---- the floating-point environment ---- */

static const struct {
    const char *name;
    int direction;
} environments[] = {
    {"to nearest, flushing: ", FE_TONEAREST}, {"upward, flushing: ", FE_UPWARD},
    {"downward, flushing: ", FE_DOWNWARD},    {"toward zero, flushing: ", FE_TOWARDZERO},
};

/* Subnormal operands and results are flushed to zero, where the machine can. */
static void flush(int on)
{
#if defined(__x86_64__) || defined(_M_X64)
    unsigned const both = 0x8040;
    _mm_setcsr(on ? _mm_getcsr() | both : _mm_getcsr() & ~both);
#elif defined(__aarch64__)
    uint64_t const both = (uint64_t)1 << 24 | (uint64_t)1 << 19;
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = on ? fpcr | both : fpcr & ~both;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#else
    (void)on;
#endif
}

/* Is the environment what was set? */
static int is_set(int direction)
{
    volatile double one = 1, tiny = 0, sum;
    union { double value; uint64_t pattern; } smallest;
    smallest.pattern = 0x0010000000000000u;
    tiny = smallest.value;
    sum = one + tiny;
    if (fegetround() != direction || (sr_bits_f64(sum) != sr_bits_f64(1.0)) != (direction == FE_UPWARD)) return 0;
#if defined(__x86_64__) || defined(_M_X64) || defined(__aarch64__)
    sum = tiny * 0.5;
    return sr_bits_f64(sum) == 0;
#else
    return 1;
#endif
}

static void in_all_environments(const sr_path *path)
{
    for (size_t i = 0; i < sizeof environments / sizeof environments[0]; i++) {
        int before, after;
        circumstances = environments[i].name;
        before = fesetround(environments[i].direction) == 0;
        flush(1);
        before = before && is_set(environments[i].direction);
        all_lines(path);
        after = is_set(environments[i].direction);
        flush(0);
        fesetround(FE_TONEAREST);
        if (!before || !after) {
            printf("%sthe environment %s\n", circumstances, before ? "was changed" : "could not be set");
            lines_wrong++;
        }
    }
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    int environment = 0;
    const sr_path *path = NULL;
    sr_path named;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--environment") == 0) {
            environment = 1;
        } else if (strcmp(argv[i], "--path") == 0 && i + 1 < argc && sr_path_named(&named, argv[i + 1]) == SR_OK) {
            path = &named;
            i++;
        } else if (strcmp(argv[i], "--check") == 0 && i + 1 < argc) {
            file = argv[++i];
        } else {
            file = NULL;
            environment = 1;
            break;
        }
    }
    if (environment && !file) {
        printf("usage: hashes [--path NAME] [--check FILE [--environment]]\n");
        return 2;
    }
    if (path && !sr_kernels_for(*path)) {
        printf("no path %s here\n", sr_path_name(*path));
        return 77;
    }
    if (!file) {
        printf("# What srcore makes of the sweep in srcore/tests/sweep.h. Made by: hashes --path %s > hashes.txt\n",
               sr_path_name(path ? *path : sr_path_best()));
        all_lines(path);
        return 0;
    }
    checking = 1;
    if (!read_lines(file)) {
        printf("%s: not a file of hashes\n", file);
        return 2;
    }
    all_lines(path);
    if (environment) in_all_environments(path);
    printf("%s: %d lines%s, %d wrong\n", sr_path_name(path ? *path : sr_path_best()), line_number,
           environment ? ", in every environment" : "", lines_wrong);
    return lines_wrong != 0;
}
