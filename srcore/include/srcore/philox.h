/* Philox4x32 (Salmon, Moraes, Dror, Shaw 2011), and how a keystream is laid out (S4). Inline and freestanding. */
#ifndef SRCORE_PHILOX_H
#define SRCORE_PHILOX_H

#include <stdint.h>

#ifndef SR_INLINE
#ifdef __CUDACC__
#define SR_INLINE static __host__ __device__ inline
#else
#define SR_INLINE static inline
#endif
#endif

/* The generator's published constants: two multipliers, and two increments of the key (golden ratio, sqrt(3) - 1). */
#define SR_PHILOX_M0 0xD2511F53u
#define SR_PHILOX_M1 0xCD9E8D57u
#define SR_PHILOX_W0 0x9E3779B9u
#define SR_PHILOX_W1 0xBB67AE85u
#define SR_PHILOX_ROUNDS 10

SR_INLINE void sr_philox_rounds(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < rounds; round++) {
        uint64_t const p0 = (uint64_t)SR_PHILOX_M0 * c0;
        uint64_t const p1 = (uint64_t)SR_PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += SR_PHILOX_W0;
        k1 += SR_PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* S4.2, S4.10: block `block` of a stream. Level 0 is the main keystream, levels 1, 2, ... refine. */
SR_INLINE void sr_philox_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t level, uint32_t out[4])
{
    uint32_t const key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t const counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32) + (level << 16)};
    sr_philox_rounds(counter, key, SR_PHILOX_ROUNDS, out);
}

/* S4.3, S4.4: a block is a string of 16 bytes, its words little-endian one after the other; word number `position` of
 * `bits` (8, 16, 32, 64) bits in it. */
SR_INLINE uint64_t sr_philox_pick(const uint32_t block[4], int bits, uint32_t position)
{
    switch (bits) {
    case 8: return (block[position >> 2] >> (8 * (position & 3u))) & 0xFFu;
    case 16: return (block[position >> 1] >> (16 * (position & 1u))) & 0xFFFFu;
    case 32: return block[position];
    default: return (uint64_t)block[2 * position + 1] << 32 | block[2 * position];
    }
}

/* ---- a stream that is drawn from word by word (S4.9, S4.12) --------------------------------------- */

typedef struct sr_stream {
    uint64_t seed, stream;
    uint64_t block;    /* the block of the next word */
    uint32_t used;     /* words of it already drawn: 0 .. 3 */
    uint32_t words[4]; /* the block, where used > 0 */
} sr_stream;

SR_INLINE void sr_stream_seek(sr_stream *s, uint64_t block, uint32_t used)
{
    s->block = block;
    s->used = used;
    if (used) sr_philox_block(s->seed, s->stream, block, 0, s->words);
}

/* A partly used block counts as used. */
SR_INLINE uint64_t sr_stream_position(const sr_stream *s)
{
    return s->block + (s->used != 0);
}

SR_INLINE uint32_t sr_stream_next32(sr_stream *s)
{
    uint32_t word;
    if (s->used == 0) sr_philox_block(s->seed, s->stream, s->block, 0, s->words);
    word = s->words[s->used];
    s->used = (s->used + 1) & 3u;
    if (s->used == 0) s->block++;
    return word;
}

SR_INLINE uint64_t sr_stream_next64(sr_stream *s)
{
    uint64_t const low = sr_stream_next32(s);
    return (uint64_t)sr_stream_next32(s) << 32 | low;
}

SR_INLINE double sr_stream_next_double(sr_stream *s)
{
    return (double)(sr_stream_next64(s) >> 11) * (1.0 / 9007199254740992.0); /* 2^-53 */
}

/* S4.14: the seed of child number `child` of a stream. */
SR_INLINE uint64_t sr_spawn_seed(uint64_t seed, uint64_t stream, uint64_t child)
{
    uint32_t words[4];
    sr_philox_block(seed, stream, child, 0xFFFFu, words);
    return (uint64_t)words[1] << 32 | words[0];
}

#endif
