/* The NEON path. */
#include "kernels.h"

#if SR_HAVE_NEON
#define SR_PATH_PREFIX neon
#define SR_PATH_ID SR_PATH_NEON
#include "vec_neon.h"
#include "path_template.h"
#else
typedef int sr_no_neon; /* a translation unit must not be empty */
#endif
