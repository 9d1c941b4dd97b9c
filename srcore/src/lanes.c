/* A plan in the terms of vector lanes (kernels.h). */
#include "kernels.h"

/* A binary64 pattern as one of the carrier. */
static uint64_t carried(uint64_t bits, int width)
{
    return width == 32 ? sr_narrow_f32(bits) : bits;
}

static uint64_t power_of_two(int exponent, int width)
{
    sr_number number;
    number.significand = 1;
    number.exponent = exponent;
    return carried(sr_pack(number), width);
}

static sr_kind kind_of(const sr_plan *plan)
{
    switch (plan->mode) {
    case SR_MODE_RNE:
    case SR_MODE_RNA:
    case SR_MODE_RNZ: return SR_KIND_NEAREST;
    case SR_MODE_RO: return SR_KIND_ODD;
    case SR_MODE_SR: return plan->random_bits == SR_EXACT ? SR_KIND_EXACT : SR_KIND_FEW;
    case SR_MODE_SR_EQUAL: return SR_KIND_EQUAL;
    case SR_MODE_SR_EPS:
    case SR_MODE_SR_SIGNED: return SR_KIND_BIASED;
    default: return SR_KIND_DIRECTED;
    }
}

static void decisions(sr_lanes *c, const sr_plan *plan, int width, uint64_t ones)
{
    int const r = plan->random_bits;
    c->kind = kind_of(plan);
    c->away[0] = plan->mode == SR_MODE_RA || plan->mode == SR_MODE_RU ? ones : 0;
    c->away[1] = plan->mode == SR_MODE_RA || plan->mode == SR_MODE_RD ? ones : 0;
    c->tie_away = plan->mode == SR_MODE_RNA ? ones : 0;
    c->tie_even = plan->mode == SR_MODE_RNE ? ones : 0;
    c->few_mask = c->few_next = 0;
    if (c->kind == SR_KIND_FEW) {
        c->few_mask = ones & ~sr_ones(width - r);
        c->few_next = r < width ? (uint64_t)1 << (width - 1 - r) : 0;
    }
    c->few_up = plan->variant != SR_VARIANT_A ? ones : 0;
    c->few_even = plan->variant == SR_VARIANT_C ? ones : 0;
    c->eps_full = plan->eps >> 32 ? ones : 0;
    c->eps = plan->eps >> 32 ? 0 : plan->eps << (width - 32);
}

static void range(sr_lanes *c, const sr_plan *plan, int width)
{
    int const has_zero = (plan->format.flags & SR_ZERO) != 0;
    int const is_signed = (plan->format.flags & SR_SIGNED) != 0;
    unsigned flags;
    c->max = carried(plan->max_bits, width);
    c->min = carried(plan->min_bits, width);
    c->smallest = has_zero ? 0 : c->quantum;
    for (int negative = 0; negative < 2; negative++) { /* under RAISE these are never looked at */
        c->over[negative] = carried(sr_overflowed(plan, negative, 0, 0, &flags), width);
        c->infinite[negative] = carried(sr_overflowed(plan, negative, 1, 0, &flags), width);
        c->zero[negative] = carried(has_zero ? sr_zero(plan, negative) : sr_no_zero(plan, negative, &flags), width);
    }
    c->no_zero = !has_zero;
    c->minus_zero = plan->format.flags & SR_NEGATIVE_ZERO ? ~(uint64_t)0 : 0;
    c->over_hard = plan->overflow == SR_OVERFLOW_WRAP;
    c->negative_nan = !has_zero && !is_signed ? ~(uint64_t)0 : 0;
}

static sr_window window(uint64_t low, uint64_t high, int with_zero)
{
    sr_window w;
    w.step = with_zero ? 1 : 0;
    w.low = low - w.step;
    w.high = high - w.step;
    return w;
}

/* The windows of the quick kernels. Below a normal number of the carrier they never reach, and above, to what cannot
 * overflow. */
static void quick(sr_lanes *c, const sr_plan *plan, int width, int fraction, int bias)
{
    const sr_format *const format = &plan->format;
    uint64_t const hidden = (uint64_t)1 << fraction;
    uint64_t const high = c->max < c->min ? c->max : c->min;
    int const minus_zero = (format->flags & SR_NEGATIVE_ZERO) != 0;
    uint64_t const infinity = ((uint64_t)1 << (width - 1)) - hidden;
    uint64_t low;
    int const top = sr_exponent(sr_unpack(plan->max_bits));
    int const scaled = width == 32 && plan->kernels->path != SR_PATH_SCALAR && /* where lanes cost less than this */
                       format->qmin >= -110 && (format->flags & SR_SUBNORMALS) != 0;
    int const plain = c->kind != SR_KIND_EXACT;
    int field, natural;
    int const all = plain && (c->fixed || format->flags & SR_SUBNORMALS) && c->quantum >= hidden;

    c->quick = c->quick_codes = SR_QUICK_NONE;
    c->quick_c = (uint64_t)(int64_t)(width - bias - fraction - format->qmin);
    c->quick_k = (uint64_t)width - (c->fixed ? 0 : c->d_normal);
    c->quick_d = c->scaled_down = c->scaled_quantum = c->tiny[0] = c->tiny[1] = 0;
    c->quick_window = c->code_window = window(0, 0, 0);
    if (!(format->flags & SR_SIGNED) || !(format->flags & SR_ZERO)) return;
    if (c->kind != SR_KIND_EXACT && (c->kind > SR_KIND_ODD || format->precision == 1)) return; /* S2.7 */

    if (!c->fixed && format->emin == 1 - bias && format->flags & SR_SUBNORMALS && minus_zero &&
        (plain ? c->d_normal < (uint64_t)fraction : c->d_normal <= 16)) {
        c->quick = c->d_normal == 16 && !plain ? SR_QUICK_HALF : SR_QUICK_SAME;
        /* Where the next value is infinity, the carry into it is the overflow. */
        natural = plan->overflow == SR_OVERFLOW_INF && high + ((uint64_t)1 << c->d_normal) == infinity;
        c->quick_window = window(0, natural ? infinity : high, 0);
        if (c->d_normal == 16 && plan->code_bits == 16) { /* codes are the upper halves of patterns */
            c->quick_codes = SR_QUICK_HALF;
            c->code_window = c->quick_window;
            return;
        }
    }
    if (all && c->quick == SR_QUICK_NONE) {
        uint64_t const half = power_of_two(format->qmin - 1, width), never = infinity;
        c->quick = c->quick_codes = SR_QUICK_ALL;
        c->quick_window = c->code_window = window(0, high, 0);
        for (int negative = 0; negative < 2; negative++) {
            if (c->kind == SR_KIND_DIRECTED) c->tiny[negative] = c->away[negative] ? 0 : never;
            if (c->kind == SR_KIND_NEAREST) c->tiny[negative] = c->tie_away ? half - 1 : half;
        }
        return;
    }

    /* Values: from the quantum up, d <= MB, and nothing becomes zero. */
    low = !c->fixed && !(format->flags & SR_SUBNORMALS) ? c->normal : c->quantum;
    if (low < hidden) low = hidden;
    if (plain) low += hidden; /* d < MB */
    if (scaled && !plain && c->fixed && top - format->qmin < 14) {
        c->quick = SR_QUICK_SCALED_FIXED;
        c->quick_window = window(0, high, 0);
        c->scaled_down = c->d_below - 8;
        c->scaled_quantum = c->quantum;
    } else if (scaled && !plain && !c->fixed && minus_zero && format->emin >= -9 && format->precision <= 15) {
        /* Small values are likely. Formats of a wider range are served by lane, a little sooner but for those. */
        c->quick = SR_QUICK_SCALED;
        c->quick_window = window(0, high, 0);
        c->scaled_down = c->d_normal - 8;
        c->scaled_quantum = (uint64_t)(format->precision - 1) << fraction;
    } else if (c->quick == SR_QUICK_NONE && (!plain || minus_zero)) {
        c->quick = minus_zero ? SR_QUICK_LANES : SR_QUICK_NO_MINUS_ZERO;
        c->quick_window = window(low, high, c->quick_c != 0); /* at k = 0 a zero would lose its sign */
    }

    /* Codes of one byte: from 0 up, if what lies below the subnormals is nothing but zero, at least 16 bits are dropped,
     * and zeros, E = 0 and taken for HIDDEN, and subnormals of the carrier are shifted out. `high` is the last code. */
    if (plain) return;
    if (c->code_bytes == 1 && (format->flags & SR_SUBNORMALS) && c->d_code >= 16 + (uint64_t)fraction + 1 + 1 &&
        (c->fixed || c->d_normal >= 16)) {
        uint64_t last = 0;
        c->quick_d = c->fixed ? 0 : c->d_normal - 16; /* in fixed point S itself is then too much */
        sr_encode_bits(plan, plan->max_bits < plan->min_bits ? plan->max_bits : plan->min_bits, &last);
        c->quick_codes = c->fixed ? SR_QUICK_FIXED : minus_zero ? SR_QUICK_LANES : SR_QUICK_NO_MINUS_ZERO;
        c->code_window = window(0, last, 0);
    }

    /* Of two bytes: as long as d < W, where what becomes zero is the code 0. */
    if (c->code_bytes != 2) return;
    c->quick_codes = c->fixed ? SR_QUICK_FIXED : SR_QUICK_LANES;
    if (format->flags & SR_SUBNORMALS && (minus_zero || c->fixed)) {
        field = format->qmin + bias - (width - 1 - fraction);
        low = (uint64_t)(field < 1 ? 1 : field) << fraction;
    }
    /* A zero has E = 0 and is taken for HIDDEN; all of that is shifted out where k <= 0. */
    c->code_window = window(low, high, (int64_t)c->quick_c <= 0 && (minus_zero || c->fixed));
}

static uint64_t integer(uint64_t v)
{
    sr_number number;
    number.significand = v;
    number.exponent = 0;
    return sr_pack(number);
}

/* The conditions that grid_template.h names. */
static int grid(sr_lanes *c, const sr_plan *plan, int width)
{
    const sr_format *const format = &plan->format;
    uint64_t const least = (uint64_t)(1023 - 800) << 52, most = (uint64_t)(1023 + 900) << 52;
    uint64_t const two_50 = (uint64_t)1 << 50, room = sr_ones(53) / format->num;
    uint64_t const last = room < two_50 ? room : two_50;
    sr_format inverse = *format;
    inverse.num = format->den;
    inverse.den = format->num;
    inverse.exponent = -format->exponent;
    if (width == 32 || !plan->kernels->grid || last < 16 || plan->random_bits > 48) return 0;
    if (sr_pack(sr_grid_point(format, 1)) < least || sr_pack(sr_grid_point(format, last)) > most) return 0;
    decisions(c, plan, width, sr_ones(width));
    c->quick = c->quick_codes = SR_QUICK_NONE;
    c->code_bytes = sr_code_bytes(plan->code_bits);
    c->grid.num = integer(format->num);
    c->grid.den = integer(format->den);
    c->grid.scale = power_of_two(format->exponent, width);
    c->grid.reciprocal = sr_pack(sr_grid_point(&inverse, 1));
    /* The nearest integer and its neighbour are at most `last`. */
    c->grid.high = sr_pack(sr_grid_point(format, last - 2));
    return 1;
}

static int sr_lanes_init(sr_lanes *c, const sr_plan *plan, int width)
{
    const sr_format *const format = &plan->format;
    int const fraction = width == 32 ? 23 : 52, bias = width == 32 ? 127 : 1023;
    uint64_t const ones = sr_ones(width);
    int const p = format->precision;
    int const fixed = p == SR_FIXED_POINT;
    int const q = fixed || format->flags & SR_SUBNORMALS ? format->qmin : format->emin;
    int const emin_field = format->emin + bias;

    if (p == SR_GRID) return grid(c, plan, width);
    /* Where the carrier's subnormals are normal numbers of the format, or T is wider than a lane */
    if ((!fixed && emin_field < 1) || (plan->mode == SR_MODE_SR && plan->random_bits > width)) return 0;

    c->fixed = fixed;
    c->normal = fixed ? ones : (uint64_t)emin_field << fraction;
    c->d_normal = fixed ? 0 : (uint64_t)(fraction + 1 - p);
    c->d_below = (uint64_t)(q + bias + fraction);
    c->quantum = power_of_two(q, width);
    c->parity_mask = p == 1;
    c->parity = (uint64_t)((emin_field + (format->flags & SR_ZERO ? 1 : 0) + 1) & 1); /* see lanes' odd */
    range(c, plan, width);
    decisions(c, plan, width, ones);

    c->code_base = fixed ? ones >> 1 : (uint64_t)(emin_field - (format->flags & SR_ZERO ? 1 : 0)) << fraction;
    c->d_code = (uint64_t)(format->qmin + bias + fraction);
    c->code_nan = plan->code_nan;
    c->code_infinity = plan->code_infinity;
    c->code_sign = !fixed && format->flags & SR_SIGNED ? (uint64_t)1 << (plan->code_bits - 1) : 0;
    c->code_shift = (uint64_t)(width - plan->code_bits);
    c->code_bytes = sr_code_bytes(plan->code_bits);
    quick(c, plan, width, fraction, bias);
    return 1;
}

/* What sr_prepared makes room for; nothing else is ever stored there. */
typedef struct prepared_lanes {
    sr_lanes lanes[2];
    int serves[2];
} prepared_lanes;

typedef char prepared_fits[sizeof(prepared_lanes) <= sizeof(sr_prepared) ? 1 : -1];

sr_status sr_plan_prepare(sr_plan *plan, sr_prepared *prepared)
{
    prepared_lanes *const kept = (prepared_lanes *)(void *)prepared;
    if (!plan || !prepared) return SR_ERR_NULL;
    if (!plan->kernels) return SR_ERR_PATH;
    for (int i = 0; i < 2; i++) kept->serves[i] = sr_lanes_init(&kept->lanes[i], plan, i == 0 ? 32 : 64);
    plan->prepared = prepared;
    return SR_OK;
}

const sr_lanes *sr_lanes_of(sr_lanes *room, const sr_plan *plan, int width)
{
    const prepared_lanes *const kept = (const prepared_lanes *)(const void *)plan->prepared;
    int const i = width == 32 ? 0 : 1;
    if (!kept) return sr_lanes_init(room, plan, width) ? room : NULL;
    return kept->serves[i] ? &kept->lanes[i] : NULL;
}

int sr_draws_itself(const sr_lanes *lanes, int codes)
{
    sr_quick const quick = codes ? lanes->quick_codes : lanes->quick;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    if (quick) return 0; /* words have to be put in order first */
#endif
    return lanes->kind == SR_KIND_EXACT && quick != SR_QUICK_NONE;
}
