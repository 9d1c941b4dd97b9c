/* The AVX2 path. */
#include "kernels.h"

#if SR_HAVE_X86
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif
#define SR_PATH_PREFIX avx2
#define SR_PATH_ID SR_PATH_AVX2
#include "vec_avx2.h"
#include "path_template.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
typedef int sr_no_avx2; /* a translation unit must not be empty */
#endif
