"""What disruptions do to a programme: work that stands still, crews that are short, items late."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from firsttoken.build import model
from firsttoken.twin import scenario as said
from firsttoken.twin.effects import acting, parameter_of, slip_of, span_of
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin

if TYPE_CHECKING:
    from firsttoken.twin.parameters import ParameterBuilder

NONE = -1
_STEPS = 8  # of what comes back bit by bit
_GROUPS = {
    "close": ("activities", "crews", "phases"),
    "capacity": ("activities", "crews", "phases"),
    "lead_time": ("activities",),
    "slip": ("activities", "phases"),
}


@dataclass(slots=True)
class Effects:
    """What the disruptions do, by activity, crew and phase; rows and series of the builder.

    Attributes
    ----------
    slowed : (first, last, pace) by target: `(group, name)`, or () for all. Work goes on at this
        share of its usual pace; at 0 it stands still.
    longer : (first, last, factor, addition) by target.
    slips : (row of the delay, since in s from the twin's start) by target.
    """

    slowed: dict[tuple[str, ...], list[tuple[int, int, int]]] = field(default_factory=dict)
    longer: dict[tuple[str, ...], list[tuple[int, int, int, int]]] = field(default_factory=dict)
    slips: dict[tuple[str, ...], list[tuple[int, float]]] = field(default_factory=dict)


def problem(build: model.Build, disruption: said.Disruption, parts: tuple[str, ...]) -> str:
    """Why a disruption cannot act on what stands at `parts` below the programme; '' if it can."""
    groups = _GROUPS.get(disruption.kind)
    if groups is None:
        return "of a programme, activities, crews and phases close, are short, or are late"
    if not parts and disruption.kind in ("close", "capacity", "slip"):
        return ""
    if len(parts) != 2 or parts[0] not in groups:
        return f"it acts on one of the {', '.join(groups)} of a programme"
    known = getattr(build, parts[0])
    return "" if parts[1] in known else f"there is none; {nearest(parts[1], list(known))}"


def build_effects(twin: Twin, name: str, declared: model.Build, build: ParameterBuilder) -> Effects:
    """Compile the disruptions of a twin that aim at one programme, `build.<name>`.

    Raises
    ------
    TwinError
        If a disruption aims at something that it cannot act on.
    """
    effects = Effects()
    for disruption, keys in acting(twin, "build", name, partial(problem, declared)):
        _add(effects, disruption, keys, build)
    return effects


def _add(
    effects: Effects, disruption: said.Disruption, target: tuple[str, ...], build: ParameterBuilder
) -> None:
    if isinstance(disruption, said.Slip):
        effects.slips.setdefault(target, []).append(slip_of(disruption, build))
    elif isinstance(disruption, said.Closure):
        effects.slowed.setdefault(target, []).append((*_span(disruption, build), build.constant(0)))
    elif isinstance(disruption, said.LeadTimeChange):
        rows = [
            NONE if getattr(disruption, key) is None else parameter_of(disruption, key, build)
            for key in ("factor", "add")
        ]
        first, last = _span(disruption, build)
        effects.longer.setdefault(target, []).append((first, last, rows[0], rows[1]))
    else:
        assert isinstance(disruption, said.CapacityChange)
        effects.slowed.setdefault(target, []).extend(_capacity(disruption, build))


def _span(disruption: said.Timed, build: ParameterBuilder) -> tuple[int, int]:
    """Rows of the start and the end; no end: for good."""
    start, end = span_of(disruption, build)
    return start, NONE if end is None else end


def _capacity(change: said.CapacityChange, build: ParameterBuilder) -> list[tuple[int, int, int]]:
    """(first, last, pace): the factor within the span, then back to 1 in equal steps."""
    factor = parameter_of(change, "factor", build)
    start, end = _span(change, build)
    found = [(start, end, factor)]
    recovery = parameter_of(change, "recovery", build)
    if end == NONE or build.fixed(recovery) == 0.0:
        return found
    before = end
    for step in range(_STEPS):
        after = build.total(end, build.product(build.constant((step + 1) / _STEPS), recovery))
        back = (step + 0.5) / _STEPS  # the mean of the step
        pace = build.total(build.product(build.constant(1.0 - back), factor), build.constant(back))
        found.append((before, after, pace))
        before = after
    return found
