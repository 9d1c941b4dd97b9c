/* The triangular factor of a tall matrix, in binary64: Householder reflections of a tile of rows and the factor of those
 * above it. Sums have eight parts whatever the vectors' width, and products are rounded before they are added: every path
 * does the same operations. D() as in arith_template.h. */

#define SR_PARTS 8
#define SR_VECTORS (SR_PARTS / V(lanes)) /* for a sum's parts */
#define SR_TOGETHER 4                    /* columns */

SR_SPECIALIZE DV P(all)(double x) { return D(value)(V(set)(sr_bits_f64(x))); }

SR_SPECIALIZE double P(power)(int e) { return sr_value_f64((uint64_t)(e + 1023) << 52); }

/* Rows into the tile, column by column: entry (i, j) at j SR_QR_STEP + i. */
SR_SPECIALIZE void P(tile_turned)(const sr_tall *t, const double *a, size_t rows, size_t padded)
{
    for (size_t i = 0; i < padded; i++) {
        const double *const from = i < rows ? a + (ptrdiff_t)i * t->a_row : NULL;
        double *to = t->tile + i;
        for (size_t j = 0; j < t->columns; j++, to += SR_QR_STEP) *to = from ? from[j] : 0.0;
    }
}

/* For `count` columns from c on: c -= w v, if there is a w, and then the inner product of u and c. */
SR_SPECIALIZE void P(tile_pass)(double *c, int count, size_t rows, const double *v, const double *w, const double *u,
                                double *sums)
{
    DV parts[SR_TOGETHER][SR_VECTORS], factor[SR_TOGETHER];
    for (int k = 0; k < count; k++) {
        if (w) factor[k] = P(all)(w[k]);
        for (int p = 0; p < SR_VECTORS; p++) parts[k][p] = P(all)(0.0);
    }
    for (size_t i = 0; i < rows; i += SR_PARTS)
        for (int p = 0; p < SR_VECTORS; p++) {
            size_t const at = i + (size_t)(p * V(lanes));
            DV const x = D(load)(u + at);
            for (int k = 0; k < count; k++) {
                DV y = D(load)(c + (size_t)k * SR_QR_STEP + at);
                if (w) {
                    y = D(sub)(y, D(mul)(factor[k], D(load)(v + at)));
                    D(store)(c + (size_t)k * SR_QR_STEP + at, y);
                }
                parts[k][p] = D(add)(parts[k][p], D(mul)(x, y));
            }
        }
    for (int k = 0; k < count; k++) {
        SR_ALIGNED(64) double s[SR_PARTS];
        for (int p = 0; p < SR_VECTORS; p++) D(store)(s + p * V(lanes), parts[k][p]);
        sums[k] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    }
}

SR_SPECIALIZE double P(tile_square)(double *v, size_t rows)
{
    double square;
    P(tile_pass)(v, 1, rows, NULL, NULL, v, &square);
    return square;
}

SR_SPECIALIZE void P(tile_scale)(double *v, size_t rows, double factor)
{
    DV const x = P(all)(factor);
    for (size_t i = 0; i < rows; i += V(lanes)) D(store)(v + i, D(mul)(D(load)(v + i), x));
}

SR_SPECIALIZE double P(one_root)(double x)
{
    SR_ALIGNED(64) double lanes[V(lanes)];
    D(store)(lanes, D(sqrt)(P(all)(x)));
    return lanes[0];
}

/* v becomes what reflects (alpha, v) onto an axis, with 1 above it; *tau is the reflection's factor, 0 where there is
 * nothing to reflect. Returns what alpha becomes. Numbers whose squares would leave the range are scaled, by a power of two. */
SR_SPECIALIZE double P(reflector)(double alpha, double *v, size_t rows, double *tau)
{
    double square, norm, beta, up = 1.0;
    square = P(tile_square)(v, rows) + alpha * alpha;
    if (SR_UNLIKELY(!(square >= SR_QR_LEAST && square <= SR_QR_MOST))) {
        double most = alpha < 0 ? -alpha : alpha;
        int nan = alpha != alpha, e;
        for (size_t i = 0; i < rows; i++) {
            double const magnitude = v[i] < 0 ? -v[i] : v[i];
            nan |= magnitude != magnitude;
            if (magnitude > most) most = magnitude;
        }
        *tau = 0.0;
        if (most == 0 && !nan) return alpha;
        if (nan || sr_bits_f64(most) == SR_F64_INF) return sr_value_f64(SR_F64_INF + 1);
        /* |e| < 1023, so that 2^e and 2^-e are numbers; then 2^-52 <= most 2^-e <= 2^2 */
        e = sr_exponent(sr_unpack(sr_bits_f64(most)));
        e = e > 1021 ? 1021 : e < -1022 ? -1022 : e;
        up = P(power)(e);
        P(tile_scale)(v, rows, P(power)(-e));
        alpha *= P(power)(-e);
        square = P(tile_square)(v, rows) + alpha * alpha;
    }
    norm = P(one_root)(square);
    beta = alpha > 0 ? -norm : norm;
    *tau = (beta - alpha) / beta;
    P(tile_scale)(v, rows, 1.0 / (alpha - beta));
    return beta * up;
}

/* With reflection `next` what is left of the one before is done: column l wants w_l = `left` at its end times that one's v.
 * Row `next` of the factor, and what this reflection leaves to do. */
SR_SPECIALIZE void P(reflect)(const sr_tall *t, size_t next, size_t padded)
{
    size_t const d = t->columns;
    double *const u = t->tile + next * SR_QR_STEP, *const r = t->r + next * d;
    const double *const v = next ? u - SR_QR_STEP : NULL;
    double tau, none;
    size_t l = next + 1;
    if (next) P(tile_pass)(u, 1, padded, v, u + SR_QR_TILE, u, &none);
    r[next] = P(reflector)(r[next], u, padded, &tau);
    while (l < d) {
        int const count = d - l < SR_TOGETHER ? 1 : SR_TOGETHER;
        double *const c = t->tile + l * SR_QR_STEP;
        double w[SR_TOGETHER], sums[SR_TOGETHER];
        for (int k = 0; k < count; k++) w[k] = c[(size_t)k * SR_QR_STEP + SR_QR_TILE];
        if (count == 1)
            P(tile_pass)(c, 1, padded, v, next ? w : NULL, u, sums);
        else
            P(tile_pass)(c, SR_TOGETHER, padded, v, next ? w : NULL, u, sums);
        for (int k = 0; k < count; k++, l++) {
            double const left = tau * (r[l] + sums[k]);
            r[l] -= left;
            c[(size_t)k * SR_QR_STEP + SR_QR_TILE] = left;
        }
    }
}

/* Apart, so that no arithmetic moves out of the environment it is meant for. */
SR_APART void P(tall_apart)(const sr_tall *t)
{
    for (size_t row = 0; row < t->rows; row += SR_QR_TILE) {
        size_t const rows = t->rows - row < SR_QR_TILE ? t->rows - row : SR_QR_TILE;
        size_t const padded = (rows + SR_PARTS - 1) / SR_PARTS * SR_PARTS;
        P(tile_turned)(t, t->a + (ptrdiff_t)row * t->a_row, rows, padded);
        P(reflect)(t, 0, padded);
        for (size_t next = 1; next < t->columns; next++) P(reflect)(t, next, padded);
    }
}

static void P(tall)(const sr_tall *t)
{
#ifdef SR_ENVIRONMENT
    SR_ENVIRONMENT const before = D(enter)();
#endif
    P(tall_apart)(t);
#ifdef SR_ENVIRONMENT
    D(leave)(before);
#endif
}

#undef SR_PARTS
#undef SR_VECTORS
#undef SR_TOGETHER
