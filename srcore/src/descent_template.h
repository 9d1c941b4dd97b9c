/* Steps of gradient descent (S10) in the vocabulary of a path: D(op) works on vectors of doubles, F(op) on patterns of
 * binary32. V() are the 64-bit lanes of round_template.h, H() the 32-bit ones. */

#define SR_LANES V(lanes)

SR_SPECIALIZE DV V(nearest_one)(sr_op op, DV x, DV y)
{
    VV const result = D(bits)(op == SR_OP_SUB ? D(sub)(x, y) : D(mul)(x, y));
    VM const nan = V(gt_u)(V(and)(result, V(set)(SR_F64_SIGN - 1)), V(set)(SR_F64_INF));
    return D(value)(V(sel)(nan, V(set)(SR_F64_NAN), result));
}

/* y_stride is 0 or 1. */
SR_SPECIALIZE void V(nearest_run)(sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n,
                                  double *result)
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

/* ---- in fixed point -----------------------------------------------------------------------------------------------
 *
 * With magnitudes at 2^32 a quantum, what is cut off at the point leaves the quanta, and below them the 32 bits of phi
 * that a decision looks at. What follows these counts where they are all zero in sr_eps, a half to nearest, and in mode
 * sr, exact, where they and T leave it open: the sum's first 16 bits are all ones. */

#define SR_DESCENT_BATCH 512 /* whole groups on every path */
#define SR_DESCENT_PARTS 4   /* vectors of 32-bit lanes in a group */
#define SR_DESCENT_OPEN 0xFFFEFFFFu

/* away, as far as phi tells; *sum is 0 or, in mode sr, what may be open. */
SR_SPECIALIZE HM V(descent_away)(const sr_descent_lanes *c, sr_kind kind, HV whole, HV phi, const void *words, HV *sum)
{
    HV T;
    *sum = H(set)(0);
    if (kind == SR_KIND_BIASED) { /* phi + eps + T >= 1, where phi > 0 */
        HV const cap = H(set)(c->cap);
        return H(gt_u)(phi, H(sub)(cap, H(min_u)(H(load)(words), cap)));
    }
    if (kind == SR_KIND_EXACT)
        T = H(words)(words);
    else
        T = H(add)(H(set)(0x7FFFFFFF), H(or)(H(set)(c->ties), H(and)(whole, H(set)(c->ties_odd))));
    T = H(add)(phi, T);
    if (kind == SR_KIND_EXACT) *sum = T;
    return H(gt_u)(phi, T);
}

/* Those that are away because something follows phi. */
SR_SPECIALIZE HM V(descent_away_too)(const sr_descent_lanes *c, sr_kind kind, HV phi, const void *words, HM follows)
{
    if (kind == SR_KIND_NEAREST) return H(m_and)(follows, H(eq)(phi, H(set)(0x80000000u)));
    return H(m_and)(H(m_and)(follows, H(eq)(phi, H(set)(0))),
                    H(gt_u)(H(or)(H(load)(words), H(set)(c->full)), H(set)(c->cap)));
}

SR_SPECIALIZE int V(descent_matters)(sr_kind kind, HV phi)
{
    return kind != SR_KIND_EXACT && H(any)(H(eq)(phi, H(set)(kind == SR_KIND_BIASED ? 0 : 0x80000000u)));
}

/* Lanes of two vectors of magnitudes that are not zero */
SR_SPECIALIZE HM V(descent_nonzero)(VV a, VV b)
{
    HV const high = H(and)(V(uppers)(a, b), H(set)(0x7FFFFFFF));
    return H(gt_u)(H(or)(high, V(lowers)(a, b)), H(set)(0));
}

/* Magnitudes in quanta, rounded; the top bit is set where they are far beyond. */
SR_SPECIALIZE HV V(descent_gradient_rounded)(const sr_descent_lanes *c, sr_kind kind, VV ga, VV gb, const void *words,
                                             HV *sum)
{
    VV const magnitude = V(set)(SR_F64_SIGN - 1);
    DV const scale = D(value)(V(set)(sr_bits_f64(c->scale)));
    DV const a = D(mul)(D(value)(V(and)(ga, magnitude)), scale), b = D(mul)(D(value)(V(and)(gb, magnitude)), scale);
    VV const low = D(whole)(a), high = D(whole)(b);
    HV const phi = V(lowers)(low, high), whole = V(uppers)(low, high);
    HM away = V(descent_away)(c, kind, whole, phi, words, sum);
    if (V(descent_matters)(kind, phi)) {
        HM const follows = V(descent_nonzero)(D(bits)(D(rest)(a)), D(bits)(D(rest)(b)));
        away = H(m_or)(away, V(descent_away_too)(c, kind, phi, words, follows));
    }
    return H(sel)(away, H(add)(whole, H(set)(1)), whole);
}

/* The same of the products of those and the step; `whole_step`: by factor and shift. */
SR_SPECIALIZE HV V(descent_product_rounded)(const sr_descent_lanes *c, sr_kind kind, int whole_step, HV gradient,
                                            const void *words, HV *sum)
{
    HV phi, whole;
    HM away;
    if (whole_step) {
        HV const product = H(mul)(gradient, H(set)(c->factor));
        whole = H(srl)(product, H(set)(c->shift));
        phi = H(sll)(product, H(set)(32 - c->shift));
    } else {
        DV const scale = D(value)(V(set)(sr_bits_f64(c->scale)));
        VV const low = D(whole)(D(mul)(D(from_32)(gradient, 0), scale)),
                 high = D(whole)(D(mul)(D(from_32)(gradient, 1), scale));
        phi = V(lowers)(low, high);
        whole = V(uppers)(low, high);
    }
    away = V(descent_away)(c, kind, whole, phi, words, sum);
    if (!whole_step && c->deep && V(descent_matters)(kind, phi)) {
        HM const follows = H(gt_u)(H(and)(gradient, H(set)(c->deep)), H(set)(0));
        away = H(m_or)(away, V(descent_away_too)(c, kind, phi, words, follows));
    }
    return H(sel)(away, H(add)(whole, H(set)(1)), whole);
}

/* What tells whether a group needs care */
typedef struct V(descent_seen) {
    HV beyond; /* bits that are zero if nothing is out of range */
    HV sum;    /* the greatest */
} V(descent_seen);

SR_SPECIALIZE int V(descent_special)(sr_kind kind, const V(descent_seen) *seen)
{
    HM special = H(gt_u)(seen->beyond, H(set)(0));
    if (kind == SR_KIND_EXACT) special = H(m_or)(special, H(gt_u)(seen->sum, H(set)(SR_DESCENT_OPEN)));
    return H(any)(special);
}

/* x in quanta, and what is not zero where it is none of them. */
SR_SPECIALIZE HV V(descent_quanta)(const sr_descent_run *c, sr_carrier carrier, const void *from, HV *off)
{
    if (carrier == SR_CARRIER_F32) {
        HV const x = F(mul)(H(load)(from), H(set)(sr_narrow_f32(sr_bits_f64(c->per_quantum))));
        HV const quanta = F(to_32)(x);
        *off = F(sub)(F(from_32)(quanta), x);
        return quanta;
    } else {
        DV const scale = D(value)(V(set)(sr_bits_f64(c->per_quantum)));
        DV const a = D(mul)(D(load)((const double *)from), scale),
                 b = D(mul)(D(load)((const double *)from + SR_LANES), scale);
        HV const quanta = D(to_32)(a, b);
        VV const left_a = D(bits)(D(sub)(D(from_32)(quanta, 0), a)), left_b = D(bits)(D(sub)(D(from_32)(quanta, 1), b));
        *off = H(or)(V(lowers)(left_a, left_b), V(uppers)(left_a, left_b));
        return quanta;
    }
}

SR_SPECIALIZE void V(descent_put)(sr_carrier carrier, double quantum, HV quanta, void *to)
{
    if (carrier == SR_CARRIER_F32) {
        H(store)(to, F(mul)(F(from_32)(quanta), H(set)(sr_narrow_f32(sr_bits_f64(quantum)))));
    } else {
        DV const scale = D(value)(V(set)(sr_bits_f64(quantum)));
        D(store)((double *)to, D(mul)(D(from_32)(quanta, 0), scale));
        D(store)((double *)to + SR_LANES, D(mul)(D(from_32)(quanta, 1), scale));
    }
}

SR_SPECIALIZE HV V(descent_signed)(HM negative, HV magnitude)
{
    return H(sel)(negative, H(sub)(H(set)(0), magnitude), magnitude);
}

/* One vector of 32-bit lanes of a group: x, and the rounded gradient, in quanta. */
SR_SPECIALIZE HV V(descent_part)(const sr_descent_run *c, sr_kind kind, sr_carrier carrier, int whole_step,
                                 const void *x, const double *g, const void *gradient_words, const void *product_words,
                                 V(descent_seen) *seen, HV *rounded, uint64_t *kept, uint64_t *stagnated)
{
    VV const ga = D(bits)(D(load)(g)), gb = D(bits)(D(load)(g + SR_LANES));
    HM const negative = H(gt_s)(H(set)(0), V(uppers)(ga, gb));
    HV gradient_sum, product_sum, off, to;
    HV const gradient = V(descent_gradient_rounded)(&c->gradient, kind, ga, gb, gradient_words, &gradient_sum);
    HV const product = V(descent_product_rounded)(&c->product, kind, whole_step, gradient, product_words, &product_sum);
    HV const from = V(descent_quanta)(c, carrier, x, &off), by = V(descent_signed)(negative, product);
    HM same;
    int n;
    to = c->minus ? H(add)(from, by) : H(sub)(from, by);
    seen->beyond = H(or)(seen->beyond, off);
    seen->beyond = H(or)(seen->beyond, H(andnot)(gradient, H(set)(c->gradient.most)));
    seen->beyond = H(or)(seen->beyond, H(andnot)(product, H(set)(c->product.most)));
    seen->beyond =
        H(or)(seen->beyond, H(andnot)(H(add)(to, H(set)(c->update.most + 1)), H(set)(2 * c->update.most + 1)));
    if (kind == SR_KIND_EXACT) seen->sum = H(max_u)(seen->sum, H(max_u)(gradient_sum, product_sum));
    *rounded = c->rounded ? V(descent_signed)(negative, gradient) : gradient;
    same = H(eq)(to, from);
    n = H(count)(same);
    if (n) {
        *kept += (uint64_t)n;
        *stagnated += (uint64_t)H(count)(H(m_and)(same, V(descent_nonzero)(ga, gb)));
    }
    return to;
}

/* Room for one vector, or what it is to be filled up with */
typedef struct V(descent_room) {
    double g[2 * SR_LANES];
    union {
        uint32_t f[2 * SR_LANES];
        uint64_t d[2 * SR_LANES];
    } x, y, rounded;
} V(descent_room);

/* The n <= lanes elements of a vector from `at` on, whatever they are. */
SR_APART sr_status V(descent_careful)(sr_descent_run *c, size_t at, size_t n, const double *g,
                                      const void *gradient_words, const void *product_words)
{
    enum { LANES = 2 * SR_LANES };
    size_t const bytes = c->carrier == SR_CARRIER_F32 ? sizeof(float) : sizeof(double);
    const unsigned char *x = (const unsigned char *)c->x + at * bytes;
    sr_kind const kind = c->kind;
    V(descent_room) room;
    uint32_t places[LANES], which[LANES];
    VV ga, gb;
    HM valid, negative, product_negative, hard, over[3], same, done;
    HV sum, gradient, product, limit, from, to, off;
    if (n < LANES) { /* the end */
        for (size_t i = 0; i < LANES; i++) room.g[i] = i < n ? g[i] : 0;
        for (size_t i = 0; i < bytes * LANES; i++) ((unsigned char *)&room.x)[i] = i < bytes * n ? x[i] : 0;
        g = room.g;
        x = (const unsigned char *)&room.x;
    }
    for (uint32_t i = 0; i < LANES; i++) places[i] = i;
    valid = H(gt_u)(H(set)(n), H(load)(places));
    ga = D(bits)(D(load)(g));
    gb = D(bits)(D(load)(g + SR_LANES));
    negative = H(gt_s)(H(set)(0), V(uppers)(ga, gb));
    product_negative = H(gt_s)(H(set)(0), H(xor)(V(uppers)(ga, gb), H(set)(c->minus ? 0x80000000u : 0)));

    gradient = V(descent_gradient_rounded)(&c->gradient, kind, ga, gb, gradient_words, &sum);
    hard = H(m_or)(H(gt_s)(H(set)(0), gradient), H(gt_u)(sum, H(set)(SR_DESCENT_OPEN)));
    limit = H(sel)(negative, H(set)(c->gradient.most + 1), H(set)(c->gradient.most));
    over[0] = H(gt_u)(gradient, limit);
    if (!c->gradient.saturate) hard = H(m_or)(hard, over[0]);
    gradient = H(min_u)(gradient, limit);

    product = V(descent_product_rounded)(&c->product, kind, c->product.factor != 0, gradient, product_words, &sum);
    hard = H(m_or)(hard, H(m_or)(H(gt_s)(H(set)(0), product), H(gt_u)(sum, H(set)(SR_DESCENT_OPEN))));
    limit = H(sel)(product_negative, H(set)(c->product.most + 1), H(set)(c->product.most));
    over[1] = H(gt_u)(product, limit);
    if (!c->product.saturate) hard = H(m_or)(hard, over[1]);
    product = V(descent_signed)(product_negative, H(min_u)(product, limit));

    from = V(descent_quanta)(c, c->carrier, x, &off);
    hard = H(m_or)(hard,
                   H(m_or)(H(gt_u)(off, H(set)(0)), H(gt_u)(H(add)(from, H(set)(0x40000000u)), H(set)(0x80000000u))));
    to = H(sub)(from, product);
    limit = H(min_s)(H(max_s)(to, H(set)(0 - c->update.most - 1)), H(set)(c->update.most));
    over[2] = H(m_andnot)(valid, H(eq)(to, limit));
    if (!c->update.saturate) hard = H(m_or)(hard, over[2]);
    to = limit;

    done = H(m_andnot)(valid, hard);
    for (int k = 0; k < 3; k++) c->overflow[k] += (uint64_t)H(count)(H(m_and)(done, over[k]));
    same = H(m_and)(done, H(eq)(to, from));
    c->moved += (uint64_t)(H(count)(done) - H(count)(same));
    c->stagnated += (uint64_t)H(count)(H(m_and)(same, V(descent_nonzero)(ga, gb)));
    V(descent_put)(c->carrier, c->quantum, to, &room.y);
    V(descent_put)(c->carrier, c->gradient_quantum, V(descent_signed)(negative, gradient), &room.rounded);
    hard = H(m_and)(hard, valid);
    if (H(any)(hard)) {
        H(store)(which, H(truth)(hard));
        for (size_t i = 0; i < n; i++) {
            uint64_t y, of;
            sr_status status;
            if (!which[i]) continue;
            status = c->settle(c->context, at + i, &y, &of);
            if (status != SR_OK) return status;
            if (c->carrier == SR_CARRIER_F32) {
                room.y.f[i] = sr_narrow_f32(y);
                room.rounded.f[i] = sr_narrow_f32(of);
            } else {
                room.y.d[i] = y;
                room.rounded.d[i] = of;
            }
        }
    }
    for (size_t i = 0; c->y && i < n * bytes; i++)
        ((unsigned char *)c->y)[at * bytes + i] = ((unsigned char *)&room.y)[i];
    for (size_t i = 0; c->rounded && i < n * bytes; i++)
        ((unsigned char *)c->rounded)[at * bytes + i] = ((unsigned char *)&room.rounded)[i];
    return SR_OK;
}

/* Elements [at, at + n), whose gradients and words are at hand. */
SR_SPECIALIZE sr_status V(descent_groups)(sr_descent_run *given, sr_kind kind, sr_carrier carrier, int whole_step,
                                          size_t at, size_t n, const double *g, const uint32_t *gradient_words,
                                          const uint32_t *product_words)
{
    enum { LANES = 2 * SR_LANES, GROUP = SR_DESCENT_PARTS * LANES };
    sr_descent_run const constants = *given; /* which no store can change */
    const sr_descent_run *const c = &constants;
    size_t const bytes = carrier == SR_CARRIER_F32 ? sizeof(float) : sizeof(double);
    size_t const word = kind == SR_KIND_BIASED ? 4 : kind == SR_KIND_EXACT ? 2 : 0;
    const unsigned char *const wg = (const unsigned char *)gradient_words;
    const unsigned char *const wp = (const unsigned char *)product_words;
    uint64_t moved = 0, stagnated = 0;
    int careful = 0; /* so many groups are taken as special, after one that was */
    for (size_t done = 0; done < n; done += GROUP) {
        size_t const end = n - done < GROUP ? n : done + GROUP;
        if (end - done == GROUP && !careful) {
            V(descent_seen) seen = {H(set)(0), H(set)(0)};
            uint64_t kept = 0, without = 0;
            HV to[SR_DESCENT_PARTS], rounded[SR_DESCENT_PARTS];
            for (size_t i = 0; i < SR_DESCENT_PARTS; i++) {
                size_t const j = done + i * LANES;
                const unsigned char *const x = (const unsigned char *)c->x + (at + j) * bytes;
                to[i] = V(descent_part)(c, kind, carrier, whole_step, x, g + j, wg + j * word, wp + j * word, &seen,
                                        &rounded[i], &kept, &without);
            }
            if (!SR_UNLIKELY(V(descent_special)(kind, &seen))) {
                for (size_t i = 0; c->y && i < SR_DESCENT_PARTS; i++)
                    V(descent_put)(carrier, c->quantum, to[i], (unsigned char *)c->y + (at + done + i * LANES) * bytes);
                for (size_t i = 0; c->rounded && i < SR_DESCENT_PARTS; i++)
                    V(descent_put)(carrier, c->gradient_quantum, rounded[i],
                                   (unsigned char *)c->rounded + (at + done + i * LANES) * bytes);
                moved += GROUP - kept;
                stagnated += without;
                continue;
            }
        }
        careful = careful ? careful - 1 : 3;
        for (size_t j = done; j < end; j += LANES) {
            size_t const m = end - j < LANES ? end - j : (size_t)LANES;
            sr_status const status = V(descent_careful)(given, at + j, m, g + j, wg + j * word, wp + j * word);
            if (status != SR_OK) return status;
        }
    }
    given->moved += moved;
    given->stagnated += stagnated;
    return SR_OK;
}

/* Apart, so that no arithmetic moves out of the environment it is meant for. */
SR_APART sr_status V(descent_batch)(sr_descent_run *c, size_t at, size_t n, const double *g,
                                    const uint32_t *gradient_words, const uint32_t *product_words)
{
#define SR_GROUPS_OF(KIND, CARRIER)                                                                      \
    (c->product.factor ? V(descent_groups)(c, KIND, CARRIER, 1, at, n, g, gradient_words, product_words) \
                       : V(descent_groups)(c, KIND, CARRIER, 0, at, n, g, gradient_words, product_words))
#define SR_GROUPS(KIND) \
    case KIND:          \
        return c->carrier == SR_CARRIER_F32 ? SR_GROUPS_OF(KIND, SR_CARRIER_F32) : SR_GROUPS_OF(KIND, SR_CARRIER_F64)
    switch (c->kind) {
        SR_GROUPS(SR_KIND_BIASED);
        SR_GROUPS(SR_KIND_EXACT);
        SR_GROUPS(SR_KIND_NEAREST);
    default: break;
    }
#undef SR_GROUPS
#undef SR_GROUPS_OF
    return SR_ERR_MODE;
}

/* Gradients of [at, at + n); what is NaN is settled. */
SR_SPECIALIZE void V(descent_gradient)(const sr_descent_run *c, int width, int of, size_t at, size_t n, double *g)
{
    size_t j = 0;
    for (; j + SR_LANES <= n; j += SR_LANES) { /* the next batch will be wanted when its words have been drawn */
        if (c->g) {
            SR_FETCH((const unsigned char *)c->g + (at + j + SR_DESCENT_BATCH) * (size_t)(of / 8));
            D(store)(g + j, V(operand)(c->g, at + j, of));
        } else {
            SR_FETCH((const unsigned char *)c->spectrum + (at + j + SR_DESCENT_BATCH) * (size_t)(of / 8));
            SR_FETCH((const unsigned char *)c->minimizer + (at + j + SR_DESCENT_BATCH) * (size_t)(of / 8));
            SR_FETCH((const unsigned char *)c->x + (at + j + SR_DESCENT_BATCH) * (size_t)(width / 8));
            DV const away = D(sub)(V(operand)(c->x, at + j, width), V(operand)(c->minimizer, at + j, of));
            D(store)(g + j, D(mul)(V(operand)(c->spectrum, at + j, of), away));
        }
    }
    for (; j < n; j++) { /* the same, one by one */
        double part[3][SR_LANES];
        float narrow[3][SR_LANES];
        const void *const from[3] = {c->g ? c->g : c->spectrum, c->minimizer, c->x};
        for (int k = 0; k < (c->g ? 1 : 3); k++)
            for (int i = 0; i < SR_LANES; i++) {
                if ((k == 2 ? width : of) == 32)
                    SR_COPY(&narrow[k][i], (const float *)from[k] + at + j, sizeof(float));
                else
                    SR_COPY(&part[k][i], (const double *)from[k] + at + j, sizeof(double));
            }
        for (int k = 0; k < (c->g ? 1 : 3); k++)
            if ((k == 2 ? width : of) == 32) D(store)(part[k], D(widen)(narrow[k]));
        if (!c->g) D(store)(part[0], D(mul)(D(load)(part[0]), D(sub)(D(load)(part[2]), D(load)(part[1]))));
        g[j] = part[0][0];
    }
}

SR_APART void V(descent_gradient_apart)(const sr_descent_run *c, size_t at, size_t n, double *g)
{
    if (c->carrier == SR_CARRIER_F32 && c->of == SR_CARRIER_F32)
        V(descent_gradient)(c, 32, 32, at, n, g);
    else if (c->carrier == SR_CARRIER_F32)
        V(descent_gradient)(c, 32, 64, at, n, g);
    else if (c->of == SR_CARRIER_F32)
        V(descent_gradient)(c, 64, 32, at, n, g);
    else
        V(descent_gradient)(c, 64, 64, at, n, g);
}

static sr_status P(descend)(sr_descent_run *c)
{
    SR_ALIGNED(64) double g[SR_DESCENT_BATCH];
    SR_ALIGNED(64) uint32_t words[2][SR_DESCENT_BATCH + 4 * SR_PHILOX_SLACK + 16];
    size_t const per_block = c->kind == SR_KIND_BIASED ? 4 : c->kind == SR_KIND_EXACT ? 8 : 0;
    uint64_t const first[2] = {c->gradient.block, c->product.block};
    C(setup) setup;
    uint32_t high = (uint32_t)(first[0] >> 32);
    int const draws = per_block != 0 && !c->words[0];
    sr_status status = SR_OK;
    if (draws) C(prepare)(&setup, c->seed, c->stream, high);
    for (size_t at = 0; status == SR_OK && at < c->n; at += SR_DESCENT_BATCH) {
        size_t const n = c->n - at < SR_DESCENT_BATCH ? c->n - at : SR_DESCENT_BATCH;
        SR_ENVIRONMENT before;
        for (int k = 0; draws && k < 2; k++) {
            uint64_t const block = first[k] + at / per_block;
            size_t const blocks = (n + per_block - 1) / per_block;
            if ((uint32_t)(block >> 32) == high && blocks <= ((uint64_t)1 << 32) - (uint32_t)block)
                C(run)(&setup, (uint32_t)block, blocks, words[k]);
            else
                C(philox)(c->seed, c->stream, block, blocks, words[k]);
        }
        before = D(enter)();
        V(descent_gradient_apart)(c, at, n, g);
        F(enter)();
        status =
            V(descent_batch)(c, at, n, g, c->words[0] ? c->words[0] : words[0], c->words[1] ? c->words[1] : words[1]);
        D(leave)(before);
    }
    return status;
}

#undef SR_DESCENT_BATCH
#undef SR_DESCENT_PARTS
#undef SR_DESCENT_OPEN
#undef SR_LANES
