/* The AVX-512 path. */
#include "kernels.h"

#if SR_HAVE_X86
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
#endif
#define SR_PATH_PREFIX avx512
#define SR_PATH_ID SR_PATH_AVX512
#include "vec_avx512.h"
#include "path_template.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
typedef int sr_no_avx512; /* a translation unit must not be empty */
#endif
