/* All kernels of the path that SR_PATH_PREFIX names, whose vocabulary has been included, and their table. */
#ifndef SR_PASTE
#define SR_PASTE_AGAIN(a, b, c) a##b##c
#define SR_PASTE(a, b, c) SR_PASTE_AGAIN(a, b, c)
#define SR_PASTE4_AGAIN(a, b, c, d) a##b##c##d
#define SR_PASTE4(a, b, c, d) SR_PASTE4_AGAIN(a, b, c, d)
#endif

#define CV SR_PASTE(SR_PATH_PREFIX, _, c)
#define C(name) SR_PASTE(SR_PATH_PREFIX, _c_, name)
#include "philox_template.h"

#define V(name) SR_PASTE4(SR_PATH_PREFIX, _, name##_, SR_W)
#define VV V(v)
#define VM V(m)
#define SR_W 32
#include "round_template.h"
#undef SR_W
#define SR_W 64
#include "round_template.h"
#undef SR_W

#define P(name) SR_PASTE(SR_PATH_PREFIX, _, name)
#define D(name) SR_PASTE(SR_PATH_PREFIX, _d_, name)
#define DV SR_PASTE(SR_PATH_PREFIX, _, d)
#define SR_W 64
#include "qr_template.h"
#undef SR_W
#ifdef SR_ARITHMETIC
#define SR_W 64
#include "arith_template.h"
#define F(name) SR_PASTE(SR_PATH_PREFIX, _f_, name)
#define H(name) SR_PASTE4(SR_PATH_PREFIX, _, name##_, 32)
#define HV H(v)
#define HM H(m)
#include "descent_template.h"
#undef F
#undef H
#undef HV
#undef HM
#include "grid_template.h"
#include "reduce_template.h"
#include "matmul_template.h"
#undef SR_W
#define F(name) SR_PASTE(SR_PATH_PREFIX, _f_, name)
#define SR_W 32
#include "half_template.h"
#include "half_reduce_template.h"
#include "half_matmul_template.h"
#undef SR_W
#undef F
#endif
#undef D
#undef DV
const sr_kernels SR_PASTE(sr_kernels, _, SR_PATH_PREFIX) = {
    SR_PATH_ID,   C(philox),    P(round_32), P(round_64), P(encode_32), P(encode_64),
#ifdef SR_ARITHMETIC
    P(grid),
#else
    NULL,
#endif
    P(above_32),  P(above_64),
#ifdef SR_ARITHMETIC
    P(to_odd),    P(finish),    P(narrow),  P(widen),    P(halves),    P(nearest),
    C(streams),   P(descend),   C(scattered), P(step),
    P(rows),      P(half_rows), P(line),   P(half_line),
    P(panel),     P(half_panel), P(tall),
#else
    NULL,         NULL,         NULL,       NULL,        NULL,         NULL,
    C(streams),   NULL,         C(scattered), NULL,
    NULL,         NULL,         NULL,       NULL,        NULL,         NULL,        P(tall),
#endif
};

#undef P
#undef V
#undef VV
#undef VM
#undef C
#undef CV
#undef SR_PATH_PREFIX
#undef SR_PATH_ID
#undef SR_PACKED_SIGNS
#undef SR_ARITHMETIC
#undef SR_ENVIRONMENT
