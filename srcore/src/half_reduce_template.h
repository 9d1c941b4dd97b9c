/* Sums of float32, as half_template.h rounds them, from left to right. */

#define SR_LANES V(lanes)
#define SR_MAGNITUDE (((uint64_t)1 << 31) - 1)

SR_APART size_t V(half_rows_apart)(sr_rows *s, float *value)
{
    enum { VECTORS = SR_SIDE / SR_LANES };
    VV const magnitude = V(set)(SR_MAGNITUDE), dropped = V(set)(0xFFFF), highest = V(set)(s->lanes->max);
    VV inexact = V(set)(0), underflow = V(set)(0), sum[VECTORS];
    uint32_t lanes[SR_LANES];
    size_t done = 0;
    for (int v = 0; v < VECTORS; v++) sum[v] = V(load)(value + v * SR_LANES);
    for (; done < s->steps; done++) {
        const float *const terms = (const float *)s->terms + (ptrdiff_t)done * s->row;
        size_t const position = (size_t)s->position + done;
        const uint32_t *const drawn = s->drawn[position / 2];
        VV const down = V(set)(position % 2 * 16);
        VV most = V(set)(0), seen = V(set)(0), next[VECTORS], lost[VECTORS], gone[VECTORS];
        for (int v = 0; v < VECTORS; v++) {
            VV const x = V(load)(terms + v * SR_LANES), t = F(add)(sum[v], x);
            VV const T = V(and)(V(srl)(V(load)(drawn + v * SR_LANES), down), dropped);
            VV const carried = V(add)(t, T), tm = V(and)(t, magnitude);
            most = V(max_u)(most, tm);
            seen = V(max_halves)(seen, carried);
            next[v] = V(andnot)(carried, dropped);
            lost[v] = V(or)(V(and)(V(sum_differs)(sum[v], x, t), magnitude), V(and)(t, dropped));
            gone[v] = V(sel)(V(nonzero)(V(and)(next[v], magnitude)), V(set)(0), tm);
        }
        if (SR_UNLIKELY(V(half_above)(seen, V(set)(0xFFFFFFFE)) || V(any)(V(gt_u)(most, highest)))) break;
        for (int v = 0; v < VECTORS; v++) {
            sum[v] = next[v];
            inexact = V(sub)(inexact, V(truth)(V(nonzero)(lost[v])));
            underflow = V(sub)(underflow, V(truth)(V(nonzero)(gone[v])));
        }
    }
    for (int v = 0; v < VECTORS; v++) V(store)(value + v * SR_LANES, sum[v]);
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) s->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) s->underflow += lanes[i];
    return done;
}

static size_t P(half_rows)(sr_rows *s, float *value)
{
    size_t done;
    SR_ENVIRONMENT const before = F(enter)();
    done = V(half_rows_apart)(s, value);
    D(leave)(before);
    return done;
}

/* One sum alone, where every step waits for the one before: a group of steps first, in lanes that all do the same with
 * other words, of which the first one counts; then a look at all of them at once. */
SR_APART size_t V(half_line_apart)(sr_line *s, float *value)
{
    VV const magnitude = V(set)(SR_MAGNITUDE), dropped = V(set)(0xFFFF), highest = V(set)(s->lanes->max);
    VV inexact = V(set)(0), underflow = V(set)(0);
    SR_ALIGNED(64) uint32_t made[SR_LINE_GROUP + SR_LANES], sums[SR_LINE_GROUP + 1 + SR_LANES], lanes[SR_LANES];
    size_t done = 0;
    SR_COPY(sums, value, sizeof *sums);
    while (done < s->steps) {
        const float *const terms = (const float *)s->terms + done;
        const unsigned char *const words = (const unsigned char *)s->words + 2 * done;
        VV at = V(set)(sums[0]), most = V(set)(0), seen = V(set)(0), more_inexact = inexact, more_underflow = underflow;
        for (size_t k = 0; k < SR_LINE_GROUP; k++) {
            uint32_t bits;
            VV t;
            SR_COPY(&bits, terms + k, sizeof bits);
            t = F(add)(at, V(set)(bits));
            at = V(andnot)(V(add)(t, V(words_low)(words + 2 * k)), dropped);
            V(store)(made + k, t);
            V(store)(sums + k + 1, at);
        }
        for (size_t k = 0; k < SR_LINE_GROUP; k += SR_LANES) {
            VV const before = V(load)(sums + k), after = V(load)(sums + k + 1), x = V(load)(terms + k), t = V(load)(made + k);
            VV const tm = V(and)(t, magnitude);
            VV const lost = V(or)(V(and)(V(sum_differs)(before, x, t), magnitude), V(and)(t, dropped));
            most = V(max_u)(most, tm);
            seen = V(max_halves)(seen, V(add)(t, V(words_low)(words + 2 * k)));
            more_inexact = V(sub)(more_inexact, V(truth)(V(nonzero)(lost)));
            more_underflow = V(sub)(more_underflow,
                                    V(truth)(V(m_andnot)(V(nonzero)(tm), V(nonzero)(V(and)(after, magnitude)))));
        }
        if (SR_UNLIKELY(V(half_above)(seen, V(set)(0xFFFFFFFE)) || V(any)(V(gt_u)(most, highest)))) break;
        sums[0] = sums[SR_LINE_GROUP];
        inexact = more_inexact;
        underflow = more_underflow;
        done += SR_LINE_GROUP;
    }
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) s->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) s->underflow += lanes[i];
    SR_COPY(value, sums, sizeof *sums);
    return done;
}

static size_t P(half_line)(sr_line *s, float *value)
{
    size_t done;
    SR_ENVIRONMENT const before = F(enter)();
    done = V(half_line_apart)(s, value);
    D(leave)(before);
    return done;
}

#undef SR_LANES
#undef SR_MAGNITUDE
