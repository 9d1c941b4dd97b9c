/* Exact results of arithmetic on binary64 values, for the definition to round once (S7). Integers only. */
#ifndef SRCORE_EXACT_H
#define SRCORE_EXACT_H

#include "srcore/bits.h"

/* A magnitude other than zero: head 2^exponent + tail 2^tail_exponent, where tail_exponent + 128 <= exponent and the bits
 * between the two are all zero or, with `ones`, all one. An endless one (quotient, root) goes on below with bits that are
 * not all zero; its head may lack bits of 256 and more above `exponent`. */
typedef struct sr_exact {
    int negative;
    int lead; /* 2^lead <= magnitude < 2^(lead + 1) */
    uint64_t head[4]; /* least significant word first */
    int exponent;
    uint64_t tail[2];
    int tail_exponent;
    int ones;
    int endless; /* S7.3 applies */
    int goes_on;
    const uint64_t *wide; /* in place of all that: the magnitude in units of 2^exponent, of so many words; or NULL */
    int wide_words;
} sr_exact;

/* ---- integers of several words ---- */

/* Bits at .. at + count - 1, as an integer; those outside of the n words are zero. */
SR_INLINE uint64_t sr_words_bits(const uint64_t *words, int n, int at, int count)
{
    uint64_t bits = 0;
    for (int i = 0; i < n; i++) bits |= sr_shift(words[i], 64 * i - at);
    return bits & sr_ones(count);
}

/* Is a bit below place `at` set? */
SR_INLINE int sr_words_below(const uint64_t *words, int n, int at)
{
    for (int i = 0; i < n && 64 * i < at; i++)
        if (words[i] & sr_ones(at - 64 * i)) return 1;
    return 0;
}

SR_INLINE int sr_words_length(const uint64_t *words, int n)
{
    while (n > 0 && words[n - 1] == 0) n--;
    return n ? 64 * (n - 1) + sr_bit_length(words[n - 1]) : 0;
}

/* a += b, or a -= b; the carry or borrow is returned. */
SR_INLINE int sr_words_add(uint64_t *a, const uint64_t *b, int n)
{
    int carry = 0;
    for (int i = 0; i < n; i++) {
        uint64_t const sum = a[i] + b[i];
        int const over = sum < b[i];
        a[i] = sum + (uint64_t)carry;
        carry = over | (a[i] < sum);
    }
    return carry;
}

SR_INLINE int sr_words_subtract(uint64_t *a, const uint64_t *b, int n)
{
    int borrow = 0;
    for (int i = 0; i < n; i++) {
        uint64_t const difference = a[i] - b[i];
        int const under = a[i] < b[i];
        a[i] = difference - (uint64_t)borrow;
        borrow = under | (a[i] > difference);
    }
    return borrow;
}

/* to = from 2^by, by >= 0 */
SR_INLINE void sr_words_shift(uint64_t *to, int n, const uint64_t *from, int from_n, int by)
{
    for (int i = 0; i < n; i++) to[i] = sr_words_bits(from, from_n, 64 * i - by, 64);
}

/* a = a 2^by, 0 < by < 64 */
SR_INLINE void sr_words_shift_left(uint64_t *a, int n, int by)
{
    for (int i = n - 1; i > 0; i--) a[i] = a[i] << by | a[i - 1] >> (64 - by);
    a[0] <<= by;
}

SR_INLINE int sr_words_compare(const uint64_t *a, const uint64_t *b, int n)
{
    while (n > 0 && a[n - 1] == b[n - 1]) n--;
    return n == 0 ? 0 : a[n - 1] < b[n - 1] ? -1 : 1;
}

SR_INLINE void sr_words_multiply(uint64_t a, uint64_t b, uint64_t product[2])
{
    uint64_t const al = a & 0xFFFFFFFFu, ah = a >> 32, bl = b & 0xFFFFFFFFu, bh = b >> 32;
    uint64_t const low = al * bl, middle = ah * bl + (low >> 32), other = al * bh + (middle & 0xFFFFFFFFu);
    product[0] = other << 32 | (low & 0xFFFFFFFFu);
    product[1] = ah * bh + (middle >> 32) + (other >> 32);
}

/* ---- reading ---- */

/* The bits with place values 2^at .. 2^(at + count - 1), as an integer; count <= 64. */
SR_INLINE uint64_t sr_exact_bits(const sr_exact *x, int at, int count)
{
    uint64_t bits;
    if (x->wide) return sr_words_bits(x->wide, x->wide_words, at - x->exponent, count);
    bits = sr_words_bits(x->head, 4, at - x->exponent, 64) | sr_words_bits(x->tail, 2, at - x->tail_exponent, 64);
    if (x->ones) {
        int const from = x->tail_exponent + 128 > at ? x->tail_exponent + 128 : at;
        int const to = x->exponent < at + 64 ? x->exponent : at + 64;
        if (from < to) bits |= sr_shift(sr_ones(to - from), from - at);
    }
    return bits & sr_ones(count);
}

/* Is anything left below place value 2^at? */
SR_INLINE int sr_exact_below(const sr_exact *x, int at)
{
    if (x->wide) return sr_words_below(x->wide, x->wide_words, at - x->exponent);
    return x->goes_on || sr_words_below(x->head, 4, at - x->exponent) ||
           sr_words_below(x->tail, 2, at - x->tail_exponent) || (x->ones && at > x->tail_exponent + 128);
}

/* ---- making ---- */

SR_INLINE sr_exact sr_exact_none(int negative)
{
    sr_exact x;
    x.negative = negative;
    x.lead = 0;
    for (int i = 0; i < 4; i++) x.head[i] = 0;
    x.tail[0] = x.tail[1] = 0;
    x.exponent = x.tail_exponent = 0;
    x.ones = x.endless = x.goes_on = 0;
    x.wide = 0;
    x.wide_words = 0;
    return x;
}

/* A term of a sum: (-1)^negative bits 2^exponent, of at most 106 bits. */
typedef struct sr_term {
    int negative;
    uint64_t bits[2];
    int exponent;
} sr_term;

SR_INLINE int sr_term_lead(const sr_term *t)
{
    return t->exponent + sr_words_length(t->bits, 2) - 1;
}

/* Finite patterns, their signs left in or not */
SR_INLINE sr_term sr_term_of(uint64_t x)
{
    sr_number const number = sr_unpack(x & ~SR_F64_SIGN);
    sr_term t;
    t.negative = (x & SR_F64_SIGN) != 0;
    t.bits[0] = number.significand;
    t.bits[1] = 0;
    t.exponent = number.exponent;
    return t;
}

SR_INLINE sr_term sr_term_product(uint64_t x, uint64_t y)
{
    sr_number const a = sr_unpack(x & ~SR_F64_SIGN), b = sr_unpack(y & ~SR_F64_SIGN);
    sr_term t;
    t.negative = ((x ^ y) & SR_F64_SIGN) != 0;
    t.exponent = a.exponent + b.exponent;
    sr_words_multiply(a.significand, b.significand, t.bits);
    return t;
}

/* a + b, one of them not zero; 0 where they cancel. With the greater one's leading bit at place 254 of the head there is
 * room for a carry, and what straddles the head's end is, having at most 106 bits, far below it: nothing cancels then. */
SR_INLINE int sr_exact_sum(sr_exact *x, const sr_term *a, const sr_term *b)
{
    uint64_t head[4], low[2];
    int shift, straddles;
    int const a_zero = (a->bits[0] | a->bits[1]) == 0, b_zero = (b->bits[0] | b->bits[1]) == 0;
    if (a_zero || (!b_zero && sr_term_lead(a) < sr_term_lead(b))) {
        const sr_term *const other = a;
        a = b;
        b = other;
    }
    *x = sr_exact_none(a->negative);
    shift = 254 - (sr_words_length(a->bits, 2) - 1);
    x->exponent = a->exponent - shift;
    x->tail_exponent = x->exponent - 128;
    sr_words_shift(x->head, 4, a->bits, 2, shift);
    if (!a_zero && !b_zero) {
        int const place = b->exponent - x->exponent; /* of b's last bit in the head */
        straddles = place < 0;
        for (int i = 0; i < 4; i++) head[i] = sr_words_bits(b->bits, 2, 64 * i - place, 64);
        low[0] = low[1] = 0;
        if (straddles) { /* what of b lies below the head: right below it, or at a distance */
            int const s = -place;
            if (s <= 128) {
                low[0] = sr_words_bits(b->bits, 2, s - 128, 64);
                low[1] = sr_words_bits(b->bits, 2, s - 64, 64);
            } else {
                low[0] = b->bits[0];
                low[1] = b->bits[1];
                x->tail_exponent = b->exponent;
            }
        }
        if (a->negative == b->negative) {
            sr_words_add(x->head, head, 4);
            x->tail[0] = low[0];
            x->tail[1] = low[1];
        } else {
            if (sr_words_subtract(x->head, head, 4)) { /* b was the greater one: no tail */
                uint64_t zero[4] = {0, 0, 0, 0};
                sr_words_subtract(zero, x->head, 4);
                for (int i = 0; i < 4; i++) x->head[i] = zero[i];
                x->negative = !x->negative;
            }
            if (low[0] | low[1]) { /* head - tail = (head - 1) + ones + (2^128 - tail) */
                uint64_t const one[4] = {1, 0, 0, 0};
                sr_words_subtract(x->head, one, 4);
                sr_words_subtract(x->tail, low, 2);
                x->ones = 1;
            }
        }
    }
    x->lead = x->exponent + sr_words_length(x->head, 4) - 1;
    return sr_words_length(x->head, 4) != 0;
}

/* |a / b|, neither zero, down to place value 2^stop or, with it the last bit of a / b as an integer, further up. Eleven bits at a time: a remainder
 * below b < 2^53 fits with them into a word. */
#define SR_QUOTIENT_BITS 11
SR_INLINE sr_exact sr_exact_quotient(sr_number a, sr_number b, int negative, int lead, int stop)
{
    sr_exact x = sr_exact_none(negative);
    uint64_t remainder = a.significand;
    int places = a.exponent - b.exponent - stop;
    x.lead = lead;
    places = places < 0 ? 0 : places;
    x.exponent = a.exponent - b.exponent - places;
    x.head[0] = remainder / b.significand;
    remainder %= b.significand;
    while (places > 0) {
        int const bits = places < SR_QUOTIENT_BITS ? places : SR_QUOTIENT_BITS;
        uint64_t const carry = remainder << bits;
        sr_words_shift_left(x.head, 4, bits);
        x.head[0] |= carry / b.significand;
        remainder = carry % b.significand;
        places -= bits;
    }
    x.tail_exponent = x.exponent - 128;
    x.endless = 1;
    x.goes_on = remainder != 0;
    return x;
}

/* floor(log2 |a / b|) */
SR_INLINE int sr_quotient_lead(sr_number a, sr_number b)
{
    int const shift = sr_bit_length(a.significand) - sr_bit_length(b.significand);
    int const less = shift >= 0 ? a.significand < b.significand << shift : a.significand << -shift < b.significand;
    return a.exponent - b.exponent + shift - less;
}

/* The square root of a, not zero, down to place value 2^stop. Bit by bit: with root r and remainder v - r^2, another bit
 * is one if 4 r + 1, in units of its square, fits into the remainder. */
#define SR_ROOT_WORDS 32 /* 512 + 1074 + 145 bits and two more */
SR_INLINE sr_exact sr_exact_root(sr_number a, int stop)
{
    sr_exact x = sr_exact_none(0);
    uint64_t root[SR_ROOT_WORDS], remainder[SR_ROOT_WORDS], trial[SR_ROOT_WORDS];
    int places, n;
    if (a.exponent & 1) { /* even */
        a.significand <<= 1;
        a.exponent--;
    }
    x.lead = a.exponent / 2 + (sr_bit_length(a.significand) + 1) / 2 - 1;
    x.exponent = a.exponent / 2 < stop ? a.exponent / 2 : stop;
    places = x.lead - x.exponent + 1; /* bits of the root */
    n = places / 64 + 2;              /* the remainder is at most twice the root, and has two more bits */
    if (n > SR_ROOT_WORDS) n = SR_ROOT_WORDS;
    for (int i = 0; i < n; i++) root[i] = remainder[i] = 0;
    for (int i = places - 1; i >= 0; i--) {
        /* The next two bits of a: those with place values 2^(2 (exponent + i)) and twice that. */
        int const at = 2 * (x.exponent + i) - a.exponent;
        uint64_t const two = at >= -1 && at < 64 ? sr_words_bits(&a.significand, 1, at, 2) : 0;
        sr_words_shift_left(remainder, n, 2);
        remainder[0] |= two;
        sr_words_shift_left(root, n, 1); /* 2 root */
        for (int k = 0; k < n; k++) trial[k] = root[k];
        sr_words_shift_left(trial, n, 1);
        trial[0] |= 1; /* 4 root + 1 */
        if (sr_words_compare(remainder, trial, n) >= 0) {
            sr_words_subtract(remainder, trial, n);
            root[0] |= 1;
        }
    }
    for (int i = 0; i < 4; i++) x.head[i] = i < n ? root[i] : 0;
    x.tail_exponent = x.exponent - 128;
    x.endless = 1;
    x.goes_on = sr_words_length(remainder, n) != 0;
    return x;
}

/* ---- sums of many terms (S8) ---- */

/* A sum of fewer than 2^63 terms, each a value or a product of two: an integer in two's complement, in units of the square
 * of the smallest subnormal, 2^-2148. Its magnitude stays below 2^(2 1024 + 63), so that 2148 + 2048 + 63 + 1 bits do. */
#define SR_TOTAL_EXPONENT (-2148)
#define SR_TOTAL_WORDS 67
typedef struct sr_total {
    uint64_t words[SR_TOTAL_WORDS];
    int nan;         /* an operand is one */
    int invalid;     /* a term is infinity times zero */
    int infinite[2]; /* a term is infinity, -infinity */
    int zero[2];     /* 0, -0 */
    int other;       /* anything else */
} sr_total;

SR_INLINE void sr_total_clear(sr_total *total)
{
    for (int i = 0; i < SR_TOTAL_WORDS; i++) total->words[i] = 0;
    total->nan = total->invalid = total->other = 0;
    for (int i = 0; i < 2; i++) total->infinite[i] = total->zero[i] = 0;
}

SR_INLINE void sr_total_add_term(sr_total *total, const sr_term *term)
{
    int const place = term->exponent - SR_TOTAL_EXPONENT, first = place / 64;
    uint64_t carry = 0;
    for (int i = first; i < SR_TOTAL_WORDS && (i < first + 3 || carry); i++) {
        uint64_t const part = sr_words_bits(term->bits, 2, 64 * (i - first) - place % 64, 64);
        uint64_t const before = total->words[i];
        if (term->negative) {
            total->words[i] = before - part - carry;
            carry = before < part || (carry && before == part);
        } else {
            total->words[i] = before + part + carry;
            carry = total->words[i] < before || (carry && total->words[i] == before);
        }
    }
}

/* What a term is aligned by: floor(log2 |x|), and of a product that of both factors added. Not of zeros, infinities and
 * NaN, where it is SR_TOTAL_EXPONENT. */
SR_INLINE int sr_term_place(int product, uint64_t x, uint64_t y)
{
    uint64_t const xm = x & ~SR_F64_SIGN, ym = product ? y & ~SR_F64_SIGN : 1;
    if (xm == 0 || ym == 0 || xm >= SR_F64_INF || ym >= SR_F64_INF) return SR_TOTAL_EXPONENT;
    return sr_exponent(sr_unpack(xm)) + (product ? sr_exponent(sr_unpack(ym)) : 0);
}

/* x, or with `product` x y: binary64 bit patterns. What lies below the place value 2^lowest is cut off. */
SR_INLINE void sr_total_add_cut(sr_total *total, int product, uint64_t x, uint64_t y, int lowest)
{
    uint64_t const xm = x & ~SR_F64_SIGN, ym = product ? y & ~SR_F64_SIGN : 0;
    int const negative = ((x ^ (product ? y : 0)) & SR_F64_SIGN) != 0;
    int const infinite = xm == SR_F64_INF || ym == SR_F64_INF, zero = xm == 0 || (product && ym == 0);
    if (xm > SR_F64_INF || ym > SR_F64_INF) {
        total->nan = 1;
    } else if (infinite && zero) {
        total->invalid = 1;
    } else if (infinite) {
        total->infinite[negative] = 1;
    } else if (zero) {
        total->zero[negative] = 1;
    } else {
        sr_term term = product ? sr_term_product(x, y) : sr_term_of(x);
        for (int i = 0; i < 2; i++) {
            int const cut = lowest - term.exponent - 64 * i;
            if (cut > 0) term.bits[i] = cut < 64 ? term.bits[i] >> cut << cut : 0;
        }
        total->other = 1;
        sr_total_add_term(total, &term);
    }
}

SR_INLINE void sr_total_add(sr_total *total, int product, uint64_t x, uint64_t y)
{
    sr_total_add_cut(total, product, x, y, SR_TOTAL_EXPONENT);
}

/* The sum of finite terms, as *x, which reads from `total`: a negative one is made its magnitude. 0 where it is zero. */
SR_INLINE int sr_exact_total(sr_exact *x, sr_total *total)
{
    int const negative = (int)(total->words[SR_TOTAL_WORDS - 1] >> 63);
    int length;
    *x = sr_exact_none(negative);
    if (negative) {
        uint64_t carry = 1;
        for (int i = 0; i < SR_TOTAL_WORDS; i++) {
            total->words[i] = ~total->words[i] + carry;
            carry = carry && total->words[i] == 0;
        }
    }
    length = sr_words_length(total->words, SR_TOTAL_WORDS);
    x->exponent = SR_TOTAL_EXPONENT;
    x->lead = SR_TOTAL_EXPONENT + length - 1;
    x->wide = total->words;
    x->wide_words = SR_TOTAL_WORDS;
    return length != 0;
}

#endif
