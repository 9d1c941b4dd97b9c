/* Sums, differences and products of float32, rounded stochastically to a format that drops 16 bits of each. Computed
 * toward zero in float32 they lack nothing of their first 8 + 16 bits, down to float32's smallest quantum, 2^16 below
 * the format's: the lower half of the pattern is the first 16 bits of phi, and T is added to it. Where that gives all
 * ones, phi may go on; that, and what is beyond the range, is left to be settled. */

#define SR_LANES V(lanes)
#define SR_MAGNITUDE (((uint64_t)1 << 31) - 1)
#define SR_LEAST_NORMAL ((uint64_t)1 << 23)

/* Was x + y not t, exactly? Fast2Sum: the greater one's difference from t is exact in any faithful rounding, so that one of
 * the two differences tells. */
SR_SPECIALIZE VV V(sum_differs)(VV x, VV y, VV t)
{
    return V(or)(F(sub)(F(sub)(t, x), y), F(sub)(F(sub)(t, y), x));
}

/* Products that are zero, of factors that are not */
SR_SPECIALIZE VM V(vanished)(VV x, VV y, VV t)
{
    VV const magnitude = V(set)(SR_MAGNITUDE);
    return V(m_andnot)(V(m_and)(V(nonzero)(V(and)(x, magnitude)), V(nonzero)(V(and)(y, magnitude))),
                       V(nonzero)(V(and)(t, magnitude)));
}

/* What of a group may be doubtful. Counting, that is what is below the normal numbers, too: errors of products may be
 * none there, and results zero. */
typedef struct V(halves_seen) {
    VV most, halves, least;
    VM vanished;
} V(halves_seen);

SR_SPECIALIZE V(halves_seen) V(no_halves_seen)(void)
{
    V(halves_seen) seen;
    seen.most = seen.halves = V(set)(0);
    seen.least = V(set)(~(uint64_t)0);
    seen.vanished = V(none)();
    return seen;
}

SR_SPECIALIZE int V(halves_doubtful)(const V(halves_seen) *seen, VV highest, int counting)
{
    return V(half_above)(seen->halves, V(set)(0xFFFFFFFE)) || V(any)(V(gt_u)(seen->most, highest)) ||
           (counting && V(any)(V(m_or)(seen->vanished, V(gt_u)(V(set)(SR_LEAST_NORMAL - 1), seen->least))));
}

/* A group of t, of the sums with its words, and of what is not zero where a result is not exact. */
SR_SPECIALIZE void V(halves_group)(const sr_operands *o, sr_op op, int counting, size_t at, const unsigned char *words,
                                   VV t[4], VV sums[4], VV lost[4], V(halves_seen) *seen)
{
    enum { STEP = 4 * SR_LANES };
    const unsigned char *const a = (const unsigned char *)o->x + 4 * at, *const b = (const unsigned char *)o->y + 4 * at;
    for (int k = 0; k < 4; k++) {
        VV const x = V(load)(a + k * STEP), z = V(load)(b + k * STEP);
        VV tm;
        t[k] = op == SR_OP_ADD ? F(add)(x, z) : op == SR_OP_SUB ? F(sub)(x, z) : F(mul)(x, z);
        tm = V(and)(t[k], V(set)(SR_MAGNITUDE));
        sums[k] = V(add)(t[k], V(words_low)(words + 2 * k * SR_LANES));
        seen->most = V(max_u)(seen->most, tm);
        seen->halves = V(max_halves)(seen->halves, sums[k]);
        if (counting) {
            VV const left = op == SR_OP_ADD   ? V(sum_differs)(x, z, t[k])
                            : op == SR_OP_SUB ? V(sum_differs)(x, V(xor)(z, V(set)(SR_MAGNITUDE + 1)), t[k])
                                              : F(fnma)(x, z, t[k]);
            seen->least = V(min_u)(seen->least, V(sub)(tm, V(set)(1)));
            if (op == SR_OP_MUL) seen->vanished = V(m_or)(seen->vanished, V(vanished)(x, z, t[k]));
            lost[k] = V(or)(V(and)(left, V(set)(SR_MAGNITUDE)), V(and)(t[k], V(set)(0xFFFF)));
        }
    }
}

/* The lanes of a group that are still to be settled; of the others, how many are not exact. */
SR_SPECIALIZE size_t V(halves_lanes)(const sr_operands *o, sr_op op, const VV t[4], const VV sums[4], const VV lost[4],
                                     int counting, uint64_t highest, size_t at, uint16_t *doubtful, uint64_t *inexact)
{
    uint32_t lanes[3][SR_LANES];
    size_t found = 0;
    for (int k = 0; k < 4; k++) {
        V(store)(lanes[0], t[k]);
        V(store)(lanes[1], sums[k]);
        if (counting) V(store)(lanes[2], lost[k]);
        for (size_t j = 0; j < SR_LANES; j++) {
            uint32_t const tm = lanes[0][j] & SR_MAGNITUDE;
            size_t const place = at + (size_t)k * SR_LANES + j;
            int few = counting && tm - 1 < SR_LEAST_NORMAL - 1;
            if (counting && op == SR_OP_MUL && tm == 0) {
                uint32_t x, z;
                SR_COPY(&x, (const float *)o->x + place, sizeof x);
                SR_COPY(&z, (const float *)o->y + place, sizeof z);
                few = x << 1 && z << 1;
            }
            if ((lanes[1][j] & 0xFFFF) == 0xFFFF || tm > highest || few)
                doubtful[found++] = (uint16_t)place;
            else if (counting)
                *inexact += lanes[2][j] != 0;
        }
    }
    return found;
}

/* `y` overlaps neither operand: a batch with something doubtful in it is gone through once more. */
SR_SPECIALIZE size_t V(halves_of)(const sr_operands *o, sr_op op, int counting, const sr_chunk *chunk, unsigned char *y,
                                  uint16_t *doubtful)
{
    enum { BATCH = 256, GROUP = 4 * SR_LANES, STEP = 4 * SR_LANES };
    SR_ALIGNED(64) uint32_t words[BATCH / 2 + 4 * SR_PHILOX_SLACK];
    VV const dropped = V(set)(0xFFFF), highest = V(set)(chunk->lanes->max);
    VV inexact = V(set)(0);
    uint32_t lanes[SR_LANES];
    uint64_t few = 0;
    size_t found = 0;
    C(setup) setup;
    C(prepare)(&setup, chunk->seed, chunk->stream, (uint32_t)(chunk->block >> 32));
    for (size_t from = 0; from < o->n; from += BATCH) {
        size_t const n = o->n - from < BATCH ? o->n - from : (size_t)BATCH;
        V(halves_seen) seen = V(no_halves_seen)();
        VV t[4], sums[4], lost[4], more = inexact;
        C(run)(&setup, (uint32_t)chunk->block + (uint32_t)(from / 8), BATCH / 8, words);
        for (size_t i = 0; i < n; i += GROUP) {
            V(halves_group)(o, op, counting, from + i, (const unsigned char *)words + 2 * i, t, sums, lost, &seen);
            for (int k = 0; k < 4; k++) V(store)(y + 4 * (from + i) + k * STEP, V(andnot)(sums[k], dropped));
            for (int k = 0; counting && k < 4; k++) more = V(sub)(more, V(truth)(V(nonzero)(lost[k])));
        }
        if (!SR_UNLIKELY(V(halves_doubtful)(&seen, highest, counting))) {
            inexact = more;
            continue;
        }
        for (size_t i = 0; i < n; i += GROUP) {
            seen = V(no_halves_seen)();
            V(halves_group)(o, op, counting, from + i, (const unsigned char *)words + 2 * i, t, sums, lost, &seen);
            if (V(halves_doubtful)(&seen, highest, counting))
                found += V(halves_lanes)(o, op, t, sums, lost, counting, chunk->lanes->max, from + i, doubtful + found, &few);
            else
                for (int k = 0; counting && k < 4; k++) inexact = V(sub)(inexact, V(truth)(V(nonzero)(lost[k])));
        }
    }
    if (counting) {
        V(store)(lanes, inexact);
        for (int i = 0; i < SR_LANES; i++) few += lanes[i];
        *o->inexact += few;
    }
    return found;
}

SR_APART size_t V(halves_apart)(const sr_operands *o, const sr_chunk *chunk, unsigned char *y, uint16_t *doubtful)
{
    switch (o->op) {
#define SR_RUN(OP)                                                                                                     \
    case OP:                                                                                                           \
        return o->inexact ? V(halves_of)(o, OP, 1, chunk, y, doubtful) : V(halves_of)(o, OP, 0, chunk, y, doubtful)
        SR_RUN(SR_OP_ADD);
        SR_RUN(SR_OP_SUB);
    default:
        SR_RUN(SR_OP_MUL);
#undef SR_RUN
    }
}

static size_t P(halves)(const sr_operands *o, const sr_chunk *chunk, void *y, uint16_t *doubtful)
{
    size_t found;
    SR_ENVIRONMENT const before = F(enter)();
    found = V(halves_apart)(o, chunk, (unsigned char *)y, doubtful);
    D(leave)(before);
    return found;
}

#undef SR_LANES
#undef SR_MAGNITUDE
#undef SR_LEAST_NORMAL
