/* The triangular factor of tall matrices: the same bits on every path, and right, against exact sums of products (R'R is
 * A'A but for a few units of the last place of the columns' norms), over the whole range of binary64. */
#include "srcore/srcore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 900
#define MOST_COLUMNS 37

static unsigned long checks, wrong;

static void check(int right, const char *what, size_t rows, size_t columns, int power)
{
    checks++;
    if (right) return;
    if (wrong++ < 20) printf("wrong: %s, %zu x %zu, scale 2^%d\n", what, rows, columns, power);
}

static uint64_t state = 88172645463325252u;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53 - 0.5;
}

static double a[MOST_ROWS * (MOST_COLUMNS + 3)], r[MOST_COLUMNS * MOST_COLUMNS], other[MOST_COLUMNS * MOST_COLUMNS];
static double *work;

static void factor(const sr_kernels *kernels, size_t rows, size_t d, ptrdiff_t a_row, size_t first, double *to)
{
    memset(to, 0, d * d * sizeof *to);
    if (first > rows) first = rows;
    check(sr_qr_rows_f64(kernels, first, d, a, a_row, to, work) == SR_OK, "status", rows, d, 0);
    check(sr_qr_rows_f64(kernels, rows - first, d, a + (ptrdiff_t)first * a_row, a_row, to, work) == SR_OK, "status", rows, d, 0);
}

/* Long double has 11 bits more here, or none; the tolerance has room for either. */
static long double inner(const double *x, ptrdiff_t x_step, const double *y, ptrdiff_t y_step, size_t n, int power)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (long double)ldexp(x[(ptrdiff_t)i * x_step], -power) * (long double)ldexp(y[(ptrdiff_t)i * y_step], -power);
    return sum;
}

static void one(size_t rows, size_t d, int power, int zeros)
{
    ptrdiff_t const a_row = (ptrdiff_t)d + (ptrdiff_t)(rows % 3);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < d; j++)
            a[(ptrdiff_t)i * a_row + (ptrdiff_t)j] = zeros && (j % 3 == 1 || i % 5 == 2) ? 0.0 : ldexp(uniform(), power);
    factor(sr_kernels_for(SR_PATH_SCALAR), rows, d, a_row, 0, r);
    for (int path = 0; path < SR_PATH_COUNT; path++) {
        const sr_kernels *const kernels = sr_kernels_for((sr_path)path);
        if (!kernels) continue;
        for (size_t first = 0; first <= 384; first += 128) { /* whole tiles */
            factor(kernels, rows, d, a_row, first, other);
            check(memcmp(r, other, d * d * sizeof *r) == 0, sr_path_name((sr_path)path), rows, d, power);
        }
    }
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j < i; j++) check(r[i * d + j] == 0, "below the diagonal", rows, d, power);
        for (size_t j = i; j < d; j++) {
            long double const given = inner(a + i, a_row, a + j, a_row, rows, power);
            long double const made = inner(r + i, (ptrdiff_t)d, r + j, (ptrdiff_t)d, d, power);
            long double const norms = sqrtl(inner(a + i, a_row, a + i, a_row, rows, power)) *
                                      sqrtl(inner(a + j, a_row, a + j, a_row, rows, power));
            /* subnormal entries have absolute errors, of 2^-1075 */
            long double const most = (long double)(4 * d + 40) * 0x1p-53L * norms +
                                     (power < -1000 ? ldexpl((long double)(rows * (d + 4)), -1074 - power) : 0.0L);
            check(fabsl(given - made) <= most, "R'R = A'A", rows, d, power);
        }
    }
}

/* The scalar path has a square root of its own: that of a column of one number and zeros is the number. */
static void roots(void)
{
    for (int i = 0; i < 20000; i++) {
        double const x = ldexp(uniform() + 1.0, i % 400 - 200), y = ldexp(uniform() + 1.0, i % 17 - 8) * x;
        double one_r = x;
        check(sr_qr_rows_f64(sr_kernels_for(SR_PATH_SCALAR), 1, 1, &y, 1, &one_r, work) == SR_OK, "status", 1, 1, 0);
        check(fabs(one_r) == sqrt(y * y + x * x), "root", 1, 1, i % 400 - 200);
    }
}

int main(void)
{
    static const size_t columns[] = {1, 2, 3, 4, 5, 8, 9, 13, 37}, rows[] = {1, 2, 7, 8, 9, 127, 128, 129, 300, 513, 900};
    static const int powers[] = {0, -300, 300, -500, 511, 1010, -600, -1000, -1040, -1070};
    double special[3] = {1.0, 0.0, 2.0}, factor_of[1];
    work = (double *)malloc(sr_qr_work(MOST_COLUMNS) * sizeof *work);
    if (!work) return 1;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t n = 0; n < sizeof rows / sizeof *rows; n++)
            for (size_t p = 0; p < sizeof powers / sizeof *powers; p++)
                if (p == 0 || (c + n) % 5 == p % 5) one(rows[n], columns[c], powers[p], (c + n + p) % 4 == 1);
    roots();
    for (int k = 0; k < 3; k++) {
        special[1] = k == 0 ? (double)NAN : k == 1 ? (double)INFINITY : -(double)INFINITY;
        for (int path = 0; path < SR_PATH_COUNT; path++) {
            const sr_kernels *const kernels = sr_kernels_for((sr_path)path);
            factor_of[0] = 0.0;
            if (kernels) {
                sr_qr_rows_f64(kernels, 3, 1, special, 1, factor_of, work);
                check(!isfinite(factor_of[0]), "NaN and infinity", 3, 1, k);
            }
        }
    }
    check(sr_qr_work(SIZE_MAX / 8) == 0, "too much work", 0, 0, 0);
    check(sr_qr_rows_f64(NULL, 1, 1, special, 1, factor_of, work) == SR_ERR_PATH, "no path", 1, 1, 0);
    check(sr_qr_rows_f64(sr_kernels_for(SR_PATH_SCALAR), 1, 1, NULL, 1, factor_of, work) == SR_ERR_NULL, "no a", 1, 1, 0);
    check(sr_qr_rows_f64(sr_kernels_for(SR_PATH_SCALAR), 0, 1, NULL, 1, NULL, NULL) == SR_OK, "no rows", 0, 1, 0);
    free(work);
    printf("%lu checks, %lu wrong\n", checks, wrong);
    return wrong != 0;
}
