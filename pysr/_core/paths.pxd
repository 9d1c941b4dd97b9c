from pysr._core.srcore cimport sr_kernels

cdef const sr_kernels *kernels
