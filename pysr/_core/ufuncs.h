/* The loops of pysr's ufuncs, and how NumPy finds the one for given operands. Nothing here changes between calls: what
 * a loop needs hangs on its ufunc. */
#ifndef PYSR_UFUNCS_H
#define PYSR_UFUNCS_H

#include "srcore/scalar.h"
#include "srcore/srcore.h"

#include <numpy/arrayobject.h>
#include <numpy/dtype_api.h>
#include <numpy/ufuncobject.h>

#include <string.h>

#define UFUNC_OPERANDS 5 /* three values, direction, index */
#define UFUNC_BLOCK 512  /* elements that are converted at a time */
#define UFUNC_FEW 8      /* below so many elements the definition is done sooner than a call is set up */

/* What a loop refuses, beside what the library does. */
enum { UFUNC_NEGATIVE = 1000, UFUNC_INEXACT };

struct ufunc_call;

/* Sets an exception, with or without the GIL, for element j of a call, and for one of its operands. */
typedef int (*ufunc_refuse)(const struct ufunc_call *call, int status, int operand, size_t j, uint64_t index);

typedef struct ufunc_kernel {
    sr_plan plan;
    sr_prepared prepared;
    sr_words words;
    sr_op op;
    int values;   /* operands that are values: they come first */
    int directed; /* then a direction */
    int indexed;  /* then an index */
    ufunc_refuse refuse;
} ufunc_kernel;

/* One call of a loop: operands (without the index), their types and strides in bytes. */
typedef struct ufunc_call {
    const ufunc_kernel *kernel;
    int operands;
    int types[UFUNC_OPERANDS];
    const char *data[UFUNC_OPERANDS];
    npy_intp steps[UFUNC_OPERANDS];
    const char *index;
    npy_intp index_step;
    int index_signed;
    char *y;
    npy_intp y_step;
    int y_type;
    size_t n;
} ufunc_call;

static inline size_t ufunc_size(int type) { return type == NPY_FLOAT32 ? 4 : 8; }

/* ---- conversions ---------------------------------------------------------------------------------- */

/* Integers as float64: n, or the first one that is not exact. */
static size_t ufunc_from_integers(size_t n, const char *x, npy_intp step, double *y)
{
    for (size_t j = 0; j < n; j++, x += step) {
        int64_t value;
        uint64_t magnitude;
        memcpy(&value, x, sizeof value);
        magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        while (magnitude >> 53 && !(magnitude & 1)) magnitude >>= 1;
        if (magnitude >> 53) return j;
        y[j] = (double)value;
    }
    return n;
}

/* The signs of numbers of the other carrier, by their patterns, and NaN. */
static void ufunc_signs(int x_type, int y_type, size_t n, const char *x, npy_intp step, void *y)
{
    for (size_t j = 0; j < n; j++, x += step) {
        uint64_t bits, magnitude;
        if (x_type == NPY_FLOAT32) {
            uint32_t single;
            memcpy(&single, x, sizeof single);
            bits = sr_widen_f32(single);
        } else {
            memcpy(&bits, x, sizeof bits);
        }
        magnitude = bits & ~SR_F64_SIGN;
        if (magnitude && magnitude <= SR_F64_INF) magnitude = (uint64_t)1023 << 52;
        bits = (bits & SR_F64_SIGN) | magnitude;
        if (y_type == NPY_FLOAT32) {
            uint32_t const single = magnitude > SR_F64_INF ? 0x7FC00000u : sr_narrow_f32(bits);
            memcpy((float *)y + j, &single, sizeof single);
        } else {
            memcpy((double *)y + j, &bits, sizeof bits);
        }
    }
}

static inline void ufunc_copy(size_t bytes, size_t n, const char *x, npy_intp x_step, char *y, npy_intp y_step)
{
    for (size_t j = 0; j < n; j++, x += x_step, y += y_step) memcpy(y, x, bytes);
}

/* ---- by the definition ---------------------------------------------------------------------------- */

static inline uint64_t ufunc_load(int type, const char *x)
{
    uint64_t bits;
    uint32_t single;
    if (type == NPY_FLOAT32) {
        memcpy(&single, x, sizeof single);
        return sr_widen_f32(single);
    }
    memcpy(&bits, x, sizeof bits);
    return bits;
}

/* x + y of 53 bits, rounded to odd: what the definition rounds as it would the sum itself (S7.1), in modes that look
 * no further than at a half and at whether anything follows. 0 where it has to be asked for the sum: of infinities, NaN
 * and zeros, where nothing is left, and where a quantum's half would be the last bit.
 *
 * The greater term moves up by 9 places at most, which leaves room for a carry, the smaller one down by the others.
 * What falls off makes its last bit one; the greater one is even then, so that the total's last bit is one too, above
 * the exact sum or below it as rounding to odd has it. */
static inline uint64_t ufunc_to_odd(const sr_format *format, uint64_t x, uint64_t y)
{
    int const subtract = (x ^ y) >> 63 != 0;
    uint64_t const xm = x & ~SR_F64_SIGN, ym = y & ~SR_F64_SIGN, high = xm < ym ? ym : xm, low = xm < ym ? xm : ym;
    sr_number total, other;
    int up, down, beyond;
    if (low == 0 || high >> 52 > 2044) return 0;
    total = sr_unpack(high);
    other = sr_unpack(low);
    down = total.exponent - other.exponent;
    up = down < 9 ? down : 9;
    down -= up;
    total.significand <<= up;
    total.exponent -= up;
    if (down > 0) {
        uint64_t const kept = sr_shift(other.significand, -down);
        other.significand = kept | (sr_shift(kept, down) != other.significand);
    }
    total.significand = subtract ? total.significand - other.significand : total.significand + other.significand;
    if (total.significand == 0) return 0;
    beyond = sr_bit_length(total.significand) - 53;
    if (beyond > 0 && total.significand & sr_ones(beyond)) {
        int const last = total.exponent + beyond;
        if (format->precision == SR_FIXED_POINT ? format->qmin - 1 <= last : format->precision > 51) return 0;
        total.significand = total.significand >> beyond | 1;
        total.exponent = last;
    }
    return ((xm < ym ? y : x) & SR_F64_SIGN) | sr_pack(total);
}

/* One element in a mode that draws nothing. */
static inline uint64_t ufunc_define(const ufunc_kernel *k, uint64_t x, uint64_t y, uint64_t z, unsigned *flags)
{
    if (k->op == SR_OP_ROUND) return sr_round_bits(&k->plan, x, 0, 0, NULL, NULL, flags);
    if (k->op == SR_OP_ADD || k->op == SR_OP_SUB) {
        uint64_t const sum = ufunc_to_odd(&k->plan.format, x, k->op == SR_OP_SUB ? y ^ SR_F64_SIGN : y);
        if (sum) {
            uint64_t const bits = sr_round_bits(&k->plan, sum, 0, 0, NULL, NULL, flags);
            return (bits & ~SR_F64_SIGN) > SR_F64_INF ? SR_F64_NAN : bits;
        }
    }
    return sr_arith_bits(&k->plan, k->op, x, y, z, 0, 0, NULL, NULL, flags);
}

/* Elements one after the other, in a mode that draws nothing: each sees what those before it have written. */
static int ufunc_in_order(const ufunc_call *c, int single)
{
    const ufunc_kernel *const k = c->kernel;
    int const type = single ? NPY_FLOAT32 : NPY_FLOAT64, values = k->values;
    const char *x = c->data[0], *second = c->data[values > 1 ? 1 : 0], *third = c->data[values > 2 ? 2 : 0];
    npy_intp const x_step = c->steps[0], second_step = c->steps[values > 1 ? 1 : 0];
    npy_intp const third_step = c->steps[values > 2 ? 2 : 0];
    char *y = c->y;
    for (size_t j = 0; j < c->n; j++) {
        unsigned flags;
        uint64_t const bits = ufunc_define(k, ufunc_load(type, x), ufunc_load(type, second), ufunc_load(type, third),
                                           &flags);
        if (flags & SR_FLAG_REFUSED) return k->refuse(c, SR_ERR_OVERFLOW, 0, j, 0);
        if (single) {
            uint32_t const narrow = sr_narrow_f32(bits);
            memcpy(y, &narrow, sizeof narrow);
        } else {
            memcpy(y, &bits, sizeof bits);
        }
        x += x_step;
        second += second_step;
        third += third_step;
        y += c->y_step;
    }
    return 0;
}

/* ---- by the library ------------------------------------------------------------------------------- */

static sr_status ufunc_library(const ufunc_call *c, size_t n, uint64_t index, const void *const *data,
                               const ptrdiff_t *strides, void *y, ptrdiff_t y_stride, uint64_t *where)
{
    const ufunc_kernel *const k = c->kernel;
    sr_words words = k->words;
    const void *const direction = k->directed ? data[k->values] : NULL;
    ptrdiff_t const direction_stride = k->directed ? strides[k->values] : 0;
    words.offset = index;
    if (c->y_type == NPY_FLOAT32) {
        if (k->op == SR_OP_ROUND)
            return sr_round_f32(&k->plan, &words, n, (const float *)data[0], strides[0], (const float *)direction,
                                direction_stride, (float *)y, y_stride, where);
        return sr_arith_f32(&k->plan, k->op, &words, n, (const float *const *)data, strides, (float *)y, y_stride, NULL,
                            where);
    }
    if (k->op == SR_OP_ROUND)
        return sr_round_f64(&k->plan, &words, n, (const double *)data[0], strides[0], (const double *)direction,
                            direction_stride, (double *)y, y_stride, where);
    return sr_arith_f64(&k->plan, k->op, &words, n, (const double *const *)data, strides, (double *)y, y_stride, NULL,
                        where);
}

/* Is an operand the library's to read: of the carrier's type, at a stride of whole elements? */
static inline int ufunc_plain(int type, npy_intp step, int y_type)
{
    return type == y_type && step % (npy_intp)ufunc_size(y_type) == 0;
}

/* Elements from .. from + n - 1, whose indices begin at `index`, all apart in memory. */
static int ufunc_span(const ufunc_call *c, size_t from, size_t n, uint64_t index)
{
    size_t const bytes = ufunc_size(c->y_type);
    double rooms[UFUNC_OPERANDS][UFUNC_BLOCK];
    const void *data[UFUNC_OPERANDS];
    ptrdiff_t strides[UFUNC_OPERANDS];
    int apart = c->y_step % (npy_intp)bytes != 0;
    size_t block = n;
    for (int k = 0; k < c->operands; k++) apart |= !ufunc_plain(c->types[k], c->steps[k], c->y_type);
    if (apart && block > UFUNC_BLOCK) block = UFUNC_BLOCK;
    for (size_t done = 0; done < n; done += block) {
        size_t const count = n - done < block ? n - done : block, start = from + done;
        char *const to = c->y + (npy_intp)start * c->y_step;
        int const direct = c->y_step % (npy_intp)bytes == 0;
        uint64_t where = 0;
        sr_status status;
        for (int k = 0; k < c->operands; k++) {
            const char *const x = c->data[k] + (npy_intp)start * c->steps[k];
            data[k] = x;
            strides[k] = c->steps[k] / (npy_intp)bytes;
            if (!apart || ufunc_plain(c->types[k], c->steps[k], c->y_type)) continue;
            data[k] = rooms[k];
            strides[k] = 1;
            if (c->types[k] == c->y_type) {
                ufunc_copy(bytes, count, x, c->steps[k], (char *)rooms[k], (npy_intp)bytes);
            } else if (k >= c->kernel->values) {
                ufunc_signs(c->types[k], c->y_type, count, x, c->steps[k], rooms[k]);
            } else {
                size_t const good = ufunc_from_integers(count, x, c->steps[k], rooms[k]);
                if (good < count) return c->kernel->refuse(c, UFUNC_INEXACT, k, start + good, index + done + good);
            }
        }
        status = ufunc_library(c, count, index + done, data, strides, direct ? (void *)to : rooms[UFUNC_OPERANDS - 1],
                               direct ? c->y_step / (npy_intp)bytes : 1, &where);
        if (status != SR_OK) {
            size_t const j = where < index + done ? 0 : (size_t)(where - index - done);
            return c->kernel->refuse(c, (int)status, 0, start + j, index + done + j);
        }
        if (!direct) ufunc_copy(bytes, count, (char *)rooms[UFUNC_OPERANDS - 1], (npy_intp)bytes, to, c->y_step);
    }
    return 0;
}

/* ---- indices -------------------------------------------------------------------------------------- */

static inline uint64_t ufunc_index(const ufunc_call *c, size_t j)
{
    uint64_t index;
    memcpy(&index, c->index + (npy_intp)j * c->index_step, sizeof index);
    return index;
}

/* How many consecutive indices begin with the one of element `from`. */
static size_t ufunc_consecutive(const ufunc_call *c, size_t from, uint64_t first)
{
    uint64_t const last = c->index_signed ? INT64_MAX : UINT64_MAX;
    size_t most = c->n - from, length = 1;
    if (most - 1 > last - first) most = (size_t)(last - first) + 1;
    if (c->index_step == sizeof(uint64_t)) {
        const char *const index = c->index + (npy_intp)from * c->index_step;
        enum { GROUP = 64 };
        while (length + GROUP <= most) {
            uint64_t values[GROUP], different = 0;
            memcpy(values, index + length * sizeof(uint64_t), sizeof values);
            for (size_t j = 0; j < GROUP; j++) different |= values[j] ^ (first + length + j);
            if (different) break;
            length += GROUP;
        }
    }
    while (length < most && ufunc_index(c, from + length) == first + length) length++;
    return length;
}

/* ---- loops ---------------------------------------------------------------------------------------- */

/* Does the result overlap an operand other than element by element? Then elements see what was written before them: a
 * reduction does, whose result does not move. */
static int ufunc_depends(const ufunc_call *c)
{
    npy_intp const last = (npy_intp)c->n - 1;
    size_t const y_bytes = ufunc_size(c->y_type);
    const char *const y_low = c->y + (c->y_step < 0 ? last * c->y_step : 0);
    const char *const y_high = c->y + (c->y_step < 0 ? 0 : last * c->y_step) + y_bytes;
    if (last == 0) return 0;
    if (c->y_step == 0) return 1;
    for (int k = 0; k <= c->operands; k++) {
        int const is_index = k == c->operands;
        const char *const x = is_index ? c->index : c->data[k];
        npy_intp const step = is_index ? c->index_step : c->steps[k];
        if (!x || (x == c->y && step == c->y_step)) continue;
        if (x + (step < 0 ? last * step : 0) < y_high &&
            y_low < x + (step < 0 ? 0 : last * step) + (is_index ? sizeof(uint64_t) : ufunc_size(c->types[k])))
            return 1;
    }
    return 0;
}

static int ufunc_elements(const ufunc_call *c)
{
    const ufunc_kernel *const k = c->kernel;
    int const depends = c->n > 1 && ufunc_depends(c);
    size_t length;
    if (!k->indexed && (depends || c->n < UFUNC_FEW)) {
        int plain = 1;
        for (int i = 0; i < c->operands; i++) plain &= c->types[i] == c->y_type;
        if (plain) return c->y_type == NPY_FLOAT32 ? ufunc_in_order(c, 1) : ufunc_in_order(c, 0);
    }
    for (size_t at = 0; at < c->n; at += length) {
        uint64_t const index = c->index ? ufunc_index(c, at) : 0;
        if (c->index_signed && index > INT64_MAX) return k->refuse(c, UFUNC_NEGATIVE, 0, at, index);
        length = depends ? 1 : c->index ? ufunc_consecutive(c, at, index) : c->n;
        if (ufunc_span(c, at, length, index) < 0) return -1;
    }
    return 0;
}

/* The operands of a call, without their places. */
static int ufunc_prepare(ufunc_call *c, PyArrayMethod_Context *context)
{
    const ufunc_kernel *const k = (const ufunc_kernel *)(const void *)((PyUFuncObject *)context->caller)->data;
    c->kernel = k;
    c->operands = k->values + k->directed;
    for (int i = 0; i < c->operands; i++) {
        int const type = context->descriptors[i]->type_num;
        c->types[i] = type == NPY_FLOAT32 || type == NPY_FLOAT64 ? type : NPY_INT64;
    }
    c->index_signed = k->indexed && context->descriptors[c->operands]->type_num == NPY_INT64;
    c->index = NULL;
    c->index_step = 0;
    c->y_type = context->descriptors[c->operands + k->indexed]->type_num;
    return c->operands + k->indexed; /* the result's place */
}

/* Element by element, an index each */
static int ufunc_loop(PyArrayMethod_Context *context, char *const *args, const npy_intp *dimensions,
                      const npy_intp *steps, NpyAuxData *unused)
{
    ufunc_call c;
    int const result = ufunc_prepare(&c, context);
    (void)unused;
    c.n = (size_t)dimensions[0];
    if (c.n == 0) return 0;
    for (int i = 0; i < c.operands; i++) {
        c.data[i] = args[i];
        c.steps[i] = steps[i];
    }
    if (c.kernel->indexed) {
        c.index = args[c.operands];
        c.index_step = steps[c.operands];
    }
    c.y = args[result];
    c.y_step = steps[result];
    return ufunc_elements(&c);
}

/* Row by row, the index of a row's first element each */
static int ufunc_rows(PyArrayMethod_Context *context, char *const *args, const npy_intp *dimensions,
                      const npy_intp *steps, NpyAuxData *unused)
{
    ufunc_call c;
    int const result = ufunc_prepare(&c, context);
    const npy_intp *const inner = steps + result + 1;
    (void)unused;
    c.n = (size_t)dimensions[1];
    if (c.n == 0) return 0;
    for (int i = 0; i < c.operands; i++) c.steps[i] = inner[i];
    c.y_step = inner[c.operands];
    for (npy_intp row = 0; row < dimensions[0]; row++) {
        for (int i = 0; i < c.operands; i++) c.data[i] = args[i] + row * steps[i];
        c.y = args[result] + row * steps[result];
        if (c.kernel->indexed) {
            uint64_t first;
            memcpy(&first, args[c.operands] + row * steps[c.operands], sizeof first);
            if (c.index_signed && first > INT64_MAX) return c.kernel->refuse(&c, UFUNC_NEGATIVE, 0, 0, first);
            if (c.n - 1 > UINT64_MAX - first) return c.kernel->refuse(&c, SR_ERR_OFFSET, 0, 0, first);
            if (ufunc_span(&c, 0, c.n, first) < 0) return -1;
        } else if (ufunc_elements(&c) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- which loop ----------------------------------------------------------------------------------- */

typedef enum ufunc_class { UFUNC_SINGLE, UFUNC_DOUBLE, UFUNC_LONG, UFUNC_NONE } ufunc_class;

static const char *const ufunc_names[] = {"x", "y", "z"};

/* How values of a type come in: exactly as float32, as float64, as integers that are checked, or not at all. Numbers of
 * Python's are float64 and integers, whatever stands beside them. */
static ufunc_class ufunc_class_of(PyArray_DTypeMeta *dtype)
{
    if (dtype == &PyArray_PyLongDType) return UFUNC_LONG;
    if (dtype == &PyArray_PyFloatDType) return UFUNC_DOUBLE;
    switch (dtype->type_num) {
    case NPY_BOOL:
    case NPY_INT8:
    case NPY_UINT8:
    case NPY_INT16:
    case NPY_UINT16:
    case NPY_FLOAT16:
    case NPY_FLOAT32: return UFUNC_SINGLE;
    case NPY_INT:
    case NPY_UINT:
    case NPY_FLOAT64: return UFUNC_DOUBLE;
    case NPY_LONG: return sizeof(long) == 4 ? UFUNC_DOUBLE : UFUNC_LONG;
    case NPY_ULONG: return sizeof(long) == 4 ? UFUNC_DOUBLE : UFUNC_NONE;
    case NPY_LONGLONG: return UFUNC_LONG;
    default: break;
    }
    if (PyTypeNum_ISUSERDEF(dtype->type_num) && dtype->scalar_type) {
        PyObject *const module = PyObject_GetAttrString((PyObject *)dtype->scalar_type, "__module__");
        int const widens = module && PyUnicode_Check(module) &&
                           PyUnicode_CompareWithASCIIString(module, "ml_dtypes") == 0;
        Py_XDECREF(module);
        PyErr_Clear();
        if (widens) return UFUNC_SINGLE;
    }
    return UFUNC_NONE;
}

static int ufunc_refuse_type(PyObject *ufunc, const char *operand, PyArray_DTypeMeta *dtype, const char *why)
{
    const char *const name = ((PyUFuncObject *)ufunc)->name;
    if (dtype == &PyArray_PyFloatDType || dtype == &PyArray_PyComplexDType)
        PyErr_Format(PyExc_TypeError, "%s: %s %s, not a Python %s", name, operand, why,
                     dtype == &PyArray_PyFloatDType ? "float" : "complex");
    else
        PyErr_Format(PyExc_TypeError, "%s: %s %s, not %S", name, operand, why,
                     dtype->singleton ? (PyObject *)dtype->singleton : (PyObject *)dtype);
    return -1;
}

/* Called by NumPy for types that no loop has: those of the loop that takes them exactly. */
static int ufunc_promote(PyObject *ufunc, PyArray_DTypeMeta *const op_dtypes[], PyArray_DTypeMeta *const signature[],
                         PyArray_DTypeMeta *new_op_dtypes[])
{
    const ufunc_kernel *const k = (const ufunc_kernel *)(const void *)((PyUFuncObject *)ufunc)->data;
    int const operands = k->values + k->directed, result = operands + k->indexed;
    int const reduces = op_dtypes[0] == NULL; /* the first operand is the result */
    PyArray_DTypeMeta *given[UFUNC_OPERANDS + 1], *chosen[UFUNC_OPERANDS + 1], *carrier;
    ufunc_class classes[3];
    carrier = k->plan.fits_f32 ? &PyArray_FloatDType : &PyArray_DoubleDType;
    for (int i = 0; i < result; i++) given[i] = i == 0 && reduces ? op_dtypes[1] : op_dtypes[i];

    for (int i = 0; i < k->values; i++) {
        int const type = given[i]->type_num;
        classes[i] = ufunc_class_of(given[i]);
        if (classes[i] == UFUNC_NONE)
            return ufunc_refuse_type(ufunc, ufunc_names[i], given[i],
                                     type == NPY_ULONG || type == NPY_ULONGLONG
                                         ? "must be converted first to a type that float64 or int64 holds"
                                         : "must hold real numbers of at most 64 bits");
        if (reduces && classes[i] == UFUNC_LONG)
            return ufunc_refuse_type(ufunc, ufunc_names[i], given[i],
                                     "must be converted first to a type that float64 holds");
        if (classes[i] != UFUNC_SINGLE) carrier = &PyArray_DoubleDType;
    }
    if (signature[result] && signature[result] != carrier) {
        if (signature[result] != &PyArray_DoubleDType)
            return ufunc_refuse_type(ufunc, "dtype", signature[result],
                                     carrier == &PyArray_FloatDType ? "must be float32 or float64" : "must be float64");
        carrier = &PyArray_DoubleDType;
    }
    for (int i = 0; i < k->values; i++) chosen[i] = classes[i] == UFUNC_LONG ? &PyArray_Int64DType : carrier;

    if (k->directed) { /* only its sign counts: it has no part in the choice of the carrier */
        PyArray_DTypeMeta *const direction = given[k->values];
        int const is_unsigned = direction->type_num == NPY_ULONG || direction->type_num == NPY_ULONGLONG;
        ufunc_class const class = ufunc_class_of(direction);
        if (class == UFUNC_NONE && !is_unsigned)
            return ufunc_refuse_type(ufunc, "direction", direction, "must hold real numbers of at most 64 bits");
        chosen[k->values] = class == UFUNC_SINGLE ? &PyArray_FloatDType : &PyArray_DoubleDType;
    }
    if (k->indexed) {
        PyArray_DTypeMeta *const index = given[operands];
        if (index != &PyArray_PyLongDType && !PyTypeNum_ISINTEGER(index->type_num))
            return ufunc_refuse_type(ufunc, "index", index, "must hold integers");
        chosen[operands] = index != &PyArray_PyLongDType && PyTypeNum_ISUNSIGNED(index->type_num)
                               ? &PyArray_UInt64DType
                               : &PyArray_Int64DType;
    }
    chosen[result] = carrier;
    for (int i = 0; i <= result; i++) {
        new_op_dtypes[i] = signature[i] ? signature[i] : chosen[i];
        Py_INCREF(new_op_dtypes[i]);
    }
    return 0;
}

/* NumPy's older way, which nothing leads to: the promoter takes all types or refuses them. */
static int ufunc_resolve(PyUFuncObject *ufunc, NPY_CASTING casting, PyArrayObject **operands, PyObject *type_tuple,
                         PyArray_Descr **out)
{
    (void)casting;
    (void)operands;
    (void)type_tuple;
    (void)out;
    PyErr_Format(PyExc_TypeError, "%s: no loop for these types", ufunc->name);
    return -1;
}

/* ---- making one ----------------------------------------------------------------------------------- */

#define UFUNC_LOOPS 36 /* fma in sr_signed: 1 + 2^3 kinds of values, two directions, two indices */

/* Type numbers of all loops, one after the other; how many there are. Integers come in the float64 ones alone. */
static int ufunc_types(const ufunc_kernel *k, char *types)
{
    static const char carriers[] = {NPY_FLOAT32, NPY_FLOAT64}, indices[] = {NPY_UINT64, NPY_INT64};
    int loops = 0;
    for (int kind = k->plan.fits_f32 ? 0 : 1; kind <= 1 << k->values; kind++) {
        char const carrier = carriers[kind > 0];
        for (int direction = 0; direction < 1 + k->directed; direction++) {
            for (int index = 0; index < 1 + k->indexed; index++, loops++) {
                for (int i = 0; i < k->values; i++)
                    *types++ = kind > 0 && (kind - 1) >> i & 1 ? (char)NPY_INT64 : carrier;
                if (k->directed) *types++ = carriers[direction];
                if (k->indexed) *types++ = indices[index];
                *types++ = carrier;
            }
        }
    }
    return loops;
}

/* A new ufunc. `kernel`, `types`, `name` and `doc` belong to `owner`, which the ufunc keeps. */
static PyObject *ufunc_make(PyObject *owner, const ufunc_kernel *kernel, const char *types, int loops, const char *name,
                            const char *doc, const char *signature)
{
    int const nin = kernel->values + kernel->directed + kernel->indexed;
    PyObject *const self = PyUFunc_FromFuncAndDataAndSignature(NULL, NULL, NULL, 0, nin, 1, PyUFunc_None, name, doc, 0,
                                                               signature);
    PyUFuncObject *const ufunc = (PyUFuncObject *)self;
    PyObject *all = NULL, *capsule = NULL;
    if (!self) return NULL;
    ufunc->data = (void *const *)(const void *)kernel;
    Py_INCREF(owner);
    ufunc->obj = owner;
    for (int loop = 0; loop < loops; loop++) {
        PyArray_DTypeMeta *dtypes[UFUNC_OPERANDS + 1];
        PyType_Slot slots[] = {{NPY_METH_strided_loop, signature ? (void *)ufunc_rows : (void *)ufunc_loop}, {0, NULL}};
        PyArrayMethod_Spec spec = {name, nin, 1, NPY_NO_CASTING, NPY_METH_NO_FLOATINGPOINT_ERRORS, dtypes, slots};
        for (int i = 0; i <= nin; i++) {
            int const type = types[loop * (nin + 1) + i];
            dtypes[i] = type == NPY_FLOAT32   ? &PyArray_FloatDType
                        : type == NPY_FLOAT64 ? &PyArray_DoubleDType
                        : type == NPY_UINT64  ? &PyArray_UInt64DType
                                              : &PyArray_Int64DType;
        }
        if (PyUFunc_AddLoopFromSpec(self, &spec) < 0) goto fail;
    }
    all = PyTuple_New(nin + 1);
    if (!all) goto fail;
    for (int i = 0; i <= nin; i++) {
        Py_INCREF(Py_None);
        PyTuple_SET_ITEM(all, i, Py_None);
    }
    capsule = PyCapsule_New((void *)ufunc_promote, "numpy._ufunc_promoter", NULL);
    if (!capsule || PyUFunc_AddPromoter(self, all, capsule) < 0) goto fail;
    Py_DECREF(all);
    Py_DECREF(capsule);
    ufunc->types = types; /* for `ufunc.types` to show */
    ufunc->ntypes = loops;
    ufunc->type_resolver = ufunc_resolve;
    return self;

fail:
    Py_XDECREF(all);
    Py_XDECREF(capsule);
    Py_DECREF(self);
    return NULL;
}

/* The owner of a ufunc made here; NULL, without an exception, where there is none of that type. */
static PyObject *ufunc_owner(PyObject *self, PyObject *type)
{
    PyObject *const owner = PyObject_TypeCheck(self, &PyUFunc_Type) ? ((PyUFuncObject *)self)->obj : NULL;
    return owner && (PyObject *)Py_TYPE(owner) == type ? owner : NULL;
}

#endif
