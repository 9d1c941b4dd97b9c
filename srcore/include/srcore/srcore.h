/* srcore: stochastic and deterministic rounding to low-precision formats, bit for bit.
 *
 * The whole public interface. The definition of rounding itself is in <srcore/scalar.h>, the random
 * generator in <srcore/philox.h>; both are inline and can be used on their own. The contract, clause by
 * clause (S1 .. S10, cited below and in the definition), is docs/specification.md.
 *
 *     sr_format format;
 *     sr_rounding rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
 *     sr_plan plan;
 *     sr_words words = {7, 0, 0, 0, NULL, 0};            // seed 7, stream 0, from its start
 *     sr_format_named(&format, "bfloat16");
 *     sr_plan_init(&plan, &format, &rounding);
 *     sr_round_f32(&plan, &words, n, x, 1, NULL, 0, y, 1, NULL);
 *
 * The library allocates nothing, starts no threads, does no input or output and keeps no state: every
 * function may be called from any thread. Arguments are checked before anything is written.
 */
#ifndef SRCORE_SRCORE_H
#define SRCORE_SRCORE_H

#include <stddef.h>
#include <stdint.h>

#define SR_VERSION "0.1.0"

/* What a shared library exports: SR_SHARED is defined where one is built or used, SR_BUILDING where it is built. */
#ifndef SR_API
#if defined(SR_SHARED) && defined(_WIN32)
#ifdef SR_BUILDING
#define SR_API __declspec(dllexport)
#else
#define SR_API __declspec(dllimport)
#endif
#elif defined(SR_SHARED) && defined(__GNUC__)
#define SR_API __attribute__((visibility("default")))
#else
#define SR_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors --------------------------------------------------------------------------------------- */

typedef enum sr_status {
    SR_OK = 0,
    SR_ERR_NULL,          /* a pointer that must not be NULL is */
    SR_ERR_PRECISION,     /* precision outside 1..53 */
    SR_ERR_EXPONENT,      /* emin or emax outside what binary64 holds, or emin > emax */
    SR_ERR_MAX,           /* max is not on the format's grid, or not in [2^emax, 2^(emax+1)) */
    SR_ERR_FIXED_BITS,    /* int_bits + frac_bits outside 1..53, or a quantum that binary64 cannot hold */
    SR_ERR_FLAGS,         /* flags that contradict each other, or fields that were not made by sr_format_* */
    SR_ERR_NAME,          /* no format of that name */
    SR_ERR_MODE,          /* no such mode */
    SR_ERR_OVERFLOW_RULE, /* no such overflow rule, or one that the format cannot carry out */
    SR_ERR_EPS,           /* eps outside [0, 1] */
    SR_ERR_RANDOM_BITS,   /* random_bits neither SR_EXACT nor in 1..64 */
    SR_ERR_VARIANT,       /* no such variant */
    SR_ERR_CARRIER,       /* the carrier cannot hold every value of the format */
    SR_ERR_STREAM,        /* stream is not below 2^48 */
    SR_ERR_OFFSET,        /* offset + n exceeds 2^64 */
    SR_ERR_STRIDE,        /* a result stride of 0 */
    SR_ERR_OVERLAP,       /* result and operand overlap without being the same array */
    SR_ERR_BITS_UNUSED,   /* the caller's words in a mode that takes none (deterministic, or exact sr) */
    SR_ERR_BITS,          /* one of the caller's words does not fit in the mode's bits */
    SR_ERR_DIRECTION,     /* no direction in mode sr_signed, or a direction in another mode */
    SR_ERR_DIRECTION_NAN, /* a direction that is NaN */
    SR_ERR_OVERFLOW,      /* a value beyond the range under SR_OVERFLOW_RAISE; an infinite one under WRAP */
    SR_ERR_NO_CODE,       /* a NaN, or on a grid a large value, for which the format has no code */
    SR_ERR_CODE,          /* a code with bits above the format's */
    SR_ERR_PATH,          /* no such path, or one that this build or machine lacks */
    SR_ERR_OP,            /* no such operation */
    SR_ERR_ORDER,         /* terms, an order, a block and align_bits that do not go together */
    SR_ERR_STEP,          /* a step outside of what sr_format_grid takes */
    SR_ERR_GRID           /* arithmetic on a grid, which only rounds */
} sr_status;

/* A sentence in English; never NULL. */
SR_API const char *sr_strerror(sr_status status);

/* The version of the library that is linked, as SR_VERSION is of the header. */
SR_API const char *sr_version(void);

/* ---- paths ---------------------------------------------------------------------------------------- */

/* A path is an instruction set that the array calls are compiled for. All of them give the same bits. */
typedef enum sr_path { SR_PATH_SCALAR, SR_PATH_AVX2, SR_PATH_AVX512, SR_PATH_NEON } sr_path;
#define SR_PATH_COUNT 4

/* The array kernels of one path: an immutable table. */
typedef struct sr_kernels sr_kernels;

/* NULL where this build or this machine lacks the path. */
SR_API const sr_kernels *sr_kernels_for(sr_path path);

/* The fastest path of this build on this machine. */
SR_API sr_path sr_path_best(void);

/* "scalar", "avx2", "avx512", "neon"; NULL for no such path. And the path of a name: SR_ERR_PATH where there is none. */
SR_API const char *sr_path_name(sr_path path);
SR_API sr_status sr_path_named(sr_path *path, const char *name);

/* ---- formats (S1) --------------------------------------------------------------------------------- */

/* What becomes of a value beyond the range (S5.2). */
typedef enum sr_overflow {
    SR_OVERFLOW_DEFAULT = 0, /* the format's own rule */
    SR_OVERFLOW_INF,
    SR_OVERFLOW_SATURATE,
    SR_OVERFLOW_PROPAGATE,
    SR_OVERFLOW_NAN,
    SR_OVERFLOW_WRAP,
    SR_OVERFLOW_RAISE
} sr_overflow;

#define SR_SUBNORMALS 1u
#define SR_INFINITIES 2u
#define SR_NAN 4u
#define SR_NEGATIVE_ZERO 8u
#define SR_ZERO 16u
#define SR_SIGNED 32u
#define SR_IEEE_FLAGS (SR_SUBNORMALS | SR_INFINITIES | SR_NAN | SR_NEGATIVE_ZERO | SR_ZERO | SR_SIGNED)

#define SR_FIXED_POINT 0 /* precision of a fixed-point format: no limit, the quantum is the same throughout */
#define SR_GRID (-1)     /* of a grid of any step (S9) */

/* A format is plain data: a grid and a range. Fill it with one of the functions below. */
typedef struct sr_format {
    int32_t precision; /* p, hidden bit included, 1..53; SR_FIXED_POINT or SR_GRID */
    int32_t emin;      /* exponent of the smallest normal number; fixed point: qmin; grids: 0 */
    int32_t qmin;      /* exponent of the smallest quantum; grids: 0 */
    uint32_t flags;    /* SR_SUBNORMALS | ... */
    double max, min;   /* largest and smallest finite value */
    sr_overflow overflow;
    int32_t exponent;  /* grids: the step num/den 2^exponent; else 0 */
    uint64_t num, den; /* odd, below 2^53, without a common factor */
} sr_format;

/* A binary floating-point format. max = 0 means the largest value with exponent emax. SR_NEGATIVE_ZERO is dropped
 * where there is no sign or no zero; overflow may be SR_OVERFLOW_DEFAULT: INF where there are infinities, else NAN
 * where there is NaN, else SATURATE. */
SR_API sr_status sr_format_float(sr_format *format, int precision, int emin, int emax, double max, unsigned flags,
                                 sr_overflow overflow);

/* Fixed point with int_bits before the point, the sign not counted, and frac_bits behind it. Either may be negative as
 * long as 1 <= int_bits + frac_bits <= 53. SR_OVERFLOW_DEFAULT is SATURATE. */
SR_API sr_status sr_format_fixed(sr_format *format, int int_bits, int frac_bits, int is_signed, sr_overflow overflow);

/* The multiples of num/den 2^exponent (S9), each the nearest double. Powers of two and common factors may stand
 * anywhere; without them num and den must be below 2^53, and the double nearest to the step neither 0 nor infinite.
 * Grids round, and give codes, in binary64; arithmetic refuses them. SR_OVERFLOW_DEFAULT is INF. */
SR_API sr_status sr_format_grid(sr_format *format, uint64_t num, uint64_t den, int exponent, sr_overflow overflow);

/* A format by its name: "binary64" ... "float4_e2m1fn", or "Q3.8", "UQ0.8" for fixed point. */
SR_API sr_status sr_format_named(sr_format *format, const char *name);

/* The names, from 0; NULL from the first index beyond them. */
SR_API const char *sr_format_name(size_t index);

/* Bits of a code, 1..64, and bytes of the integer that carries it: 1, 2, 4 or 8. 0 for a format that is not valid. */
SR_API int sr_format_code_bits(const sr_format *format);
SR_API int sr_format_code_bytes(const sr_format *format);

typedef enum sr_carrier { SR_CARRIER_F32, SR_CARRIER_F64 } sr_carrier;

/* SR_OK where the carrier holds every value of the format exactly. */
SR_API sr_status sr_format_fits(const sr_format *format, sr_carrier carrier);

/* ---- how to round (S2, S3) ------------------------------------------------------------------------ */

typedef enum sr_mode {
    SR_MODE_RNE,       /* to nearest, ties to even */
    SR_MODE_RNA,       /* to nearest, ties away from zero */
    SR_MODE_RNZ,       /* to nearest, ties toward zero */
    SR_MODE_RZ,        /* toward zero */
    SR_MODE_RA,        /* away from zero */
    SR_MODE_RU,        /* up */
    SR_MODE_RD,        /* down */
    SR_MODE_RO,        /* to odd */
    SR_MODE_SR,        /* stochastic: away with probability phi */
    SR_MODE_SR_EQUAL,  /* away with probability 1/2 */
    SR_MODE_SR_EPS,    /* away with probability phi + eps, clipped */
    SR_MODE_SR_SIGNED  /* away with probability phi - sign(v) sign(x) eps, clipped */
} sr_mode;

typedef enum sr_variant { SR_VARIANT_A, SR_VARIANT_B, SR_VARIANT_C } sr_variant;

#define SR_EXACT 0 /* random_bits: as many as it takes */

typedef struct sr_rounding {
    sr_mode mode;
    sr_overflow overflow;
    int random_bits; /* mode sr: SR_EXACT or 1..64 */
    sr_variant variant; /* mode sr with 1..64 random bits */
    double eps;         /* modes sr_eps and sr_signed: 0 <= eps <= 1 */
} sr_rounding;

/* What every array call on more than a few elements works out from its plan, kept: see sr_plan_prepare. */
typedef struct sr_prepared {
    uint64_t room[160];
} sr_prepared;

/* A format and a way of rounding, checked and put into the integers that the definition works with. Plain data: copy it
 * freely, but fill it only by sr_plan_init. */
typedef struct sr_plan {
    sr_format format;
    sr_mode mode;
    sr_overflow overflow;  /* never DEFAULT */
    int random_bits;       /* r */
    int word_bits;         /* w: 0 where nothing is drawn, else 8, 16, 32 or 64 */
    sr_variant variant;
    uint64_t eps;          /* eps in units of 2^-32, rounded to nearest, ties to even */
    uint64_t max_bits;     /* bit patterns of max and of |min| in binary64 */
    uint64_t min_bits;
    int code_bits;         /* S1.8 */
    uint64_t code_infinity;
    uint64_t code_nan;
    int fits_f32;              /* sr_format_fits(format, SR_CARRIER_F32) == SR_OK */
    const sr_kernels *kernels; /* what the array calls run on */
    const sr_prepared *prepared; /* NULL, or what sr_plan_prepare has filled in */
} sr_plan;

/* The plan runs on the fastest path. */
SR_API sr_status sr_plan_init(sr_plan *plan, const sr_format *format, const sr_rounding *rounding);

/* The same plan on another path: the same bits. SR_ERR_PATH where this build or machine lacks it. */
SR_API sr_status sr_plan_set_path(sr_plan *plan, sr_path path);

/* For many calls on short arrays: what each would work out first, some 0.1 us, is kept in *prepared, which must outlive
 * the plan and its copies. Results are the same. sr_plan_set_path lets go of it. */
SR_API sr_status sr_plan_prepare(sr_plan *plan, sr_prepared *prepared);

/* ---- random words (S4) ---------------------------------------------------------------------------- */

/* Where the random words of a call come from. Element i of a call owns word i of the keystream (seed, stream) counted
 * from the given block; element 0 of the arrays is element `offset` of the call, so that a call may be done in pieces.
 * With `bits` not NULL the caller's words are used instead: right-aligned integers of 8, 16, 32 or 64 bits, the
 * smallest that holds the mode's (sr_plan.word_bits). */
typedef struct sr_words {
    uint64_t seed;
    uint64_t stream; /* below 2^48 */
    uint64_t block;
    uint64_t offset;
    const void *bits;
    ptrdiff_t bits_stride; /* in elements, as all strides here */
} sr_words;

/* Operations whose exact results are rounded once (S7). */
typedef enum sr_op {
    SR_OP_ROUND, /* x */
    SR_OP_ADD,   /* x + y */
    SR_OP_SUB,   /* x - y */
    SR_OP_MUL,   /* x y */
    SR_OP_DIV,   /* x / y */
    SR_OP_SQRT,  /* the square root of x */
    SR_OP_FMA    /* x y + z */
} sr_op;

/* How often what happened; calls add to them. */
typedef struct sr_counts {
    uint64_t overflow;  /* finite results beyond the range */
    uint64_t underflow; /* results that were not zero and became it */
    uint64_t nan;       /* NaNs from operands that are none */
    uint64_t inexact;   /* results not on the grid */
} sr_counts;

/* What the terms of a result are (S8). */
typedef enum sr_terms {
    SR_TERMS_SUM,     /* x_0 + x_1 + ... */
    SR_TERMS_PRODUCT, /* x_0 x_1 ... */
    SR_TERMS_DOT,     /* x_0 y_0 + x_1 y_1 + ..., products rounded on their own */
    SR_TERMS_FMA,     /* the same, each product and its addition rounded once */
    SR_TERMS_FUSED    /* the same, a block of products and what has been summed rounded once */
} sr_terms;

/* In which order they are taken: every node of a binary tree is rounded. */
typedef enum sr_order {
    SR_ORDER_SEQUENTIAL, /* from left to right: the only one of FMA and FUSED */
    SR_ORDER_PAIRWISE,   /* split at the largest power of two below n */
    SR_ORDER_BLOCKED,    /* sequential inside blocks, then over their results */
    SR_ORDER_EXACT       /* SUM and DOT: the exact sum, rounded once */
} sr_order;

#define SR_ALIGN_MOST 4096

typedef struct sr_reduction {
    sr_terms terms;
    sr_order order;
    size_t n;                /* terms of a result */
    size_t block;            /* BLOCKED, FUSED: terms of a block */
    int running;             /* SUM and PRODUCT, sequential: a result after every term, n in a row */
    const sr_plan *products; /* DOT: how products are rounded, in the same mode; NULL: as sums are */
    int align_bits;          /* FUSED: 0, or how many bits the largest term of a block has, below which all are cut off */
} sr_reduction;

/* Blocks that a call on n elements uses up; 0 where nothing is drawn. */
SR_API uint64_t sr_call_blocks(const sr_plan *plan, uint64_t n);

/* Philox4x32 with the given number of rounds (10 is the keystream's). */
SR_API void sr_philox4x32(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4]);

/* Words first, first + 1, ... of the keystream (seed, stream) that starts at a block; first + n < 2^64. The second form
 * runs on a path of the caller's choice. */
SR_API void sr_philox_fill(uint64_t seed, uint64_t stream, uint64_t block, uint64_t first, size_t n, uint32_t *out);
SR_API void sr_philox_fill_on(const sr_kernels *kernels, uint64_t seed, uint64_t stream, uint64_t block, uint64_t first,
                              size_t n, uint32_t *out);

/* ---- arrays --------------------------------------------------------------------------------------- */

/* y[j] = x[j] rounded, j < n. Strides count elements; they may be negative, and 0 for an operand that stays the same.
 * `direction` is NULL but in mode sr_signed. y may be an operand itself (same pointer, same stride) and must not overlap
 * one otherwise; that is checked for arrays of stride 1, and the caller's to see to with other strides. An error writes
 * nothing; where one element is to blame, *index (if not NULL) is the lowest such index, offset included. A NULL `words` will do where nothing is drawn. */
SR_API sr_status sr_round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                              const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                              uint64_t *index);
SR_API sr_status sr_round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                              const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                              uint64_t *index);

/* y_i = the exact result of an operation on elements i of its operands, rounded once (S7). `operands` and their strides:
 * x, y, z, as many as the operation has, then the direction with sr_signed. `counts` may be NULL. */
SR_API sr_status sr_arith_f32(const sr_plan *plan, sr_op op, const sr_words *words, size_t n,
                              const float *const *operands, const ptrdiff_t *strides, float *y, ptrdiff_t y_stride,
                              sr_counts *counts, uint64_t *index);
SR_API sr_status sr_arith_f64(const sr_plan *plan, sr_op op, const sr_words *words, size_t n,
                              const double *const *operands, const ptrdiff_t *strides, double *y, ptrdiff_t y_stride,
                              sr_counts *counts, uint64_t *index);

/* Blocks of the keystream that each result of a reduction owns (S8.3). */
SR_API uint64_t sr_reduce_blocks(const sr_plan *plan, const sr_reduction *reduction);

/* Results of many terms, every node rounded (S8). operands: x, y (of products), and initial values of DOT (sequential), FMA
 * and FUSED, or NULL; strides[k]: from one result's terms to the next one's, and from term to term. Result o is put at
 * o y_strides[0], a running one's term t at t y_strides[1] from there, and must not overlap operands. words->offset counts
 * results, and so does *index. Neither the caller's words nor mode sr_signed will do. */
SR_API sr_status sr_reduce_f32(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t results,
                               const float *const *operands, const ptrdiff_t (*strides)[2], float *y,
                               const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index);
SR_API sr_status sr_reduce_f64(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t results,
                               const double *const *operands, const ptrdiff_t (*strides)[2], double *y,
                               const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index);

/* Matrix products: result (i, j) of m x n is the inner product of length reduction->n of row i of operands[0] and column j of
 * operands[1], from operands[2] (i, j) on if that is not NULL, and put at i y_strides[0] + j y_strides[1]. strides[k]: from row to
 * row and from column to column. Results are numbered row by row, as words->offset and *index are; all else is as with
 * sr_reduce_*, whose results these are bit by bit: DOT, FMA and FUSED alone. */
SR_API sr_status sr_matmul_f32(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t m, size_t n,
                               const float *const *operands, const ptrdiff_t (*strides)[2], float *y,
                               const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index);
SR_API sr_status sr_matmul_f64(const sr_plan *plan, const sr_reduction *reduction, const sr_words *words, size_t m, size_t n,
                               const double *const *operands, const ptrdiff_t (*strides)[2], double *y,
                               const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index);

/* What sr_round_* does, to codes of sr_format_code_bytes() bytes: unsigned for floats and unsigned fixed point, sign-extended two's
 * complement for signed fixed point and grids. Codes and operands must not overlap. */
SR_API sr_status sr_encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                               const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                               uint64_t *index);
SR_API sr_status sr_encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x,
                               ptrdiff_t x_stride, const double *direction, ptrdiff_t direction_stride, void *codes,
                               ptrdiff_t codes_stride, uint64_t *index);

/* What sr_round_* (codes = 0) or sr_encode_* (codes = 1) would return on these operands; writes nothing but *index. For
 * callers that split one call over threads under a rule that refuses values: check the whole, then round the pieces. */
SR_API sr_status sr_check_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                              const float *direction, ptrdiff_t direction_stride, int codes, uint64_t *index);
SR_API sr_status sr_check_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                              const double *direction, ptrdiff_t direction_stride, int codes, uint64_t *index);

/* Codes to values. */
SR_API sr_status sr_decode_f32(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, float *y,
                               ptrdiff_t y_stride, uint64_t *index);
SR_API sr_status sr_decode_f64(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, double *y,
                               ptrdiff_t y_stride, uint64_t *index);

/* ---- gradient descent (S10) ----------------------------------------------------------------------- */

/* One step: y = update(x - product(step gradient(g))). The gradient g is rounded, then the exact product of
 * that and the step, then the exact difference; each as sr_round_* or sr_arith_* would, one call after the other on one
 * keystream. A plan that is NULL rounds to nearest in the carrier's own format, draws nothing and counts nothing. Mode
 * sr_signed goes with the update alone, whose direction is the rounded gradient. */
typedef struct sr_descent {
    const sr_plan *gradient, *product, *update;
    double step;
    uint64_t size; /* coordinates of a run: a call may do some of them */
} sr_descent;

typedef enum sr_descent_rounding { SR_DESCENT_GRADIENT, SR_DESCENT_PRODUCT, SR_DESCENT_UPDATE } sr_descent_rounding;

/* How often what happened; calls add to them. */
typedef struct sr_descent_counts {
    uint64_t overflow[3]; /* by sr_descent_rounding: what sr_counts.overflow counts */
    uint64_t stagnated;   /* coordinates that kept their value although g was not 0 */
    uint64_t moved;       /* coordinates that did not keep it; 0 and -0 are the same value, and so are all NaN */
} sr_descent_counts;

/* What an error is to blame on. */
typedef struct sr_descent_failure {
    uint64_t run;   /* the first one; in it */
    uint64_t index; /* the lowest coordinate, words->offset included; of its roundings the first one */
    sr_descent_rounding rounding;
} sr_descent_failure;

/* Blocks of the keystream that a step uses up. */
SR_API uint64_t sr_descend_blocks(const sr_descent *descent);

/* A step of so many runs: run r draws from stream words->stream + r, its n coordinates are those from r n on in each
 * array, and counts[r] are its counts. They are coordinates words->offset and up, offset + n <= descent->size: pieces in
 * any order give the same bits. y, and g, of either carrier, may be x itself; otherwise nothing that is written may overlap
 * anything else. `rounded`, if not NULL, receives the rounded gradient. After an error x is as it was, but y and `rounded`,
 * where they are others, and `counts` hold anything; *failure, if not NULL, is filled in where values are to blame.
 * `counts` may be NULL. The caller's words (words->bits) will not do; a NULL `words` will where nothing is drawn. */
SR_API sr_status sr_descend_f32(const sr_descent *descent, const sr_words *words, size_t runs, size_t n, const float *x,
                                const void *g, sr_carrier g_carrier, float *y, float *rounded, sr_descent_counts *counts,
                                sr_descent_failure *failure);
SR_API sr_status sr_descend_f64(const sr_descent *descent, const sr_words *words, size_t runs, size_t n, const double *x,
                                const void *g, sr_carrier g_carrier, double *y, double *rounded, sr_descent_counts *counts,
                                sr_descent_failure *failure);

/* The same with the gradient of sum_i spectrum_i (x_i - minimizer_i)^2 / 2, evaluated in binary64, to nearest:
 * g = fl(spectrum fl(x - minimizer)), NaN the positive one. Both, n numbers for all runs, are of the carrier g_carrier. */
SR_API sr_status sr_descend_diagonal_f32(const sr_descent *descent, const sr_words *words, size_t runs, size_t n,
                                         const float *x, const void *spectrum, const void *minimizer,
                                         sr_carrier g_carrier, float *y, float *rounded, sr_descent_counts *counts,
                                         sr_descent_failure *failure);
SR_API sr_status sr_descend_diagonal_f64(const sr_descent *descent, const sr_words *words, size_t runs, size_t n,
                                         const double *x, const void *spectrum, const void *minimizer,
                                         sr_carrier g_carrier, double *y, double *rounded, sr_descent_counts *counts,
                                         sr_descent_failure *failure);

/* ---- tall matrices -------------------------------------------------------------------------------- */

/* r, columns x columns, row by row, zero below its diagonal, becomes the triangular factor of r above a, whose rows are
 * a_row elements apart: from zeros, that of a. Any number of rows in any number of calls, by Householder reflections in
 * binary64, to nearest. The same calls give the same bits on every path (SR_PATH_SCALAR: in the usual floating-point
 * environment). NaN or infinity in a, or an overflow, leaves NaN or infinity in r. `work` has room for sr_qr_work(columns)
 * doubles; that is 0 for more columns than there can be. */
SR_API size_t sr_qr_work(size_t columns);
SR_API sr_status sr_qr_rows_f64(const sr_kernels *kernels, size_t rows, size_t columns, const double *a, ptrdiff_t a_row,
                                double *r, double *work);

#ifdef __cplusplus
}
#endif

#endif
