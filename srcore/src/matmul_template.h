/* Matrix products in 64-bit lanes, whatever the format and the mode, where words have 16 bits or there are none. */

#define SR_LANES V(lanes)
#define SR_SIGN ((uint64_t)1 << 63)
#define SR_INFINITY SR_F64_INF
#define SR_PANEL_VECTORS 4 /* at a time */
#define SR_FEW_SMALL ((uint64_t)(1023 - 20) << 52)

/* The words of a block of each lane. */
SR_SPECIALIZE void V(panel_words)(const C(setup) *t, uint32_t block, const uint64_t *places, VV w[SR_PANEL_VECTORS][4])
{
    C(state) s[SR_PANEL_VECTORS];
    for (int k = 0; k < SR_PANEL_VECTORS; k++) {
        CV at;
        SR_COPY(&at, places + k * C(lanes), sizeof at);
        C(begin)(&s[k], t, C(add)(C(set)(block), at));
    }
    for (int r = 3; r < SR_PHILOX_ROUNDS; r++)
        for (int k = 0; k < SR_PANEL_VECTORS; k++) C(round)(&s[k], t->m0, t->m1, t->keys0[r], t->keys1[r]);
    for (int k = 0; k < SR_PANEL_VECTORS; k++) {
        w[k][0] = s[k].c0;
        w[k][1] = s[k].c1;
        w[k][2] = s[k].c2;
        w[k][3] = s[k].c3;
    }
}

/* For the blocks of a row from `first` on: not if the upper halves of their numbers differ. */
SR_SPECIALIZE int V(panel_prepare)(C(setup) *setup, uint64_t *upper, const sr_panel *p, uint64_t first, uint64_t blocks)
{
    if (first >> 32 != (first + (SR_PANEL - 1) * p->apart + blocks) >> 32) return 0;
    if (first >> 32 == *upper) return 1;
    *upper = first >> 32;
    C(prepare)(setup, p->seed, p->stream, (uint32_t)*upper);
    return 1;
}

/* Word number m of a block, at the top of lanes. */
SR_SPECIALIZE VV V(panel_word)(const VV w[4], int m)
{
    VV const top = V(set)((uint64_t)0xFFFF << 48);
    return V(and)(V(sll)(w[m / 2], V(set)(m % 2 ? 32 : 48)), top);
}

typedef struct V(panel_seen) {
    VM ask;
    V(seen) quick;
    VV inexact, underflow;
} V(panel_seen);

/* t, rounded to odd or exact, rounded to the format; all that is not quite ordinary is asked for. */
SR_SPECIALIZE VV V(panel_round)(const sr_lanes *c, sr_kind kind, int which, VV t, VV T, V(panel_seen) *seen)
{
    if (which == SR_QUICK_NONE) {
        VM hard = V(none)();
        VV const r = V(careful)(c, kind, t, T, V(set)(1), &hard);
        seen->ask = V(m_or)(seen->ask, V(m_or)(hard, V(gt_u)(V(and)(r, V(set)(SR_SIGN - 1)), V(set)(SR_INFINITY))));
        return r;
    }
    if (kind == SR_KIND_EXACT) return V(quick_rounded)(c, which, t, T, &seen->quick);
    return V(plain_one)(c, kind, which, t);
}

SR_SPECIALIZE void V(panel_count)(VV t, VV r, V(panel_seen) *seen)
{
    VV const magnitude = V(set)(SR_SIGN - 1), rm = V(and)(r, magnitude);
    VM const same = V(eq)(V(and)(t, magnitude), rm);
    seen->inexact = V(sub)(seen->inexact, V(andnot)(V(set)(~(uint64_t)0), V(truth)(same)));
    seen->underflow = V(sub)(seen->underflow, V(truth)(V(m_andnot)(V(eq)(rm, V(set)(0)), same)));
}

/* x op y (op z) rounded. `limit`: magnitudes above it, infinities and NaN are asked for, and sums below `zero_sums`. */
SR_SPECIALIZE DV V(panel_node)(const sr_lanes *c, sr_kind kind, int which, sr_op op, int wide, DV x, DV y, DV z, VV T,
                               VV limit, VV zero_sums, V(panel_seen) *seen)
{
    VM ask;
    VV const t = V(op_to_odd)(op, wide, x, y, z, &ask), tm = V(and)(t, V(set)(SR_SIGN - 1));
    VV const r = V(panel_round)(c, kind, which, t, T, seen);
    ask = V(m_or)(ask, V(gt_u)(tm, limit));
    if (op != SR_OP_MUL) ask = V(m_or)(ask, V(gt_u)(zero_sums, tm));
    seen->ask = V(m_or)(seen->ask, ask);
    V(panel_count)(t, r, seen);
    return D(value)(r);
}

SR_SPECIALIZE DV V(panel_factor)(const sr_panel *p, const double *a, size_t step)
{
    return D(value)(V(set)(sr_bits_f64(a[(ptrdiff_t)step * p->a_step])));
}

SR_SPECIALIZE VV V(panel_limit)(const sr_panel *p, int i)
{
    return V(set)(p->most[i] < p->least[i] ? p->most[i] : p->least[i]);
}

SR_SPECIALIZE int V(panel_stops)(const sr_lanes *c, sr_kind kind, int which, const V(panel_seen) *seen)
{
    return V(any)(seen->ask) ||
           (which != SR_QUICK_NONE && kind == SR_KIND_EXACT && V(special)(&c->quick_window, which, 0, &seen->quick));
}

SR_SPECIALIZE void V(panel_add)(sr_panel *p, VV inexact, VV underflow)
{
    V(lane) lanes[SR_LANES];
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) p->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) p->underflow += lanes[i];
}

/* DOT and FMA, one group of steps after the other. `which` serves sums and products. */
SR_SPECIALIZE void V(run_panel)(sr_panel *p, sr_terms terms, sr_kind kind, int which, int wide)
{
    enum { GROUP = SR_PANEL_VECTORS * SR_LANES };
    int const steps = terms == SR_TERMS_DOT ? SR_PANEL_DOT : SR_PANEL_FMA, drawing = kind == SR_KIND_EXACT;
    uint64_t const start = p->number / 8, blocks = p->steps / (size_t)steps + 1;
    sr_lanes const sums = *p->lanes, products = *p->products;
    VV const zero_sums = V(set)(p->zero_sums ? 1 : 0), zero = V(set)(0);
    VV const limit = V(panel_limit)(p, 0), product_limit = V(panel_limit)(p, 1);
    VV inexact = zero, underflow = zero;
    SR_ALIGNED(64) uint64_t places[SR_PANEL];
    uint64_t upper = p->first >> 32;
    C(setup) setup;
    C(prepare)(&setup, p->seed, p->stream, (uint32_t)upper);
    for (int i = 0; i < SR_PANEL; i++) places[i] = p->apart * (uint64_t)i;
    for (; p->row < p->rows; p->row++, p->step = p->begin) {
        const double *const a = (const double *)p->a + (ptrdiff_t)p->row * p->a_row;
        double *const value = (double *)p->value + p->row * SR_PANEL;
        uint64_t const first = p->first + p->row * p->row_apart + start;
        if (drawing && !V(panel_prepare)(&setup, &upper, p, first, blocks)) goto stop;
        for (; p->step < p->steps; p->step += (size_t)steps) {
            size_t const left = p->steps - p->step;
            const double *const b = (const double *)p->b + p->step * SR_PANEL;
            SR_ALIGNED(64) double next[SR_PANEL];
            V(panel_seen) seen, product_seen;
            seen.ask = product_seen.ask = V(none)();
            seen.quick = product_seen.quick = V(nothing_seen)(which);
            seen.inexact = inexact;
            seen.underflow = underflow;
            product_seen.inexact = product_seen.underflow = zero;
            for (int from = 0; from < SR_PANEL; from += GROUP) {
                VV w[SR_PANEL_VECTORS][4];
                DV sum[SR_PANEL_VECTORS];
                if (drawing)
                    V(panel_words)(&setup, (uint32_t)first + (uint32_t)(p->step / (size_t)steps), places + from, w);
                for (int v = 0; v < SR_PANEL_VECTORS; v++) sum[v] = D(load)(value + from + v * SR_LANES);
                for (int l = 0; l < steps; l++) {
                    DV const factor =
                        (size_t)l < left ? V(panel_factor)(p, a, p->step + (size_t)l) : D(value)(V(set)(0));
                    for (int v = 0; v < SR_PANEL_VECTORS; v++) {
                        DV const x = D(load)(b + l * SR_PANEL + from + v * SR_LANES);
                        if (terms == SR_TERMS_DOT) {
                            DV const product =
                                V(panel_node)(&products, kind, which, SR_OP_MUL, wide, x, factor, x,
                                              drawing ? V(panel_word)(w[v], 2 * l) : zero, product_limit, zero_sums,
                                              &product_seen);
                            sum[v] = V(panel_node)(&sums, kind, which, SR_OP_ADD, wide, sum[v], product, x,
                                                   drawing ? V(panel_word)(w[v], 2 * l + 1) : zero, limit, zero_sums, &seen);
                        } else {
                            sum[v] = V(panel_node)(&sums, kind, which, SR_OP_FMA, wide, x, factor, sum[v],
                                                   drawing ? V(panel_word)(w[v], l) : zero, limit, zero_sums, &seen);
                        }
                    }
                }
                for (int v = 0; v < SR_PANEL_VECTORS; v++) D(store)(next + from + v * SR_LANES, sum[v]);
            }
            if (SR_UNLIKELY(V(panel_stops)(&sums, kind, which, &seen))) goto stop;
            if (terms == SR_TERMS_DOT && SR_UNLIKELY(V(panel_stops)(&products, kind, which, &product_seen))) goto stop;
            for (int i = 0; i < SR_PANEL; i += SR_LANES) D(store)(value + i, D(load)(next + i));
            inexact = V(add)(seen.inexact, product_seen.inexact);
            underflow = V(add)(seen.underflow, product_seen.underflow);
        }
    }
stop:
    V(panel_add)(p, inexact, underflow);
}

/* FUSED: the sum of a block toward minus infinity, and that of the negated terms. What lies between the two is the sum, and
 * rounding is monotone: where both are rounded to the same, so is the sum. */
SR_SPECIALIZE void V(run_fused_panel)(sr_panel *p, sr_kind kind, int which)
{
    enum { GROUP = SR_PANEL_VECTORS * SR_LANES };
    int const drawing = kind == SR_KIND_EXACT;
    uint64_t const blocks = (p->number + p->steps / p->block) / 8 + 1;
    sr_lanes const sums = *p->lanes;
    VV const zero = V(set)(0), magnitude = V(set)(SR_SIGN - 1), sign = V(set)(SR_SIGN), limit = V(panel_limit)(p, 0);
    VV const zero_sums = V(set)(p->zero_sums ? 1 : 0);
    VV inexact = zero, underflow = zero;
    SR_ALIGNED(64) uint64_t places[SR_PANEL];
    uint64_t upper = p->first >> 32;
    C(setup) setup;
    C(prepare)(&setup, p->seed, p->stream, (uint32_t)upper);
    for (int i = 0; i < SR_PANEL; i++) places[i] = p->apart * (uint64_t)i;
    for (; p->row < p->rows; p->row++, p->step = p->begin) {
        const double *const a = (const double *)p->a + (ptrdiff_t)p->row * p->a_row;
        double *const value = (double *)p->value + p->row * SR_PANEL;
        uint64_t const first = p->first + p->row * p->row_apart;
        VV w[SR_PANEL / SR_LANES][4];
        uint64_t drawn = ~(uint64_t)0;
        if (drawing && !V(panel_prepare)(&setup, &upper, p, first, blocks)) goto stop;
        for (; p->step < p->steps; p->step += p->block) {
            size_t const left = p->steps - p->step, terms = left < p->block ? left : p->block;
            uint64_t const number = p->number + p->step / p->block;
            const double *const b = (const double *)p->b + p->step * SR_PANEL;
            VV next[SR_PANEL / SR_LANES];
            V(panel_seen) seen;
            seen.ask = V(none)();
            seen.quick = V(nothing_seen)(which);
            seen.inexact = inexact;
            seen.underflow = underflow;
            if (drawing && number / 8 != drawn) {
                drawn = number / 8;
                for (int from = 0; from < SR_PANEL; from += GROUP)
                    V(panel_words)(&setup, (uint32_t)first + (uint32_t)drawn, places + from, w + from / SR_LANES);
            }
            for (int from = 0; from < SR_PANEL; from += GROUP) {
                DV low[SR_PANEL_VECTORS], high[SR_PANEL_VECTORS];
                for (int v = 0; v < SR_PANEL_VECTORS; v++) {
                    low[v] = D(load)(value + from + v * SR_LANES);
                    high[v] = D(value)(V(xor)(D(bits)(low[v]), sign));
                }
                for (size_t l = 0; l < terms; l++) {
                    DV const factor = V(panel_factor)(p, a, p->step + l);
                    for (int v = 0; v < SR_PANEL_VECTORS; v++) {
                        DV const x = D(load)(b + l * SR_PANEL + (size_t)from + (size_t)v * SR_LANES);
                        low[v] = D(fma)(x, factor, low[v]);
                        high[v] = D(fnma)(x, factor, high[v]);
                    }
                }
                for (int v = 0; v < SR_PANEL_VECTORS; v++) {
                    int const at = from / SR_LANES + v;
                    VV const T = drawing ? V(panel_word)(w[at], (int)(number % 8)) : zero;
                    VV const l = D(bits)(low[v]), h = V(xor)(D(bits)(high[v]), sign);
                    VV const lm = V(and)(l, magnitude), hm = V(and)(h, magnitude), greatest = V(max_u)(lm, hm);
                    VV const rl = V(panel_round)(&sums, kind, which, l, T, &seen);
                    VV const rh = V(panel_round)(&sums, kind, which, h, T, &seen), rm = V(and)(rh, magnitude);
                    VM const some = V(nonzero)(greatest); /* of a zero, h has the sign */
                    VM const apart = V(m_andnot)(some, V(eq)(rl, rh)), across = V(nonzero)(V(and)(V(xor)(l, h), sign));
                    /* A sum between the two may be what they are rounded to, if that is there, too. */
                    VM const outside = V(m_or)(V(gt_u)(V(min_u)(lm, hm), rm), V(gt_u)(rm, greatest));
                    VM const unsure = V(m_andnot)(V(m_andnot)(some, V(eq)(l, h)), outside);
                    seen.ask = V(m_or)(seen.ask, V(m_or)(V(m_or)(apart, V(m_and)(some, across)), unsure));
                    seen.ask = V(m_or)(seen.ask, V(m_or)(V(gt_u)(greatest, limit), V(gt_u)(zero_sums, greatest)));
                    V(panel_count)(h, rh, &seen);
                    next[at] = rh;
                }
            }
            if (SR_UNLIKELY(V(panel_stops)(&sums, kind, which, &seen))) goto stop;
            for (int i = 0; i < SR_PANEL / SR_LANES; i++) V(store)(value + i * SR_LANES, next[i]);
            inexact = seen.inexact;
            underflow = seen.underflow;
        }
    }
stop:
    V(panel_add)(p, inexact, underflow);
}

SR_APART void V(panel_apart)(sr_panel *p)
{
    sr_kind const kind = p->lanes->kind;
    sr_quick const quick = p->lanes->quick;
    int const alike = p->terms != SR_TERMS_DOT || quick == p->products->quick;
    int const dot = p->terms == SR_TERMS_DOT, quickly = alike && !p->wide;
#define SR_RUN(KIND, WHICH)                                                                                            \
    if (quickly && kind == KIND && quick == WHICH) {                                                                   \
        if (dot) V(run_panel)(p, SR_TERMS_DOT, KIND, WHICH, 0);                                                        \
        else V(run_panel)(p, SR_TERMS_FMA, KIND, WHICH, 0);                                                            \
        return;                                                                                                        \
    }
    /* Where many values are below the quantum, as they must not be for quick kernels, these would stop too often. */
    if (quickly && kind == SR_KIND_EXACT && SR_FEW_SMALL < p->lanes->quick_window.low) {
        if (dot) V(run_panel)(p, SR_TERMS_DOT, SR_KIND_EXACT, SR_QUICK_NONE, 0);
        else V(run_panel)(p, SR_TERMS_FMA, SR_KIND_EXACT, SR_QUICK_NONE, 0);
        return;
    }
    SR_RUN(SR_KIND_EXACT, SR_QUICK_LANES)
    SR_RUN(SR_KIND_EXACT, SR_QUICK_NO_MINUS_ZERO)
    SR_RUN(SR_KIND_NEAREST, SR_QUICK_ALL)
#undef SR_RUN
    V(run_panel)(p, p->terms, kind, SR_QUICK_NONE, p->wide);
}

SR_APART void V(fused_panel_apart)(sr_panel *p)
{
    sr_kind const kind = p->lanes->kind;
    sr_quick const quick = p->lanes->quick;
    if (kind == SR_KIND_EXACT && SR_FEW_SMALL < p->lanes->quick_window.low) {
        V(run_fused_panel)(p, SR_KIND_EXACT, SR_QUICK_NONE);
    } else if (kind == SR_KIND_EXACT && quick == SR_QUICK_LANES) {
        V(run_fused_panel)(p, SR_KIND_EXACT, SR_QUICK_LANES);
    } else if (kind == SR_KIND_EXACT && quick == SR_QUICK_NO_MINUS_ZERO) {
        V(run_fused_panel)(p, SR_KIND_EXACT, SR_QUICK_NO_MINUS_ZERO);
    } else if (kind == SR_KIND_EXACT) {
        V(run_fused_panel)(p, SR_KIND_EXACT, SR_QUICK_NONE);
    } else if (kind == SR_KIND_NEAREST && quick == SR_QUICK_ALL) {
        V(run_fused_panel)(p, SR_KIND_NEAREST, SR_QUICK_ALL);
    } else {
        V(run_fused_panel)(p, kind, SR_QUICK_NONE);
    }
}

static void P(panel)(sr_panel *p)
{
    if (p->terms == SR_TERMS_FUSED) {
        SR_ENVIRONMENT const before = D(enter_down)();
        V(fused_panel_apart)(p);
        D(leave)(before);
    } else {
        SR_ENVIRONMENT const before = D(enter)();
        V(panel_apart)(p);
        D(leave)(before);
    }
}

#undef SR_LANES
#undef SR_SIGN
#undef SR_INFINITY
#undef SR_PANEL_VECTORS
#undef SR_FEW_SMALL
