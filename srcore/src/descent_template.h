/* Steps of gradient descent (S10) in the vocabulary of a path: D(op) works on vectors of doubles. */

#define SR_LANES V(lanes)

SR_SPECIALIZE DV V(nearest_one)(sr_op op, DV x, DV y)
{
    VV const result = D(bits)(op == SR_OP_SUB ? D(sub)(x, y) : D(mul)(x, y));
    VM const nan = V(gt_u)(V(and)(result, V(set)(SR_F64_SIGN - 1)), V(set)(SR_F64_INF));
    return D(value)(V(sel)(nan, V(set)(SR_F64_NAN), result));
}

/* y_stride is 0 or 1. */
SR_SPECIALIZE void V(nearest_run)(sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n, double *result)
{
    double parts[3][SR_LANES], same[SR_LANES];
    size_t at = 0;
    for (int i = 0; i < SR_LANES; i++) same[i] = y[0];
    for (; at + SR_LANES <= n; at += SR_LANES)
        D(store)(result + at, V(nearest_one)(op, D(load)(x + at), D(load)(y_stride ? y + at : same)));
    if (at == n) return;
    for (size_t i = 0; i < SR_LANES; i++) {
        parts[0][i] = at + i < n ? x[at + i] : 0;
        parts[1][i] = at + i < n && y_stride ? y[at + i] : same[0];
    }
    D(store)(parts[2], V(nearest_one)(op, D(load)(parts[0]), D(load)(parts[1])));
    for (size_t i = 0; at + i < n; i++) result[at + i] = parts[2][i];
}

/* Apart, so that no arithmetic moves out of the environment it is meant for. */
SR_APART void V(nearest_apart)(sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n, double *result)
{
    if (op == SR_OP_SUB)
        V(nearest_run)(SR_OP_SUB, x, y, y_stride, n, result);
    else
        V(nearest_run)(SR_OP_MUL, x, y, y_stride, n, result);
}

static void P(nearest)(sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n, double *result)
{
    SR_ENVIRONMENT const before = D(enter)();
    V(nearest_apart)(op, x, y, y_stride, n, result);
    D(leave)(before);
}

#undef SR_LANES
