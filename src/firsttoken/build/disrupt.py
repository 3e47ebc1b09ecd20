"""What disruptions do to a programme: work that stands still, crews that are short, items late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firsttoken.build import model
from firsttoken.twin import scenario as said
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import BEGINNING
from firsttoken.twin.schema import quantities
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin, split_path

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
    for disruption in twin.disruptions:
        keys = split_path(twin.data, disruption.path)
        if keys[:2] != ("build", name):
            continue
        wrong = problem(declared, disruption, keys[2:])
        if wrong:
            what = f"{disruption.kind!r} cannot act on {disruption.path}"
            raise TwinError(Finding(what, wrong, path=disruption.path, code="disruption"))
        _add(effects, disruption, keys[2:], build)
    return effects


def _add(
    effects: Effects, disruption: said.Disruption, target: tuple[str, ...], build: ParameterBuilder
) -> None:
    if isinstance(disruption, said.Slip):
        effects.slips.setdefault(target, []).append(_slip(disruption, build))
    elif isinstance(disruption, said.Closure):
        effects.slowed.setdefault(target, []).append((*_span(disruption, build), build.constant(0)))
    elif isinstance(disruption, said.LeadTimeChange):
        rows = [
            NONE if getattr(disruption, key) is None else _row(disruption, key, build)
            for key in ("factor", "add")
        ]
        first, last = _span(disruption, build)
        effects.longer.setdefault(target, []).append((first, last, rows[0], rows[1]))
    else:
        assert isinstance(disruption, said.CapacityChange)
        effects.slowed.setdefault(target, []).extend(_capacity(disruption, build))


def _row(disruption: said.Disruption, name: str, build: ParameterBuilder) -> int:
    quantity = quantities(type(disruption))[name]
    return build.scalar(
        getattr(disruption, name),
        f"disruption.{disruption.kind}.{disruption.path}.{name}",
        quantity.unit,
        date=quantity.unit == "date",
    )


def _slip(slip: said.Slip, build: ParameterBuilder) -> tuple[int, float]:
    by = _row(slip, "by", build)
    if slip.start is None:
        return by, BEGINNING
    since = build.fixed(_row(slip, "start", build))
    if since is None:
        what = "'from' of a slip must be a certain date"
        raise TwinError(Finding(what, path=slip.path, code="date"))
    return by, since


def _span(disruption: said.Timed, build: ParameterBuilder) -> tuple[int, int]:
    """Rows of the start and the end; no end: for good."""
    start = _row(disruption, "start", build)
    if disruption.duration is not None:
        return start, build.total(start, _row(disruption, "duration", build))
    if disruption.until is not None:
        return start, _row(disruption, "until", build)
    return start, NONE


def _capacity(change: said.CapacityChange, build: ParameterBuilder) -> list[tuple[int, int, int]]:
    """(first, last, pace): the factor within the span, then back to 1 in equal steps."""
    factor = _row(change, "factor", build)
    start, end = _span(change, build)
    found = [(start, end, factor)]
    recovery = _row(change, "recovery", build)
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
