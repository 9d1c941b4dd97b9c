"""How the results of one step of descent are rounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pysr._core.descent import Rounder
from pysr._core.formats import FixedFormat, Format
from pysr._core.formats import format as to_format

# In the order in which a step takes them, and their words.
ROLES = ("gradient", "momentum", "product", "update")

_PARTS = ("fmt", "mode", "eps", "overflow", "random_bits", "variant")


def roundings_of(
    common: Mapping[str, Any], own: Mapping[str, Any] | None
) -> dict[str, Rounder | None]:
    """
    Settle what each result is rounded by.

    Parameters
    ----------
    common : mapping
        Of fmt, mode, eps, overflow, random_bits and variant, for every role.
    own : mapping, optional
        Of roles to None (not rounded), a format, ``(fmt, mode, eps)``, or a mapping of the same
        keywords; what is left out is as in `common`.

    Returns
    -------
    dict of str to Rounder or None
    """
    if not isinstance(own, (Mapping, type(None))):
        raise TypeError(f"roundings must be a mapping of roles to roundings, not {own!r}")
    given = dict(own or {})
    for role in given:
        if role not in ROLES:
            raise ValueError(f"roundings has {role!r}: not one of {', '.join(ROLES)}")
    settled: dict[str, Rounder | None] = {}
    for role in ROLES:
        settled[role] = _one(role, common, role in given, given.get(role), settled.get("product"))
    return settled


def _one(
    role: str, common: Mapping[str, Any], named: bool, own: Any, product: Rounder | None
) -> Rounder | None:
    given = _read(role, own) if named else {}
    settled = {**common, **given}
    if settled["fmt"] is None:
        if given and "fmt" not in given:
            raise ValueError(f"roundings[{role!r}]={own!r} has no fmt, and there is none for all")
        return None
    try:
        if role == "update" and "mode" not in given:
            settled.update(_leaning(to_format(settled["fmt"]), settled["mode"], product))
        if settled["mode"] == "sr_signed" and role != "update":
            raise ValueError(
                f"mode='sr_signed' is for the update, not for the {role}: take 'sr_eps'"
            )
        return Rounder(**settled)
    except (ValueError, TypeError) as error:
        raise type(error)(f"roundings[{role!r}]: {error}" if named else str(error)) from None


def _leaning(fmt: Format, mode: str, product: Rounder | None) -> dict[str, str]:
    """
    The update's mode, where none is asked for.

    Numbers of fixed point have exact differences, which need no random bits, if the product's grid
    is not finer. A product that leans away from zero makes the step longer; of a difference it is
    the sign of the gradient that says which way is down.
    """
    of = None if product is None else product.fmt
    if isinstance(fmt, FixedFormat) and isinstance(of, FixedFormat) and fmt.qmin <= of.qmin:
        return {"mode": "rne"}
    return {"mode": "sr_signed"} if mode == "sr_eps" else {}


def _read(role: str, own: Any) -> dict[str, Any]:
    where = f"roundings[{role!r}]"
    if isinstance(own, Mapping):
        for name in own:
            if name not in _PARTS:
                raise ValueError(f"{where} has {name!r}: not one of {', '.join(_PARTS)}")
        return dict(own)
    if own is None or isinstance(own, str) or not isinstance(own, Iterable):
        return {"fmt": own}
    parts = tuple(own)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"{where}={own!r} is not (fmt, mode, eps)")
    return dict(zip(_PARTS, parts, strict=False))
