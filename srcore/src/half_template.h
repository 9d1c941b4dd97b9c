/* Sums, differences and products of float32, rounded stochastically to a format that drops 16 bits of each. Computed
 * toward zero in float32 they lack nothing of their first 8 + 16 bits, down to float32's smallest quantum, 2^16 below
 * the format's: the lower half of the pattern is the first 16 bits of phi, and T is added to it. Where that gives all
 * ones, phi may go on; that, and what is beyond the range, is left to be settled. */

#define SR_LANES V(lanes)
#define SR_MAGNITUDE (((uint64_t)1 << 31) - 1)

/* A group of t and of the sums with its words; what of them may be doubtful is gathered in `most` and `seen`. */
SR_SPECIALIZE void V(halves_group)(const sr_operands *o, sr_op op, size_t at, const unsigned char *words, VV t[4],
                                   VV sums[4], VV *most, VV *seen)
{
    enum { STEP = 4 * SR_LANES };
    const unsigned char *const a = (const unsigned char *)o->x + 4 * at, *const b = (const unsigned char *)o->y + 4 * at;
    for (int k = 0; k < 4; k++) {
        VV const x = V(load)(a + k * STEP), z = V(load)(b + k * STEP);
        t[k] = op == SR_OP_ADD ? F(add)(x, z) : op == SR_OP_SUB ? F(sub)(x, z) : F(mul)(x, z);
        sums[k] = V(add)(t[k], V(words_low)(words + 2 * k * SR_LANES));
        *most = V(max_u)(*most, V(and)(t[k], V(set)(SR_MAGNITUDE)));
        *seen = V(max_halves)(*seen, sums[k]);
    }
}

SR_SPECIALIZE int V(halves_doubtful)(VV most, VV seen, VV highest)
{
    return V(half_above)(seen, V(set)(0xFFFFFFFE)) || V(any)(V(gt_u)(most, highest));
}

/* `y` overlaps neither operand: a batch with something doubtful in it is gone through once more. */
SR_SPECIALIZE size_t V(halves_of)(const sr_operands *o, sr_op op, const sr_chunk *chunk, unsigned char *y,
                                  uint16_t *doubtful)
{
    enum { BATCH = 256, GROUP = 4 * SR_LANES, STEP = 4 * SR_LANES };
    SR_ALIGNED(64) uint32_t words[BATCH / 2 + 4 * SR_PHILOX_SLACK];
    VV const dropped = V(set)(0xFFFF), highest = V(set)(chunk->lanes->max);
    size_t found = 0;
    C(setup) setup;
    C(prepare)(&setup, chunk->seed, chunk->stream, (uint32_t)(chunk->block >> 32));
    for (size_t from = 0; from < o->n; from += BATCH) {
        size_t const n = o->n - from < BATCH ? o->n - from : (size_t)BATCH;
        VV t[4], sums[4], most = V(set)(0), seen = V(set)(0);
        C(run)(&setup, (uint32_t)chunk->block + (uint32_t)(from / 8), BATCH / 8, words);
        for (size_t i = 0; i < n; i += GROUP) {
            V(halves_group)(o, op, from + i, (const unsigned char *)words + 2 * i, t, sums, &most, &seen);
            for (int k = 0; k < 4; k++) V(store)(y + 4 * (from + i) + k * STEP, V(andnot)(sums[k], dropped));
        }
        if (!SR_UNLIKELY(V(halves_doubtful)(most, seen, highest))) continue;
        for (size_t i = 0; i < n; i += GROUP) {
            uint32_t lanes[2][SR_LANES];
            most = seen = V(set)(0);
            V(halves_group)(o, op, from + i, (const unsigned char *)words + 2 * i, t, sums, &most, &seen);
            if (!V(halves_doubtful)(most, seen, highest)) continue;
            for (int k = 0; k < 4; k++) {
                V(store)(lanes[0], t[k]);
                V(store)(lanes[1], sums[k]);
                for (size_t j = 0; j < SR_LANES; j++)
                    if ((lanes[1][j] & 0xFFFF) == 0xFFFF || (lanes[0][j] & SR_MAGNITUDE) > chunk->lanes->max)
                        doubtful[found++] = (uint16_t)(from + i + (size_t)k * SR_LANES + j);
            }
        }
    }
    return found;
}

SR_APART size_t V(halves_apart)(const sr_operands *o, const sr_chunk *chunk, unsigned char *y, uint16_t *doubtful)
{
    switch (o->op) {
    case SR_OP_ADD: return V(halves_of)(o, SR_OP_ADD, chunk, y, doubtful);
    case SR_OP_SUB: return V(halves_of)(o, SR_OP_SUB, chunk, y, doubtful);
    default: return V(halves_of)(o, SR_OP_MUL, chunk, y, doubtful);
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
