/* Grids of any step (S9): every path of this machine against the definition, element by element; what the definition
 * promises of points and codes; and what is refused. */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <string.h>

#define N 1091

static const sr_overflow rules[] = {SR_OVERFLOW_INF, SR_OVERFLOW_SATURATE, SR_OVERFLOW_NAN, SR_OVERFLOW_RAISE};

static double x[2 * N], direction[N];
static union { double d[N]; uint64_t v[N]; int64_t k[N]; } y;
static uint64_t expected[N];

typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static long refined;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
    refined++;
}

static sr_status define(const sr_plan *plan, uint64_t bits, uint64_t word, int sign_of_direction, refinement *at, int codes,
                        uint64_t *result)
{
    unsigned flags;
    *result = sr_round_bits(plan, bits, word, sign_of_direction, refine, at, &flags);
    if (flags & SR_FLAG_REFUSED) return SR_ERR_OVERFLOW;
    if (codes) {
        uint64_t const rounded = *result;
        if (!sr_encode_bits(plan, rounded, result)) return SR_ERR_NO_CODE;
    }
    return SR_OK;
}

/* With an even n, what is refused is made 0; with an odd one the lowest refused index is compared. */
static void combination(const sr_plan *plan, const char *name, int codes, size_t n, const sr_words *words)
{
    uint64_t state = words->seed + n + (uint64_t)codes, index = 0;
    int const directed = plan->mode == SR_MODE_SR_SIGNED;
    sr_status first = SR_OK;
    size_t refused = n;
    for (size_t j = 0; j < n; j++) {
        uint64_t const word = sweep_word(plan, words, words->offset + j);
        uint64_t bits = sweep_on_grid(plan, word, &state);
        int const sign_of_direction = directed ? (int)(sweep_random(&state) % 3) - 1 : 0;
        refinement at;
        sr_status status;
        at.seed = words->seed;
        at.stream = words->stream;
        at.counter = 8 * words->block + words->offset + j;
        direction[j] = sign_of_direction;
        status = define(plan, bits, word, sign_of_direction, &at, codes, &expected[j]);
        if (status != SR_OK && n % 2 == 0) {
            bits = 0;
            define(plan, bits, word, sign_of_direction, &at, codes, &expected[j]);
        } else if (status != SR_OK && refused == n) {
            refused = j;
            first = status;
        }
        x[2 * j] = x[2 * j + 1] = sr_value_f64(bits);
    }
    for (int path = 0; path < SR_PATH_COUNT; path++)
        for (int prepared = 0; prepared < 2; prepared++) {
            sr_plan on = *plan;
            sr_prepared kept;
            sr_status status;
            size_t wrong = 0;
            if (sr_plan_set_path(&on, (sr_path)path) != SR_OK) continue;
            if (prepared) sr_plan_prepare(&on, &kept);
            status = codes ? sr_encode_f64(&on, words, n, x, 2, directed ? direction : NULL, 1, y.v, 1, &index)
                           : sr_round_f64(&on, words, n, x, 2, directed ? direction : NULL, 1, y.d, 1, &index);
            if (refused < n) {
                CHECK(status == first && index == words->offset + refused, "%s %s on %s: status %d at %llu, not %d at %zu",
                      name, sweep_mode(plan->mode), sr_path_name((sr_path)path), (int)status, (unsigned long long)index,
                      (int)first, refused);
                continue;
            }
            while (status == SR_OK && wrong < n && y.v[wrong] == expected[wrong]) wrong++;
            CHECK(status == SR_OK && wrong == n, "%s %s bits %d on %s%s: status %d, element %zu of %zu: x %a, %llx not %llx",
                  name, sweep_mode(plan->mode), plan->random_bits, sr_path_name((sr_path)path), codes ? ", codes" : "",
                  (int)status, wrong, n, wrong < n ? x[2 * wrong] : 0, wrong < n ? (unsigned long long)y.v[wrong] : 0,
                  wrong < n ? (unsigned long long)expected[wrong] : 0);
        }
}

static void all_of_step(size_t s)
{
    sr_format format;
    sr_status const status = sweep_grid(&format, s);
    CHECK(status == SR_OK, "%s: %d", sweep_grids[s].name, (int)status);
    if (status != SR_OK) return;
    for (size_t way = 0; way < SWEEP_ROUNDINGS; way++)
        for (size_t rule = 0; rule < sizeof rules / sizeof rules[0]; rule++)
            for (int codes = 0; codes < 2; codes++) {
                sr_rounding rounding = sweep_roundings[way];
                sr_words const words = {42 + s, 3 + way, ((uint64_t)1 << 32) - 20, rule, NULL, 0};
                sr_plan plan;
                rounding.overflow = rules[rule];
                CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan of %s", sweep_grids[s].name);
                combination(&plan, sweep_grids[s].name, codes, (N & ~(size_t)1) / (rule ? 4 : 1) & ~(size_t)1, &words);
                combination(&plan, sweep_grids[s].name, codes, 67 + 2 * (way % 8), &words);
            }
}

/* The digits of phi = r / d by doubling, which is exact in binary64, all of them complemented but one: U agrees with phi
 * in that one alone, which decides. */
typedef struct digits {
    double part, whole;
    long read, different;
} digits;

static uint32_t next_digits(digits *of, int n)
{
    uint32_t word = 0;
    while (n-- > 0) {
        int const one = (of->part *= 2) >= of->whole;
        if (one) of->part -= of->whole;
        word = word << 1 | (uint32_t)(of->read++ == of->different ? one : !one);
    }
    return word;
}

static void refine_by_digits(void *context, uint32_t level, uint32_t words[4])
{
    digits *const of = (digits *)context;
    CHECK(of->read == 16 + 128 * (long)(level - 1), "level %u after %ld bits", (unsigned)level, of->read);
    for (int i = 0; i < 4; i++) words[i] = next_digits(of, 32);
}

static void deep(void)
{
    sr_rounding const rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    double const values[] = {0.123456789, 1e-9, 1e-200, 5e-324, 12345.678901, 3.3, 0.999};
    long const different[] = {0, 15, 16, 47, 48, 143, 144, 300, 1040, 1100, 2000};
    sr_format format;
    sr_plan plan;
    if (sr_format_grid(&format, 1, 7, 0, SR_OVERFLOW_DEFAULT) != SR_OK) return;
    if (sr_plan_init(&plan, &format, &rounding) != SR_OK) return;
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        for (size_t i = 0; i < sizeof different / sizeof different[0]; i++) {
            double const k = (double)(uint64_t)(values[v] * 7), down = k / 7, up = (k + 1) / 7;
            digits of = {values[v] - down, up - down, 0, 0}, again = of;
            uint64_t word;
            double result;
            unsigned flags;
            int away = 0;
            for (long at = 0; at <= different[i]; at++) {
                away = (again.part *= 2) >= again.whole;
                if (away) again.part -= again.whole;
            }
            of.different = different[i];
            word = next_digits(&of, 16);
            result = sr_value_f64(sr_round_bits(&plan, sr_bits_f64(values[v]), word, 0, refine_by_digits, &of, &flags));
            CHECK(result == (away ? up : down), "%a, digit %ld: %a", values[v], different[i], result);
            CHECK(different[i] < 16 || of.read == 144 + (different[i] - 16) / 128 * 128, "%a, digit %ld: %ld digits",
                  values[v], different[i], of.read);
        }
}

/* Points are in order. A code's value has that code, or another one of that value: only where the step is less than two
 * spacings of doubles. */
static void points(size_t s)
{
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    uint64_t state = s;
    sr_format format;
    sr_plan plan;
    if (sweep_grid(&format, s) != SR_OK) return;
    sr_plan_init(&plan, &format, &rounding);
    CHECK(sr_format_fits(&format, SR_CARRIER_F32) == SR_ERR_CARRIER, "%s in float32", sweep_grids[s].name);
    CHECK(sr_format_code_bytes(&format) == 8, "bytes of codes of %s", sweep_grids[s].name);
    for (int i = 0; i < 2000; i++) {
        int64_t const k = (int64_t)(sweep_random(&state) >> 1 >> (i & 62));
        uint64_t const here = sr_pack(sr_grid_point(&format, (uint64_t)k));
        uint64_t const next = sr_pack(sr_grid_point(&format, (uint64_t)k + 1));
        double decoded;
        uint64_t code;
        CHECK(here <= next, "%s: points %lld and the next", sweep_grids[s].name, (long long)k);
        CHECK(sr_decode_f64(&format, 1, &k, 1, &decoded, 1, NULL) == SR_OK, "%s: decoding", sweep_grids[s].name);
        if (here > plan.max_bits) {
            CHECK(decoded != decoded, "%s: code %lld beyond the range is %a", sweep_grids[s].name, (long long)k, decoded);
            continue;
        }
        CHECK(sr_bits_f64(decoded) == here, "%s: code %lld", sweep_grids[s].name, (long long)k);
        if (!sr_encode_bits(&plan, here, &code)) continue;
        CHECK(code == (uint64_t)k || here == sr_pack(sr_grid_point(&format, code)), "%s: code of %a", sweep_grids[s].name, decoded);
        CHECK(code == (uint64_t)k || k >> 51 || here >> 52 == 0, "%s: code %lld became %lld", sweep_grids[s].name, (long long)k,
              (long long)code);
    }
}

static void refusals(void)
{
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_reduction reduction = {SR_TERMS_SUM, SR_ORDER_SEQUENTIAL, 3, 0, 0, NULL, 0};
    double const values[3] = {1, 2, 3};
    const double *const operands[3] = {values, values, NULL};
    ptrdiff_t const strides[3] = {1, 1, 0}, pairs[3][2] = {{3, 1}, {3, 1}, {0, 0}}, to[2] = {1, 1};
    float const narrow = 1;
    float narrow_result = 7;
    double result = 7;
    sr_format format, other;
    sr_plan plan, products;
    CHECK(sr_format_grid(NULL, 1, 10, 0, SR_OVERFLOW_DEFAULT) == SR_ERR_NULL, "NULL");
    CHECK(sr_format_grid(&format, 0, 10, 0, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "0");
    CHECK(sr_format_grid(&format, 1, 0, 0, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "1/0");
    CHECK(sr_format_grid(&format, ((uint64_t)1 << 53) + 1, 1, 0, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "2^53 + 1");
    CHECK(sr_format_grid(&format, 1, ((uint64_t)1 << 53) + 1, 0, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "1/(2^53 + 1)");
    CHECK(sr_format_grid(&format, 1, 1, 1024, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "2^1024");
    CHECK(sr_format_grid(&format, 1, 1, -1075, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "2^-1075");
    CHECK(sr_format_grid(&format, 1, 1, INT32_MIN, SR_OVERFLOW_DEFAULT) == SR_ERR_STEP, "2^-2^31");
    CHECK(sr_format_grid(&format, 1, 10, 0, SR_OVERFLOW_WRAP) == SR_ERR_OVERFLOW_RULE, "wrap");
    CHECK(sr_format_grid(&format, 7 << 20, 70 << 20, 0, SR_OVERFLOW_DEFAULT) == SR_OK, "0.1");
    CHECK(format.num == 1 && format.den == 5 && format.exponent == -1, "lowest terms");
    other = format;
    other.max = 1;
    CHECK(sr_plan_init(&plan, &other, &rounding) == SR_ERR_FLAGS, "another max");
    other = format;
    other.den = 10;
    CHECK(sr_plan_init(&plan, &other, &rounding) == SR_ERR_FLAGS, "den with a factor 2");
    CHECK(sr_format_named(&other, "bfloat16") == SR_OK && other.num == 0, "a float has no step");
    other.den = 1;
    CHECK(sr_plan_init(&plan, &other, &rounding) == SR_ERR_FLAGS, "a float with a step");

    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "0.1");
    CHECK(sr_round_f32(&plan, NULL, 1, &narrow, 1, NULL, 1, &narrow_result, 1, NULL) == SR_ERR_CARRIER, "float32");
    CHECK(sr_arith_f64(&plan, SR_OP_ADD, NULL, 1, operands, strides, &result, 1, NULL, NULL) == SR_ERR_GRID, "add");
    CHECK(sr_reduce_f64(&plan, &reduction, NULL, 1, operands, pairs, &result, to, NULL, NULL) == SR_ERR_GRID, "sum");
    reduction.terms = SR_TERMS_DOT;
    CHECK(sr_matmul_f64(&plan, &reduction, NULL, 1, 1, operands, pairs, &result, to, NULL, NULL) == SR_ERR_GRID, "product");
    products = plan;
    sr_format_named(&other, "bfloat16");
    sr_plan_init(&plan, &other, &rounding);
    reduction.products = &products;
    CHECK(sr_reduce_f64(&plan, &reduction, NULL, 1, operands, pairs, &result, to, NULL, NULL) == SR_ERR_GRID, "products");
    CHECK(narrow_result == 7 && result == 7, "a refused call has written");
}

int main(void)
{
    for (size_t s = 0; s < SWEEP_GRIDS; s++) {
        all_of_step(s);
        points(s);
    }
    deep();
    refusals();
    CHECK(refined > 0, "no refinement happened");
    printf("%ld refinement blocks\n", refined);
    return check_report();
}
