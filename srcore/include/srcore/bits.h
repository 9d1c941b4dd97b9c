/* Integers and the bit patterns of carriers: what the definition is written in. */
#ifndef SRCORE_BITS_H
#define SRCORE_BITS_H

#include "srcore/philox.h" /* SR_INLINE */
#include "srcore/srcore.h"

#define SR_F64_SIGN 0x8000000000000000u
#define SR_F64_INF 0x7FF0000000000000u
#define SR_F64_QUIET 0x0008000000000000u

/* ---- integers ------------------------------------------------------------------------------------- */

SR_INLINE int sr_bit_length(uint64_t v)
{
#if defined(__GNUC__) && !defined(__CUDA_ARCH__)
    return v ? 64 - __builtin_clzll(v) : 0;
#else
    int n = 0;
    for (; v; v >>= 1) n++;
    return n;
#endif
}

/* n ones, 0 <= n */
SR_INLINE uint64_t sr_ones(int n)
{
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* v 2^n modulo 2^64, rounded toward zero; any n */
SR_INLINE uint64_t sr_shift(uint64_t v, int n)
{
    if (n >= 0) return n < 64 ? v << n : 0;
    return n > -64 ? v >> -n : 0;
}

/* ---- carriers: bit patterns ----------------------------------------------------------------------- */

SR_INLINE uint64_t sr_bits_f64(double x)
{
    union { double value; uint64_t bits; } u;
    u.value = x;
    return u.bits;
}

SR_INLINE double sr_value_f64(uint64_t bits)
{
    union { double value; uint64_t bits; } u;
    u.bits = bits;
    return u.value;
}

/* A finite non-zero magnitude as significand 2^exponent, the significand an integer. */
typedef struct sr_number {
    uint64_t significand;
    int exponent;
} sr_number;

SR_INLINE sr_number sr_unpack(uint64_t magnitude)
{
    int const field = (int)(magnitude >> 52);
    uint64_t const fraction = magnitude & sr_ones(52);
    sr_number number;
    number.significand = field ? fraction | (uint64_t)1 << 52 : fraction;
    number.exponent = (field ? field : 1) - 1075;
    return number;
}

/* The exponent e of the leading bit: 2^e <= number < 2^(e+1). */
SR_INLINE int sr_exponent(sr_number number)
{
    return number.exponent + sr_bit_length(number.significand) - 1;
}

/* The inverse, for numbers that binary64 holds. From 2^1024 up the pattern is at least infinity's, above every max. */
SR_INLINE uint64_t sr_pack(sr_number number)
{
    int const e = sr_exponent(number);
    if (number.significand == 0) return 0;
    if (e >= 1024) return SR_F64_INF;
    if (e < -1022) return sr_shift(number.significand, number.exponent + 1074);
    return ((uint64_t)(e + 1023) << 52) + (sr_shift(number.significand, number.exponent - e + 52) & sr_ones(52));
}

SR_INLINE uint64_t sr_widen_f32(uint32_t bits)
{
    uint64_t const sign = (uint64_t)(bits & 0x80000000u) << 32;
    uint32_t const magnitude = bits & 0x7FFFFFFFu;
    sr_number number;
    if (magnitude >= 0x7F800000u) return sign | SR_F64_INF | (uint64_t)(magnitude & 0x007FFFFFu) << 29;
    number.significand = (magnitude & 0x007FFFFFu) | (magnitude >= 0x00800000u ? 0x00800000u : 0u);
    number.exponent = (magnitude >= 0x00800000u ? (int)(magnitude >> 23) : 1) - 150;
    return sign | sr_pack(number);
}

/* Exact: the format fits the carrier. A NaN keeps the leading bits of its payload. */
SR_INLINE uint32_t sr_narrow_f32(uint64_t bits)
{
    uint32_t const sign = (uint32_t)(bits >> 32) & 0x80000000u;
    uint64_t const magnitude = bits & ~SR_F64_SIGN;
    int const e = (int)(magnitude >> 52) - 1023;
    if (magnitude >= SR_F64_INF) return sign | 0x7F800000u | ((uint32_t)(magnitude >> 29) & 0x007FFFFFu);
    if (magnitude == 0) return sign;
    if (e < -126) return sign | (uint32_t)sr_shift((magnitude & sr_ones(52)) | (uint64_t)1 << 52, e + 97);
    return sign | ((uint32_t)(e + 127) << 23) | ((uint32_t)(magnitude >> 29) & 0x007FFFFFu);
}

#endif
