/* Steps of reductions: results side by side in 64-bit lanes, whatever the format, the mode and the operation. */

#define SR_LANES V(lanes)
#define SR_SIGN ((uint64_t)1 << 63)
#define SR_INFINITY SR_F64_INF

SR_SPECIALIZE uint64_t V(run_step)(sr_step *s, sr_op op, sr_kind kind)
{
    int const two = op != SR_OP_ROUND, three = op == SR_OP_FMA;
    sr_lanes const constants = *s->lanes;
    VV const magnitude = V(set)(SR_SIGN - 1), infinity = V(set)(SR_INFINITY), most = V(set)(s->most);
    VV const least = V(set)(s->least), zero = V(set)(0), zero_sums = V(set)(s->zero_sums ? 1 : 0);
    VV inexact = zero, underflow = zero;
    V(lane) lanes[SR_LANES];
    uint64_t all = 0;
    for (size_t at = 0; at < s->n; at += SR_LANES) {
        DV const x = D(load)(s->x + at), y = D(load)(s->y + at), z = D(load)(s->z + at);
        VV const T = s->words ? V(load)(s->words + at) : zero;
        VV const xm = V(and)(D(bits)(x), magnitude), ym = two ? V(and)(D(bits)(y), magnitude) : zero;
        VV const zm = three ? V(and)(D(bits)(z), magnitude) : zero;
        VV const greatest = V(max_u)(V(max_u)(xm, ym), zm);
        VM ask, hard = V(none)(), given;
        VV const t = V(op_to_odd)(op, s->wide, x, y, z, &ask), tm = V(and)(t, magnitude);
        VV r = V(careful)(&constants, kind, t, T, V(set)(1), &hard);
        VV const rm = V(and)(r, magnitude);
        VM const same = V(eq)(tm, rm);
        if (op != SR_OP_ROUND) {
            ask = V(m_or)(ask, V(m_and)(V(gt_u)(tm, most), V(gt_u)(V(set)(SR_INFINITY + 1), tm)));
            if (op != SR_OP_MUL) ask = V(m_or)(ask, V(gt_u)(zero_sums, tm));
        }
        /* Beyond the range, or NaN: the definition says how that came. But infinities and NaN that were given stay. */
        ask = V(m_or)(V(m_or)(ask, hard), V(m_or)(V(gt_u)(tm, least), V(gt_u)(rm, infinity)));
        given = V(gt_u)(greatest, infinity);
        if (op != SR_OP_ROUND) r = V(sel)(given, V(set)(SR_F64_NAN), r);
        given = V(m_or)(V(m_and)(given, V(flag)(op != SR_OP_ROUND)),
                        V(m_and)(V(eq)(greatest, infinity), V(m_and)(V(eq)(tm, infinity), V(eq)(rm, infinity))));
        ask = V(m_andnot)(ask, given);
        V(store)(s->result + at, r);
        if (SR_UNLIKELY(V(any)(ask))) {
            V(store)(lanes, V(truth)(ask));
            for (size_t i = 0; i < SR_LANES && at + i < s->n; i++) all |= (lanes[i] & 1) << (at + i);
        }
        given = V(m_or)(V(m_or)(given, ask), same);
        V(store)(lanes, V(truth)(given));
        if (SR_UNLIKELY(s->n - at < SR_LANES)) { /* lanes behind the last are not counted */
            for (size_t i = s->n - at; i < SR_LANES; i++) lanes[i] = ~(uint64_t)0;
            given = V(nonzero)(V(load)(lanes));
        }
        inexact = V(sub)(inexact, V(andnot)(V(set)(~(uint64_t)0), V(truth)(given)));
        underflow = V(sub)(underflow, V(truth)(V(m_andnot)(V(eq)(rm, zero), given)));
    }
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) s->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) s->underflow += lanes[i];
    return all;
}

/* The usual ones are compiled on their own. */
SR_APART uint64_t V(step_apart)(sr_step *s)
{
    sr_kind const kind = s->lanes->kind;
    if (s->op == SR_OP_ADD && kind == SR_KIND_EXACT) return V(run_step)(s, SR_OP_ADD, SR_KIND_EXACT);
    if (s->op == SR_OP_ADD && kind == SR_KIND_NEAREST) return V(run_step)(s, SR_OP_ADD, SR_KIND_NEAREST);
    if (s->op == SR_OP_MUL && kind == SR_KIND_EXACT) return V(run_step)(s, SR_OP_MUL, SR_KIND_EXACT);
    if (s->op == SR_OP_MUL && kind == SR_KIND_NEAREST) return V(run_step)(s, SR_OP_MUL, SR_KIND_NEAREST);
    return V(run_step)(s, s->op, kind);
}

static uint64_t P(step)(sr_step *s)
{
    uint64_t ask;
    SR_ENVIRONMENT const before = D(enter)();
    ask = V(step_apart)(s);
    D(leave)(before);
    return ask;
}

/* quick_lanes with the random bits at the top of a lane */
SR_SPECIALIZE VV V(quick_rounded)(const sr_lanes *c, int which, VV x, VV T, V(seen) *seen)
{
    VV const m = V(and)(x, V(set)(SR_SIGN - 1));
    VV const k = V(min_s)(V(add)(V(srl)(m, V(set)(52)), V(set)(c->quick_c)), V(set)(c->quick_k));
    VV const sum = V(add)(x, V(srl)(T, k));
    V(look)(&c->quick_window, m, V(sll)(sum, k), seen);
    if (which == SR_QUICK_NO_MINUS_ZERO) seen->x = V(min_s)(seen->x, x);
    return V(andnot)(sum, V(srl)(V(set)(~(uint64_t)0), k));
}

/* ---- many steps -------------------------------------------------------------------------------------- */

/* `which`: a quick kernel's rounding, where nothing special comes up, or SR_QUICK_NONE. */
SR_SPECIALIZE size_t V(run_rows)(sr_rows *s, double *value, sr_op op, sr_kind kind, int width, int which)
{
    sr_lanes const constants = *s->lanes;
    VV const magnitude = V(set)(SR_SIGN - 1), infinity = V(set)(SR_INFINITY);
    VV const limit = V(set)(s->most < s->least ? s->most : s->least);
    VV const zero = V(set)(0), zero_sums = V(set)(s->zero_sums ? 1 : 0);
    VV const mask = V(set)(s->mask);
    VV inexact = zero, underflow = zero;
    V(lane) lanes[SR_LANES];
    size_t done = 0;
    for (; done < s->steps; done++) {
        const unsigned char *const terms = (const unsigned char *)s->terms + (ptrdiff_t)done * s->row * (width / 8);
        int const place = s->drawn ? (s->position + (int)done) * s->word_bits : 0;
        VV const up = V(set)((uint64_t)(64 - s->word_bits - place % 32));
        SR_ALIGNED(64) double next[SR_SIDE];
        VV more_inexact = inexact, more_underflow = underflow;
        VM asked = V(none)();
        V(seen) seen = V(nothing_seen)(which);
        for (size_t at = 0; at < s->n; at += SR_LANES) {
            DV const x = D(load)(value + at), y = V(operand)(terms, at, width);
            VV const T = s->drawn ? V(and)(V(sll)(D(words)(&s->drawn[place / 32][at]), up), mask) : zero;
            VV const xm = V(and)(D(bits)(x), magnitude), ym = V(and)(D(bits)(y), magnitude);
            VM ask, hard = V(none)();
            VV const t = V(op_to_odd)(op, width == 64, x, y, x, &ask), tm = V(and)(t, magnitude);
            VV r, rm;
            VM same;
            if (which == SR_QUICK_NONE) {
                r = V(careful)(&constants, kind, t, T, V(set)(1), &hard);
                ask = V(m_or)(V(m_or)(ask, hard), V(m_or)(V(gt_u)(V(and)(r, magnitude), infinity),
                                                          V(gt_u)(V(max_u)(xm, ym), V(set)(SR_INFINITY - 1))));
            } else if (kind == SR_KIND_EXACT) {
                r = V(quick_rounded)(&constants, which, t, T, &seen);
            } else {
                r = V(plain_one)(&constants, kind, which, t);
            }
            rm = V(and)(r, magnitude);
            same = V(eq)(tm, rm);
            ask = V(m_or)(ask, V(gt_u)(tm, limit)); /* infinities and NaN, too */
            if (op != SR_OP_MUL) ask = V(m_or)(ask, V(gt_u)(zero_sums, tm));
            asked = V(m_or)(asked, ask);
            D(store)(next + at, D(value)(r));
            more_inexact = V(sub)(more_inexact, V(andnot)(V(set)(~(uint64_t)0), V(truth)(same)));
            more_underflow = V(sub)(more_underflow, V(truth)(V(m_andnot)(V(eq)(rm, zero), same)));
        }
        if (SR_UNLIKELY(V(any)(asked))) break;
        if (which != SR_QUICK_NONE && kind == SR_KIND_EXACT &&
            SR_UNLIKELY(V(special)(&constants.quick_window, which, 0, &seen)))
            break;
        for (size_t at = 0; at < s->n; at += SR_LANES) D(store)(value + at, D(load)(next + at));
        inexact = more_inexact;
        underflow = more_underflow;
    }
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) s->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) s->underflow += lanes[i];
    return done;
}

SR_APART size_t V(rows_apart)(sr_rows *s, double *value)
{
    sr_kind const kind = s->lanes->kind;
    sr_quick const quick = s->lanes->quick;
#define SR_RUN(KIND, WHICH)                                                                                            \
    if (s->op == SR_OP_ADD && kind == KIND && quick == WHICH)                                                          \
    return s->width == 32 ? V(run_rows)(s, value, SR_OP_ADD, KIND, 32, WHICH)                                          \
                          : V(run_rows)(s, value, SR_OP_ADD, KIND, 64, WHICH)
    SR_RUN(SR_KIND_EXACT, SR_QUICK_LANES);
    SR_RUN(SR_KIND_EXACT, SR_QUICK_NO_MINUS_ZERO);
    SR_RUN(SR_KIND_NEAREST, SR_QUICK_ALL);
#undef SR_RUN
    return s->width == 32 ? V(run_rows)(s, value, s->op, kind, 32, SR_QUICK_NONE)
                          : V(run_rows)(s, value, s->op, kind, 64, SR_QUICK_NONE);
}

static size_t P(rows)(sr_rows *s, double *value)
{
    size_t done;
    SR_ENVIRONMENT const before = D(enter)();
    done = V(rows_apart)(s, value);
    D(leave)(before);
    return done;
}

/* A sum as a quick kernel rounds it; T is what that loads. */
SR_SPECIALIZE VV V(line_round)(const sr_lanes *c, sr_kind kind, int which, VV t, const void *words, V(seen) *seen)
{
    if (kind != SR_KIND_EXACT) {
        V(look)(&c->quick_window, V(and)(t, V(set)(SR_SIGN - 1)), V(set)(0), seen);
        return V(plain_one)(c, kind, which, t);
    }
    if (which == SR_QUICK_SAME) return V(quick_same)(c, which, 0, t, words, seen);
    return V(quick_lanes)(c, which, t, words, seen);
}

/* One sum alone, where every step waits for the one before: a group of steps first, each an addition and a quick kernel's
 * rounding, in lanes that all do the same with other words, of which the first one counts; then a look at all of them at
 * once, for anything special and for additions that were not exact. */
SR_SPECIALIZE size_t V(run_line)(sr_line *s, double *value, sr_kind kind, int which)
{
    sr_lanes const constants = *s->lanes;
    VV const magnitude = V(set)(SR_SIGN - 1);
    SR_ALIGNED(64) double made[SR_LINE_GROUP + SR_LANES], sums[SR_LINE_GROUP + 1 + SR_LANES];
    V(lane) lanes[SR_LANES];
    VV inexact = V(set)(0), underflow = V(set)(0);
    size_t done = 0;
    sums[0] = *value;
    while (done < s->steps) {
        const double *const terms = (const double *)s->terms + done;
        const unsigned char *const words = (const unsigned char *)s->words + 2 * done;
        DV at = D(value)(V(set)(sr_bits_f64(sums[0])));
        VV lefts = V(set)(0), more_inexact = inexact, more_underflow = underflow;
        V(seen) unseen = V(nothing_seen)(which), seen = unseen;
        for (size_t k = 0; k < SR_LINE_GROUP; k++) {
            DV const t = D(add)(at, D(value)(V(set)(sr_bits_f64(terms[k]))));
            at = D(value)(V(line_round)(&constants, kind, which, D(bits)(t), words + 2 * k, &unseen));
            D(store)(made + k, t);
            D(store)(sums + k + 1, at);
        }
        for (size_t k = 0; k < SR_LINE_GROUP; k += SR_LANES) {
            DV const before = D(load)(sums + k), x = D(load)(terms + k), t = D(load)(made + k);
            VV const r = V(line_round)(&constants, kind, which, D(bits)(t), words + 2 * k, &seen);
            VV const rm = V(and)(r, magnitude);
            VM const same = V(eq)(rm, V(and)(D(bits)(t), magnitude));
            lefts = V(or)(lefts, D(bits)(V(sum_left)(before, x, t)));
            more_inexact = V(sub)(more_inexact, V(andnot)(V(set)(~(uint64_t)0), V(truth)(same)));
            more_underflow = V(sub)(more_underflow, V(truth)(V(m_andnot)(V(eq)(rm, V(set)(0)), same)));
        }
        if (SR_UNLIKELY(V(special)(&constants.quick_window, which, 0, &seen) || V(any)(V(nonzero)(V(and)(lefts, magnitude)))))
            break;
        sums[0] = sums[SR_LINE_GROUP];
        inexact = more_inexact;
        underflow = more_underflow;
        done += SR_LINE_GROUP;
    }
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) s->inexact += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) s->underflow += lanes[i];
    *value = sums[0];
    return done;
}

SR_APART size_t V(line_apart)(sr_line *s, double *value)
{
    sr_kind const kind = s->lanes->kind;
    switch (s->lanes->quick) { /* constants again */
    case SR_QUICK_SAME:
        if (kind == SR_KIND_NEAREST) return V(run_line)(s, value, SR_KIND_NEAREST, SR_QUICK_SAME);
        if (kind == SR_KIND_EXACT) return V(run_line)(s, value, SR_KIND_EXACT, SR_QUICK_SAME);
        return V(run_line)(s, value, kind, SR_QUICK_SAME);
    case SR_QUICK_LANES:
        if (kind == SR_KIND_EXACT) return V(run_line)(s, value, SR_KIND_EXACT, SR_QUICK_LANES);
        return V(run_line)(s, value, kind, SR_QUICK_LANES);
    case SR_QUICK_NO_MINUS_ZERO:
        return kind == SR_KIND_EXACT ? V(run_line)(s, value, SR_KIND_EXACT, SR_QUICK_NO_MINUS_ZERO) : 0;
    case SR_QUICK_ALL:
        if (kind == SR_KIND_NEAREST) return V(run_line)(s, value, SR_KIND_NEAREST, SR_QUICK_ALL);
        return kind == SR_KIND_EXACT ? 0 : V(run_line)(s, value, kind, SR_QUICK_ALL);
    default: return 0;
    }
}

static size_t P(line)(sr_line *s, double *value)
{
    size_t done;
    SR_ENVIRONMENT const before = D(enter)();
    done = V(line_apart)(s, value);
    D(leave)(before);
    return done;
}

#undef SR_LANES
#undef SR_SIGN
#undef SR_INFINITY
