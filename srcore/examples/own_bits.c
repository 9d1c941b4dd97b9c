/* One value at a time, with random bits of one's own: the definition in scalar.h, inline, as hardware with 8 random bits
 * would do it. All 256 words are tried, so the probability is counted instead of estimated. */
#include <srcore/scalar.h>

#include <stdio.h>

int main(void)
{
    const sr_rounding rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, 8, SR_VARIANT_A, 0.0};
    double const x = 1.0 + 0.25 / 128; /* a quarter of the way from 1 to bfloat16's next value */
    double const above = 1.0 + 1.0 / 128;
    int ups = 0;
    sr_format format;
    sr_plan plan;
    sr_status status = sr_format_named(&format, "bfloat16");
    if (status == SR_OK) status = sr_plan_init(&plan, &format, &rounding);
    if (status != SR_OK) {
        fprintf(stderr, "%s\n", sr_strerror(status));
        return 1;
    }
    for (uint64_t word = 0; word < 256; word++) {
        unsigned flags;
        /* No direction but in mode sr_signed, no further bits but with SR_EXACT. */
        uint64_t const bits = sr_round_bits(&plan, sr_bits_f64(x), word, 0, NULL, NULL, &flags);
        double const y = sr_value_f64(bits);
        if ((y != 1.0 && y != above) || flags != SR_FLAG_INEXACT) return 1;
        ups += y == above;
    }
    printf("%.10g becomes %.10g in %d of 256 cases, 1 in the others\n", x, above, ups);
    return ups == 64 ? 0 : 1;
}
