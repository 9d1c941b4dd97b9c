/* Which paths this build and this machine have. */
#include "kernels.h"

#if SR_HAVE_X86
/* The compilers' run-time library asks the processor once, when the program is loaded, and also whether the system saves
 * the registers (XCR0). */
static int has(sr_path path)
{
    if (__builtin_cpu_supports("fma") == 0) return 0;
    if (path == SR_PATH_AVX2) return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0;
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}
#endif

const sr_kernels *sr_kernels_for(sr_path path)
{
    switch (path) {
    case SR_PATH_SCALAR: return &sr_kernels_scalar;
#if SR_HAVE_X86
    case SR_PATH_AVX2: return has(path) ? &sr_kernels_avx2 : NULL;
    case SR_PATH_AVX512: return has(path) ? &sr_kernels_avx512 : NULL;
#endif
#if SR_HAVE_NEON
    case SR_PATH_NEON: return &sr_kernels_neon;
#endif
    default: return NULL;
    }
}

sr_path sr_path_best(void)
{
    static const sr_path fastest_first[] = {SR_PATH_AVX512, SR_PATH_AVX2, SR_PATH_NEON};
    for (size_t i = 0; i < sizeof fastest_first / sizeof fastest_first[0]; i++)
        if (sr_kernels_for(fastest_first[i])) return fastest_first[i];
    return SR_PATH_SCALAR;
}

static const char *const path_names[SR_PATH_COUNT] = {"scalar", "avx2", "avx512", "neon"};

const char *sr_path_name(sr_path path)
{
    return (unsigned)path < SR_PATH_COUNT ? path_names[path] : NULL;
}

sr_status sr_path_named(sr_path *path, const char *name)
{
    if (!path || !name) return SR_ERR_NULL;
    for (int i = 0; i < SR_PATH_COUNT; i++) {
        const char *a = name, *b = path_names[i];
        while (*a && *a == *b) {
            a++;
            b++;
        }
        if (*a == *b) {
            *path = (sr_path)i;
            return SR_OK;
        }
    }
    return SR_ERR_PATH;
}

sr_status sr_plan_set_path(sr_plan *plan, sr_path path)
{
    const sr_kernels *const kernels = sr_kernels_for(path);
    if (!plan) return SR_ERR_NULL;
    if (!kernels) return SR_ERR_PATH;
    plan->kernels = kernels;
    plan->prepared = NULL;
    return SR_OK;
}
