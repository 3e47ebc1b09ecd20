"""Checks of a programme: dates in order, and a status that can be."""

from __future__ import annotations

from collections.abc import Iterator

from firsttoken.build import model
from firsttoken.build.check_view import Keys, View
from firsttoken.build.network import phases_of
from firsttoken.twin.dates import iso
from firsttoken.twin.values import Constant, Value


def check_dates(view: View) -> None:
    """Report deadlines before what must come first, and states of work that cannot be."""
    build, twin = view.build, view.twin
    begin = _known(build.begin) or twin.start
    for name, activity in build.activities.items():
        for phase in phases_of(activity):
            _dates(view, name, phase, begin)
    due = _known(build.due)
    if due is not None and due < begin:
        view.add(
            ("due",),
            f"promised for {iso(due)}, before it begins on {iso(begin)}",
            hint="correct one of the dates",
            code="date-order",
        )
    if build.cost_of_delay is not None and build.due is None:
        view.add(
            ("cost_of_delay",),
            "'cost_of_delay' needs the day that was promised",
            "a delay counts from `due`",
            "write `due`",
            code="unused-field",
        )
    if build.begin is not None and begin >= twin.end:
        view.add(
            ("begin",), f"begins on {iso(begin)}, after the twin's end {iso(twin.end)}",
            code="date-order", severity="warning",
        )  # fmt: skip


def slot(activity: model.Activity, phase: str, field: str) -> tuple[Value | None, Keys]:
    """A field of an activity in a phase, and where it stands below the activity."""
    own = activity.by_phase.get(phase)
    if own is not None and getattr(own, field) is not None:
        return getattr(own, field), ("by_phase", phase, field)
    return getattr(activity, field), (field,)


def _known(value: Value | None) -> float | None:
    return value.value if isinstance(value, Constant) else None


def _dates(view: View, name: str, phase: str, begin: float) -> None:
    activity, twin = view.build.activities[name], view.twin
    at = {field: slot(activity, phase, field)
          for field in ("earliest", "deadline", "started", "finished", "remaining")}  # fmt: skip
    day = {field: _known(value) for field, (value, _) in at.items()}

    def say(field: str, what: str, hint: str, code: str = "date-order") -> None:
        view.add(("activities", name, *at[field][1]), what, "", hint, code=code)

    earliest, deadline = day["earliest"], day["deadline"]
    first = begin if earliest is None else max(earliest, begin)
    if deadline is not None and deadline <= first and day["finished"] is None:
        what = f"the deadline {iso(deadline)} is not after {iso(first)}, the first day it may begin"
        say("deadline", what, "correct one of the dates")
    started, finished = day["started"], day["finished"]
    if started is not None and finished is not None and finished < started:
        say("finished", f"finished on {iso(finished)}, before it was started on {iso(started)}",
            "correct one of the dates")  # fmt: skip
    for field in ("started", "finished"):
        moment = day[field]
        if moment is not None and moment > twin.as_of:
            what = f"{field} on {iso(moment)}, after {iso(twin.as_of)}, the day of knowledge"
            say(field, what, "correct it, or write a later `as_of`", "future")
    if at["remaining"][0] is not None:
        if started is None and at["started"][0] is None:
            say("remaining", "'remaining' is of work that was begun",
                "write when it was `started`", "unused-field")  # fmt: skip
        elif finished is not None:
            say("remaining", "nothing remains of what is finished", "remove it", "unused-field")
    for problem in _overdue(view, activity, phase, started, finished, at["remaining"][0]):
        view.add(("activities", name, *at["started"][1]), problem,
                 "it counts as done on the day of knowledge", "write what is `remaining`",
                 code="overdue", severity="warning")  # fmt: skip


def _overdue(
    view: View,
    activity: model.Activity,
    phase: str,
    started: float | None,
    finished: float | None,
    remaining: Value | None,
) -> Iterator[str]:
    """Work that goes on for longer than its longest duration."""
    if started is None or finished is not None or remaining is not None:
        return
    _, high = view.range(slot(activity, phase, "duration")[0], "s")
    more = sum(view.range(risk.delay, "s")[1] for risk in activity.risks.values())
    # Working time is at most all time: only what is surely too long is told.
    if high + more < (view.twin.as_of - started) * _share(view, activity):
        yield f"it goes on since {iso(started)}, longer than its longest duration"


def _share(view: View, activity: model.Activity) -> float:
    """Working time in a second of an activity's calendar, on average."""
    from firsttoken.build.calendars import weekly_work
    from firsttoken.build.network import calendar_of
    from firsttoken.twin.calendars import parse_shift
    from firsttoken.twin.dates import WEEK
    from firsttoken.twin.grammar import ValueSyntaxError

    label = calendar_of(view.build, activity)
    if label is None or label not in view.build.calendars:
        return 1.0
    try:
        shifts = [parse_shift(text) for text in view.build.calendars[label].shifts]
    except ValueSyntaxError:
        return 1.0
    return 0.9 * weekly_work(shifts) / WEEK
