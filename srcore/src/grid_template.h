/* Grids of any step (S9), in the vocabulary of a path: D(op) works on vectors of doubles, V() are the 64-bit lanes of
 * round_template.h. For magnitudes x up to grid.high and, 0 apart, from 2^-900 on, the step being of ordinary size:
 *
 * - g_k = fl(fl(k num) / den) 2^exponent with k num < 2^53 exact, one division, and no subnormals: k is at most 2^50.
 * - x times the reciprocal of the step, two roundings, is off by less than 2^-52 of itself, which is less than 1/2: the
 *   nearest integer to it is floor(x / step) or one more, and its point's neighbour on x's side the other candidate.
 * - r = x - down and d = up - down are exact: in units of down's last bit whole numbers, at most 2^53 (sr_grid_find);
 *   or down = 0.
 * - a = 2^50 r / d is rounded to an integer n, floor(a) or one more, which the sign of r 2^50 - n d tells: a fused
 *   multiplication and subtraction has the sign of the exact difference, and is 0 only where that is. */

#define SR_LANES V(lanes)
#define SR_SIGN ((uint64_t)1 << 63)
#define SR_TWO_50 ((uint64_t)(1023 + 50) << 52)
#define SR_TWO_52 ((uint64_t)(1023 + 52) << 52) /* plus a number below 2^52: its integer in the fraction */

SR_SPECIALIZE DV V(grid_point)(const sr_lanes *c, DV k)
{
    DV const quotient = D(div)(D(mul)(k, D(value)(V(set)(c->grid.num))), D(value)(V(set)(c->grid.den)));
    return D(mul)(quotient, D(value)(V(set)(c->grid.scale)));
}

/* The result's pattern, or code; lanes to be settled by the definition are added to *hard. */
SR_SPECIALIZE VV V(grid_one)(const sr_lanes *c, sr_kind kind, int codes, VV x, VV T, VV direction, VM *hard)
{
    VV const one = V(set)(1), fraction = V(set)(sr_ones(52));
    VV const sign = V(and)(x, V(set)(SR_SIGN)), m = V(andnot)(x, V(set)(SR_SIGN));
    DV const integers = D(value)(V(set)(SR_TWO_52)), v = D(value)(m);
    VM const negative = V(nonzero)(sign);
    VM undecided = V(none)(), away, exact, take_up, outside;
    VV y;

    /* The nearest k, its point, and the one on the other side of x */
    DV const sum = D(add)(D(mul)(v, D(value)(V(set)(c->grid.reciprocal))), integers);
    DV const k = D(sub)(sum, integers);
    VV const g = D(bits)(V(grid_point)(c, k));
    VM const above = V(gt_u)(g, m);
    VV const minus_or_plus = V(or)(V(set)((uint64_t)1023 << 52), V(sel)(above, V(set)(SR_SIGN), V(set)(0)));
    VV const h = D(bits)(V(grid_point)(c, D(add)(k, D(value)(minus_or_plus))));
    VV const down = V(sel)(above, h, g), up = V(sel)(above, g, h);
    VV const k_down = V(sub)(V(and)(D(bits)(sum), fraction), V(sel)(above, one, V(set)(0)));
    V(split) s;

    s.beyond = s.phi = V(set)(0);
    s.odd = V(nonzero)(V(and)(k_down, one));
    if (kind != SR_KIND_DIRECTED && kind != SR_KIND_ODD && kind != SR_KIND_EQUAL) {
        DV const d = D(sub)(D(value)(up), D(value)(down));
        DV const r = D(mul)(D(sub)(v, D(value)(down)), D(value)(V(set)(SR_TWO_50)));
        DV const n = D(add)(D(div)(r, d), integers);
        VV const left = D(bits)(D(fnma)(D(sub)(n, integers), d, r));
        VV const bits = V(sub)(V(and)(D(bits)(n), fraction), V(srl)(left, V(set)(63)));
        VM const more = V(nonzero)(V(sll)(left, one));
        s.phi = V(or)(V(sll)(bits, V(set)(14)), V(sel)(more, one, V(set)(0)));
    }
    exact = V(m_or)(V(eq)(down, m), V(eq)(up, m));
    away = V(decide)(c, kind, &s, negative, T, direction, &undecided);
    take_up = V(sel_m)(exact, V(eq)(up, m), away);
    outside = V(m_and)(V(gt_u)(V(set)(SR_GRID_LOW), m), V(nonzero)(m));
    outside = V(m_or)(outside, V(gt_u)(m, V(set)(c->grid.high)));
    *hard = V(m_or)(V(m_andnot)(undecided, exact), outside);
    if (!codes) return V(or)(V(sel)(take_up, up, down), sign);
    y = V(add)(k_down, V(sel)(take_up, one, V(set)(0)));
    return V(sel)(negative, V(sub)(V(set)(0), y), y);
}

/* Whole vectors as far as nothing is hard, then one that may be; and so on. */
SR_SPECIALIZE void V(grid_run)(const sr_chunk *chunk, sr_kind kind, int codes)
{
    sr_lanes const constants = *chunk->lanes; /* which no store can change */
    for (size_t at = 0; at < chunk->n; at += SR_LANES) {
        size_t const n = chunk->n - at < (size_t)SR_LANES ? chunk->n - at : (size_t)SR_LANES;
        V(operands) const o = V(operands_at)(chunk, kind, at, n);
        VM hard;
        VV y = V(grid_one)(&constants, kind, codes, o.x, o.T, o.direction, &hard);
        if (SR_UNLIKELY(V(any)(hard))) {
            VV const settled = V(settle)(chunk, at, n, o.x, y, V(truth)(hard));
            if (codes) {
                uint64_t values[SR_LANES], results[SR_LANES], which[SR_LANES];
                V(store)(values, settled);
                V(store)(results, y);
                V(store)(which, V(truth)(hard));
                for (size_t j = 0; j < n; j++)
                    if (which[j]) sr_encode_bits(chunk->plan, values[j], &results[j]);
                y = V(load)(results);
            } else {
                y = settled;
            }
        }
        V(put)(chunk, &constants, 0, at, n, y);
    }
}

/* Apart, so that no arithmetic moves out of the environment it is meant for. */
SR_APART void V(grid_apart)(const sr_chunk *chunk, int codes)
{
#define SR_RUN(KIND)                                                                                                   \
    case KIND: codes ? V(grid_run)(chunk, KIND, 1) : V(grid_run)(chunk, KIND, 0); break
    switch (chunk->lanes->kind) { /* constants */
        SR_RUN(SR_KIND_DIRECTED);
        SR_RUN(SR_KIND_NEAREST);
        SR_RUN(SR_KIND_ODD);
        SR_RUN(SR_KIND_EXACT);
        SR_RUN(SR_KIND_FEW);
        SR_RUN(SR_KIND_EQUAL);
        SR_RUN(SR_KIND_BIASED);
    }
#undef SR_RUN
}

static void P(grid)(const sr_chunk *chunk, int codes)
{
    SR_ENVIRONMENT const before = D(enter)();
    V(grid_apart)(chunk, codes);
    D(leave)(before);
}

#undef SR_LANES
#undef SR_SIGN
#undef SR_TWO_50
#undef SR_TWO_52
