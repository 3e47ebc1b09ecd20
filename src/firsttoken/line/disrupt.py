"""What disruptions do to a line: stations, pools and budgets that are closed, short or late."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from firsttoken.line import model
from firsttoken.twin import scenario as said
from firsttoken.twin.effects import acting, parameter_of, slip_of, span_of
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Constant, Distribution, Value

if TYPE_CHECKING:
    from firsttoken.twin.parameters import ParameterBuilder

Key = tuple[str, str]
"""(group, name) below the line: `("stations", "burn_in")`."""

_LEVELS = ("stations", "pools", "budgets")
_GROUPS = {"close": _LEVELS, "capacity": _LEVELS, "slip": (*_LEVELS, "orders")}


@dataclass(slots=True)
class Effects:
    """What the disruptions do, by target.

    Attributes
    ----------
    factors : series to multiply the servers, people or amount with.
    largest : values of which each may raise a level above the declared one.
    slips : (parameter of the delay, from in seconds from the twin's start).
    """

    factors: dict[Key, list[int]] = field(default_factory=dict)
    largest: dict[Key, list[Value]] = field(default_factory=dict)
    slips: dict[Key, list[tuple[int, float]]] = field(default_factory=dict)


def problem(line: model.Line, disruption: said.Disruption, parts: tuple[str, ...]) -> str:
    """Why a disruption cannot act on what stands at `parts` below the line; empty if it can."""
    groups = _GROUPS.get(disruption.kind)
    if groups is None:
        return "of a line, only stations, pools and budgets close or change in capacity"
    if not parts and disruption.kind == "close":
        return ""
    if len(parts) != 2 or parts[0] not in groups:
        return f"it acts on one of the {', '.join(groups)} of a line"
    known = getattr(line, parts[0])
    if parts[1] not in known:
        return f"there is none; {nearest(parts[1], list(known))}"
    if disruption.kind == "slip" and isinstance(_value(known[parts[1]]), Constant | Distribution):
        return "it has no dates"
    return ""


def _value(declared: model.Station | model.Pool | model.Order | Value) -> Value | None:
    """What may change with time of a station, pool or budget; nothing of an order."""
    if isinstance(declared, model.Station):
        return declared.servers
    if isinstance(declared, model.Pool):
        return declared.count
    return None if isinstance(declared, model.Order) else declared


def build_effects(twin: Twin, name: str, line: model.Line, build: ParameterBuilder) -> Effects:
    """Compile the disruptions of a twin that aim at one line, `line.<name>`.

    Raises
    ------
    TwinError
        If a disruption aims at something that it cannot act on.
    """
    effects = Effects()
    for disruption, keys in acting(twin, "line", name, partial(problem, line)):
        targets = [(keys[0], keys[1])] if keys else [("stations", s) for s in line.stations]
        for target in targets:
            _add(effects, disruption, target, build)
    return effects


def _add(
    effects: Effects, disruption: said.Disruption, target: Key, build: ParameterBuilder
) -> None:
    if isinstance(disruption, said.Slip):
        effects.slips.setdefault(target, []).append(slip_of(disruption, build))
    elif isinstance(disruption, said.Closure):
        shut = _window(disruption, build.constant(0.0), build)
        effects.factors.setdefault(target, []).append(shut)
    else:
        assert isinstance(disruption, said.CapacityChange)
        effects.factors.setdefault(target, []).append(_capacity(disruption, build))
        effects.largest.setdefault(target, []).append(disruption.factor)


def _window(disruption: said.Timed, inside: int, build: ParameterBuilder) -> int:
    """Series: the parameter `inside` within the span, else 1."""
    start, end = span_of(disruption, build)
    normal = build.constant(1.0)
    knots = [(build.beginning(), normal), (start, inside)]
    if end is not None:
        knots.append((end, normal))
    return build.steps(knots)


def _capacity(change: said.CapacityChange, build: ParameterBuilder) -> int:
    """Series: the factor within the span, then straight back to 1 in the recovery time."""
    factor, one = parameter_of(change, "factor", build), build.constant(1.0)
    start, end = span_of(change, build)
    recovery = parameter_of(change, "recovery", build)
    if end is None or build.fixed(recovery) == 0.0:
        return _window(change, factor, build)
    # A line needs a little width to fall: one second.
    before = build.total(start, build.constant(-1.0))
    back = build.total(end, recovery)
    return build.ramp([(before, one), (start, factor), (end, factor), (back, one)])
