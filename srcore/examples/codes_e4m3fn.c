/* float32 to codes of float8_e4m3fn, in one pass, and back. */
#include <srcore/srcore.h>

#include <stdio.h>

#define N 6

int main(void)
{
    static const float x[N] = {1.0f, -0.5f, 448.0f, 0.3f, 1e-9f, 1000.0f};
    static const uint8_t expected[N] = {0x38, 0xB0, 0x7E, 0x2A, 0x00, 0x7E}; /* 1000 saturates at 448 */
    const sr_rounding rounding = {SR_MODE_RNE, SR_OVERFLOW_SATURATE, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_format format;
    sr_plan plan;
    uint8_t codes[N];
    float back[N];
    sr_status status = sr_format_named(&format, "float8_e4m3fn");
    if (status == SR_OK) status = sr_plan_init(&plan, &format, &rounding);
    /* Nothing is drawn to nearest: no random words. */
    if (status == SR_OK) status = sr_encode_f32(&plan, NULL, N, x, 1, NULL, 0, codes, 1, NULL);
    if (status == SR_OK) status = sr_decode_f32(&format, N, codes, 1, back, 1, NULL);
    if (status != SR_OK) {
        fprintf(stderr, "%s\n", sr_strerror(status));
        return 1;
    }
    for (int i = 0; i < N; i++) {
        printf("%-6g code %02x = %g\n", x[i], codes[i], back[i]);
        if (codes[i] != expected[i]) {
            fprintf(stderr, "expected %02x\n", expected[i]);
            return 1;
        }
    }
    return back[0] == 1.0f && back[3] == 0.3125f && back[5] == 448.0f ? 0 : 1;
}
