"""What theory says of descent with rounded results, and of deep matrix factorization.

Of gradient descent in fixed point: moments of one rounding, the three kinds of steps, bounds of one
step and of many, where rounding to nearest stands still, and absorption times. Of deep matrix
factorization: when an eigenvalue is recovered, how long a rank stays, which steps are too long,
which eigenvalues are lost to rounding, how fast round-off escapes. Every function says where it is
from.
"""

from pysr.optim.bounds._descent import (
    absorption_distribution,
    absorption_time,
    absorption_variance,
    contraction,
    moving_probability,
    rounding_moments,
    sr_bound,
    sr_eps_is_tighter,
    stagnation_radius,
    stagnation_threshold,
    stagnation_value,
    step_bound,
    step_case,
)
from pysr.optim.bounds._factorization import (
    effective_rank,
    escape_rate,
    recovery_plateau,
    recovery_step_limit,
    recovery_steps,
    recovery_threshold,
    recovery_time,
)

__all__ = [
    "absorption_distribution",
    "absorption_time",
    "absorption_variance",
    "contraction",
    "effective_rank",
    "escape_rate",
    "moving_probability",
    "recovery_plateau",
    "recovery_step_limit",
    "recovery_steps",
    "recovery_threshold",
    "recovery_time",
    "rounding_moments",
    "sr_bound",
    "sr_eps_is_tighter",
    "stagnation_radius",
    "stagnation_threshold",
    "stagnation_value",
    "step_bound",
    "step_case",
]
