/* What the array calls (round.c) and the paths (path_*.c) have in common: the table of a path, the constants of a call
 * and a chunk of it. Internal. */
#ifndef SRCORE_KERNELS_H
#define SRCORE_KERNELS_H

#include "srcore/scalar.h"

#ifdef __FAST_MATH__
#error "srcore must not be built with -ffast-math"
#endif

#if defined(__GNUC__)
#ifdef __OPTIMIZE__
#define SR_SPECIALIZE static inline __attribute__((always_inline))
#else /* which would inline without tidying up: minutes to compile, megabytes of stack */
#define SR_SPECIALIZE static inline
#endif
#define SR_APART static __attribute__((noinline))
#define SR_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define SR_FETCH(address) __builtin_prefetch(address)
#define SR_ALIGNED(bytes) __attribute__((aligned(bytes)))
/* A constant size: an ordinary load or store, whatever the array's declared type, and no value passes through a
 * floating-point register, where a signalling NaN could change. */
#define SR_COPY(to, from, bytes) __builtin_memcpy(to, from, bytes)
#else
#include <string.h>
#ifdef _MSC_VER
#define SR_SPECIALIZE static __forceinline
#define SR_APART static __declspec(noinline)
#define SR_ALIGNED(bytes) __declspec(align(bytes))
#else
#define SR_SPECIALIZE static inline
#define SR_APART static
#define SR_ALIGNED(bytes)
#endif
#define SR_UNLIKELY(condition) (condition)
#define SR_FETCH(address) (void)(address)
#define SR_COPY(to, from, bytes) memcpy(to, from, bytes)
#endif

/* Elements that a kernel takes at a time: words, gathered operands and results of so many stay in the first-level cache. */
#define SR_CHUNK 1024

/* philox() writes whole sets of blocks: at most so many blocks beyond those asked for. */
#define SR_PHILOX_SLACK 8

/* The ways in which "away" is decided; the constants of sr_lanes say the rest. */
typedef enum sr_kind {
    SR_KIND_DIRECTED, /* rz, ra, ru, rd */
    SR_KIND_NEAREST,  /* rne, rna, rnz */
    SR_KIND_ODD,      /* ro */
    SR_KIND_EXACT,    /* sr, random_bits exact */
    SR_KIND_FEW,      /* sr, 1 .. 64 random bits */
    SR_KIND_EQUAL,    /* sr_equal */
    SR_KIND_BIASED    /* sr_eps, sr_signed */
} sr_kind;

/* The quick kernels of EXACT and of the deterministic kinds: for magnitudes in a window, where nothing special happens. */
typedef enum sr_quick {
    SR_QUICK_NONE,
    SR_QUICK_LANES,         /* d by lane: k = min(E + quick_c, quick_k) */
    SR_QUICK_ALL,           /* the same without a lower limit: deterministic kinds only */
    SR_QUICK_NO_MINUS_ZERO, /* the same for values, where -0 is a special case */
    SR_QUICK_FIXED,         /* the same for codes in fixed point */
    SR_QUICK_SAME,          /* the same d <= 16 throughout, quick_k = W - d */
    SR_QUICK_HALF,          /* d = 16 throughout */
    SR_QUICK_SCALED,        /* float32, values, at most 15 bits of precision: as whole numbers of quanta */
    SR_QUICK_SCALED_FIXED   /* the same in fixed point */
} sr_quick;

/* Magnitudes m with low <= m - step as unsigned and m - step <= high as signed numbers. Step 1 lets +0 in. */
typedef struct sr_window {
    uint64_t step, low, high;
} sr_window;

/* Grids: patterns of doubles (grid_template.h). */
typedef struct sr_grid_lanes {
    uint64_t num, den, scale; /* the step is num / den scale */
    uint64_t reciprocal;      /* of the step */
    uint64_t high;
} sr_grid_lanes;

#define SR_GRID_LOW ((uint64_t)(1023 - 900) << 52)

/* A plan in the terms of vector lanes of W = 32 or 64 bits, the carrier's bit patterns, with MB = 23 or 52 fraction bits
 * and exponent bias B. E is a value's exponent field, S its significand: |x| = S 2^(E - B - MB). So the quantum 2^q lies
 * at bit d = q + B + MB - E of S: d is the number of dropped bits, and k = W - d shifts them to the top of a lane. */
typedef struct sr_lanes {
    sr_kind kind;
    int fixed;
    int over_hard;    /* values beyond the range go to the definition (wrap) */
    int no_zero;
    uint64_t minus_zero; /* all ones where there is -0 */

    /* Range and quanta. */
    uint64_t normal;  /* magnitudes from this pattern on drop d_normal bits; all ones for fixed point */
    uint64_t d_normal;
    uint64_t d_below; /* the others d_below - E */
    uint64_t quantum; /* the pattern of the quantum below `normal` */
    uint64_t parity_mask, parity; /* one bit of precision: S2.7 */
    uint64_t max, min;            /* patterns of max and |min| */
    uint64_t smallest;            /* a non-zero value becomes at least this: 0, or the quantum where there is no zero */
    uint64_t over[2], infinite[2], zero[2]; /* results by sign: finite overflow, infinity, zero (no_zero) */
    uint64_t negative_nan;        /* all ones where a negative value is NaN (S5.13) */

    /* Deciding. */
    uint64_t away[2];             /* DIRECTED: all ones if away, by sign */
    uint64_t tie_away, tie_even;  /* NEAREST: all ones or 0 */
    uint64_t few_mask;            /* FEW: the top r bits of a lane */
    uint64_t few_next;            /* bit r + 1, 0 where that is beyond the lane */
    uint64_t few_up, few_even;    /* variants b and c; c alone: all ones or 0 */
    uint64_t eps;                 /* BIASED: eps at the top of a lane */
    uint64_t eps_full;            /* eps = 1: all ones */

    /* Codes. */
    uint64_t code_base;   /* (emin's field - 1) << MB, so that code = (pattern - base) >> d */
    uint64_t d_code;      /* d_below of the subnormals, for values of the format */
    uint64_t code_nan, code_infinity, code_sign;
    int code_bytes;

    uint64_t code_shift;  /* brings a pattern's sign to the code's */

    sr_quick quick, quick_codes;
    uint64_t quick_k, quick_c;
    uint64_t quick_d; /* codes of one byte: d - 16 at least */
    uint64_t tiny[2];  /* ALL: magnitudes below the quantum, and above this, become the quantum, by sign */
    uint64_t scaled_down, scaled_quantum; /* takes S to 16 bits below the quantum; the pattern of 2^q, or what makes it of 2^e */
    sr_window quick_window, code_window;
    sr_grid_lanes grid; /* in place of all but kind, Deciding and code_bytes */
} sr_lanes;

/* At most SR_CHUNK elements (any number without words), contiguous. */
typedef struct sr_chunk {
    const sr_plan *plan;
    const sr_lanes *lanes;
    size_t n;
    const void *x, *direction;
    ptrdiff_t x_stride;   /* in elements; other than 1 only where the kernel draws the words */
    const void *words;    /* EXACT, EQUAL: 16 bits; FEW, BIASED: lanes, the random bits at their top; NULL: to be drawn
                             from `block` on (only where sr_draws_itself) */
    uint64_t block;
    void *y;              /* values, or codes; room for one vector beyond n is not needed */
    uint64_t seed, stream, counter; /* the refinement counter of element 0 (S4.10) */
    /* Arithmetic: x are results rounded to odd; what settles element j of those from x on, and what it needs. */
    uint64_t (*settle)(const void *context, const void *x, size_t j);
    const void *context;
} sr_chunk;

/* Operands of an operation, contiguous: n <= SR_ARITH of them, all in one carrier. */
#define SR_ARITH 256
#define SR_HALVES_GROUP 64 /* four vectors of the widest path */
typedef struct sr_operands {
    const void *x, *y, *z;
    size_t n;
    sr_op op;
    int width;
    uint64_t most; /* magnitudes above this pattern, infinity included, are not to be trusted, nor zero sums if `zero_sums` */
    int zero_sums;
    uint64_t *inexact; /* halves: NULL, or how many of those that are not to be settled; then what is below 2^-126 is */
} sr_operands;

/* One node of SR_SIDE results at most, side by side: result = x op y (op z) rounded. Arrays have room for all SR_SIDE. */
#define SR_SIDE 64
typedef struct sr_step {
    const sr_lanes *lanes;
    sr_op op;
    int wide; /* operands are no values of binary32 */
    size_t n;
    const double *x, *y, *z;
    const uint64_t *words; /* the random bits at the top of each; NULL where nothing is drawn */
    uint64_t most, least;  /* as in sr_operands, and for `finish` */
    int zero_sums;
    double *result;
    uint64_t inexact, underflow; /* how many */
} sr_step;

/* Steps of left-to-right sums or products, side by side: value = value op term rounded, a row of terms each step. */
typedef struct sr_rows {
    const sr_lanes *lanes;
    sr_op op;
    int wide;
    size_t n, steps;
    const void *terms; /* SR_SIDE in a row, of `width` bits */
    ptrdiff_t row;     /* elements from one to the next */
    int width;
    const uint32_t (*drawn)[SR_SIDE]; /* each result's block, from whose word `position` on the steps draw; or NULL */
    int word_bits, position;
    uint64_t mask; /* of random bits at the top of a lane */
    uint64_t most, least;
    int zero_sums;
    uint64_t inexact, underflow;
} sr_rows;

/* The same for one result alone: words of 16 bits, with slack behind them. */
#define SR_LINE 256
#define SR_LINE_GROUP 32 /* whole vectors on every path */
typedef struct sr_line {
    const sr_lanes *lanes;
    size_t steps; /* a multiple of SR_LINE_GROUP */
    const void *terms;
    const void *words;
    uint64_t inexact, underflow;
} sr_line;

/* Matrix products: rows of SR_PANEL results side by side, left to right over some of their terms. Sums that have not begun
 * are -0, which changes no sum. */
#define SR_PANEL 32
typedef struct sr_panel {
    const sr_lanes *lanes, *products; /* how sums are rounded, and products */
    sr_terms terms;    /* DOT, FMA or FUSED */
    int counting;
    int wide;          /* factors are no values of binary32 */
    int narrow;        /* of 32 bits they have at most 8, and no product is as small as 2^-100 */
    size_t rows, steps, block; /* steps in whole groups but for the last; FUSED: of `block` */
    const void *a;     /* the factor of a row and a step: what `value` has, float or double */
    ptrdiff_t a_row, a_step;
    const void *b;     /* and of a step and a lane: SR_PANEL in a row, -0 behind the last step of a group */
    void *value;       /* SR_PANEL in a row */
    uint64_t seed, stream;
    uint64_t first, row_apart, apart; /* the block of lane 0 of row 0; to the next row, to the next lane */
    uint64_t number;   /* of the rounding of step 0 */
    uint64_t most[2], least[2]; /* of sums, of products; as in sr_step */
    int zero_sums;
    size_t begin;      /* the first step of a row */
    size_t row, step;  /* what comes next */
    uint64_t inexact, underflow;
} sr_panel;
/* Steps of a group */
#define SR_PANEL_DOT 4
#define SR_PANEL_FMA 8

/* Rows that join a QR factorization: r becomes the triangular factor of r above a. */
#define SR_QR_TILE 128
#define SR_QR_STEP (SR_QR_TILE + 8) /* no power of two, so that columns stay out of each other's way in caches */
typedef struct sr_tall {
    size_t rows, columns;
    const double *a;
    ptrdiff_t a_row;
    double *r;    /* columns x columns, row by row, 0 below the diagonal */
    double *tile; /* SR_QR_STEP x columns */
} sr_tall;
/* A square within these is right to the last bits, and so are its parts. */
#define SR_QR_LEAST 0x1p-960
#define SR_QR_MOST 0x1p1020

/* A step of gradient descent in fixed point, of at most 30 bits without the sign each: magnitudes of gradients and products as
 * whole numbers of quanta and the next 32 bits, everything else as numbers of quanta. */
typedef struct sr_descent_lanes {
    double scale;            /* takes a magnitude to 2^32 a quantum; of products: of rounded gradients, the step included */
    uint32_t cap, full;      /* BIASED: T > cap, or eps = 1 (full = 1), is away wherever phi > 0 */
    uint32_t ties, ties_odd; /* NEAREST: 1 where all go away, where odd ones do */
    uint32_t most;           /* max in quanta; |min| is one more */
    int saturate;            /* or values beyond are to be settled */
    uint32_t factor, shift;  /* products: those of gradients and factor / 2^shift, below 2^32; no factor: by `scale` */
    uint32_t deep;           /* products: gradients with one of these bits have bits below 2^-32 quanta */
    uint64_t block;          /* of element 0 */
} sr_descent_lanes;

typedef struct sr_descent_run {
    sr_kind kind; /* of gradients and products: EXACT, BIASED or NEAREST */
    sr_carrier carrier, of; /* of x; of g, or spectrum and minimizer */
    size_t n;
    const void *x, *g, *spectrum, *minimizer;
    void *y, *rounded; /* NULL: not wanted */
    sr_descent_lanes gradient, product, update;
    double per_quantum, quantum, gradient_quantum; /* of products and x: 1 / quantum and quantum */
    int minus; /* the step is negative */
    uint64_t seed, stream;
    const uint32_t *words[2]; /* of gradients and products, n <= 512, or NULL: to be drawn */
    uint64_t overflow[3], moved, stagnated; /* added to, where nothing is to be settled */
    /* Element j by the definition: binary64 patterns. */
    sr_status (*settle)(void *context, size_t j, uint64_t *y, uint64_t *rounded);
    void *context;
} sr_descent_run;

struct sr_kernels {
    sr_path path;
    /* Blocks block, block + 1, ...: words in order; a multiple of SR_PHILOX_SLACK of them. */
    void (*philox)(uint64_t seed, uint64_t stream, uint64_t block, size_t blocks, uint32_t *out);
    void (*round_32)(const sr_chunk *chunk);
    void (*round_64)(const sr_chunk *chunk);
    void (*encode_32)(const sr_chunk *chunk);
    void (*encode_64)(const sr_chunk *chunk);
    /* Grids, values or codes; NULL where the path has no arithmetic. */
    void (*grid)(const sr_chunk *chunk, int codes);
    /* Is one of n magnitudes above `limit`? */
    int (*above_32)(const void *x, size_t n, uint64_t limit);
    int (*above_64)(const void *x, size_t n, uint64_t limit);
    /* Results rounded to odd in binary64, NaN the positive one, and the places of those not to be trusted. NULL where the
     * path has no arithmetic: the definition serves. */
    size_t (*to_odd)(const sr_operands *operands, double *t, uint16_t *doubtful);
    /* Of results t rounded to y: makes every NaN of y the positive one, and adds to totals how often y is not t (0), and
     * zero where t is not (1). Is there a magnitude of t above `least`, or a NaN? Both arrays are padded with zeros to whole
     * vectors. */
    int (*finish)(const double *t, uint64_t *y, size_t n, uint64_t least, uint64_t totals[2]);
    /* Values that float32 holds */
    void (*narrow)(const double *from, size_t n, float *to);
    void (*widen)(const float *from, size_t n, double *to);
    /* ADD, SUB and MUL of float32 where SR_QUICK_HALF serves, drawing words from chunk->block on: n is a multiple of
     * SR_HALVES_GROUP; the places of results that are still to be settled. */
    size_t (*halves)(const sr_operands *operands, const sr_chunk *chunk, void *y, uint16_t *doubtful);
    /* x - y or x y of doubles, to nearest, NaN the positive one. NULL as `to_odd`. */
    void (*nearest)(sr_op op, const double *x, const double *y, ptrdiff_t y_stride, size_t n, double *result);
    /* The same block of so many streams, `stream` the first: 4 words of each; as with `philox`. */
    void (*streams)(uint64_t seed, uint64_t stream, uint64_t block, size_t n, uint32_t *out);
    /* As far as `settle` lets it. NULL as `to_odd`. */
    sr_status (*descend)(sr_descent_run *run);
    /* Block first, first + apart, ... of the keystream: out[k][j] is word k of the j-th of n <= SR_SIDE. */
    void (*scattered)(uint64_t seed, uint64_t stream, uint64_t first, uint64_t apart, size_t n, uint32_t (*out)[SR_SIDE]);
    /* The results that the definition has to give, a bit each: they are not counted. NULL as `to_odd`. */
    uint64_t (*step)(sr_step *step);
    /* How many steps were done before one that `step` and the definition have to do; `value` has SR_SIDE lanes. The second
     * is for sums of float32 where SR_QUICK_HALF serves. */
    size_t (*rows)(sr_rows *rows, double *value);
    size_t (*half_rows)(sr_rows *rows, float *value);
    /* Of sums in mode sr, exact; terms that are doubles, and float32 where SR_QUICK_HALF serves. */
    size_t (*line)(sr_line *line, double *value);
    size_t (*half_line)(sr_line *line, float *value);
    /* As far as nothing special comes up, which `step` and the definition have to do for a group of steps. The second is for
     * float32 where SR_QUICK_HALF serves, DOT and FMA, products rounded as sums are. */
    void (*panel)(sr_panel *panel);
    void (*half_panel)(sr_panel *panel);
    void (*tall)(const sr_tall *tall);
};

extern const sr_kernels sr_kernels_scalar;
extern const sr_kernels sr_kernels_avx2;
extern const sr_kernels sr_kernels_avx512;
extern const sr_kernels sr_kernels_neon;

/* Which of them this build has. */
#if !defined(SR_SCALAR_ONLY) && defined(__GNUC__) && defined(__x86_64__)
#define SR_HAVE_X86 1
#else
#define SR_HAVE_X86 0
#endif
#if !defined(SR_SCALAR_ONLY) && defined(__GNUC__) && defined(__aarch64__) && defined(__ARM_NEON) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SR_HAVE_NEON 1
#else
#define SR_HAVE_NEON 0
#endif

/* The constants, in `room` or kept; NULL where lanes of this width cannot serve the plan, and the definition has to. */
const sr_lanes *sr_lanes_of(sr_lanes *room, const sr_plan *plan, int width);

/* Can the kernel draw the words of a chunk itself, if it starts with a block and the blocks' numbers have the same upper
 * half? */
int sr_draws_itself(const sr_lanes *lanes, int codes);

/* Magnitudes above this pattern, of results rounded to odd, are not to be trusted; 0 where none is. */
uint64_t sr_arith_trusted(const sr_plan *plan, sr_carrier carrier);

/* Which passes of a reduction are wanted: one that only looks for a refused result, and one that writes. */
enum { SR_PASS_CHECK = 1, SR_PASS_WRITE = 2 };

/* What sr_reduce_f32 and sr_reduce_f64 do. */
sr_status sr_reduce_passes(const sr_plan *plan, const sr_reduction *r, const sr_words *words, size_t results,
                           sr_carrier carrier, const void *const *operands, const ptrdiff_t (*strides)[2], void *y,
                           const ptrdiff_t *y_strides, sr_counts *counts, uint64_t *index, int passes);

/* One element by the definition: x is a binary64 pattern, j its place in the chunk. For lanes that a kernel leaves
 * undecided. */
uint64_t sr_settle(const sr_chunk *chunk, int width, size_t j, uint64_t x);

#endif
