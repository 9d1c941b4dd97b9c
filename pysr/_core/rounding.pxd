from pysr._core.formats cimport Format
from pysr._core.srcore cimport sr_plan


cdef int fill_plan(sr_plan *plan, Format fmt, mode, eps, random_bits, variant, overflow) except -1
