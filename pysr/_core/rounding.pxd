from pysr._core.formats cimport Format
from pysr._core.srcore cimport sr_plan


cdef int fill_plan(sr_plan *plan, Format fmt, mode, eps, random_bits, variant, overflow) except -1
cdef object as_carrier(object x, str name)
cpdef object as_flags(object x, str name)
cpdef object check_out(object out, tuple shape, object dtype)
cdef tuple common_shape(dict operands)
cdef object contiguous(object array, tuple shape, object dtype)
cdef object random_source(object rng)
cdef object signs(object array, object dtype)
