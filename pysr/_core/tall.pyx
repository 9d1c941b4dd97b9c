"""The triangular factor of tall matrices, some rows at a time."""

import numpy as np

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stddef cimport ptrdiff_t, size_t

from pysr._core.paths cimport kernels
from pysr._core.srcore cimport SR_OK, sr_qr_rows_f64, sr_qr_work, sr_status, sr_strerror

cnp.import_array()


def qr_rows(cnp.ndarray r not None, cnp.ndarray a not None):
    """
    Make r the triangular factor of r above a: native float64, r square and in C order, rows of a contiguous.
    """
    cdef size_t d, rows
    cdef ptrdiff_t step = 0
    cdef sr_status status
    cdef double *work
    cdef object x
    for x in (r, a):
        if x.dtype != np.float64 or not x.dtype.isnative or not x.flags.aligned or x.ndim != 2:
            raise ValueError(f"native float64 matrices are needed, not {x.dtype} of shape {x.shape}")
    rows, d = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1)
    if (<object> r).shape != (d, d) or not r.flags.c_contiguous or not r.flags.writeable:
        raise ValueError(f"r of shape {(<object> r).shape} is no writeable array of shape {(d, d)} in C order")
    if d > 1 and cnp.PyArray_STRIDE(a, 1) != sizeof(double):
        raise ValueError("rows of a are not contiguous")
    if rows == 0 or d == 0:
        return
    step = cnp.PyArray_STRIDE(a, 0) // <ptrdiff_t> sizeof(double)
    work = <double *> PyMem_RawMalloc(max(sr_qr_work(d), 1) * sizeof(double))
    if work == NULL:
        raise MemoryError
    with nogil:
        status = sr_qr_rows_f64(kernels, rows, d, <const double *> cnp.PyArray_DATA(a), step,
                                <double *> cnp.PyArray_DATA(r), work)
        PyMem_RawFree(work)
    if status != SR_OK:
        raise ValueError((<bytes> sr_strerror(status)).decode())
