"""Gradient descent in fixed point, with rounding that leans the right way.

The paper is Xia, Massei and Hochstenbach, "On the convergence of the gradient descent method with
stochastic fixed-point rounding errors under the Polyak-Lojasiewicz inequality", arXiv:2301.09511.
It says that unbiased stochastic rounding keeps linear convergence, that rounding which leans away
from zero, SR_eps, has a better bound, and that steps are of three kinds. Which formats, biases and
step sizes it used was not at hand: those of this lab are its own, and what is expected of them was
worked out for this project, with the theory of `pysr.optim.bounds` and by simulation.

Where tolerances come from. Moments: the mean of 400,000 draws spreads by at most 0.0008 u, of which
0.004 u is five times. Walks: a time until absorption spreads by at most a third of its mean where J
is 20 or more, 0.5 % in the mean of 4,000 runs, of which 2.5 % is asked; Kolmogorov's distance is
above 2.3 / sqrt(runs) once in 20,000 times. Rosenbrock: of runs with SR_.1 four in ten end at or
below 1.6e-4, and most others near 2e-3, so that a median of 50 runs lies anywhere between 0 and
2.5e-3; 1.6e-4 was such a median, and what is asked is that half of the runs are below it, to within
three standard errors of 50. The network: its loss spreads by 11 % from start to start, 5 % in the
mean of five, so that losses are compared with float64's from the same start, times 0.0685, which
float64 reached where the expectations come from; such ratios spread by 4 %. To nearest the network
stands still from most starts; from some a few weights go to and fro for ever: the median is judged.
"""

from __future__ import annotations

from pysr._config import installed
from pysr.labs._frame import Choice, Lab, Plan, Role, Rounding, Setup
from pysr.labs.biased_descent import _claims, _figures, _measure
from pysr.labs.biased_descent._study import EXACT, Arithmetic, Study, same_everywhere

__all__ = ["LAB"]

WALK = (2.0**-6, 64)
TIMES = {"sr": 303.6, "sr_eps-0.1": 149.4, "sr_eps-0.25": 103.2, "sr_eps-0.5": 75.9}
# Other walks: c, J, eps.
WALKS = (
    (2.0**-3, 8, 0.0),
    (2.0**-4, 10, 0.4),
    (2.0**-5, 32, 0.0),
    (2.0**-5, 20, 0.15),
    (2.0**-8, 200, 0.75),
    (2.0**-7, 100, 0.05),
    (2.0**-7, 128, 0.3),
    (2.0**-8, 256, 0.0),
    (2.0**-9, 64, 0.02),
)


def _plan(choice: Choice) -> Plan:
    study = Study(choice)
    if study.default:
        _add_moments(study)
        _add_one_step(study)
    _add_cases(study)
    _add_walks(study)
    _add_quadratics(study)
    _add_nonconvex(study)
    notes = []
    if installed("scikit-learn"):
        _add_logistic(study)
    _add_plane(study)
    _add_overflow(study)
    if installed("scikit-learn"):
        _add_network(study)
    else:
        notes.append('regression and network need scikit-learn: pip install "srcore[labs]"')
    return Plan(tuple(study.claims), _figures.figures(study), tuple(notes))


def _add_moments(study: Study) -> None:
    seeds = study.choice.range(2, quick=1, full=5)
    for mode, eps in (("sr", 0.0), ("sr_eps", 0.1), ("sr_eps", 0.5), ("sr_signed", 0.1),
                      ("sr_signed", 0.5)):  # fmt: skip
        name = f"{mode}-{eps:g}" if eps else mode
        setup = study.add("moments", name, f"moments of one rounding, u = 2^-8, {name}", seeds,
                          _measure.moments(mode, eps, 400_000))  # fmt: skip
        study.claims += _claims.moment_claims(setup)


def _add_cases(study: Study) -> None:
    seeds = study.choice.range(2, quick=1, full=10)
    for arithmetic in study.arithmetics(0.1, 0.4, exact=False):
        setup = study.add("cases", arithmetic.name,
                          f"one step, abs(t g) from u/32 to 4 u, u = 2^-8, {arithmetic.name}",
                          seeds, _measure.cases(arithmetic, 10_000))  # fmt: skip
        study.claims += _claims.case_claims(arithmetic, setup)


def _add_one_step(study: Study) -> None:
    seeds = study.choice.range(2, quick=1, full=5)
    for eps in (0.0, 0.1, 0.4):
        name = f"sr_eps-{eps:g}" if eps else "sr"
        study.add("one-step", name,
                  f"quadratic, n = 100, one step from exact iterates 0, 20, 200, 800, {name}",
                  seeds, _measure.one_step(eps, 4000, (0, 20, 200, 800)))  # fmt: skip
    study.claims += _claims.one_step_claims(study.families["one-step"])


def _add_walks(study: Study) -> None:
    seeds = study.choice.range(2, quick=1, full=5)

    def add(arithmetic: Arithmetic, c: float, start: int, mean: float | None = None) -> None:
        text = f"f = x^2 / 2, c = 2^{round(_log2(c))}, J = {start}, {arithmetic.name}"
        setup = study.add("walk", f"{round(1 / c)}-{start}-{arithmetic.name}", text, seeds,
                          _measure.walk(arithmetic, c, start, 4000))  # fmt: skip
        study.claims += _claims.walk_claims(arithmetic, setup, c, start, mean)

    for arithmetic in study.arithmetics(0.1, 0.25, 0.5, exact=False):
        add(arithmetic, *WALK, TIMES.get(arithmetic.name))
    if study.default:
        for c, start, eps in WALKS[: 6 if study.quick else None]:
            add(same_everywhere("sr_eps", eps) if eps else same_everywhere("sr"), c, start)
        for c, start in ((2.0**-3, 8), (2.0**-8, 200)):
            add(same_everywhere("rne"), c, start)


def _log2(c: float) -> float:
    return c.as_integer_ratio()[0].bit_length() - c.as_integer_ratio()[1].bit_length()


def _add_quadratics(study: Study) -> None:
    seeds = study.choice.range(8, quick=2, full=24)
    arithmetics = study.arithmetics(0.1, 0.25, 0.4)
    for family, where, steps in (("grid", "on", 2000), ("off-grid", "off", 4500)):
        for arithmetic in arithmetics:
            study.add(family, arithmetic.name,
                      f"quadratic, n = 100, x* {where} the grid, u = 2^-8, {arithmetic.name}",
                      seeds,
                      _measure.quadratic_descent(arithmetic, where == "on", steps))  # fmt: skip
    study.claims += _claims.grid_claims(study.families["grid"], arithmetics)
    study.claims += _claims.off_grid_claims(study.families["off-grid"], arithmetics)


def _add_nonconvex(study: Study) -> None:
    arithmetics = study.arithmetics()
    for arithmetic in arithmetics:
        study.add("nonconvex", arithmetic.name,
                  f"x^2 + 3 sin^2 x, n = 10, t = 1/16, u = 2^-8, {arithmetic.name}",
                  study.choice.range(2, quick=1, full=5),
                  _measure.nonconvex_descent(arithmetic, 100, 3000))  # fmt: skip
    study.claims += _claims.nonconvex_claims(study.families["nonconvex"], arithmetics)


def _add_logistic(study: Study) -> None:
    arithmetics = study.arithmetics(0.1, 0.25)
    for arithmetic in arithmetics:
        study.add("logistic", arithmetic.name,
                  f"logistic regression, breast cancer, Q1.6, t = 1/16, {arithmetic.name}",
                  _seeds(study, arithmetic, 8, 4, 40),
                  _measure.logistic_descent(arithmetic))  # fmt: skip
    study.claims += _claims.logistic_claims(study.families["logistic"], arithmetics)


def _seeds(
    study: Study, arithmetic: Arithmetic, default: int, quick: int, full: int
) -> tuple[int, ...]:
    """One seed where nothing is drawn."""
    seeds = study.choice.range(default, quick=quick, full=full)
    return seeds[:1] if arithmetic.name in ("float64", "rne") else seeds


def _add_plane(study: Study) -> None:
    arithmetics = study.arithmetics(0.1, 0.25)
    for name, start, steps, every, few in (
        ("rosenbrock", "(-1, 1)", 5000, 20, 1), ("himmelblau", "(0, 0)", 400, 2, 2)
    ):  # fmt: skip
        for arithmetic in arithmetics:
            study.add(name, arithmetic.name,
                      f"{name.capitalize()} from {start}, t = 2^-10, u = 2^-8, {arithmetic.name}",
                      _seeds(study, arithmetic, 4 * few, few, 20),
                      _measure.plane_descent(arithmetic, name, 50, steps, every))  # fmt: skip
    study.claims += _claims.rosenbrock_claims(study.families["rosenbrock"], arithmetics)
    study.claims += _claims.himmelblau_claims(study.families["himmelblau"], arithmetics)


def _add_overflow(study: Study) -> None:
    arithmetic = study.arithmetics(exact=False)[-1]
    seeds = study.choice.range(4, quick=2, full=20)
    for name, fmt, rule in (("saturate", "Q7.8", "saturate"), ("wrap", "Q7.8", "wrap"),
                            ("wide", "Q9.8", None)):  # fmt: skip
        if rule is None or study.default:
            study.add("overflow", name,
                      f"Himmelblau from (4, 4), t = 2^-10, {fmt}, {arithmetic.name}, {name}",
                      seeds, _measure.overflow_descent(arithmetic, fmt, rule, 400))  # fmt: skip
    study.add("overflow", EXACT.name, "Himmelblau from (4, 4), t = 2^-10, float64, the control",
              seeds[:1], _measure.overflow_descent(EXACT, "Q7.8", None, 400))  # fmt: skip
    study.claims += _claims.overflow_claims(study.families["overflow"], study.default)


def _add_network(study: Study) -> None:
    seeds = study.choice.range(5, quick=1, full=10)
    arithmetics = study.arithmetics(0.1, 0.25, exact=False)
    sizes = (0.125, *(() if study.quick else (0.25, 0.5)), *_claims.TUNED)
    controls: dict[float, Setup] = {
        t: study.add("step", f"{t:g}", f"64-32-32-32-10 network, digits, float64, t = {t:g}",
                     seeds,
                     _measure.network_descent(EXACT, "Q3.8", t))
        for t in sizes
    }  # fmt: skip
    for fmt in ("Q3.8", "Q3.10", "Q3.12"):
        for arithmetic in arithmetics[: (1 if study.quick else 2) if fmt == "Q3.12" else None]:
            study.add(fmt, arithmetic.name,
                      f"64-32-32-32-10 network, digits, {fmt}, t = 1/8, {arithmetic.name}",
                      seeds, _measure.network_descent(arithmetic, fmt, 0.125))  # fmt: skip
        found = study.families[fmt]
        study.claims += _claims.network_claims(
            fmt, found, controls[0.125], [a for a in arithmetics if a.name in found]
        )
    study.claims += _claims.control_claims(
        controls, study.families["Q3.8"].get("sr_eps-0.1") if study.default else None
    )


LAB = Lab(
    name="biased-descent",
    title="Gradient descent with rounding that leans the right way",
    summary="stochastic rounding keeps gradient descent in fixed point going, and a bias makes it "
    "faster",
    introduction=(
        "A step of gradient descent takes x to x − fl(t · fl(∇f(x))), with gradient and product "
        "rounded to a grid of spacing u; the difference of two numbers on one grid is exact. To "
        "nearest (rne), products below u/2 become 0 and the descent stops, far from any minimum. "
        "Stochastically (SR), they are right on average: linear convergence remains, down to a "
        "floor that the variance of roundings sets. SR with a bias ε away from zero makes every "
        "step a little longer, and so leans downhill. (Xia, Massei, Hochstenbach, On the "
        "convergence of the gradient descent method with stochastic fixed-point rounding errors "
        "under the Polyak-Łojasiewicz inequality, arXiv:2301.09511.)",
        "Bounds, absorption times and the three kinds of steps are in pysr.optim.bounds, with "
        "their arguments. “Derived” rows were worked out for this project; the formats, biases and "
        "step sizes of the paper were not at hand. Float64 with the same step is the control, and "
        "for the network also float64 with a longer one: part of what the bias gains is a longer "
        "step.",
        "Set-ups. Walks: f = x²/2 from J u with steps c. Quadratic functions: n = 100, eigenvalues "
        "from 0.01 to 1 evenly spaced in the logarithm, start and minimizer uniform in (−8, 8), "
        "t = 1/4, Q7.8. Regression: all 569 rows of the breast-cancer data, standardized, with a "
        "column of ones. The network: 64-32-32-32-10, ReLU, with biases, full batch, 300 steps, "
        "1,500 digits drawn once, pixels divided by 16 and centred; weights start normal with "
        "variance 2 / inputs.",
    ),
    roles={
        "gradient": Role("what the gradient evaluates to", Rounding()),
        "product": Role("the product with the step size", Rounding()),
        "update": Role("the difference, which is exact in fixed point", Rounding()),
    },
    plan=_plan,
    not_attempted=(
        (
            "The paper's own experiments, number by number.",
            "Their formats, biases and step sizes were not at hand.",
        ),
        (
            "The constants of the paper's theorems, and its limits between the three cases.",
            "They were not at hand either; bounds and limits are derived.",
        ),
        (
            "A median of 1.6e-4 for Rosenbrock's function with SR_.1.",
            "A median of 50 runs lies anywhere between 0 and 2.5e-3, since runs end either at 0 or "
            "near 2e-3; over 4,000 runs it is 1.4e-3. That half of the runs end at or below "
            "1.6e-4, within what 50 of them can tell, is asked instead.",
        ),
        (
            "A step of 2 for the network in float64, for every start.",
            "It is at the edge of stability, and throws out one start in four; the control is the "
            "best of four steps up to 2.",
        ),
        (
            "Gradients that are themselves evaluated in few bits.",
            "Here they are evaluated in float64 and rounded once.",
        ),
    ),
)
