/* Sums, products and inner products: every path of this machine against trees built from the definition, node by node, with
 * their totals: formats x ways of rounding x terms x orders x shapes. test_reduce [shapes a combination] */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <string.h>

#define MOST (72 * 320)

typedef union array { float f[MOST]; double d[MOST]; uint32_t u[MOST]; uint64_t v[MOST]; } array;

static array operands[3], y;
static uint64_t expected[MOST];
static const char *const terms_names[] = {"sum", "product", "dot", "fma", "fused"};
static const char *const order_names[] = {"sequential", "pairwise", "blocked", "exact"};

typedef struct refinement { uint64_t seed, stream, counter; } refinement;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
}

/* One result's tree. */
typedef struct tree {
    const sr_plan *plan, *products;
    const sr_reduction *r;
    const sr_words *words;
    const ptrdiff_t (*strides)[2];
    int width;
    uint64_t result;
    sr_counts *counts;
    int refused;
} tree;

static uint64_t operand(const tree *t, int k, size_t term)
{
    ptrdiff_t const at = (ptrdiff_t)(t->result - t->words->offset) * t->strides[k][0] + (ptrdiff_t)term * t->strides[k][1];
    return t->width == 32 ? sr_widen_f32(operands[k].u[at]) : operands[k].v[at];
}

static uint64_t node(tree *t, const sr_plan *plan, sr_op op, uint64_t a, uint64_t b, uint64_t c, uint64_t m)
{
    uint64_t const per = plan->word_bits ? 128 / (uint64_t)plan->word_bits : 1;
    uint64_t const index = per * sr_reduce_blocks(t->plan, t->r) * t->result + m;
    refinement at;
    uint64_t value;
    unsigned flags;
    at.seed = t->words->seed;
    at.stream = t->words->stream;
    at.counter = 8 * t->words->block + index;
    value = sr_arith_bits(plan, op, a, b, c, sweep_word(plan, t->words, index), 0, refine, &at, &flags);
    t->refused |= (flags & SR_FLAG_REFUSED) != 0;
    t->counts->inexact += (flags & SR_FLAG_INEXACT) != 0;
    t->counts->overflow += (flags & SR_FLAG_OVERFLOW) != 0;
    t->counts->underflow += (flags & SR_FLAG_UNDERFLOW) != 0;
    t->counts->nan += (flags & SR_FLAG_NAN) != 0;
    return value;
}

static uint64_t leaf(tree *t, size_t term)
{
    if (t->r->terms != SR_TERMS_DOT) return operand(t, 0, term);
    return node(t, t->products, SR_OP_MUL, operand(t, 0, term), operand(t, 1, term), 0, 2 * (uint64_t)term);
}

static uint64_t join(tree *t, uint64_t a, uint64_t b, size_t begin)
{
    int const dot = t->r->terms == SR_TERMS_DOT;
    return node(t, t->plan, t->r->terms == SR_TERMS_PRODUCT ? SR_OP_MUL : SR_OP_ADD, a, b, 0,
                dot ? 2 * (uint64_t)begin + 1 : begin);
}

static uint64_t run(tree *t, size_t from, size_t to)
{
    uint64_t value = leaf(t, from);
    for (size_t i = from + 1; i < to; i++) value = join(t, value, leaf(t, i), i);
    return value;
}

static uint64_t pairs(tree *t, size_t from, size_t to)
{
    size_t half = 1;
    uint64_t left;
    if (to - from == 1) return leaf(t, from);
    while (2 * half < to - from) half *= 2;
    left = pairs(t, from, from + half);
    return join(t, left, pairs(t, from + half, to), from + half);
}

static uint64_t whole(tree *t)
{
    size_t const n = t->r->n;
    uint64_t value;
    if (t->r->terms == SR_TERMS_FMA) {
        value = node(t, t->plan, SR_OP_MUL, operand(t, 0, 0), operand(t, 1, 0), 0, 0);
        for (size_t i = 1; i < n; i++) value = node(t, t->plan, SR_OP_FMA, operand(t, 0, i), operand(t, 1, i), value, i);
        return value;
    }
    switch (t->r->order) {
    case SR_ORDER_SEQUENTIAL: value = run(t, 0, n); break;
    case SR_ORDER_PAIRWISE: value = pairs(t, 0, n); break;
    default:
        value = run(t, 0, n < t->r->block ? n : t->r->block);
        for (size_t from = t->r->block; from < n; from += t->r->block) {
            uint64_t const next = run(t, from, n - from < t->r->block ? n : from + t->r->block);
            value = join(t, value, next, from);
        }
    }
    if (n == 1) value = node(t, t->plan, SR_OP_ROUND, value, 0, 0, t->r->terms == SR_TERMS_DOT ? 1 : 0);
    return (value & ~SR_F64_SIGN) > SR_F64_INF ? SR_F64_NAN : value;
}

static void combination(const sr_plan *plan, const sr_plan *products, const char *name, int width, const sr_words *words,
                        const sr_path *paths, size_t path_count, uint64_t *state)
{
    static size_t const lengths[] = {1, 2, 3, 7, 8, 9, 16, 17, 40, 65, 300}, counts_of[] = {1, 2, 7, 8, 9, 63, 64, 70};
    sr_reduction r;
    size_t const results = counts_of[sweep_random(state) % 8];
    int const tame = (int)(sweep_random(state) & 1), by_rows = (int)(sweep_random(state) & 1);
    ptrdiff_t strides[3][2], const_strides[2] = {1, 1};
    sr_counts counts = {0, 0, 0, 0};
    const float *f[3] = {operands[0].f, operands[1].f, NULL};
    const double *d[3] = {operands[0].d, operands[1].d, NULL};
    size_t refused = results;
    r.terms = (sr_terms)(sweep_random(state) % 4);
    if (sweep_random(state) & 1) r.terms = SR_TERMS_SUM;
    r.order = r.terms == SR_TERMS_FMA ? SR_ORDER_SEQUENTIAL : (sr_order)(sweep_random(state) % 3);
    if (sweep_random(state) & 1) r.order = SR_ORDER_SEQUENTIAL;
    r.n = lengths[sweep_random(state) % 11];
    r.block = r.order == SR_ORDER_BLOCKED ? 1 + sweep_random(state) % 20 : 0;
    r.running = 0;
    r.products = r.terms == SR_TERMS_DOT && sweep_random(state) & 1 ? products : NULL;
    r.align_bits = 0;
    strides[0][0] = by_rows ? (ptrdiff_t)r.n : 1;
    strides[0][1] = by_rows ? 1 : (ptrdiff_t)results;
    strides[1][0] = by_rows ? 0 : 1;
    strides[1][1] = by_rows ? 1 : (ptrdiff_t)results;
    strides[2][0] = strides[2][1] = 0;
    for (size_t j = 0; j < results * r.n; j++)
        for (int k = 0; k < 2; k++) {
            uint64_t const word = sweep_random(state) & 0xFFFF;
            uint64_t bits = tame ? sweep_calm(plan, width, (int)(j & 1), 0, state)
                                 : sweep_element(plan, width, word, j, words->stream, state);
            if (width == 32)
                operands[k].u[j] = (uint32_t)bits;
            else
                operands[k].v[j] = bits;
        }
    for (size_t o = 0; o < results; o++) {
        tree t;
        t.plan = plan;
        t.products = r.products ? r.products : plan;
        t.r = &r;
        t.words = words;
        t.strides = (const ptrdiff_t(*)[2])strides;
        t.width = width;
        t.result = words->offset + o;
        t.counts = &counts;
        t.refused = 0;
        expected[o] = whole(&t);
        if (width == 32) expected[o] = sr_narrow_f32(expected[o]);
        if (t.refused && refused == results) refused = o;
    }
    for (size_t k = 0; k < path_count; k++) {
        sr_plan on = *plan, its_products = r.products ? *r.products : *plan;
        sr_reduction on_path = r;
        sr_counts happened = {0, 0, 0, 0};
        uint64_t index = 0;
        sr_status status;
        size_t wrong = results;
        if (sr_plan_set_path(&on, paths[k]) != SR_OK || sr_plan_set_path(&its_products, paths[k]) != SR_OK) exit(2);
        if (r.products) on_path.products = &its_products;
        memset(&y, 0xA5, sizeof y);
        status = width == 32 ? sr_reduce_f32(&on, &on_path, words, results, f, (const ptrdiff_t(*)[2])strides, y.f,
                                             const_strides, &happened, &index)
                             : sr_reduce_f64(&on, &on_path, words, results, d, (const ptrdiff_t(*)[2])strides, y.d,
                                             const_strides, &happened, &index);
        if (refused < results) {
            CHECK(status == SR_ERR_OVERFLOW && index == words->offset + refused && y.u[0] == 0xA5A5A5A5u,
                  "%s %s %s: status %d at %llu, not %zu", sr_path_name(paths[k]), name, terms_names[r.terms], (int)status,
                  (unsigned long long)index, refused);
            continue;
        }
        for (wrong = 0; status == SR_OK && wrong < results; wrong++)
            if ((width == 32 ? y.u[wrong] : y.v[wrong]) != expected[wrong]) break;
        CHECK(status == SR_OK && wrong == results,
              "%s %s %s %s n %zu of %zu, block %zu, %s float%d bits %d rule %s by rows %d tame %d: status %d, result %zu is "
              "%llx, not %llx",
              sr_path_name(paths[k]), name, order_names[r.order], terms_names[r.terms], r.n, results, r.block,
              sweep_mode(plan->mode), width, plan->random_bits, sweep_overflow(plan->overflow), by_rows, tame, (int)status,
              wrong, (unsigned long long)(width == 32 ? y.u[wrong % MOST] : y.v[wrong % MOST]),
              (unsigned long long)expected[wrong % MOST]);
        CHECK(happened.inexact == counts.inexact && happened.overflow == counts.overflow &&
                  happened.underflow == counts.underflow && happened.nan == counts.nan,
              "%s %s %s %s n %zu of %zu %s float%d by rows %d tame %d: counts %llu %llu %llu %llu, not %llu %llu %llu %llu",
              sr_path_name(paths[k]), name, order_names[r.order], terms_names[r.terms], r.n, results,
              sweep_mode(plan->mode), width, by_rows, tame, (unsigned long long)happened.overflow,
              (unsigned long long)happened.underflow, (unsigned long long)happened.nan, (unsigned long long)happened.inexact,
              (unsigned long long)counts.overflow, (unsigned long long)counts.underflow, (unsigned long long)counts.nan,
              (unsigned long long)counts.inexact);
    }
}

static void bad_arguments(void)
{
    sr_format format;
    sr_plan plan;
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0};
    const float *two[3] = {operands[0].f, operands[1].f, NULL};
    ptrdiff_t const strides[3][2] = {{1, 1}, {1, 1}, {0, 0}}, to[2] = {1, 1}, none[2] = {0, 1};
    sr_reduction r = {SR_TERMS_SUM, SR_ORDER_SEQUENTIAL, 3, 0, 0, NULL, 0};
    sr_format_named(&format, "bfloat16");
    sr_plan_init(&plan, &format, &rounding);
    CHECK(sr_reduce_f32(NULL, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "plan");
    CHECK(sr_reduce_f32(&plan, NULL, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "reduction");
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, NULL, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "operands");
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, NULL, to, NULL, NULL) == SR_ERR_NULL, "y");
    CHECK(sr_reduce_f32(&plan, &r, NULL, 2, two, strides, y.f, none, NULL, NULL) == SR_ERR_STRIDE, "stride");
    r.n = 0;
    r.running = 1;
    y.u[0] = 1;
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_OK && y.u[0] == 1, "no terms");
    r.n = 3;
    r.running = 0;
    r.order = SR_ORDER_BLOCKED;
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_ORDER, "no block");
    r.order = SR_ORDER_EXACT;
    r.terms = SR_TERMS_PRODUCT;
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_ORDER, "exact product");
    r.terms = SR_TERMS_FMA;
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_ORDER, "fma's order");
    r.terms = (sr_terms)5;
    CHECK(sr_reduce_f32(&plan, &r, NULL, 1, two, strides, y.f, to, NULL, NULL) == SR_ERR_ORDER, "terms");
}

int main(int argc, char **argv)
{
    long const shapes = argc > 1 ? atol(argv[1]) : 2;
    sr_path paths[SR_PATH_COUNT];
    size_t path_count = 0;
    uint64_t state = 5;
    if (shapes < 1) return 2;
    for (int k = 0; k < SR_PATH_COUNT; k++)
        if (sr_kernels_for((sr_path)k)) paths[path_count++] = (sr_path)k;
    bad_arguments();
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format, other;
        if (sweep_format(&format, k) != SR_OK || sweep_format(&other, (k + 5) % SWEEP_FORMATS) != SR_OK) {
            CHECK(0, "format %s", sweep_formats[k].name);
            continue;
        }
        for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
            sr_rounding rounding = sweep_roundings[way];
            sr_words const words = {1000 + k, way, way & 1 ? 0 : (uint64_t)1 << 33, way & 2 ? 5 + way : 0, NULL, 0};
            sr_plan plan, products;
            if (rounding.mode == SR_MODE_SR_SIGNED) continue;
            rounding.overflow = (sr_overflow)(SR_OVERFLOW_INF + (way + k) % 6);
            if (sr_plan_init(&plan, &format, &rounding) != SR_OK) {
                rounding.overflow = SR_OVERFLOW_SATURATE;
                if (sr_plan_init(&plan, &format, &rounding) != SR_OK) continue;
            }
            rounding.overflow = SR_OVERFLOW_SATURATE;
            if (sr_plan_init(&products, &other, &rounding) != SR_OK) products = plan;
            for (int width = 32; width <= 64; width += 32) {
                sr_carrier const carrier = width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64;
                if (sr_format_fits(&format, carrier) != SR_OK) continue;
                for (long shape = 0; shape < shapes; shape++)
                    combination(&plan, sr_format_fits(&products.format, carrier) == SR_OK ? &products : &plan,
                                sweep_formats[k].name, width, &words, paths, path_count, &state);
            }
        }
    }
    return check_report();
}
