/* Philox blocks in order, in the vocabulary of a path: a CV has one counter word a 64-bit lane, C(op) works on it. */

typedef struct C(state) {
    CV c0, c1, c2, c3;
} C(state);

/* A round. Only the low halves of the lanes count: the high ones hold what multiplication left there. */
SR_SPECIALIZE void C(round)(C(state) *s, CV m0, CV m1, CV k0, CV k1)
{
    CV const p0 = C(mul)(m0, s->c0), p1 = C(mul)(m1, s->c2);
    s->c0 = C(xor3)(C(high)(p1), s->c1, k0);
    s->c1 = p1;
    s->c2 = C(xor3)(C(high)(p0), s->c3, k1);
    s->c3 = p0;
}

/* What the three upper counter words and the key have settled before a block's number comes in: with c1, c2, c3 the same
 * in all blocks, half of the first three rounds is. */
typedef struct C(setup) {
    CV m0, m1, a, b, c, d, k0, k1, k2;
    CV keys0[SR_PHILOX_ROUNDS], keys1[SR_PHILOX_ROUNDS];
} C(setup);

SR_SPECIALIZE void C(prepare)(C(setup) *t, uint64_t seed, uint64_t stream, uint32_t block_high)
{
    uint32_t const W0 = SR_PHILOX_W0, W1 = SR_PHILOX_W1;
    uint32_t const k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint64_t const p1 = (uint64_t)SR_PHILOX_M1 * (uint32_t)stream; /* round 1, from c2 */
    uint32_t const c0 = (uint32_t)(p1 >> 32) ^ block_high ^ k0;    /* after round 1 */
    uint64_t const p0 = (uint64_t)SR_PHILOX_M0 * c0;               /* round 2, from c0 */
    t->m0 = C(set)(SR_PHILOX_M0);
    t->m1 = C(set)(SR_PHILOX_M1);
    t->a = C(set)((uint32_t)(stream >> 32) ^ k1);
    t->b = C(set)((uint32_t)p1 ^ (k0 + W0));
    t->c = C(set)((uint32_t)(p0 >> 32) ^ (k1 + W1));
    t->d = C(set)((uint32_t)p0 ^ (k1 + 2 * W1));
    for (int r = 2; r < SR_PHILOX_ROUNDS; r++) {
        t->keys0[r] = C(set)(k0 + (uint32_t)r * W0);
        t->keys1[r] = C(set)(k1 + (uint32_t)r * W1);
    }
}

/* Rounds 1 to 3 of blocks whose numbers have the low halves `at`. */
SR_SPECIALIZE void C(begin)(C(state) *s, const C(setup) *t, CV at)
{
    CV const p0 = C(mul)(t->m0, at);                    /* round 1 */
    CV const c2 = C(xor)(C(high)(p0), t->a);
    CV const p1 = C(mul)(t->m1, c2);                    /* round 2; c3 is p0 */
    CV const d0 = C(xor)(C(high)(p1), t->b);
    CV const d2 = C(xor)(t->c, p0);
    CV const q0 = C(mul)(t->m0, d0), q1 = C(mul)(t->m1, d2); /* round 3; c1 is p1, c3 is settled */
    s->c0 = C(xor3)(C(high)(q1), p1, t->keys0[2]);
    s->c1 = q1;
    s->c2 = C(xor)(C(high)(q0), t->d);
    s->c3 = q0;
}

/* Blocks whose numbers have the same upper 32 bits; at most SR_PHILOX_SLACK - 1 more are written, of any content. */
SR_SPECIALIZE void C(run)(const C(setup) *t, uint32_t block, size_t blocks, uint32_t *out)
{
    enum { LANES = C(lanes), SETS = C(sets) };
    size_t done = 0;
    for (; done + LANES * SETS <= blocks; done += LANES * SETS) {
        uint32_t const first = block + (uint32_t)done;
        uint32_t *const to = out + 4 * done;
        C(state) s0, s1, s2, s3;
        C(begin)(&s0, t, C(count)(first));
        C(begin)(&s1, t, C(count)(first + LANES));
        if (SETS > 2) C(begin)(&s2, t, C(count)(first + 2 * LANES));
        if (SETS > 3) C(begin)(&s3, t, C(count)(first + 3 * LANES));
        for (int r = 3; r < SR_PHILOX_ROUNDS; r++) {
            CV const k0 = t->keys0[r], k1 = t->keys1[r];
            C(round)(&s0, t->m0, t->m1, k0, k1);
            C(round)(&s1, t->m0, t->m1, k0, k1);
            if (SETS > 2) C(round)(&s2, t->m0, t->m1, k0, k1);
            if (SETS > 3) C(round)(&s3, t->m0, t->m1, k0, k1);
        }
        C(store)(to, s0.c0, s0.c1, s0.c2, s0.c3);
        C(store)(to + 4 * LANES, s1.c0, s1.c1, s1.c2, s1.c3);
        if (SETS > 2) C(store)(to + 8 * LANES, s2.c0, s2.c1, s2.c2, s2.c3);
        if (SETS > 3) C(store)(to + 12 * LANES, s3.c0, s3.c1, s3.c2, s3.c3);
    }
    for (; done < blocks; done += LANES) {
        C(state) s;
        C(begin)(&s, t, C(count)(block + (uint32_t)done));
        for (int r = 3; r < SR_PHILOX_ROUNDS; r++) C(round)(&s, t->m0, t->m1, t->keys0[r], t->keys1[r]);
        C(store)(out + 4 * done, s.c0, s.c1, s.c2, s.c3);
    }
}

static void C(philox)(uint64_t seed, uint64_t stream, uint64_t block, size_t blocks, uint32_t *out)
{
    C(setup) t;
    while (blocks) { /* twice at most, unless more than 2^32 blocks are asked for */
        uint64_t const left = ((uint64_t)1 << 32) - (uint32_t)block; /* before the upper half of the number changes */
        size_t const now = blocks < left ? blocks : (size_t)left;
        C(prepare)(&t, seed, stream, (uint32_t)(block >> 32));
        C(run)(&t, (uint32_t)block, now, out);
        block += now;
        out += 4 * now;
        blocks -= now;
    }
}

/* Blocks that are not consecutive, a lane each: SIDE vectors at a time. */
static void C(scattered)(uint64_t seed, uint64_t stream, uint64_t first, uint64_t apart, size_t n, uint32_t (*out)[SR_SIDE])
{
    enum { LANES = C(lanes), SETS = 4 };
    CV const m0 = C(set)(SR_PHILOX_M0), m1 = C(set)(SR_PHILOX_M1);
    CV const c2 = C(set)((uint32_t)stream), c3 = C(set)((uint32_t)(stream >> 32));
    for (size_t j = 0; j < n; j += LANES * SETS) {
        C(state) s[SETS];
        uint64_t lanes[LANES * SETS];
        for (int high = 0; high < 2; high++) {
            for (size_t i = 0; i < LANES * SETS; i++) lanes[i] = (first + (j + i) * apart) >> (32 * high) & 0xFFFFFFFFu;
            for (int k = 0; k < SETS; k++) SR_COPY(high ? &s[k].c1 : &s[k].c0, lanes + k * LANES, sizeof(CV));
        }
        for (int k = 0; k < SETS; k++) {
            s[k].c2 = c2;
            s[k].c3 = c3;
        }
        for (uint32_t r = 0; r < SR_PHILOX_ROUNDS; r++) {
            CV const k0 = C(set)((uint32_t)seed + r * SR_PHILOX_W0), k1 = C(set)((uint32_t)(seed >> 32) + r * SR_PHILOX_W1);
            for (int k = 0; k < SETS; k++) C(round)(&s[k], m0, m1, k0, k1);
        }
        for (int word = 0; word < 4; word++) {
            size_t const left = n - j < LANES * SETS ? n - j : (size_t)LANES * SETS;
            for (int k = 0; k < SETS; k++)
                SR_COPY(lanes + k * LANES, word == 0 ? &s[k].c0 : word == 1 ? &s[k].c1 : word == 2 ? &s[k].c2 : &s[k].c3,
                        sizeof(CV));
            for (size_t i = 0; i < left; i++) out[word][j + i] = (uint32_t)lanes[i];
        }
    }
}

/* One block of streams that follow one another. */
static void C(streams)(uint64_t seed, uint64_t stream, uint64_t block, size_t n, uint32_t *out)
{
    enum { LANES = C(lanes), SETS = C(sets) };
    CV const m0 = C(set)(SR_PHILOX_M0), m1 = C(set)(SR_PHILOX_M1);
    CV const c0 = C(set)((uint32_t)block), c1 = C(set)((uint32_t)(block >> 32));
    while (n) { /* as above */
        uint64_t const left = ((uint64_t)1 << 32) - (uint32_t)stream;
        size_t const now = n < left ? n : (size_t)left;
        CV const c3 = C(set)((uint32_t)(stream >> 32));
        for (size_t j = 0; j < now; j += LANES * SETS) {
            C(state) s[SETS];
            for (int k = 0; k < SETS; k++) {
                s[k].c0 = c0;
                s[k].c1 = c1;
                s[k].c2 = C(count)((uint32_t)stream + (uint32_t)j + (uint32_t)(k * LANES));
                s[k].c3 = c3;
            }
            for (uint32_t r = 0; r < SR_PHILOX_ROUNDS; r++) {
                CV const k0 = C(set)((uint32_t)seed + r * SR_PHILOX_W0);
                CV const k1 = C(set)((uint32_t)(seed >> 32) + r * SR_PHILOX_W1);
                for (int k = 0; k < SETS; k++) C(round)(&s[k], m0, m1, k0, k1);
            }
            for (int k = 0; k < SETS && j + (size_t)(k * LANES) < now; k++)
                C(store)(out + 4 * (j + (size_t)(k * LANES)), s[k].c0, s[k].c1, s[k].c2, s[k].c3);
        }
        stream += now;
        out += 4 * now;
        n -= now;
    }
}
