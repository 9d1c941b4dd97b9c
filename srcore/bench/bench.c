/* How long rounding takes, an element, beside what bounds it: copying the same array with libc's memcpy, and drawing its
 * Philox words alone. One thread; aligned and warmed buffers; everything takes turns, and the least of all turns counts.
 *
 *     bench [--path NAME] [--turns N] [--specials] [--small]
 *     bench --descent [--path NAME] [--turns N]
 *
 * What bounds an element: 8 bytes of traffic from float32 to float32 (16 from float64, 5 to a byte code), and 1/8 Philox
 * block, which is 2.5 multiplications of 32 bits, where 16 bits are drawn. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "srcore/scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SMALL 10000
#define LARGE 10000000

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct bench_case {
    const char *label, *format; /* NULL: the grid of step 0.01 */
    sr_mode mode;
    int width, codes, random_bits;
    double target[2]; /* the multiples to stay below on AVX-512: of the words alone at SMALL, of memcpy at LARGE */
    sr_op op;         /* of two operands, where it is not to round */
} bench_case;

static const bench_case cases[] = {
    {"float32 -> bfloat16, sr", "bfloat16", SR_MODE_SR, 32, 0, SR_EXACT, {1.5, 1.1}, SR_OP_ROUND},
    {"float32 -> float16, sr", "float16", SR_MODE_SR, 32, 0, SR_EXACT, {2.3, 1.25}, SR_OP_ROUND},
    {"float32 -> float8_e4m3fn, sr", "float8_e4m3fn", SR_MODE_SR, 32, 0, SR_EXACT, {2.3, 1.25}, SR_OP_ROUND},
    {"float32 -> tf32, sr", "tf32", SR_MODE_SR, 32, 0, SR_EXACT, {2.3, 1.25}, SR_OP_ROUND},
    {"float32 -> Q3.8, sr", "Q3.8", SR_MODE_SR, 32, 0, SR_EXACT, {2.8, 1.4}, SR_OP_ROUND},
    {"float64 -> bfloat16, sr", "bfloat16", SR_MODE_SR, 64, 0, SR_EXACT, {3.5, 1.1}, SR_OP_ROUND},
    {"float64 -> float16, sr", "float16", SR_MODE_SR, 64, 0, SR_EXACT, {3.5, 1.1}, SR_OP_ROUND},
    {"float64 -> binary32, sr", "binary32", SR_MODE_SR, 64, 0, SR_EXACT, {3.5, 1.1}, SR_OP_ROUND},
    {"float64 -> multiples of 0.01, sr", NULL, SR_MODE_SR, 64, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
    {"float32 -> bfloat16 codes, sr", "bfloat16", SR_MODE_SR, 32, 1, SR_EXACT, {2.0, 1.1}, SR_OP_ROUND},
    {"float32 -> float8_e4m3fn codes, sr", "float8_e4m3fn", SR_MODE_SR, 32, 1, SR_EXACT, {2.0, 1.1}, SR_OP_ROUND},
    {"float32 -> float8_e5m2 codes, sr", "float8_e5m2", SR_MODE_SR, 32, 1, SR_EXACT, {2.0, 1.1}, SR_OP_ROUND},
    {"float32 -> Q3.8 codes, sr", "Q3.8", SR_MODE_SR, 32, 1, SR_EXACT, {0, 0}, SR_OP_ROUND},
    {"float32 -> bfloat16, rne", "bfloat16", SR_MODE_RNE, 32, 0, SR_EXACT, {0, 1.1}, SR_OP_ROUND},
    {"float32 -> float16, rne", "float16", SR_MODE_RNE, 32, 0, SR_EXACT, {0, 1.1}, SR_OP_ROUND},
    {"float32 -> Q3.8, ro", "Q3.8", SR_MODE_RO, 32, 0, SR_EXACT, {0, 1.1}, SR_OP_ROUND},
    {"float64 -> float16, ru", "float16", SR_MODE_RU, 64, 0, SR_EXACT, {0, 1.1}, SR_OP_ROUND},
    {"float32 -> bfloat16, sr_eps", "bfloat16", SR_MODE_SR_EPS, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
    {"float32 -> bfloat16, sr, 8 bits", "bfloat16", SR_MODE_SR, 32, 0, 8, {0, 0}, SR_OP_ROUND},
    {"float32 -> float8_e4m3fn, sr, 16 bits", "float8_e4m3fn", SR_MODE_SR, 32, 0, 16, {0, 0}, SR_OP_ROUND},
    {"float32 + float32 -> bfloat16, sr", "bfloat16", SR_MODE_SR, 32, 0, SR_EXACT, {1.8, 1.6}, SR_OP_ADD},
    {"float32 * float32 -> bfloat16, sr", "bfloat16", SR_MODE_SR, 32, 0, SR_EXACT, {1.8, 1.6}, SR_OP_MUL},
    {"float32 + float32 -> float16, sr", "float16", SR_MODE_SR, 32, 0, SR_EXACT, {0, 0}, SR_OP_ADD},
    {"float32 / float32 -> bfloat16, rne", "bfloat16", SR_MODE_RNE, 32, 0, SR_EXACT, {0, 0}, SR_OP_DIV},
};

#define CASES (sizeof cases / sizeof cases[0])

typedef struct buffers {
    float *x32, *y32, *z32; /* z32: a second operand */
    double *x64, *y64;
    uint32_t *words;
    const sr_kernels *kernels;
    sr_path path;
} buffers;

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!p) exit(1);
    memset(p, 1, bytes);
    return p;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void make_plan(sr_plan *plan, const bench_case *c, sr_path path)
{
    sr_format format;
    sr_rounding const rounding = {c->mode, SR_OVERFLOW_DEFAULT, c->random_bits, SR_VARIANT_A, 0.25};
    if (!c->format)
        sr_format_grid(&format, 1, 100, 0, SR_OVERFLOW_DEFAULT);
    else if (sr_format_named(&format, c->format) != SR_OK)
        fail(c->format);
    if (sr_plan_init(plan, &format, &rounding) != SR_OK || sr_plan_set_path(plan, path) != SR_OK) fail(c->label);
}

static void run_case(const bench_case *c, const sr_plan *plan, const buffers *b, size_t n)
{
    sr_words const words = {7, 0, 0, 0, NULL, 0};
    const float *const operands[2] = {b->x32, b->z32};
    ptrdiff_t const strides[2] = {1, 1};
    sr_status status;
    if (c->op != SR_OP_ROUND)
        status = sr_arith_f32(plan, c->op, &words, n, operands, strides, b->y32, 1, NULL, NULL);
    else if (c->width == 32)
        status = c->codes ? sr_encode_f32(plan, &words, n, b->x32, 1, NULL, 0, b->y32, 1, NULL)
                          : sr_round_f32(plan, &words, n, b->x32, 1, NULL, 0, b->y32, 1, NULL);
    else
        status = c->codes ? sr_encode_f64(plan, &words, n, b->x64, 1, NULL, 0, b->y64, 1, NULL)
                          : sr_round_f64(plan, &words, n, b->x64, 1, NULL, 0, b->y64, 1, NULL);
    if (status != SR_OK) fail(sr_strerror(status));
}

/* Nearly normal: the sum of four uniform numbers, scaled to variance 1. */
static void fill_normal(const buffers *b, size_t n)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 40) / 16777216.0 - 0.5;
        }
        b->x64[i] = sum * 1.7320508;
        b->x32[i] = (float)b->x64[i];
        b->z32[n - 1 - i] = (float)b->x64[i];
    }
}

/* ns an element: [0] words, [1] memcpy float32, [2] memcpy float64, then the cases */
static void measure(const buffers *b, size_t n, int turns, double *least)
{
    sr_plan plans[CASES];
    for (size_t k = 0; k < CASES; k++) make_plan(&plans[k], &cases[k], b->path);
    for (size_t k = 0; k < CASES + 3; k++) least[k] = 1e9;
    for (int turn = 0; turn < turns; turn++)
        for (size_t k = 0; k < CASES + 3; k++) {
            double const start = now();
            double spent;
            if (k == 0)
                sr_philox_fill_on(b->kernels, 7, 0, 0, 0, n / 2, b->words);
            else if (k == 1)
                memcpy(b->y32, b->x32, n * sizeof(float));
            else if (k == 2)
                memcpy(b->y64, b->x64, n * sizeof(double));
            else
                run_case(&cases[k - 3], &plans[k - 3], b, n);
            spent = (now() - start) * 1e9 / (double)n;
            if (spent < least[k]) least[k] = spent;
        }
}

static void table(const buffers *b, int turns, int only_small)
{
    double small[CASES + 3], large[CASES + 3];
    measure(b, SMALL, turns < 2000 ? 2000 : turns, small);
    if (!only_small) measure(b, LARGE, turns, large);
    printf("path %s, one thread; ns an element\n", sr_path_name(b->path));
    printf("%-40s %10s %9s   %10s %9s\n", "", "n = 1e4", "x words", only_small ? "" : "n = 1e7", only_small ? "" : "x memcpy");
    for (size_t k = 0; k < CASES + 3; k++) {
        static const char *const companions[] = {"Philox words alone, 16 bits", "memcpy float32", "memcpy float64"};
        const char *const label = k < 3 ? companions[k] : cases[k - 3].label;
        printf("%-40s %10.3f %9.2f", label, small[k], small[k] / small[0]);
        if (!only_small) printf("   %10.3f %9.2f", large[k], large[k] / large[k >= 3 && cases[k - 3].width == 64 ? 2 : 1]);
        if (k >= 3 && (cases[k - 3].target[0] > 0 || cases[k - 3].target[1] > 0)) {
            printf("   (");
            if (cases[k - 3].target[0] > 0) printf("%.2f ", cases[k - 3].target[0]);
            printf("| %.2f)", cases[k - 3].target[1]);
        }
        printf("\n");
    }
}

/* Whole inputs of one kind, as multiples of the normal case. */
static void specials(const buffers *b, int turns)
{
    static const struct {
        const char *label;
        uint64_t f32, f64; /* a pattern, to which a small number is added below */
        int spread;
    } inputs[] = {
        {"normal", 0, 0, 0},
        {"zeros", 0, 0, 0},
        {"-0", 0x80000000u, SR_F64_SIGN, 0},
        {"subnormal", 0x00000123u, 0x0000000000000123u, 1},
        {"NaN", 0x7FC00000u, 0x7FF8000000000000u, 1},
        {"infinite", 0x7F800000u, SR_F64_INF, 0},
        {"overflow", 0x7F7FF000u, 0x7FEFFFFFFFFFF000u, 1},
        {"exact", 0x3F800000u, 0x3FF0000000000000u, 0},
        {"tiny", 0x2E000000u, 0x3DC0000000000000u, 1},
    };
    enum { INPUTS = sizeof inputs / sizeof inputs[0] };
    static const size_t which[] = {0, 1, 2, 4, 6, 8, 9, 12, 13, 14, 15, 16, 17};
    enum { WHICH = sizeof which / sizeof which[0] };
    static double least[WHICH][INPUTS];
    printf("\nwhole inputs of one kind, n = 1e4: ns an element, then multiples of the normal case\n%-40s", "");
    for (int k = 0; k < INPUTS; k++) printf(" %9s", inputs[k].label);
    printf("\n");
    for (size_t w = 0; w < WHICH; w++)
        for (int k = 0; k < INPUTS; k++) least[w][k] = 1e9;
    for (int k = 0; k < INPUTS; k++) {
        if (k == 0) {
            fill_normal(b, SMALL);
        } else {
            for (size_t i = 0; i < SMALL; i++) {
                uint32_t const u = (uint32_t)inputs[k].f32 + (inputs[k].spread ? (uint32_t)(i % 64) : 0);
                uint64_t const v = inputs[k].f64 + (inputs[k].spread ? i % 64 : 0);
                memcpy(&b->x32[i], &u, sizeof u);
                memcpy(&b->x64[i], &v, sizeof v);
            }
        }
        for (size_t w = 0; w < WHICH; w++) {
            sr_plan plan;
            make_plan(&plan, &cases[which[w]], b->path);
            for (int turn = 0; turn < turns; turn++) {
                double const start = now();
                double spent;
                run_case(&cases[which[w]], &plan, b, SMALL);
                spent = (now() - start) * 1e9 / SMALL;
                if (spent < least[w][k]) least[w][k] = spent;
            }
        }
    }
    for (size_t w = 0; w < WHICH; w++) {
        printf("%-40s %9.3f", cases[which[w]].label, least[w][0]);
        for (int k = 1; k < INPUTS; k++) printf(" %9.2f", least[w][k] / least[w][0]);
        printf("\n");
    }
}

/* Left-to-right sums of SMALL steps in all, every addition rounded: one, and 64 whose terms are beside one another or in
 * rows. With totals, as pysr takes them. */
static void sums(const buffers *b, int turns)
{
    static const char *const formats[] = {"bfloat16", "float16", "Q3.8"};
    static const double targets[] = {4.0, 0.6, 0};
    enum { MANY = 64, STEPS = SMALL / MANY, WAYS = 6, FORMATS = 3, KINDS = 3 };
    static const sr_mode modes[] = {SR_MODE_SR, SR_MODE_RNE};
    double least[FORMATS][WAYS];
    double words = 1e9;
    printf("\nsums, ns a step (x words)                 one           64 sums      64 in rows\n");
    for (int f = 0; f < FORMATS; f++)
        for (int w = 0; w < WAYS; w++) least[f][w] = 1e9;
    for (int turn = 0; turn < turns; turn++) {
        double const start = now();
        double spent;
        sr_philox_fill_on(b->kernels, 7, 0, 0, 0, SMALL / 2, b->words);
        spent = (now() - start) * 1e9 / SMALL;
        if (spent < words) words = spent;
        for (int f = 0; f < FORMATS; f++)
            for (int w = 0; w < WAYS; w++) {
                bench_case const c = {formats[f], formats[f], modes[w / KINDS], 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND};
                size_t const results = w % KINDS ? MANY : 1;
                sr_reduction const r = {SR_TERMS_SUM, SR_ORDER_SEQUENTIAL, w % KINDS ? STEPS : SMALL, 0, 0, NULL, 0};
                sr_words const drawn = {7, 0, 0, 0, NULL, 0};
                const float *const operands[3] = {b->x32, NULL, NULL};
                ptrdiff_t const strides[3][2] = {{w % KINDS == 1 ? 1 : STEPS, w % KINDS == 1 ? MANY : 1}, {0, 0}, {0, 0}};
                ptrdiff_t const to[2] = {1, 1};
                sr_counts counts = {0, 0, 0, 0};
                sr_plan plan;
                sr_status status;
                double begin;
                make_plan(&plan, &c, b->path);
                begin = now();
                status = sr_reduce_f32(&plan, &r, &drawn, results, operands, strides, b->y32, to, &counts, NULL);
                spent = (now() - begin) * 1e9 / (double)(results * r.n);
                if (status != SR_OK) fail(sr_strerror(status));
                if (spent < least[f][w]) least[f][w] = spent;
            }
    }
    for (int f = 0; f < FORMATS; f++)
        for (int m = 0; m < 2; m++) {
            printf("%-32s", formats[f]);
            printf("%-4s", m ? "rne" : "sr");
            for (int k = 0; k < KINDS; k++) {
                printf("%9.2f (%5.1f)", least[f][m * KINDS + k], least[f][m * KINDS + k] / words);
                if (f == 0 && m == 0 && targets[k] > 0) printf(" [%.1f]", targets[k]);
            }
            printf("\n");
        }
}

/* Matrix products of SIDE x SIDE: nanoseconds a rounding where products and sums are rounded, else a multiplication and
 * addition. With and without totals, which pysr takes. */
static void products(const buffers *b, int turns)
{
    enum { SIDE = 512, WAYS = 4 };
    static const char *const formats[] = {"bfloat16", "float16", "float8_e4m3fn"};
    static const struct {
        const char *label;
        sr_terms terms;
        size_t block;
        double roundings, target;
    } ways[WAYS] = {{"separate", SR_TERMS_DOT, 0, 2, 0.45}, {"fma", SR_TERMS_FMA, 0, 1, 0.5},
                    {"block 4", SR_TERMS_FUSED, 4, 1, 0}, {"block 16", SR_TERMS_FUSED, 16, 1, 0.2}};
    printf("\nproducts of %d x %d, sr, ns (with totals)", SIDE, SIDE);
    for (int w = 0; w < WAYS; w++) printf("%12s%s", ways[w].label, w < WAYS - 1 ? "      " : "\n");
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        bench_case const c = {formats[f], formats[f], SR_MODE_SR, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND};
        sr_words const drawn = {7, 0, 0, 0, NULL, 0};
        ptrdiff_t const strides[3][2] = {{SIDE, 1}, {SIDE, 1}, {0, 0}}, to[2] = {SIDE, 1};
        float *const left = b->y32, *const right = b->y32 + SIDE * SIDE, *const result = b->y32 + 2 * SIDE * SIDE;
        const float *const operands[3] = {left, right, NULL};
        sr_plan plan;
        make_plan(&plan, &c, b->path);
        if (sr_round_f32(&plan, &drawn, 2 * SIDE * SIDE, b->x32, 1, NULL, 0, left, 1, NULL) != SR_OK) fail("operands");
        printf("%-40s", formats[f]);
        for (int w = 0; w < WAYS; w++) {
            sr_reduction const r = {ways[w].terms, SR_ORDER_SEQUENTIAL, SIDE, ways[w].block, 0, NULL, 0};
            double least[2] = {1e9, 1e9};
            for (int turn = 0; turn < turns; turn++)
                for (int totals = 0; totals < 2; totals++) {
                    sr_counts counts = {0, 0, 0, 0};
                    double const start = now();
                    sr_status const status = sr_matmul_f32(&plan, &r, &drawn, SIDE, SIDE, operands, strides, result, to,
                                                           totals ? &counts : NULL, NULL);
                    double const spent = (now() - start) * 1e9 / (ways[w].roundings * SIDE * SIDE * SIDE);
                    if (status != SR_OK) fail(sr_strerror(status));
                    if (spent < least[totals]) least[totals] = spent;
                }
            printf("%7.2f (%.2f)", least[0], least[1]);
            if (f == 0 && ways[w].target > 0) printf(" [%.2f]", ways[w].target);
            printf("  ");
        }
        printf("\n");
    }
}

/* A step of gradient descent on a diagonal quadratic, float32, 10^6 coordinates, gradient and product rounded to Q7.8.
 *
 * What bounds a coordinate: 16 bytes of traffic (x, spectrum and minimizer read, x written) and, where 32 bits are drawn for
 * both roundings, half a Philox block. With AVX-512, beside the words, some 60 operations on 16 coordinates: 6 conversions
 * and 4 operations for the gradient in binary64, 15 for each rounding, 12 for the update and what is counted. So about
 * 0.6 ns for the words and as much for the rest at 3.4 GHz, if memory keeps up. And short runs side by side. */
static void descent(const buffers *b, int turns)
{
    enum { N = 1000000, MODES = 4, SHORT = 3 };
    static const bench_case rounding[MODES] = {
        {"sr_eps, t = 1/4", "Q7.8", SR_MODE_SR_EPS, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
        {"sr_eps, t = 0.1", "Q7.8", SR_MODE_SR_EPS, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
        {"sr, t = 1/4", "Q7.8", SR_MODE_SR, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
        {"rne, t = 1/4", "Q7.8", SR_MODE_RNE, 32, 0, SR_EXACT, {0, 0}, SR_OP_ROUND},
    };
    static const size_t coordinates[SHORT] = {1, 4, 16};
    float *const x = b->y32, *const start = b->x32, *const spectrum = b->z32, *const minimizer = b->z32 + N;
    double least[MODES + 2 + SHORT];
    sr_plan plans[MODES];
    for (size_t k = 0; k < MODES; k++) make_plan(&plans[k], &rounding[k], b->path);
    for (size_t i = 0; i < N; i++) { /* values on the grid, eigenvalues in (0, 1] */
        start[i] = (float)((int)(start[i] * 512)) / 256;
        minimizer[i] = (float)((int)(minimizer[i] * 512)) / 256;
        spectrum[i] = (float)(1 + i % 1000) / 1000;
    }
    for (size_t k = 0; k < MODES + 2 + SHORT; k++) least[k] = 1e9;
    for (int turn = 0; turn < turns; turn++)
        for (size_t k = 0; k < MODES + 2 + SHORT; k++) {
            sr_words const words = {7, 0, 0, 0, NULL, 0};
            size_t const n = k < MODES + 2 ? N : coordinates[k - MODES - 2];
            const sr_plan *const plan = &plans[k < MODES ? k : 0];
            sr_descent const step = {plan, plan, &plans[3], k == 1 ? 0.1 : 0.25, n};
            sr_status status = SR_OK;
            double begin, spent;
            memcpy(x, start, N * sizeof(float));
            begin = now();
            if (k == MODES)
                sr_philox_fill_on(b->kernels, 7, 0, 0, 0, 2 * (size_t)N, b->words);
            else if (k == MODES + 1)
                memcpy(x, start, N * sizeof(float));
            else
                status = sr_descend_diagonal_f32(&step, &words, k < MODES ? 1 : N / 16 / n, n, x, spectrum, minimizer,
                                                 SR_CARRIER_F32, x, NULL, NULL, NULL);
            spent = (now() - begin) * 1e9 / (k < MODES + 2 ? N : (double)(N / 16 / n * n));
            if (status != SR_OK) fail(sr_strerror(status));
            if (spent < least[k]) least[k] = spent;
        }
    printf("a step of gradient descent, %s, ns a coordinate:\n", sr_path_name(b->path));
    for (size_t k = 0; k < MODES + 2 + SHORT; k++) {
        if (k < MODES)
            printf("%-40s %9.3f\n", rounding[k].label, least[k]);
        else if (k < MODES + 2)
            printf("%-40s %9.3f\n", k == MODES ? "two words of 32 bits alone" : "memcpy of x", least[k]);
        else
            printf("sr_eps, runs of %-24zu %9.3f\n", coordinates[k - MODES - 2], least[k]);
    }
}

int main(int argc, char **argv)
{
    buffers b;
    int turns = 200, only_small = 0, with_specials = 0, only_descent = 0;
    b.path = sr_path_best();
    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--path") == 0 && a + 1 < argc) {
            if (sr_path_named(&b.path, argv[++a]) != SR_OK) fail("no such path");
        } else if (strcmp(argv[a], "--turns") == 0 && a + 1 < argc) {
            turns = atoi(argv[++a]);
        } else if (strcmp(argv[a], "--small") == 0) {
            only_small = 1;
        } else if (strcmp(argv[a], "--specials") == 0) {
            with_specials = 1;
        } else if (strcmp(argv[a], "--descent") == 0) {
            only_descent = 1;
        } else {
            fail("usage: bench [--path NAME] [--turns N] [--specials] [--small] [--descent]");
        }
    }
    if (turns < 1) fail("--turns must be at least 1");
    b.kernels = sr_kernels_for(b.path);
    if (!b.kernels) fail("this machine or build lacks the path");
    b.x32 = (float *)aligned(LARGE * sizeof(float));
    b.z32 = (float *)aligned(LARGE * sizeof(float));
    b.y32 = (float *)aligned(LARGE * sizeof(float));
    b.x64 = (double *)aligned(LARGE * sizeof(double));
    b.y64 = (double *)aligned(LARGE * sizeof(double));
    b.words = (uint32_t *)aligned(LARGE / 2 * sizeof(uint32_t));
    fill_normal(&b, LARGE);
    if (only_descent) {
        descent(&b, turns);
        return 0;
    }
    table(&b, turns, only_small);
    sums(&b, turns < 500 ? 500 : turns);
    products(&b, turns < 5 ? turns : 5);
    if (with_specials) specials(&b, turns < 500 ? 500 : turns);
    return 0;
}
