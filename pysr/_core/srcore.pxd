"""What pysr uses of the C library's headers."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, uint32_t, uint64_t


cdef extern from "srcore/srcore.h" nogil:
    ctypedef enum sr_status:
        SR_OK
        SR_ERR_MAX
        SR_ERR_NAME
        SR_ERR_OVERFLOW_RULE
        SR_ERR_OFFSET
        SR_ERR_BITS
        SR_ERR_DIRECTION_NAN
        SR_ERR_OVERFLOW
        SR_ERR_NO_CODE
        SR_ERR_CODE
        SR_ERR_STEP

    ctypedef enum sr_overflow:
        SR_OVERFLOW_DEFAULT
        SR_OVERFLOW_WRAP
        SR_OVERFLOW_RAISE

    ctypedef enum sr_mode:
        pass

    ctypedef enum sr_variant:
        pass

    ctypedef enum sr_carrier:
        SR_CARRIER_F32
        SR_CARRIER_F64

    const uint32_t SR_SUBNORMALS
    const uint32_t SR_INFINITIES
    const uint32_t SR_NAN
    const uint32_t SR_NEGATIVE_ZERO
    const uint32_t SR_ZERO
    const uint32_t SR_SIGNED
    const int SR_FIXED_POINT
    const int SR_GRID
    const int SR_EXACT

    ctypedef struct sr_format:
        int32_t precision
        int32_t emin
        int32_t qmin
        uint32_t flags
        double max
        double min
        sr_overflow overflow
        int32_t exponent
        uint64_t num
        uint64_t den

    ctypedef struct sr_rounding:
        sr_mode mode
        sr_overflow overflow
        int random_bits
        sr_variant variant
        double eps

    ctypedef enum sr_path:
        pass

    int SR_PATH_COUNT

    ctypedef struct sr_kernels:
        pass

    ctypedef struct sr_prepared:
        pass

    ctypedef struct sr_plan:
        sr_format format
        sr_overflow overflow
        int random_bits
        int word_bits
        int fits_f32
        const sr_kernels *kernels
        const sr_prepared *prepared

    ctypedef struct sr_words:
        uint64_t seed
        uint64_t stream
        uint64_t block
        uint64_t offset
        const void *bits
        ptrdiff_t bits_stride

    const sr_kernels *sr_kernels_for(sr_path)
    sr_path sr_path_best()
    const char *sr_path_name(sr_path)
    sr_status sr_path_named(sr_path *, const char *)
    void sr_philox_fill_on(const sr_kernels *, uint64_t, uint64_t, uint64_t, uint64_t, size_t, uint32_t *)
    const char *sr_strerror(sr_status status)
    const char *sr_version()
    sr_status sr_format_float(sr_format *, int, int, int, double, unsigned, sr_overflow)
    sr_status sr_format_fixed(sr_format *, int, int, int, sr_overflow)
    sr_status sr_format_grid(sr_format *, uint64_t, uint64_t, int, sr_overflow)
    sr_status sr_format_named(sr_format *, const char *)
    const char *sr_format_name(size_t)
    int sr_format_code_bits(const sr_format *)
    int sr_format_code_bytes(const sr_format *)
    sr_status sr_format_fits(const sr_format *, sr_carrier)
    sr_status sr_plan_init(sr_plan *, const sr_format *, const sr_rounding *)
    sr_status sr_plan_prepare(sr_plan *, sr_prepared *)
    uint64_t sr_call_blocks(const sr_plan *, uint64_t)
    void sr_philox4x32(const uint32_t *, const uint32_t *, int, uint32_t *)
    sr_status sr_round_f32(const sr_plan *, const sr_words *, size_t, const float *, ptrdiff_t,
                           const float *, ptrdiff_t, float *, ptrdiff_t, uint64_t *)
    sr_status sr_round_f64(const sr_plan *, const sr_words *, size_t, const double *, ptrdiff_t,
                           const double *, ptrdiff_t, double *, ptrdiff_t, uint64_t *)
    sr_status sr_encode_f32(const sr_plan *, const sr_words *, size_t, const float *, ptrdiff_t,
                            const float *, ptrdiff_t, void *, ptrdiff_t, uint64_t *)
    sr_status sr_encode_f64(const sr_plan *, const sr_words *, size_t, const double *, ptrdiff_t,
                            const double *, ptrdiff_t, void *, ptrdiff_t, uint64_t *)
    sr_status sr_decode_f32(const sr_format *, size_t, const void *, ptrdiff_t, float *, ptrdiff_t,
                            uint64_t *)
    sr_status sr_decode_f64(const sr_format *, size_t, const void *, ptrdiff_t, double *, ptrdiff_t,
                            uint64_t *)


cdef extern from "srcore/scalar.h" nogil:
    ctypedef struct sr_number:
        pass

    uint64_t sr_bits_f64(double)
    sr_number sr_unpack(uint64_t)
    int sr_exponent(sr_number)


cdef extern from "srcore/philox.h" nogil:
    ctypedef struct sr_stream:
        uint64_t seed
        uint64_t stream
        uint64_t block
        uint32_t used

    void sr_stream_seek(sr_stream *, uint64_t, uint32_t)
    uint64_t sr_stream_position(const sr_stream *)
    uint32_t sr_stream_next32(sr_stream *)
    uint64_t sr_stream_next64(sr_stream *)
    double sr_stream_next_double(sr_stream *)
    uint64_t sr_spawn_seed(uint64_t, uint64_t, uint64_t)


cdef extern from "srcore/srcore.h" nogil:
    ctypedef enum sr_op:
        SR_OP_ROUND
        SR_OP_ADD
        SR_OP_SUB
        SR_OP_MUL
        SR_OP_DIV
        SR_OP_SQRT
        SR_OP_FMA

    ctypedef struct sr_counts:
        uint64_t overflow
        uint64_t underflow
        uint64_t nan
        uint64_t inexact

    sr_status sr_arith_f32(const sr_plan *, sr_op, const sr_words *, size_t, const float *const *, const ptrdiff_t *,
                           float *, ptrdiff_t, sr_counts *, uint64_t *)
    sr_status sr_arith_f64(const sr_plan *, sr_op, const sr_words *, size_t, const double *const *, const ptrdiff_t *,
                           double *, ptrdiff_t, sr_counts *, uint64_t *)

    ctypedef enum sr_terms:
        SR_TERMS_SUM
        SR_TERMS_PRODUCT
        SR_TERMS_DOT
        SR_TERMS_FMA
        SR_TERMS_FUSED

    ctypedef enum sr_order:
        SR_ORDER_SEQUENTIAL
        SR_ORDER_PAIRWISE
        SR_ORDER_BLOCKED
        SR_ORDER_EXACT

    ctypedef struct sr_reduction:
        sr_terms terms
        sr_order order
        size_t n
        size_t block
        int running
        const sr_plan *products
        int align_bits

    const int SR_ALIGN_MOST
    # strides: a type that Cython can pass for const ptrdiff_t (*)[2]
    uint64_t sr_reduce_blocks(const sr_plan *, const sr_reduction *)
    sr_status sr_reduce_f32(const sr_plan *, const sr_reduction *, const sr_words *, size_t, const float *const *,
                            void *, float *, const ptrdiff_t *, sr_counts *, uint64_t *)
    sr_status sr_reduce_f64(const sr_plan *, const sr_reduction *, const sr_words *, size_t, const double *const *,
                            void *, double *, const ptrdiff_t *, sr_counts *, uint64_t *)
    sr_status sr_matmul_f32(const sr_plan *, const sr_reduction *, const sr_words *, size_t, size_t,
                            const float *const *, void *, float *, const ptrdiff_t *, sr_counts *, uint64_t *)
    sr_status sr_matmul_f64(const sr_plan *, const sr_reduction *, const sr_words *, size_t, size_t,
                            const double *const *, void *, double *, const ptrdiff_t *, sr_counts *, uint64_t *)

    size_t sr_qr_work(size_t)
    sr_status sr_qr_rows_f64(const sr_kernels *, size_t, size_t, const double *, ptrdiff_t, double *, double *)

    ctypedef enum sr_descent_rounding:
        pass

    ctypedef struct sr_descent:
        const sr_plan *gradient
        const sr_plan *product
        const sr_plan *update
        double step
        uint64_t size

    ctypedef struct sr_descent_counts:
        uint64_t overflow[3]
        uint64_t stagnated
        uint64_t moved

    ctypedef struct sr_descent_failure:
        uint64_t run
        uint64_t index
        sr_descent_rounding rounding

    sr_status sr_descend_f32(const sr_descent *, const sr_words *, size_t, size_t, const float *, const void *,
                             sr_carrier, float *, float *, sr_descent_counts *, sr_descent_failure *)
    sr_status sr_descend_f64(const sr_descent *, const sr_words *, size_t, size_t, const double *, const void *,
                             sr_carrier, double *, double *, sr_descent_counts *, sr_descent_failure *)
    sr_status sr_descend_diagonal_f32(const sr_descent *, const sr_words *, size_t, size_t, const float *,
                                      const void *, const void *, sr_carrier, float *, float *, sr_descent_counts *,
                                      sr_descent_failure *)
    sr_status sr_descend_diagonal_f64(const sr_descent *, const sr_words *, size_t, size_t, const double *,
                                      const void *, const void *, sr_carrier, double *, double *, sr_descent_counts *,
                                      sr_descent_failure *)
