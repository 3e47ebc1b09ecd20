"""What disruptions do to counted things: closed, short in number, or late.

Rooms say which of their things have a number (`Wrong`); factors on it and slips of its dates are
the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from firsttoken.twin import scenario as said
from firsttoken.twin.findings import Finding, Findings, TwinError
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
    for disruption, keys in acting(twin, room, name, wrong):
        target = (keys[0], keys[1])
        if isinstance(disruption, said.Slip):
            effects.slips.setdefault(target, []).append(slip_of(disruption, build))
        else:
            assert isinstance(disruption, said.Timed)
            effects.factors.setdefault(target, []).append(_factor(disruption, build))
    return effects


def acting(
    twin: Twin, room: str, name: str, wrong: Wrong
) -> Iterator[tuple[said.Disruption, tuple[str, ...]]]:
    """Disruptions that aim at one instance, `<room>.<name>`, and the keys below it.

    Raises
    ------
    TwinError
        If one cannot act on what it aims at.
    """
    for disruption in twin.disruptions:
        keys = split_path(twin.data, disruption.path)
        if keys[:2] != (room, name):
            continue
        why = wrong(disruption, keys[2:])
        if why:
            raise TwinError(_misplaced(disruption, why))
        yield disruption, keys[2:]


def check_effects(twin: Twin, room: str, name: str, wrong: Wrong, findings: Findings) -> None:
    """Add the disruptions of one instance that cannot act on what they aim at."""
    for disruption in twin.disruptions:
        keys = split_path(twin.data, disruption.path)
        why = wrong(disruption, keys[2:]) if keys[:2] == (room, name) else ""
        if why:
            findings.add(_misplaced(disruption, why))


def _misplaced(disruption: said.Disruption, why: str) -> Finding:
    what = f"{disruption.kind!r} cannot act on {disruption.path}"
    return Finding(what, why, path=disruption.path, code="disruption")


def parameter_of(disruption: said.Disruption, name: str, build: ParameterBuilder) -> int:
    """Parameter of a field of a disruption."""
    quantity = quantities(type(disruption))[name]
    return build.scalar(
        getattr(disruption, name),
        f"disruption.{disruption.kind}.{disruption.path}.{name}",
        quantity.unit,
        date=quantity.unit == "date",
    )


def slip_of(slip: said.Slip, build: ParameterBuilder) -> tuple[int, float]:
    """Parameter of the delay, and from when, in s from the twin's start.

    Raises
    ------
    TwinError
        If it is not certain from when.
    """
    by = parameter_of(slip, "by", build)
    if slip.start is None:
        return by, BEGINNING
    start = build.fixed(parameter_of(slip, "start", build))
    if start is None:
        what = "'from' of a slip must be a certain date"
        raise TwinError(Finding(what, path=slip.path, code="date"))
    return by, start


def span_of(disruption: said.Timed, build: ParameterBuilder) -> tuple[int, int | None]:
    """Parameters of the start and the end; None: for good."""
    start = parameter_of(disruption, "start", build)
    if disruption.duration is not None:
        return start, build.total(start, parameter_of(disruption, "duration", build))
    if disruption.until is not None:
        return start, parameter_of(disruption, "until", build)
    return start, None


def _factor(disruption: said.Timed, build: ParameterBuilder) -> int:
    """Series: the share of the units that is left, then straight back to all in the recovery."""
    one = build.constant(1.0)
    start, end = span_of(disruption, build)
    left, recovery = build.constant(0.0), build.constant(0.0)
    if isinstance(disruption, said.CapacityChange):
        left = parameter_of(disruption, "factor", build)
        recovery = parameter_of(disruption, "recovery", build)
    if end is None or build.fixed(recovery) == 0.0:
        knots = [(build.beginning(), one), (start, left)]
        return build.steps(knots if end is None else [*knots, (end, one)])
    before = build.total(start, build.constant(-1.0))  # a line needs a little width to fall
    back = build.total(end, recovery)
    return build.ramp([(before, one), (start, left), (end, left), (back, one)])
