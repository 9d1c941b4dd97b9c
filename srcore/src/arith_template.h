/* Exact results, rounded to odd in binary64, in the vocabulary of a path: D(op) works on vectors of doubles. What is
 * rounded to odd loses nothing that matters to a rounding that keeps two bits less at least: its last bit says that
 * something lies below (Boldo and Melquiond 2008). V() are the 64-bit lanes of round_template.h. */

#define SR_LANES V(lanes)
#define SR_SIGN ((uint64_t)1 << 63)
#define SR_INFINITY SR_F64_INF

/* 2^-900: above it, remainders and the errors of products are numbers of binary64. */
#define SR_LEAST ((uint64_t)(1023 - 900) << 52)

/* t, to nearest, and the sign of what is left: exact - t. Where that points toward zero, t is one too far: patterns are
 * ordered like magnitudes. Infinities and NaN have nothing left. */
SR_SPECIALIZE VV V(odd)(DV t, VV left)
{
    VV const bits = D(bits)(t), sign = V(set)(SR_SIGN);
    VM const some = V(m_and)(V(nonzero)(V(andnot)(left, sign)), V(gt_u)(V(set)(SR_INFINITY), V(andnot)(bits, sign)));
    VM const far = V(nonzero)(V(and)(V(xor)(left, bits), sign));
    VV const down = V(or)(V(sub)(bits, V(sel)(far, V(set)(1), V(set)(0))), V(set)(1));
    return V(sel)(some, down, bits);
}

/* a + b - t, exactly (Knuth). */
SR_SPECIALIZE DV V(sum_left)(DV a, DV b, DV t)
{
    DV const bb = D(sub)(t, a);
    return D(add)(D(sub)(a, D(sub)(t, bb)), D(sub)(b, bb));
}

SR_SPECIALIZE VM V(outside)(VV magnitude, VV most)
{
    return V(m_or)(V(gt_u)(magnitude, most), V(gt_u)(V(set)(SR_LEAST), magnitude));
}

/* One vector. `wide`: operands of binary64, where errors may be no numbers any more. */
SR_SPECIALIZE VV V(op_to_odd)(sr_op op, int wide, DV x, DV y, DV z, VM *doubtful)
{
    VV const magnitude = V(set)(SR_SIGN - 1), zero = V(set)(0);
    VV const most = V(set)((uint64_t)(1023 + 900) << 52);
    VV const xm = V(and)(D(bits)(x), magnitude), ym = V(and)(D(bits)(y), magnitude);
    DV t, left;
    VV result;
    *doubtful = V(none)();
    switch (op) {
    case SR_OP_SUB: y = D(value)(V(xor)(D(bits)(y), V(set)(SR_SIGN))); /* fall through */
    case SR_OP_ADD:
        t = D(add)(x, y);
        result = V(odd)(t, D(bits)(V(sum_left)(x, y, t)));
        break;
    case SR_OP_MUL:
        t = D(mul)(x, y);
        result = D(bits)(t); /* of float32: exact */
        if (wide) {
            result = V(odd)(t, D(bits)(D(value)(V(xor)(D(bits)(D(fnma)(x, y, t)), V(set)(SR_SIGN)))));
            *doubtful = V(m_and)(V(gt_u)(V(set)(SR_LEAST), V(and)(result, magnitude)),
                                 V(m_and)(V(nonzero)(xm), V(nonzero)(ym)));
        }
        break;
    case SR_OP_DIV:
        t = D(div)(x, y);
        left = D(fnma)(t, y, x); /* its sign, by that of y */
        result = V(xor)(D(bits)(left), V(and)(D(bits)(y), V(set)(SR_SIGN)));
        result = V(odd)(t, V(sel)(V(gt_u)(V(set)(SR_INFINITY), ym), result, zero)); /* x / infinity: nothing */
        if (wide)
            *doubtful = V(m_and)(V(nonzero)(xm),
                                 V(m_or)(V(outside)(V(and)(result, magnitude), most),
                                         V(m_or)(V(outside)(xm, most), V(outside)(ym, most))));
        break;
    case SR_OP_SQRT:
        t = D(sqrt)(x);
        result = V(odd)(t, D(bits)(D(fnma)(t, t, x)));
        if (wide) *doubtful = V(m_and)(V(nonzero)(xm), V(gt_u)(V(set)(SR_LEAST), xm));
        break;
    case SR_OP_FMA:
        if (!wide) { /* an exact product */
            DV const p = D(mul)(x, y);
            t = D(add)(p, z);
            result = V(odd)(t, D(bits)(V(sum_left)(p, z, t)));
        } else { /* Boldo and Muller 2011, ErrFmaNearest: left = (b1 - t + b2) + a2, whose sign is right */
            DV const p = D(mul)(x, y);
            DV const p2 = D(value)(V(xor)(D(bits)(D(fnma)(x, y, p)), V(set)(SR_SIGN)));
            DV const a1 = D(add)(z, p2), a2 = V(sum_left)(z, p2, a1);
            DV const b1 = D(add)(p, a1), b2 = V(sum_left)(p, a1, b1);
            VV const pm = V(and)(D(bits)(p), magnitude);
            t = D(fma)(x, y, z);
            left = D(add)(D(add)(D(sub)(b1, t), b2), a2);
            result = V(odd)(t, D(bits)(left));
            *doubtful = V(m_or)(V(m_and)(V(m_and)(V(nonzero)(xm), V(nonzero)(ym)), V(outside)(pm, most)),
                                V(gt_u)(V(and)(D(bits)(z), magnitude), most));
        }
        break;
    default: result = D(bits)(x); /* SR_OP_ROUND */
    }
    if (op == SR_OP_ROUND) return result;
    return V(sel)(V(gt_u)(V(and)(result, magnitude), V(set)(SR_INFINITY)), V(set)(SR_F64_NAN), result);
}

/* The operands at `at` on as doubles */
SR_SPECIALIZE DV V(operand)(const void *from, size_t at, int width)
{
    return width == 32 ? D(widen)((const float *)from + at) : D(load)((const double *)from + at);
}

SR_SPECIALIZE size_t V(run_to_odd)(const sr_operands *o, sr_op op, int width, double *t, uint16_t *doubtful)
{
    int const two = op != SR_OP_ROUND && op != SR_OP_SQRT, three = op == SR_OP_FMA;
    VV const magnitude = V(set)(SR_SIGN - 1), most = V(set)(o->most);
    VV const zero_sums = V(set)(o->zero_sums ? 1 : 0);
    size_t found = 0;
    for (size_t at = 0; at < o->n; at += SR_LANES) {
        double part[3][SR_LANES];
        const void *from[3];
        size_t from_at = at;
        VM doubt;
        VV result;
        from[0] = o->x;
        from[1] = two ? o->y : o->x;
        from[2] = three ? o->z : o->x;
        if (o->n - at < SR_LANES) { /* the end */
            for (int k = 0; k < 1 + two + three; k++) {
                size_t const bytes = (o->n - at) * (size_t)(width / 8);
                const unsigned char *const source = (const unsigned char *)from[k] + at * (size_t)(width / 8);
                for (int i = 0; i < SR_LANES; i++) part[k][i] = 0;
                for (size_t i = 0; i < bytes; i++) ((unsigned char *)part[k])[i] = source[i];
                from[k] = part[k];
            }
            if (!two) from[1] = part[0];
            if (!three) from[2] = part[0];
            from_at = 0;
        }
        result = V(op_to_odd)(op, width == 64, V(operand)(from[0], from_at, width), V(operand)(from[1], from_at, width),
                              V(operand)(from[2], from_at, width), &doubt);
        if (op != SR_OP_ROUND) {
            VV const m = V(and)(result, magnitude);
            doubt = V(m_or)(doubt, V(m_and)(V(gt_u)(m, most), V(gt_u)(V(set)(SR_INFINITY + 1), m)));
            if (op == SR_OP_ADD || op == SR_OP_SUB || op == SR_OP_FMA)
                doubt = V(m_or)(doubt, V(gt_u)(zero_sums, m));
            if (SR_UNLIKELY(V(any)(doubt))) {
                uint64_t which[SR_LANES];
                V(store)(which, V(truth)(doubt));
                for (size_t i = 0; i < SR_LANES && at + i < o->n; i++)
                    if (which[i]) doubtful[found++] = (uint16_t)(at + i);
            }
        }
        V(store)(t + at, result);
    }
    return found;
}

/* Apart, so that no arithmetic moves out of the environment it is meant for. */
SR_APART size_t V(to_odd_apart)(const sr_operands *o, double *t, uint16_t *doubtful)
{
#define SR_RUN(OP)                                                                                                     \
    case OP:                                                                                                           \
        return o->width == 32 ? V(run_to_odd)(o, OP, 32, t, doubtful) : V(run_to_odd)(o, OP, 64, t, doubtful)
    switch (o->op) {
        SR_RUN(SR_OP_ADD);
        SR_RUN(SR_OP_SUB);
        SR_RUN(SR_OP_MUL);
        SR_RUN(SR_OP_DIV);
        SR_RUN(SR_OP_SQRT);
        SR_RUN(SR_OP_FMA);
        SR_RUN(SR_OP_ROUND);
    }
#undef SR_RUN
    return 0;
}

static size_t P(to_odd)(const sr_operands *o, double *t, uint16_t *doubtful)
{
    size_t found;
    SR_ENVIRONMENT const before = D(enter)();
    found = V(to_odd_apart)(o, t, doubtful);
    D(leave)(before);
    return found;
}

static int P(finish)(const double *t, uint64_t *y, size_t n, uint64_t least, uint64_t totals[2])
{
    VV const magnitude = V(set)(SR_SIGN - 1), limit = V(set)(least), infinity = V(set)(SR_INFINITY);
    VV inexact = V(set)(0), underflow = V(set)(0);
    VM special = V(none)();
    uint64_t lanes[SR_LANES];
    for (size_t at = 0; at < n; at += SR_LANES) {
        VV const before = V(load)(t + at), tm = V(and)(before, magnitude);
        VV const after = V(load)(y + at), ym = V(and)(after, magnitude);
        VM const nan = V(gt_u)(ym, infinity), same = V(eq)(tm, ym);
        V(store)(y + at, V(sel)(nan, V(set)(SR_F64_NAN), after));
        special = V(m_or)(special, V(m_or)(nan, V(gt_u)(tm, limit)));
        inexact = V(sub)(inexact, V(andnot)(V(set)(~(uint64_t)0), V(truth)(same)));
        underflow = V(sub)(underflow, V(truth)(V(m_andnot)(V(eq)(ym, V(set)(0)), same)));
    }
    V(store)(lanes, inexact);
    for (int i = 0; i < SR_LANES; i++) totals[0] += lanes[i];
    V(store)(lanes, underflow);
    for (int i = 0; i < SR_LANES; i++) totals[1] += lanes[i];
    return V(any)(special);
}

SR_APART void V(narrow_apart)(const double *from, size_t n, float *to)
{
    size_t at = 0;
    for (; at + SR_LANES <= n; at += SR_LANES) D(narrow)(to + at, D(load)(from + at));
    for (; at < n; at++) {
        double part[SR_LANES];
        float narrowed[SR_LANES];
        for (int i = 0; i < SR_LANES; i++) part[i] = from[at];
        D(narrow)(narrowed, D(load)(part));
        SR_COPY(to + at, narrowed, sizeof(float));
    }
}

static void P(narrow)(const double *from, size_t n, float *to)
{
    SR_ENVIRONMENT const before = D(enter)();
    V(narrow_apart)(from, n, to);
    D(leave)(before);
}

SR_APART void V(widen_apart)(const float *from, size_t n, double *to)
{
    size_t at = 0;
    for (; at + SR_LANES <= n; at += SR_LANES) D(store)(to + at, D(widen)(from + at));
    for (; at < n; at++) {
        float part[SR_LANES];
        double widened[SR_LANES];
        for (int i = 0; i < SR_LANES; i++) part[i] = from[at];
        D(store)(widened, D(widen)(part));
        to[at] = widened[0];
    }
}

static void P(widen)(const float *from, size_t n, double *to)
{
    SR_ENVIRONMENT const before = D(enter)();
    V(widen_apart)(from, n, to);
    D(leave)(before);
}

#undef SR_LANES
#undef SR_SIGN
#undef SR_INFINITY
#undef SR_LEAST
