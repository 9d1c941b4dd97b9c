"""Factorizations with every operation rounded, exactly: docs/linalg.md in loops over scalars.

What `pysr.linalg` must return to the last bit, what it draws and what it counts. Written from the
document, on top of the exact model alone; a matrix is a list of rows of `exact_model.Value`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import exact_model as em

Value = em.Value
Vector = list[Value]
Matrix = list[Vector]

ZERO = em.finite(False, Fraction(0))
ONE = em.finite(False, Fraction(1))


class Breakdown(Exception):
    """The library must raise LinAlgError."""


def minus(x: Value) -> Value:
    return x._replace(negative=not x.negative)


def is_zero(x: Value) -> bool:
    return x.magnitude == 0


def signed(x: Value) -> Fraction:
    assert x.kind == "finite"
    return -x.magnitude if x.negative else x.magnitude


def double(x: Value) -> float:
    y = float(x.magnitude)
    return -y if x.negative else y


def power(e: int) -> Value:
    return em.finite(False, em.power_of_two(e))


def transposed(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def identity(m: int, n: int) -> Matrix:
    return [[ONE if i == j else ZERO for j in range(n)] for i in range(m)]


class Elementwise(em.Result):
    """One call of an operation, whose quotients and roots have their own rule (S7.3)."""

    op = ""

    def away(self, fmt: em.Format, s: em.Split, m: int) -> bool:
        how = self.manner
        if self.op in ("div", "sqrt") and how.mode == "sr" and how.random_bits == "exact":
            return em.endless_away(
                s.phi,
                self.words[m],
                lambda level: em.refinement(how.seed, how.stream, how.start, m, level),
            )
        return super().away(fmt, s, m)


class Machine:
    """Calls of an arithmetic, one after the other, on one stream."""

    def __init__(
        self,
        fmt: em.Format,
        manner: em.Manner,
        accumulate: str = "separate",
        block: int | None = None,
        order: str = "sequential",
    ) -> None:
        self.fmt, self.manner = fmt, manner
        self.accumulate, self.block, self.order = accumulate, block or 0, order
        self.totals = em.Totals()
        self.limit = 126 if em.fits(fmt, em.FLOAT32) else 1022
        p = fmt.p
        nearest = manner.mode in ("rne", "rna", "rnz")
        self.u = 2.0 ** ((-p if p else fmt.qmin - 1) + (not nearest))

    @property
    def position(self) -> int:
        return self.manner.start

    def move(self, blocks: int) -> None:
        fields = vars(self.manner) | {"start": self.manner.start + blocks}
        self.manner = em.Manner(**fields)

    def call(self, op: str, operands: Sequence[Sequence[Value]]) -> Vector:
        result = Elementwise(self.manner, 0, len(operands), self.totals)
        result.op = op
        values = []
        for i, x in enumerate(operands):
            exact = x[0] if op == "round" else em.operate(op, x, self.manner.mode)
            values.append(result.round(self.fmt, exact, i, x))
        self.move(self.manner.blocks(len(operands)))
        return values

    def one(self, op: str, *x: Value) -> Value:
        return self.call(op, [x])[0]

    def table(self, op: str, m: int, n: int, operands: Any) -> Matrix:
        """A call on a matrix of m rows; `operands` is a function of row and column."""
        flat = self.call(op, [operands(i, j) for i in range(m) for j in range(n)])
        return [flat[i * n : (i + 1) * n] for i in range(m)]

    def product(
        self,
        a: Matrix,
        b: Matrix,
        initial: Matrix | None = None,
        columns: int | None = None,
    ) -> Matrix:
        n = len(b[0]) if b else columns
        assert n is not None
        rows: Matrix = []
        for i, row in enumerate(a):
            rows.append([])
            for j in range(n):
                value = em.inner(
                    self.manner,
                    i * n + j,
                    self.accumulate,
                    (self.fmt, self.fmt),
                    row,
                    [line[j] for line in b],
                    self.order,
                    self.block,
                    None if initial is None else initial[i][j],
                    self.totals,
                )
                rows[-1].append(value)
        length = em.inner_roundings(self.accumulate, self.block, len(b))
        self.move(len(a) * n * self.manner.blocks(length))
        return rows

    def row_sums(self, rows: Matrix) -> Vector:
        sums = [
            em.reduced(self.manner, i, "add", self.fmt, row, self.order, self.block, self.totals)
            for i, row in enumerate(rows)
        ]
        terms = em.reduction_roundings(self.order, len(rows[0])) if rows else 0
        self.move(len(rows) * self.manner.blocks(terms))
        return sums

    # The parts that algorithms share

    def less(self, c: Matrix, a: Matrix, b: Matrix) -> Matrix:
        """c - a b."""
        if not b:
            return c
        if self.order == "sequential":
            return self.product([[minus(x) for x in row] for row in a], b, c)
        ab = self.product(a, b)
        return self.table("sub", len(c), len(c[0]), lambda i, j: (c[i][j], ab[i][j]))

    def less_outer(self, c: Matrix, x: Vector, y: Vector) -> Matrix:
        m, n = len(x), len(y)
        if self.accumulate != "separate":
            return self.table("fma", m, n, lambda i, j: (minus(x[i]), y[j], c[i][j]))
        xy = self.table("mul", m, n, lambda i, j: (x[i], y[j]))
        return self.table("sub", m, n, lambda i, j: (c[i][j], xy[i][j]))

    def scale(self, x: Vector, terms: int) -> int:
        largest = max((v.magnitude for v in x), default=Fraction(0))
        if largest == 0:
            return 0
        top = self.fmt.int_bits if self.fmt.fixed else em.exponent_of(self.fmt.max)
        doublings = 0
        while 1 << doublings < terms:
            doublings += 1
        e = em.exponent_of(largest) - min(0, (top - doublings) // 2 - 1)
        return min(max(e, -self.limit), self.limit)

    def norm(self, x: Vector) -> tuple[Vector, Value, Value]:
        e = self.scale(x, len(x))
        y = self.call("mul", [(v, power(-e)) for v in x])
        if self.accumulate == "separate":
            total = self.row_sums([self.call("mul", [(v, v) for v in y])])[0]
        else:
            total = self.product([y], [[v] for v in y])[0][0]
        return y, self.one("sqrt", total), power(e)

    # Triangles

    def cholesky(self, a: Matrix) -> Matrix:
        n = len(a)
        lower = [[ZERO] * n for _ in range(n)]
        for j in range(n):
            column = self.less(
                [[a[i][j]] for i in range(j, n)],
                [lower[i][:j] for i in range(j, n)],
                [[x] for x in lower[j][:j]],
            )
            if signed(column[0][0]) <= 0:
                raise Breakdown
            lower[j][j] = self.one("sqrt", column[0][0])
            if j + 1 < n:
                quotients = self.call("div", [(x[0], lower[j][j]) for x in column[1:]])
                for i, x in enumerate(quotients):
                    lower[j + 1 + i][j] = x
        return lower

    def lu(self, a: Matrix) -> tuple[list[int], Matrix, Matrix]:
        m, n = len(a), len(a[0])
        k = min(m, n)
        order = list(range(m))
        lower = [[ZERO] * k for _ in range(m)]
        upper = [[ZERO] * n for _ in range(k)]
        for j in range(k):
            column = self.less(
                [[a[order[i]][j]] for i in range(j, m)],
                [lower[i][:j] for i in range(j, m)],
                [[upper[r][j]] for r in range(j)],
            )
            sizes = [x[0].magnitude for x in column]
            at = sizes.index(max(sizes))
            for rows in (order, lower):
                rows[j], rows[j + at] = rows[j + at], rows[j]  # type: ignore[index]
            column[0], column[at] = column[at], column[0]
            upper[j][j], lower[j][j] = column[0][0], ONE
            if j + 1 < m and sizes[at] != 0:
                quotients = self.call("div", [(x[0], column[0][0]) for x in column[1:]])
                for i, x in enumerate(quotients):
                    lower[j + 1 + i][j] = x
            if j + 1 < n:
                rest = [upper[r][j + 1 :] for r in range(j)]
                upper[j][j + 1 :] = self.less([a[order[j]][j + 1 :]], [lower[j][:j]], rest)[0]
        return order, lower, upper

    def substitute(self, t: Matrix, b: Matrix, lower: bool, unit: bool = False) -> Matrix:
        n = len(t)
        if not unit and any(is_zero(t[i][i]) for i in range(n)):
            raise Breakdown
        x: dict[int, Vector] = {}
        for i in range(n) if lower else range(n - 1, -1, -1):
            known = sorted(x)
            row = self.less([b[i]], [[t[i][j] for j in known]], [x[j] for j in known])[0]
            x[i] = row if unit else self.call("div", [(v, t[i][i]) for v in row])
        return [x[i] for i in range(n)]

    # QR

    def reflect(self, a: Matrix, v: Vector, tau: Value) -> Matrix:
        w = self.product([v], a)[0]
        return self.less_outer(a, v, self.call("mul", [(tau, x) for x in w]))

    def householder(self, a: Matrix, k: int, columns: int | None) -> tuple[Matrix, Matrix]:
        a = [row[:] for row in a]
        m = len(a)
        n = len(a[0])
        kept = []
        for j in range(k):
            x = [a[i][j] for i in range(j, m)]
            if all(is_zero(v) for v in x[1:]):
                continue
            y, norm, unit = self.norm(x)
            if not is_zero(norm):
                beta = minus(norm) if signed(y[0]) >= 0 else norm
                d = self.one("sub", y[0], beta)
                tau = self.one("div", minus(d), beta)
                v = [ONE, *self.call("div", [(z, d) for z in y[1:]])]
                kept.append((j, v, tau))
                a[j][j] = self.one("mul", beta, unit)
                if j + 1 < n:
                    block = self.reflect([row[j + 1 :] for row in a[j:]], v, tau)
                    for i, row in enumerate(block):
                        a[j + i][j + 1 :] = row
            for i in range(j + 1, m):
                a[i][j] = ZERO
        q: Matrix = []
        if columns is not None:
            q = identity(m, columns)
            for j, v, tau in reversed(kept):
                block = self.reflect([row[j:] for row in q[j:]], v, tau)
                for i, row in enumerate(block):
                    q[j + i][j:] = row
        return q, a[:k]

    def angles(self, f: Vector, g: Vector) -> list[tuple[Value, Value, Value]]:
        swap = [y.magnitude > x.magnitude for x, y in zip(f, g, strict=True)]
        small, large, sign = [], [], []
        for x, y, other in zip(f, g, swap, strict=True):
            small.append(x if other else y)
            large.append(y if other else x)
            differ = not is_zero(x) and x.negative != y.negative
            sign.append(minus(ONE) if other and differ else ONE)
        bottom = [ONE if is_zero(x) else x for x in large]
        t = self.call("div", list(zip(small, bottom, strict=True)))
        squares = self.call("mul", [(x, x) for x in t])
        u = self.call("sqrt", [(x,) for x in self.call("add", [(ONE, x) for x in squares])])
        big = self.call("div", list(zip(sign, u, strict=True)))
        little = self.call("mul", list(zip(big, t, strict=True)))
        flipped = [minus(x) if y.negative else x for x, y in zip(large, sign, strict=True)]
        r = self.call("mul", list(zip(flipped, u, strict=True)))
        return [
            (y, x, z) if other else (x, y, z)
            for x, y, z, other in zip(big, little, r, swap, strict=True)
        ]

    def rotate_rows(
        self, top: Matrix, bottom: Matrix, c: Vector, s: Vector
    ) -> tuple[Matrix, Matrix]:
        k, n = len(top), len(top[0])
        both, other = top + bottom, bottom + [[minus(x) for x in row] for row in top]
        p = self.table("mul", 2 * k, n, lambda i, j: (s[i % k], other[i][j]))
        if self.accumulate != "separate":
            done = self.table("fma", 2 * k, n, lambda i, j: (c[i % k], both[i][j], p[i][j]))
        else:
            r = self.table("mul", 2 * k, n, lambda i, j: (c[i % k], both[i][j]))
            done = self.table("add", 2 * k, n, lambda i, j: (r[i][j], p[i][j]))
        return done[:k], done[k:]

    def givens(self, a: Matrix, k: int, columns: int | None) -> tuple[Matrix, Matrix]:
        a = [row[:] for row in a]
        m, n = len(a), len(a[0])
        kept = []
        for j in range(k):
            rows = m - j
            while rows > 1:
                half = -(-rows // 2)
                pairs = [(j + i, j + half + i) for i in range(rows - half)]
                rows = half
                if all(is_zero(a[low][j]) for _, low in pairs):
                    continue
                angles = self.angles([a[i][j] for i, _ in pairs], [a[i][j] for _, i in pairs])
                c, s = [x[0] for x in angles], [x[1] for x in angles]
                if j + 1 < n:
                    top, bottom = self.rotate_rows(
                        [a[i][j + 1 :] for i, _ in pairs], [a[i][j + 1 :] for _, i in pairs], c, s
                    )
                    for (high, low), x, y in zip(pairs, top, bottom, strict=True):
                        a[high][j + 1 :], a[low][j + 1 :] = x, y
                for (high, low), (_, _, r) in zip(pairs, angles, strict=True):
                    a[high][j], a[low][j] = r, ZERO
                kept.append((j, pairs, c, s))
        q: Matrix = []
        if columns is not None:
            q = identity(m, columns)
            for j, pairs, c, s in reversed(kept):
                top, bottom = self.rotate_rows(
                    [q[i][j:] for i, _ in pairs],
                    [q[i][j:] for _, i in pairs],
                    c,
                    [minus(x) for x in s],
                )
                for (high, low), x, y in zip(pairs, top, bottom, strict=True):
                    q[high][j:], q[low][j:] = x, y
        return q, a[:k]

    def unit(self, x: Vector) -> tuple[Value, Vector]:
        if all(is_zero(v) for v in x):
            raise Breakdown
        y, norm, unit = self.norm(x)
        if is_zero(norm):
            raise Breakdown
        return self.one("mul", norm, unit), self.call("div", [(v, norm) for v in y])

    def mgs(self, a: Matrix, k: int) -> tuple[Matrix, Matrix]:
        a = [row[:] for row in a]
        n = len(a[0])
        columns, r = [], [[ZERO] * n for _ in range(k)]
        for j in range(k):
            r[j][j], q = self.unit([row[j] for row in a])
            columns.append(q)
            if j + 1 < n:
                r[j][j + 1 :] = self.product([q], [row[j + 1 :] for row in a])[0]
                rest = self.less_outer([row[j + 1 :] for row in a], q, r[j][j + 1 :])
                for row, new in zip(a, rest, strict=True):
                    row[j + 1 :] = new
        return transposed(columns) if columns else [[] for _ in a], r

    def trailing(self, q: list[Vector], a: Matrix, k: int, r: Matrix) -> None:
        if k < len(a[0]):
            for row, more in zip(r, self.product(q, [row[k:] for row in a]), strict=True):
                row[k:] = more

    def cgs(self, a: Matrix, k: int, passes: int) -> tuple[Matrix, Matrix]:
        n = len(a[0])
        columns: list[Vector] = []
        r = [[ZERO] * n for _ in range(k)]
        for j in range(k):
            x = [row[j] for row in a]
            for number in range(passes if j else 0):
                h = [y[0] for y in self.product(columns, [[v] for v in x])]
                left = self.less([[v] for v in x], transposed(columns), [[y] for y in h])
                x = [row[0] for row in left]
                if number:
                    h = self.call("add", [(r[i][j], h[i]) for i in range(j)])
                for i in range(j):
                    r[i][j] = h[i]
            r[j][j], q = self.unit(x)
            columns.append(q)
        self.trailing(columns, a, k, r)
        return transposed(columns), r

    def cholesky_qr(self, a: Matrix, k: int) -> tuple[Matrix, Matrix]:
        n = len(a[0])
        leading = [row[:k] for row in a]
        lower = self.cholesky(self.product(transposed(leading), leading))
        columns = self.substitute(lower, transposed(leading), lower=True)
        r = [row + [ZERO] * (n - k) for row in transposed(lower)]
        self.trailing(columns, a, k, r)
        return transposed(columns), r

    def twice(self, a: Matrix, k: int, method: Any) -> tuple[Matrix, Matrix]:
        q, first = method([row[:k] for row in a], k)
        q, second = method(q, k)
        product = self.product(second, first)
        r = [[product[i][j] if i <= j < k else ZERO for j in range(len(a[0]))] for i in range(k)]
        self.trailing(transposed(q), a, k, r)
        return q, r

    def qr(self, a: Matrix, k: int, columns: int | None, method: str) -> tuple[Matrix, Matrix]:
        if method in ("householder", "givens"):
            return getattr(self, method)(a, k, columns)  # type: ignore[no-any-return]
        if method == "mgs":
            return self.mgs(a, k)
        if method in ("cgs", "cgs2"):
            return self.cgs(a, k, 2 if method == "cgs2" else 1)
        if method == "cholesky":
            return self.cholesky_qr(a, k)
        return self.twice(a, k, self.mgs if method == "mgs2" else self.cholesky_qr)

    # Jacobi

    def jacobi_angles(self, d: Vector, w: Vector) -> tuple[Vector, Vector, Vector]:
        steep = [y.magnitude > x.magnitude for x, y in zip(d, w, strict=True)]
        pairs = [(x, y) if over else (y, x) for x, y, over in zip(d, w, steep, strict=True)]
        ratio = self.call("div", pairs)
        squares = self.call("mul", [(x, x) for x in ratio])
        root = self.call("sqrt", [(x,) for x in self.call("add", [(ONE, x) for x in squares])])
        top, bottom = [], []
        for x, over in zip(ratio, steep, strict=True):
            top.append((minus(ONE) if signed(x) < 0 else ONE) if over else x)
            bottom.append(x._replace(negative=False) if over else ONE)
        t = self.call(
            "div",
            list(zip(top, self.call("add", list(zip(bottom, root, strict=True))), strict=True)),
        )
        squares = self.call("mul", [(x, x) for x in t])
        root = self.call("sqrt", [(x,) for x in self.call("add", [(ONE, x) for x in squares])])
        c = self.call("div", [(ONE, x) for x in root])
        s = self.call("mul", list(zip(c, t, strict=True)))
        tau = self.call("div", list(zip(s, self.call("add", [(ONE, x) for x in c]), strict=True)))
        return t, s, tau

    def jacobi_rotate(self, x: Matrix, pairs: Any, s: Vector, tau: Vector) -> None:
        k, n = len(pairs), len(x[0])
        these = [p for p, _ in pairs] + [q for _, q in pairs]
        others = [q for _, q in pairs] + [p for p, _ in pairs]
        z = self.table("mul", 2 * k, n, lambda i, j: (tau[i % k], x[these[i]][j]))
        y = self.table(
            "add",
            2 * k,
            n,
            lambda i, j: (x[others[i]][j], z[i][j] if i < k else minus(z[i][j])),
        )
        z = self.table("mul", 2 * k, n, lambda i, j: (s[i % k], y[i][j]))
        new = self.table(
            "add",
            2 * k,
            n,
            lambda i, j: (x[these[i]][j], minus(z[i][j]) if i < k else z[i][j]),
        )
        for i, row in zip(these, new, strict=True):
            x[i] = row

    def enough(
        self, rotated: bool, square: float, worst: float, size: int, history: list[float]
    ) -> bool:
        floor = min(4 * size * self.u, 0.5)
        two_ago = history[-2] if len(history) > 1 else math.inf
        history.append(square)
        return not rotated or (worst <= floor and square > two_ago / 4)

    @property
    def tiny(self) -> float:
        return 0.25 if self.fmt.fixed else max(2.0**self.fmt.emin, self.u * self.u)

    def powers(self, exponents: Sequence[int]) -> Vector:
        return [power(e) for e in exponents]

    def orthogonalize(self, x: Matrix, m: int, sweeps: int) -> None:
        history: list[float] = []
        rounds = round_robin(len(x))
        while rounds:
            rotated, cosines = False, []
            for pairs in rounds:
                k = len(pairs)
                rows = [x[p][:m] for p, _ in pairs] + [x[q][:m] for _, q in pairs]
                e = [self.scale(row, m) for row in rows]
                down = self.powers([-v for v in e])
                y = self.table("mul", 2 * k, m, lambda i, j, r=rows, d=down: (r[i][j], d[i]))
                factors = [(row, row) for row in y] + [(y[i], y[k + i]) for i in range(k)]
                products = self.table(
                    "mul", 3 * k, m, lambda i, j, f=factors: (f[i][0][j], f[i][1][j])
                )
                sums = self.row_sums(products)
                chosen = []
                for i in range(k):
                    a, b = (math.sqrt(double(sums[r])) for r in (i, k + i))
                    large = max(math.ldexp(a, e[i]), math.ldexp(b, e[k + i]), 1.0)
                    a = max(a, math.ldexp(self.tiny * large, -e[i]))
                    b = max(b, math.ldexp(self.tiny * large, -e[k + i]))
                    cosine = min(abs(double(sums[2 * k + i])) / a / b, 1.0)
                    cosines.append(cosine)
                    if cosine > math.sqrt(m) * self.u:
                        chosen.append(i)
                if not chosen:
                    continue
                rotated = True
                shifts: list[list[int]] = [[], [], []]
                for i in chosen:
                    top = max(e[i], e[k + i])
                    shifts[0].append(2 * (e[i] - top))
                    shifts[1].append(2 * (e[k + i] - top))
                    shifts[2].append(e[i] + e[k + i] - 2 * top)
                terms = [sums[part * k + i] for part in range(3) for i in chosen]
                down = self.powers([v for part in shifts for v in part])
                scaled = self.call("mul", list(zip(terms, down, strict=True)))
                n = len(chosen)
                a2, b2, c2 = scaled[:n], scaled[n : 2 * n], scaled[2 * n :]
                d = self.call("sub", list(zip(b2, a2, strict=True)))
                w = self.call("add", [(v, v) for v in c2])
                _, s, tau = self.jacobi_angles(d, w)
                self.jacobi_rotate(x, [pairs[i] for i in chosen], s, tau)
            square = math.fsum(v * v for v in cosines)
            if self.enough(rotated, square, max(cosines), m, history):
                return
            if len(history) == sweeps:
                raise Breakdown

    def svd(
        self, a: Matrix, columns: int, vectors: bool, qr_first: bool, sweeps: int = 30
    ) -> tuple[Matrix, Vector, Matrix]:
        """Of a tall matrix: so many left vectors, values, right vectors in rows."""
        m, n = len(a), len(a[0])
        e = self.scale([x for row in a for x in row], m)
        q: Matrix = []
        if any(not is_zero(x) for row in a for x in row):
            a = self.table("mul", m, n, lambda i, j: (a[i][j], power(-e)))
        if qr_first:
            q, a = self.householder(a, n, columns if vectors else None)
        rows = len(a)
        start = identity(n, n) if vectors else [[] for _ in range(n)]
        x = [w + v for w, v in zip(transposed(a), start, strict=True)]
        self.orthogonalize(x, rows, sweeps)
        exponents = [self.scale(row[:rows], rows) for row in x]
        down, up = self.powers([-v for v in exponents]), self.powers(exponents)
        y = self.table("mul", n, rows, lambda i, j: (x[i][j], down[i]))
        total = self.row_sums(self.table("mul", n, rows, lambda i, j: (y[i][j], y[i][j])))
        root = self.call("sqrt", [(v,) for v in total])
        norms = self.call("mul", list(zip(root, up, strict=True)))
        order = sorted(range(n), key=lambda i: -signed(norms[i]))
        values = self.call("mul", [(norms[i], power(e)) for i in order])
        if not vectors:
            return [], values, []
        least = 8 * 2.0**self.fmt.qmin if self.fmt.fixed else self.tiny
        least *= max(1.0, *(double(x) for x in norms))
        kept = [i for i in order if double(norms[i]) >= least]
        flat = self.table("div", len(kept), rows, lambda i, j: (x[kept[i]][j], norms[kept[i]]))
        width = n if qr_first else columns
        left = transposed(flat) if flat else [[] for _ in range(rows)]
        if len(kept) < width:
            basis = self.householder(left, len(kept), width)[0]
            left = [r + b[len(kept) :] for r, b in zip(left, basis, strict=True)]
        if qr_first:
            front = self.product([row[:n] for row in q], left)
            left = [r + b[n:] for r, b in zip(front, q, strict=True)]
        return left, values, [x[i][rows:] for i in order]

    def eigh(self, a: Matrix, sweeps: int = 30) -> tuple[Vector, Matrix]:
        """Of a symmetric matrix: ascending eigenvalues, eigenvectors in rows."""
        n = len(a)
        x = [row + unit for row, unit in zip(a, identity(n, n), strict=True)]
        total = math.fsum(double(v) ** 2 for row in a for v in row)
        rounds = round_robin(n)
        history: list[float] = []
        while rounds and total:
            rotated = False
            for everyone in rounds:
                pairs = [
                    (p, q)
                    for p, q in everyone
                    if double(x[q][p]) * double(x[q][p])
                    > self.u * self.u * abs(double(x[p][p]) * double(x[q][q]))
                ]
                if not pairs:
                    continue
                rotated = True
                k = len(pairs)
                one, other = [x[p][p] for p, _ in pairs], [x[q][q] for _, q in pairs]
                off = [x[q][p] for p, q in pairs]
                d = self.call("sub", list(zip(other, one, strict=True)))
                t, s, tau = self.jacobi_angles(d, self.call("add", [(v, v) for v in off]))
                change = self.call("mul", list(zip(t, off, strict=True)))
                new = self.call(
                    "add",
                    [(v, minus(w)) for v, w in zip(one, change, strict=True)]
                    + list(zip(other, change, strict=True)),
                )
                self.jacobi_rotate(x, pairs, s, tau)
                turned = transposed([row[:n] for row in x])
                self.jacobi_rotate(turned, pairs, s, tau)
                for i in range(n):
                    for j in range(n):
                        x[j][i] = turned[i][j]
                for i, (p, q) in enumerate(pairs):
                    x[p][p], x[q][q], x[q][p] = new[i], new[k + i], ZERO
                for i in range(n):
                    for j in range(i + 1, n):
                        x[i][j] = x[j][i]
            left = 2 * math.fsum(double(x[i][j]) ** 2 for i in range(n) for j in range(i)) / total
            if self.enough(rotated, left, math.sqrt(left), n, history):
                break
            if len(history) == sweeps:
                raise Breakdown
        order = sorted(range(n), key=lambda i: signed(x[i][i]))
        return [x[i][i] for i in order], [x[i][n:] for i in order]


def round_robin(n: int) -> list[list[tuple[int, int]]]:
    """Player 0 stays, the others move on by one seat a round; who faces the empty seat rests."""
    seats = n + n % 2
    rounds = []
    for turn in range(seats - 1 if n > 1 else 0):
        # Seat i > 0 holds the player who started at seat i - turn of the moving ones.
        player = [0] + [1 + (seat - 1 - turn) % (seats - 1) for seat in range(1, seats)]
        pairs = []
        for seat in range(seats // 2):
            p, q = sorted((player[seat], player[seats - 1 - seat]))
            if q < n:
                pairs.append((p, q))
        rounds.append(pairs)
    return rounds
