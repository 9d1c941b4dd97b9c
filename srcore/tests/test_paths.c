/* Every path of this machine against the definition, element by element: formats x ways of rounding x overflow rules x
 * carriers x values and codes. test_paths [elements a combination] [path ...] */
#include "srcore/srcore.h"

#include "check.h"
#include "sweep.h"

#include <string.h>

#define MOST 100000

static union { float f[MOST]; double d[MOST]; uint32_t u[MOST]; uint64_t v[MOST]; } x, y, direction, apart;
static uint64_t expected[MOST];
static unsigned char status_of[MOST]; /* 0, or what the definition refuses an element with */
static uint64_t codes[MOST];

typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static long refined;

static void refine(void *context, uint32_t level, uint32_t words[4])
{
    const refinement *const at = (const refinement *)context;
    sr_philox_block(at->seed, at->stream, at->counter, level, words);
    refined++;
}

static uint64_t code_at(int bytes, size_t j)
{
    switch (bytes) {
    case 1: return ((const uint8_t *)codes)[j];
    case 2: return ((const uint16_t *)codes)[j];
    case 4: return ((const uint32_t *)codes)[j];
    default: return codes[j];
    }
}

/* One combination. With an even count, elements that would be refused are made the largest value; with an odd one they
 * stay, and the lowest refused index is compared. */
static void combination(const sr_plan *plan, const char *name, int width, int to_codes, size_t n, const sr_words *words,
                        const sr_path *paths, size_t path_count)
{
    int const bytes = sr_format_code_bytes(&plan->format);
    uint64_t state = words->seed + 77;
    size_t first_refused = n;
    for (size_t j = 0; j < n; j++) {
        uint64_t const word = sweep_word(plan, words, words->offset + j);
        refinement at;
        uint64_t value, code = 0;
        unsigned flags;
        int sign_of_direction = 0;
        at.seed = words->seed;
        at.stream = words->stream;
        at.counter = 8 * words->block + words->offset + j;
        value = sweep_element(plan, width, word, j, words->stream + words->seed, &state);
        if (plan->mode == SR_MODE_SR_SIGNED) {
            sign_of_direction = (int)(sweep_random(&state) % 3) - 1;
            if (width == 32)
                direction.f[j] = (float)sign_of_direction * (sign_of_direction > 0 ? 3e-40f : 2.0f);
            else
                direction.d[j] = sign_of_direction * 1e-310;
            if (sign_of_direction == 0 && word & 1) {
                if (width == 32)
                    direction.u[j] = 0x80000000u;
                else
                    direction.v[j] = SR_F64_SIGN;
            }
        }
        for (int again = 0; again < 2; again++) {
            expected[j] = sr_round_bits(plan, value, word, sign_of_direction, refine, &at, &flags);
            status_of[j] = flags & SR_FLAG_REFUSED ? SR_ERR_OVERFLOW : SR_OK;
            if (!status_of[j] && to_codes && !sr_encode_bits(plan, expected[j], &code)) status_of[j] = SR_ERR_NO_CODE;
            if (status_of[j] == SR_OK || n % 2) break;
            value = plan->max_bits;
        }
        if (status_of[j] && first_refused == n) first_refused = j;
        if (width == 32) {
            x.u[j] = sr_narrow_f32(value);
            if (!to_codes) expected[j] = sr_narrow_f32(expected[j]);
        } else {
            x.v[j] = value;
        }
        if (to_codes) expected[j] = code & sr_ones(8 * bytes);
    }
    for (size_t k = 0; k < path_count; k++) {
        sr_plan on = *plan;
        sr_prepared kept;
        uint64_t index = 0;
        sr_status status;
        size_t wrong = n;
        const float *const df = plan->mode == SR_MODE_SR_SIGNED ? direction.f : NULL;
        const double *const dd = plan->mode == SR_MODE_SR_SIGNED ? direction.d : NULL;
        if (sr_plan_set_path(&on, paths[k]) != SR_OK) exit(2);
        if ((n + k) % 3 == 0 && sr_plan_prepare(&on, &kept) != SR_OK) exit(2);
        if (to_codes)
            status = width == 32 ? sr_encode_f32(&on, words, n, x.f, 1, df, 1, codes, 1, &index)
                                 : sr_encode_f64(&on, words, n, x.d, 1, dd, 1, codes, 1, &index);
        else
            status = width == 32 ? sr_round_f32(&on, words, n, x.f, 1, df, 1, y.f, 1, &index)
                                 : sr_round_f64(&on, words, n, x.d, 1, dd, 1, y.d, 1, &index);
        if (first_refused < n) {
            CHECK(status == (sr_status)status_of[first_refused] && index == words->offset + first_refused,
                  "%s %s %s: status %d at %llu, not %d at %zu", sr_path_name(paths[k]), name, sweep_mode(plan->mode),
                  (int)status, (unsigned long long)index, status_of[first_refused], first_refused);
            continue;
        }
        if (status == SR_OK)
            for (wrong = 0; wrong < n; wrong++)
                if ((to_codes ? code_at(bytes, wrong) : width == 32 ? y.u[wrong] : y.v[wrong]) != expected[wrong]) break;
        CHECK(wrong == n && status == SR_OK,
              "%s %s %s bits %d variant %d overflow %s float%d%s n %zu: status %d, element %zu: x %llx, result %llx, "
              "expected %llx",
              sr_path_name(paths[k]), name, sweep_mode(plan->mode), plan->random_bits, (int)plan->variant,
              sweep_overflow(plan->overflow), width, to_codes ? " codes" : "", n, (int)status, wrong,
              (unsigned long long)(wrong == n ? 0 : width == 32 ? x.u[wrong] : x.v[wrong]),
              (unsigned long long)(wrong == n  ? 0
                                   : to_codes  ? code_at(bytes, wrong)
                                   : width == 32 ? y.u[wrong]
                                                 : y.v[wrong]),
              (unsigned long long)(wrong == n ? 0 : expected[wrong]));
    }
}

/* The same x at another stride: the same bits. */
static void strided(const sr_plan *plan, const char *name, int width, int to_codes, size_t n, const sr_words *words,
                    ptrdiff_t stride)
{
    int const bytes = to_codes ? sr_format_code_bytes(&plan->format) : width / 8;
    size_t const first = stride < 0 ? (n - 1) * (size_t)-stride : 0;
    static unsigned char expected_bytes[8 * MOST];
    unsigned char *const result = to_codes ? (unsigned char *)codes : (unsigned char *)y.u;
    sr_status status[2];
    if (n * (size_t)(stride < 0 ? -stride : stride) > MOST) return;
    for (int k = 0; k < 2; k++) {
        ptrdiff_t const by = k ? stride : 1;
        const float *const f = k ? apart.f + first : x.f;
        const double *const d = k ? apart.d + first : x.d;
        for (size_t j = 0; k && j < n; j++) {
            size_t const at = (size_t)((ptrdiff_t)first + (ptrdiff_t)j * stride);
            if (width == 32)
                apart.u[at] = x.u[j];
            else
                apart.v[at] = x.v[j];
        }
        memset(result, 0, n * (size_t)bytes);
        if (to_codes)
            status[k] = width == 32 ? sr_encode_f32(plan, words, n, f, by, NULL, 0, codes, 1, NULL)
                                    : sr_encode_f64(plan, words, n, d, by, NULL, 0, codes, 1, NULL);
        else
            status[k] = width == 32 ? sr_round_f32(plan, words, n, f, by, NULL, 0, y.f, 1, NULL)
                                    : sr_round_f64(plan, words, n, d, by, NULL, 0, y.d, 1, NULL);
        if (k == 0) memcpy(expected_bytes, result, n * (size_t)bytes);
    }
    CHECK(status[0] == status[1] && memcmp(expected_bytes, result, n * (size_t)bytes) == 0,
          "%s %s float%d%s n %zu stride %d: status %d, %d", name, sweep_mode(plan->mode), width, to_codes ? " codes" : "",
          n, (int)stride, (int)status[0], (int)status[1]);
}

static void all_of_format(size_t k, size_t n, const sr_path *paths, size_t path_count)
{
    sr_format format;
    if (sweep_format(&format, k) != SR_OK) {
        CHECK(0, "format %s", sweep_formats[k].name);
        return;
    }
    for (size_t way = 0; way < SWEEP_ROUNDINGS; way++)
        for (int overflow = SR_OVERFLOW_INF; overflow <= SR_OVERFLOW_RAISE; overflow++)
            for (int kind = 0; kind < 4; kind++) {
                int const width = kind & 1 ? 64 : 32, to_codes = kind >> 1;
                sr_rounding rounding = sweep_roundings[way];
                sr_words const words = {42 + k, 3 + way, ((uint64_t)1 << 32) - 20, n % 2 ? 5 : 0, NULL, 0};
                sr_plan plan;
                rounding.overflow = (sr_overflow)overflow;
                if (sr_plan_init(&plan, &format, &rounding) != SR_OK) continue;
                if (width == 32 && !plan.fits_f32) continue;
                combination(&plan, sweep_formats[k].name, width, to_codes, n, &words, paths, path_count);
                for (size_t path = 0; path < path_count && !(overflow % 3) && plan.mode == SR_MODE_SR; path++) {
                    static const ptrdiff_t strides[] = {2, -1, 3, -2, 7};
                    if (sr_plan_set_path(&plan, paths[path]) != SR_OK) exit(2);
                    strided(&plan, sweep_formats[k].name, width, to_codes, n, &words, strides[(way + path + k) % 5]);
                }
            }
}

int main(int argc, char **argv)
{
    size_t const n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1200;
    sr_path paths[SR_PATH_COUNT];
    size_t path_count = 0;
    for (int path = 0; path < SR_PATH_COUNT; path++) {
        int wanted = argc < 3;
        for (int a = 2; a < argc; a++) wanted = wanted || strcmp(argv[a], sr_path_name((sr_path)path)) == 0;
        if (wanted && sr_kernels_for((sr_path)path)) paths[path_count++] = (sr_path)path;
    }
    printf("paths:");
    for (size_t k = 0; k < path_count; k++) printf(" %s", sr_path_name(paths[k]));
    printf("\n");
    /* An even count replaces what is refused, an odd one looks for the first refusal; and tails of every length. */
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        all_of_format(k, n & ~(size_t)1, paths, path_count);
        all_of_format(k, 67 + 2 * (k % 16), paths, path_count);
    }
    CHECK(refined > 0, "no refinement happened");
    printf("%ld refinement blocks\n", refined);
    return check_report();
}
