"""Descent in low precision."""

from pysr.optim import problems as problems
