/* The vector vocabulary in AVX2: lanes of 32 and 64 bits, masks as lanes of all ones. */
#include <immintrin.h>

typedef __m256i avx2_v_32;
typedef __m256i avx2_v_64;
typedef __m256i avx2_m_32;
typedef __m256i avx2_m_64;
enum { avx2_lanes_32 = 8, avx2_lanes_64 = 4 };

#define avx2_set1_32(v) _mm256_set1_epi32((int32_t)(uint32_t)(v))
#define avx2_set1_64(v) _mm256_set1_epi64x((int64_t)(v))

#define LIKE(W, BIAS)                                                                                                  \
    SR_SPECIALIZE __m256i avx2_load_##W(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }              \
    SR_SPECIALIZE void avx2_store_##W(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }                    \
    SR_SPECIALIZE __m256i avx2_set_##W(uint64_t v) { return avx2_set1_##W(v); }                                        \
    SR_SPECIALIZE __m256i avx2_add_##W(__m256i a, __m256i b) { return _mm256_add_epi##W(a, b); }                       \
    SR_SPECIALIZE __m256i avx2_sub_##W(__m256i a, __m256i b) { return _mm256_sub_epi##W(a, b); }                       \
    SR_SPECIALIZE __m256i avx2_and_##W(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }                        \
    SR_SPECIALIZE __m256i avx2_or_##W(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }                          \
    SR_SPECIALIZE __m256i avx2_xor_##W(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }                        \
    SR_SPECIALIZE __m256i avx2_andnot_##W(__m256i a, __m256i b) { return _mm256_andnot_si256(b, a); }                  \
    SR_SPECIALIZE __m256i avx2_srl_##W(__m256i a, __m256i n) { return _mm256_srlv_epi##W(a, n); }                      \
    SR_SPECIALIZE __m256i avx2_sll_##W(__m256i a, __m256i n) { return _mm256_sllv_epi##W(a, n); }                      \
    SR_SPECIALIZE __m256i avx2_gt_s_##W(__m256i a, __m256i b) { return _mm256_cmpgt_epi##W(a, b); }                    \
    SR_SPECIALIZE __m256i avx2_gt_u_##W(__m256i a, __m256i b)                                                          \
    {                                                                                                                  \
        __m256i const bias = avx2_set1_##W(BIAS);                                                                      \
        return _mm256_cmpgt_epi##W(_mm256_xor_si256(a, bias), _mm256_xor_si256(b, bias));                              \
    }                                                                                                                  \
    SR_SPECIALIZE __m256i avx2_eq_##W(__m256i a, __m256i b) { return _mm256_cmpeq_epi##W(a, b); }                      \
    SR_SPECIALIZE __m256i avx2_none_##W(void) { return _mm256_setzero_si256(); }                                       \
    SR_SPECIALIZE __m256i avx2_m_or_##W(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }                        \
    SR_SPECIALIZE __m256i avx2_m_and_##W(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }                      \
    SR_SPECIALIZE __m256i avx2_m_andnot_##W(__m256i a, __m256i b) { return _mm256_andnot_si256(b, a); }                \
    SR_SPECIALIZE int avx2_any_##W(__m256i m) { return !_mm256_testz_si256(m, m); }                                    \
    SR_SPECIALIZE __m256i avx2_sel_##W(__m256i m, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, m); }        \
    SR_SPECIALIZE __m256i avx2_sel_m_##W(__m256i m, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, m); }

LIKE(32, 0x80000000u)
LIKE(64, 0x8000000000000000u)
#undef LIKE
#undef avx2_set1_32
#undef avx2_set1_64

SR_SPECIALIZE __m256i avx2_min_u_32(__m256i a, __m256i b) { return _mm256_min_epu32(a, b); }
SR_SPECIALIZE __m256i avx2_max_u_32(__m256i a, __m256i b) { return _mm256_max_epu32(a, b); }
SR_SPECIALIZE __m256i avx2_min_s_32(__m256i a, __m256i b) { return _mm256_min_epi32(a, b); }
SR_SPECIALIZE __m256i avx2_max_s_32(__m256i a, __m256i b) { return _mm256_max_epi32(a, b); }
SR_SPECIALIZE __m256i avx2_min_u_64(__m256i a, __m256i b) { return avx2_sel_64(avx2_gt_u_64(a, b), b, a); }
SR_SPECIALIZE __m256i avx2_max_u_64(__m256i a, __m256i b) { return avx2_sel_64(avx2_gt_u_64(a, b), a, b); }
SR_SPECIALIZE __m256i avx2_min_s_64(__m256i a, __m256i b) { return avx2_sel_64(avx2_gt_s_64(a, b), b, a); }
SR_SPECIALIZE __m256i avx2_max_s_64(__m256i a, __m256i b) { return avx2_sel_64(avx2_gt_s_64(a, b), a, b); }

/* 16-bit words, each to the top of a lane; and to the low half of one */
SR_SPECIALIZE __m256i avx2_words_32(const void *p)
{
    return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
}

SR_SPECIALIZE __m256i avx2_words_64(const void *p)
{
    return _mm256_slli_epi64(_mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i *)p)), 48);
}

SR_SPECIALIZE __m256i avx2_words_low_32(const void *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

SR_SPECIALIZE __m256i avx2_words_low_64(const void *p)
{
    return _mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i *)p));
}

/* the low 1, 2, 4 bytes of each lane */
SR_SPECIALIZE void avx2_narrow_32(void *p, __m256i v, int bytes)
{
    __m256i const order1 = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                            -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i const order2 = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1,
                                            -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12, 13);
    __m256i const packed = _mm256_shuffle_epi8(v, bytes == 1 ? order1 : order2);
    __m128i const joined = _mm_or_si128(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    if (bytes == 1)
        _mm_storel_epi64((__m128i *)p, joined);
    else if (bytes == 2)
        _mm_storeu_si128((__m128i *)p, joined);
    else
        _mm256_storeu_si256((__m256i *)p, v);
}

SR_SPECIALIZE void avx2_narrow_64(void *p, __m256i v, int bytes)
{
    __m256i const halves = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    __m128i const four = _mm256_castsi256_si128(halves);
    if (bytes == 1) {
        int32_t const codes = _mm_cvtsi128_si32(_mm_shuffle_epi8(four, _mm_set1_epi32(0x0C080400)));
        SR_COPY(p, &codes, 4);
    } else if (bytes == 2) {
        _mm_storel_epi64((__m128i *)p, _mm_shuffle_epi8(four, _mm_set1_epi64x(0x0D0C090805040100)));
    } else if (bytes == 4) {
        _mm_storeu_si128((__m128i *)p, four);
    } else {
        _mm256_storeu_si256((__m256i *)p, v);
    }
}

/* The low 1 or 2 bytes of each lane of four vectors, one after the other. */
SR_SPECIALIZE void avx2_narrow_four_32(void *p, __m256i a, __m256i b, __m256i c, __m256i d, int bytes)
{
    __m256i const low = _mm256_set1_epi32(bytes == 1 ? 0xFF : 0xFFFF);
    __m256i const ab = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
    __m256i const cd = _mm256_packus_epi32(_mm256_and_si256(c, low), _mm256_and_si256(d, low));
    if (bytes == 2) { /* packing works on halves of 128 bits */
        _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(ab, 0xD8));
        _mm256_storeu_si256((__m256i *)p + 1, _mm256_permute4x64_epi64(cd, 0xD8));
    } else {
        _mm256_storeu_si256((__m256i *)p, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd),
                                                                      _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    }
}

SR_SPECIALIZE void avx2_narrow_four_64(void *p, __m256i a, __m256i b, __m256i c, __m256i d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    avx2_narrow_64(to, a, bytes);
    avx2_narrow_64(to + 4 * bytes, b, bytes);
    avx2_narrow_64(to + 8 * bytes, c, bytes);
    avx2_narrow_64(to + 12 * bytes, d, bytes);
}

/* v 2^q as a float, v < 2^16 a whole number and 2^q given as one; anything above them where that is beyond the largest.
 * The conversion is exact, whatever the rounding direction; the exponent goes up as an integer. */
SR_SPECIALIZE __m256i avx2_scale_32(__m256i v, __m256i quantum)
{
    __m256i const whole = _mm256_castps_si256(_mm256_cvtepi32_ps(v));
    __m256i const up = _mm256_sub_epi32(quantum, _mm256_set1_epi32(0x3F800000));
    return _mm256_andnot_si256(_mm256_cmpeq_epi32(v, _mm256_setzero_si256()), _mm256_add_epi32(whole, up));
}

/* The greater 16-bit parts of lanes. */
SR_SPECIALIZE __m256i avx2_max_halves_32(__m256i a, __m256i b) { return _mm256_max_epu16(a, b); }
SR_SPECIALIZE __m256i avx2_max_halves_64(__m256i a, __m256i b) { return _mm256_max_epu16(a, b); }

/* Is a 16-bit part of a above b's? */
SR_SPECIALIZE int avx2_half_above_32(__m256i a, __m256i b)
{
    __m256i const beyond = _mm256_subs_epu16(a, b);
    return !_mm256_testz_si256(beyond, beyond);
}

SR_SPECIALIZE int avx2_half_above_64(__m256i a, __m256i b) { return avx2_half_above_32(a, b); }

/* Every other lane of two vectors, from the first on; and a vector from its last lane to its first */
SR_SPECIALIZE __m256i avx2_even_32(__m256i a, __m256i b)
{
    __m256 const even = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(even), 0xD8);
}

SR_SPECIALIZE __m256i avx2_even_64(__m256i a, __m256i b)
{
    return _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(a, b), 0xD8);
}

SR_SPECIALIZE __m256i avx2_reverse_32(__m256i a)
{
    return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

SR_SPECIALIZE __m256i avx2_reverse_64(__m256i a) { return _mm256_permute4x64_epi64(a, 0x1B); }

/* Bits 16 to 23 of each lane of four vectors, one after the other. */
SR_SPECIALIZE void avx2_high_bytes_32(void *p, __m256i a, __m256i b, __m256i c, __m256i d, int mixed)
{
    (void)mixed;
    avx2_narrow_four_32(p, _mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16), _mm256_srli_epi32(c, 16),
                        _mm256_srli_epi32(d, 16), 1);
}

SR_SPECIALIZE void avx2_high_bytes_64(void *p, __m256i a, __m256i b, __m256i c, __m256i d, int mixed)
{
    (void)mixed;
    avx2_narrow_four_64(p, _mm256_srli_epi64(a, 16), _mm256_srli_epi64(b, 16), _mm256_srli_epi64(c, 16),
                        _mm256_srli_epi64(d, 16), 1);
}

/* ---- binary64 arithmetic, in 64-bit lanes: to nearest, with subnormals, whatever the caller has set ---- */

typedef __m256d avx2_d;

SR_SPECIALIZE uint32_t avx2_d_enter(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x1F80); /* as at the start of a program */
    return before;
}

SR_SPECIALIZE uint32_t avx2_d_enter_down(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x3F80);
    return before;
}

SR_SPECIALIZE void avx2_d_leave(uint32_t before) { _mm_setcsr(before); }
SR_SPECIALIZE __m256d avx2_d_load(const double *p) { return _mm256_loadu_pd(p); }
SR_SPECIALIZE void avx2_d_store(double *p, __m256d v) { _mm256_storeu_pd(p, v); }
SR_SPECIALIZE __m256i avx2_d_words(const uint32_t *p) { return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p)); }
SR_SPECIALIZE __m256d avx2_d_widen(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
SR_SPECIALIZE void avx2_d_narrow(float *p, __m256d v) { _mm_storeu_ps(p, _mm256_cvtpd_ps(v)); }
SR_SPECIALIZE __m256d avx2_d_add(__m256d a, __m256d b) { return _mm256_add_pd(a, b); }
SR_SPECIALIZE __m256d avx2_d_sub(__m256d a, __m256d b) { return _mm256_sub_pd(a, b); }
SR_SPECIALIZE __m256d avx2_d_mul(__m256d a, __m256d b) { return _mm256_mul_pd(a, b); }
SR_SPECIALIZE __m256d avx2_d_div(__m256d a, __m256d b) { return _mm256_div_pd(a, b); }
SR_SPECIALIZE __m256d avx2_d_sqrt(__m256d a) { return _mm256_sqrt_pd(a); }
SR_SPECIALIZE __m256d avx2_d_fma(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
SR_SPECIALIZE __m256d avx2_d_fnma(__m256d a, __m256d b, __m256d c) { return _mm256_fnmadd_pd(a, b, c); } /* c - a b */
SR_SPECIALIZE __m256i avx2_d_bits(__m256d a) { return _mm256_castpd_si256(a); }
SR_SPECIALIZE __m256d avx2_d_value(__m256i a) { return _mm256_castsi256_pd(a); }

/* ---- binary32 arithmetic on patterns: toward zero, with subnormals ---- */

SR_SPECIALIZE uint32_t avx2_f_enter(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x7F80);
    return before;
}

SR_SPECIALIZE __m256i avx2_f_add(__m256i a, __m256i b)
{
    return _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}

SR_SPECIALIZE __m256i avx2_f_sub(__m256i a, __m256i b)
{
    return _mm256_castps_si256(_mm256_sub_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}

SR_SPECIALIZE __m256i avx2_f_mul(__m256i a, __m256i b)
{
    return _mm256_castps_si256(_mm256_mul_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}

SR_SPECIALIZE __m256i avx2_f_fma(__m256i a, __m256i b, __m256i c)
{
    return _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _mm256_castsi256_ps(c)));
}

SR_SPECIALIZE __m256i avx2_f_fnma(__m256i a, __m256i b, __m256i c)
{
    return _mm256_castps_si256(_mm256_fnmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _mm256_castsi256_ps(c)));
}

/* ---- between numbers and whole numbers ---- */

/* Products modulo 2^32; the upper and the lower halves of lanes of 64 bits; how many lanes of a mask are set */
SR_SPECIALIZE __m256i avx2_mul_32(__m256i a, __m256i b) { return _mm256_mullo_epi32(a, b); }

SR_SPECIALIZE __m256i avx2_uppers_64(__m256i a, __m256i b)
{
    __m256 const odd = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xDD);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(odd), 0xD8);
}

SR_SPECIALIZE __m256i avx2_lowers_64(__m256i a, __m256i b) { return avx2_even_32(a, b); }

SR_SPECIALIZE int avx2_count_32(__m256i m) { return __builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(m))); }

/* 0 <= a < 2^63 without what follows the point, as an integer; the top bit is set where it is something else. And what
 * follows. Where rounding is toward zero: 2^84 leaves whole numbers of 2^32, 2^52 those of 1. */
SR_SPECIALIZE __m256i avx2_d_whole(__m256d a)
{
    __m256d const two_84 = _mm256_set1_pd(0x1p84), two_52 = _mm256_set1_pd(0x1p52);
    __m256d const in = _mm256_min_pd(a, _mm256_set1_pd(0x1p63)); /* the second, if the first is NaN */
    __m256d const high = _mm256_add_pd(in, two_84);
    __m256d const low = _mm256_add_pd(_mm256_sub_pd(in, _mm256_sub_pd(high, two_84)), two_52);
    return _mm256_or_si256(_mm256_slli_epi64(_mm256_castpd_si256(high), 32),
                           _mm256_castpd_si256(_mm256_xor_pd(low, two_52)));
}

SR_SPECIALIZE __m256d avx2_d_rest(__m256d a)
{
    return _mm256_sub_pd(a, _mm256_round_pd(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}

/* Signed integers of 32 bits as numbers: half of them, or from two halves, cut off; and as patterns of binary32. Beyond their
 * range another number comes out. */
SR_SPECIALIZE __m256d avx2_d_from_32(__m256i v, int second)
{
    return _mm256_cvtepi32_pd(second ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v));
}

SR_SPECIALIZE __m256i avx2_d_to_32(__m256d a, __m256d b)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvttpd_epi32(a)), _mm256_cvttpd_epi32(b), 1);
}

SR_SPECIALIZE __m256i avx2_f_from_32(__m256i v) { return _mm256_castps_si256(_mm256_cvtepi32_ps(v)); }
SR_SPECIALIZE __m256i avx2_f_to_32(__m256i v) { return _mm256_cvttps_epi32(_mm256_castsi256_ps(v)); }

#define SR_ARITHMETIC
#define SR_ENVIRONMENT uint32_t

/* ---- Philox: one counter word in the low half of each 64-bit lane ---- */

typedef __m256i avx2_c;
enum { avx2_c_lanes = 4, avx2_c_sets = 4 };

SR_SPECIALIZE avx2_c avx2_c_set(uint32_t v) { return _mm256_set1_epi64x((int64_t)(uint64_t)v); }
SR_SPECIALIZE avx2_c avx2_c_mul(avx2_c a, avx2_c b) { return _mm256_mul_epu32(a, b); }
SR_SPECIALIZE avx2_c avx2_c_high(avx2_c a) { return _mm256_srli_epi64(a, 32); }
SR_SPECIALIZE avx2_c avx2_c_xor(avx2_c a, avx2_c b) { return _mm256_xor_si256(a, b); }
SR_SPECIALIZE avx2_c avx2_c_xor3(avx2_c a, avx2_c b, avx2_c c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

SR_SPECIALIZE avx2_c avx2_c_add(avx2_c a, avx2_c b) { return _mm256_add_epi64(a, b); }

/* Low halves: of a in even, of b in odd places */
SR_SPECIALIZE __m256i avx2_c_pair(avx2_c a, avx2_c b) { return _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA); }

/* block, block + 1, ... in the order that avx2_c_store wants */
SR_SPECIALIZE avx2_c avx2_c_count(uint32_t block)
{
    return _mm256_add_epi64(avx2_c_set(block), _mm256_setr_epi64x(0, 2, 1, 3));
}

SR_SPECIALIZE void avx2_c_store(uint32_t *out, avx2_c c0, avx2_c c1, avx2_c c2, avx2_c c3)
{
    __m256i const low = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA);
    __m256i const high = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xAA);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_unpacklo_epi64(low, high));
    _mm256_storeu_si256((__m256i *)(void *)(out + 8), _mm256_unpackhi_epi64(low, high));
}
