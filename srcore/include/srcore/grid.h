/* Grids of any step (S9) in integers: their points, which two a number lies between, and how far from the first. */
#ifndef SRCORE_GRID_H
#define SRCORE_GRID_H

#include "srcore/exact.h"

/* The quotient of (rest 2^count + bits) and the divisor, which must be below 2^64; *rest becomes the remainder. rest <
 * divisor <= 2^54, so that ten bits at a time fit; bits < 2^count, count <= 64. */
SR_INLINE uint64_t sr_divide(uint64_t *rest, uint64_t bits, int count, uint64_t divisor)
{
    uint64_t quotient = 0;
    if (*rest == 0) {
        *rest = bits % divisor;
        return bits / divisor;
    }
    while (count > 0) {
        int const n = count < 10 ? count : 10;
        uint64_t const dividend = *rest << n | (sr_shift(bits, n - count) & sr_ones(n));
        count -= n;
        quotient = quotient << n | dividend / divisor;
        *rest = dividend % divisor;
    }
    return quotient;
}

/* S9.1: g_k. Its exponent is that of its last bit, or one less, for a g_k that is 2^53 times a power of two; -1074 below
 * 2^-1022. */
SR_INLINE sr_number sr_grid_point(const sr_format *format, uint64_t k)
{
    uint64_t product[2], dividend[2], quotient, rest = 0, dropped, half;
    int shift, count, exponent, drop;
    sr_number point;
    point.significand = 0;
    point.exponent = -1074;
    if (k == 0) return point;

    /* k num 2^shift has 128 bits, so that its upper word alone is at least 2^63 and den, below 2^53, goes into it 2^10
     * times: as many bits of the lower word as make a quotient of 64 bits. */
    sr_words_multiply(k, format->num, product);
    shift = 128 - sr_words_length(product, 2);
    sr_words_shift(dividend, 2, product, 2, shift);
    quotient = sr_divide(&rest, dividend[1], 64, format->den);
    count = 64 - sr_bit_length(quotient);
    quotient = sr_shift(quotient, count) | sr_divide(&rest, sr_shift(dividend[0], count - 64), count, format->den);
    exponent = format->exponent - shift + 64 - count;

    drop = exponent + 11 < -1074 ? -1074 - exponent : 11;
    point.significand = sr_shift(quotient, -drop);
    point.exponent = exponent + drop;
    if (drop > 64) return point; /* below 2^-1075 */
    dropped = quotient & sr_ones(drop);
    half = (uint64_t)1 << (drop - 1);
    if (dropped > half || (dropped == half && (rest || dividend[0] & sr_ones(64 - count) || point.significand & 1)))
        point.significand++;
    return point;
}

/* floor(number / step) if that is below 2^64, and whether it leaves a rest; otherwise 2^64 - 1. */
SR_INLINE uint64_t sr_grid_floor(const sr_format *format, sr_number number, int *rest_left)
{
    int const by = number.exponent - format->exponent;
    uint64_t product[2], dividend[2], rest, quotient;
    *rest_left = 0;
    if (number.significand == 0) return 0;
    sr_words_multiply(number.significand, format->den, product);
    if (sr_words_length(product, 2) + by - sr_bit_length(format->num) > 64) return ~(uint64_t)0;
    for (int i = 0; i < 2; i++) dividend[i] = sr_words_bits(product, 2, 64 * i - by, 64);
    if (dividend[1] >= format->num) return ~(uint64_t)0;
    rest = dividend[1];
    quotient = sr_divide(&rest, dividend[0], 64, format->num);
    *rest_left = rest != 0 || sr_words_below(product, 2, -by);
    return quotient;
}

/* Where a magnitude lies: phi = part / (whole 2^zeros), part < whole <= 2^54. */
typedef struct sr_grid_place {
    uint64_t down, up; /* patterns of g_k and g_(k+1); infinity's where that is beyond binary64 */
    uint64_t part, whole;
    int zeros;
    int odd; /* k is */
} sr_grid_place;

/* S9.2: 0 where the magnitude, a finite one, is a point of the grid.
 *
 * With k = floor(magnitude / step) rounding to nearest, which keeps order, gives g_k <= magnitude <= g_(k+1): no other
 * points need be looked at. From k = 2^54 on the step is at most half the spacing of binary64 at the magnitude: some
 * multiple of it rounds to it. */
SR_INLINE int sr_grid_find(const sr_format *format, uint64_t magnitude, sr_grid_place *place)
{
    sr_number const x = sr_unpack(magnitude);
    sr_number down, up;
    int rest;
    uint64_t const k = sr_grid_floor(format, x, &rest);
    if (k >> 54) return 0;
    down = sr_grid_point(format, k);
    up = sr_grid_point(format, k + 1);
    place->down = sr_pack(down);
    place->up = sr_pack(up);
    if (magnitude == place->down || magnitude == place->up) return 0;
    place->odd = (int)(k & 1);
    if (k > 0) {
        /* In units of g_k's last bit, all three are whole numbers: the others are larger, and bits do not become finer.
         * g_k has at most 2^53 of them. If g_k is normal, g_(k+1) <= 2 g_k, as (k+1) step <= 2 k step and twice a number
         * is rounded to twice what it is; else g_(k+1) <= 2 g_k + 1 <= 2^53, since k step <= g_k + 1/2. So the difference
         * is at most 2^53. */
        place->part = (x.significand << (x.exponent - down.exponent)) - down.significand;
        place->whole = (up.significand << (up.exponent - down.exponent)) - down.significand;
        place->zeros = 0;
    } else { /* x < g_1, whose last bit is no finer: part < whole 2^zeros, and whole <= part < 2^53 before it doubles */
        place->part = x.significand;
        place->whole = up.significand;
        place->zeros = up.exponent - x.exponent;
        for (; place->part >= place->whole; place->zeros--) place->whole <<= 1;
    }
    return 1;
}

/* Bits from+1 .. from+count of phi, by long division, and what they leave; count <= 64. */
SR_INLINE uint64_t sr_grid_phi(uint64_t part, uint64_t whole, int zeros, int from, int count, uint64_t *rest)
{
    int const passed = from - zeros;
    *rest = part;
    for (int n = passed; n > 0; n -= 64) sr_divide(rest, 0, n < 64 ? n : 64, whole);
    if (passed < 0) count += passed;
    return count > 0 ? sr_divide(rest, 0, count, whole) : 0;
}

/* S9.5: the integer whose point a value of the grid is; of several the one nearest to value / step, of two the even one.
 * Returns 0 where it is not below 2^63. */
SR_INLINE int sr_grid_code(const sr_format *format, uint64_t magnitude, uint64_t *k)
{
    sr_number twice = sr_unpack(magnitude);
    uint64_t halves;
    int rest, down, up;
    twice.exponent++;
    halves = sr_grid_floor(format, twice, &rest);
    *k = halves >> 1;
    down = sr_pack(sr_grid_point(format, *k)) == magnitude;
    up = sr_pack(sr_grid_point(format, *k + 1)) == magnitude;
    if (up && (!down || ((halves & 1) && (rest || (*k & 1))))) ++*k;
    return halves != ~(uint64_t)0 && *k >> 63 == 0;
}

#endif
