/* The triangular factor of tall matrices: checks, and the path's kernel. */
#include "srcore/srcore.h"
#include "kernels.h"

size_t sr_qr_work(size_t columns) { return columns > SIZE_MAX / 8 / SR_QR_STEP ? 0 : columns * SR_QR_STEP; }

sr_status sr_qr_rows_f64(const sr_kernels *kernels, size_t rows, size_t columns, const double *a, ptrdiff_t a_row, double *r,
                         double *work)
{
    sr_tall tall;
    if (!kernels) return SR_ERR_PATH;
    if (rows == 0 || columns == 0) return SR_OK;
    if (!a || !r || !work) return SR_ERR_NULL;
    tall.rows = rows;
    tall.columns = columns;
    tall.a = a;
    tall.a_row = a_row;
    tall.r = r;
    tall.tile = work;
    kernels->tall(&tall);
    return SR_OK;
}
