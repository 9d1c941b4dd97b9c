/* Formats: making, naming, checking; and plans. No floating-point arithmetic: max and min are built from integers. */
#include "kernels.h"

const char *sr_version(void)
{
    return SR_VERSION;
}

const char *sr_strerror(sr_status status)
{
    switch (status) {
    case SR_OK: return "success";
    case SR_ERR_NULL: return "a pointer that must not be NULL is NULL";
    case SR_ERR_PRECISION: return "precision is outside 1..53";
    case SR_ERR_EXPONENT: return "emin and emax must satisfy emin <= emax <= 1023 and emin - precision + 1 >= -1074";
    case SR_ERR_MAX: return "max must lie on the format's grid and in [2^emax, 2^(emax+1))";
    case SR_ERR_FIXED_BITS: return "int_bits + frac_bits must be in 1..53, int_bits <= 1023 and frac_bits <= 1074";
    case SR_ERR_FLAGS: return "the format's fields contradict each other";
    case SR_ERR_NAME: return "unknown format name";
    case SR_ERR_MODE: return "unknown mode";
    case SR_ERR_OVERFLOW_RULE: return "unknown overflow rule, or one that the format cannot carry out";
    case SR_ERR_EPS: return "eps is outside [0, 1]";
    case SR_ERR_RANDOM_BITS: return "random_bits is neither exact nor in 1..64";
    case SR_ERR_VARIANT: return "unknown variant";
    case SR_ERR_CARRIER: return "the carrier cannot hold every value of the format";
    case SR_ERR_STREAM: return "stream is not below 2^48";
    case SR_ERR_OFFSET: return "offset + n exceeds 2^64";
    case SR_ERR_STRIDE: return "the stride of a result is 0";
    case SR_ERR_OVERLAP: return "result and operand overlap";
    case SR_ERR_BITS_UNUSED: return "bits given in a mode that takes none";
    case SR_ERR_BITS: return "one of the given bits does not fit in the mode's random bits";
    case SR_ERR_DIRECTION: return "direction is needed in mode sr_signed, and only there";
    case SR_ERR_DIRECTION_NAN: return "direction is NaN";
    case SR_ERR_OVERFLOW: return "a value is beyond the format's range";
    case SR_ERR_NO_CODE: return "the format has no code for a result";
    case SR_ERR_CODE: return "a code has bits above the format's";
    case SR_ERR_PATH: return "no such path, or one that this build or machine lacks";
    case SR_ERR_OP: return "no such operation";
    case SR_ERR_ORDER: return "terms, an order, a block and align_bits that do not go together";
    case SR_ERR_STEP: return "a step must be num/den 2^e, num and den below 2^53, and neither round to 0 nor to infinity";
    case SR_ERR_GRID: return "grids of any step round, they do no arithmetic";
    }
    return "unknown status";
}

/* ---- making --------------------------------------------------------------------------------------- */

/* 2^high - 2^low, at most 53 apart: all bits from low up to high - 1 */
static double all_bits(int high, int low)
{
    sr_number number;
    number.significand = sr_ones(high - low);
    number.exponent = low;
    return sr_value_f64(sr_pack(number));
}

static int rule_possible(const sr_format *format, sr_overflow rule)
{
    int const fixed = format->precision == SR_FIXED_POINT;
    switch (rule) {
    case SR_OVERFLOW_INF:
    case SR_OVERFLOW_PROPAGATE: return (format->flags & SR_INFINITIES) != 0;
    case SR_OVERFLOW_NAN: return fixed || format->precision == SR_GRID || (format->flags & SR_NAN);
    case SR_OVERFLOW_WRAP: return fixed;
    case SR_OVERFLOW_SATURATE:
    case SR_OVERFLOW_RAISE: return 1;
    case SR_OVERFLOW_DEFAULT: break;
    }
    return 0;
}

static void no_step(sr_format *format)
{
    format->exponent = 0;
    format->num = format->den = 0;
}

static int float_exponents_valid(int precision, int emin, int emax)
{
    return -1074 <= emin && emin <= emax && emax <= 1023 && emin - precision + 1 >= -1074;
}

/* Is max a positive value of a grid with this precision and emin, in [2^emax, 2^(emax+1))? */
static int max_valid(const sr_format *format, int emax)
{
    uint64_t const bits = sr_bits_f64(format->max);
    if (bits == 0 || bits >= SR_F64_INF) return 0;
    if (sr_exponent(sr_unpack(bits)) != emax) return 0;
    return sr_split_at_quantum(format, bits).dropped == 0;
}

sr_status sr_format_float(sr_format *format, int precision, int emin, int emax, double max, unsigned flags,
                          sr_overflow overflow)
{
    sr_format f;
    if (!format) return SR_ERR_NULL;
    if (precision < 1 || precision > 53) return SR_ERR_PRECISION;
    if (!float_exponents_valid(precision, emin, emax)) return SR_ERR_EXPONENT;
    if (flags & ~SR_IEEE_FLAGS) return SR_ERR_FLAGS;
    if (!(flags & SR_ZERO) && flags & SR_SUBNORMALS) return SR_ERR_FLAGS;
    if (!(flags & SR_ZERO) || !(flags & SR_SIGNED)) flags &= ~SR_NEGATIVE_ZERO;

    no_step(&f);
    f.precision = precision;
    f.emin = emin;
    f.qmin = emin - precision + 1;
    f.flags = flags;
    f.max = max;
    if (sr_bits_f64(max) == 0) f.max = all_bits(emax + 1, emax - precision + 1);
    if (!max_valid(&f, emax)) return SR_ERR_MAX;
    if (flags & SR_SIGNED)
        f.min = sr_value_f64(sr_bits_f64(f.max) | SR_F64_SIGN);
    else
        f.min = flags & SR_ZERO ? 0.0 : all_bits(emin + 1, emin);
    if (overflow == SR_OVERFLOW_DEFAULT)
        overflow = flags & SR_INFINITIES ? SR_OVERFLOW_INF : flags & SR_NAN ? SR_OVERFLOW_NAN : SR_OVERFLOW_SATURATE;
    if (!rule_possible(&f, overflow)) return SR_ERR_OVERFLOW_RULE;
    f.overflow = overflow;
    *format = f;
    return SR_OK;
}

sr_status sr_format_fixed(sr_format *format, int int_bits, int frac_bits, int is_signed, sr_overflow overflow)
{
    sr_format f;
    if (!format) return SR_ERR_NULL;
    /* Each on its own first, so that the sum cannot overflow. */
    if (int_bits < -1073 || int_bits > 1023 || frac_bits < -1022 || frac_bits > 1074) return SR_ERR_FIXED_BITS;
    if (int_bits + frac_bits < 1 || int_bits + frac_bits > 53) return SR_ERR_FIXED_BITS;
    no_step(&f);
    f.precision = SR_FIXED_POINT;
    f.emin = -frac_bits;
    f.qmin = -frac_bits;
    f.flags = SR_ZERO | SR_SUBNORMALS | (is_signed ? SR_SIGNED : 0u);
    f.max = all_bits(int_bits, -frac_bits);
    f.min = is_signed ? sr_value_f64(sr_bits_f64(all_bits(int_bits + 1, int_bits)) | SR_F64_SIGN) : 0.0;
    f.overflow = overflow == SR_OVERFLOW_DEFAULT ? SR_OVERFLOW_SATURATE : overflow;
    if (!rule_possible(&f, f.overflow)) return SR_ERR_OVERFLOW_RULE;
    *format = f;
    return SR_OK;
}

/* v without its factors 2; how many there were is added to *exponent. */
static uint64_t odd_part(uint64_t v, int *exponent)
{
    for (; (v & 1) == 0; v >>= 1) ++*exponent;
    return v;
}

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t const rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

sr_status sr_format_grid(sr_format *format, uint64_t num, uint64_t den, int exponent, sr_overflow overflow)
{
    sr_format f;
    uint64_t factor, last;
    int down = 0, rest;
    if (!format) return SR_ERR_NULL;
    if (num == 0 || den == 0 || exponent < -1200 || exponent > 1200) return SR_ERR_STEP; /* no overflow below */
    factor = common_factor(num, den);
    f.num = odd_part(num / factor, &exponent);
    f.den = odd_part(den / factor, &down);
    f.exponent = exponent - down;
    if (f.num >> 53 || f.den >> 53) return SR_ERR_STEP;
    last = sr_pack(sr_grid_point(&f, 1));
    if (last == 0 || last >= SR_F64_INF) return SR_ERR_STEP;

    /* The last finite point: of the two about the largest double, which is one itself where all doubles are. */
    last = sr_grid_floor(&f, sr_unpack(SR_F64_INF - 1), &rest);
    if (last >> 54)
        last = SR_F64_INF - 1;
    else if (sr_pack(sr_grid_point(&f, last + 1)) < SR_F64_INF)
        last = sr_pack(sr_grid_point(&f, last + 1));
    else
        last = sr_pack(sr_grid_point(&f, last));
    f.precision = SR_GRID;
    f.emin = f.qmin = 0;
    f.flags = SR_IEEE_FLAGS & ~SR_NAN; /* which says that there is a code */
    f.max = sr_value_f64(last);
    f.min = sr_value_f64(last | SR_F64_SIGN);
    f.overflow = overflow == SR_OVERFLOW_DEFAULT ? SR_OVERFLOW_INF : overflow;
    if (!rule_possible(&f, f.overflow)) return SR_ERR_OVERFLOW_RULE;
    *format = f;
    return SR_OK;
}

/* ---- names ---------------------------------------------------------------------------------------- */

#define FLOAT_BASE (SR_SUBNORMALS | SR_ZERO | SR_SIGNED)

static const struct {
    const char *name;
    int precision, emin, emax;
    double max; /* 0: the largest with exponent emax */
    unsigned flags;
} named[] = {
    {"binary64", 53, -1022, 1023, 0, SR_IEEE_FLAGS},
    {"binary32", 24, -126, 127, 0, SR_IEEE_FLAGS},
    {"float16", 11, -14, 15, 0, SR_IEEE_FLAGS},
    {"bfloat16", 8, -126, 127, 0, SR_IEEE_FLAGS},
    {"tf32", 11, -126, 127, 0, SR_IEEE_FLAGS},
    {"float8_e3m4", 5, -2, 3, 0, SR_IEEE_FLAGS},
    {"float8_e4m3", 4, -6, 7, 0, SR_IEEE_FLAGS},
    {"float8_e4m3fn", 4, -6, 8, 448, FLOAT_BASE | SR_NAN | SR_NEGATIVE_ZERO},
    {"float8_e4m3fnuz", 4, -7, 7, 0, FLOAT_BASE | SR_NAN},
    {"float8_e4m3b11fnuz", 4, -10, 4, 0, FLOAT_BASE | SR_NAN},
    {"float8_e5m2", 3, -14, 15, 0, SR_IEEE_FLAGS},
    {"float8_e5m2fnuz", 3, -15, 15, 0, FLOAT_BASE | SR_NAN},
    {"float8_e8m0fnu", 1, -127, 127, 0, SR_NAN},
    {"float6_e2m3fn", 4, 0, 2, 0, FLOAT_BASE | SR_NEGATIVE_ZERO},
    {"float6_e3m2fn", 3, -2, 4, 0, FLOAT_BASE | SR_NEGATIVE_ZERO},
    {"float4_e2m1fn", 2, 0, 2, 0, FLOAT_BASE | SR_NEGATIVE_ZERO},
};

#define NAMED_COUNT (sizeof named / sizeof named[0])

const char *sr_format_name(size_t index)
{
    return index < NAMED_COUNT ? named[index].name : NULL;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* An integer of at most four digits; NULL where there is none. */
static const char *parse_integer(const char *s, int *value)
{
    int const negative = *s == '-';
    int digits = 0;
    *value = 0;
    if (negative) s++;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (++digits > 4) return NULL;
        *value = 10 * *value + (*s - '0');
    }
    if (negative) *value = -*value;
    return digits ? s : NULL;
}

sr_status sr_format_named(sr_format *format, const char *name)
{
    int int_bits, frac_bits, is_signed;
    if (!format || !name) return SR_ERR_NULL;
    for (size_t i = 0; i < NAMED_COUNT; i++)
        if (same(name, named[i].name))
            return sr_format_float(format, named[i].precision, named[i].emin, named[i].emax, named[i].max,
                                   named[i].flags, SR_OVERFLOW_DEFAULT);
    is_signed = *name != 'U';
    if (!is_signed) name++;
    if (*name++ != 'Q') return SR_ERR_NAME;
    name = parse_integer(name, &int_bits);
    if (!name || *name != '.') return SR_ERR_NAME;
    name = parse_integer(name + 1, &frac_bits);
    if (!name || *name) return SR_ERR_NAME;
    return sr_format_fixed(format, int_bits, frac_bits, is_signed, SR_OVERFLOW_DEFAULT);
}

/* ---- checking ------------------------------------------------------------------------------------- */

/* The fields that sr_format_* would have filled in from these, and no others. */
static sr_status check(const sr_format *format)
{
    sr_format again;
    sr_status status;
    uint64_t const max = sr_bits_f64(format->max);
    if (max == 0 || max >= SR_F64_INF) return SR_ERR_MAX;
    if (format->precision == SR_GRID) {
        status = sr_format_grid(&again, format->num, format->den, format->exponent, format->overflow);
    } else if (format->precision == SR_FIXED_POINT) {
        if (format->qmin < -1074 || format->qmin > 1022) return SR_ERR_FIXED_BITS;
        status = sr_format_fixed(&again, sr_exponent(sr_unpack(max)) + 1, -format->qmin,
                                 (format->flags & SR_SIGNED) != 0, format->overflow);
    } else {
        status = sr_format_float(&again, format->precision, format->emin, sr_exponent(sr_unpack(max)), format->max,
                                 format->flags, format->overflow);
    }
    if (status != SR_OK) return status;
    if (again.precision != format->precision || again.emin != format->emin || again.qmin != format->qmin ||
        again.flags != format->flags || again.overflow != format->overflow || sr_bits_f64(again.max) != max ||
        sr_bits_f64(again.min) != sr_bits_f64(format->min) || again.num != format->num || again.den != format->den ||
        again.exponent != format->exponent)
        return SR_ERR_FLAGS;
    return SR_OK;
}

/* binary32: 24 bits, quanta from 2^-149, values below 2^128. In fixed point -2^int_bits needs its exponent too. */
static int fits_f32(const sr_format *format)
{
    sr_number const max = sr_unpack(sr_bits_f64(format->max));
    if (format->precision == SR_GRID || format->qmin < -149) return 0;
    if (sr_exponent(max) + (format->precision == SR_FIXED_POINT && format->flags & SR_SIGNED ? 1 : 0) > 127) return 0;
    if (format->precision == SR_FIXED_POINT) return sr_exponent(max) - format->qmin + 1 <= 24;
    return format->precision <= 24;
}

sr_status sr_format_fits(const sr_format *format, sr_carrier carrier)
{
    sr_status status;
    if (!format) return SR_ERR_NULL;
    status = check(format);
    if (status != SR_OK) return status;
    if (carrier == SR_CARRIER_F64) return SR_OK;
    return carrier == SR_CARRIER_F32 && fits_f32(format) ? SR_OK : SR_ERR_CARRIER;
}

/* ---- codes ---------------------------------------------------------------------------------------- */

/* S1.6 .. S1.9, for a format that has been checked */
static void lay_out_codes(sr_plan *plan)
{
    const sr_format *const format = &plan->format;
    int const is_signed = (format->flags & SR_SIGNED) != 0;
    int const p = format->precision;
    int const emax = sr_exponent(sr_unpack(plan->max_bits));
    uint64_t highest = 0;
    int magnitude_bits;

    plan->code_infinity = 0;
    plan->code_nan = 0;
    if (p == SR_GRID) return; /* plan_codes' 64 */
    if (p == SR_FIXED_POINT) {
        plan->code_bits = emax + 1 - format->qmin + is_signed;
        return;
    }
    sr_encode_bits(plan, plan->max_bits, &highest);
    if (format->flags & SR_INFINITIES) {
        highest = plan->code_infinity = (uint64_t)(emax - format->emin + 2) << (p - 1);
        if (format->flags & SR_NAN)
            highest = plan->code_nan = plan->code_infinity + (p == 1 ? 1 : (uint64_t)1 << (p - 2));
    }
    magnitude_bits = highest ? sr_bit_length(highest) : 1;
    if ((format->flags & (SR_NAN | SR_INFINITIES)) == SR_NAN) {
        if (is_signed && format->flags & SR_ZERO && !(format->flags & SR_NEGATIVE_ZERO)) {
            plan->code_nan = (uint64_t)1 << magnitude_bits; /* the sign bit alone */
        } else {
            if (highest == sr_ones(magnitude_bits)) magnitude_bits++;
            plan->code_nan = sr_ones(magnitude_bits);
        }
    }
    plan->code_bits = magnitude_bits + is_signed;
}

/* A plan for codes alone, for a format that has been checked */
static void plan_codes(sr_plan *plan, const sr_format *format)
{
    plan->format = *format;
    plan->max_bits = sr_bits_f64(format->max);
    plan->min_bits = sr_bits_f64(format->min) & ~SR_F64_SIGN;
    plan->code_bits = 64;
    lay_out_codes(plan);
}

int sr_format_code_bits(const sr_format *format)
{
    sr_plan plan;
    if (!format || check(format) != SR_OK) return 0;
    plan_codes(&plan, format);
    return plan.code_bits;
}

int sr_format_code_bytes(const sr_format *format)
{
    int const bits = sr_format_code_bits(format);
    return bits ? sr_code_bytes(bits) : 0;
}

/* ---- plans ---------------------------------------------------------------------------------------- */

/* rne(eps 2^32) for 0 <= eps <= 1, in integers; anything else returns a value above 2^32. */
static uint64_t eps_units(double eps)
{
    uint64_t const bits = sr_bits_f64(eps);
    uint64_t const one = (uint64_t)1 << 32;
    sr_number number;
    sr_split split;
    sr_format units;
    if (bits == SR_F64_SIGN || bits == 0) return 0;
    if (bits > sr_bits_f64(1.0)) return one + 1; /* above 1, negative or NaN: all have greater patterns */
    sr_format_fixed(&units, 1, 32, 0, SR_OVERFLOW_SATURATE);
    number = sr_unpack(bits);
    split = sr_split_at_quantum(&units, bits);
    if (split.width == 0) return sr_shift(number.significand, number.exponent + 32);
    return split.whole + (uint64_t)(sr_phi(&split, 0, 1) && (sr_phi_beyond(&split, 1) || split.odd));
}

sr_status sr_plan_init(sr_plan *plan, const sr_format *format, const sr_rounding *rounding)
{
    uint64_t eps;
    sr_overflow overflow;
    sr_status status;
    if (!plan || !format || !rounding) return SR_ERR_NULL;
    status = check(format);
    if (status != SR_OK) return status;
    if ((unsigned)rounding->mode > (unsigned)SR_MODE_SR_SIGNED) return SR_ERR_MODE;
    if ((unsigned)rounding->overflow > (unsigned)SR_OVERFLOW_RAISE) return SR_ERR_OVERFLOW_RULE;
    if (rounding->random_bits < 0 || rounding->random_bits > 64) return SR_ERR_RANDOM_BITS;
    if ((unsigned)rounding->variant > (unsigned)SR_VARIANT_C) return SR_ERR_VARIANT;
    eps = eps_units(rounding->eps);
    if (eps > (uint64_t)1 << 32) return SR_ERR_EPS;
    overflow = rounding->overflow == SR_OVERFLOW_DEFAULT ? format->overflow : rounding->overflow;
    if (!rule_possible(format, overflow)) return SR_ERR_OVERFLOW_RULE;

    plan_codes(plan, format);
    plan->eps = eps;
    plan->mode = rounding->mode;
    plan->overflow = overflow;
    plan->variant = rounding->variant;
    plan->random_bits = 0;
    plan->word_bits = 0;
    switch (rounding->mode) { /* S4.4 */
    case SR_MODE_SR:
        plan->random_bits = rounding->random_bits;
        if (plan->random_bits == SR_EXACT)
            plan->word_bits = 16;
        else
            plan->word_bits = plan->random_bits <= 8 ? 8 : plan->random_bits <= 16 ? 16 : plan->random_bits <= 32 ? 32 : 64;
        break;
    case SR_MODE_SR_EQUAL: plan->random_bits = plan->word_bits = 16; break;
    case SR_MODE_SR_EPS:
    case SR_MODE_SR_SIGNED: plan->random_bits = plan->word_bits = 32; break;
    default: break;
    }
    plan->fits_f32 = fits_f32(format);
    plan->kernels = sr_kernels_for(sr_path_best());
    plan->prepared = NULL;
    return SR_OK;
}

uint64_t sr_call_blocks(const sr_plan *plan, uint64_t n)
{
    uint64_t per_block;
    if (!plan || plan->word_bits == 0) return 0;
    per_block = 128 / (uint64_t)plan->word_bits;
    return n / per_block + (n % per_block != 0);
}
