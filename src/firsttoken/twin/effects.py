"""What disruptions do to counted things: closed, short in number, or late.

Rooms say which of their things have a number (`Wrong`); factors on it and slips of its dates are
the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from firsttoken.twin import scenario as said
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import BEGINNING, ParameterBuilder
from firsttoken.twin.schema import quantities
from firsttoken.twin.twin import Twin, split_path

Key = tuple[str, str]
"""(collection, name) below the instance: `("feeds", "east")`."""

Wrong = Callable[[said.Disruption, tuple[str, ...]], str]
"""(disruption, keys below the instance) -> why it cannot act there; empty if it can."""

KINDS = ("close", "capacity", "slip")
"""Disruptions that act on a number."""


@dataclass(slots=True)
class Effects:
    """What the disruptions do, by target.

    Attributes
    ----------
    factors : series to multiply the number of units with.
    slips : (parameter of the delay, from in seconds from the twin's start).
    """

    factors: dict[Key, list[int]] = field(default_factory=dict)
    slips: dict[Key, list[tuple[int, float]]] = field(default_factory=dict)


def build_effects(
    twin: Twin, room: str, name: str, wrong: Wrong, build: ParameterBuilder
) -> Effects:
    """Compile the disruptions of a twin that aim at one instance, `<room>.<name>`.

    Raises
    ------
    TwinError
        If a disruption aims at something that it cannot act on.
    """
    effects = Effects()
    for disruption in twin.disruptions:
        keys = split_path(twin.data, disruption.path)
        if keys[:2] != (room, name):
            continue
        why = wrong(disruption, keys[2:])
        if why:
            what = f"{disruption.kind!r} cannot act on {disruption.path}"
            raise TwinError(Finding(what, why, path=disruption.path, code="disruption"))
        target = (keys[2], keys[3])
        if isinstance(disruption, said.Slip):
            effects.slips.setdefault(target, []).append(_slip(disruption, build))
        else:
            assert isinstance(disruption, said.Timed)
            effects.factors.setdefault(target, []).append(_factor(disruption, build))
    return effects


def _parameter(disruption: said.Disruption, name: str, build: ParameterBuilder) -> int:
    quantity = quantities(type(disruption))[name]
    return build.scalar(
        getattr(disruption, name),
        f"disruption.{disruption.kind}.{disruption.path}.{name}",
        quantity.unit,
        date=quantity.unit == "date",
    )


def _slip(slip: said.Slip, build: ParameterBuilder) -> tuple[int, float]:
    by = _parameter(slip, "by", build)
    if slip.start is None:
        return by, BEGINNING
    start = build.fixed(_parameter(slip, "start", build))
    if start is None:
        what = "'from' of a slip must be a certain date"
        raise TwinError(Finding(what, path=slip.path, code="date"))
    return by, start


def _factor(disruption: said.Timed, build: ParameterBuilder) -> int:
    """Series: the share of the units that is left, then straight back to all in the recovery."""
    one = build.constant(1.0)
    start = _parameter(disruption, "start", build)
    end: int | None = None
    if disruption.duration is not None:
        end = build.total(start, _parameter(disruption, "duration", build))
    elif disruption.until is not None:
        end = _parameter(disruption, "until", build)
    left, recovery = build.constant(0.0), build.constant(0.0)
    if isinstance(disruption, said.CapacityChange):
        left = _parameter(disruption, "factor", build)
        recovery = _parameter(disruption, "recovery", build)
    if end is None or build.fixed(recovery) == 0.0:
        knots = [(build.beginning(), one), (start, left)]
        return build.steps(knots if end is None else [*knots, (end, one)])
    before = build.total(start, build.constant(-1.0))  # a line needs a little width to fall
    back = build.total(end, recovery)
    return build.ramp([(before, one), (start, left), (end, left), (back, one)])
