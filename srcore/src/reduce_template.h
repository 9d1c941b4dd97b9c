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

#undef SR_LANES
#undef SR_SIGN
#undef SR_INFINITY
