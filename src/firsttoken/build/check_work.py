"""Checks of a programme: calendars that open, crews that suffice, disruptions that can act."""

from __future__ import annotations

import math

from firsttoken.build.check_view import View
from firsttoken.build.disrupt import problem
from firsttoken.build.network import calendar_of
from firsttoken.twin.calendars import Shift, parse_shift
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.twin import split_path
from firsttoken.twin.values import Constant, Distribution, Series, Value


def check_calendars(view: View) -> None:
    """Report shifts that cannot be read, and calendars that never open."""
    for name, calendar in view.build.calendars.items():
        keys = ("calendars", name)
        shifts: list[Shift] = []
        for position, text in enumerate(calendar.shifts):
            try:
                shifts.append(parse_shift(text))
            except ValueSyntaxError as error:
                here = (*keys, "shifts", str(position))
                view.add(here, str(error), "", error.hint, code="value")
        if name == "all":
            what = "'all' means all time; a calendar cannot have this name"
            view.add(keys, what, hint="give it another name", code="name")
        if not calendar.shifts:
            view.add(
                (*keys, "shifts"),
                f"the calendar {name!r} never opens",
                "work in it would never be done",
                "give it a shift such as 'mon-fri 07:00-17:00'",
                code="never-open",
            )
        for position, day in enumerate(calendar.closed):
            if not isinstance(day, Constant):
                here = (*keys, "closed", str(position))
                view.add(here, "a day off must be a certain date", code="date")


def check_crews(view: View) -> None:
    """Report needs that are never met, and counts that do not change in steps."""
    build = view.build
    most = {name: _most(view, name, crew.count) for name, crew in build.crews.items()}
    needed: set[str] = set()
    for name, activity in build.activities.items():
        for crew, count in activity.crew.items():
            needed.add(crew)
            low, _ = view.range(count, "each")
            if crew in most and low > most[crew]:
                view.add(
                    ("activities", name, "crew", crew),
                    f"{name!r} needs {low:g} of {crew!r}; there are at most {most[crew]:g}",
                    "it could never begin",
                    "need fewer, or raise the crew's `count`",
                    code="crew-short",
                )
    for name in build.crews:
        if name not in needed:
            what = f"no activity needs the crew {name!r}"
            view.add(("crews", name), what, "", "remove it", code="unused", severity="warning")


def _most(view: View, name: str, count: Value) -> float:
    """Most of a crew at any time; inf if it is not known."""
    ramps = isinstance(count, Series) and count.kind != "step"
    if ramps or (isinstance(count, Distribution) and count.drawn == "each period"):
        view.add(
            ("crews", name, "count"),
            "the number of a crew changes in steps",
            "",
            "write the number from each day on",
            code="series",
        )
    if not isinstance(count, Series):
        high = view.range(count, "each")[1]
        return math.inf if math.isnan(high) else high
    found = [view.range(level, "each")[1] for _, level in count.knots]
    return math.inf if any(math.isnan(high) for high in found) else max(found)


def check_disruptions(view: View) -> None:
    """Report disruptions that cannot act on what they aim at."""
    for disruption in view.twin.disruptions:
        keys = split_path(view.twin.data, disruption.path)
        if keys[:2] != ("build", view.name):
            continue
        wrong = problem(view.build, disruption, keys[2:])
        if wrong:
            what = f"{disruption.kind!r} cannot act on {disruption.path}"
            view.add(keys[2:], what, wrong, code="disruption")


def check_fields(view: View) -> None:
    """Warn of what is declared and has no use."""
    build = view.build
    used = {calendar_of(build, activity) for activity in build.activities.values()}
    for activity in build.activities.values():
        used |= {link.lag_calendar for link in activity.after if not isinstance(link, str)}
    for name in build.calendars:
        if name not in used:
            what = f"nothing goes on in the calendar {name!r}"
            view.add(("calendars", name), what, "", "remove it", code="unused", severity="warning")
    done = {phase for activity in build.activities.values() for phase in activity.phases}
    for phase, declared in build.phases.items():
        brings = (declared.racks, declared.power)
        if all(isinstance(v, Constant) and not v.value for v in brings) and phase not in done:
            view.add(
                ("phases", phase),
                f"the phase {phase!r} brings nothing, and nothing is done for it",
                "",
                "write `racks` or `power`, or list it in `phases` of activities",
                code="unused",
                severity="warning",
            )
