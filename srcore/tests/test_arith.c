/* Rounded arithmetic: every path of this machine against the definition, element by element, with its totals: formats x
 * ways of rounding x operations x carriers. test_arith [elements a combination] */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <string.h>

#define MOST 4096

typedef union array { float f[MOST]; double d[MOST]; uint32_t u[MOST]; uint64_t v[MOST]; } array;

static array operands[3], direction, y, again;
static uint64_t expected[MOST];

static const char *const names[] = {"round", "add", "sub", "mul", "div", "sqrt", "fma"};

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

static void put(array *to, int width, size_t j, uint64_t bits)
{
    if (width == 32)
        to->u[j] = sr_narrow_f32(bits);
    else
        to->v[j] = bits;
}

static int same(const sr_counts *a, const sr_counts *b)
{
    return a->overflow == b->overflow && a->underflow == b->underflow && a->nan == b->nan && a->inexact == b->inexact;
}

static void combination(const sr_plan *plan, const char *name, sr_op op, int width, size_t n, const sr_words *words,
                        const sr_path *paths, size_t path_count)
{
    int const values = op == SR_OP_FMA ? 3 : op == SR_OP_ROUND || op == SR_OP_SQRT ? 1 : 2;
    uint64_t state = words->seed + 77 * (uint64_t)op;
    size_t first_refused = n;
    sr_counts counts = {0, 0, 0, 0};
    const float *f[4];
    const double *d[4];
    ptrdiff_t const strides[4] = {1, 1, 1, 1};
    for (size_t j = 0; j < n; j++) {
        uint64_t const word = sweep_word(plan, words, words->offset + j);
        uint64_t of[3];
        int sign_of_direction = 0;
        refinement at;
        unsigned flags;
        at.seed = words->seed;
        at.stream = words->stream;
        at.counter = 8 * words->block + words->offset + j;
        of[0] = sweep_element(plan, width, word, j, words->stream, &state);
        of[1] = sweep_other(plan, width, of[0], &state);
        of[2] = sweep_random(&state) & 1 ? sweep_other(plan, width, of[0], &state)
                                         : sweep_value(plan, width, word, &state);
        if (sweep_random(&state) & 1) { /* as often far from the limits */
            of[2] = of[1];
            of[1] = of[0];
            of[0] = of[2];
        }
        for (int k = 0; k < 3; k++) put(&operands[k], width, j, of[k]);
        if (plan->mode == SR_MODE_SR_SIGNED) {
            uint64_t const v = sweep_direction(width, &state);
            if (width == 32)
                direction.u[j] = (uint32_t)v;
            else
                direction.v[j] = v;
            sign_of_direction = (v & sr_ones(width - 1)) == 0 ? 0 : v >> (width - 1) ? -1 : 1;
        }
        expected[j] = sr_arith_bits(plan, op, of[0], of[1], of[2], word, sign_of_direction, refine, &at, &flags);
        if (flags & SR_FLAG_REFUSED && first_refused == n) first_refused = j;
        counts.inexact += (flags & SR_FLAG_INEXACT) != 0;
        counts.overflow += (flags & SR_FLAG_OVERFLOW) != 0;
        counts.underflow += (flags & SR_FLAG_UNDERFLOW) != 0;
        counts.nan += (flags & SR_FLAG_NAN) != 0;
        if (width == 32) expected[j] = sr_narrow_f32(expected[j]);
    }
    for (int k = 0; k < 3; k++) {
        f[k] = operands[k].f;
        d[k] = operands[k].d;
    }
    f[values] = direction.f;
    d[values] = direction.d;
    for (size_t k = 0; k < path_count; k++) {
        sr_plan on = *plan;
        sr_counts happened = {0, 0, 0, 0};
        uint64_t index = 0;
        sr_status status;
        size_t wrong = n;
        if (sr_plan_set_path(&on, paths[k]) != SR_OK) exit(2);
        memset(&y, 0xA5, sizeof y);
        status = width == 32 ? sr_arith_f32(&on, op, words, n, f, strides, y.f, 1, &happened, &index)
                             : sr_arith_f64(&on, op, words, n, d, strides, y.d, 1, &happened, &index);
        if (first_refused < n) {
            CHECK(status == SR_ERR_OVERFLOW && index == words->offset + first_refused && y.u[0] == 0xA5A5A5A5u,
                  "%s %s %s: status %d at %llu, not %zu", sr_path_name(paths[k]), name, names[op], (int)status,
                  (unsigned long long)index, first_refused);
            continue;
        }
        for (wrong = 0; status == SR_OK && wrong < n; wrong++)
            if ((width == 32 ? y.u[wrong] : y.v[wrong]) != expected[wrong]) break;
        CHECK(status == SR_OK && wrong == n,
              "%s %s %s %s float%d bits %d rule %s: status %d, element %zu: %llx %llx %llx gives %llx, not %llx",
              sr_path_name(paths[k]), name, names[op], sweep_mode(plan->mode), width, plan->random_bits,
              sweep_overflow(plan->overflow), (int)status, wrong,
              (unsigned long long)(width == 32 ? operands[0].u[wrong] : operands[0].v[wrong]),
              (unsigned long long)(width == 32 ? operands[1].u[wrong] : operands[1].v[wrong]),
              (unsigned long long)(width == 32 ? operands[2].u[wrong] : operands[2].v[wrong]),
              (unsigned long long)(width == 32 ? y.u[wrong] : y.v[wrong]), (unsigned long long)expected[wrong]);
        /* Without totals there are other ways; in place too. */
        for (int in_place = 0; in_place < 2; in_place++) {
            array *const to = in_place ? &again : &y;
            const float *of32[4] = {f[0], f[1], f[2], f[3]};
            const double *of64[4] = {d[0], d[1], d[2], d[3]};
            if (in_place) {
                again = operands[0];
                of32[0] = again.f;
                of64[0] = again.d;
            }
            status = width == 32 ? sr_arith_f32(&on, op, words, n, of32, strides, to->f, 1, NULL, &index)
                                 : sr_arith_f64(&on, op, words, n, of64, strides, to->d, 1, NULL, &index);
            for (wrong = 0; status == SR_OK && wrong < n; wrong++)
                if ((width == 32 ? to->u[wrong] : to->v[wrong]) != expected[wrong]) break;
            CHECK(status == SR_OK && wrong == n, "%s %s %s %s float%d, no totals, in place %d: element %zu",
                  sr_path_name(paths[k]), name, names[op], sweep_mode(plan->mode), width, in_place, wrong);
        }
        CHECK(same(&happened, &counts), "%s %s %s %s float%d: counts %llu %llu %llu %llu, not %llu %llu %llu %llu",
              sr_path_name(paths[k]), name, names[op], sweep_mode(plan->mode), width,
              (unsigned long long)happened.overflow, (unsigned long long)happened.underflow,
              (unsigned long long)happened.nan, (unsigned long long)happened.inexact,
              (unsigned long long)counts.overflow, (unsigned long long)counts.underflow,
              (unsigned long long)counts.nan, (unsigned long long)counts.inexact);
    }
}

static void bad_arguments(void)
{
    sr_format format;
    sr_plan plan;
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0};
    const float *two[2] = {operands[0].f, operands[1].f};
    const float *one[2] = {operands[0].f, NULL};
    ptrdiff_t const strides[2] = {1, 1};
    sr_format_named(&format, "bfloat16");
    sr_plan_init(&plan, &format, &rounding);
    CHECK(sr_arith_f32(NULL, SR_OP_ADD, NULL, 1, two, strides, y.f, 1, NULL, NULL) == SR_ERR_NULL, "plan");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 1, NULL, strides, y.f, 1, NULL, NULL) == SR_ERR_NULL, "operands");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 1, one, strides, y.f, 1, NULL, NULL) == SR_ERR_NULL, "second");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 1, two, strides, NULL, 1, NULL, NULL) == SR_ERR_NULL, "y");
    CHECK(sr_arith_f32(&plan, (sr_op)7, NULL, 1, two, strides, y.f, 1, NULL, NULL) == SR_ERR_OP, "op");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 9, two, strides, operands[1].f + 1, 1, NULL, NULL) == SR_ERR_OVERLAP,
          "overlap");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 9, two, strides, y.f, 0, NULL, NULL) == SR_ERR_STRIDE, "stride");
    CHECK(sr_arith_f32(&plan, SR_OP_ADD, NULL, 0, one, strides, NULL, 1, NULL, NULL) == SR_OK, "nothing");
}

int main(int argc, char **argv)
{
    size_t const n = argc > 1 ? (size_t)atol(argv[1]) : 200;
    sr_path paths[SR_PATH_COUNT];
    size_t path_count = 0;
    if (n == 0 || n > MOST) return 2;
    for (int k = 0; k < SR_PATH_COUNT; k++)
        if (sr_kernels_for((sr_path)k)) paths[path_count++] = (sr_path)k;
    bad_arguments();
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format;
        if (sweep_format(&format, k) != SR_OK) {
            CHECK(0, "format %s", sweep_formats[k].name);
            continue;
        }
        for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
            sr_rounding rounding = sweep_roundings[way];
            for (int op = SR_OP_ROUND; op <= SR_OP_FMA; op++) {
                sr_words const words = {1000 + k, way, way & 1 ? 0 : (uint64_t)1 << 33, way & 2 ? 5 + way : 0, NULL, 0};
                sr_plan plan;
                rounding.overflow = (sr_overflow)(SR_OVERFLOW_INF + (way + (size_t)op + k) % 6);
                if (sr_plan_init(&plan, &format, &rounding) != SR_OK) {
                    rounding.overflow = SR_OVERFLOW_SATURATE;
                    if (sr_plan_init(&plan, &format, &rounding) != SR_OK) continue;
                }
                for (int width = 32; width <= 64; width += 32)
                    if (sr_format_fits(&format, width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64) == SR_OK)
                        combination(&plan, sweep_formats[k].name, (sr_op)op, width, n, &words, paths, path_count);
            }
        }
    }
    printf("%ld refinement blocks\n", refined);
    return check_report();
}
