/* Matrix products of float32, as half_template.h rounds them. */

#define SR_LANES V(lanes)
#define SR_MAGNITUDE (((uint64_t)1 << 31) - 1)
#define SR_LEAST_NORMAL ((uint64_t)1 << 23)

/* The words of a block of two vectors of lanes: w[v][q] has word q of each. `places` are the blocks of even lanes and of odd
 * ones, vector by vector. */
SR_SPECIALIZE void V(panel_words)(const C(setup) *t, uint32_t block, const uint64_t *places, VV w[2][4])
{
    C(state) s[4];
    for (int k = 0; k < 4; k++) {
        CV at;
        SR_COPY(&at, places + k * C(lanes), sizeof at);
        C(begin)(&s[k], t, C(add)(C(set)(block), at));
    }
    for (int r = 3; r < SR_PHILOX_ROUNDS; r++)
        for (int k = 0; k < 4; k++) C(round)(&s[k], t->m0, t->m1, t->keys0[r], t->keys1[r]);
    for (int v = 0; v < 2; v++) {
        w[v][0] = C(pair)(s[2 * v].c0, s[2 * v + 1].c0);
        w[v][1] = C(pair)(s[2 * v].c1, s[2 * v + 1].c1);
        w[v][2] = C(pair)(s[2 * v].c2, s[2 * v + 1].c2);
        w[v][3] = C(pair)(s[2 * v].c3, s[2 * v + 1].c3);
    }
}

/* t, of 24 bits toward zero, with T added and cut off */
SR_SPECIALIZE VV V(panel_cut)(VV t, VV T, V(halves_seen) *seen, int counting)
{
    VV const tm = V(and)(t, V(set)(SR_MAGNITUDE)), carried = V(add)(t, T);
    seen->most = V(max_u)(seen->most, tm);
    seen->halves = V(max_halves)(seen->halves, carried);
    if (counting) seen->least = V(min_u)(seen->least, V(sub)(tm, V(set)(1)));
    return V(andnot)(carried, V(set)(0xFFFF));
}

/* `left` is not zero where t is not exact. */
SR_SPECIALIZE void V(panel_count)(VV t, VV left, VV *inexact)
{
    VV const lost = V(or)(V(and)(left, V(set)(SR_MAGNITUDE)), V(and)(t, V(set)(0xFFFF)));
    *inexact = V(sub)(*inexact, V(truth)(V(nonzero)(lost)));
}

/* x y + z - t, not zero where that is not: in binary64, where the product is exact, toward zero. */
SR_APART VV V(fma_left)(VV x, VV y, VV z, VV t)
{
    SR_ALIGNED(64) float part[4][SR_LANES];
    SR_ALIGNED(64) uint32_t left[SR_LANES];
    V(store)(part[0], x);
    V(store)(part[1], y);
    V(store)(part[2], z);
    V(store)(part[3], t);
    for (int i = 0; i < SR_LANES; i++) {
        double const p = (double)part[0][i] * part[1][i], q = part[2][i], s = p + q;
        left[i] = s != (double)part[3][i] || (s - p) - q != 0 || (s - q) - p != 0;
    }
    return V(load)(left);
}

SR_SPECIALIZE void V(run_half_panel)(sr_panel *p, sr_terms terms, int counting)
{
    enum { GROUP = 2 * SR_LANES, VECTORS = SR_PANEL / SR_LANES };
    int const steps = terms == SR_TERMS_DOT ? SR_PANEL_DOT : SR_PANEL_FMA;
    uint64_t const start = p->number / 8, blocks = p->steps / (size_t)steps + 1;
    VV const dropped = V(set)(0xFFFF), highest = V(set)(p->lanes->max), half = V(set)(16);
    int const narrow = p->narrow;
    VV inexact = V(set)(0);
    SR_ALIGNED(64) uint64_t places[SR_PANEL];
    SR_ALIGNED(64) uint32_t lanes[SR_LANES];
    uint64_t upper = (p->first + start) >> 32;
    C(setup) setup;
    C(prepare)(&setup, p->seed, p->stream, (uint32_t)upper);
    for (int i = 0; i < SR_PANEL; i++) {
        int const in = i % SR_LANES;
        places[i - in + in % 2 * (SR_LANES / 2) + in / 2] = p->apart * (uint64_t)i;
    }
    for (; p->row < p->rows; p->row++, p->step = p->begin) {
        const float *const a = (const float *)p->a + (ptrdiff_t)p->row * p->a_row;
        float *const value = (float *)p->value + p->row * SR_PANEL;
        uint64_t const first = p->first + p->row * p->row_apart + start;
        if (first >> 32 != (first + (SR_PANEL - 1) * p->apart + blocks) >> 32) goto stop;
        if (first >> 32 != upper) {
            upper = first >> 32;
            C(prepare)(&setup, p->seed, p->stream, (uint32_t)upper);
        }
        for (; p->step < p->steps; p->step += (size_t)steps) {
            size_t const left = p->steps - p->step;
            uint32_t const block = (uint32_t)first + (uint32_t)(p->step / (size_t)steps);
            const float *const b = (const float *)p->b + p->step * SR_PANEL;
            VV next[VECTORS];
            V(halves_seen) seen;
            VV more;
            seen = V(no_halves_seen)();
            more = inexact;
            for (int from = 0; from < SR_PANEL; from += GROUP) {
                VV w[2][4], sum[2];
                V(panel_words)(&setup, block, places + from, w);
                for (int v = 0; v < 2; v++) sum[v] = V(load)(value + from + v * SR_LANES);
                for (int l = 0; l < steps; l++) {
                    uint32_t bits = 0;
                    VV factor;
                    if ((size_t)l < left) SR_COPY(&bits, a + (ptrdiff_t)(p->step + (size_t)l) * p->a_step, sizeof bits);
                    factor = V(set)(bits);
                    for (int v = 0; v < 2; v++) {
                        VV const x = V(load)(b + l * SR_PANEL + from + v * SR_LANES), before = sum[v];
                        if (terms == SR_TERMS_DOT) {
                            VV const t = F(mul)(x, factor);
                            VV const product = V(panel_cut)(t, V(and)(w[v][l], dropped), &seen, counting);
                            VV const s = F(add)(before, product);
                            sum[v] = V(panel_cut)(s, V(srl)(w[v][l], half), &seen, counting);
                            if (counting) {
                                seen.vanished = V(m_or)(seen.vanished, V(vanished)(x, factor, t));
                                V(panel_count)(t, F(fnma)(x, factor, t), &more);
                                V(panel_count)(s, V(sum_differs)(before, product, s), &more);
                            }
                        } else {
                            VV const T = l % 2 ? V(srl)(w[v][l / 2], half) : V(and)(w[v][l / 2], dropped);
                            VV const t = F(fma)(x, factor, before), low = V(and)(t, dropped);
                            sum[v] = V(panel_cut)(t, T, &seen, counting);
                            if (counting) {
                                /* Where t has 8 bits, as `before` has, and a product 16: t is exact if and only if that
                                 * is t - before. This has more bits, or is found, toward zero, to have more than 16. */
                                VV rest = narrow ? F(fma)(x, factor, F(sub)(before, t)) : V(set)(0);
                                if (!narrow && SR_UNLIKELY(V(any)(V(eq)(low, rest))))
                                    rest = V(fma_left)(x, factor, before, t);
                                seen.vanished =
                                    V(m_or)(seen.vanished, V(m_andnot)(V(nonzero)(rest), V(nonzero)(V(add)(t, t))));
                                V(panel_count)(t, rest, &more);
                            }
                        }
                    }
                }
                for (int v = 0; v < 2; v++) next[from / SR_LANES + v] = sum[v];
            }
            if (SR_UNLIKELY(V(halves_doubtful)(&seen, highest, counting))) goto stop;
            for (int v = 0; v < VECTORS; v++) V(store)(value + v * SR_LANES, next[v]);
            inexact = more;
        }
    }
stop:
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) p->inexact += lanes[i];
}

SR_APART void V(half_panel_apart)(sr_panel *p)
{
    if (p->terms == SR_TERMS_DOT) {
        if (p->counting) V(run_half_panel)(p, SR_TERMS_DOT, 1);
        else V(run_half_panel)(p, SR_TERMS_DOT, 0);
    } else {
        if (p->counting) V(run_half_panel)(p, SR_TERMS_FMA, 1);
        else V(run_half_panel)(p, SR_TERMS_FMA, 0);
    }
}

static void P(half_panel)(sr_panel *p)
{
    SR_ENVIRONMENT const before = F(enter)();
    V(half_panel_apart)(p);
    D(leave)(before);
}

#undef SR_LANES
#undef SR_MAGNITUDE
#undef SR_LEAST_NORMAL
