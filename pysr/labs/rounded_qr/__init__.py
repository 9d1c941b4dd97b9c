"""QR factorizations, sums and refinement in few bits, beside what theory says of them.

Matrices of given condition number kappa are factorized with every operation rounded to float16,
bfloat16, tf32 or binary32, to nearest ("rne") and stochastically ("sr"), by eight algorithms of
`pysr.linalg.qr`. Measured are the error ||A - Q R|| / ||A|| and the loss of orthogonality
||Q^T Q - I||, in the 2-norm and in units of u, the unit roundoff: 2^-p to nearest and 2^(1-p)
stochastically. NumPy's factorization in float64 is the control.

Bounds and their sources are in `pysr.linalg.theory`. They say that Householder's Q is orthogonal to
O(u), whatever kappa; that modified Gram-Schmidt (MGS) loses kappa u, the classical one (CGS) and
Cholesky's factor of A^T A kappa^2 u; that a second pass repairs CGS (CGS2); that Cholesky breaks
down beyond about u^-1/2. Of sums they say that the error to nearest may grow like n u, and that of
stochastic rounding like sqrt(n) u: equal terms, whose rounding errors agree in sign until the sum
stands still, show both. Of refinement, that factors with unit roundoff u_f serve as they are up to
kappa of about 1 / u_f, and as preconditioners of GMRES far beyond.
"""

from __future__ import annotations

import pysr
from pysr.labs._frame import Choice, Lab, Plan, Role, Rounding, Setup, format_name
from pysr.labs.rounded_qr import _claims, _figures, _measure
from pysr.labs.rounded_qr._measure import matrix, slope
from pysr.labs.rounded_qr._study import Study

__all__ = ["LAB", "matrix", "slope"]

ALL = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")
FEW = ("householder", "mgs", "cgs", "cgs2", "cholesky")
HALF_DECADES = tuple(10.0 ** (k / 2) for k in range(7))
FINE = (*HALF_DECADES, 1e4, 1e5, 1e6)
# What is factorized: condition numbers from 1 to the last below 1 / u.
Plans = dict[str, tuple[tuple[str, ...], tuple[float, ...]]]
PLANS: Plans = {
    "float16": (ALL, HALF_DECADES),
    "bfloat16": (ALL, HALF_DECADES[:5]),
    "tf32": (FEW, HALF_DECADES[::2]),
    "binary32": (FEW, FINE),
}
QUICK_PLANS: Plans = {
    "float16": (FEW, HALF_DECADES),
    "bfloat16": (FEW, HALF_DECADES[:5]),
    "binary32": (FEW, (*HALF_DECADES, 1e4, 1e6)),
}


def _plan(choice: Choice) -> Plan:
    study = Study(choice)
    _add_factorizations(study)
    _add_growth(study)
    _add_sums(study)
    _add_dots(study)
    _add_refinements(study)
    return Plan(tuple(study.claims), _figures.figures(study), remarks=study.remarks)


def _add_factorizations(study: Study) -> None:
    plans = QUICK_PLANS if study.quick else PLANS
    m, n = study.shape
    for fmt in study.formats(*plans):
        name = format_name(fmt)
        u = 2.0 ** (1 - fmt.precision)
        methods, kappas = plans.get(name, (FEW, tuple(k for k in FINE if k <= 1.001 / u)))
        applies = study.applies(*plans)
        for mode, rounding in study.roundings(fmt).items():
            setups = {}
            for method in methods:
                key = f"qr-{name}-{mode}-{method}"
                setups[method] = study.add(
                    key,
                    f"QR by {method}, {m} x {n}, {name} {mode}",
                    _measure.factorizations(study.shape, kappas, rounding, method, key),
                )
            study.claims += _claims.qr_claims(setups, study.shape, kappas, rounding, applies[mode])
    first = study.formats("float16")[0]
    kappas = tuple(k for k in HALF_DECADES if k <= 2.001 ** (first.precision - 1))
    control = study.add(
        "qr-float64",
        f"QR, {m} x {n}, NumPy's in float64, the control",
        _measure.control(study.shape, kappas, first),
    )
    study.claims += _claims.control_claims(control, study.shape)


def _add_growth(study: Study) -> None:
    lengths = (64, 256, 1024, 4096) if study.quick else tuple(64 << k for k in range(8))
    (fmt,) = study.formats("bfloat16")
    roundings = study.roundings(fmt)
    text = f"Householder, m x 8, m = {lengths[0]} to {lengths[-1]}, positive, {format_name(fmt)}"
    setups = {}
    for mode, rounding in roundings.items():
        key = f"growth-{format_name(fmt)}-{mode}"
        setups[mode] = study.add(key, text, _measure.growth(lengths, rounding, key))
    study.lengths["growth"] = lengths
    study.claims += _claims.growth_claims(setups, lengths, roundings, study.applies("bfloat16"))


def _add_sums(study: Study) -> None:
    """Sums of equal terms, and of ones."""
    applies = study.applies("binary32", "float16")
    for fmt in study.formats("binary32", "float16"):
        most = (20 if fmt.precision > 15 else 14) - 2 * study.quick
        lengths = tuple(2**k for k in range(3, most + 1))
        study.lengths[f"sums-{format_name(fmt)}"] = lengths
        for mode, rounding in study.roundings(fmt).items():
            key = f"sums-{format_name(fmt)}-{mode}"
            setup = study.add(
                key,
                f"sums of n equal terms, n = 2^3 to 2^{most}, {format_name(fmt)} {mode}",
                _measure.sums(lengths, rounding, key),
            )
            study.claims += _claims.sum_claims(setup, lengths, rounding, applies[mode])
    (fmt,) = study.formats("bfloat16")
    lengths = tuple(2**k for k in (8, 10, 12, 14, 16))
    text = f"sums of ones, n = 2^8 to 2^16, {format_name(fmt)}"
    roundings = study.roundings(fmt)
    setups = {}
    for mode in (*roundings, "float64"):
        key = "ones-float64" if mode == "float64" else f"ones-{format_name(fmt)}-{mode}"
        setups[mode] = study.add(key, text, _measure.ones(lengths, roundings.get(mode), key))
    study.claims += _claims.ones_claims(setups, lengths, roundings, study.applies("bfloat16"))


def _add_dots(study: Study) -> None:
    lengths = tuple(2**k for k in (8, 10, 12, 14))
    (fmt,) = study.formats("float16")
    roundings = study.roundings(fmt)
    text = f"inner products of positive vectors, n = 2^8 to 2^14, {format_name(fmt)}"
    setups = {}
    for mode, rounding in roundings.items():
        key = f"dots-{format_name(fmt)}-{mode}"
        setups[mode] = study.add(key, text, _measure.dots(lengths, rounding, key))
    study.claims += _claims.dot_claims(setups, lengths, roundings, study.applies("float16"))


def _add_refinements(study: Study) -> None:
    kappas = [10.0 ** (k / 2) for k in range(0, 17, 2 if study.quick else 1)]
    applies = study.applies("float16", "bfloat16")
    order = study.order
    arithmetics = [
        rounding
        for fmt in study.formats("float16", "bfloat16")
        for rounding in study.roundings(fmt).values()
    ]
    for rounding in (*arithmetics, Rounding(pysr.format("binary64"), "rne")):
        setups: dict[str, Setup] = {}
        arithmetic = f"{format_name(rounding.fmt)} {rounding.mode}"
        for method in ("lu", "gmres"):
            key = f"{method}-{arithmetic.replace(' ', '-')}"
            text = f"{method.upper()}-IR, {order} x {order}, factors in {arithmetic}"
            solves = "float64" if method == "gmres" and study.quick else None
            setups[method] = study.add(
                key,
                text if rounding in arithmetics else f"{text}, the control",
                _measure.solutions(order, kappas, rounding, method, solves, key),
            )
        if rounding in arithmetics:
            study.refined.append((setups, rounding))
            study.claims += _claims.refinement_claims(
                setups, order, rounding, applies[rounding.mode]
            )
        else:
            study.claims.append(_claims.solved_control(setups["lu"]))


LAB = Lab(
    name="rounded-qr",
    title="QR, sums and refinement in few bits",
    summary="QR, sums and refinement in few bits keep to the theory of rounding errors, or break "
    "down",
    introduction=(
        "Matrices of given condition number κ are factorized with every operation rounded, to "
        "nearest (rne) and stochastically (sr), by eight algorithms. Measured are the error "
        "‖A − QR‖ / ‖A‖ and the loss of orthogonality ‖QᵀQ − I‖, in the 2-norm and in units of u, "
        "the unit roundoff: 2^-p to nearest and 2^(1-p) stochastically. NumPy's factorization in "
        "float64 is the control.",
        "Theory, with its sources, is in pysr.linalg.theory. It says that Householder's Q is "
        "orthogonal to O(u), whatever κ; that modified Gram-Schmidt loses κu, the classical one "
        "and Cholesky's factor of AᵀA κ²u; that a second pass repairs the classical one; that "
        "Cholesky breaks down beyond about u^(-1/2). Of sums it says that the error to nearest may "
        "grow like nu, and that of stochastic rounding like √n u. Of refinement, that factors with "
        "unit roundoff u_f serve as they are up to κ of about 1 / u_f, and as preconditioners of "
        "GMRES far beyond.",
        "Bounds that leave a constant open are judged by their growth: “over that at kappa = 1” is "
        "a ratio of losses, and exponents are fitted. What is asked of an exponent is which power "
        "it is: c in cκu is not quite constant over the decades that are fitted, and single "
        "matrices spread by up to 0.15. The predicted standard deviation of sums is measured with "
        "256 sums a seed, thus to 4 %, of which thrice is allowed.",
    ),
    roles={
        "operations": Role(
            "every operation of the algorithms; rounding to nearest in the same format is the "
            "control",
            Rounding(),
            floating=True,
        )
    },
    plan=_plan,
    not_attempted=(
        (
            "The constants of the bounds that are of low degree in m and n.",
            "Their sources leave them open; growth is judged instead.",
        ),
        (
            "Probabilistic bounds for QR and for triangular systems as sharp inequalities.",
            "What is measured is far below them at these sizes; the rows on sums and inner "
            "products are the ones that can fail.",
        ),
    ),
)
