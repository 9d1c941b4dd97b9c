/* Matrix products, every operation rounded (S8): results in panels of SR_PANEL lanes, along rows or down columns, whose
 * factors are packed; what a path's kernel leaves open, and what it does not serve, is done by nodes and reductions. */
#include "nodes.h"

/* Of a panel: rows of results, and terms of their sums. */
#define PANEL_ROWS 32
#define PANEL_STEPS 128

typedef struct product {
    reducing at;        /* one row of a panel, for nodes */
    size_t m, n;        /* results by row and column, */
    size_t rows, lanes; /* and as they are worked on */
    ptrdiff_t row_apart, lane_apart; /* numbers of results */
    const unsigned char *left, *right; /* factors of rows and of lanes */
    ptrdiff_t left_row, left_term, right_lane, right_term;
    const unsigned char *initial;
    ptrdiff_t initial_row, initial_lane;
    unsigned char *y; /* NULL: only look for a refused result */
    ptrdiff_t y_row, y_lane;
    int bytes;         /* of a value in memory, */
    int single;        /* and in panels of floats */
    int alike;         /* products are rounded as sums are */
    int ragged;        /* kernels do whole groups alone: products have no -0 */
} product;

/* Some terms of some rows of a panel of lanes. */
typedef struct tile {
    size_t row, lane, rows, lanes;
    SR_ALIGNED(64) double b[PANEL_STEPS * SR_PANEL]; /* or float */
    SR_ALIGNED(64) double a[PANEL_ROWS * PANEL_STEPS];
    SR_ALIGNED(64) double value[PANEL_ROWS * SR_PANEL];
} tile;

/* ---- in and out -------------------------------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Steps that a kernel does at a time */
static size_t group_of(const sr_reduction *r)
{
    return r->terms == SR_TERMS_DOT ? SR_PANEL_DOT : r->terms == SR_TERMS_FMA ? SR_PANEL_FMA : r->block;
}

/* n values at `from`, as values of the kernel. */
static void load_line(const product *c, const unsigned char *from, ptrdiff_t stride, size_t n, void *to)
{
    const sr_kernels *const kernels = c->at.sums.plan->kernels;
    uint64_t room[PANEL_STEPS];
    if (c->bytes == (c->single ? 4 : 8) && stride == 1 && n == SR_PANEL) {
        if (c->single) SR_COPY(to, from, 4 * SR_PANEL);
        else SR_COPY(to, from, 8 * SR_PANEL);
    } else if (c->bytes == (c->single ? 4 : 8))
        copy_strided(c->bytes, n, from, stride, to, 1);
    else if (c->single)
        kernels->narrow((const double *)gather(8, n, from, stride, 0, room), n, (float *)to);
    else
        kernels->widen((const float *)gather(4, n, from, stride, 0, room), n, (double *)to);
}

static void fill(const product *c, size_t from, size_t to, double value, void *lanes)
{
    float const single = (float)value;
    for (size_t j = from; j < to; j++) {
        if (c->single) SR_COPY((float *)lanes + j, &single, 4);
        else SR_COPY((double *)lanes + j, &value, 8);
    }
}

static void *lanes_at(const product *c, double *base, size_t row)
{
    return c->single ? (void *)((float *)(void *)base + row * SR_PANEL) : (void *)(base + row * SR_PANEL);
}

/* Eight adjacent terms of four lanes turned, as long as there are. */
static size_t turn_lanes(const product *c, const unsigned char *from, size_t steps, size_t lanes, uint32_t *to)
{
    size_t const whole = steps / 8 * 8;
    if (lanes != SR_PANEL) return 0;
    for (size_t l = 0; l < whole; l += 8)
        for (size_t j = 0; j < SR_PANEL; j += 4) {
            uint32_t terms[4][8];
            for (size_t i = 0; i < 4; i++)
                SR_COPY(terms[i], from + ((ptrdiff_t)(j + i) * c->right_lane + (ptrdiff_t)l) * 4, sizeof terms[i]);
            for (size_t k = 0; k < 8; k++) {
                uint32_t const four[4] = {terms[0][k], terms[1][k], terms[2][k], terms[3][k]};
                SR_COPY(to + (l + k) * SR_PANEL + j, four, sizeof four);
            }
        }
    return whole;
}

/* The factors of lanes, term by term; zeros beside the last lane and -0 behind the last term, which changes no sum. */
static void pack(const product *c, tile *t, size_t step, size_t steps)
{
    int const bytes = c->bytes;
    const unsigned char *const from =
        c->right + ((ptrdiff_t)t->lane * c->right_lane + (ptrdiff_t)step * c->right_term) * bytes;
    size_t const group = c->at.r->terms == SR_TERMS_FUSED ? 1 : group_of(c->at.r);
    size_t l = 0;
    if (c->single && bytes == 4 && c->right_term == 1 && c->right_lane != 1)
        l = turn_lanes(c, from, steps, t->lanes, (uint32_t *)(void *)t->b);
    for (; l < steps; l++) {
        void *const to = lanes_at(c, t->b, l);
        load_line(c, from + (ptrdiff_t)l * c->right_term * bytes, c->right_lane, t->lanes, to);
        fill(c, t->lanes, SR_PANEL, 0.0, to);
    }
    for (; l % group; l++) fill(c, 0, SR_PANEL, -0.0, lanes_at(c, t->b, l));
}

static void pack_rows(const product *c, tile *t, size_t step, size_t steps)
{
    int const bytes = c->bytes;
    for (size_t i = 0; i < t->rows; i++)
        load_line(c, c->left + ((ptrdiff_t)(t->row + i) * c->left_row + (ptrdiff_t)step * c->left_term) * bytes,
                  c->left_term, steps, c->single ? (void *)((float *)(void *)t->a + i * PANEL_STEPS) : t->a + i * PANEL_STEPS);
}

static void begin(const product *c, tile *t)
{
    int const bytes = c->bytes;
    for (size_t i = 0; i < t->rows; i++) {
        void *const to = lanes_at(c, t->value, i);
        fill(c, 0, SR_PANEL, -0.0, to);
        if (c->initial)
            load_line(c, c->initial + ((ptrdiff_t)(t->row + i) * c->initial_row + (ptrdiff_t)t->lane * c->initial_lane) * bytes,
                      c->initial_lane, t->lanes, to);
    }
}

static void end(const product *c, tile *t)
{
    int const bytes = c->bytes;
    for (size_t i = 0; c->y && i < t->rows; i++) {
        unsigned char *const to = c->y + ((ptrdiff_t)(t->row + i) * c->y_row + (ptrdiff_t)t->lane * c->y_lane) * bytes;
        SR_ALIGNED(64) double room[SR_PANEL];
        const void *from = lanes_at(c, t->value, i);
        if (bytes == 4 && !c->single) {
            c->at.sums.plan->kernels->narrow((const double *)from, t->lanes, (float *)room);
            from = room;
        } else if (bytes == 8 && c->single) {
            c->at.sums.plan->kernels->widen((const float *)from, t->lanes, room);
            from = room;
        }
        copy_strided(bytes, t->lanes, from, 1, to, c->y_lane);
    }
}

/* ---- by nodes ---------------------------------------------------------------------------------------- */

static double *widened(const product *c, double *base, size_t row, side room)
{
    clear(room);
    if (c->single)
        c->at.sums.plan->kernels->widen((const float *)(void *)base + row * SR_PANEL, SR_PANEL, room);
    else
        for (int j = 0; j < SR_PANEL; j++) room[j] = base[row * SR_PANEL + (size_t)j];
    return room;
}

/* A block of products and what has been summed, of each lane. */
static void fused_node(product *c, tile *t, size_t i, size_t from, size_t to, uint64_t m, int follows, double *value)
{
    reducing *const at = &c->at;
    if (at->per_block) draw(at, m);
    for (size_t j = 0; j < at->n; j++) {
        sr_total total;
        sr_total_clear(&total);
        if (follows) sr_total_add(&total, 0, sr_bits_f64(value[j]), 0);
        for (size_t l = from; l < to; l++)
            sr_total_add(&total, 1, sr_bits_f64(t->a[i * PANEL_STEPS + l]), sr_bits_f64(t->b[l * SR_PANEL + j]));
        value[j] = round_total(at, &total, m, j);
    }
}

/* Steps [from, to) of a tile, the first of which is number `step` of all, in its row i. */
static void by_nodes(product *c, tile *t, size_t i, size_t step, size_t from, size_t to)
{
    reducing *const at = &c->at;
    const sr_reduction *const r = at->r;
    SR_ALIGNED(64) side value, x, y;
    void *const values = lanes_at(c, t->value, i);
    at->first = (t->row + i) * (size_t)c->row_apart + t->lane * (size_t)c->lane_apart;
    at->n = t->lanes;
    at->drawn_block = ~(uint64_t)0;
    (void)widened(c, t->value, i, value);
    if (r->terms == SR_TERMS_FUSED) {
        fused_node(c, t, i, from, to, (step + from) / r->block, c->initial || step + from > 0, value);
    } else {
        for (size_t l = from; l < to; l++) {
            uint64_t const number = step + l;
            int const follows = c->initial || number > 0;
            double const factor = /* by its pattern: the caller may flush subnormals */
                c->single ? sr_value_f64(load_value(SR_CARRIER_F32, t->a, (ptrdiff_t)(i * PANEL_STEPS + l)))
                          : t->a[i * PANEL_STEPS + l];
            clear(y);
            for (size_t j = 0; j < at->n; j++) y[j] = factor;
            (void)widened(c, t->b, l, x);
            if (r->terms == SR_TERMS_FMA) {
                if (follows) node(at, &at->sums, SR_OP_FMA, x, y, value, number, value);
                else node(at, &at->sums, SR_OP_MUL, x, y, NULL, number, value);
                continue;
            }
            node(at, &at->products, SR_OP_MUL, x, y, NULL, 2 * number, x);
            if (follows) node(at, &at->sums, SR_OP_ADD, value, x, NULL, 2 * number + 1, value);
            else for (size_t j = 0; j < at->n; j++) value[j] = x[j];
        }
    }
    if (c->single) c->at.sums.plan->kernels->narrow(value, SR_PANEL, (float *)values);
    else for (size_t j = 0; j < SR_PANEL; j++) ((double *)values)[j] = value[j];
}

/* ---- by panels --------------------------------------------------------------------------------------- */

static void describe(const product *c, sr_panel *p)
{
    const reducing *const at = &c->at;
    p->lanes = c->single ? at->half : at->sums.lanes;
    p->products = c->single ? at->half : at->products.lanes;
    p->terms = at->r->terms;
    p->counting = at->counts != NULL;
    p->wide = at->carrier == SR_CARRIER_F64;
    p->block = at->r->block;
    p->a_row = PANEL_STEPS;
    p->a_step = 1;
    p->seed = at->words ? at->words->seed : 0;
    p->stream = at->words ? at->words->stream : 0;
    p->row_apart = (uint64_t)c->row_apart * at->blocks;
    p->apart = (uint64_t)c->lane_apart * at->blocks;
    p->most[0] = at->sums.most;
    p->most[1] = at->products.most;
    p->least[0] = at->sums.least;
    p->least[1] = at->products.least;
    p->zero_sums = at->sums.plan->mode == SR_MODE_RD;
    p->inexact = p->underflow = 0;
}

/* Have values 8 bits? And the exponent field of the smallest, infinite where all are zero. */
static int narrow_lines(const double *base, size_t lines, size_t stride, size_t n, uint32_t *field)
{
    uint32_t low = 0, least = 0x7F7FFFFF;
    for (size_t i = 0; i < lines; i++)
        for (size_t j = 0; j < n; j++) {
            uint32_t bits;
            SR_COPY(&bits, (const float *)(const void *)base + i * stride + j, sizeof bits);
            low |= bits & 0xFFFF;
            bits = (bits & 0x7FFFFFFF) - 1; /* zeros last */
            least = bits < least ? bits : least;
        }
    *field = least >> 23;
    return low == 0;
}

static int has_narrow_factors(const tile *t, size_t steps)
{
    uint32_t a, b;
    return narrow_lines(t->a, t->rows, PANEL_STEPS, steps, &a) &&
           narrow_lines(t->b, steps, SR_PANEL, SR_PANEL, &b) && a + b >= 2 * 127 - 100 + 1;
}

static void some_steps(product *c, tile *t, sr_panel *p, size_t step, size_t steps)
{
    reducing *const at = &c->at;
    const sr_kernels *const kernels = at->sums.plan->kernels;
    size_t const group = group_of(at->r);
    pack(c, t, step, steps);
    pack_rows(c, t, step, steps);
    p->a = t->a;
    p->b = t->b;
    p->value = t->value;
    p->rows = t->rows;
    p->steps = c->ragged ? steps / group * group : steps;
    p->first = at->words ? at->words->block + (at->words->offset + t->row * (uint64_t)c->row_apart +
                                               t->lane * (uint64_t)c->lane_apart) * at->blocks : 0;
    p->number = at->r->terms == SR_TERMS_DOT ? 2 * (uint64_t)step : at->r->terms == SR_TERMS_FMA ? step : step / at->r->block;
    p->narrow = c->single && p->counting && p->terms == SR_TERMS_FMA && !(step == 0 && c->initial) &&
                has_narrow_factors(t, steps); /* initial values may have more bits */
    p->begin = 0;
    if (step == 0 && !c->initial && !c->alike) { /* the first sum is a product, and not rounded as sums are */
        p->begin = smaller(group, steps);
        for (size_t i = 0; i < t->rows; i++) by_nodes(c, t, i, step, 0, p->begin);
    }
    p->row = p->begin < p->steps ? 0 : t->rows;
    p->step = p->begin;
    while (p->row < p->rows) {
        size_t to;
        if (c->single) kernels->half_panel(p);
        else kernels->panel(p);
        if (p->row >= p->rows) break;
        to = smaller(p->step + group, p->steps);
        by_nodes(c, t, p->row, step, p->step, to);
        p->step = to;
        if (to == p->steps) {
            p->row++;
            p->step = p->begin;
        }
    }
    if (p->begin > p->steps) return;
    for (size_t i = 0; p->steps < steps && i < t->rows; i++) by_nodes(c, t, i, step, p->steps, steps);
}

static void in_panels(product *c)
{
    reducing *const at = &c->at;
    size_t const n = at->r->n, group = group_of(at->r);
    size_t const most = at->r->terms == SR_TERMS_FUSED ? PANEL_STEPS / group * group : (size_t)PANEL_STEPS;
    tile t;
    sr_panel p;
    describe(c, &p);
    for (t.lane = 0; t.lane < c->lanes; t.lane += SR_PANEL) {
        t.lanes = smaller(c->lanes - t.lane, SR_PANEL);
        for (t.row = 0; t.row < c->rows; t.row += PANEL_ROWS) {
            t.rows = smaller(c->rows - t.row, PANEL_ROWS);
            begin(c, &t);
            for (size_t step = 0; step < n; step += most) some_steps(c, &t, &p, step, smaller(n - step, most));
            end(c, &t);
        }
    }
    if (at->counts) {
        at->counts->inexact += p.inexact;
        at->counts->underflow += p.underflow;
    }
}

/* Are values rounded by the one as by the other? Mode and words are the same. */
static int alike(const sr_plan *a, const sr_plan *b)
{
    return a == b || (a->format.precision == b->format.precision && a->format.emin == b->format.emin &&
                      a->format.qmin == b->format.qmin && a->format.flags == b->format.flags &&
                      a->max_bits == b->max_bits && a->min_bits == b->min_bits && a->overflow == b->overflow &&
                      a->random_bits == b->random_bits && a->variant == b->variant && a->eps == b->eps);
}

/* Do kernels serve? */
static int serves(product *c)
{
    const reducing *const at = &c->at;
    const sr_reduction *const r = at->r;
    const sr_plan *const plan = at->sums.plan;
    if (!plan->kernels->panel || r->order != SR_ORDER_SEQUENTIAL || r->terms < SR_TERMS_DOT || r->n < 4) return 0;
    if (!at->sums.lanes || !at->products.lanes) return 0;
    if (r->terms == SR_TERMS_FUSED && (r->block > PANEL_STEPS || r->align_bits)) return 0;
    if (at->sums.lanes->kind != SR_KIND_EXACT && at->sums.lanes->kind > SR_KIND_ODD) return 0;
    /* What is refused without being beyond the range, lanes do not see. */
    if ((refuses(plan) || refuses(at->products.plan)) && !(plan->format.flags & at->products.plan->format.flags & SR_ZERO)) return 0;
    c->alike = alike(plan, at->products.plan);
    c->ragged = !(at->products.plan->format.flags & SR_NEGATIVE_ZERO) && plan->format.flags & SR_NEGATIVE_ZERO;
    c->single = at->carrier == SR_CARRIER_F32 && at->half && r->terms != SR_TERMS_FUSED && c->alike;
    return 1;
}

/* ---- the call ---------------------------------------------------------------------------------------- */

/* Does float32 hold all of these? NaN is NaN. */
static int all_single(const sr_kernels *kernels, const void *x, size_t rows, size_t columns, const ptrdiff_t strides[2])
{
    for (size_t i = 0; x && i < rows; i++)
        for (size_t j = 0; j < columns; j += PANEL_STEPS) {
            const unsigned char *const from =
                (const unsigned char *)x + ((ptrdiff_t)i * strides[0] + (ptrdiff_t)j * strides[1]) * 8;
            size_t const n = smaller(columns - j, PANEL_STEPS);
            uint64_t room[PANEL_STEPS];
            SR_ALIGNED(64) float narrowed[PANEL_STEPS];
            SR_ALIGNED(64) double widened[PANEL_STEPS];
            const unsigned char *const given = (const unsigned char *)gather(8, n, from, strides[1], 0, room);
            uint64_t differs = 0;
            kernels->narrow((const double *)(const void *)given, n, narrowed);
            kernels->widen(narrowed, n, widened);
            for (size_t k = 0; k < n; k++) {
                uint64_t bits, again;
                SR_COPY(&bits, given + 8 * k, 8);
                SR_COPY(&again, widened + k, 8);
                differs |= (bits ^ again) & ~(uint64_t)((bits & ~SR_F64_SIGN) > SR_F64_INF ? ~(uint64_t)0 : 0);
            }
            if (differs) return 0;
        }
    return 1;
}

/* Row by row, or where each has one result, all of them at once. */
static sr_status by_rows(const product *c, const void *const *operands, const ptrdiff_t (*strides)[2], void *y,
                         const ptrdiff_t *y_strides, uint64_t *index, int passes)
{
    const reducing *const at = &c->at;
    int const column = c->n == 1, bytes = c->bytes;
    sr_carrier const carrier = bytes == 4 ? SR_CARRIER_F32 : SR_CARRIER_F64;
    size_t const rows = column ? 1 : c->m, results = column ? c->m : c->n;
    ptrdiff_t steps[3][2], to[2];
    steps[0][0] = column ? strides[0][0] : 0;
    steps[0][1] = strides[0][1];
    steps[1][0] = column ? 0 : strides[1][1];
    steps[1][1] = strides[1][0];
    steps[2][0] = !operands[2] ? 0 : column ? strides[2][0] : strides[2][1];
    steps[2][1] = 0;
    to[0] = column ? y_strides[0] : y_strides[1];
    to[1] = 1;
    for (size_t i = 0; i < rows; i++) {
        const void *from[3];
        sr_words words;
        sr_status status;
        from[0] = operands[0] ? (const unsigned char *)operands[0] + (ptrdiff_t)i * strides[0][0] * bytes : NULL;
        from[1] = operands[1];
        from[2] = operands[2] ? (const unsigned char *)operands[2] + (ptrdiff_t)i * strides[2][0] * bytes : NULL;
        if (at->words) {
            words = *at->words;
            words.offset += i * c->n;
        }
        status = sr_reduce_passes(at->sums.plan, at->r, at->words ? &words : NULL, results, carrier, from,
                                  (const ptrdiff_t(*)[2])steps, (unsigned char *)y + (ptrdiff_t)i * y_strides[0] * bytes,
                                  to, passes & SR_PASS_WRITE ? at->counts : NULL, index, passes);
        if (status != SR_OK) return status;
    }
    return SR_OK;
}

static void lay_out(product *c, const void *const *operands, const ptrdiff_t (*strides)[2], void *y,
                    const ptrdiff_t *y_strides)
{
    int const across = c->n >= c->m || c->n >= SR_PANEL; /* lanes along a row of results */
    int const row = across ? 0 : 1, lane = 1 - row;
    c->rows = across ? c->m : c->n;
    c->lanes = across ? c->n : c->m;
    c->row_apart = across ? (ptrdiff_t)c->n : 1;
    c->lane_apart = across ? 1 : (ptrdiff_t)c->n;
    c->at.each = (size_t)c->lane_apart;
    c->left = (const unsigned char *)operands[row];
    c->left_row = strides[row][row];
    c->left_term = strides[row][lane];
    c->right = (const unsigned char *)operands[lane];
    c->right_lane = strides[lane][lane];
    c->right_term = strides[lane][row];
    c->initial = (const unsigned char *)operands[2];
    c->initial_row = c->initial ? strides[2][row] : 0;
    c->initial_lane = c->initial ? strides[2][lane] : 0;
    c->y = (unsigned char *)y;
    c->y_row = y_strides[row];
    c->y_lane = y_strides[lane];
}

static sr_status matmul(const sr_plan *plan, const sr_reduction *r, const sr_words *words, size_t m, size_t n,
                        sr_carrier carrier, const void *const *operands, const ptrdiff_t (*strides)[2], void *y,
                        const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index)
{
    product c;
    sr_status status = sr_reduce_passes(plan, r, words, 0, carrier, operands, strides, y, y_strides, NULL, NULL, 0);
    if (status != SR_OK) return status;
    if (r->terms < SR_TERMS_DOT) return SR_ERR_ORDER;
    if (m == 0 || n == 0) return SR_OK;
    if (!y || (r->n && (!operands[0] || !operands[1]))) return SR_ERR_NULL;
    if ((m > 1 && y_strides[0] == 0) || (n > 1 && y_strides[1] == 0)) return SR_ERR_STRIDE;
    if (m > SIZE_MAX / n || (words && words->offset > UINT64_MAX - ((uint64_t)m * n - 1))) return SR_ERR_OFFSET;
    c.bytes = carrier == SR_CARRIER_F32 ? 4 : 8;
    if (c.bytes == 8 && plan->fits_f32 && (!r->products || r->products->fits_f32) && plan->kernels->narrow &&
        all_single(plan->kernels, operands[0], m, r->n, strides[0]) &&
        all_single(plan->kernels, operands[1], r->n, n, strides[1]) &&
        (!operands[2] || all_single(plan->kernels, operands[2], m, n, strides[2])))
        carrier = SR_CARRIER_F32; /* values, if not in memory */
    set_reducing(&c.at, plan, r, words, carrier);
    c.at.counts = NULL;
    c.m = m;
    c.n = n;
    if (!serves(&c)) {
        c.at.counts = counts;
        if (refuses(plan) || (r->products && refuses(r->products))) {
            status = by_rows(&c, operands, strides, y, y_strides, index, SR_PASS_CHECK);
            if (status != SR_OK) return status;
        }
        return by_rows(&c, operands, strides, y, y_strides, index, SR_PASS_WRITE);
    }
    if (refuses(plan) || (r->products && refuses(r->products))) { /* before anything is written */
        lay_out(&c, operands, strides, NULL, y_strides);
        in_panels(&c);
        if (c.at.status != SR_OK) {
            if (index) *index = (words ? words->offset : 0) + c.at.refused;
            return c.at.status;
        }
    }
    c.at.counts = counts;
    lay_out(&c, operands, strides, y, y_strides);
    in_panels(&c);
    return SR_OK;
}

sr_status sr_matmul_f32(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t m, size_t n,
                        const float *const *operands, const ptrdiff_t (*strides)[2], float *y, const ptrdiff_t *y_strides,
                        sr_counts *counts, uint64_t *index)
{
    const void *given[3] = {NULL, NULL, NULL};
    for (int k = 0; operands && k < 3; k++) given[k] = operands[k];
    return matmul(plan, reduction, words, m, n, SR_CARRIER_F32, operands ? given : NULL, strides, y, y_strides, counts,
                  index);
}

sr_status sr_matmul_f64(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t m, size_t n,
                        const double *const *operands, const ptrdiff_t (*strides)[2], double *y,
                        const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index)
{
    const void *given[3] = {NULL, NULL, NULL};
    for (int k = 0; operands && k < 3; k++) given[k] = operands[k];
    return matmul(plan, reduction, words, m, n, SR_CARRIER_F64, operands ? given : NULL, strides, y, y_strides, counts,
                  index);
}
