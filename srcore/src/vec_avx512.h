/* The vector vocabulary in AVX-512 (F, BW, DQ, VL): lanes of 32 and 64 bits, masks in mask registers. */
#include <immintrin.h>

typedef __m512i avx512_v_32;
typedef __m512i avx512_v_64;
typedef __mmask16 avx512_m_32;
typedef __mmask8 avx512_m_64;
enum { avx512_lanes_32 = 16, avx512_lanes_64 = 8 };

#define LIKE(W, E, MASK)                                                                                               \
    SR_SPECIALIZE __m512i avx512_load_##W(const void *p) { return _mm512_loadu_si512(p); }                             \
    SR_SPECIALIZE void avx512_store_##W(void *p, __m512i v) { _mm512_storeu_si512(p, v); }                             \
    SR_SPECIALIZE __m512i avx512_set_##W(uint64_t v) { return E##set1(v); }                                            \
    SR_SPECIALIZE __m512i avx512_add_##W(__m512i a, __m512i b) { return _mm512_add_epi##W(a, b); }                     \
    SR_SPECIALIZE __m512i avx512_sub_##W(__m512i a, __m512i b) { return _mm512_sub_epi##W(a, b); }                     \
    SR_SPECIALIZE __m512i avx512_and_##W(__m512i a, __m512i b) { return _mm512_and_si512(a, b); }                      \
    SR_SPECIALIZE __m512i avx512_or_##W(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }                        \
    SR_SPECIALIZE __m512i avx512_xor_##W(__m512i a, __m512i b) { return _mm512_xor_si512(a, b); }                      \
    SR_SPECIALIZE __m512i avx512_andnot_##W(__m512i a, __m512i b) { return _mm512_andnot_si512(b, a); }                \
    SR_SPECIALIZE __m512i avx512_srl_##W(__m512i a, __m512i n) { return _mm512_srlv_epi##W(a, n); }                    \
    SR_SPECIALIZE __m512i avx512_sll_##W(__m512i a, __m512i n) { return _mm512_sllv_epi##W(a, n); }                    \
    SR_SPECIALIZE __m512i avx512_min_u_##W(__m512i a, __m512i b) { return _mm512_min_epu##W(a, b); }                   \
    SR_SPECIALIZE __m512i avx512_max_u_##W(__m512i a, __m512i b) { return _mm512_max_epu##W(a, b); }                   \
    SR_SPECIALIZE __m512i avx512_min_s_##W(__m512i a, __m512i b) { return _mm512_min_epi##W(a, b); }                   \
    SR_SPECIALIZE __m512i avx512_max_s_##W(__m512i a, __m512i b) { return _mm512_max_epi##W(a, b); }                   \
    SR_SPECIALIZE MASK avx512_gt_u_##W(__m512i a, __m512i b) { return _mm512_cmpgt_epu##W##_mask(a, b); }              \
    SR_SPECIALIZE MASK avx512_gt_s_##W(__m512i a, __m512i b) { return _mm512_cmpgt_epi##W##_mask(a, b); }              \
    SR_SPECIALIZE MASK avx512_eq_##W(__m512i a, __m512i b) { return _mm512_cmpeq_epi##W##_mask(a, b); }                \
    SR_SPECIALIZE MASK avx512_none_##W(void) { return 0; }                                                             \
    SR_SPECIALIZE MASK avx512_m_or_##W(MASK a, MASK b) { return (MASK)(a | b); }                                       \
    SR_SPECIALIZE MASK avx512_m_and_##W(MASK a, MASK b) { return (MASK)(a & b); }                                      \
    SR_SPECIALIZE MASK avx512_m_andnot_##W(MASK a, MASK b) { return (MASK)(a & ~b); }                                  \
    SR_SPECIALIZE MASK avx512_sel_m_##W(MASK m, MASK a, MASK b) { return (MASK)((m & a) | (~m & b)); }                 \
    SR_SPECIALIZE int avx512_any_##W(MASK m) { return m != 0; }                                                        \
    SR_SPECIALIZE __m512i avx512_sel_##W(MASK m, __m512i a, __m512i b) { return _mm512_mask_mov_epi##W(b, m, a); }

#define set_32_set1(v) _mm512_set1_epi32((int32_t)(uint32_t)(v))
#define set_64_set1(v) _mm512_set1_epi64((int64_t)(v))
LIKE(32, set_32_, __mmask16)
LIKE(64, set_64_, __mmask8)
#undef set_32_set1
#undef set_64_set1
#undef LIKE

/* 16-bit words, each to the top of a lane; and to the low half of one */
SR_SPECIALIZE __m512i avx512_words_32(const void *p)
{
    __m512i const words = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));
    __m512i const places = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0,
                                            7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0, 0, 0);
    return _mm512_maskz_permutexvar_epi16(0xAAAAAAAAu, places, words);
}

SR_SPECIALIZE __m512i avx512_words_64(const void *p)
{
    __m512i const words = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
    __m512i const places = _mm512_set_epi16(7, 0, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0,
                                            3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_maskz_permutexvar_epi16(0x88888888u, places, words);
}

SR_SPECIALIZE __m512i avx512_words_low_32(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

SR_SPECIALIZE __m512i avx512_words_low_64(const void *p)
{
    return _mm512_cvtepu16_epi64(_mm_loadu_si128((const __m128i *)p));
}

/* the low 1, 2, 4 bytes of each lane */
SR_SPECIALIZE void avx512_narrow_32(void *p, __m512i v, int bytes)
{
    if (bytes == 1)
        _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(v));
    else if (bytes == 2)
        _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(v));
    else
        _mm512_storeu_si512(p, v);
}

SR_SPECIALIZE void avx512_narrow_64(void *p, __m512i v, int bytes)
{
    if (bytes == 1)
        _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8(v));
    else if (bytes == 2)
        _mm_storeu_si128((__m128i *)p, _mm512_cvtepi64_epi16(v));
    else if (bytes == 4)
        _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi64_epi32(v));
    else
        _mm512_storeu_si512(p, v);
}

/* The low 1 or 2 bytes of each lane of four vectors, one after the other. */
SR_SPECIALIZE void avx512_narrow_four_32(void *p, __m512i a, __m512i b, __m512i c, __m512i d, int bytes)
{
    __m512i const even = _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32,
                                          30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    __m512i const ab = _mm512_permutex2var_epi16(a, even, b), cd = _mm512_permutex2var_epi16(c, even, d);
    if (bytes == 2) {
        _mm512_storeu_si512(p, ab);
        _mm512_storeu_si512((unsigned char *)p + 64, cd);
    } else {
        _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi16_epi8(ab));
        _mm256_storeu_si256((__m256i *)p + 1, _mm512_cvtepi16_epi8(cd));
    }
}

SR_SPECIALIZE void avx512_narrow_four_64(void *p, __m512i a, __m512i b, __m512i c, __m512i d, int bytes)
{
    unsigned char *const to = (unsigned char *)p;
    avx512_narrow_64(to, a, bytes);
    avx512_narrow_64(to + 8 * bytes, b, bytes);
    avx512_narrow_64(to + 16 * bytes, c, bytes);
    avx512_narrow_64(to + 24 * bytes, d, bytes);
}

/* v 2^q as a float, v < 2^16 a whole number and 2^q given as one; anything above them where that is beyond the largest.
 * Exact, whatever the rounding direction; no exception is raised. */
SR_SPECIALIZE __m512i avx512_scale_32(__m512i v, __m512i quantum)
{
    return _mm512_castps_si512(_mm512_mul_round_ps(_mm512_cvtepi32_ps(v), _mm512_castsi512_ps(quantum),
                                                   _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}

/* The greater 16-bit parts of lanes. */
SR_SPECIALIZE __m512i avx512_max_halves_32(__m512i a, __m512i b) { return _mm512_max_epu16(a, b); }
SR_SPECIALIZE __m512i avx512_max_halves_64(__m512i a, __m512i b) { return _mm512_max_epu16(a, b); }

/* Is a 16-bit part of a above b's? */
SR_SPECIALIZE int avx512_half_above_32(__m512i a, __m512i b) { return _mm512_cmpgt_epu16_mask(a, b) != 0; }
SR_SPECIALIZE int avx512_half_above_64(__m512i a, __m512i b) { return _mm512_cmpgt_epu16_mask(a, b) != 0; }

/* Every other lane of two vectors, from the first on; and a vector from its last lane to its first */
SR_SPECIALIZE __m512i avx512_even_32(__m512i a, __m512i b)
{
    __m512i const even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_epi32(a, even, b);
}

SR_SPECIALIZE __m512i avx512_even_64(__m512i a, __m512i b)
{
    return _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
}

SR_SPECIALIZE __m512i avx512_reverse_32(__m512i a)
{
    return _mm512_permutexvar_epi32(_mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), a);
}

SR_SPECIALIZE __m512i avx512_reverse_64(__m512i a)
{
    return _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), a);
}

/* Bits 16 to 23 of each lane of four vectors, one after the other. Those above are zero, if not `mixed`. */
SR_SPECIALIZE void avx512_high_bytes_32(void *p, __m512i a, __m512i b, __m512i c, __m512i d, int mixed)
{
    __m512i const odd = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33,
                                         31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __m512i const byte = _mm512_set1_epi16(0xFF);
    __m512i ab = _mm512_permutex2var_epi16(a, odd, b), cd = _mm512_permutex2var_epi16(c, odd, d);
    __m512i const order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0); /* packing works on parts of 128 bits */
    if (mixed) {
        ab = _mm512_and_si512(ab, byte);
        cd = _mm512_and_si512(cd, byte);
    }
    _mm512_storeu_si512(p, _mm512_permutexvar_epi64(order, _mm512_packus_epi16(ab, cd)));
}

#define SR_PACKED_SIGNS /* signs of codes of one byte are added once they are packed: see round_template.h */

/* The same, not mixed, with `sign` added where the number at x, x's first vector beside a, is negative; where the byte is
 * zero, only if `zeros`. */
SR_SPECIALIZE void avx512_signed_bytes_32(void *p, __m512i a, __m512i b, __m512i c, __m512i d, const void *x,
                                          uint64_t sign, int zeros)
{
    /* The words of parts of 128 bits beside one another, as packing leaves them */
    __m512i const odd = _mm512_set_epi16(63, 61, 59, 57, 31, 29, 27, 25, 55, 53, 51, 49, 23, 21, 19, 17,
                                         47, 45, 43, 41, 15, 13, 11, 9, 39, 37, 35, 33, 7, 5, 3, 1);
    __m512i const order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    __m512i const codes = _mm512_packus_epi16(_mm512_permutex2var_epi16(a, odd, b), _mm512_permutex2var_epi16(c, odd, d));
    const unsigned char *const from = (const unsigned char *)x;
    __m512i const signs =
        _mm512_packs_epi16(_mm512_packs_epi32(_mm512_loadu_si512(from), _mm512_loadu_si512(from + 64)),
                           _mm512_packs_epi32(_mm512_loadu_si512(from + 128), _mm512_loadu_si512(from + 192)));
    __mmask64 negative = _mm512_movepi8_mask(signs);
    if (!zeros) negative &= _mm512_test_epi8_mask(codes, codes);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_mask_add_epi8(codes, negative, codes,
                                                                                _mm512_set1_epi8((char)sign))));
}

SR_SPECIALIZE void avx512_high_bytes_64(void *p, __m512i a, __m512i b, __m512i c, __m512i d, int mixed)
{
    __m128i *const to = (__m128i *)p;
    (void)mixed;
    _mm_storeu_si128(to, _mm_unpacklo_epi64(_mm512_cvtepi64_epi8(_mm512_srli_epi64(a, 16)),
                                            _mm512_cvtepi64_epi8(_mm512_srli_epi64(b, 16))));
    _mm_storeu_si128(to + 1, _mm_unpacklo_epi64(_mm512_cvtepi64_epi8(_mm512_srli_epi64(c, 16)),
                                                _mm512_cvtepi64_epi8(_mm512_srli_epi64(d, 16))));
}

/* ---- binary64 arithmetic, in 64-bit lanes: to nearest, with subnormals, whatever the caller has set ---- */

typedef __m512d avx512_d;

SR_SPECIALIZE uint32_t avx512_d_enter(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x1F80); /* as at the start of a program */
    return before;
}

SR_SPECIALIZE uint32_t avx512_d_enter_down(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x3F80);
    return before;
}

SR_SPECIALIZE void avx512_d_leave(uint32_t before) { _mm_setcsr(before); }
SR_SPECIALIZE __m512d avx512_d_load(const double *p) { return _mm512_loadu_pd(p); }
SR_SPECIALIZE void avx512_d_store(double *p, __m512d v) { _mm512_storeu_pd(p, v); }
SR_SPECIALIZE __m512i avx512_d_words(const uint32_t *p) { return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
SR_SPECIALIZE __m512d avx512_d_widen(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
SR_SPECIALIZE void avx512_d_narrow(float *p, __m512d v) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(v)); }
SR_SPECIALIZE __m512d avx512_d_add(__m512d a, __m512d b) { return _mm512_add_pd(a, b); }
SR_SPECIALIZE __m512d avx512_d_sub(__m512d a, __m512d b) { return _mm512_sub_pd(a, b); }
SR_SPECIALIZE __m512d avx512_d_mul(__m512d a, __m512d b) { return _mm512_mul_pd(a, b); }
SR_SPECIALIZE __m512d avx512_d_div(__m512d a, __m512d b) { return _mm512_div_pd(a, b); }
SR_SPECIALIZE __m512d avx512_d_sqrt(__m512d a) { return _mm512_sqrt_pd(a); }
SR_SPECIALIZE __m512d avx512_d_fma(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
SR_SPECIALIZE __m512d avx512_d_fnma(__m512d a, __m512d b, __m512d c) { return _mm512_fnmadd_pd(a, b, c); } /* c - a b */
SR_SPECIALIZE __m512i avx512_d_bits(__m512d a) { return _mm512_castpd_si512(a); }
SR_SPECIALIZE __m512d avx512_d_value(__m512i a) { return _mm512_castsi512_pd(a); }

/* ---- binary32 arithmetic on patterns: toward zero, with subnormals ---- */

SR_SPECIALIZE uint32_t avx512_f_enter(void)
{
    uint32_t const before = _mm_getcsr();
    _mm_setcsr(0x7F80);
    return before;
}

SR_SPECIALIZE __m512i avx512_f_add(__m512i a, __m512i b)
{
    return _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}

SR_SPECIALIZE __m512i avx512_f_sub(__m512i a, __m512i b)
{
    return _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}

SR_SPECIALIZE __m512i avx512_f_mul(__m512i a, __m512i b)
{
    return _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}

SR_SPECIALIZE __m512i avx512_f_fma(__m512i a, __m512i b, __m512i c)
{
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _mm512_castsi512_ps(c)));
}

SR_SPECIALIZE __m512i avx512_f_fnma(__m512i a, __m512i b, __m512i c)
{
    return _mm512_castps_si512(_mm512_fnmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _mm512_castsi512_ps(c)));
}

/* ---- between numbers and whole numbers ---- */

/* Products modulo 2^32; the upper and the lower halves of lanes of 64 bits; how many lanes of a mask are set */
SR_SPECIALIZE __m512i avx512_mul_32(__m512i a, __m512i b) { return _mm512_mullo_epi32(a, b); }

SR_SPECIALIZE __m512i avx512_uppers_64(__m512i a, __m512i b)
{
    __m512i const odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_epi32(a, odd, b);
}

SR_SPECIALIZE __m512i avx512_lowers_64(__m512i a, __m512i b) { return avx512_even_32(a, b); }

SR_SPECIALIZE int avx512_count_32(__mmask16 m) { return __builtin_popcount(m); }

/* 0 <= a < 2^63 without what follows the point, as an integer; the top bit is set where it is something else. And what
 * follows. Where rounding is toward zero. */
SR_SPECIALIZE __m512i avx512_d_whole(__m512d a) { return _mm512_cvttpd_epi64(a); }
SR_SPECIALIZE __m512d avx512_d_rest(__m512d a)
{
    return _mm512_sub_pd(a, _mm512_roundscale_pd(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}

/* Signed integers of 32 bits as numbers: half of them, or from two halves, cut off; and as patterns of binary32. Beyond their
 * range another number comes out. */
SR_SPECIALIZE __m512d avx512_d_from_32(__m512i v, int second)
{
    return _mm512_cvtepi32_pd(second ? _mm512_extracti64x4_epi64(v, 1) : _mm512_castsi512_si256(v));
}

SR_SPECIALIZE __m512i avx512_d_to_32(__m512d a, __m512d b)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvttpd_epi32(a)), _mm512_cvttpd_epi32(b), 1);
}

SR_SPECIALIZE __m512i avx512_f_from_32(__m512i v) { return _mm512_castps_si512(_mm512_cvtepi32_ps(v)); }
SR_SPECIALIZE __m512i avx512_f_to_32(__m512i v) { return _mm512_cvttps_epi32(_mm512_castsi512_ps(v)); }

#define SR_ARITHMETIC
#define SR_ENVIRONMENT uint32_t

/* ---- Philox: one counter word in the low half of each 64-bit lane ---- */

typedef __m512i avx512_c;
enum { avx512_c_lanes = 8, avx512_c_sets = 4 };

SR_SPECIALIZE avx512_c avx512_c_set(uint32_t v) { return _mm512_set1_epi64((int64_t)(uint64_t)v); }
SR_SPECIALIZE avx512_c avx512_c_mul(avx512_c a, avx512_c b) { return _mm512_mul_epu32(a, b); }
SR_SPECIALIZE avx512_c avx512_c_high(avx512_c a) { return _mm512_srli_epi64(a, 32); }
SR_SPECIALIZE avx512_c avx512_c_xor(avx512_c a, avx512_c b) { return _mm512_xor_si512(a, b); }
SR_SPECIALIZE avx512_c avx512_c_xor3(avx512_c a, avx512_c b, avx512_c c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

SR_SPECIALIZE avx512_c avx512_c_add(avx512_c a, avx512_c b) { return _mm512_add_epi64(a, b); }

/* Low halves: of a in even, of b in odd places */
SR_SPECIALIZE __m512i avx512_c_pair(avx512_c a, avx512_c b) { return _mm512_mask_shuffle_epi32(a, 0xAAAA, b, _MM_PERM_CCAA); }

/* block, block + 1, ... in the order that avx512_c_store wants */
SR_SPECIALIZE avx512_c avx512_c_count(uint32_t block)
{
    return _mm512_add_epi64(avx512_c_set(block), _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0));
}

SR_SPECIALIZE void avx512_c_store(uint32_t *out, avx512_c c0, avx512_c c1, avx512_c c2, avx512_c c3)
{
    __m512i const low = _mm512_mask_shuffle_epi32(c0, 0xAAAA, c1, _MM_PERM_CCAA);
    __m512i const high = _mm512_mask_shuffle_epi32(c2, 0xAAAA, c3, _MM_PERM_CCAA);
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low, high));
    _mm512_storeu_si512(out + 16, _mm512_unpackhi_epi64(low, high));
}
