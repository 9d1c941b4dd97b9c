/* An array rounded to bfloat16, to nearest and stochastically. */
#include <srcore/srcore.h>

#include <stdio.h>

#define N 8

static sr_status to_bfloat16(sr_mode mode, const float *x, float *y)
{
    const sr_rounding rounding = {mode, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    const sr_words words = {7, 0, 0, 0, NULL, 0}; /* seed 7, stream 0, from its start */
    sr_format format;
    sr_plan plan;
    sr_status status = sr_format_named(&format, "bfloat16");
    if (status == SR_OK) status = sr_plan_init(&plan, &format, &rounding);
    if (status == SR_OK) status = sr_round_f32(&plan, &words, N, x, 1, NULL, 0, y, 1, NULL);
    return status;
}

int main(void)
{
    /* bfloat16 has 8 bits: between 1 and 2 its values are 1/128 apart. */
    static const float x[N] = {1.0f, 1.001953125f, 1.001953125f, 1.001953125f, 1.001953125f, 0.1f, -3.14159265f, 1e30f};
    static const float nearest[N] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 0.10009765625f, -3.140625f, 1.00025555e30f};
    static const float stochastic[N] = {1.0f, 1.0078125f,  1.0078125f, 1.0078125f,
                                        1.0f, 0.099609375f, -3.140625f, 1.00025555e30f};
    float y[N], z[N];
    sr_status status = to_bfloat16(SR_MODE_RNE, x, y);
    if (status == SR_OK) status = to_bfloat16(SR_MODE_SR, x, z);
    if (status != SR_OK) {
        fprintf(stderr, "%s\n", sr_strerror(status));
        return 1;
    }
    for (int i = 0; i < N; i++) {
        printf("%-13.9g nearest %-13.9g stochastic %-13.9g\n", x[i], y[i], z[i]);
        if (y[i] != nearest[i] || z[i] != stochastic[i]) {
            fprintf(stderr, "expected %.9g and %.9g\n", nearest[i], stochastic[i]);
            return 1;
        }
    }
    return 0;
}
