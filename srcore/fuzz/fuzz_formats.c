/* Formats from arbitrary arguments, names and bytes: whatever is accepted must be whole, all else be refused. */
#include "fuzz.h"

/* An accepted format is what sr_format_* makes of its own parameters. */
static void canonical(const sr_format *f)
{
    sr_format again;
    uint64_t const max = sr_bits_f64(f->max);
    int const emax = sr_exponent(sr_unpack(max));
    sr_status status;
    REQUIRE(max != 0 && max < SR_F64_INF, "max %g", f->max);
    if (f->precision == SR_GRID)
        status = sr_format_grid(&again, f->num, f->den, f->exponent, f->overflow);
    else if (f->precision == SR_FIXED_POINT)
        status = sr_format_fixed(&again, emax + 1, -f->qmin, (f->flags & SR_SIGNED) != 0, f->overflow);
    else
        status = sr_format_float(&again, f->precision, f->emin, emax, f->max, f->flags, f->overflow);
    REQUIRE(status == SR_OK, "status %d", (int)status);
    REQUIRE(again.precision == f->precision && again.emin == f->emin && again.qmin == f->qmin &&
                again.flags == f->flags && again.overflow == f->overflow && sr_bits_f64(again.max) == max &&
                sr_bits_f64(again.min) == sr_bits_f64(f->min) && again.num == f->num && again.den == f->den &&
                again.exponent == f->exponent,
            "precision %d emin %d flags %x max %g", f->precision, f->emin, (unsigned)f->flags, f->max);
}

/* Codes and values of an accepted format, there and back. */
static void use(const sr_format *f, uint64_t state)
{
    sr_rounding const nearest = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    int const bits = sr_format_code_bits(f), bytes = sr_format_code_bytes(f);
    int const extended = f->precision == SR_FIXED_POINT && f->flags & SR_SIGNED;
    sr_plan plan;
    REQUIRE(bits >= 1 && bits <= 64 && bytes == sr_code_bytes(bits), "bits %d bytes %d", bits, bytes);
    REQUIRE(sr_format_fits(f, SR_CARRIER_F64) == SR_OK, "float64 holds every format");
    REQUIRE(sr_plan_init(&plan, f, &nearest) == SR_OK, "no plan");
    REQUIRE(plan.code_bits == bits, "%d code bits, not %d", plan.code_bits, bits);
    for (int i = 0; i < 8; i++) {
        uint64_t const drawn = next_random(&state) & sr_ones(bits);
        uint64_t code = drawn, value, rounded, again = 0;
        uint64_t const sign = (uint64_t)1 << (bits - 1);
        unsigned flags;
        if (extended) code = (drawn ^ sign) - sign;
        REQUIRE(sr_decode_bits(&plan, code, &value), "code %llx has no value", (unsigned long long)code);
        rounded = sr_round_bits(&plan, value, 0, 0, NULL, NULL, &flags);
        if ((value & ~SR_F64_SIGN) > SR_F64_INF) {
            REQUIRE((rounded & ~SR_F64_SIGN) > SR_F64_INF, "NaN becomes %llx", (unsigned long long)rounded);
            continue;
        }
        REQUIRE((rounded == value && flags == 0) || (value & ~SR_F64_SIGN) == SR_F64_INF,
                "value %llx of code %llx becomes %llx", (unsigned long long)value, (unsigned long long)code,
                (unsigned long long)rounded);
        if (f->precision == SR_GRID) { /* codes from 2^63 on may have the same value */
            uint64_t decoded = value;
            if (sr_encode_bits(&plan, value, &again)) sr_decode_bits(&plan, again, &decoded);
            REQUIRE(decoded == value, "code %llx becomes %llx", (unsigned long long)code,
                    (unsigned long long)again);
            continue;
        }
        REQUIRE(sr_encode_bits(&plan, value, &again) && again == code, "code %llx becomes %llx",
                (unsigned long long)code, (unsigned long long)again);
    }
}

/* The whole interface on a format of any origin: made by sr_format_*, or arbitrary bytes. */
static void every_call(const sr_format *f, const sr_rounding *rounding, reader *in)
{
    sr_status const fits = sr_format_fits(f, SR_CARRIER_F64);
    sr_plan plan;
    sr_status status;
    uint64_t code = take(in, 8), index = 0;
    double value = 1.0;
    memset(&plan, 0x5A, sizeof plan);
    status = sr_plan_init(&plan, f, rounding);
    if (fits != SR_OK) {
        REQUIRE(status == fits, "plan %d, fits %d", (int)status, (int)fits);
        REQUIRE(sr_format_code_bits(f) == 0 && sr_format_code_bytes(f) == 0, "codes of a refused format");
        REQUIRE(sr_format_fits(f, SR_CARRIER_F32) == fits, "one carrier only");
        REQUIRE(sr_decode_f64(f, 1, &code, 1, &value, 1, &index) == fits && sr_bits_f64(value) == sr_bits_f64(1.0),
                "decoded");
    } else {
        canonical(f);
        use(f, code);
        status = sr_plan_init(&plan, f, rounding);
        if (status == SR_OK) {
            REQUIRE((unsigned)plan.mode <= SR_MODE_SR_SIGNED && plan.overflow != SR_OVERFLOW_DEFAULT &&
                        (unsigned)plan.overflow <= SR_OVERFLOW_RAISE && plan.random_bits >= 0 &&
                        plan.random_bits <= 64 && plan.eps <= (uint64_t)1 << 32 && plan.kernels,
                    "mode %d overflow %d bits %d", (int)plan.mode, (int)plan.overflow, plan.random_bits);
            return;
        }
    }
    for (size_t i = 0; i < sizeof plan; i++)
        REQUIRE(((const unsigned char *)&plan)[i] == 0x5A, "a refused plan was written to, at %zu", i);
}

static void name_of(reader *in, sr_format *format)
{
    static const char alphabet[] = "QU.-0123456789abcdefloatbinx_ \xff";
    size_t const length = (size_t)choose(in, 0, 12);
    char *const name = (char *)malloc(length + 1);
    sr_path path;
    if (!name) return;
    for (size_t i = 0; i < length; i++) {
        uint64_t const c = take(in, 1);
        name[i] = (char)(c & 128 ? (int)(c & 127) : (int)alphabet[c % (sizeof alphabet - 1)]);
    }
    name[length] = 0;
    if (sr_format_named(format, name) == SR_OK) canonical(format);
    if (sr_path_named(&path, name) == SR_OK) REQUIRE(strcmp(sr_path_name(path), name) == 0, "%s", name);
    free(name);
}

static int integer(reader *in)
{
    switch (take(in, 1) % 4) {
    case 0: return (int)(uint32_t)take(in, 4);
    case 1: return choose(in, -1100, 1100);
    default: return choose(in, -8, 60);
    }
}

static double real(reader *in)
{
    switch (take(in, 1) % 4) {
    case 0: return 0;
    case 1: return sr_value_f64(take(in, 8));
    case 2: return (double)choose(in, 0, 512) / 8;
    default: return sr_value_f64(take(in, 2) << 48);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reader in = {data, size};
    sr_format format;
    sr_rounding rounding;
    uint64_t const how = take(&in, 1);
    sr_status status = SR_ERR_NULL;

    memset(&format, (int)take(&in, 1), sizeof format);
    if (how & 64) { /* any bytes at all */
        for (size_t i = 0; i < sizeof rounding; i++) ((unsigned char *)&rounding)[i] = (unsigned char)take(&in, 1);
    } else {
        rounding.mode = (sr_mode)choose(&in, 0, 12);
        rounding.overflow = (sr_overflow)choose(&in, 0, 7);
        rounding.random_bits = choose(&in, -1, 65);
        rounding.variant = (sr_variant)choose(&in, 0, 3);
        rounding.eps = real(&in);
    }

    switch (how % 5) {
    case 4: {
        uint64_t const num = take(&in, how & 32 ? 8 : 2), den = take(&in, how & 128 ? 8 : 3);
        status = sr_format_grid(&format, num, den, integer(&in), (sr_overflow)choose(&in, 0, 7));
        break;
    }
    case 0: {
        int const precision = integer(&in), emin = integer(&in), emax = integer(&in);
        double const max = real(&in);
        unsigned const flags = (unsigned)take(&in, 1) & (how & 32 ? ~0u : SR_IEEE_FLAGS);
        status = sr_format_float(&format, precision, emin, emax, max, flags, (sr_overflow)choose(&in, 0, 7));
        break;
    }
    case 1: {
        int const int_bits = integer(&in), frac_bits = integer(&in), is_signed = (int)take(&in, 1);
        status = sr_format_fixed(&format, int_bits, frac_bits, is_signed, (sr_overflow)choose(&in, 0, 7));
        break;
    }
    case 2: name_of(&in, &format); break;
    default: { /* fields as they come */
        unsigned char *const bytes = (unsigned char *)&format;
        if (how & 128)
            for (size_t i = 0; i < sizeof format; i++) bytes[i] = (unsigned char)take(&in, 1);
        else
            sr_format_named(&format, sr_format_name((size_t)choose(&in, 0, 15)));
        break;
    }
    }
    if (status == SR_OK) canonical(&format);
    every_call(&format, &rounding, &in);
    for (int i = 0; i < 3 && in.left; i++) { /* then damaged */
        size_t const at = (size_t)choose(&in, 0, (int)sizeof format - 1);
        ((unsigned char *)&format)[at] ^= (unsigned char)take(&in, 1);
        every_call(&format, &rounding, &in);
    }

    REQUIRE(sr_strerror((sr_status)integer(&in)), "no message");
    (void)sr_path_name((sr_path)integer(&in));
    (void)sr_kernels_for((sr_path)integer(&in));
    (void)sr_format_name((size_t)take(&in, 8));
    return 0;
}
