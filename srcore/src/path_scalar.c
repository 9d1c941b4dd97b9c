/* The portable path. */
#include "kernels.h"

#define SR_PATH_PREFIX scalar
#define SR_PATH_ID SR_PATH_SCALAR
#include "vec_scalar.h"
#include "path_template.h"
