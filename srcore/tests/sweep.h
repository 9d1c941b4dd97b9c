/* What the tests of the paths run over: formats, ways of rounding, and inputs that reach every branch. All of it is made
 * from integers, so that every machine has the same. */
#ifndef SRCORE_TESTS_SWEEP_H
#define SRCORE_TESTS_SWEEP_H

#include "srcore/scalar.h"

#include <stdio.h>
#include <stdlib.h>

/* splitmix64 */
static uint64_t sweep_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* ---- formats ---- */

#define SWEEP_FLOAT (SR_SUBNORMALS | SR_ZERO | SR_SIGNED)

static const struct {
    const char *name;
    int precision, emin, emax; /* fixed point: int_bits, frac_bits, signed */
    unsigned flags;            /* 0: a name; 1: fixed point */
} sweep_formats[] = {
    {"binary64", 0, 0, 0, 0}, {"binary32", 0, 0, 0, 0}, {"float16", 0, 0, 0, 0}, {"bfloat16", 0, 0, 0, 0},
    {"tf32", 0, 0, 0, 0}, {"float8_e3m4", 0, 0, 0, 0}, {"float8_e4m3", 0, 0, 0, 0}, {"float8_e4m3fn", 0, 0, 0, 0},
    {"float8_e4m3fnuz", 0, 0, 0, 0}, {"float8_e4m3b11fnuz", 0, 0, 0, 0}, {"float8_e5m2", 0, 0, 0, 0},
    {"float8_e5m2fnuz", 0, 0, 0, 0}, {"float8_e8m0fnu", 0, 0, 0, 0}, {"float6_e2m3fn", 0, 0, 0, 0},
    {"float6_e3m2fn", 0, 0, 0, 0}, {"float4_e2m1fn", 0, 0, 0, 0},
    {"Q3.8", 0, 0, 0, 0}, {"UQ0.8", 0, 0, 0, 0}, {"Q0.7", 0, 0, 0, 0}, {"Q15.8", 0, 0, 0, 0}, {"Q15.16", 0, 0, 0, 0},
    {"UQ16.8", 0, 0, 0, 0}, {"Q-3.9", 0, 0, 0, 0}, {"Q30.-20", 0, 0, 0, 0}, {"UQ0.1", 0, 0, 0, 0}, {"Q1.52", 0, 0, 0, 0},
    {"Q0.24", 0, 0, 0, 0}, {"Q-125.149", 0, 0, 0, 0}, {"UQ0.53", 0, 0, 0, 0},
    {"p1", 1, -3, 3, SR_IEEE_FLAGS}, {"p1 without zero", 1, -4, 3, SR_SIGNED | SR_NAN}, {"p2", 2, -5, 6, SR_IEEE_FLAGS},
    {"p1 wide", 1, -126, 126, SWEEP_FLOAT | SR_NAN}, {"p5 wide", 5, -126, 127, SR_IEEE_FLAGS},
    {"p8 without -0", 8, -126, 127, SWEEP_FLOAT | SR_NAN | SR_INFINITIES}, {"p23", 23, -126, 127, SR_IEEE_FLAGS},
    {"p24 narrow", 24, -20, 20, SR_IEEE_FLAGS}, {"p6 no subnormals", 6, -10, 11, SR_IEEE_FLAGS & ~SR_SUBNORMALS},
    {"p6 no subnormals, no -0", 6, -10, 11, SR_ZERO | SR_SIGNED | SR_NAN},
    {"p4 unsigned", 4, -6, 7, SR_SUBNORMALS | SR_ZERO | SR_NAN | SR_INFINITIES}, {"p4 bare", 4, -6, 7, SWEEP_FLOAT},
    {"p3 low", 3, -140, -100, SR_IEEE_FLAGS}, {"p2 subnormal carriers", 2, -140, 5, SR_IEEE_FLAGS},
    {"p12 deep", 12, -137, 100, SR_IEEE_FLAGS}, {"p30", 30, -200, 200, SR_IEEE_FLAGS}, {"p52 wide", 52, -1022, 1023, SR_IEEE_FLAGS},
    {"p10 deepest", 10, -1040, 1000, SR_IEEE_FLAGS}, {"p37", 37, -1022, 1023, SWEEP_FLOAT | SR_NEGATIVE_ZERO | SR_NAN},
    {"p53 narrow", 53, -3, 5, SR_IEEE_FLAGS},
    /* Zeros, with E = 0, are where lanes shift by nothing: qmin is -118, or -1011. */
    {"p8 from -118", 8, -111, 127, SR_IEEE_FLAGS}, {"p2 from -118", 2, -117, 127, SR_IEEE_FLAGS & ~SR_SUBNORMALS},
    {"p49 from -1011", 49, -963, 1023, SR_IEEE_FLAGS},
};

#define SWEEP_FORMATS (sizeof sweep_formats / sizeof sweep_formats[0])

SR_INLINE sr_status sweep_format(sr_format *format, size_t k)
{
    if (sweep_formats[k].flags == 0) return sr_format_named(format, sweep_formats[k].name);
    return sr_format_float(format, sweep_formats[k].precision, sweep_formats[k].emin, sweep_formats[k].emax, 0,
                           sweep_formats[k].flags, SR_OVERFLOW_DEFAULT);
}

/* Grids of any step */
static const struct {
    const char *name;
    uint64_t num, den;
    int exponent;
} sweep_grids[] = {
    {"0.1", 1, 10, 0},
    {"0.01", 1, 100, 0},
    {"1e-5", 1, 100000, 0},
    {"1e-15", 1, 1000000000000000, 0},
    {"1/3", 1, 3, 0},
    {"2/7", 2, 7, 0},
    {"0.3", 3, 10, 0},
    {"5", 5, 1, 0},
    {"6000", 6000, 1, 0},
    {"2^-8", 1, 1, -8},
    {"1", 1, 1, 0},
    {"wide", 9007199254740881, 9007199254740991, 0},
    {"40 bits of num", 1099511627689, 3, -40},
    {"47 bits of num", 140737488355213, 1, -47},
    {"2^-790/3", 1, 3, -790},
    {"2^-1040", 1, 1, -1040},
    {"2^-1074 5/2", 5, 2, -1074},
    {"2^-1074 2/3", 2, 3, -1074},
    {"2^-1074 99/7", 99, 7, -1074},
    {"2^-1021/3", 1, 3, -1021},
    {"2^800/3", 1, 3, 800},
    {"2^900", 1, 1, 900},
    {"2^1021/7", 1, 7, 1021},
    {"2^1023", 1, 1, 1023},
    {"2^972 11/9", 11, 9, 972},
    {"2^-51/3", 1, 3, -51},
};

#define SWEEP_GRIDS (sizeof sweep_grids / sizeof sweep_grids[0])

SR_INLINE sr_status sweep_grid(sr_format *format, size_t k)
{
    return sr_format_grid(format, sweep_grids[k].num, sweep_grids[k].den, sweep_grids[k].exponent, SR_OVERFLOW_DEFAULT);
}

/* ---- ways of rounding ---- */

static const sr_rounding sweep_roundings[] = {
    {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RNA, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RNZ, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RZ, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RA, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RU, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RD, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_RO, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR_EQUAL, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR_EPS, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR_EPS, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.25},
    {SR_MODE_SR_EPS, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 1},
    {SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.4},
    {SR_MODE_SR_SIGNED, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 1},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 1, SR_VARIANT_A, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 1, SR_VARIANT_C, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 5, SR_VARIANT_B, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 8, SR_VARIANT_A, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 8, SR_VARIANT_C, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 13, SR_VARIANT_B, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 16, SR_VARIANT_A, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 16, SR_VARIANT_C, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 24, SR_VARIANT_A, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 31, SR_VARIANT_C, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 32, SR_VARIANT_B, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 32, SR_VARIANT_C, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 33, SR_VARIANT_A, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 63, SR_VARIANT_C, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 64, SR_VARIANT_A, 0}, {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 64, SR_VARIANT_B, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 64, SR_VARIANT_C, 0},
};

#define SWEEP_ROUNDINGS (sizeof sweep_roundings / sizeof sweep_roundings[0])

SR_INLINE const char *sweep_mode(sr_mode mode)
{
    static const char *const names[] = {"rne", "rna", "rnz", "rz", "ra", "ru",
                                        "rd",  "ro",  "sr",  "sr_equal", "sr_eps", "sr_signed"};
    return names[mode];
}

SR_INLINE const char *sweep_overflow(sr_overflow overflow)
{
    static const char *const names[] = {"default", "inf", "saturate", "propagate", "nan", "wrap", "raise"};
    return names[overflow];
}

/* ---- inputs ---- */

/* The word that element i owns: right-aligned, as the definition takes it (S4.3, S4.5). */
SR_INLINE uint64_t sweep_word(const sr_plan *plan, const sr_words *words, uint64_t i)
{
    uint64_t const per_block = plan->word_bits ? 128 / (uint64_t)plan->word_bits : 1;
    uint32_t block[4];
    uint64_t word;
    if (plan->word_bits == 0) return 0;
    sr_philox_block(words->seed, words->stream, words->block + i / per_block, 0, block);
    word = sr_philox_pick(block, plan->word_bits, (uint32_t)(i % per_block));
    return plan->random_bits == SR_EXACT ? word : word >> (plan->word_bits - plan->random_bits);
}

static uint64_t sweep_carried(uint64_t bits, int width)
{
    return width == 32 ? sr_widen_f32(sr_narrow_f32(bits)) : bits;
}

/* A binary64 pattern that the carrier holds (float32: low bits cut off), of one of these kinds: any pattern; in and about
 * the format's range; few bits; near the grid; about the largest value; undecided by the first 16 bits of `word`. */
SR_INLINE uint64_t sweep_value(const sr_plan *plan, int width, uint64_t word, uint64_t *state)
{
    const sr_format *const format = &plan->format;
    uint64_t const r = sweep_random(state), s = sweep_random(state);
    uint64_t const sign = s << 63;
    int const top = sr_exponent(sr_unpack(plan->max_bits)) + 2;
    int const bottom = format->qmin - (r & 1024 ? 40 : 2);
    sr_number number;
    number.significand = (s >> 11) | (uint64_t)1 << 52;
    number.exponent = bottom + (int)(r >> 16) % (top - bottom) - 52;
    if (number.exponent < bottom - 52) number.exponent += top - bottom;
    switch (r & 7) {
    case 0:
        if (width == 32) return sr_widen_f32((uint32_t)(s >> 32));
        return s;
    case 1: /* few bits: values and ties */
        number.significand &= ~sr_ones(40 + (int)(r >> 8 & 15) % 13);
        break;
    case 2: /* a whole number of the smallest quanta */
        number.significand = s >> (40 + (int)(r >> 8 & 15));
        number.exponent = format->qmin;
        break;
    case 3: /* about max */
        return sign | sweep_carried(plan->max_bits + (r >> 8 & 0xFFFFFFFFu) - ((uint64_t)1 << 31), width);
    case 4: { /* phi begins with the complement of the word, and goes on */
        int const p = format->precision == SR_FIXED_POINT ? 4 : format->precision;
        int const room = (width == 32 ? 24 : 53) - 16;
        int const bits = p < room ? p : room;
        uint64_t const whole = bits > 0 ? (s >> 20) & sr_ones(bits) : 0;
        uint64_t const top16 = plan->random_bits == SR_EXACT ? word & 0xFFFF : s & 0xFFFF;
        int const more = room > bits ? room - bits : 0;
        number.significand = whole << 16 | (0xFFFF - top16);
        number.significand = number.significand << more | ((r >> 8) & sr_ones(more));
        number.exponent = sr_quantum(format, sr_exponent(sr_unpack(sr_pack(number)))) - 16 - more;
        if (r & 4096) number.exponent = format->qmin - 16 - more;
        break;
    }
    case 5: { /* specials */
        static const uint64_t specials[] = {0, SR_F64_INF, 0x7FF8000000000000u, 0x7FF4567800000000u, 0x7FF0000020000000u,
                                            0x3FF0000000000000u, 0x0000000000000001u, 0x36A0000000000000u,
                                            0x380FFFFFC0000000u, 0x3810000000000000u, 0x7FEFFFFFFFFFFFFFu,
                                            0x47EFFFFFE0000000u};
        return sign | sweep_carried(specials[(r >> 8) % (sizeof specials / sizeof specials[0])], width);
    }
    default: break;
    }
    if (number.exponent < -1126) number.exponent = -1126;
    return sign | sweep_carried(sr_pack(number), width);
}

/* One without surprises, of these styles: normal numbers of the format; those and its subnormals; below the smallest
 * quantum, and zeros; values and ties; the last two octaves up to max, and a few less than a quantum beyond, or the least. Narrow:
 * the upper half of that. Whole vectors of them stay in a kernel's fast part, where sweep_value's seldom do. */
SR_INLINE uint64_t sweep_calm(const sr_plan *plan, int width, int style, int narrow, uint64_t *state)
{
    const sr_format *const format = &plan->format;
    uint64_t const r = sweep_random(state), s = sweep_random(state);
    uint64_t const sign = format->flags & SR_SIGNED ? s << 63 : 0;
    int const deepest = width == 32 ? -126 : -1022;
    int high = sr_exponent(sr_unpack(plan->max_bits)) - 1, low = format->emin, below;
    sr_number number;
    if (style == 4) {
        int const quantum = sr_quantum(format, high + 1) - high + 51; /* as a bit of max's pattern */
        uint64_t const ulp = width == 32 ? (uint64_t)1 << 29 : 1, most = sign && r & 2 ? plan->min_bits : plan->max_bits;
        uint64_t const more = r >> 56 ? 0 : r & 1 ? ulp : s & sr_ones(quantum > 0 ? quantum : 0);
        uint64_t const less = r >> 56 ? (r & sr_ones(53)) % (plan->max_bits >> 1) : 0;
        return sign | sweep_carried(most + more - less, width);
    }
    if (style == 1) low = format->qmin - 2;
    if (style == 2) {
        if ((r & 7) == 0 && format->flags & SR_ZERO) return format->flags & SR_NEGATIVE_ZERO ? sign : 0;
        low = format->qmin - (r & 8 ? 30 : 3);
        high = format->qmin - 1;
    }
    if (low < deepest) low = deepest;
    if (high < low) high = low;
    if (narrow) low += (high - low + 1) / 2;
    number.significand = s >> 11 | (uint64_t)1 << 52;
    number.exponent = low + (int)((r >> 8 & 0xFFFFFF) % (uint64_t)(high - low + 1)) - 52;
    below = sr_quantum(format, number.exponent + 52) - 1 - number.exponent;
    if (style == 3 && below > 0 && below < 53) number.significand &= ~sr_ones(below);
    return sign | sweep_carried(sr_pack(number), width);
}

/* Element j of an array: 128 at a time any value, or calm ones, or calm ones but for one in 97. */
SR_INLINE uint64_t sweep_element(const sr_plan *plan, int width, uint64_t word, size_t j, size_t phase, uint64_t *state)
{
    int const style = (int)(((j >> 7) + phase) & 7), narrow = (int)(((j >> 7) + phase) >> 3 & 1);
    if (style == 0 || (style > 5 && j % 97 == 13)) return sweep_value(plan, width, word, state);
    return sweep_calm(plan, width, style < 6 ? style - 1 : style - 6, narrow, state);
}

/* On a grid, of these kinds: any; specials; about the largest; about a point; the middle of two; from 0 to the second point,
 * by patterns; undecided by the first 16 bits of `word`, where both points are in one octave. */
SR_INLINE uint64_t sweep_on_grid(const sr_plan *plan, uint64_t word, uint64_t *state)
{
    const sr_format *const format = &plan->format;
    uint64_t const r = sweep_random(state), s = sweep_random(state), k = s >> (r & 63), sign = r << 57 & SR_F64_SIGN;
    uint64_t const here = sr_pack(sr_grid_point(format, k)), next = sr_pack(sr_grid_point(format, k + 1));
    uint64_t const top16 = plan->random_bits == SR_EXACT ? word & 0xFFFF : s & 0xFFFF;
    uint64_t product[2];
    static const uint64_t specials[] = {0, SR_F64_INF, 0x7FF8000000000000u, 0x7FF0000000000001u, 1, 2, 0x0010000000000000u,
                                        0x7FEFFFFFFFFFFFFFu, 0x3FF0000000000000u};
    switch (r >> 8 & 7) {
    case 0: return s;
    case 1: return sign | specials[(r >> 16) % (sizeof specials / sizeof specials[0])];
    case 2: return sign | (plan->max_bits - (r >> 16 & 7) + 3);
    case 3: return sign | ((here + (r >> 16 & 3)) - (here ? 1 : 0));
    case 4: return sign | (here + (next - here) / 2);
    case 5: return sign | (s % (sr_pack(sr_grid_point(format, 2)) + 1));
    default: break;
    }
    sr_words_multiply(next - here, 4 * (0xFFFF - top16) + (r >> 16 & 3), product);
    return sign | (here + sr_words_bits(product, 2, 18, 64));
}

/* Another operand for x, a value that the carrier holds: any; one that cancels most of x or all; a power of two; one that
 * lies a little beside a tie of x's, or far below it. */
SR_INLINE uint64_t sweep_other(const sr_plan *plan, int width, uint64_t x, uint64_t *state)
{
    uint64_t const r = sweep_random(state), sign = r << 63, magnitude = x & ~SR_F64_SIGN;
    int const e = (int)(magnitude >> 52) - 1023, p = plan->format.precision;
    sr_number number;
    if (magnitude >= SR_F64_INF || magnitude == 0) return sweep_value(plan, width, r, state);
    number.significand = 1;
    number.exponent = (int)(r >> 8 & 63) - 32;
    switch (r >> 1 & 7) {
    case 0: return x ^ SR_F64_SIGN;
    case 1: return sweep_carried((x ^ sign) + (r >> 32 & 7) - 3, width);
    case 2: return sign | sweep_carried(sr_pack(number), width);
    case 3: /* half of x's quantum */
        number.exponent = (p == SR_FIXED_POINT ? plan->format.qmin : e - p + 1) - 1;
        return sign | sweep_carried(number.exponent < -1074 ? 1 : sr_pack(number), width);
    case 4:
        number.exponent = e - (int)(r >> 8 & 255);
        return sign | sweep_carried(number.exponent < -1074 ? 1 : sr_pack(number), width);
    default: return sweep_value(plan, width, r, state);
    }
}

/* A direction, as the carrier's bit pattern: any but NaN; often zeros of both signs, subnormals, infinities. */
SR_INLINE uint64_t sweep_direction(int width, uint64_t *state)
{
    uint64_t const r = sweep_random(state);
    int const fraction = width == 32 ? 23 : 52;
    uint64_t const infinity = (sr_ones(width - 1) >> fraction) << fraction;
    uint64_t const sign = r << (width - 1) & sr_ones(width);
    uint64_t magnitude = r >> (65 - width);
    if ((r & 0x600) == 0) magnitude &= sr_ones(fraction);
    if ((r & 0x600) == 0x200) magnitude = r & 0x800 ? infinity : 0;
    return sign | (magnitude < infinity ? magnitude : infinity);
}

#endif
