/* The comparison phi + U >= 1 of exact stochastic rounding, driven through its refinement function: U lies at 1 - phi,
 * or 2^-n beside it, and is written out as bits by this program's own arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "srcore/scalar.h"

enum { BITS = 2304 }; /* bits behind the point: 16 and 17.875 levels of 128; positions 1 .. BITS-1 */

typedef struct fraction {
    unsigned char bit[BITS + 1]; /* bit[k] is worth 2^-k; bit[0] is the integer part */
} fraction;

static fraction zero(void)
{
    fraction f;
    memset(&f, 0, sizeof f);
    return f;
}

static fraction power(int n)
{
    fraction f = zero();
    f.bit[n] = 1;
    return f;
}

static fraction add(fraction a, const fraction *b)
{
    int carry = 0;
    for (int k = BITS; k >= 0; k--) {
        int const sum = a.bit[k] + b->bit[k] + carry;
        a.bit[k] = (unsigned char)(sum & 1);
        carry = sum >> 1;
    }
    return a;
}

/* 1 - a, for 0 < a <= 1, as the two's complement without the integer part */
static fraction one_minus(const fraction *a)
{
    fraction c = *a;
    fraction const last = power(BITS);
    for (int k = 0; k <= BITS; k++) c.bit[k] = (unsigned char)!c.bit[k];
    c = add(c, &last);
    c.bit[0] = 0;
    return c;
}

static int is_zero(const fraction *a)
{
    for (int k = 0; k <= BITS; k++)
        if (a->bit[k]) return 0;
    return 1;
}

/* phi of |x| on a grid with quantum 2^q: exact, one binary digit at a time. */
static fraction phi_of(double x, int q)
{
    fraction f = zero();
    double rest = fmod(fabs(x), ldexp(1.0, q));
    for (int k = 1; k <= BITS && rest > 0; k++) {
        double const worth = ldexp(1.0, q - k);
        if (rest >= worth && worth > 0) {
            f.bit[k] = 1;
            rest -= worth;
        }
    }
    CHECK(rest == 0, "phi of %a does not end", x);
    return f;
}

typedef struct source {
    const fraction *u;
    uint32_t calls;
} source;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    source *const s = (source *)context;
    s->calls++;
    CHECK(level == s->calls, "level %u in call %u", (unsigned)level, (unsigned)s->calls);
    for (uint32_t w = 0; w < 4; w++) {
        words[w] = 0;
        for (uint32_t b = 0; b < 32; b++) {
            uint32_t const k = 16 + 128 * (level - 1) + 32 * w + b + 1;
            words[w] = words[w] << 1 | (k <= BITS ? s->u->bit[k] : 0u);
        }
    }
}

static int went_away(const sr_plan *plan, double x, int q, const fraction *u, int last_bit_of_phi)
{
    source s = {u, 0};
    uint64_t word = 0;
    unsigned flags;
    double result, down;
    uint32_t const most = last_bit_of_phi > 16 ? ((uint32_t)last_bit_of_phi - 16 + 127) / 128 : 0;
    for (int k = 1; k <= 16; k++) word = word << 1 | u->bit[k];
    result = sr_value_f64(sr_round_bits(plan, sr_bits_f64(x), word, 0, refine, &s, &flags));
    down = ldexp(trunc(ldexp(fabs(x), -q)), q);
    CHECK(fabs(result) == down || fabs(result) == down + ldexp(1.0, q), "%a gave %a", x, result);
    CHECK(s.calls <= most, "%u calls, phi of %a ends at bit %d", (unsigned)s.calls, x, last_bit_of_phi);
    return fabs(result) != down;
}

static void check_value(const sr_plan *plan, double x, int q)
{
    static int const distances[] = {1, 2, 15, 16, 17, 18, 31, 32, 33, 48, 49, 143, 144, 145, 176, 272, 273, 1000, 1104};
    fraction const phi = phi_of(x, q);
    fraction const complement = one_minus(&phi);
    int last = 0;
    for (int k = 1; k <= BITS; k++)
        if (phi.bit[k]) last = k;
    CHECK(last > 0, "%a is on the grid", x);

    CHECK(went_away(plan, x, q, &complement, last) == 1, "U = 1 - phi, x = %a", x);
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        fraction const step = power(distances[i]);
        fraction const minus_step = one_minus(&step);
        fraction above = add(complement, &step);
        fraction below = add(complement, &minus_step); /* 1 - phi - 2^-n, plus one where that is not negative */
        int const n = distances[i];
        if (!above.bit[0]) CHECK(went_away(plan, x, q, &above, last) == 1, "U = 1 - phi + 2^-%d, x = %a", n, x);
        if (below.bit[0]) {
            below.bit[0] = 0;
            CHECK(went_away(plan, x, q, &below, last) == 0, "U = 1 - phi - 2^-%d, x = %a", n, x);
        }
    }
    { /* every position complementary as far as phi goes, then anything: not away */
        fraction u = zero();
        for (int k = 1; k <= last; k++) u.bit[k] = (unsigned char)!phi.bit[k];
        CHECK(went_away(plan, x, q, &u, last) == 0, "complement of phi, x = %a", x);
        for (int k = last + 1; k <= BITS; k += 3) u.bit[k] = 1;
        CHECK(went_away(plan, x, q, &u, last) == 0, "complement of phi and more, x = %a", x);
        CHECK(!is_zero(&phi), "x = %a", x);
    }
}

/* What a rounding says of itself, beside its result. */
static void check_flags(void)
{
    sr_rounding rounding = {SR_MODE_RNE, SR_OVERFLOW_SATURATE, SR_EXACT, SR_VARIANT_A, 0.0};
    static const struct {
        double x;
        unsigned flags;
    } cases[] = {{1.0, 0}, {0.0, 0}, {448.0, 0}, {1.0625, SR_FLAG_INEXACT}, {0x1p-30, SR_FLAG_INEXACT | SR_FLAG_UNDERFLOW},
                 {512.0, SR_FLAG_OVERFLOW}, {500.0, SR_FLAG_INEXACT | SR_FLAG_OVERFLOW}, {460.0, SR_FLAG_INEXACT}};
    sr_format format;
    sr_plan plan;
    unsigned flags;
    CHECK(sr_format_named(&format, "float8_e4m3fn") == SR_OK, "format");
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sr_round_bits(&plan, sr_bits_f64(cases[i].x), 0, 0, refine, NULL, &flags);
        CHECK(flags == cases[i].flags, "%a: flags %u, not %u", cases[i].x, flags, cases[i].flags);
    }
    rounding.overflow = SR_OVERFLOW_RAISE;
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan");
    sr_round_bits(&plan, sr_bits_f64(512.0), 0, 0, refine, NULL, &flags);
    CHECK(flags == (SR_FLAG_OVERFLOW | SR_FLAG_REFUSED), "flags %u", flags);
}

int main(void)
{
    sr_rounding const rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_format format;
    sr_plan plan;
    uint64_t state = 1;

    CHECK(sr_format_named(&format, "bfloat16") == SR_OK, "format");
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan");
    check_value(&plan, 1.0 + 0x1p-9, -7);        /* one bit */
    check_value(&plan, 1.0 + 0x1p-23, -7);       /* the 16th */
    check_value(&plan, -1.0 - 0x1p-24, -7);      /* the 17th */
    check_value(&plan, 1.0 + 0x1p-52, -7);
    check_value(&plan, 2.0 - 0x1p-52, -7);
    check_value(&plan, -0x1.5555555555555p5, -2);
    check_value(&plan, 0x1p-134, -133);          /* below the smallest subnormal, 2^-133 */
    check_value(&plan, 0x1p-277, -133);          /* bit 144 */
    check_value(&plan, 0x1p-278, -133);
    check_value(&plan, 0x1.fffffffffffffp-200, -133);
    check_value(&plan, 0x1.23456789abcdep-500, -133);
    check_value(&plan, 0x1.8p-1000, -133);
    check_value(&plan, 0x0.0000000000001p-1022, -133);
    check_value(&plan, -0x0.fffffffffffffp-1022, -133);

    CHECK(sr_format_named(&format, "float8_e4m3fn") == SR_OK, "format");
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan");
    for (int i = 0; i < 200; i++) { /* any exponent from 2^-900 to 2^7, 53 random bits */
        int exponent;
        double x;
        state = state * 6364136223846793005u + 1442695040888963407u;
        exponent = -(int)((state >> 33) % 900) + 7;
        state = state * 6364136223846793005u + 1442695040888963407u;
        x = ldexp(1.0 + (double)(state >> 12) * 0x1p-52, exponent);
        check_value(&plan, state & 1 ? -x : x, exponent - 3 < -9 ? -9 : exponent - 3);
    }

    /* A quantum of 2^1000, and a value 2074 places below it. */
    CHECK(sr_format_float(&format, 1, 1000, 1001, 0, SR_IEEE_FLAGS, SR_OVERFLOW_DEFAULT) == SR_OK, "format");
    CHECK(sr_plan_init(&plan, &format, &rounding) == SR_OK, "plan");
    check_value(&plan, 0x1p-1074, 1000);
    check_value(&plan, 0x1.fffffffffffffp-700, 1000);
    check_value(&plan, 0x1.8p999, 1000);
    check_flags();
    return check_report();
}
