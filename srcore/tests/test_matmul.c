/* Matrix products: every path of this machine against the definition, operation by operation, with their totals:
 * formats x ways of rounding x accumulation x shapes x layouts, reversed and repeated ones too.
 * test_matmul [shapes a combination [format]] */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <string.h>

#define MOST (80 * 300)

typedef union array { float f[MOST]; double d[MOST]; uint32_t u[MOST]; uint64_t v[MOST]; } array;

static array operands[3], y;
static uint64_t expected[MOST];
static const char *const terms_names[] = {"sum", "product", "dot", "fma", "fused"};

typedef struct refinement { uint64_t seed, stream, counter; } refinement;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
}

typedef struct result {
    const sr_plan *plan, *products;
    const sr_reduction *r;
    const sr_words *words;
    uint64_t number, a[300], b[300], initial;
    int follows;
    sr_counts *counts;
    int refused;
} result;

static refinement deeper(const result *t, uint64_t index)
{
    refinement at;
    at.seed = t->words->seed;
    at.stream = t->words->stream;
    at.counter = 8 * t->words->block + index;
    return at;
}

static uint64_t index_of(const result *t, uint64_t m)
{
    uint64_t const per = t->plan->word_bits ? 128 / (uint64_t)t->plan->word_bits : 1;
    return per * sr_reduce_blocks(t->plan, t->r) * t->number + m;
}

static void happened(result *t, unsigned flags)
{
    t->refused |= (flags & SR_FLAG_REFUSED) != 0;
    t->counts->inexact += (flags & SR_FLAG_INEXACT) != 0;
    t->counts->overflow += (flags & SR_FLAG_OVERFLOW) != 0;
    t->counts->underflow += (flags & SR_FLAG_UNDERFLOW) != 0;
    t->counts->nan += (flags & SR_FLAG_NAN) != 0;
}

static uint64_t node(result *t, const sr_plan *plan, sr_op op, uint64_t a, uint64_t b, uint64_t c, uint64_t m)
{
    refinement at = deeper(t, index_of(t, m));
    unsigned flags;
    uint64_t const value =
        sr_arith_bits(plan, op, a, b, c, sweep_word(plan, t->words, index_of(t, m)), 0, refine, &at, &flags);
    happened(t, flags);
    return (value & ~SR_F64_SIGN) > SR_F64_INF ? SR_F64_NAN : value;
}

/* S8.9 */
static int lowest_place(const result *t, size_t from, uint64_t value, int sums)
{
    int highest = sums ? sr_term_place(0, value, 0) : SR_TOTAL_EXPONENT;
    if (!t->r->align_bits) return SR_TOTAL_EXPONENT;
    for (size_t i = from; i < t->r->n && i < from + t->r->block; i++) {
        int const place = sr_term_place(1, t->a[i], t->b[i]);
        if (place > highest) highest = place;
    }
    return highest + 1 - t->r->align_bits;
}

static uint64_t whole(result *t)
{
    size_t const n = t->r->n;
    uint64_t value = t->initial;
    if (t->r->terms == SR_TERMS_FUSED) {
        for (size_t from = 0; from < n; from += t->r->block) {
            uint64_t const m = from / t->r->block;
            int const sums = from || t->follows, lowest = lowest_place(t, from, value, sums);
            refinement at = deeper(t, index_of(t, m));
            sr_total total;
            unsigned flags;
            sr_total_clear(&total);
            if (sums) sr_total_add_cut(&total, 0, value, 0, lowest);
            for (size_t i = from; i < n && i < from + t->r->block; i++)
                sr_total_add_cut(&total, 1, t->a[i], t->b[i], lowest);
            value = sr_total_bits(t->plan, &total, sweep_word(t->plan, t->words, index_of(t, m)), refine, &at, &flags);
            happened(t, flags);
        }
        return value;
    }
    for (size_t i = 0; i < n; i++) {
        int const follows = i || t->follows;
        if (t->r->terms == SR_TERMS_FMA) {
            value = node(t, t->plan, follows ? SR_OP_FMA : SR_OP_MUL, t->a[i], t->b[i], value, i);
        } else {
            uint64_t const product = node(t, t->products, SR_OP_MUL, t->a[i], t->b[i], 0, 2 * i);
            value = follows ? node(t, t->plan, SR_OP_ADD, value, product, 0, 2 * i + 1) : product;
        }
    }
    if (t->r->terms == SR_TERMS_DOT && n == 1 && !t->follows) value = node(t, t->plan, SR_OP_ROUND, value, 0, 0, 1);
    return value;
}

static uint64_t element(const sr_plan *plan, int width, int kind, size_t j, const sr_words *words, uint64_t *state)
{
    uint64_t const word = sweep_random(state) & 0xFFFF;
    uint64_t bits = kind == 0 ? sweep_element(plan, width, word, j, words->stream, state)
                              : sweep_calm(plan, width, (int)(j & 1), 0, state);
    unsigned flags;
    if (kind < 2) return bits;
    if (kind == 3 && sweep_random(state) % 3 == 0) return sweep_random(state) & 1 ? 0 : (uint64_t)1 << (width - 1);
    /* Of the format, near to 1 */
    bits = sr_bits_f64((double)((int64_t)(sweep_random(state) % 2001) - 1000) / 500);
    if (kind == 4) bits -= bits << 1 ? (sweep_random(state) % 90) << 52 : 0; /* products vanish in float32 */
    bits = sr_round_bits(plan, bits, 0x5555, 0, refine, NULL, &flags);
    return width == 32 ? sr_narrow_f32(bits) : bits;
}

static uint64_t at(int k, int width, ptrdiff_t place)
{
    return width == 32 ? sr_widen_f32(operands[k].u[place]) : operands[k].v[place];
}

/* Turn an axis around, or let it stand still; return how far on its first element lies. */
static ptrdiff_t bend(ptrdiff_t *stride, size_t n, uint64_t ways, uint64_t *state)
{
    uint64_t const way = sweep_random(state) % ways;
    ptrdiff_t const straight = *stride;
    if (way == 0) return 0;
    *stride = way == 1 ? -straight : 0;
    return way == 1 ? straight * (ptrdiff_t)(n - 1) : 0;
}

static void combination(const sr_plan *plan, const sr_plan *products, const char *name, int width, const sr_words *words,
                        const sr_path *paths, size_t path_count, uint64_t *state)
{
    static size_t const lengths[] = {1, 3, 4, 5, 7, 8, 17, 40, 129, 260}, sides[] = {1, 2, 5, 31, 32, 33, 40, 70};
    static result t;
    sr_reduction r;
    size_t m = sides[sweep_random(state) % 8], n = sides[sweep_random(state) % 8];
    int const kind = (int)(sweep_random(state) % 5), turned = (int)(sweep_random(state) % 8);
    int const follows = sweep_random(state) % 3 == 0, bent = sweep_random(state) % 3 == 0;
    ptrdiff_t strides[3][2], to[2], first[3] = {0, 0, 0}, first_result = 0;
    sr_counts counts = {0, 0, 0, 0};
    const float *f[3];
    const double *d[3];
    size_t refused;
    r.n = lengths[sweep_random(state) % 10];
    while (m * n > 400 && m * n * r.n > 10000) r.n = lengths[sweep_random(state) % 10], m = sides[sweep_random(state) % 6];
    r.terms = (sr_terms)(SR_TERMS_DOT + sweep_random(state) % 3);
    r.order = SR_ORDER_SEQUENTIAL;
    r.block = r.terms == SR_TERMS_FUSED ? 1 + sweep_random(state) % 20 : 0;
    r.running = 0;
    r.products = r.terms == SR_TERMS_DOT && sweep_random(state) & 1 ? products : NULL;
    r.align_bits = r.terms == SR_TERMS_FUSED && sweep_random(state) % 3 == 0 ? 1 + (int)(sweep_random(state) % 60) : 0;
    refused = m * n;
    strides[0][0] = turned & 1 ? 1 : (ptrdiff_t)r.n;
    strides[0][1] = turned & 1 ? (ptrdiff_t)m : 1;
    strides[1][0] = turned & 2 ? 1 : (ptrdiff_t)n;
    strides[1][1] = turned & 2 ? (ptrdiff_t)r.n : 1;
    strides[2][0] = to[0] = turned & 4 ? 1 : (ptrdiff_t)n;
    strides[2][1] = to[1] = turned & 4 ? (ptrdiff_t)m : 1;
    for (int k = 0; k < 3; k++) {
        size_t const rows = k == 1 ? r.n : m, columns = k == 0 ? r.n : n, size = rows * columns;
        if (bent) first[k] = bend(&strides[k][0], rows, 3, state) + bend(&strides[k][1], columns, 3, state);
        f[k] = operands[k].f + first[k];
        d[k] = operands[k].d + first[k];
        for (size_t j = 0; j < size; j++) {
            uint64_t const bits = element(plan, width, kind, j, words, state);
            if (width == 32) operands[k].u[j] = (uint32_t)bits;
            else operands[k].v[j] = bits;
        }
    }
    if (bent) first_result = bend(&to[0], m, 2, state) + bend(&to[1], n, 2, state);
    if (!follows) {
        f[2] = NULL;
        d[2] = NULL;
    }
    for (size_t o = 0; o < m * n; o++) {
        ptrdiff_t const i = (ptrdiff_t)(o / n), j = (ptrdiff_t)(o % n);
        t.plan = plan;
        t.products = r.products ? r.products : plan;
        t.r = &r;
        t.words = words;
        t.number = words->offset + o;
        t.counts = &counts;
        t.refused = 0;
        t.follows = follows;
        for (size_t l = 0; l < r.n; l++) {
            t.a[l] = at(0, width, first[0] + i * strides[0][0] + (ptrdiff_t)l * strides[0][1]);
            t.b[l] = at(1, width, first[1] + (ptrdiff_t)l * strides[1][0] + j * strides[1][1]);
        }
        t.initial = follows ? at(2, width, first[2] + i * strides[2][0] + j * strides[2][1]) : 0;
        expected[o] = whole(&t);
        if (width == 32) expected[o] = sr_narrow_f32(expected[o]);
        if (t.refused && refused == m * n) refused = o;
    }
    for (size_t k = 0; k < path_count; k++) {
        sr_plan on = *plan, its_products = r.products ? *r.products : *plan;
        sr_reduction on_path = r;
        sr_counts totals = {0, 0, 0, 0};
        uint64_t index = 0;
        sr_status status;
        size_t wrong;
        char shape[260];
        if (sr_plan_set_path(&on, paths[k]) != SR_OK || sr_plan_set_path(&its_products, paths[k]) != SR_OK) exit(2);
        if (r.products) on_path.products = &its_products;
        memset(&y, 0xA5, sizeof y);
        status = width == 32 ? sr_matmul_f32(&on, &on_path, words, m, n, f, (const ptrdiff_t(*)[2])strides,
                                             y.f + first_result, to, &totals, &index)
                             : sr_matmul_f64(&on, &on_path, words, m, n, d, (const ptrdiff_t(*)[2])strides,
                                             y.d + first_result, to, &totals, &index);
        snprintf(shape, sizeof shape,
                 "%s %s %s%s %s float%d bits %d rule %s %zux%zux%zu block %zu align %d kind %d turned %d%s%s",
                 sr_path_name(paths[k]), name, terms_names[r.terms], r.products ? " products" : "",
                 sweep_mode(plan->mode), width, plan->random_bits, sweep_overflow(plan->overflow), m, r.n, n, r.block,
                 r.align_bits, kind, turned, bent ? " bent" : "", follows ? " follows" : "");
        if (refused < m * n) {
            CHECK(status == SR_ERR_OVERFLOW && index == words->offset + refused && y.u[0] == 0xA5A5A5A5u,
                  "%s: status %d at %llu, not %zu", shape, (int)status, (unsigned long long)index, refused);
            continue;
        }
        for (wrong = 0; status == SR_OK && wrong < m * n; wrong++) {
            ptrdiff_t const place = first_result + (ptrdiff_t)(wrong / n) * to[0] + (ptrdiff_t)(wrong % n) * to[1];
            if ((width == 32 ? y.u[place] : y.v[place]) != expected[wrong]) break;
        }
        CHECK(status == SR_OK && wrong == m * n, "%s: status %d, result %zu not %llx", shape, (int)status, wrong,
              (unsigned long long)expected[wrong % MOST]);
        CHECK(totals.inexact == counts.inexact && totals.overflow == counts.overflow &&
                  totals.underflow == counts.underflow && totals.nan == counts.nan,
              "%s: counts %llu %llu %llu %llu, not %llu %llu %llu %llu", shape, (unsigned long long)totals.overflow,
              (unsigned long long)totals.underflow, (unsigned long long)totals.nan, (unsigned long long)totals.inexact,
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
    ptrdiff_t const strides[3][2] = {{3, 1}, {2, 1}, {0, 0}}, to[2] = {2, 1}, none[2] = {0, 1};
    sr_reduction r = {SR_TERMS_DOT, SR_ORDER_SEQUENTIAL, 3, 0, 0, NULL, 0};
    sr_format_named(&format, "bfloat16");
    sr_plan_init(&plan, &format, &rounding);
    CHECK(sr_matmul_f32(NULL, &r, NULL, 2, 2, two, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "plan");
    CHECK(sr_matmul_f32(&plan, NULL, NULL, 2, 2, two, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "reduction");
    CHECK(sr_matmul_f32(&plan, &r, NULL, 2, 2, NULL, strides, y.f, to, NULL, NULL) == SR_ERR_NULL, "operands");
    CHECK(sr_matmul_f32(&plan, &r, NULL, 2, 2, two, strides, NULL, to, NULL, NULL) == SR_ERR_NULL, "y");
    CHECK(sr_matmul_f32(&plan, &r, NULL, 2, 2, two, strides, y.f, none, NULL, NULL) == SR_ERR_STRIDE, "stride");
    CHECK(sr_matmul_f32(&plan, &r, NULL, 0, 2, two, strides, NULL, to, NULL, NULL) == SR_OK, "no rows");
    r.terms = SR_TERMS_SUM;
    CHECK(sr_matmul_f32(&plan, &r, NULL, 2, 2, two, strides, y.f, to, NULL, NULL) == SR_ERR_ORDER, "sum");
}

int main(int argc, char **argv)
{
    long const shapes = argc > 1 ? atol(argv[1]) : 2;
    sr_path paths[SR_PATH_COUNT];
    size_t path_count = 0;
    uint64_t state = 11;
    if (shapes < 1) return 2;
    for (int k = 0; k < SR_PATH_COUNT; k++)
        if (sr_kernels_for((sr_path)k)) paths[path_count++] = (sr_path)k;
    bad_arguments();
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format, other;
        if (argc > 2 && strcmp(argv[2], sweep_formats[k].name)) continue;
        if (sweep_format(&format, k) != SR_OK || sweep_format(&other, (k + 5) % SWEEP_FORMATS) != SR_OK) {
            CHECK(0, "format %s", sweep_formats[k].name);
            continue;
        }
        for (size_t way = 0; way < SWEEP_ROUNDINGS; way++) {
            sr_rounding rounding = sweep_roundings[way];
            /* Some start shortly before block numbers carry. */
            sr_words const words = {1000 + k, way, way % 3 ? 0 : ((uint64_t)1 << 33) - 400, way & 2 ? 5 + way : 0, NULL, 0};
            long const times = rounding.mode == SR_MODE_SR && rounding.random_bits == SR_EXACT ? (sweep_formats[k].name[0] == 'b' ? 20 : 4) * shapes : shapes;
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
                for (long shape = 0; shape < times; shape++)
                    combination(&plan, sr_format_fits(&products.format, carrier) == SR_OK ? &products : &plan,
                                sweep_formats[k].name, width, &words, paths, path_count, &state);
            }
        }
    }
    return check_report();
}
