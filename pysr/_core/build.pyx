"""How the C library was built."""

from pysr._core.srcore cimport sr_version

cdef extern from *:
    """
    #if defined(__clang__)
    #define PYSR_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define PYSR_COMPILER "GCC " __VERSION__
    #elif defined(_MSC_VER)
    #define PYSR_TEXT_(x) #x
    #define PYSR_TEXT(x) PYSR_TEXT_(x)
    #define PYSR_COMPILER "MSVC " PYSR_TEXT(_MSC_FULL_VER)
    #else
    #define PYSR_COMPILER "unknown"
    #endif
    """
    const char *PYSR_COMPILER


def version():
    """The version of the C library."""
    return (<bytes> sr_version()).decode()


def compiler():
    """The compiler's name and version."""
    return (<bytes> PYSR_COMPILER).decode()
