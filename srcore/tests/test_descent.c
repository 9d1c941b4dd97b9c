/* Steps of gradient descent: every path of this machine against the definition, rounding by rounding, with counts and
 * errors, in pieces, in place, and in other floating-point environments: formats x ways of rounding x overflow rules x
 * carriers x sizes x runs x places in the keystream, at random. test_descent [trials] */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <fenv.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

#define MOST 200000

typedef union array {
    float f[MOST];
    double d[MOST];
    uint32_t u[MOST];
    uint64_t v[MOST];
} array;

static array x, g, spectrum, minimizer, y, rounded;
static uint64_t expected[MOST], expected_rounded[MOST];
static long refined, quick;

typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
    refined++;
}

static void put(array *to, sr_carrier carrier, size_t j, uint64_t bits)
{
    if (carrier == SR_CARRIER_F32)
        to->u[j] = sr_narrow_f32(bits);
    else
        to->v[j] = bits;
}

static uint64_t get(const array *from, sr_carrier carrier, size_t j)
{
    return carrier == SR_CARRIER_F32 ? sr_widen_f32(from->u[j]) : from->v[j];
}

/* What a trial is about. */
typedef struct trial {
    sr_plan plans[3];
    int given[3]; /* or not rounded */
    double step;
    uint64_t size;
    sr_words words;
    size_t runs, n;
    sr_carrier carrier, of;
    int diagonal;
    sr_plan nearest; /* in binary64 */
    char name[120];
} trial;

/* What the definition makes of one run: *failure as the calls have it. */
static sr_status define(const trial *t, size_t run, sr_descent_counts *counts, sr_descent_failure *failure)
{
    memset(counts, 0, sizeof *counts);
    for (size_t j = 0; j < t->n; j++) {
        size_t const place = run * t->n + j;
        uint64_t const i = t->words.offset + j, from = get(&x, t->carrier, place), step = sr_bits_f64(t->step);
        uint64_t gradient, of[3], block = t->words.block;
        unsigned flags;
        if (t->diagonal) {
            gradient =
                sr_arith_bits(&t->nearest, SR_OP_SUB, from, get(&minimizer, t->of, j), 0, 0, 0, NULL, NULL, &flags);
            gradient =
                sr_arith_bits(&t->nearest, SR_OP_MUL, get(&spectrum, t->of, j), gradient, 0, 0, 0, NULL, NULL, &flags);
        } else {
            gradient = get(&g, t->of, place);
        }
        for (int k = 0; k < 3; k++) {
            const sr_plan *const plan = &t->plans[k];
            static const sr_op ops[] = {SR_OP_ROUND, SR_OP_MUL, SR_OP_SUB};
            uint64_t const operands[3][2] = {{gradient, 0}, {of[0], step}, {from, of[1]}};
            int const signless = (of[0] & ~SR_F64_SIGN) == 0;
            sr_words words = t->words;
            refinement at;
            words.stream += run;
            failure->run = run;
            failure->index = i;
            failure->rounding = (sr_descent_rounding)k;
            if (k == 2 && plan->mode == SR_MODE_SR_SIGNED && (of[0] & ~SR_F64_SIGN) > SR_F64_INF)
                return SR_ERR_DIRECTION_NAN;
            words.block = block;
            at.seed = words.seed;
            at.stream = words.stream;
            at.counter = 8 * block + i;
            of[k] = sr_arith_bits(plan, ops[k], operands[k][0], operands[k][1], 0, sweep_word(plan, &words, i),
                                  k < 2 || signless     ? 0
                                  : of[0] & SR_F64_SIGN ? -1
                                                        : 1,
                                  refine, &at, &flags);
            if (flags & SR_FLAG_REFUSED) return SR_ERR_OVERFLOW;
            if (t->given[k]) counts->overflow[k] += (flags & SR_FLAG_OVERFLOW) != 0;
            block += sr_call_blocks(plan, t->size);
        }
        {
            uint64_t const a = from & ~SR_F64_SIGN, b = of[2] & ~SR_F64_SIGN;
            int const kept = from == of[2] || (a == 0 && b == 0) || (a > SR_F64_INF && b > SR_F64_INF);
            counts->moved += !kept;
            counts->stagnated += kept && (gradient & ~SR_F64_SIGN) != 0;
        }
        expected_rounded[place] = of[0];
        expected[place] = of[2];
    }
    return SR_OK;
}

static sr_status step(const trial *t, sr_path path, size_t from, size_t n, int in_place, int with_rounded,
                      sr_descent_counts *counts, sr_descent_failure *failure)
{
    sr_plan plans[3];
    sr_prepared prepared[3];
    sr_descent descent;
    sr_words words = t->words;
    size_t const runs = t->runs, of = t->of == SR_CARRIER_F32 ? sizeof(float) : sizeof(double);
    const char *const gradient = (const char *)&g + of * from;
    const char *const lambda = (const char *)&spectrum + of * from, *const center =
                                                                        (const char *)&minimizer + of * from;
    for (int k = 0; k < 3; k++) {
        plans[k] = t->plans[k];
        if (sr_plan_set_path(&plans[k], path) != SR_OK) exit(2);
        if (k == 1) sr_plan_prepare(&plans[k], &prepared[k]);
    }
    descent.gradient = t->given[0] ? &plans[0] : NULL;
    descent.product = t->given[1] ? &plans[1] : NULL;
    descent.update = t->given[2] ? &plans[2] : NULL;
    descent.step = t->step;
    descent.size = t->size;
    words.offset += from;
    if (t->carrier == SR_CARRIER_F32) {
        float *const to = (in_place ? x.f : y.f) + from, *const r = with_rounded ? rounded.f + from : NULL;
        return t->diagonal
                   ? sr_descend_diagonal_f32(&descent, &words, runs, n, x.f + from, lambda, center, t->of, to, r,
                                             counts, failure)
                   : sr_descend_f32(&descent, &words, runs, n, x.f + from, gradient, t->of, to, r, counts, failure);
    } else {
        double *const to = (in_place ? x.d : y.d) + from, *const r = with_rounded ? rounded.d + from : NULL;
        return t->diagonal
                   ? sr_descend_diagonal_f64(&descent, &words, runs, n, x.d + from, lambda, center, t->of, to, r,
                                             counts, failure)
                   : sr_descend_f64(&descent, &words, runs, n, x.d + from, gradient, t->of, to, r, counts, failure);
    }
}

static size_t first_wrong(const trial *t, const array *made, const uint64_t *wanted)
{
    for (size_t j = 0; j < t->runs * t->n; j++)
        if (t->carrier == SR_CARRIER_F32 ? made->u[j] != sr_narrow_f32(wanted[j]) : made->v[j] != wanted[j]) return j;
    return t->runs * t->n;
}

#define MOST_RUNS 400

static void compare(const trial *t, sr_path path, size_t piece, const char *where)
{
    static array before;
    static sr_descent_counts counts[MOST_RUNS], happened[MOST_RUNS];
    size_t const all = t->runs * t->n, bytes = all * (t->carrier == SR_CARRIER_F32 ? sizeof(float) : sizeof(double));
    sr_descent_failure failure, failed;
    sr_status status = SR_OK;
    for (size_t r = 0; r < t->runs && status == SR_OK; r++) status = define(t, r, &counts[r], &failure);
    memset(happened, 0, sizeof happened);
    memset(&failed, 0, sizeof failed);
    memcpy(&before, &x, bytes);
    memset(&rounded, 0x5A, bytes);
    if (status != SR_OK) {
        for (int in_place = 0; in_place < 2; in_place++) {
            sr_status const got = step(t, path, 0, t->n, in_place, !in_place, happened, &failed);
            CHECK(got == status && failed.run == failure.run && failed.index == failure.index &&
                      failed.rounding == failure.rounding,
                  "%s%s %s: status %d, run %llu, index %llu, rounding %d; not %d, %llu, %llu, %d", where,
                  sr_path_name(path), t->name, (int)got, (unsigned long long)failed.run,
                  (unsigned long long)failed.index, (int)failed.rounding, (int)status, (unsigned long long)failure.run,
                  (unsigned long long)failure.index, (int)failure.rounding);
            CHECK(memcmp(&before, &x, bytes) == 0, "%s%s %s: an error has written", where, sr_path_name(path), t->name);
            memset(&failed, 0, sizeof failed);
        }
        return;
    }
    if (t->runs > 1) piece = t->n;
    for (size_t from = 0; from < t->n; from += piece) {
        size_t const n = t->n - from < piece ? t->n - from : piece;
        sr_status const got = step(t, path, from, n, 0, 1, happened, &failed);
        CHECK(got == SR_OK, "%s%s %s: status %d", where, sr_path_name(path), t->name, (int)got);
    }
    {
        size_t const j = first_wrong(t, &y, expected), r = first_wrong(t, &rounded, expected_rounded);
        CHECK(j == all, "%s%s %s: element %zu of %zu x %zu: %llx becomes %llx, not %llx", where, sr_path_name(path),
              t->name, j, t->runs, t->n, (unsigned long long)get(&x, t->carrier, j),
              (unsigned long long)get(&y, t->carrier, j), (unsigned long long)expected[j]);
        CHECK(r == all, "%s%s %s: rounded gradient %zu of %zu x %zu: %llx, not %llx", where, sr_path_name(path),
              t->name, r, t->runs, t->n, (unsigned long long)get(&rounded, t->carrier, r),
              (unsigned long long)expected_rounded[r]);
    }
    for (size_t r = 0; r < t->runs; r++) {
        const sr_descent_counts *const a = &happened[r], *const b = &counts[r];
        CHECK(memcmp(a, b, sizeof *a) == 0,
              "%s%s %s: run %zu: counts %llu %llu %llu %llu %llu, not %llu %llu %llu %llu %llu", where,
              sr_path_name(path), t->name, r, (unsigned long long)a->overflow[0], (unsigned long long)a->overflow[1],
              (unsigned long long)a->overflow[2], (unsigned long long)a->stagnated, (unsigned long long)a->moved,
              (unsigned long long)b->overflow[0], (unsigned long long)b->overflow[1],
              (unsigned long long)b->overflow[2], (unsigned long long)b->stagnated, (unsigned long long)b->moved);
    }
    CHECK(step(t, path, 0, t->n, 1, 0, NULL, NULL) == SR_OK && first_wrong(t, &x, expected) == all, "%s%s %s: in place",
          where, sr_path_name(path), t->name);
    memcpy(&x, &before, bytes);
}

/* ---- trials --------------------------------------------------------------------------------------- */

static uint64_t below(uint64_t *state, uint64_t n) { return sweep_random(state) % n; }

/* A value on the plan's grid: of at most half the range, or with `wide` up to twice. */
static uint64_t on_grid(const sr_plan *plan, int wide, uint64_t *state)
{
    int const most = plan->code_bits - (wide ? 0 : 2), bits = most < 1 ? 1 : most > 53 ? 53 : most;
    sr_number number;
    number.significand = sweep_random(state) & sr_ones((int)below(state, (uint64_t)bits) + 1);
    number.exponent = plan->format.qmin;
    return sweep_random(state) << 63 | sr_pack(number);
}

static sr_plan plan_of(const sr_format *format, sr_rounding rounding, uint64_t *state)
{
    sr_plan plan;
    rounding.overflow = below(state, 2) ? SR_OVERFLOW_SATURATE : (sr_overflow)(SR_OVERFLOW_INF + below(state, 6));
    if (rounding.mode == SR_MODE_SR_EPS || rounding.mode == SR_MODE_SR_SIGNED) {
        static const double eps[] = {0, 0.1, 0.25, 0.5, 1, 0x1p-32, 1 - 0x1p-32};
        rounding.eps = eps[below(state, 7)];
    }
    if (sr_plan_init(&plan, format, &rounding) == SR_OK) return plan;
    rounding.overflow = SR_OVERFLOW_SATURATE;
    if (sr_plan_init(&plan, format, &rounding) != SR_OK) exit(2);
    return plan;
}

/* Formats, modes, the step; `fixed`: where a kernel of its own serves, or nearly. */
static void set_up(trial *t, int fixed, uint64_t *state)
{
    static const double steps[] = {0.25,    0.0625,   1, -0.375,    0.1,  2,
                                   0x1p-40, -1.0 / 3, 0, 0x1.8p-33, 1e-3, 0x1.fffffffffffffp-4};
    static const size_t like[] = {0, 1, 2, 8, 8, 8, 10, 11, 11, 12};
    sr_rounding first = sweep_roundings[below(state, 4) ? like[below(state, 10)] : below(state, SWEEP_ROUNDINGS)],
                second;
    int const gradient_frac = (int)below(state, 3) ? 8 : (int)below(state, 20);
    int const frac = (int)below(state, 3) ? gradient_frac : (int)below(state, 20),
              whole = (int)below(state, 3) ? 7 : (int)below(state, 13);
    int fits = 1;
    if (first.mode == SR_MODE_SR_SIGNED) first.mode = SR_MODE_SR_EPS;
    second = first;
    if (below(state, 8) == 0) second = sweep_roundings[below(state, 13)]; /* none is sr_signed */
    for (int k = 0; k < 3; k++) {
        sr_format format;
        sr_rounding rounding = k == 0   ? first
                               : k == 1 ? second
                                        : sweep_roundings[below(state, 2) ? 0 : below(state, SWEEP_ROUNDINGS)];
        t->given[k] = fixed ? 1 : below(state, 6) != 0;
        if (fixed) {
            int const f = k == 0 ? gradient_frac : frac, i = below(state, 4) ? whole : (int)below(state, 13) - 2;
            if (sr_format_fixed(&format, i + f > 0 ? i : 1 - f, f, below(state, 30) != 0, SR_OVERFLOW_DEFAULT) != SR_OK)
                exit(2);
        } else if (sweep_format(&format, below(state, SWEEP_FORMATS)) != SR_OK) {
            exit(2);
        }
        t->plans[k] = plan_of(&format, rounding, state);
        if (!t->given[k]) continue;
        fits = fits && sr_format_fits(&format, SR_CARRIER_F32) == SR_OK;
    }
    t->carrier = fits && below(state, 2) ? SR_CARRIER_F32 : SR_CARRIER_F64;
    t->of = below(state, 2) ? SR_CARRIER_F32 : SR_CARRIER_F64;
    for (int k = 0; k < 3; k++) {
        static const sr_rounding nearest = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0};
        sr_format format;
        if (t->given[k]) continue;
        sr_format_named(&format, t->carrier == SR_CARRIER_F32 ? "binary32" : "binary64");
        sr_plan_init(&t->plans[k], &format, &nearest);
    }
    t->step = steps[below(state, sizeof steps / sizeof steps[0])];
    t->diagonal = below(state, 2) != 0;
    snprintf(t->name, sizeof t->name, "%s %s %s (%d.%d, %d.%d, rules %d %d %d), t = %g, float%d, float%d%s",
             t->given[0] ? sweep_mode(t->plans[0].mode) : "-", t->given[1] ? sweep_mode(t->plans[1].mode) : "-",
             t->given[2] ? sweep_mode(t->plans[2].mode) : "-", t->plans[0].code_bits, -t->plans[0].format.qmin,
             t->plans[1].code_bits, -t->plans[1].format.qmin, (int)t->plans[0].overflow, (int)t->plans[1].overflow,
             (int)t->plans[2].overflow, t->step, t->carrier == SR_CARRIER_F32 ? 32 : 64,
             t->of == SR_CARRIER_F32 ? 32 : 64, t->diagonal ? ", diagonal" : "");
}

/* Values: all of them what descent has, or one in `odd` anything. */
static void fill(const trial *t, uint64_t odd, uint64_t *state)
{
    int const width = t->of == SR_CARRIER_F32 ? 32 : 64;
    const sr_plan *const plan = &t->plans[0];
    for (size_t j = 0; j < t->runs * t->n; j++) {
        int const any = odd && below(state, odd) == 0;
        uint64_t const word = sweep_word(plan, &t->words, t->words.offset + j);
        uint64_t gradient = on_grid(plan, any, state), from = on_grid(&t->plans[2], any, state);
        if (below(state, 4)) { /* between points of the grid, often by few bits */
            sr_number near = sr_unpack(gradient & ~SR_F64_SIGN);
            int const bits = (int)below(state, 36);
            near.significand = near.significand << 10 >> below(state, 4) | (sweep_random(state) & sr_ones(10));
            near.exponent -= 10 + bits;
            if (sr_bit_length(near.significand) <= 53 && near.exponent > -1000)
                gradient = sr_pack(near) | (gradient & SR_F64_SIGN);
        }
        if (plan->mode == SR_MODE_SR && plan->random_bits == SR_EXACT && below(state, 500) == 0) { /* undecided by T */
            sr_number open;
            open.significand = ((sweep_random(state) & 7) << 16 | (0xFFFF ^ word)) << 4 | (sweep_random(state) & 15);
            open.exponent = plan->format.qmin - 20;
            if (open.significand && open.exponent > -1000) gradient = sr_pack(open) | (gradient & SR_F64_SIGN);
        }
        if (any) {
            gradient = sweep_element(plan, width, word, j, t->words.stream, state);
            if (below(state, 2)) from = sweep_value(&t->plans[2], t->carrier == SR_CARRIER_F32 ? 32 : 64, word, state);
        }
        put(&x, t->carrier, j, from);
        put(&g, t->of, j, gradient);
        put(&minimizer, t->of, j, below(state, 3) ? on_grid(plan, any, state) : any ? gradient : get(&x, t->carrier, j));
        put(&spectrum, t->of, j,
            any ? sweep_value(plan, width, word, state)
                : sr_bits_f64(below(state, 4)   ? 1.0 / (double)(1 + below(state, 100))
                              : below(state, 2) ? 0x1p-36
                                                : 1.0));
    }
}

static const struct {
    const char *name;
    int direction;
} environments[] = {{"upward: ", FE_UPWARD},
                    {"downward: ", FE_DOWNWARD},
                    {"toward zero: ", FE_TOWARDZERO},
                    {"flushing: ", FE_TONEAREST}};

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

static void bad_arguments(void)
{
    static const sr_rounding biased = {SR_MODE_SR_EPS, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.25};
    static const sr_rounding leaning = {SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.25};
    sr_words words = {1, 0, 0, 0, NULL, 0};
    sr_format fixed, wide, grid;
    sr_plan plan, signed_plan, wide_plan, grid_plan;
    sr_descent descent = {NULL, NULL, NULL, 0.5, 16};
    sr_descent_counts counts = {{0, 0, 0}, 0, 0};
    sr_format_named(&fixed, "Q7.8");
    sr_format_named(&wide, "Q1.52");
    sr_format_grid(&grid, 1, 100, 0, SR_OVERFLOW_DEFAULT);
    sr_plan_init(&plan, &fixed, &biased);
    sr_plan_init(&signed_plan, &fixed, &leaning);
    sr_plan_init(&wide_plan, &wide, &biased);
    sr_plan_init(&grid_plan, &grid, &biased);
#define STEP(n, to) sr_descend_f32(&descent, &words, 1, n, x.f, g.f, SR_CARRIER_F32, to, NULL, &counts, NULL)
    CHECK(sr_descend_blocks(&descent) == 0 && STEP(16, y.f) == SR_OK, "nothing rounded");
    CHECK(sr_descend_f32(NULL, &words, 1, 1, x.f, g.f, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_ERR_NULL,
          "descent");
    CHECK(sr_descend_f32(&descent, &words, 1, 1, x.f, NULL, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_ERR_NULL, "g");
    CHECK(sr_descend_f32(&descent, &words, 1, 1, NULL, g.f, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_ERR_NULL, "x");
    CHECK(sr_descend_f32(&descent, &words, 1, 1, x.f, g.f, SR_CARRIER_F32, NULL, NULL, NULL, NULL) == SR_ERR_NULL, "y");
    CHECK(sr_descend_diagonal_f32(&descent, &words, 1, 1, x.f, g.f, NULL, SR_CARRIER_F32, y.f, NULL, NULL, NULL) ==
              SR_ERR_NULL,
          "minimizer");
    CHECK(STEP(17, y.f) == SR_ERR_OFFSET, "more than there is");
    words.offset = 16;
    CHECK(STEP(1, y.f) == SR_ERR_OFFSET && STEP(0, y.f) == SR_OK, "behind the end");
    words.offset = 0;
    words.stream = ((uint64_t)1 << 48) - 2;
    CHECK(sr_descend_f32(&descent, &words, 3, 1, x.f, g.f, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_ERR_STREAM,
          "stream");
    CHECK(sr_descend_f32(&descent, &words, 2, 1, x.f, g.f, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_OK,
          "last streams");
    words.stream = 0;
    words.bits = &words;
    CHECK(STEP(1, y.f) == SR_ERR_BITS_UNUSED, "bits");
    words.bits = NULL;
    CHECK(STEP(9, x.f + 1) == SR_ERR_OVERLAP && STEP(9, g.f + 1) == SR_ERR_OVERLAP, "overlap");
    CHECK(sr_descend_f32(&descent, &words, 1, 9, x.f, g.f, SR_CARRIER_F32, y.f, y.f + 3, NULL, NULL) == SR_ERR_OVERLAP,
          "rounded");
    CHECK(sr_descend_f32(&descent, &words, 1, 9, x.f, g.f, SR_CARRIER_F32, y.f, x.f, NULL, NULL) == SR_ERR_OVERLAP,
          "rounded is x");
    descent.gradient = &plan;
    CHECK(sr_descend_blocks(&descent) == 4, "blocks");
    CHECK(sr_descend_f32(&descent, NULL, 1, 9, x.f, g.f, SR_CARRIER_F32, y.f, NULL, NULL, NULL) == SR_ERR_NULL,
          "words");
    descent.product = &signed_plan;
    CHECK(STEP(9, y.f) == SR_ERR_DIRECTION, "direction");
    descent.product = &wide_plan;
    CHECK(STEP(9, y.f) == SR_ERR_CARRIER, "carrier");
    descent.product = &grid_plan;
    CHECK(sr_descend_f64(&descent, &words, 1, 9, x.d, g.d, SR_CARRIER_F64, y.d, NULL, NULL, NULL) == SR_ERR_GRID,
          "grid");
#undef STEP
}

int main(int argc, char **argv)
{
    long const trials = argc > 1 ? atol(argv[1]) : 4000;
    static const size_t sizes[] = {1, 2, 5, 7, 8, 9, 16, 31, 63, 64, 65, 100, 257, 512, 515, 1100};
    static const sr_rounding nearest = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0};
    sr_format binary64;
    uint64_t state = 5;
    static trial t;
    if (trials < 1) return 2;
    sr_format_named(&binary64, "binary64");
    sr_plan_init(&t.nearest, &binary64, &nearest);
    bad_arguments();
    for (long at = 0; at < trials; at++) {
        int const fixed = at % 4 != 0, lengthy = at % 400 == 7;
        uint64_t const odd = below(&state, 2) ? 0 : below(&state, 2) ? 3 : 40;
        set_up(&t, fixed, &state);
        t.n = lengthy ? (size_t)MOST / 8 : sizes[below(&state, sizeof sizes / sizeof sizes[0])];
        t.runs = 1;
        if (!lengthy && below(&state, 3) == 0) {
            t.runs = 1 + below(&state, MOST_RUNS);
            t.n = 1 + below(&state, below(&state, 4) ? 5 : 40);
        }
        t.words.seed = sweep_random(&state);
        t.words.stream = below(&state, 4) ? sweep_random(&state) >> 17 : ((uint64_t)1 << 33) - below(&state, MOST_RUNS);
        t.words.block = below(&state, 2) ? 0 : ((uint64_t)1 << 32) - below(&state, 300);
        t.words.offset = t.runs > 1 || below(&state, 2) ? 0 : below(&state, 40);
        t.size = t.words.offset + t.n + below(&state, 20);
        fill(&t, odd, &state);
        for (int k = 0; k < SR_PATH_COUNT; k++) {
            size_t const piece = below(&state, 2) ? t.n : 1 + below(&state, t.n);
            int const e = (int)below(&state, 12);
            if (!sr_kernels_for((sr_path)k)) continue;
            if (lengthy && piece < 100) continue;
            if (e < 4) {
                fesetround(environments[e].direction);
                flush(1);
            }
            compare(&t, (sr_path)k, piece, e < 4 ? environments[e].name : "");
            if (e < 4) {
                CHECK(fegetround() == environments[e].direction, "%s%s: the environment has changed",
                      environments[e].name, sr_path_name((sr_path)k));
                flush(0);
                fesetround(FE_TONEAREST);
            }
        }
        quick += fixed;
    }
    /* Products, too, that the first 16 bits do not decide: one in 2^16. */
    for (uint64_t seed = 0; seed < 4 && trials >= 1000; seed++) {
        static const sr_rounding stochastic = {SR_MODE_SR, SR_OVERFLOW_SATURATE, SR_EXACT, SR_VARIANT_A, 0};
        sr_format format;
        sr_format_named(&format, "Q7.8");
        for (int k = 0; k < 3; k++) {
            sr_plan_init(&t.plans[k], &format, k < 2 ? &stochastic : &nearest);
            t.given[k] = 1;
        }
        t.step = seed & 1 ? 0.1 : 0x1.8p-20;
        t.runs = 1;
        t.n = t.size = MOST;
        t.words.seed = seed;
        t.words.offset = 0;
        t.carrier = t.of = SR_CARRIER_F32;
        t.diagonal = 0;
        snprintf(t.name, sizeof t.name, "sr in Q7.8, t = %g", t.step);
        fill(&t, 0, &state);
        for (int k = 0; k < SR_PATH_COUNT; k++)
            if (sr_kernels_for((sr_path)k)) compare(&t, (sr_path)k, t.n, "");
    }
    printf("%ld refinement blocks, %ld of %ld trials in fixed point\n", refined, quick, trials);
    return check_report();
}
