/* The definition of rounding: one value and one random word in, one value out.
 *
 * Everything else in srcore, vector kernels and other machines included, must agree with this file to the last bit. It
 * uses integers only, so that nothing depends on the floating-point environment, and needs no library. S1.2, S3.4, ...
 * name clauses of docs/specification.md.
 *
 * Values are handled as the bit patterns of binary64. A float32 is widened first and narrowed last, both exactly.
 */
#ifndef SRCORE_SCALAR_H
#define SRCORE_SCALAR_H

#include "srcore/exact.h"
#include "srcore/grid.h"
#include "srcore/philox.h"

/* ---- down and away (S2.1) ------------------------------------------------------------------------- */

/* |x| = (whole + phi) 2^quantum, 0 <= phi < 1, and phi = dropped / 2^width with dropped < 2^53; or, with `exact`, or
 * `place` (S9), what that says. */
typedef struct sr_split {
    uint64_t whole; /* modulo 2^64 */
    uint64_t dropped;
    int width;
    int quantum;
    int odd; /* the down candidate is odd (S2.7) */
    const sr_exact *exact;
    const sr_grid_place *place; /* `odd` and this alone count */
} sr_split;

/* S1.2, S1.3, S1.4: the exponent of the quantum for |x| in [2^e, 2^(e+1)). */
SR_INLINE int sr_quantum(const sr_format *format, int e)
{
    if (format->precision == SR_FIXED_POINT) return format->qmin;
    if (e >= format->emin) return e - format->precision + 1;
    return format->flags & SR_SUBNORMALS ? format->qmin : format->emin;
}

/* S2.7: with one bit of precision, the code's parity is the exponent field's. */
SR_INLINE int sr_odd(const sr_format *format, uint64_t whole, int e)
{
    if (format->precision == 1 && whole == 1) return (e - format->emin + (format->flags & SR_ZERO ? 1 : 0)) & 1;
    return (int)(whole & 1);
}

SR_INLINE sr_split sr_split_at_quantum(const sr_format *format, uint64_t magnitude)
{
    sr_number const x = sr_unpack(magnitude);
    int const e = sr_exponent(x);
    int const quantum = sr_quantum(format, e);
    sr_split split;
    split.exact = 0;
    split.place = 0;
    if (quantum <= x.exponent) { /* x has no bits below the quantum */
        split.whole = x.significand;
        split.dropped = 0;
        split.width = 0;
        split.quantum = x.exponent;
        split.odd = 0;
        return split;
    }
    split.width = quantum - x.exponent;
    split.whole = sr_shift(x.significand, -split.width);
    split.dropped = x.significand & sr_ones(split.width);
    split.quantum = quantum;
    split.odd = sr_odd(format, split.whole, e);
    return split;
}

/* The same of an exact result. */
SR_INLINE sr_split sr_split_exact(const sr_format *format, const sr_exact *x)
{
    sr_split split;
    split.quantum = sr_quantum(format, x->lead);
    split.whole = sr_exact_bits(x, split.quantum, 64);
    split.dropped = 0;
    split.width = 0;
    split.odd = sr_odd(format, split.whole, x->lead);
    split.exact = x;
    split.place = 0;
    return split;
}

/* Bits from+1 .. from+count of phi = 0.f1 f2 f3 ..., as an integer; count <= 64. */
SR_INLINE uint64_t sr_phi(const sr_split *split, int from, int count)
{
    if (split->exact) return sr_exact_bits(split->exact, split->quantum - from - count, count);
    if (split->place) {
        const sr_grid_place *const at = split->place;
        uint64_t rest;
        return sr_grid_phi(at->part, at->whole, at->zeros, from, count, &rest);
    }
    return sr_shift(split->dropped, from + count - split->width) & sr_ones(count);
}

/* Has phi a one behind its first n bits? */
SR_INLINE int sr_phi_beyond(const sr_split *split, int n)
{
    if (split->exact) return sr_exact_below(split->exact, split->quantum - n);
    if (split->place) {
        const sr_grid_place *const at = split->place;
        uint64_t rest;
        sr_grid_phi(at->part, at->whole, at->zeros, n, 0, &rest);
        return rest != 0;
    }
    return split->width > n && (split->dropped & sr_ones(split->width - n)) != 0;
}

/* ---- the decision (S2.4 .. S2.11, S3) ------------------------------------------------------------- */

/* S4.10: 128 further bits of U, most significant bit of words[0] first. level = 1, 2, ... */
typedef void (*sr_refine)(void *context, uint32_t level, uint32_t words[4]);

/* S3.2, S3.3: phi + U >= 1, U = 0.u1 u2 u3 ... given as its first 16 bits and what refine yields. */
SR_INLINE int sr_away_exact(const sr_split *split, uint64_t word, sr_refine refine, void *context)
{
    uint64_t const sum = sr_phi(split, 0, 16) + word;
    int known = 16; /* bits of U compared so far, each the complement of phi's */
    uint32_t level;
    if (sum != 0xFFFF) return sum > 0xFFFF;
    for (level = 1; sr_phi_beyond(split, known); level++) {
        uint32_t words[4];
        if (split->exact && split->exact->endless && level == 2) return 0; /* S7.3: 144 bits */
        refine(context, level, words);
        for (int i = 0; i < 4; i++, known += 32) {
            uint64_t const more = sr_phi(split, known, 32) + words[i];
            if (more != 0xFFFFFFFFu) return more > 0xFFFFFFFFu;
        }
    }
    return 0; /* phi has ended, and nothing carries */
}

/* S3.4, S3.5, S3.6: with f the first r bits of phi, `up` if the variant rounds them up, away iff f + up + T >= 2^r.
 * Written so that r = 64 does not overflow: f + up + T >= 2^r iff f + up > limit, where limit = 2^r - 1 - T. (In b,
 * with g bit r+1 of phi, 2f + g + 2T + 1 >= 2^(r+1) says that f + T + (g+1)/2 >= 2^r, hence f + g + T >= 2^r.) */
SR_INLINE int sr_away_few(const sr_split *split, uint64_t word, int r, sr_variant variant)
{
    uint64_t const f = sr_phi(split, 0, r);
    uint64_t const limit = sr_ones(r) - word;
    int up = 0;
    if (variant != SR_VARIANT_A) up = (int)sr_phi(split, r, 1);
    if (variant == SR_VARIANT_C) up = up && ((f & 1) || sr_phi_beyond(split, r + 1));
    return f > limit || (up && f == limit);
}

/* S3.8: away iff t + T >= 2^32, t = phi + lean clipped to [0, 1], all in units of 2^-32. */
SR_INLINE int sr_away_biased(const sr_split *split, uint64_t word, int64_t lean)
{
    int64_t const one = (int64_t)1 << 32;
    int64_t t = (int64_t)sr_phi(split, 0, 32) + lean;
    if (t < 0) t = 0;
    if (t > one) t = one;
    return t + (int64_t)word >= one;
}

/* Does the magnitude become whole + 1? Called where phi > 0. `direction` is the sign of v: -1, 0 or 1. */
SR_INLINE int sr_away(const sr_plan *plan, const sr_split *split, int negative, uint64_t word, int direction,
                      sr_refine refine, void *context)
{
    int const half = (int)sr_phi(split, 0, 1);                /* phi >= 1/2 */
    int const above_half = half && sr_phi_beyond(split, 1);   /* phi > 1/2 */
    int64_t const eps = (int64_t)plan->eps;
    switch (plan->mode) {
    case SR_MODE_RNE: return above_half || (half && split->odd); /* S2.4 */
    case SR_MODE_RNA: return half;
    case SR_MODE_RNZ: return above_half;
    case SR_MODE_RZ: return 0;                                   /* S2.5 */
    case SR_MODE_RA: return 1;
    case SR_MODE_RU: return !negative;
    case SR_MODE_RD: return negative;
    case SR_MODE_RO: return !split->odd;                         /* S2.6 */
    case SR_MODE_SR:                                             /* S2.8 */
        if (plan->random_bits == SR_EXACT) return sr_away_exact(split, word, refine, context);
        return sr_away_few(split, word, plan->random_bits, plan->variant);
    case SR_MODE_SR_EQUAL: return (int)(word >> 15);             /* S2.9, S3.7 */
    case SR_MODE_SR_EPS: return sr_away_biased(split, word, eps); /* S2.10 */
    case SR_MODE_SR_SIGNED:                                      /* S2.11 */
        return sr_away_biased(split, word, negative ? direction * eps : -direction * eps);
    }
    return 0;
}

/* ---- range and special values (S5) ---------------------------------------------------------------- */

/* What a rounding did, beside its result. */
#define SR_FLAG_INEXACT 1u  /* phi > 0 */
#define SR_FLAG_OVERFLOW 2u /* the overflow rule was applied, or a zero in a format without one */
#define SR_FLAG_REFUSED 4u  /* the rule is to raise: there is no result */
#define SR_FLAG_UNDERFLOW 8u /* what was not zero became zero */
#define SR_FLAG_NAN 16u     /* arithmetic: a NaN from operands that are none */

SR_INLINE uint64_t sr_refuse(unsigned *flags)
{
    *flags |= SR_FLAG_REFUSED;
    return 0;
}

/* S5.6: quanta 2^qmin (or its negative) modulo 2^bits, as two's complement where the format is signed. Only the low 64
 * bits of `quanta` matter. */
SR_INLINE uint64_t sr_wrap(const sr_plan *plan, int negative, uint64_t quanta)
{
    int const is_signed = (plan->format.flags & SR_SIGNED) != 0;
    uint64_t const code = (negative ? 0 - quanta : quanta) & sr_ones(plan->code_bits);
    int const below = is_signed && (code >> (plan->code_bits - 1)) != 0;
    sr_number number;
    number.significand = below ? (0 - code) & sr_ones(plan->code_bits) : code;
    number.exponent = plan->format.qmin;
    return (below ? SR_F64_SIGN : 0) | sr_pack(number);
}

/* S5.2 .. S5.7, S5.12: a value beyond the range; `quanta` counts it in units of 2^qmin (fixed point only). */
SR_INLINE uint64_t sr_overflowed(const sr_plan *plan, int negative, int infinite, uint64_t quanta, unsigned *flags)
{
    uint64_t const sign = negative ? SR_F64_SIGN : 0;
    uint64_t const limit = sign | (negative ? plan->min_bits : plan->max_bits);
    uint64_t const infinity = sign | SR_F64_INF;
    uint64_t const nan = infinity | SR_F64_QUIET; /* S5.9 */
    int const below_zero = negative && !(plan->format.flags & SR_SIGNED);
    int const toward_zero = plan->mode == SR_MODE_RZ || plan->mode == SR_MODE_RO ||
                            (plan->mode == SR_MODE_RU && negative) || (plan->mode == SR_MODE_RD && !negative);
    *flags |= SR_FLAG_OVERFLOW;
    switch (plan->overflow) {
    case SR_OVERFLOW_INF: /* S5.2, S5.3 */
        if (below_zero) return nan; /* S5.12 */
        if (toward_zero && !infinite) return limit; /* S5.5 */
        return infinity;
    case SR_OVERFLOW_NAN:
        if (toward_zero && !infinite && !below_zero) return limit;
        return nan;
    case SR_OVERFLOW_SATURATE: return below_zero ? 0 : limit;
    case SR_OVERFLOW_PROPAGATE:
        if (below_zero) return infinite ? nan : 0;
        return infinite ? infinity : limit;
    case SR_OVERFLOW_WRAP:
        if (infinite) return sr_refuse(flags);
        return sr_wrap(plan, negative, quanta);
    case SR_OVERFLOW_RAISE:
    case SR_OVERFLOW_DEFAULT: break;
    }
    return sr_refuse(flags);
}

/* S5.11 */
SR_INLINE uint64_t sr_zero(const sr_plan *plan, int negative)
{
    return negative && (plan->format.flags & SR_NEGATIVE_ZERO) ? SR_F64_SIGN : 0;
}

/* S5.13: zero, or a negative value, where the format has neither zero nor sign. */
SR_INLINE uint64_t sr_no_zero(const sr_plan *plan, int negative, unsigned *flags)
{
    *flags |= SR_FLAG_OVERFLOW;
    if (plan->overflow == SR_OVERFLOW_RAISE) return sr_refuse(flags);
    return (negative ? SR_F64_SIGN : 0) | SR_F64_INF | SR_F64_QUIET;
}

/* ---- one value ------------------------------------------------------------------------------------ */

/* A finite magnitude other than zero, of a value that may be negative. */
SR_INLINE uint64_t sr_round_split(const sr_plan *plan, int negative, const sr_split *split, uint64_t word, int direction,
                                  sr_refine refine, void *context, unsigned *flags)
{
    sr_number rounded;
    uint64_t result;
    int huge = split->exact && split->exact->lead - split->quantum > 61; /* fixed point only: beyond every range */

    rounded.significand = split->whole;
    rounded.exponent = split->quantum;
    if (sr_phi_beyond(split, 0)) {                                                             /* S2.2 */
        *flags |= SR_FLAG_INEXACT;
        if (sr_away(plan, split, negative, word, direction, refine, context)) rounded.significand++;
    }
    if (rounded.significand == 0 && !huge) {
        if (plan->format.flags & SR_ZERO) {
            *flags |= SR_FLAG_UNDERFLOW;
            return sr_zero(plan, negative);
        }
        rounded.significand = 1; /* S5.13: the smallest value; the quantum is 2^emin here */
    }
    result = huge ? SR_F64_INF : sr_pack(rounded);
    if (result > (negative ? plan->min_bits : plan->max_bits))                                 /* S5.1 */
        return sr_overflowed(plan, negative, 0,
                             sr_shift(rounded.significand, rounded.exponent - plan->format.qmin), flags);
    return (negative ? SR_F64_SIGN : 0) | result;                                              /* S2.3 */
}

/* The same on a grid of any step (S9). */
SR_INLINE uint64_t sr_round_grid(const sr_plan *plan, int negative, uint64_t magnitude, uint64_t word, int direction,
                                 sr_refine refine, void *context, unsigned *flags)
{
    uint64_t const sign = negative ? SR_F64_SIGN : 0;
    uint64_t result;
    sr_grid_place place;
    sr_split split;
    if (!sr_grid_find(&plan->format, magnitude, &place)) return sign | magnitude;
    split.whole = split.dropped = 0;
    split.width = split.quantum = 0;
    split.odd = place.odd;
    split.exact = 0;
    split.place = &place;
    *flags |= SR_FLAG_INEXACT;
    result = sr_away(plan, &split, negative, word, direction, refine, context) ? place.up : place.down;
    if (result == 0) *flags |= SR_FLAG_UNDERFLOW;
    if (result > plan->max_bits) return sr_overflowed(plan, negative, 0, 0, flags);
    return sign | result;
}

/* x, a binary64 bit pattern, rounded: a binary64 bit pattern. `word` is the integer T of plan->random_bits bits (S3.1,
 * S4.5), 16 of them with SR_EXACT, where alone `refine` is called. */
SR_INLINE uint64_t sr_round_bits(const sr_plan *plan, uint64_t x, uint64_t word, int direction, sr_refine refine,
                                 void *context, unsigned *flags)
{
    uint64_t const magnitude = x & ~SR_F64_SIGN;
    int const negative = (x & SR_F64_SIGN) != 0;
    int const has_zero = (plan->format.flags & SR_ZERO) != 0;
    int const is_signed = (plan->format.flags & SR_SIGNED) != 0;
    sr_split split;

    *flags = 0;
    if (magnitude > SR_F64_INF) return x | SR_F64_QUIET;                                       /* S5.8 */
    if (!has_zero && (magnitude == 0 || (negative && !is_signed)))                             /* S5.13 */
        return sr_no_zero(plan, negative, flags);
    if (magnitude == SR_F64_INF) return sr_overflowed(plan, negative, 1, 0, flags);            /* S5.3 */
    if (magnitude == 0) return sr_zero(plan, negative);                                        /* S5.11 */
    if (plan->format.precision == SR_GRID)
        return sr_round_grid(plan, negative, magnitude, word, direction, refine, context, flags);

    split = sr_split_at_quantum(&plan->format, magnitude);                                     /* S2.1 */
    return sr_round_split(plan, negative, &split, word, direction, refine, context, flags);
}

/* ---- one operation (S7) --------------------------------------------------------------------------- */

/* S7.2: the NaN of arithmetic. */
#define SR_F64_NAN (SR_F64_INF | SR_F64_QUIET)

/* An infinite or zero result; NaN, as in S7.2, if the format's rule makes it one. */
SR_INLINE uint64_t sr_arith_limit(const sr_plan *plan, int negative, int infinite, unsigned *flags)
{
    uint64_t const x = (negative ? SR_F64_SIGN : 0) | (infinite ? SR_F64_INF : 0);
    uint64_t const result = sr_round_bits(plan, x, 0, 0, 0, 0, flags);
    *flags &= SR_FLAG_REFUSED; /* nothing finite has overflowed */
    return result;
}

/* S7.1: x op y (op z), binary64 bit patterns, rounded once; not on grids. Operands that an operation does not have are not looked at.
 * `direction`, the sign of v, counts against that of the exact result. */
SR_INLINE uint64_t sr_arith_bits(const sr_plan *plan, sr_op op, uint64_t x, uint64_t y, uint64_t z, uint64_t word,
                                 int direction, sr_refine refine, void *context, unsigned *flags)
{
    int const has_y = op != SR_OP_ROUND && op != SR_OP_SQRT, has_z = op == SR_OP_FMA;
    uint64_t const xm = x & ~SR_F64_SIGN, ym = has_y ? y & ~SR_F64_SIGN : 0, zm = has_z ? z & ~SR_F64_SIGN : 0;
    int const x_negative = (x & SR_F64_SIGN) != 0, negative = has_y && ((x ^ y) & SR_F64_SIGN) != 0;
    uint64_t result = SR_F64_NAN;
    int is_nan = 0;
    sr_exact exact;

    *flags = 0;
    if (op == SR_OP_ROUND) {
        result = sr_round_bits(plan, x, word, direction, refine, context, flags);
        if (xm == 0 || xm == SR_F64_INF) *flags &= SR_FLAG_REFUSED;
        if (xm <= SR_F64_INF && (result & ~SR_F64_SIGN) > SR_F64_INF) *flags |= SR_FLAG_NAN;
        return result;
    }
    if (xm > SR_F64_INF || ym > SR_F64_INF || zm > SR_F64_INF) return SR_F64_NAN;
    if (op == SR_OP_SUB) y ^= SR_F64_SIGN;

    switch (op) {
    case SR_OP_ADD:
    case SR_OP_SUB:
    case SR_OP_FMA: { /* a sum of two terms */
        int const product = op == SR_OP_FMA;
        uint64_t const other = product ? z : y, om = other & ~SR_F64_SIGN;
        int const first_negative = product ? negative : x_negative, other_negative = (other & SR_F64_SIGN) != 0;
        int const first_infinite = product ? xm == SR_F64_INF || ym == SR_F64_INF : xm == SR_F64_INF;
        int const first_zero = product ? xm == 0 || ym == 0 : xm == 0;
        if (first_infinite && first_zero) {
            is_nan = 1;
        } else if (first_infinite || om == SR_F64_INF) {
            is_nan = first_infinite && om == SR_F64_INF && first_negative != other_negative;
            if (!is_nan) result = sr_arith_limit(plan, first_infinite ? first_negative : other_negative, 1, flags);
        } else {
            sr_term const a = product ? sr_term_product(x, y) : sr_term_of(x), b = sr_term_of(other);
            if (first_zero && om == 0) { /* S7.4 */
                int const both = first_negative == other_negative;
                result = sr_arith_limit(plan, both ? first_negative : plan->mode == SR_MODE_RD, 0, flags);
            } else if (!sr_exact_sum(&exact, &a, &b)) {
                result = sr_arith_limit(plan, plan->mode == SR_MODE_RD, 0, flags);
            } else {
                break;
            }
        }
        goto made;
    }
    case SR_OP_MUL:
        if (xm == SR_F64_INF || ym == SR_F64_INF) {
            is_nan = xm == 0 || ym == 0;
            if (!is_nan) result = sr_arith_limit(plan, negative, 1, flags);
            goto made;
        }
        if (xm == 0 || ym == 0) {
            result = sr_arith_limit(plan, negative, 0, flags);
            goto made;
        } else {
            sr_term const a = sr_term_product(x, y), zero = sr_term_of(0);
            sr_exact_sum(&exact, &a, &zero);
        }
        break;
    case SR_OP_DIV:
        if (xm == ym && (xm == 0 || xm == SR_F64_INF)) {
            is_nan = 1;
            goto made;
        }
        if (xm == SR_F64_INF || ym == 0) { /* S7.5 */
            result = sr_arith_limit(plan, negative, 1, flags);
            goto made;
        }
        if (xm == 0 || ym == SR_F64_INF) {
            result = sr_arith_limit(plan, negative, 0, flags);
            goto made;
        } else {
            sr_number const a = sr_unpack(xm), b = sr_unpack(ym);
            int const lead = sr_quotient_lead(a, b);
            exact = sr_exact_quotient(a, b, negative, lead, sr_quantum(&plan->format, lead) - 145);
        }
        break;
    default: /* SR_OP_SQRT */
        is_nan = x_negative && xm != 0;
        if (is_nan || xm == 0 || xm == SR_F64_INF) {
            if (!is_nan) result = sr_arith_limit(plan, x_negative, xm != 0, flags);
            goto made;
        } else {
            sr_number const a = sr_unpack(xm);
            int const e = sr_exponent(a), lead = e >= 0 ? e / 2 : -((1 - e) / 2);
            exact = sr_exact_root(a, sr_quantum(&plan->format, lead) - 145);
        }
    }
    if (exact.negative && !(plan->format.flags & (SR_ZERO | SR_SIGNED))) { /* S5.13 */
        result = sr_no_zero(plan, 1, flags);
    } else {
        sr_split const split = sr_split_exact(&plan->format, &exact);
        result = sr_round_split(plan, exact.negative, &split, word, direction, refine, context, flags);
    }

made:
    if (is_nan || (result & ~SR_F64_SIGN) > SR_F64_INF) {
        *flags |= SR_FLAG_NAN;
        result = SR_F64_NAN;
    }
    return result;
}

/* S8.6: a sum of many terms, rounded once. `total` is used up. */
SR_INLINE uint64_t sr_total_bits(const sr_plan *plan, sr_total *total, uint64_t word, sr_refine refine, void *context,
                                 unsigned *flags)
{
    uint64_t result = SR_F64_NAN;
    int is_nan = 0;
    sr_exact exact;
    *flags = 0;
    if (total->nan) return SR_F64_NAN;
    if (total->invalid || total->infinite[0] || total->infinite[1]) {
        is_nan = total->invalid || (total->infinite[0] && total->infinite[1]);
        if (!is_nan) result = sr_arith_limit(plan, total->infinite[1], 1, flags);
    } else if (!total->other && !(total->zero[0] && total->zero[1])) {
        result = sr_arith_limit(plan, total->zero[1], 0, flags);
    } else if (!sr_exact_total(&exact, total)) {
        result = sr_arith_limit(plan, plan->mode == SR_MODE_RD, 0, flags);
    } else if (exact.negative && !(plan->format.flags & (SR_ZERO | SR_SIGNED))) { /* S5.13 */
        result = sr_no_zero(plan, 1, flags);
    } else {
        sr_split const split = sr_split_exact(&plan->format, &exact);
        result = sr_round_split(plan, exact.negative, &split, word, 0, refine, context, flags);
    }
    if (is_nan || (result & ~SR_F64_SIGN) > SR_F64_INF) {
        *flags |= SR_FLAG_NAN;
        result = SR_F64_NAN;
    }
    return result;
}

/* ---- codes ---------------------------------------------------------------------------------------- */

/* S1.10: the smallest integer that holds a code, in bytes. */
SR_INLINE int sr_code_bytes(int code_bits)
{
    return code_bits <= 8 ? 1 : code_bits <= 16 ? 2 : code_bits <= 32 ? 4 : 8;
}

/* The code of a value of the format (or of a NaN), a binary64 bit pattern. Returns 0 where it has none (S5.10). */
SR_INLINE int sr_encode_bits(const sr_plan *plan, uint64_t x, uint64_t *code)
{
    const sr_format *const format = &plan->format;
    uint64_t const magnitude = x & ~SR_F64_SIGN;
    uint64_t const sign = x & SR_F64_SIGN && format->flags & SR_SIGNED ? (uint64_t)1 << (plan->code_bits - 1) : 0;
    sr_number number;
    int e, quantum;

    if (format->precision == SR_GRID) { /* S9.5 */
        if (magnitude >= SR_F64_INF || !sr_grid_code(format, magnitude, code)) return 0;
        if (x & SR_F64_SIGN) *code = 0 - *code;
        return 1;
    }
    if (magnitude > SR_F64_INF) { /* S1.7: a NaN that is the sign bit alone has no sign of its own */
        *code = plan->code_nan | sign;
        return (format->flags & SR_NAN) != 0;
    }
    if (magnitude == SR_F64_INF) {
        *code = plan->code_infinity | sign;
        return (format->flags & SR_INFINITIES) != 0;
    }
    number = sr_unpack(magnitude);
    if (format->precision == SR_FIXED_POINT) { /* S1.9: sign-extended */
        uint64_t const quanta = sr_shift(number.significand, number.exponent - format->qmin);
        *code = x & SR_F64_SIGN ? 0 - quanta : quanta;
        return 1;
    }
    if (magnitude == 0) {
        *code = sign;
        return 1;
    }
    /* S1.6: field 2^(p-1) + fraction. With the hidden bit left in, m = |x| / 2^quantum is 2^(p-1) + fraction in a
     * normal number, whose field is e - emin + 1, and the fraction alone below 2^emin. */
    e = sr_exponent(number);
    if (e < format->emin) e = format->emin;
    quantum = e - format->precision + 1;
    *code = sr_shift((uint64_t)(e - format->emin), format->precision - 1) +
            sr_shift(number.significand, number.exponent - quantum);
    if (!(format->flags & SR_ZERO)) *code -= (uint64_t)1 << (format->precision - 1);
    *code |= sign;
    return 1;
}

/* The value of a code, a binary64 bit pattern; an unassigned one is NaN. Returns 0 for a code with bits above the
 * format's (S1.10). Codes of fixed point and of grids are sign-extended to 64 bits. */
SR_INLINE int sr_decode_bits(const sr_plan *plan, uint64_t code, uint64_t *x)
{
    const sr_format *const format = &plan->format;
    int const is_signed = (format->flags & SR_SIGNED) != 0;
    sr_number number;
    uint64_t sign, field;

    if (format->precision == SR_GRID) { /* S9.5 */
        int const below = (code & SR_F64_SIGN) != 0;
        uint64_t const magnitude = sr_pack(sr_grid_point(format, below ? 0 - code : code));
        *x = (below ? SR_F64_SIGN : 0) | (magnitude <= plan->max_bits ? magnitude : SR_F64_NAN);
        return 1;
    }
    if (format->precision == SR_FIXED_POINT) {
        int const below = is_signed && (code & SR_F64_SIGN) != 0;
        number.significand = below ? 0 - code : code;
        number.exponent = format->qmin;
        *x = (below ? SR_F64_SIGN : 0) | sr_pack(number);
        return number.significand <= sr_ones(plan->code_bits - is_signed) + (uint64_t)below;
    }
    if (code & ~sr_ones(plan->code_bits)) return 0;
    sign = is_signed && code >> (plan->code_bits - 1) ? SR_F64_SIGN : 0;
    code &= sr_ones(plan->code_bits - is_signed);
    *x = sign | SR_F64_INF | SR_F64_QUIET;
    if (format->flags & SR_INFINITIES && code == plan->code_infinity) {
        *x = sign | SR_F64_INF;
        return 1;
    }
    if (code == 0 && format->flags & SR_ZERO) {
        if (!sign || format->flags & SR_NEGATIVE_ZERO) *x = sign;
        return 1;
    }
    if (!(format->flags & SR_ZERO)) code += (uint64_t)1 << (format->precision - 1); /* as if field 0 held zero */
    field = code >> (format->precision - 1);
    if (field == 0 && !(format->flags & SR_SUBNORMALS)) return 1;
    number.significand = code;
    if (field) number.significand = (code & sr_ones(format->precision - 1)) | (uint64_t)1 << (format->precision - 1);
    number.exponent = format->qmin + (field ? (int)field - 1 : 0);
    if (sr_pack(number) <= (sign ? plan->min_bits : plan->max_bits)) *x = sign | sr_pack(number);
    return 1;
}

#endif
