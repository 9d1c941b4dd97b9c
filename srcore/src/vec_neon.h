/* The vector vocabulary in NEON (AArch64): lanes of 32 and 64 bits, masks as lanes of all ones. */
#include <arm_neon.h>

typedef uint32x4_t neon_v_32;
typedef uint64x2_t neon_v_64;
typedef uint32x4_t neon_m_32;
typedef uint64x2_t neon_m_64;
enum { neon_lanes_32 = 4, neon_lanes_64 = 2 };

#define LIKE(W, T, S, V)                                                                                               \
    SR_SPECIALIZE V neon_load_##W(const void *p)                                                                       \
    {                                                                                                                  \
        V v;                                                                                                           \
        SR_COPY(&v, p, 16);                                                                                            \
        return v;                                                                                                      \
    }                                                                                                                  \
    SR_SPECIALIZE void neon_store_##W(void *p, V v) { SR_COPY(p, &v, 16); }                                            \
    SR_SPECIALIZE V neon_set_##W(uint64_t v) { return vdupq_n_u##W((T)v); }                                            \
    SR_SPECIALIZE V neon_add_##W(V a, V b) { return vaddq_u##W(a, b); }                                                \
    SR_SPECIALIZE V neon_sub_##W(V a, V b) { return vsubq_u##W(a, b); }                                                \
    SR_SPECIALIZE V neon_and_##W(V a, V b) { return vandq_u##W(a, b); }                                                \
    SR_SPECIALIZE V neon_or_##W(V a, V b) { return vorrq_u##W(a, b); }                                                 \
    SR_SPECIALIZE V neon_xor_##W(V a, V b) { return veorq_u##W(a, b); }                                                \
    SR_SPECIALIZE V neon_andnot_##W(V a, V b) { return vbicq_u##W(a, b); }                                             \
    SR_SPECIALIZE V neon_gt_u_##W(V a, V b) { return vcgtq_u##W(a, b); }                                               \
    SR_SPECIALIZE V neon_gt_s_##W(V a, V b) { return vcgtq_s##W(vreinterpretq_s##W##_u##W(a), vreinterpretq_s##W##_u##W(b)); } \
    SR_SPECIALIZE V neon_eq_##W(V a, V b) { return vceqq_u##W(a, b); }                                                 \
    SR_SPECIALIZE V neon_none_##W(void) { return vdupq_n_u##W(0); }                                                    \
    SR_SPECIALIZE V neon_m_or_##W(V a, V b) { return vorrq_u##W(a, b); }                                               \
    SR_SPECIALIZE V neon_m_and_##W(V a, V b) { return vandq_u##W(a, b); }                                              \
    SR_SPECIALIZE V neon_m_andnot_##W(V a, V b) { return vbicq_u##W(a, b); }                                           \
    SR_SPECIALIZE int neon_any_##W(V m) { return vmaxvq_u32(vreinterpretq_u32_u##W(m)) != 0; }                         \
    SR_SPECIALIZE V neon_sel_##W(V m, V a, V b) { return vbslq_u##W(m, a, b); }                                        \
    SR_SPECIALIZE V neon_sel_m_##W(V m, V a, V b) { return vbslq_u##W(m, a, b); }                                      \
    SR_SPECIALIZE V neon_min_u_##W(V a, V b) { return vbslq_u##W(vcgtq_u##W(a, b), b, a); }                            \
    SR_SPECIALIZE V neon_max_u_##W(V a, V b) { return vbslq_u##W(vcgtq_u##W(a, b), a, b); }                            \
    SR_SPECIALIZE V neon_min_s_##W(V a, V b) { return vbslq_u##W(neon_gt_s_##W(a, b), b, a); }                         \
    SR_SPECIALIZE V neon_max_s_##W(V a, V b) { return vbslq_u##W(neon_gt_s_##W(a, b), a, b); }                         \
    /* The instruction takes the low byte of a count, signed, and gives 0 from the width on. */                        \
    SR_SPECIALIZE V neon_sll_##W(V a, V n)                                                                             \
    {                                                                                                                  \
        return vshlq_u##W(a, vreinterpretq_s##W##_u##W(neon_min_u_##W(n, vdupq_n_u##W(W))));                           \
    }                                                                                                                  \
    SR_SPECIALIZE V neon_srl_##W(V a, V n)                                                                             \
    {                                                                                                                  \
        return vshlq_u##W(a, vnegq_s##W(vreinterpretq_s##W##_u##W(neon_min_u_##W(n, vdupq_n_u##W(W)))));               \
    }

#define vreinterpretq_u32_u32(v) (v)
LIKE(32, uint32_t, int32_t, uint32x4_t)
LIKE(64, uint64_t, int64_t, uint64x2_t)
#undef vreinterpretq_u32_u32
#undef LIKE

/* 16-bit words, each to the top of a lane; and to the low half of one */
SR_SPECIALIZE uint32x4_t neon_words_32(const void *p)
{
    uint16x4_t words;
    SR_COPY(&words, p, 8);
    return vshlq_n_u32(vmovl_u16(words), 16);
}

SR_SPECIALIZE uint64x2_t neon_words_64(const void *p)
{
    uint16_t words[2];
    SR_COPY(words, p, 4);
    return vcombine_u64(vcreate_u64((uint64_t)words[0] << 48), vcreate_u64((uint64_t)words[1] << 48));
}

SR_SPECIALIZE uint32x4_t neon_words_low_32(const void *p)
{
    uint16x4_t words;
    SR_COPY(&words, p, 8);
    return vmovl_u16(words);
}

SR_SPECIALIZE uint64x2_t neon_words_low_64(const void *p)
{
    return vshrq_n_u64(neon_words_64(p), 48);
}

/* the low 1, 2, 4 bytes of each lane */
SR_SPECIALIZE void neon_narrow_32(void *p, uint32x4_t v, int bytes)
{
    uint16x4_t const v16 = vmovn_u32(v);
    uint8x8_t const v8 = vmovn_u16(vcombine_u16(v16, v16));
    if (bytes == 1)
        SR_COPY(p, &v8, 4);
    else if (bytes == 2)
        SR_COPY(p, &v16, 8);
    else
        SR_COPY(p, &v, 16);
}

SR_SPECIALIZE void neon_narrow_64(void *p, uint64x2_t v, int bytes)
{
    uint32x2_t const v32 = vmovn_u64(v);
    uint16x4_t const v16 = vmovn_u32(vcombine_u32(v32, v32));
    uint8x8_t const v8 = vmovn_u16(vcombine_u16(v16, v16));
    if (bytes == 1)
        SR_COPY(p, &v8, 2);
    else if (bytes == 2)
        SR_COPY(p, &v16, 4);
    else if (bytes == 4)
        SR_COPY(p, &v32, 8);
    else
        SR_COPY(p, &v, 16);
}

/* The low 1 or 2 bytes of each lane of four vectors, one after the other. */
SR_SPECIALIZE void neon_narrow_four_32(void *p, uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    neon_narrow_32(to, a, bytes);
    neon_narrow_32(to + 4 * bytes, b, bytes);
    neon_narrow_32(to + 8 * bytes, c, bytes);
    neon_narrow_32(to + 12 * bytes, d, bytes);
}

SR_SPECIALIZE void neon_narrow_four_64(void *p, uint64x2_t a, uint64x2_t b, uint64x2_t c, uint64x2_t d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    neon_narrow_64(to, a, bytes);
    neon_narrow_64(to + 2 * bytes, b, bytes);
    neon_narrow_64(to + 4 * bytes, c, bytes);
    neon_narrow_64(to + 6 * bytes, d, bytes);
}

/* v 2^q as a float, v < 2^16 a whole number and 2^q given as one; anything above them where that is beyond the largest.
 * The conversion is exact, whatever the rounding direction; the exponent goes up as an integer. */
SR_SPECIALIZE uint32x4_t neon_scale_32(uint32x4_t v, uint32x4_t quantum)
{
    uint32x4_t const whole = vreinterpretq_u32_f32(vcvtq_f32_u32(v));
    uint32x4_t const up = vsubq_u32(quantum, vdupq_n_u32(0x3F800000));
    return vandq_u32(vtstq_u32(v, v), vaddq_u32(whole, up));
}

/* The greater 16-bit parts of lanes. */
SR_SPECIALIZE uint32x4_t neon_max_halves_32(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_u16(vmaxq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

SR_SPECIALIZE uint64x2_t neon_max_halves_64(uint64x2_t a, uint64x2_t b)
{
    return vreinterpretq_u64_u16(vmaxq_u16(vreinterpretq_u16_u64(a), vreinterpretq_u16_u64(b)));
}

/* Is a 16-bit part of a above b's? */
SR_SPECIALIZE int neon_half_above_32(uint32x4_t a, uint32x4_t b)
{
    return vmaxvq_u16(vqsubq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b))) != 0;
}

SR_SPECIALIZE int neon_half_above_64(uint64x2_t a, uint64x2_t b)
{
    return neon_half_above_32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b));
}

/* Every other lane of two vectors, from the first on; and a vector from its last lane to its first */
SR_SPECIALIZE uint32x4_t neon_even_32(uint32x4_t a, uint32x4_t b) { return vuzp1q_u32(a, b); }
SR_SPECIALIZE uint64x2_t neon_even_64(uint64x2_t a, uint64x2_t b) { return vuzp1q_u64(a, b); }
SR_SPECIALIZE uint32x4_t neon_reverse_32(uint32x4_t a)
{
    uint32x4_t const pairs = vrev64q_u32(a);
    return vextq_u32(pairs, pairs, 2);
}

SR_SPECIALIZE uint64x2_t neon_reverse_64(uint64x2_t a) { return vextq_u64(a, a, 1); }

/* Bits 16 to 23 of each lane of four vectors, one after the other. */
SR_SPECIALIZE void neon_high_bytes_32(void *p, uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d, int mixed)
{
    (void)mixed;
    neon_narrow_four_32(p, vshrq_n_u32(a, 16), vshrq_n_u32(b, 16), vshrq_n_u32(c, 16), vshrq_n_u32(d, 16), 1);
}

SR_SPECIALIZE void neon_high_bytes_64(void *p, uint64x2_t a, uint64x2_t b, uint64x2_t c, uint64x2_t d, int mixed)
{
    (void)mixed;
    neon_narrow_four_64(p, vshrq_n_u64(a, 16), vshrq_n_u64(b, 16), vshrq_n_u64(c, 16), vshrq_n_u64(d, 16), 1);
}

/* ---- binary64 arithmetic, in 64-bit lanes: to nearest, with subnormals, whatever the caller has set ---- */

typedef float64x2_t neon_d;

SR_SPECIALIZE uint64_t neon_d_enter(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
    return before;
}

SR_SPECIALIZE uint64_t neon_d_enter_down(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)2 << 22) : "memory");
    return before;
}

SR_SPECIALIZE void neon_d_leave(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory"); }
SR_SPECIALIZE float64x2_t neon_d_load(const double *p) { return vld1q_f64(p); }
SR_SPECIALIZE void neon_d_store(double *p, float64x2_t v) { vst1q_f64(p, v); }
SR_SPECIALIZE uint64x2_t neon_d_words(const uint32_t *p) { return vmovl_u32(vld1_u32(p)); }
SR_SPECIALIZE float64x2_t neon_d_widen(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
SR_SPECIALIZE void neon_d_narrow(float *p, float64x2_t v) { vst1_f32(p, vcvt_f32_f64(v)); }
SR_SPECIALIZE float64x2_t neon_d_add(float64x2_t a, float64x2_t b) { return vaddq_f64(a, b); }
SR_SPECIALIZE float64x2_t neon_d_sub(float64x2_t a, float64x2_t b) { return vsubq_f64(a, b); }
SR_SPECIALIZE float64x2_t neon_d_mul(float64x2_t a, float64x2_t b) { return vmulq_f64(a, b); }
SR_SPECIALIZE float64x2_t neon_d_div(float64x2_t a, float64x2_t b) { return vdivq_f64(a, b); }
SR_SPECIALIZE float64x2_t neon_d_sqrt(float64x2_t a) { return vsqrtq_f64(a); }
SR_SPECIALIZE float64x2_t neon_d_fma(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmaq_f64(c, a, b); }
SR_SPECIALIZE float64x2_t neon_d_fnma(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmsq_f64(c, a, b); } /* c - a b */
SR_SPECIALIZE uint64x2_t neon_d_bits(float64x2_t a) { return vreinterpretq_u64_f64(a); }
SR_SPECIALIZE float64x2_t neon_d_value(uint64x2_t a) { return vreinterpretq_f64_u64(a); }

/* ---- binary32 arithmetic on patterns: toward zero, with subnormals ---- */

SR_SPECIALIZE uint64_t neon_f_enter(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)3 << 22) : "memory");
    return before;
}

SR_SPECIALIZE uint32x4_t neon_f_add(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_f32(vaddq_f32(vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b)));
}

SR_SPECIALIZE uint32x4_t neon_f_sub(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_f32(vsubq_f32(vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b)));
}

SR_SPECIALIZE uint32x4_t neon_f_mul(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_f32(vmulq_f32(vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b)));
}

SR_SPECIALIZE uint32x4_t neon_f_fma(uint32x4_t a, uint32x4_t b, uint32x4_t c)
{
    return vreinterpretq_u32_f32(vfmaq_f32(vreinterpretq_f32_u32(c), vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b)));
}

SR_SPECIALIZE uint32x4_t neon_f_fnma(uint32x4_t a, uint32x4_t b, uint32x4_t c)
{
    return vreinterpretq_u32_f32(vfmsq_f32(vreinterpretq_f32_u32(c), vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b)));
}

/* ---- between numbers and whole numbers ---- */

/* Products modulo 2^32; the upper and the lower halves of lanes of 64 bits; how many lanes of a mask are set */
SR_SPECIALIZE uint32x4_t neon_mul_32(uint32x4_t a, uint32x4_t b) { return vmulq_u32(a, b); }

SR_SPECIALIZE uint32x4_t neon_uppers_64(uint64x2_t a, uint64x2_t b)
{
    return vuzp2q_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b));
}

SR_SPECIALIZE uint32x4_t neon_lowers_64(uint64x2_t a, uint64x2_t b)
{
    return vuzp1q_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b));
}

SR_SPECIALIZE int neon_count_32(uint32x4_t m) { return (int)vaddvq_u32(vshrq_n_u32(m, 31)); }

/* 0 <= a < 2^63 without what follows the point, as an integer; the top bit is set where it is something else. And what
 * follows. */
SR_SPECIALIZE uint64x2_t neon_d_whole(float64x2_t a)
{
    return vcvtq_u64_f64(vminnmq_f64(a, vdupq_n_f64(0x1p63))); /* the number, if the other is NaN */
}

SR_SPECIALIZE float64x2_t neon_d_rest(float64x2_t a) { return vsubq_f64(a, vrndq_f64(a)); }

/* Signed integers of 32 bits as numbers: half of them, or from two halves, cut off; and as patterns of binary32. Beyond their
 * range another number comes out. */
SR_SPECIALIZE float64x2_t neon_d_from_32(uint32x4_t v, int second)
{
    int32x4_t const s = vreinterpretq_s32_u32(v);
    return vcvtq_f64_s64(second ? vmovl_high_s32(s) : vmovl_s32(vget_low_s32(s)));
}

SR_SPECIALIZE uint32x4_t neon_d_to_32(float64x2_t a, float64x2_t b)
{
    return vreinterpretq_u32_s32(vcombine_s32(vqmovn_s64(vcvtq_s64_f64(a)), vqmovn_s64(vcvtq_s64_f64(b))));
}

SR_SPECIALIZE uint32x4_t neon_f_from_32(uint32x4_t v)
{
    return vreinterpretq_u32_f32(vcvtq_f32_s32(vreinterpretq_s32_u32(v)));
}

SR_SPECIALIZE uint32x4_t neon_f_to_32(uint32x4_t v)
{
    return vreinterpretq_u32_s32(vcvtq_s32_f32(vreinterpretq_f32_u32(v)));
}

#define SR_ARITHMETIC
#define SR_ENVIRONMENT uint64_t

/* ---- Philox: one counter word in the low half of each 64-bit lane ---- */

typedef uint64x2_t neon_c;
enum { neon_c_lanes = 2, neon_c_sets = 4 };

SR_SPECIALIZE neon_c neon_c_set(uint32_t v) { return vdupq_n_u64(v); }
SR_SPECIALIZE neon_c neon_c_mul(neon_c a, neon_c b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
SR_SPECIALIZE neon_c neon_c_high(neon_c a) { return vshrq_n_u64(a, 32); }
SR_SPECIALIZE neon_c neon_c_xor(neon_c a, neon_c b) { return veorq_u64(a, b); }
SR_SPECIALIZE neon_c neon_c_xor3(neon_c a, neon_c b, neon_c c) { return veorq_u64(veorq_u64(a, b), c); }

SR_SPECIALIZE neon_c neon_c_add(neon_c a, neon_c b) { return vaddq_u64(a, b); }

/* Low halves: of a in even, of b in odd places */
SR_SPECIALIZE uint32x4_t neon_c_pair(neon_c a, neon_c b) { return vreinterpretq_u32_u64(vsliq_n_u64(a, b, 32)); }

SR_SPECIALIZE neon_c neon_c_count(uint32_t block)
{
    return vaddq_u64(vdupq_n_u64(block), vcombine_u64(vcreate_u64(0), vcreate_u64(1)));
}

SR_SPECIALIZE void neon_c_store(uint32_t *out, neon_c c0, neon_c c1, neon_c c2, neon_c c3)
{
    uint64x2_t const low = vsliq_n_u64(c0, c1, 32), high = vsliq_n_u64(c2, c3, 32);
    vst1q_u32(out, vreinterpretq_u32_u64(vzip1q_u64(low, high)));
    vst1q_u32(out + 4, vreinterpretq_u32_u64(vzip2q_u64(low, high)));
}
