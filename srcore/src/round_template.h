/* The array kernels of one lane width, written once in the vocabulary of a path: V(op) is an operation on lanes of
 * SR_W bits. Integers only, so that neither the rounding direction nor flushing of subnormals can matter. Where this says
 * nothing of its own, scalar.h is the authority; lanes that cannot be decided here go there. */

#define SR_LANES V(lanes)
#if SR_W == 32
#define SR_MB 23
typedef uint32_t V(lane);
#else
#define SR_MB 52
typedef uint64_t V(lane);
#endif
#define SR_SIGN ((uint64_t)1 << (SR_W - 1))
#define SR_FRACTION (((uint64_t)1 << SR_MB) - 1)
#define SR_HIDDEN ((uint64_t)1 << SR_MB)
#define SR_INFINITY (SR_SIGN - SR_HIDDEN)
#define SR_ALL (SR_SIGN | (SR_SIGN - 1))
#define SR_UNDECIDED (SR_ALL & ~(SR_ALL >> 16)) /* the first 16 bits of a lane */

SR_SPECIALIZE VV V(truth)(VM m) /* all ones where true */
{
    return V(sel)(m, V(set)(SR_ALL), V(set)(0));
}

SR_SPECIALIZE VM V(nonzero)(VV v)
{
    return V(gt_u)(v, V(set)(0));
}

SR_SPECIALIZE VM V(flag)(uint64_t all_ones_or_zero)
{
    return V(nonzero)(V(set)(all_ones_or_zero));
}

/* One of two constants, by a mask. */
SR_SPECIALIZE VV V(pick)(VM m, uint64_t yes, uint64_t no)
{
    return V(sel)(m, V(set)(yes), V(set)(no));
}

/* ---- anything: every format, mode and value --------------------------------------------------------------------- */

/* phi, and what goes with it. */
typedef struct V(split) {
    VV phi;    /* its first W bits */
    VV beyond; /* the next ones, at the top; more than 2 W bits down only zero or not counts */
    VM odd;
} V(split);

/* away, where phi > 0; lanes to be settled by the definition are added to *hard. T is what chunk.words holds, EXACT and
 * EQUAL at the top of the lane. */
SR_SPECIALIZE VM V(decide)(const sr_lanes *c, sr_kind kind, const V(split) *s, VM negative, VV T, VV direction, VM *hard)
{
    VV const half = V(set)(SR_SIGN), zero = V(set)(0);
    switch (kind) {
    case SR_KIND_DIRECTED: return V(nonzero)(V(pick)(negative, c->away[1], c->away[0]));
    case SR_KIND_NEAREST: { /* phi >= 1/2 has no bits beyond W: S has fewer than W */
        VM const away_on_tie = V(m_or)(V(flag)(c->tie_away), V(m_and)(V(flag)(c->tie_even), s->odd));
        return V(m_or)(V(gt_u)(s->phi, half), V(m_and)(V(eq)(s->phi, half), away_on_tie));
    }
    case SR_KIND_ODD: return V(m_andnot)(V(flag)(SR_ALL), s->odd);
    case SR_KIND_EXACT: {
        /* f + T >= 2^16 iff f > 2^16 - 1 - T; if they are equal, the definition looks at what follows */
        VV const limit = V(xor)(T, V(set)(SR_UNDECIDED));
        VV const f = V(and)(s->phi, V(set)(SR_UNDECIDED));
        *hard = V(m_or)(*hard, V(eq)(f, limit));
        return V(gt_u)(f, limit);
    }
    case SR_KIND_FEW: {
        VV const mask = V(set)(c->few_mask), next = V(set)(c->few_next);
        VV const f = V(and)(s->phi, mask), limit = V(andnot)(mask, T);
        VV const tail = V(andnot)(s->phi, mask);
        /* Bit r + 1 of phi, and is there a one behind it? Where r = W, both are beyond the lane. */
        VM const in = V(nonzero)(next);
        VV const bit = V(sel)(in, V(and)(tail, next), V(and)(s->beyond, half));
        VV const rest = V(sel)(in, V(or)(V(andnot)(tail, next), s->beyond), V(andnot)(s->beyond, half));
        VV const last = V(sub)(zero, mask); /* bit r: the lowest of the mask */
        VM const even_up = V(m_or)(V(nonzero)(V(and)(s->phi, last)), V(nonzero)(rest));
        VM up = V(m_and)(V(flag)(c->few_up), V(nonzero)(bit));
        up = V(m_andnot)(up, V(m_andnot)(V(flag)(c->few_even), even_up));
        return V(m_or)(V(gt_u)(f, limit), V(m_and)(up, V(eq)(f, limit)));
    }
    case SR_KIND_EQUAL: return V(nonzero)(V(and)(T, half));
    case SR_KIND_BIASED: {
        /* t + T >= 2^32, in units of 2^-W: carries out of the lane. S3.8's clipping changes no decision where eps < 1. */
        VV const f = V(and)(s->phi, V(set)(SR_ALL << (SR_W - 32) & SR_ALL));
        VM const still = V(eq)(V(andnot)(direction, half), zero);       /* no lean */
        VM const against = V(nonzero)(V(and)(direction, half));         /* toward zero */
        VM const full = V(m_andnot)(V(flag)(c->eps_full), still);
        VV const eps = V(sel)(still, zero, V(set)(c->eps));
        VV const plus = V(add)(T, eps), minus = V(sub)(T, eps);
        VV const base = V(sel)(against, minus, plus);
        VM const carry = V(gt_u)(base, V(add)(base, f));
        VM const never = V(m_or)(V(gt_u)(eps, T), full), always = V(m_or)(V(gt_u)(T, plus), full);
        return V(sel_m)(against, V(m_andnot)(carry, never), V(m_or)(carry, always));
    }
    }
    return V(none)();
}

/* The results that are not a matter of down or away: overflow, infinities, NaN, zero where there is none. `y` has been
 * computed as if there were no limit; `over` says where it is beyond one. */
SR_SPECIALIZE VV V(exceptional)(const sr_lanes *c, VV x, VV m, VM negative, VM over, VV y, VM *hard)
{
    VM const nan = V(gt_u)(m, V(set)(SR_INFINITY));
    if (c->over_hard) *hard = V(m_or)(*hard, over);
    *hard = V(m_andnot)(*hard, V(gt_u)(m, V(set)(SR_INFINITY - 1))); /* whatever their bits look like */
    y = V(sel)(over, V(pick)(negative, c->over[1], c->over[0]), y);
    y = V(sel)(V(eq)(m, V(set)(SR_INFINITY)), V(pick)(negative, c->infinite[1], c->infinite[0]), y);
    if (c->no_zero) {
        y = V(sel)(V(eq)(m, V(set)(0)), V(pick)(negative, c->zero[1], c->zero[0]), y);
        y = V(sel)(V(m_and)(negative, V(flag)(c->negative_nan)), V(set)(SR_SIGN | SR_INFINITY | SR_HIDDEN >> 1), y);
    }
    return V(sel)(nan, V(or)(x, V(set)(SR_HIDDEN >> 1)), y);
}

/* x rounded. `direction` has its sign bit set where the lean is toward zero and is 0 where there is none. */
SR_SPECIALIZE VV V(careful)(const sr_lanes *c, sr_kind kind, VV x, VV T, VV direction, VM *hard)
{
    VV const zero = V(set)(0), one = V(set)(1), width = V(set)(SR_W);
    VV const sign = V(and)(x, V(set)(SR_SIGN)), m = V(andnot)(x, V(set)(SR_SIGN));
    VM const negative = V(nonzero)(sign);
    /* |x| = S 2^(E - B - MB). A subnormal has the exponent of field 1 and no hidden bit: it is less than with one. */
    VV const E = V(max_u)(V(srl)(m, V(set)(SR_MB)), one);
    VV const S = V(min_u)(m, V(or)(V(and)(m, V(set)(SR_FRACTION)), V(set)(SR_HIDDEN)));
    VM const below = V(gt_u)(V(set)(c->normal), m);
    VV d = V(max_s)(V(sel)(below, V(sub)(V(set)(c->d_below), E), V(set)(c->d_normal)), zero);
    VM const tiny = V(gt_s)(d, V(set)(SR_MB)); /* below the quantum */
    VV k = V(sub)(width, d);
    VV const low = V(srl)(V(set)(SR_ALL), k);
    VV const down = V(sel)(tiny, zero, V(andnot)(m, low));
    VV const step = V(sel)(tiny, V(set)(c->quantum), V(add)(low, one));
    VM const exact = V(eq)(down, m);
    V(split) s;
    VM away, over;
    VV y;

    /* One lane alone can go its own way. */
    if (SR_LANES == 1 && !c->no_zero && V(any)(V(gt_u)(m, V(set)(SR_INFINITY - 1))))
        return V(exceptional)(c, x, m, negative, V(none)(), x, hard);

    s.beyond = zero;
    s.odd = V(none)();
    s.phi = V(sll)(S, k); /* where d > W: 0. That will do where only 1/2 matters, or 0. */
    if (kind == SR_KIND_EXACT || kind == SR_KIND_FEW || kind == SR_KIND_BIASED)
        s.phi = V(or)(s.phi, V(srl)(S, V(sub)(d, width)));
    if (kind == SR_KIND_FEW) { /* from d = 2 W on all of S, whose top bit is zero, lies beyond, zero or not */
        d = V(min_s)(d, V(add)(width, width));
        s.beyond = V(sll)(S, V(sub)(V(add)(width, width), d));
    }
    if (kind == SR_KIND_NEAREST || kind == SR_KIND_ODD) {
        VV const parity = V(and)(V(set)(c->parity_mask), V(add)(E, V(set)(c->parity))); /* S2.7: whole is 1 */
        s.odd = V(m_andnot)(V(nonzero)(V(and)(V(xor)(V(srl)(S, d), parity), one)), tiny);
    }
    away = V(m_andnot)(V(decide)(c, kind, &s, negative, T, direction, hard), exact);
    *hard = V(m_andnot)(*hard, exact);

    /* Adding a quantum to the pattern carries into the exponent as it should (d <= MB). */
    y = V(add)(down, V(sel)(away, step, zero));
    y = V(max_u)(y, V(set)(c->smallest));
    over = V(gt_u)(y, V(pick)(negative, c->min, c->max)); /* also of what is infinite or NaN */
    y = V(or)(y, V(sel)(V(m_or)(V(nonzero)(y), V(flag)(c->minus_zero)), sign, zero));
    if (SR_UNLIKELY(c->no_zero || V(any)(over))) y = V(exceptional)(c, x, m, negative, over, y, hard);
    return y;
}

/* The code of a value of the format, or of a NaN; in fixed point sign-extended to the lane. */
SR_SPECIALIZE VV V(code)(const sr_lanes *c, VV y)
{
    VV const zero = V(set)(0), one = V(set)(1);
    VV const sign = V(and)(y, V(set)(SR_SIGN)), m = V(xor)(y, sign);
    VM const negative = V(nonzero)(sign);
    VV const E = V(max_u)(V(srl)(m, V(set)(SR_MB)), one);
    VV const S = V(min_u)(m, V(or)(V(and)(m, V(set)(SR_FRACTION)), V(set)(SR_HIDDEN)));
    VV const d = V(sub)(V(set)(c->d_code), E);
    VM const below = V(gt_u)(V(set)(c->normal), m);
    VV code;
    if (c->fixed) {
        code = V(or)(V(srl)(S, d), V(sll)(S, V(sub)(zero, d)));
        return V(sel)(negative, V(sub)(zero, code), code);
    }
    code = V(srl)(V(sel)(below, S, V(sub)(m, V(set)(c->code_base))), V(sel)(below, d, V(set)(c->d_normal)));
    code = V(sel)(V(eq)(m, V(set)(SR_INFINITY)), V(set)(c->code_infinity), code);
    code = V(sel)(V(gt_u)(m, V(set)(SR_INFINITY)), V(set)(c->code_nan), code);
    return V(or)(code, V(sel)(negative, V(set)(c->code_sign), zero));
}

/* ---- loads that know the ends of arrays ------------------------------------------------------------------------- */

/* One vector's operands, `n` lanes of them; the others are zero. */
typedef struct V(operands) {
    VV x, T, direction;
} V(operands);

SR_SPECIALIZE VV V(load_part)(const void *from, size_t bytes)
{
    V(lane) lanes[SR_LANES];
    for (int i = 0; i < SR_LANES; i++) lanes[i] = 0;
    for (size_t i = 0; i < bytes && i < sizeof lanes; i++) ((unsigned char *)lanes)[i] = ((const unsigned char *)from)[i];
    return V(load)(lanes);
}

SR_SPECIALIZE V(operands) V(operands_at)(const sr_chunk *chunk, sr_kind kind, size_t at, size_t n)
{
    int const drawn = kind == SR_KIND_EXACT || kind == SR_KIND_EQUAL;
    int const wide = kind == SR_KIND_FEW || kind == SR_KIND_BIASED;
    const unsigned char *const x = (const unsigned char *)chunk->x + at * (SR_W / 8);
    V(operands) o;
    o.x = n == SR_LANES ? V(load)(x) : V(load_part)(x, n * (SR_W / 8));
    o.T = V(set)(0);
    if (drawn) { /* these words have slack behind them */
        o.T = V(words)((const unsigned char *)chunk->words + 2 * at);
    } else if (wide) {
        const unsigned char *const words = (const unsigned char *)chunk->words + at * (SR_W / 8);
        o.T = n == SR_LANES ? V(load)(words) : V(load_part)(words, n * (SR_W / 8));
    }
    o.direction = V(set)(1);
    if (kind == SR_KIND_BIASED && chunk->direction) { /* the sign of v x, and 0 where v is 0 */
        const unsigned char *const v = (const unsigned char *)chunk->direction + at * (SR_W / 8);
        VV const sign = V(set)(SR_SIGN);
        o.direction = n == SR_LANES ? V(load)(v) : V(load_part)(v, n * (SR_W / 8));
        o.direction = V(sel)(V(eq)(V(andnot)(o.direction, sign), V(set)(0)), V(set)(0),
                             V(or)(V(andnot)(V(xor)(V(xor)(o.direction, o.x), sign), V(set)(SR_SIGN - 1)), V(set)(1)));
    }
    return o;
}

/* The lanes that the definition has to settle; seldom called. */
SR_APART VV V(settle)(const sr_chunk *chunk, size_t at, size_t n, VV x, VV y, VV hard)
{
    V(lane) xs[SR_LANES], ys[SR_LANES], which[SR_LANES];
    V(store)(xs, x);
    V(store)(ys, y);
    V(store)(which, hard);
    for (size_t j = 0; j < n; j++) {
        if (!which[j]) continue;
#if SR_W == 32
        ys[j] = sr_narrow_f32(sr_settle(chunk, 32, at + j, sr_widen_f32(xs[j])));
#else
        ys[j] = sr_settle(chunk, 64, at + j, xs[j]);
#endif
    }
    return V(load)(ys);
}

SR_SPECIALIZE void V(put)(const sr_chunk *chunk, const sr_lanes *c, int codes, size_t at, size_t n, VV y)
{
    size_t const bytes = codes ? (size_t)c->code_bytes : SR_W / 8;
    unsigned char *const to = (unsigned char *)chunk->y + at * bytes;
    V(lane) lanes[SR_LANES];
    if (codes) y = V(code)(c, y);
    if (n == SR_LANES) {
        if (codes)
            V(narrow)(to, y, (int)bytes);
        else
            V(store)(to, y);
        return;
    }
    if (codes)
        V(narrow)(lanes, y, (int)bytes);
    else
        V(store)(lanes, y);
    for (size_t i = 0; i < n * bytes; i++) to[i] = ((const unsigned char *)lanes)[i];
}

/* The n <= LANES elements from `at` on, whatever they are. */
SR_SPECIALIZE void V(careful_at)(const sr_chunk *chunk, sr_kind kind, int codes, size_t at, size_t n)
{
    V(operands) const o = V(operands_at)(chunk, kind, at, n);
    VM hard = V(none)();
    VV y = V(careful)(chunk->lanes, kind, o.x, o.T, o.direction, &hard);
    if (V(any)(hard)) y = V(settle)(chunk, at, n, o.x, y, V(truth)(hard));
    V(put)(chunk, chunk->lanes, codes, at, n, y);
}

/* Whole vectors from `at` on, as far as nothing is hard; where it stopped. Without a call in it, so that constants stay
 * in registers. */
SR_SPECIALIZE size_t V(careful_while_easy)(const sr_chunk *chunk, sr_kind kind, int codes, size_t at, size_t end)
{
    sr_lanes const constants = *chunk->lanes; /* which no store can change */
    for (; at + SR_LANES <= end; at += SR_LANES) {
        V(operands) const o = V(operands_at)(chunk, kind, at, SR_LANES);
        VM hard = V(none)();
        VV const y = V(careful)(&constants, kind, o.x, o.T, o.direction, &hard);
        if (SR_UNLIKELY(V(any)(hard))) break;
        V(put)(chunk, &constants, codes, at, SR_LANES, y);
    }
    return at;
}

SR_SPECIALIZE void V(careful_range)(const sr_chunk *chunk, sr_kind kind, int codes, size_t at, size_t n)
{
    size_t const end = at + n;
    while (at < end) {
        at = V(careful_while_easy)(chunk, kind, codes, at, end);
        if (at < end) V(careful_at)(chunk, kind, codes, at, end - at < (size_t)SR_LANES ? end - at : (size_t)SR_LANES);
        at += SR_LANES;
    }
}

/* What the quick kernels leave to these. */
SR_APART void V(careful_apart)(const sr_chunk *chunk, sr_kind kind, int codes, size_t at, size_t n)
{
    switch (kind) {
    case SR_KIND_NEAREST: V(careful_range)(chunk, SR_KIND_NEAREST, codes, at, n); break;
    case SR_KIND_ODD: V(careful_range)(chunk, SR_KIND_ODD, codes, at, n); break;
    default: V(careful_range)(chunk, SR_KIND_DIRECTED, codes, at, n);
    }
}

SR_APART void V(careful_exact)(const sr_chunk *chunk, int codes, size_t at, size_t n)
{
    if (codes)
        V(careful_range)(chunk, SR_KIND_EXACT, 1, at, n);
    else
        V(careful_range)(chunk, SR_KIND_EXACT, 0, at, n);
}

/* ---- quick: mode sr, exact, nothing special --------------------------------------------------------------------- */

/* Extremes of what has been seen, to be looked at once a group. */
typedef struct V(seen) {
    VV sum, high, low, x;
} V(seen);

SR_SPECIALIZE V(seen) V(nothing_seen)(int which)
{
    V(seen) seen;
    seen.sum = V(set)(0);
    seen.high = V(set)(0);
    seen.low = V(set)(which == SR_QUICK_SCALED || which == SR_QUICK_SCALED_FIXED ? 0 : SR_ALL); /* scaled: the highest */
    seen.x = V(set)(0);
    return seen;
}

/* Is one outside the window, or undecided: with the dropped bits at the top of a lane, the sum of the first 16 and T all
 * ones, and ones below? */
SR_SPECIALIZE int V(special)(const sr_window *window, int which, int code_bytes, const V(seen) *seen)
{
    VM special;
    if (code_bytes == 0 && (which == SR_QUICK_SCALED || which == SR_QUICK_SCALED_FIXED)) {
        return V(half_above)(seen->sum, V(set)(0xFFFFFFFE)) || V(any)(V(gt_u)(seen->low, V(set)(window->high)));
    }
    if (code_bytes == 1) return V(half_above)(seen->sum, V(set)(window->high << 16 | 0xFFFE)); /* high <= 0xFF */
    special = V(gt_s)(seen->high, V(set)(window->high));
    if (which != SR_QUICK_SAME && which != SR_QUICK_HALF && which != SR_QUICK_ALL) {
        special = V(m_or)(special, V(gt_u)(seen->sum, V(set)(SR_UNDECIDED)));
        special = V(m_or)(special, V(gt_u)(V(set)(window->low), seen->low));
    }
    if (which == SR_QUICK_NO_MINUS_ZERO) special = V(m_or)(special, V(eq)(seen->x, V(set)(SR_SIGN)));
    return V(any)(special);
}

SR_SPECIALIZE void V(look)(const sr_window *window, VV m, VV sum, V(seen) *seen)
{
    VV const z = V(sub)(m, V(set)(window->step)); /* +0 - 1: below all as a signed number, above all as an unsigned one */
    seen->sum = V(max_u)(seen->sum, sum);
    seen->high = V(max_s)(seen->high, z);
    seen->low = V(min_u)(seen->low, z);
}

/* d by lane. T's 16 bits are brought to the top of the dropped ones and added to the pattern: a carry goes where it
 * should, into the fraction and on into the exponent (d <= MB). */
SR_SPECIALIZE VV V(quick_lanes)(const sr_lanes *c, int which, VV x, const void *words, V(seen) *seen)
{
    VV const m = V(and)(x, V(set)(SR_SIGN - 1));
    VV const E = V(srl)(m, V(set)(SR_MB));
    VV const k = V(min_s)(V(add)(E, V(set)(c->quick_c)), V(set)(c->quick_k));
    VV const sum = V(add)(x, V(srl)(V(words)(words), k));
    V(look)(&c->quick_window, m, V(sll)(sum, k), seen);
    if (which == SR_QUICK_NO_MINUS_ZERO) seen->x = V(min_s)(seen->x, x);
    return V(andnot)(sum, V(srl)(V(set)(SR_ALL), k));
}

/* The same d <= 16 in all lanes (HALF: 16): the format's exponents go down as far as the carrier's. */
SR_SPECIALIZE VV V(quick_same)(const sr_lanes *c, int which, int codes, VV x, const void *words, V(seen) *seen)
{
    VV const dropped = V(sub)(V(set)(SR_W), V(set)(c->quick_k));
    VV const T = V(words_low)(words);
    VV const sum = V(add)(x, which == SR_QUICK_HALF ? T : V(srl)(T, V(sub)(V(set)(16), dropped)));
    seen->high = V(max_s)(seen->high, V(and)(x, V(set)(SR_SIGN - 1)));
    return codes ? V(srl)(sum, dropped) : V(andnot)(sum, V(srl)(V(set)(SR_ALL), V(set)(c->quick_k)));
}

#if SR_W == 32
/* Values I 2^q where 2^q >= 2^-110 and I has at most 15 bits (14 in fixed point, so that S >> 1 is too much). S at the top of the lane is brought down to 16 bits below the
 * quantum, plus T: I lies above, and the lower half is all ones where T has not decided. q is the exponent of
 * |x| or emin, less p - 1. Zeros and subnormals of the carrier need no care:
 * all of S is shifted out. */
SR_SPECIALIZE VV V(quick_scaled)(const sr_lanes *c, int which, VV x, const void *words, V(seen) *seen)
{
    VV const field = V(and)(x, V(set)(SR_INFINITY));
    VV const least = which == SR_QUICK_SCALED ? V(max_u)(field, V(set)(c->normal)) : field;
    VV const S = V(or)(V(sll)(x, V(set)(SR_W - 1 - SR_MB)), V(set)(SR_SIGN));
    VV const down = which == SR_QUICK_SCALED
                        ? V(add)(V(srl)(V(sub)(least, field), V(set)(SR_MB)), V(set)(c->scaled_down))
                        : V(max_s)(V(sub)(V(set)(c->scaled_down), V(srl)(field, V(set)(SR_MB))), V(set)(1));
    VV const sum = V(add)(V(srl)(S, down), V(words_low)(words));
    VV const quantum = which == SR_QUICK_SCALED ? V(sub)(least, V(set)(c->scaled_quantum)) : V(set)(c->scaled_quantum);
    VV const m = V(scale)(V(srl)(sum, V(set)(16)), quantum);
    seen->sum = V(max_halves)(seen->sum, sum);
    seen->low = V(max_u)(seen->low, m);
    if (which == SR_QUICK_SCALED) return V(or)(m, V(and)(x, V(set)(SR_SIGN)));
    return V(sel)(V(nonzero)(m), V(or)(m, V(and)(x, V(set)(SR_SIGN))), m);
}
#endif

/* To codes of one byte, whose formats drop 16 bits or more. For a subnormal of the format S counts, for others the
 * pattern, of which the code is a part: whichever is more. Brought down to 16 bits below the quantum, plus T: the code
 * lies above, and the lower half is all ones where T has not decided. Zeros need no care: all of S is shifted out. The
 * upper halves show an overflow, too. */
SR_SPECIALIZE VV V(quick_byte)(const sr_lanes *c, int which, VV x, const void *words, V(seen) *seen)
{
    VV const m = V(and)(x, V(set)(SR_SIGN - 1));
    VV const d = V(max_s)(V(sub)(V(set)(c->d_code - 16), V(srl)(m, V(set)(SR_MB))), V(set)(c->quick_d));
    VV const S = V(or)(V(and)(x, V(set)(SR_FRACTION)), V(set)(SR_HIDDEN));
    VV const part = which == SR_QUICK_FIXED ? S : V(max_s)(S, V(sub)(m, V(set)(c->code_base)));
    VV const sum = V(add)(V(srl)(part, d), V(words_low)(words));
    seen->sum = V(max_halves)(seen->sum, sum);
    if (which == SR_QUICK_FIXED) { /* a negative code in the upper half: its complement, plus one */
        VV const whole = V(andnot)(sum, V(set)(0xFFFF));
        return V(sel)(V(gt_s)(V(set)(0), x), V(sub)(V(set)(0), whole), whole);
    }
    return sum;
}

/* Four vectors of them at x, without signs, packed and signed. */
SR_SPECIALIZE void V(put_bytes)(const sr_lanes *c, int which, void *to, VV *codes, const unsigned char *x)
{
#if SR_W == 32 && defined(SR_PACKED_SIGNS)
    if (which != SR_QUICK_FIXED) {
        V(signed_bytes)(to, codes[0], codes[1], codes[2], codes[3], x, c->code_sign, which != SR_QUICK_NO_MINUS_ZERO);
        return;
    }
#endif
    for (int i = 0; i < 4 && which != SR_QUICK_FIXED; i++) {
        VV const sign = V(and)(V(srl)(V(load)(x + i * SR_LANES * (SR_W / 8)), V(set)(c->code_shift - 16)),
                               V(set)(c->code_sign << 16));
        VV const code = V(or)(codes[i], sign);
        codes[i] = which != SR_QUICK_NO_MINUS_ZERO ? code
                                                   : V(sel)(V(gt_u)(codes[i], V(set)(0xFFFF)), code, V(set)(0));
    }
    V(high_bytes)(to, codes[0], codes[1], codes[2], codes[3], which == SR_QUICK_FIXED);
}

/* To codes of two bytes, with d by lane, as long as d < W. */
SR_SPECIALIZE VV V(quick_code)(const sr_lanes *c, int which, VV x, const void *words, V(seen) *seen)
{
    VV const m = V(and)(x, V(set)(SR_SIGN - 1));
    VV const E = V(srl)(m, V(set)(SR_MB));
    VV const k = V(min_s)(V(add)(E, V(set)(c->quick_c)), V(set)(c->quick_k));
    VV const S = V(or)(V(and)(x, V(set)(SR_FRACTION)), V(set)(SR_HIDDEN));
    VV const part = which == SR_QUICK_FIXED ? S : V(max_s)(S, V(sub)(m, V(set)(c->code_base)));
    VV const sum = V(add)(part, V(srl)(V(words)(words), k));
    VV const code = V(srl)(sum, V(sub)(V(set)(SR_W), k));
    V(look)(&c->code_window, m, V(sll)(sum, k), seen);
    if (which == SR_QUICK_FIXED) return V(sel)(V(gt_s)(V(set)(0), x), V(sub)(V(set)(0), code), code);
    return V(or)(code, V(and)(V(srl)(x, V(set)(c->code_shift)), V(set)(c->code_sign)));
}

/* `which` and `code_bytes` (0: values) are constants. */
SR_SPECIALIZE VV V(quick_one)(const sr_lanes *c, int which, int code_bytes, const void *x, const void *words, V(seen) *seen)
{
    VV const v = V(load)(x);
    if (which == SR_QUICK_SAME || which == SR_QUICK_HALF) return V(quick_same)(c, which, code_bytes, v, words, seen);
#if SR_W == 32
    if (which == SR_QUICK_SCALED || which == SR_QUICK_SCALED_FIXED) return V(quick_scaled)(c, which, v, words, seen);
#endif
    if (code_bytes == 0) return V(quick_lanes)(c, which, v, words, seen);
    return code_bytes == 1 ? V(quick_byte)(c, which, v, words, seen) : V(quick_code)(c, which, v, words, seen);
}

/* ---- quick: deterministic modes --------------------------------------------------------------------------------- */

/* The same with an addend in place of random bits; SAME and LANES within windows that leave d < MB. With ALL d is MB for
 * magnitudes from the quantum to twice that, whose last bit is the hidden one, and more below. */
SR_SPECIALIZE VV V(plain_one)(const sr_lanes *c, sr_kind kind, int which, VV x)
{
    VV const zero = V(set)(0);
    VV const m = V(and)(x, V(set)(SR_SIGN - 1));
    VV const k = which == SR_QUICK_SAME ? V(set)(c->quick_k)
                                        : V(min_s)(V(add)(V(srl)(m, V(set)(SR_MB)), V(set)(c->quick_c)), V(set)(c->quick_k));
    VV const low = V(srl)(V(set)(SR_ALL), k);
    VV y;
    switch (kind) {
    case SR_KIND_NEAREST: { /* half a quantum, or less by one but for an odd last bit */
        VV const S = which == SR_QUICK_ALL ? V(or)(x, V(set)(SR_HIDDEN)) : x;
        VV const odd = V(and)(V(and)(V(srl)(S, V(sub)(V(set)(SR_W), k)), low), V(set)(c->tie_even & 1)); /* d = 0: no */
        VV const half = V(srl)(V(set)(c->tie_away ? SR_SIGN : SR_SIGN - 1), k);
        y = V(andnot)(V(add)(V(add)(x, half), odd), low);
        break;
    }
    case SR_KIND_ODD: { /* a carry into the last bit if anything is dropped; it is or-ed, if it is not the hidden one */
        VV const carry = V(add)(V(and)(x, low), low);
        y = V(andnot)(V(or)(x, which == SR_QUICK_ALL ? V(and)(carry, V(set)(SR_FRACTION)) : carry), low);
        break;
    }
    default: {
        VV const away = V(pick)(V(gt_s)(zero, x), c->away[1], c->away[0]);
        y = V(andnot)(V(add)(x, V(and)(low, away)), low);
    }
    }
    if (which != SR_QUICK_ALL) return y;
    {
        VV const sign = V(and)(x, V(set)(SR_SIGN)), quantum = V(set)(c->quantum);
        VV const limit = kind == SR_KIND_DIRECTED ? V(pick)(V(gt_s)(zero, x), c->tiny[1], c->tiny[0]) : V(set)(c->tiny[0]);
        VV const tiny = V(sel)(V(gt_u)(m, limit), V(or)(sign, quantum), V(and)(sign, V(set)(c->minus_zero)));
        return V(sel)(V(gt_u)(quantum, m), tiny, y);
    }
}

/* The code of a finite value of ALL's or HALF's formats. Of ALL's: 0, taken for HIDDEN, is shifted out, as d > MB below
 * the quantum. */
SR_SPECIALIZE VV V(plain_code)(const sr_lanes *c, int which, VV y)
{
    VV const zero = V(set)(0);
    VV const m = V(and)(y, V(set)(SR_SIGN - 1));
    VV const S = V(or)(V(and)(y, V(set)(SR_FRACTION)), V(set)(SR_HIDDEN));
    VV const d = V(sub)(V(set)(c->d_code), V(srl)(m, V(set)(SR_MB)));
    VV code;
    if (which == SR_QUICK_HALF) return V(srl)(y, V(set)(16));
    if (c->fixed) {
        code = V(or)(V(srl)(S, d), V(sll)(S, V(sub)(zero, d)));
        return V(sel)(V(gt_s)(zero, y), V(sub)(zero, code), code);
    }
    code = V(srl)(V(max_s)(S, V(sub)(m, V(set)(c->code_base))), V(max_s)(d, V(set)(c->d_normal)));
    return V(or)(code, V(and)(V(srl)(y, V(set)(c->code_shift)), V(set)(c->code_sign)));
}

/* SAME and ALL, with what is beyond the window. */
SR_SPECIALIZE void V(plain_with_exceptions)(const sr_chunk *chunk, sr_kind kind, int which, int codes, size_t at, size_t n)
{
    sr_lanes const constants = *chunk->lanes;
    int const natural = which == SR_QUICK_SAME && constants.quick_window.high == SR_INFINITY; /* NaN alone is special */
    for (size_t end = at + n; at < end; at += SR_LANES) {
        VV const x = V(load)((const unsigned char *)chunk->x + at * (SR_W / 8));
        VV const m = V(and)(x, V(set)(SR_SIGN - 1));
        VV y = V(plain_one)(&constants, kind, which, x);
        VM const negative = V(gt_s)(V(set)(0), x);
        VM const over = V(gt_u)(V(and)(y, V(set)(SR_SIGN - 1)), V(pick)(negative, constants.min, constants.max));
        VM hard = V(none)();
        if (natural)
            y = V(sel)(V(gt_u)(m, V(set)(SR_INFINITY)), V(or)(x, V(set)(SR_HIDDEN >> 1)), y);
        else
            y = V(exceptional)(&constants, x, m, negative, over, y, &hard);
        if (SR_UNLIKELY(V(any)(hard))) y = V(settle)(chunk, at, SR_LANES, x, y, V(truth)(hard));
        V(put)(chunk, &constants, codes, at, SR_LANES, y);
    }
}

SR_APART void V(plain_exceptions)(const sr_chunk *chunk, int which, int codes, size_t at, size_t n)
{
    int const same = which == SR_QUICK_SAME;
    switch (chunk->lanes->kind) { /* constants again */
    case SR_KIND_NEAREST:
        if (same)
            V(plain_with_exceptions)(chunk, SR_KIND_NEAREST, SR_QUICK_SAME, codes, at, n);
        else
            V(plain_with_exceptions)(chunk, SR_KIND_NEAREST, SR_QUICK_ALL, codes, at, n);
        break;
    case SR_KIND_ODD:
        if (same)
            V(plain_with_exceptions)(chunk, SR_KIND_ODD, SR_QUICK_SAME, codes, at, n);
        else
            V(plain_with_exceptions)(chunk, SR_KIND_ODD, SR_QUICK_ALL, codes, at, n);
        break;
    default:
        if (same)
            V(plain_with_exceptions)(chunk, SR_KIND_DIRECTED, SR_QUICK_SAME, codes, at, n);
        else
            V(plain_with_exceptions)(chunk, SR_KIND_DIRECTED, SR_QUICK_ALL, codes, at, n);
    }
}

/* ---- quick: runs of groups --------------------------------------------------------------------------------------- */

/* SAME and HALF where the carry into infinity is the overflow: NaN alone is special. */
SR_SPECIALIZE void V(with_nan)(const sr_chunk *chunk, int which, int code_bytes, size_t at, size_t n)
{
    sr_lanes const constants = *chunk->lanes;
    const sr_lanes *const c = &constants;
    size_t const bytes = code_bytes ? (size_t)code_bytes : SR_W / 8;
    for (size_t end = at + n; at < end; at += SR_LANES) {
        const unsigned char *const from = (const unsigned char *)chunk->x + at * (SR_W / 8);
        unsigned char *const to = (unsigned char *)chunk->y + at * bytes;
        VV const x = V(load)(from), sign = V(and)(x, V(set)(SR_SIGN));
        VM const nan = V(gt_u)(V(andnot)(x, V(set)(SR_SIGN)), V(set)(SR_INFINITY));
        V(seen) seen = V(nothing_seen)(which);
        VV const y = V(quick_same)(c, which, code_bytes, x, (const unsigned char *)chunk->words + 2 * at, &seen);
        if (code_bytes) {
            VV const signed_nan = V(or)(V(srl)(sign, V(set)(c->code_shift)), V(set)(c->code_nan));
            V(narrow)(to, V(sel)(nan, signed_nan, y), code_bytes);
        } else {
            V(store)(to, V(sel)(nan, V(or)(x, V(set)(SR_HIDDEN >> 1)), y));
        }
    }
}

SR_APART void V(with_nan_apart)(const sr_chunk *chunk, int which, int code_bytes, size_t at, size_t n)
{
    if (which == SR_QUICK_SAME) /* constants again */
        V(with_nan)(chunk, SR_QUICK_SAME, 0, at, n);
    else if (code_bytes)
        V(with_nan)(chunk, SR_QUICK_HALF, 2, at, n);
    else
        V(with_nan)(chunk, SR_QUICK_HALF, 0, at, n);
}

/* A group is special: what others take over from `at` on, that group, and more after another one. */
SR_SPECIALIZE size_t V(take_over)(const sr_chunk *chunk, sr_kind kind, int which, int code_bytes, size_t at, size_t end,
                                  int again)
{
    size_t const more = again ? 1024 : 4 * SR_LANES;
    size_t const n = end - at < more ? end - at : more;
    if (kind == SR_KIND_EXACT && (which == SR_QUICK_SAME || which == SR_QUICK_HALF) &&
        chunk->lanes->quick_window.high == SR_INFINITY)
        V(with_nan_apart)(chunk, which, code_bytes, at, n);
    else if (kind == SR_KIND_EXACT)
        V(careful_exact)(chunk, code_bytes, at, n);
    else if (which == SR_QUICK_SAME || which == SR_QUICK_ALL)
        V(plain_exceptions)(chunk, which, code_bytes != 0, at, n);
    else
        V(careful_apart)(chunk, kind, 0, at, n);
    return n;
}

SR_SPECIALIZE void V(put_four)(unsigned char *to, const VV *r, int code_bytes)
{
    if (code_bytes)
        V(narrow_four)(to, r[0], r[1], r[2], r[3], code_bytes);
    else
        for (int i = 0; i < 4; i++) V(store)(to + i * SR_LANES * (SR_W / 8), r[i]);
}

/* Elements [at, end) with words at hand; whole groups. */
SR_SPECIALIZE void V(quick_groups)(const sr_chunk *chunk, const sr_lanes *c, int which, int code_bytes, size_t at, size_t end)
{
    enum { GROUP = 4 * SR_LANES, STEP = SR_LANES * (SR_W / 8) };
    const sr_window *const window = code_bytes ? &c->code_window : &c->quick_window;
    const unsigned char *const x = (const unsigned char *)chunk->x;
    const unsigned char *const words = (const unsigned char *)chunk->words;
    unsigned char *const y = (unsigned char *)chunk->y;
    size_t const bytes = code_bytes ? (size_t)code_bytes : SR_W / 8;
    int again = 0; /* the group before was special */
    while (at < end) {
        const unsigned char *const from = x + at * (SR_W / 8), *const w = words + 2 * at;
        unsigned char *const to = y + at * bytes;
        V(seen) seen = V(nothing_seen)(which);
        VV r[4];
        for (int i = 0; i < 4; i++)
            r[i] = V(quick_one)(c, which, code_bytes, from + i * STEP, w + 2 * i * SR_LANES, &seen);
        if (SR_UNLIKELY(V(special)(window, which, code_bytes, &seen))) {
            at += V(take_over)(chunk, SR_KIND_EXACT, which, code_bytes, at, end, again);
            again = 1;
            continue;
        }
        if (code_bytes == 1 && which != SR_QUICK_HALF)
            V(put_bytes)(c, which, to, r, from);
        else
            V(put_four)(to, r, code_bytes);
        again = 0;
        at += GROUP;
    }
}

/* `which` and `code_bytes` (0: values) are constants. */
SR_SPECIALIZE void V(quick_run)(const sr_chunk *chunk, int which, int code_bytes)
{
    sr_lanes const constants = *chunk->lanes; /* which no store can change */
    size_t const whole = chunk->n - chunk->n % (4 * SR_LANES);
    V(quick_groups)(chunk, &constants, which, code_bytes, 0, whole);
    if (whole < chunk->n) V(careful_exact)(chunk, code_bytes, whole, chunk->n - whole);
}

/* n elements of a stride, adjacent; those so many further on will be wanted next. */
SR_SPECIALIZE void V(collect)(const unsigned char *from, ptrdiff_t stride, size_t n, V(lane) *to, size_t next)
{
    enum { STEP = SR_LANES * (SR_W / 8), RUN = 16 };
    ptrdiff_t const step = stride * (SR_W / 8), ahead = (ptrdiff_t)next * step;
    size_t i = 0;
    if (stride == 2)
        for (; i + SR_LANES < n; i += SR_LANES) { /* a last vector would read beyond the end */
            const unsigned char *const at = from + (ptrdiff_t)i * step;
            SR_FETCH(at + ahead);
            SR_FETCH(at + ahead + STEP);
            V(store)(to + i, V(even)(V(load)(at), V(load)(at + STEP)));
        }
    if (stride == -1)
        for (; i + SR_LANES <= n; i += SR_LANES) {
            const unsigned char *const at = from - (ptrdiff_t)(i + SR_LANES - 1) * (SR_W / 8);
            SR_FETCH(at + ahead);
            V(store)(to + i, V(reverse)(V(load)(at)));
        }
    for (; i < n; i += RUN) { /* in short runs: compilers would use gathering loads, which take longer */
        const unsigned char *at = from + (ptrdiff_t)i * step;
        size_t const end = n - i < RUN ? n - i : (size_t)RUN;
        for (ptrdiff_t k = 0; k < (step < 0 ? -step : step) * RUN && k < 64 * RUN; k += 64)
            SR_FETCH(at + ahead + (step < 0 ? -k : k));
        for (size_t j = 0; j < end; j++, at += step) SR_COPY(to + i + j, at, SR_W / 8);
    }
}

/* The same, and drawing the words too, so that loads and stores overlap with the generator's arithmetic. Starts with a
 * block; the numbers of all blocks have the same upper half. */
SR_SPECIALIZE void V(quick_run_drawing)(const sr_chunk *chunk, int which, int code_bytes, int adjacent)
{
    enum { BATCH = 256, GROUP = 4 * SR_LANES };
    SR_ALIGNED(64) uint32_t words[BATCH / 2 + 4 * SR_PHILOX_SLACK];
    SR_ALIGNED(64) V(lane) collected[BATCH];
    size_t const bytes = code_bytes ? (size_t)code_bytes : SR_W / 8;
    sr_lanes const constants = *chunk->lanes;
    sr_chunk part = *chunk;
    C(setup) setup;
    C(prepare)(&setup, chunk->seed, chunk->stream, (uint32_t)(chunk->block >> 32));
    part.words = words;
    part.n = BATCH;
    for (size_t at = 0; at < chunk->n; at += BATCH) {
        const unsigned char *const from = (const unsigned char *)chunk->x + (ptrdiff_t)at * chunk->x_stride * (SR_W / 8);
        part.x = adjacent ? (const void *)from : (const void *)collected;
        part.y = (unsigned char *)chunk->y + at * bytes;
        part.counter = chunk->counter + at;
        C(run)(&setup, (uint32_t)chunk->block + (uint32_t)(at / 8), BATCH / 8, words);
        if (chunk->n - at < BATCH) {
            part.n = chunk->n - at;
            if (!adjacent) V(collect)(from, chunk->x_stride, part.n, collected, 0);
            V(quick_run)(&part, which, code_bytes);
        } else if (!adjacent) { /* by groups: memory serves a few requests at a time */
            for (size_t i = 0; i < BATCH; i += GROUP) {
                V(collect)(from + (ptrdiff_t)i * chunk->x_stride * (SR_W / 8), chunk->x_stride, GROUP, collected + i,
                           2 * BATCH);
                V(quick_groups)(&part, &constants, which, code_bytes, i, i + GROUP);
            }
        } else {
            V(quick_groups)(&part, &constants, which, code_bytes, 0, BATCH);
        }
    }
}

/* `which` and `code_bytes` (0: values) are constants. */
SR_SPECIALIZE void V(plain_run)(const sr_chunk *chunk, sr_kind kind, int which, int code_bytes)
{
    enum { GROUP = 4 * SR_LANES, STEP = SR_LANES * (SR_W / 8) };
    sr_lanes const constants = *chunk->lanes;
    const sr_lanes *const c = &constants;
    size_t const bytes = code_bytes ? (size_t)code_bytes : SR_W / 8;
    size_t const whole = chunk->n - chunk->n % GROUP;
    size_t at = 0;
    int again = 0;
    while (at < whole) {
        const unsigned char *const from = (const unsigned char *)chunk->x + at * (SR_W / 8);
        V(seen) seen = V(nothing_seen)(which);
        VV r[4];
        for (int i = 0; i < 4; i++) {
            VV const x = V(load)(from + i * STEP);
            V(look)(&c->quick_window, V(and)(x, V(set)(SR_SIGN - 1)), V(set)(0), &seen);
            r[i] = V(plain_one)(c, kind, which, x);
            if (code_bytes) r[i] = V(plain_code)(c, which == SR_QUICK_SAME ? SR_QUICK_HALF : which, r[i]);
        }
        if (SR_UNLIKELY(V(special)(&c->quick_window, which, 0, &seen))) {
            at += V(take_over)(chunk, kind, which, code_bytes, at, whole, again);
            again = 1;
            continue;
        }
        V(put_four)((unsigned char *)chunk->y + at * bytes, r, code_bytes);
        again = 0;
        at += GROUP;
    }
    if (whole < chunk->n) V(careful_apart)(chunk, kind, code_bytes != 0, whole, chunk->n - whole);
}

/* ---- entries ---------------------------------------------------------------------------------------------------- */

SR_SPECIALIZE void V(any_kind)(const sr_chunk *chunk, int codes)
{
    size_t const n = chunk->n;
    switch (chunk->lanes->kind) {
    case SR_KIND_EXACT: V(careful_exact)(chunk, codes, 0, n); break;
    case SR_KIND_FEW: V(careful_range)(chunk, SR_KIND_FEW, codes, 0, n); break;
    case SR_KIND_EQUAL: V(careful_range)(chunk, SR_KIND_EQUAL, codes, 0, n); break;
    case SR_KIND_BIASED: V(careful_range)(chunk, SR_KIND_BIASED, codes, 0, n); break;
    default: V(careful_apart)(chunk, chunk->lanes->kind, codes, 0, n);
    }
}

SR_SPECIALIZE void V(quick)(const sr_chunk *chunk, int which, int code_bytes)
{
    if (chunk->words)
        V(quick_run)(chunk, which, code_bytes);
    else
        if (chunk->x_stride == 1) V(quick_run_drawing)(chunk, which, code_bytes, 1);
        else V(quick_run_drawing)(chunk, which, code_bytes, 0);
}

SR_SPECIALIZE void V(plain)(const sr_chunk *chunk, sr_kind kind)
{
    switch (chunk->lanes->quick) {
    case SR_QUICK_SAME: V(plain_run)(chunk, kind, SR_QUICK_SAME, 0); break;
    case SR_QUICK_LANES: V(plain_run)(chunk, kind, SR_QUICK_LANES, 0); break;
    case SR_QUICK_ALL: V(plain_run)(chunk, kind, SR_QUICK_ALL, 0); break;
    default: V(any_kind)(chunk, 0);
    }
}

SR_SPECIALIZE void V(plain_codes)(const sr_chunk *chunk, sr_kind kind)
{
    int const bytes = chunk->lanes->code_bytes;
    if (chunk->lanes->quick_codes == SR_QUICK_HALF)
        V(plain_run)(chunk, kind, SR_QUICK_SAME, 2);
    else if (chunk->lanes->quick_codes == SR_QUICK_ALL && bytes == 1)
        V(plain_run)(chunk, kind, SR_QUICK_ALL, 1);
    else if (chunk->lanes->quick_codes == SR_QUICK_ALL && bytes == 2)
        V(plain_run)(chunk, kind, SR_QUICK_ALL, 2);
    else
        V(any_kind)(chunk, 1);
}

static void V(round)(const sr_chunk *chunk)
{
    switch (chunk->lanes->kind) {
    case SR_KIND_DIRECTED: V(plain)(chunk, SR_KIND_DIRECTED); return;
    case SR_KIND_NEAREST: V(plain)(chunk, SR_KIND_NEAREST); return;
    case SR_KIND_ODD: V(plain)(chunk, SR_KIND_ODD); return;
    default: break;
    }
    switch (chunk->lanes->quick) {
    case SR_QUICK_HALF: V(quick)(chunk, SR_QUICK_HALF, 0); break;
    case SR_QUICK_SAME: V(quick)(chunk, SR_QUICK_SAME, 0); break;
    case SR_QUICK_LANES: V(quick)(chunk, SR_QUICK_LANES, 0); break;
    case SR_QUICK_NO_MINUS_ZERO: V(quick)(chunk, SR_QUICK_NO_MINUS_ZERO, 0); break;
#if SR_W == 32
    case SR_QUICK_SCALED: V(quick)(chunk, SR_QUICK_SCALED, 0); break;
    case SR_QUICK_SCALED_FIXED: V(quick)(chunk, SR_QUICK_SCALED_FIXED, 0); break;
#endif
    default: V(any_kind)(chunk, 0);
    }
}

static void V(encode)(const sr_chunk *chunk)
{
    int const one = chunk->lanes->code_bytes == 1;
    switch (chunk->lanes->kind) {
    case SR_KIND_DIRECTED: V(plain_codes)(chunk, SR_KIND_DIRECTED); return;
    case SR_KIND_NEAREST: V(plain_codes)(chunk, SR_KIND_NEAREST); return;
    case SR_KIND_ODD: V(plain_codes)(chunk, SR_KIND_ODD); return;
    default: break;
    }
    switch (chunk->lanes->quick_codes) {
    case SR_QUICK_HALF: V(quick)(chunk, SR_QUICK_HALF, 2); break;
    case SR_QUICK_LANES: one ? V(quick)(chunk, SR_QUICK_LANES, 1) : V(quick)(chunk, SR_QUICK_LANES, 2); break;
    case SR_QUICK_FIXED: one ? V(quick)(chunk, SR_QUICK_FIXED, 1) : V(quick)(chunk, SR_QUICK_FIXED, 2); break;
    case SR_QUICK_NO_MINUS_ZERO: V(quick)(chunk, SR_QUICK_NO_MINUS_ZERO, 1); break;
    default: V(any_kind)(chunk, 1);
    }
}

/* Is one of n magnitudes above `limit`? */
static int V(above)(const void *x, size_t n, uint64_t limit)
{
    VV const magnitude = V(set)(SR_SIGN - 1);
    VV most = V(set)(0);
    size_t at = 0;
    for (; at + SR_LANES <= n; at += SR_LANES)
        most = V(max_u)(most, V(and)(V(load)((const unsigned char *)x + at * (SR_W / 8)), magnitude));
    if (at < n)
        most = V(max_u)(most, V(and)(V(load_part)((const unsigned char *)x + at * (SR_W / 8), (n - at) * (SR_W / 8)),
                                     magnitude));
    return V(any)(V(gt_u)(most, V(set)(limit)));
}

#undef SR_LANES
#undef SR_MB
#undef SR_SIGN
#undef SR_FRACTION
#undef SR_HIDDEN
#undef SR_INFINITY
#undef SR_ALL
#undef SR_UNDECIDED
