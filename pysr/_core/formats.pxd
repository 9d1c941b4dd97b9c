from pysr._core.srcore cimport sr_format, sr_overflow


cdef class Format:
    cdef sr_format c
    cdef readonly object name
    cdef readonly int bits
    cdef bint has(self, unsigned flag)
    cdef tuple key(self)
    cdef str call_text(self, tuple args, dict kwargs)


cdef class FloatFormat(Format):
    pass


cdef class FixedFormat(Format):
    pass


cdef class GridFormat(Format):
    pass


cdef Format as_format(object spec)
cdef sr_overflow overflow_rule(object rule)
cdef object integer(object value, str name, object low, object high)
