/* Nodes of sums and products of many terms (S8), each rounded, with their words: what reductions (reduce.c) and matrix
 * products (matmul.c) have in common. Results are worked on side by side, a lane each; a node of all of them is one step of a
 * path's kernel, and the definition does what that leaves open. Internal. */
#ifndef SRCORE_NODES_H
#define SRCORE_NODES_H

#include "call.h"

/* One way of rounding: sums and products may have two. */
typedef struct way {
    const sr_plan *plan;
    const sr_lanes *lanes; /* NULL: the definition */
    sr_lanes room;
    uint64_t most, least;
} way;

typedef struct reducing {
    const sr_reduction *r;
    const sr_words *words;
    sr_carrier carrier;
    const void *operands[3];
    ptrdiff_t strides[3][2];
    void *y;
    ptrdiff_t y_strides[2];
    way sums, products;
    const sr_lanes *half; /* of sums, where float32 is rounded as it is; or NULL */
    sr_lanes half_room;
    int in_rows, in_line; /* many steps at once, of many results or of each alone */
    uint64_t blocks;      /* of a result */
    size_t per_block;     /* words of a block; 0 where nothing is drawn */
    sr_counts *counts;    /* or NULL */
    sr_status status;     /* of the first refused result */
    size_t refused;
    size_t first, n, each; /* the results at hand, and from one to the next */
    uint64_t drawn_block; /* of each result, whose words `drawn` holds; all ones: none */
    uint32_t drawn[4][SR_SIDE];
} reducing;

/* Values of results side by side, SR_SIDE of them: zeros behind the last. */
typedef double side[SR_SIDE];

static inline void clear(double *values)
{
    for (int j = 0; j < SR_SIDE; j++) values[j] = 0;
}

/* ---- words ------------------------------------------------------------------------------------------ */

static inline uint64_t first_block(const reducing *at)
{
    return at->words->block + (at->words->offset + at->first) * at->blocks;
}

/* The block that holds word m of each result. */
static inline void draw(reducing *at, uint64_t m)
{
    uint64_t const block = m / at->per_block;
    if (block == at->drawn_block) return;
    at->drawn_block = block;
    at->sums.plan->kernels->scattered(at->words->seed, at->words->stream, first_block(at) + block,
                                      at->each * at->blocks, at->n, at->drawn);
}

static inline uint64_t word_of(const reducing *at, const sr_plan *plan, uint64_t m, size_t j)
{
    uint32_t block[4];
    uint64_t word;
    if (!at->per_block) return 0;
    for (int i = 0; i < 4; i++) block[i] = at->drawn[i][j];
    word = sr_philox_pick(block, plan->word_bits, (uint32_t)(m % at->per_block));
    return plan->random_bits == SR_EXACT ? word : word >> (plan->word_bits - plan->random_bits);
}

/* At the top of lanes, as kernels take them. */
static inline void words_of_step(const reducing *at, const way *w, uint64_t m, uint64_t *lanes)
{
    const sr_plan *const plan = w->plan;
    int const bits = plan->word_bits, position = (int)(m % at->per_block) * bits;
    int const up = 64 - bits - position % 32;
    uint64_t const mask = plan->random_bits == SR_EXACT ? ~sr_ones(64 - bits) : ~sr_ones(64 - plan->random_bits);
    const uint32_t *const low = at->drawn[position / 32];
    if (bits == 64) {
        for (size_t j = 0; j < SR_SIDE; j++) lanes[j] = ((uint64_t)at->drawn[position / 32 + 1][j] << 32 | low[j]) & mask;
        return;
    }
    for (size_t j = 0; j < SR_SIDE; j++) lanes[j] = (uint64_t)low[j] << up & mask;
}

static inline refinement deeper_of(const reducing *at, uint64_t m, size_t j)
{
    refinement deeper = {0, 0, 0};
    if (at->words) {
        deeper.seed = at->words->seed;
        deeper.stream = at->words->stream;
        deeper.counter = 8 * at->words->block + at->per_block * at->blocks * (at->words->offset + at->first + j * at->each) + m;
    }
    return deeper;
}

/* ---- nodes ------------------------------------------------------------------------------------------ */

static inline void happened(reducing *at, unsigned flags, size_t j)
{
    if (at->counts) count(at->counts, flags);
    if (flags & SR_FLAG_REFUSED && (at->status == SR_OK || at->first + j * at->each < at->refused)) {
        at->status = SR_ERR_OVERFLOW;
        at->refused = at->first + j * at->each;
    }
}

/* S7.2, for sums of one term too: one NaN. */
static inline double one_nan(uint64_t result)
{
    return sr_value_f64((result & ~SR_F64_SIGN) > SR_F64_INF ? SR_F64_NAN : result);
}

static inline double settle(reducing *at, const way *w, sr_op op, const double *x, const double *y, const double *z, uint64_t m,
                     size_t j)
{
    refinement deeper = deeper_of(at, m, j);
    unsigned flags;
    uint64_t const result =
        sr_arith_bits(w->plan, op, sr_bits_f64(x[j]), y ? sr_bits_f64(y[j]) : 0, z ? sr_bits_f64(z[j]) : 0,
                      word_of(at, w->plan, m, j), 0, refine_philox, &deeper, &flags);
    happened(at, flags, j);
    return one_nan(result);
}

/* result = x op y (op z), rounding number m of each result; it may be an operand. */
static inline void node(reducing *at, const way *w, sr_op op, const double *x, const double *y, const double *z, uint64_t m,
                 double *result)
{
    uint64_t ask = ~(uint64_t)0 >> (SR_SIDE - at->n);
    if (at->per_block) draw(at, m);
    if (w->lanes) {
        SR_ALIGNED(64) uint64_t words[SR_SIDE];
        SR_ALIGNED(64) side rounded;
        sr_step step;
        if (at->per_block) words_of_step(at, w, m, words);
        step.lanes = w->lanes;
        step.op = op;
        step.wide = at->carrier == SR_CARRIER_F64;
        step.n = at->n;
        step.x = x;
        step.y = y ? y : x;
        step.z = z ? z : x;
        step.words = at->per_block ? words : NULL;
        step.most = w->most;
        step.least = w->least;
        step.zero_sums = w->plan->mode == SR_MODE_RD;
        step.result = rounded;
        step.inexact = step.underflow = 0;
        ask &= w->plan->kernels->step(&step);
        if (at->counts) {
            at->counts->inexact += step.inexact;
            at->counts->underflow += step.underflow;
        }
        for (size_t j = 0; ask; j++, ask >>= 1)
            if (ask & 1) rounded[j] = settle(at, w, op, x, y, z, m, j);
        for (size_t j = 0; j < at->n; j++) result[j] = rounded[j];
        return;
    }
    for (size_t j = 0; j < at->n; j++) result[j] = settle(at, w, op, x, y, z, m, j);
}

/* A total rounded once, rounding number m. */
static inline double round_total(reducing *at, sr_total *total, uint64_t m, size_t j)
{
    refinement deeper = deeper_of(at, m, j);
    unsigned flags;
    uint64_t result;
    if (at->per_block) draw(at, m);
    result = sr_total_bits(at->sums.plan, total, word_of(at, at->sums.plan, m, j), refine_philox, &deeper, &flags);
    happened(at, flags, j);
    return sr_value_f64(result);
}

static inline void set_way(way *w, const sr_plan *plan, sr_carrier carrier)
{
    w->plan = plan;
    w->most = sr_arith_trusted(plan, carrier);
    w->least = plan->max_bits < plan->min_bits ? plan->max_bits : plan->min_bits;
    w->lanes = plan->kernels->step && w->most ? sr_lanes_of(&w->room, plan, 64) : NULL;
}

/* What is the same for all results; arguments have been checked. */
static inline void set_reducing(reducing *at, const sr_plan *plan, const sr_reduction *r, const sr_words *words,
                                sr_carrier carrier)
{
    at->r = r;
    at->words = words;
    at->carrier = carrier;
    at->blocks = sr_reduce_blocks(plan, r);
    at->per_block = plan->word_bits ? (size_t)(128 / plan->word_bits) : 0;
    set_way(&at->sums, plan, carrier);
    set_way(&at->products, r->products ? r->products : plan, carrier);
    at->half = plan->kernels->half_rows ? sr_lanes_of(&at->half_room, plan, 32) : NULL;
    if (at->half && !(at->half->quick == SR_QUICK_HALF && at->half->kind == SR_KIND_EXACT)) at->half = NULL;
    at->in_rows = at->in_line = 0;
    at->each = 1;
    at->status = SR_OK;
    at->refused = 0;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < SR_SIDE; j++) at->drawn[i][j] = 0;
}

/* A plan with a rule that refuses values */
static inline int refuses(const sr_plan *plan)
{
    return plan->overflow == SR_OVERFLOW_RAISE || plan->overflow == SR_OVERFLOW_WRAP;
}

#endif
