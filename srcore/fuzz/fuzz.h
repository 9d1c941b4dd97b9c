/* What the fuzz targets share: reading choices from the bytes of an input, and complaining. */
#ifndef SRCORE_FUZZ_H
#define SRCORE_FUZZ_H

#include "srcore/scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input; zeros behind its end. */
typedef struct reader {
    const uint8_t *at;
    size_t left;
} reader;

static inline uint64_t take(reader *in, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes && in->left; i++) {
        v |= (uint64_t)*in->at++ << (8 * i);
        in->left--;
    }
    return v;
}

/* from low to high */
static inline int choose(reader *in, int low, int high)
{
    return low + (int)(take(in, 2) % (uint64_t)(high - low + 1));
}

/* splitmix64 */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
