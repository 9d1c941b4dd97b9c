/* The long comparison: every path of this machine with the scalar one, and that with the definition, by element.
 *
 *     test_sweep [PART PARTS [EVERY]]
 *
 * does its part of the work, 0 <= PART < PARTS, of which EVERY leaves only each so-many-th chunk. */
#include "srcore/srcore.h"

#include "sweep.h"

#include <string.h>
#include <time.h>

#define CHUNK 16384
#define ROOM (CHUNK + 64)
#define GUARD 64 /* bytes behind a result that must stay as they are */

typedef union array {
    float f[ROOM];
    double d[ROOM];
    uint32_t u[ROOM];
    uint64_t v[ROOM];
    unsigned char bytes[8 * ROOM];
} array;

static array x, clean, directions, y, other;
static sr_path others[SR_PATH_COUNT];
static int other_count;
static uint64_t part, parts = 1, every = 1;
static long long on_paths, by_definition, undecided;
static int differences;

static uint64_t at(const array *from, int bytes, size_t j)
{
    switch (bytes) {
    case 1: return from->bytes[j];
    case 2: return ((const uint16_t *)(const void *)from)[j];
    case 4: return from->u[j];
    default: return from->v[j];
    }
}

static void put(array *to, int width, size_t j, uint64_t pattern)
{
    if (width == 32)
        to->u[j] = (uint32_t)pattern;
    else
        to->v[j] = pattern;
}

static uint64_t widened(uint64_t pattern, int width)
{
    return width == 32 ? sr_widen_f32((uint32_t)pattern) : pattern;
}

static int mine(uint64_t chunk)
{
    return chunk % (parts * every) == part;
}

typedef struct refinement {
    uint64_t seed, stream, counter;
} refinement;

static void refine(void *context, uint32_t level, uint32_t block[4])
{
    const refinement *const of = (const refinement *)context;
    sr_philox_block(of->seed, of->stream, of->counter, level, block);
    undecided += level == 1;
}

static sr_status run(const sr_plan *plan, const sr_words *words, int width, int to_codes, size_t n, size_t skip,
                     const array *from, array *to)
{
    const float *const vf = plan->mode == SR_MODE_SR_SIGNED ? directions.f : NULL;
    const double *const vd = plan->mode == SR_MODE_SR_SIGNED ? directions.d : NULL;
    if (to_codes)
        return width == 32 ? sr_encode_f32(plan, words, n, from->f + skip, 1, vf, 1, to, 1, NULL)
                           : sr_encode_f64(plan, words, n, from->d + skip, 1, vd, 1, to, 1, NULL);
    return width == 32 ? sr_round_f32(plan, words, n, from->f + skip, 1, vf, 1, to->f, 1, NULL)
                       : sr_round_f64(plan, words, n, from->d + skip, 1, vd, 1, to->d, 1, NULL);
}

static void differs(const sr_plan *plan, const char *name, int width, int to_codes, const char *path, uint64_t index,
                    uint64_t input, uint64_t got, uint64_t expected)
{
    if (differences++ >= 20) return;
    printf("%s, %s, %s (bits %d, variant %d, eps %llx, overflow %s), float%d to %s: element %llu, input %llx: %llx, "
           "not %llx\n", path, name, sweep_mode(plan->mode), plan->random_bits, (int)plan->variant,
           (unsigned long long)plan->eps, sweep_overflow(plan->overflow), width, to_codes ? "codes" : "values",
           (unsigned long long)index, (unsigned long long)input, (unsigned long long)got, (unsigned long long)expected);
}

/* n elements from x[skip] on: all paths, and by the definition those from `first` on, `step` apart (0: none). */
static void compare(const sr_plan *plan, const char *name, const sr_words *words, int width, int to_codes, size_t n,
                    size_t skip, const array *from, size_t first, size_t step)
{
    int const bytes = to_codes ? sr_code_bytes(plan->code_bits) : width / 8;
    uint32_t const per_block = plan->word_bits ? 128u / (uint32_t)plan->word_bits : 1;
    int const unused = plan->random_bits == SR_EXACT ? 0 : plan->word_bits - plan->random_bits;
    size_t const size = n * (size_t)bytes;
    uint64_t block_at = 0;
    uint32_t block[4] = {0, 0, 0, 0};
    int drawn = 0;
    sr_plan on = *plan;
    sr_status status = sr_plan_set_path(&on, SR_PATH_SCALAR);
    static unsigned char guard[GUARD];
    memset(guard, 0xA5, sizeof guard);

    memcpy(y.bytes + size, guard, GUARD);
    if (status == SR_OK) status = run(&on, words, width, to_codes, n, skip, from, &y);
    if (status != SR_OK || memcmp(y.bytes + size, guard, GUARD) != 0) {
        differs(plan, name, width, to_codes, "scalar: refused, or wrote too much", words->offset, 0,
                (uint64_t)status, 0);
        return;
    }
    for (int k = 0; k < other_count; k++) {
        memcpy(other.bytes + size, guard, GUARD);
        status = sr_plan_set_path(&on, others[k]);
        if (status == SR_OK) status = run(&on, words, width, to_codes, n, skip, from, &other);
        on_paths += (long long)n;
        if (status == SR_OK && memcmp(y.bytes, other.bytes, size + GUARD) == 0) continue;
        for (size_t j = 0; j < n; j++)
            if (status != SR_OK || at(&other, bytes, j) != at(&y, bytes, j)) {
                differs(plan, name, width, to_codes, sr_path_name(others[k]), words->offset + j,
                        at(from, width / 8, skip + j), status != SR_OK ? (uint64_t)status : at(&other, bytes, j),
                        at(&y, bytes, j));
                break;
            }
        if (memcmp(other.bytes + size, guard, GUARD) != 0)
            differs(plan, name, width, to_codes, "wrote too much", words->offset, 0, 0, 0);
    }
    if (step == 0) return;
    for (size_t j = first; j < n; j += step) {
        uint64_t const i = words->offset + j;
        uint64_t const input = at(from, width / 8, skip + j);
        uint64_t word = 0, expected, code = 0;
        refinement of;
        unsigned flags;
        int sign = 0;
        if (plan->word_bits) {
            if (!drawn || i / per_block != block_at) {
                block_at = i / per_block;
                drawn = 1;
                sr_philox_block(words->seed, words->stream, words->block + block_at, 0, block);
            }
            word = sr_philox_pick(block, plan->word_bits, (uint32_t)(i % per_block)) >> unused;
        }
        if (plan->mode == SR_MODE_SR_SIGNED) {
            uint64_t const v = widened(at(&directions, width / 8, j), width);
            sign = (v & ~SR_F64_SIGN) == 0 ? 0 : v & SR_F64_SIGN ? -1 : 1;
        }
        of.seed = words->seed;
        of.stream = words->stream;
        of.counter = 8 * words->block + i;
        expected = sr_round_bits(plan, widened(input, width), word, sign, refine, &of, &flags);
        if (to_codes && sr_encode_bits(plan, expected, &code))
            expected = code & sr_ones(8 * bytes);
        else if (width == 32)
            expected = sr_narrow_f32(expected);
        by_definition++;
        if (expected != at(&y, bytes, j))
            differs(plan, name, width, to_codes, "scalar", i, input, at(&y, bytes, j), expected);
    }
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report(const char *what, double since)
{
    printf("[%llu/%llu] %s: %lld results of paths against scalar, %lld of scalar against the definition, %d differ, "
           "%.1f s\n", (unsigned long long)part, (unsigned long long)parts, what, on_paths, by_definition, differences,
           seconds() - since);
    fflush(stdout);
    on_paths = by_definition = 0;
}

static void check(sr_status status)
{
    if (status == SR_OK) return;
    printf("%s\n", sr_strerror(status));
    exit(1);
}

/* ---- all float32, many float64 ---- */

static const char *const four[] = {"bfloat16", "float16", "float8_e4m3fn", "Q3.8"};
static const sr_rounding modes[] = {
    {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
    {SR_MODE_SR_EPS, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.25},
    {SR_MODE_RO, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0},
};

static sr_plan plan_of(int format, int mode)
{
    sr_format made;
    sr_plan plan;
    check(sr_format_named(&made, four[format]));
    check(sr_plan_init(&plan, &made, &modes[mode]));
    return plan;
}

/* Values, and in mode sr also codes. By the definition, each mode's values in two formats; each 31st in the others. */
static void all_float32(void)
{
    char what[80];
    for (int mode = 0; mode < 4; mode++)
        for (int format = 0; format < 4; format++) {
            sr_plan const plan = plan_of(format, mode);
            int const whole = format % 2 == mode % 2;
            double const since = seconds();
            for (uint64_t chunk = 0; chunk < (uint64_t)1 << 32; chunk += CHUNK) {
                sr_words const words = {20 + (uint64_t)mode, (uint64_t)format, 0, chunk, NULL, 0};
                if (!mine(chunk / CHUNK)) continue;
                for (size_t j = 0; j < CHUNK; j++) {
                    uint32_t const pattern = (uint32_t)chunk + (uint32_t)j;
                    x.u[j] = pattern;
                    clean.u[j] = (pattern & 0x7FFFFFFFu) > 0x7F800000u ? pattern & 0xFF800000u : pattern;
                }
                compare(&plan, four[format], &words, 32, 0, CHUNK, 0, &x, whole ? 0 : (size_t)(chunk / CHUNK % 31),
                        whole ? 1 : 31);
                if (plan.mode == SR_MODE_SR)
                    compare(&plan, four[format], &words, 32, 1, CHUNK, 0, &clean, (size_t)(chunk / CHUNK % 31), 31);
            }
            snprintf(what, sizeof what, "all float32 to %s, %s", four[format], sweep_mode(plan.mode));
            report(what, since);
        }
}

/* A quarter of all magnitudes, a quarter of about binary32's, half about the small formats'. */
static void many_float64(uint64_t count)
{
    double const since = seconds();
    sr_plan plans[16];
    for (int i = 0; i < 16; i++) plans[i] = plan_of(i / 4, i % 4);
    for (uint64_t chunk = 0; chunk < count; chunk += CHUNK) {
        size_t const n = CHUNK - (size_t)(chunk / CHUNK % 67), skip = (size_t)(chunk / CHUNK % 5);
        sr_words const words = {30, 2, ((uint64_t)1 << 32) - 100, chunk, NULL, 0};
        uint64_t state = chunk;
        if (!mine(chunk / CHUNK)) continue;
        for (size_t j = 0; j < CHUNK + 8; j++) {
            uint64_t const r = sweep_random(&state), s = sweep_random(&state);
            uint64_t const field = r & 2 ? 1023 - 24 + (r >> 8) % 42 : 1023 - 150 + (r >> 8) % 300;
            x.v[j] = r & 3 ? (s & ~SR_F64_INF) | field << 52 : s;
            clean.v[j] = (x.v[j] & ~SR_F64_SIGN) > SR_F64_INF ? s & ~((uint64_t)1 << 62) : x.v[j];
        }
        for (int i = 0; i < 16; i++) {
            compare(&plans[i], four[i / 4], &words, 64, 0, n, skip, &x, (size_t)(chunk / CHUNK % 100), 100);
            if (plans[i].mode == SR_MODE_SR) compare(&plans[i], four[i / 4], &words, 64, 1, n, skip, &clean, 0, 0);
        }
    }
    report("random float64 to the same formats in the same modes", since);
}

/* ---- every format and way of rounding ---- */

/* From both carriers, values and codes, under all rules in turn but `raise`. Where inputs would be refused,
 * finite ones are taken. `count` for each of the four. */
static void all_formats(uint64_t count)
{
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format;
        double const since = seconds();
        check(sweep_format(&format, k));
        for (int width = 32; width <= 64; width += 32) {
            sr_rounding rounding = sweep_roundings[8]; /* sr */
            sr_plan plan;
            sr_overflow rules[6];
            size_t rule_count = 0;
            uint64_t const infinity = width == 32 ? 0x7F800000u : SR_F64_INF;
            uint64_t const finite = ~((uint64_t)3 << (width - 4)); /* an exponent of at most 2^32 or so of all ones */
            if (sr_format_fits(&format, width == 32 ? SR_CARRIER_F32 : SR_CARRIER_F64) != SR_OK) continue;
            for (int rule = SR_OVERFLOW_INF; rule < SR_OVERFLOW_RAISE; rule++) {
                rounding.overflow = (sr_overflow)rule;
                if (sr_plan_init(&plan, &format, &rounding) == SR_OK) rules[rule_count++] = (sr_overflow)rule;
            }
            rounding.overflow = SR_OVERFLOW_SATURATE;
            check(sr_plan_init(&plan, &format, &rounding));
            for (uint64_t chunk = 0; chunk < count; chunk += CHUNK) {
                uint64_t const number = chunk / CHUNK;
                size_t const n = CHUNK - (size_t)(number % 67), skip = (size_t)(number % 5);
                sr_words const words = {40 + k, 3, ((uint64_t)1 << 32) - 1000, chunk, NULL, 0};
                uint64_t state = chunk ^ k << 40;
                if (!mine(number)) continue;
                for (size_t j = 0; j < skip; j++) x.v[j] = clean.v[j] = 0;
                for (size_t j = 0; j < n; j++) {
                    uint64_t const word = sweep_word(&plan, &words, words.offset + j);
                    uint64_t const value = sweep_element(&plan, width, word, j, (size_t)number, &state);
                    uint64_t const pattern = width == 32 ? sr_narrow_f32(value) : value;
                    uint64_t const magnitude = pattern & sr_ones(width - 1);
                    put(&x, width, skip + j, pattern);
                    put(&clean, width, skip + j, magnitude < infinity ? pattern : pattern & finite);
                    put(&directions, width, j, sweep_direction(width, &state));
                }
                for (size_t way = 0; way < SWEEP_ROUNDINGS; way++)
                    for (int to_codes = 0; to_codes < 2; to_codes++) {
                        int const no_nan = to_codes && !(format.flags & SR_NAN);
                        sr_plan made;
                        rounding = sweep_roundings[way];
                        rounding.overflow = rules[(number / parts + way) % rule_count];
                        if (no_nan && rounding.overflow == SR_OVERFLOW_NAN) rounding.overflow = SR_OVERFLOW_SATURATE;
                        check(sr_plan_init(&made, &format, &rounding));
                        compare(&made, sweep_formats[k].name, &words, width, to_codes, n, skip,
                                no_nan || made.overflow == SR_OVERFLOW_WRAP ? &clean : &x, (size_t)(number % 31), 31);
                    }
            }
        }
        report(sweep_formats[k].name, since);
    }
}

/* ---- refinement ---- */

/* phi begins with the complement of the word, and mostly goes on with that of the refinement's words; a bit that is
 * changed somewhere decides. */
static uint64_t undecided_value(const sr_plan *plan, int width, uint64_t word, const uint32_t more[4], uint64_t *state)
{
    const sr_format *const format = &plan->format;
    uint64_t const r = sweep_random(state), s = sweep_random(state);
    int const fixed = format->precision == SR_FIXED_POINT;
    int const p = fixed ? plan->code_bits - 1 : format->precision;
    int const room = (width == 32 ? 24 : 53) - 17;
    int const most = p < room ? p : room;
    int const whole_bits = most > 0 ? (int)(r & 0xFF) % (most + 1) : 0;
    int const beyond = room + 1 - whole_bits; /* bits of phi behind the first 16 */
    uint64_t const after = (uint64_t)more[0] << 32 | more[1];
    int const emax = sr_exponent(sr_unpack(plan->max_bits));
    uint64_t phi = (r >> 8 & 3 ? ~after : s) >> (64 - beyond);
    sr_number number;
    if (r >> 10 & 1) phi ^= (uint64_t)1 << (r >> 32) % (uint64_t)beyond;
    number.significand = whole_bits ? s >> (64 - whole_bits) | (uint64_t)1 << (whole_bits - 1) : 0;
    number.significand = (number.significand << 16 | (0xFFFF - word)) << beyond | phi;
    number.exponent = format->qmin - 16 - beyond;
    if (!fixed && whole_bits == p) number.exponent += (int)((r >> 16 & 0xFFFF) % (uint64_t)(emax - format->emin + 1));
    if (number.exponent < -1126) number.exponent = -1126;
    return s << 63 | sweep_carried(sr_pack(number), width);
}

static void refinements(uint64_t count)
{
    double const since = seconds();
    long long counted = 0, further = 0;
    undecided = 0;
    for (size_t k = 0; k < SWEEP_FORMATS; k++) {
        sr_format format;
        sr_plan plan;
        sr_rounding rounding = sweep_roundings[8]; /* sr */
        rounding.overflow = SR_OVERFLOW_SATURATE;
        check(sweep_format(&format, k));
        check(sr_plan_init(&plan, &format, &rounding));
        for (int width = 32; width <= 64; width += 32) {
            if (width == 32 && !plan.fits_f32) continue;
            for (uint64_t chunk = 0; chunk < count; chunk += CHUNK) {
                sr_words const words = {50 + k, ((uint64_t)1 << 48) - 1, (uint64_t)0 - 700, chunk, NULL, 0};
                uint64_t state = chunk ^ k << 40;
                if (!mine(chunk / CHUNK + k)) continue;
                for (size_t j = 0; j < CHUNK; j++) {
                    uint64_t const i = words.offset + j, word = sweep_word(&plan, &words, i);
                    uint32_t more[4];
                    uint64_t value;
                    sr_philox_block(words.seed, words.stream, 8 * words.block + i, 1, more);
                    value = undecided_value(&plan, width, word, more, &state);
                    put(&x, width, j, width == 32 ? sr_narrow_f32(value) : value);
                    if ((value & ~SR_F64_SIGN) != 0 && (value & ~SR_F64_SIGN) < SR_F64_INF) {
                        sr_split const split = sr_split_at_quantum(&format, value & ~SR_F64_SIGN);
                        further += sr_phi(&split, 0, 16) + word == 0xFFFF &&
                                   sr_phi(&split, 16, 32) + more[0] == 0xFFFFFFFFu && sr_phi_beyond(&split, 48);
                    }
                }
                compare(&plan, sweep_formats[k].name, &words, width, 1, CHUNK, 0, &x, 0, 1);
                undecided = counted; /* once each */
                compare(&plan, sweep_formats[k].name, &words, width, 0, CHUNK, 0, &x, 0, 1);
                counted = undecided;
            }
        }
    }
    printf("[%llu/%llu] %lld elements undecided by their first 16 bits, %lld of them by 48\n",
           (unsigned long long)part, (unsigned long long)parts, undecided, further);
    if (every == 1 && undecided < 10000000 / (long long)parts) {
        printf("too few\n");
        differences++;
    }
    report("refinement, values and codes", since);
}

int main(int argc, char **argv)
{
    double const since = seconds();
    if (argc >= 3) {
        part = strtoull(argv[1], NULL, 10);
        parts = strtoull(argv[2], NULL, 10);
    }
    if (argc == 4) every = strtoull(argv[3], NULL, 10);
    if (argc == 2 || argc > 4 || part >= parts || every == 0) {
        printf("usage: test_sweep [PART PARTS [EVERY]]\n");
        return 2;
    }
    printf("[%llu/%llu] against scalar:", (unsigned long long)part, (unsigned long long)parts);
    for (int path = 0; path < SR_PATH_COUNT; path++)
        if (path != SR_PATH_SCALAR && sr_kernels_for((sr_path)path)) {
            others[other_count++] = (sr_path)path;
            printf(" %s", sr_path_name((sr_path)path));
        }
    printf("\n");
    refinements(20 * CHUNK);
    many_float64(100000000);
    all_formats(2500000);
    all_float32();
    printf("[%llu/%llu] %d differences, %.0f s\n", (unsigned long long)part, (unsigned long long)parts, differences,
           seconds() - since);
    return differences != 0;
}
