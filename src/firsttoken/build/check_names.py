"""Checks of a programme: every name that is used is declared, and no work waits for itself."""

from __future__ import annotations

from firsttoken.build import model
from firsttoken.build.check_view import View
from firsttoken.build.network import (
    ONCE,
    as_link,
    befores,
    circle,
    meant,
    pairs,
    phases_of,
    task_name,
    tasks,
)
from firsttoken.twin.slots import nearest

_KINDS = ("work", "procurement", "permit", "commissioning")


def check_names(view: View) -> None:
    """Report names that are not declared, and circles."""
    build = view.build
    before = len(view.findings.errors)
    if not build.activities:
        view.add(("activities",), "a programme without activities", code="empty")
    if build.calendar not in (None, "all"):
        view.unknown(("calendar",), "calendar", str(build.calendar), build.calendars)
    for name, activity in build.activities.items():
        _activity(view, name, activity)
    for phase, declared in build.phases.items():
        _ready(view, phase, declared)
    for name, driver in build.risks.items():
        for position, affected in enumerate(driver.affects):
            keys = ("risks", name, "affects", str(position))
            view.unknown(keys, "activity or kind", affected, [*build.activities, *_KINDS])
    if build.reference is not None:
        for field in ("start", "end"):
            activity = getattr(build.reference, field)
            if activity is not None and meant(build, activity) is None:
                view.unknown(("reference", field), "activity", activity, build.activities)
    if len(view.findings.errors) == before:
        _circle(view)


def _activity(view: View, name: str, activity: model.Activity) -> None:
    build, keys = view.build, ("activities", name)
    if "." in name:
        view.add(
            keys,
            f"the name {name!r} has a dot in it",
            "a dot stands between an activity and its phase",
            "write an underscore",
            code="name",
        )
    if activity.calendar not in (None, "all"):
        view.unknown((*keys, "calendar"), "calendar", str(activity.calendar), build.calendars)
    for position, phase in enumerate(activity.phases):
        here = (*keys, "phases", str(position))
        if not view.unknown(here, "phase", phase, build.phases) and (
            phase in activity.phases[:position]
        ):
            view.add(here, f"the phase {phase!r} stands twice", code="duplicate-name")
    for phase in activity.by_phase:
        view.unknown((*keys, "by_phase", phase), "phase of the activity", phase, activity.phases)
    if activity.in_turn and len(activity.phases) < 2:
        view.add(
            (*keys, "in_turn"),
            "'in_turn' needs phases to do one after the other",
            hint="list `phases`, or remove it",
            code="unused-field",
        )
    for crew in activity.crew:
        view.unknown((*keys, "crew", crew), "crew", crew, build.crews)
    for position, given in enumerate(activity.after):
        _after(view, name, activity, position, as_link(given))


def _after(
    view: View, name: str, activity: model.Activity, position: int, link: model.Link
) -> None:
    build, keys = view.build, ("activities", name, "after", str(position))
    if link.lag_calendar not in (None, "all"):
        where = (*keys, "lag_calendar")
        view.unknown(where, "calendar", str(link.lag_calendar), build.calendars)
    found = meant(build, link.activity)
    if found is None:
        whole, _, phase = link.activity.rpartition(".")
        if whole in build.activities:
            of = [part for part in phases_of(build.activities[whole]) if part]
            hint = nearest(phase, of) or f"{whole} is done once: write {whole}"
            what = f"{whole!r} is not done for a phase {phase!r}"
            view.add(keys, what, "", hint, code="reference")
        else:
            view.unknown(keys, "activity", link.activity, build.activities)
        return
    for phase in phases_of(activity):
        if befores(build, link, phase) is None:
            others = phases_of(build.activities[found[0]])
            view.add(
                keys,
                f"{name!r} is done for phase {phase!r}, {found[0]!r} is not",
                "a name in `after` means the same phase",
                f"name a phase, such as {found[0]}.{others[0]}",
                code="phase",
            )
            return


def _ready(view: View, phase: str, declared: model.Phase) -> None:
    """The activity at whose end a phase is ready: one task."""
    keys = ("phases", phase, "ready")
    found = meant(view.build, declared.ready)
    if found is None:
        view.unknown(keys, "activity", declared.ready, view.build.activities)
        return
    known = phases_of(view.build.activities[found[0]])
    if found[1] is None and known != (ONCE,) and phase not in known:
        what = f"{declared.ready!r} is not done for phase {phase!r}"
        hint = f"add the phase to it, or write one of it: {found[0]}.{known[0]}"
        view.add(keys, what, "", hint, code="phase")


def _circle(view: View) -> None:
    found = circle(tasks(view.build), list(pairs(view.build)))
    if found:
        told = " -> ".join(task_name(key) for key in found)
        view.add(
            ("activities", found[0][0], "after"),
            f"activities wait for each other in a circle: {told}",
            "each must come after the one before it, so none can ever begin",
            "remove one of the links",
            code="cycle",
        )
