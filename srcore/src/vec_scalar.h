/* The vector vocabulary with one lane, in plain C. A mask is all ones or zero, so that no choice becomes a branch. */

typedef uint32_t scalar_v_32;
typedef uint64_t scalar_v_64;
typedef uint32_t scalar_m_32;
typedef uint64_t scalar_m_64;
enum { scalar_lanes_32 = 1, scalar_lanes_64 = 1 };

#define LIKE(W, T, S)                                                                                                  \
    SR_SPECIALIZE T scalar_load_##W(const void *p)                                                                     \
    {                                                                                                                  \
        T v;                                                                                                           \
        SR_COPY(&v, p, sizeof v);                                                                                      \
        return v;                                                                                                      \
    }                                                                                                                  \
    SR_SPECIALIZE void scalar_store_##W(void *p, T v) { SR_COPY(p, &v, sizeof v); }                                    \
    SR_SPECIALIZE T scalar_set_##W(uint64_t v) { return (T)v; }                                                        \
    SR_SPECIALIZE T scalar_add_##W(T a, T b) { return a + b; }                                                         \
    SR_SPECIALIZE T scalar_sub_##W(T a, T b) { return a - b; }                                                         \
    SR_SPECIALIZE T scalar_and_##W(T a, T b) { return a & b; }                                                         \
    SR_SPECIALIZE T scalar_or_##W(T a, T b) { return a | b; }                                                          \
    SR_SPECIALIZE T scalar_xor_##W(T a, T b) { return a ^ b; }                                                         \
    SR_SPECIALIZE T scalar_andnot_##W(T a, T b) { return a & ~b; }                                                     \
    SR_SPECIALIZE T scalar_min_u_##W(T a, T b) { return a < b ? a : b; }                                               \
    SR_SPECIALIZE T scalar_max_u_##W(T a, T b) { return a > b ? a : b; }                                               \
    SR_SPECIALIZE T scalar_min_s_##W(T a, T b) { return (S)a < (S)b ? a : b; }                                         \
    SR_SPECIALIZE T scalar_max_s_##W(T a, T b) { return (S)a > (S)b ? a : b; }                                         \
    SR_SPECIALIZE T scalar_gt_u_##W(T a, T b) { return (T)0 - (T)(a > b); }                                            \
    SR_SPECIALIZE T scalar_gt_s_##W(T a, T b) { return (T)0 - (T)((S)a > (S)b); }                                      \
    SR_SPECIALIZE T scalar_eq_##W(T a, T b) { return (T)0 - (T)(a == b); }                                             \
    SR_SPECIALIZE T scalar_none_##W(void) { return 0; }                                                                \
    SR_SPECIALIZE T scalar_m_or_##W(T a, T b) { return a | b; }                                                        \
    SR_SPECIALIZE T scalar_m_and_##W(T a, T b) { return a & b; }                                                       \
    SR_SPECIALIZE T scalar_m_andnot_##W(T a, T b) { return a & ~b; }                                                   \
    SR_SPECIALIZE T scalar_sel_m_##W(T m, T a, T b) { return (a & m) | (b & ~m); }                                     \
    SR_SPECIALIZE int scalar_any_##W(T m) { return m != 0; }                                                           \
    SR_SPECIALIZE T scalar_sel_##W(T m, T a, T b) { return (a & m) | (b & ~m); }                                       \
    SR_SPECIALIZE T scalar_words_##W(const void *p)                                                                    \
    {                                                                                                                  \
        uint16_t word;                                                                                                 \
        SR_COPY(&word, p, sizeof word);                                                                                \
        return (T)word << (W - 16);                                                                                    \
    }                                                                                                                  \
    SR_SPECIALIZE T scalar_words_low_##W(const void *p)                                                                \
    {                                                                                                                  \
        uint16_t word;                                                                                                 \
        SR_COPY(&word, p, sizeof word);                                                                                \
        return word;                                                                                                   \
    }

LIKE(32, uint32_t, int32_t)
LIKE(64, uint64_t, int64_t)
#undef LIKE

/* the low 1, 2, 4 bytes of a lane */
SR_SPECIALIZE void scalar_narrow_32(void *p, uint32_t v, int bytes)
{
    uint8_t const v8 = (uint8_t)v;
    uint16_t const v16 = (uint16_t)v;
    if (bytes == 1)
        SR_COPY(p, &v8, 1);
    else if (bytes == 2)
        SR_COPY(p, &v16, 2);
    else
        SR_COPY(p, &v, 4);
}

SR_SPECIALIZE void scalar_narrow_64(void *p, uint64_t v, int bytes)
{
    if (bytes == 8)
        SR_COPY(p, &v, 8);
    else
        scalar_narrow_32(p, (uint32_t)v, bytes);
}

/* The low 1 or 2 bytes of each lane of four vectors, one after the other. */
SR_SPECIALIZE void scalar_narrow_four_32(void *p, uint32_t a, uint32_t b, uint32_t c, uint32_t d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    scalar_narrow_32(to, a, bytes);
    scalar_narrow_32(to + bytes, b, bytes);
    scalar_narrow_32(to + 2 * bytes, c, bytes);
    scalar_narrow_32(to + 3 * bytes, d, bytes);
}

SR_SPECIALIZE void scalar_narrow_four_64(void *p, uint64_t a, uint64_t b, uint64_t c, uint64_t d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    scalar_narrow_64(to, a, bytes);
    scalar_narrow_64(to + bytes, b, bytes);
    scalar_narrow_64(to + 2 * bytes, c, bytes);
    scalar_narrow_64(to + 3 * bytes, d, bytes);
}

/* v 2^q as a float, v < 2^16 a whole number and 2^q given as one; anything above them where that is beyond the largest.
 * In integers. */
SR_SPECIALIZE uint32_t scalar_scale_32(uint32_t v, uint32_t quantum)
{
    int const length = sr_bit_length(v);
    return v ? quantum + ((uint32_t)(length - 1) << 23) + ((v << (24 - length)) & 0x007FFFFFu) : 0;
}

/* The greater 16-bit parts of lanes, of which the lower two count. */
SR_SPECIALIZE uint32_t scalar_max_halves_32(uint32_t a, uint32_t b)
{
    uint32_t const low = (a & 0xFFFFu) > (b & 0xFFFFu) ? a & 0xFFFFu : b & 0xFFFFu;
    uint32_t const high = a > b ? a : b;
    return (high & 0xFFFF0000u) | low;
}

SR_SPECIALIZE uint64_t scalar_max_halves_64(uint64_t a, uint64_t b)
{
    uint64_t const low = (a & 0xFFFFu) > (b & 0xFFFFu) ? a & 0xFFFFu : b & 0xFFFFu;
    uint64_t const high = a > b ? a : b;
    return (high & ~(uint64_t)0xFFFF) | low;
}

/* Is a 16-bit part of a above b's? Of 64 bits, one of the first two. */
SR_SPECIALIZE int scalar_half_above_32(uint32_t a, uint32_t b)
{
    return (a & 0xFFFFu) > (b & 0xFFFFu) || a >> 16 > b >> 16;
}

SR_SPECIALIZE int scalar_half_above_64(uint64_t a, uint64_t b)
{
    return (a & 0xFFFFu) > (b & 0xFFFFu) || a >> 16 > b >> 16;
}

/* Every other lane of two vectors, from the first on; and a vector from its last lane to its first */
SR_SPECIALIZE uint32_t scalar_even_32(uint32_t a, uint32_t b) { return (void)b, a; }
SR_SPECIALIZE uint64_t scalar_even_64(uint64_t a, uint64_t b) { return (void)b, a; }
SR_SPECIALIZE uint32_t scalar_reverse_32(uint32_t a) { return a; }
SR_SPECIALIZE uint64_t scalar_reverse_64(uint64_t a) { return a; }

/* Bits 16 to 23 of each lane of four vectors, one after the other. */
SR_SPECIALIZE void scalar_high_bytes_32(void *p, uint32_t a, uint32_t b, uint32_t c, uint32_t d, int mixed)
{
    (void)mixed;
    uint32_t const codes[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++) ((uint8_t *)p)[i] = (uint8_t)(codes[i] >> 16);
}

SR_SPECIALIZE void scalar_high_bytes_64(void *p, uint64_t a, uint64_t b, uint64_t c, uint64_t d, int mixed)
{
    scalar_high_bytes_32(p, (uint32_t)a, (uint32_t)b, (uint32_t)c, (uint32_t)d, mixed);
}


/* Counts as unsigned numbers; from the width on, 0. */
SR_SPECIALIZE uint32_t scalar_srl_32(uint32_t a, uint32_t n) { return (uint32_t)((uint64_t)a >> (n < 63 ? n : 63)); }
SR_SPECIALIZE uint32_t scalar_sll_32(uint32_t a, uint32_t n) { return (uint32_t)((uint64_t)a << (n < 63 ? n : 63)); }
SR_SPECIALIZE uint64_t scalar_srl_64(uint64_t a, uint64_t n) { return n < 64 ? a >> n : 0; }
SR_SPECIALIZE uint64_t scalar_sll_64(uint64_t a, uint64_t n) { return n < 64 ? a << n : 0; }

/* ---- binary64, of the caller's environment: what qr_template.h needs ---- */

typedef double scalar_d;

SR_SPECIALIZE double scalar_d_load(const double *p) { return *p; }
SR_SPECIALIZE void scalar_d_store(double *p, double v) { *p = v; }
SR_SPECIALIZE double scalar_d_value(uint64_t v) { return sr_value_f64(v); }
SR_SPECIALIZE double scalar_d_add(double a, double b) { return a + b; }
SR_SPECIALIZE double scalar_d_sub(double a, double b) { return a - b; }
SR_SPECIALIZE double scalar_d_mul(double a, double b) { return a * b; }

/* Of a normal number S 2^e, e even and 2^52 <= S < 2^54: the 54 bits of the root of 2^54 S, two digits of that at a time,
 * of which the last one rounds. There are no ties: that root is no odd number, whose square would be one. */
SR_SPECIALIZE double scalar_d_sqrt(double a)
{
    uint64_t const bits = sr_bits_f64(a), field = bits >> 52;
    uint64_t const significand = ((bits & 0x000FFFFFFFFFFFFFu) | (uint64_t)1 << 52) << !(field & 1);
    uint64_t root = 0, left = 0;
    for (int i = 53; i >= 0; i--) {
        left = left << 2 | (i < 27 ? 0 : significand >> 2 * (i - 27) & 3);
        root <<= 1;
        if (left > 2 * root) {
            left -= 2 * root + 1;
            root++;
        }
    }
    return sr_value_f64(((field + 1023) / 2 << 52) + ((root + 1) >> 1) - ((uint64_t)1 << 52));
}

/* ---- Philox ---- */

typedef uint64_t scalar_c;
enum { scalar_c_lanes = 1, scalar_c_sets = 2 };

SR_SPECIALIZE scalar_c scalar_c_set(uint32_t v) { return v; }
SR_SPECIALIZE scalar_c scalar_c_mul(scalar_c a, scalar_c b) { return (uint64_t)(uint32_t)a * (uint32_t)b; }
SR_SPECIALIZE scalar_c scalar_c_high(scalar_c a) { return a >> 32; }
SR_SPECIALIZE scalar_c scalar_c_xor(scalar_c a, scalar_c b) { return a ^ b; }
SR_SPECIALIZE scalar_c scalar_c_xor3(scalar_c a, scalar_c b, scalar_c c) { return a ^ b ^ c; }
SR_SPECIALIZE scalar_c scalar_c_count(uint32_t block) { return block; }

SR_SPECIALIZE void scalar_c_store(uint32_t *out, scalar_c c0, scalar_c c1, scalar_c c2, scalar_c c3)
{
    out[0] = (uint32_t)c0;
    out[1] = (uint32_t)c1;
    out[2] = (uint32_t)c2;
    out[3] = (uint32_t)c3;
}
