"""The network of a programme: activities by phase become tasks, their links become pairs.

An activity with phases is one task a phase, called `name.phase`; one without is one task. A name in
`after` means the same phase of both; a name of an activity that is done once means that one; and an
activity done once comes after all phases of another. `name.phase` means one phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from firsttoken.build import model

ONCE = ""
"""Phase of what is done once for all."""

TaskKey = tuple[str, str]
"""(activity, phase)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One link between tasks.

    Attributes
    ----------
    position : in `after` of the activity; -1: the phases of an activity done in turn.
    """

    before: TaskKey
    after: TaskKey
    link: model.Link
    position: int


def task_name(key: TaskKey) -> str:
    """`name`, or `name.phase`."""
    return ".".join(part for part in key if part)


def phases_of(activity: model.Activity) -> tuple[str, ...]:
    """Phases of an activity; one that is done once for all has the phase ''."""
    return tuple(dict.fromkeys(activity.phases)) or (ONCE,)


def tasks(build: model.Build) -> list[TaskKey]:
    """All tasks, in the order of the file, phases in that of the activity."""
    return [
        (name, phase)
        for name, activity in build.activities.items()
        for phase in phases_of(activity)
    ]


def as_link(given: str | model.Link) -> model.Link:
    """A dependency as a link; a name is finish to start."""
    return model.Link(activity=given) if isinstance(given, str) else given


def meant(build: model.Build, name: str) -> tuple[str, str | None] | None:
    """The activity and the phase that a dependency names; no phase: None. None: unknown."""
    if name in build.activities:
        return name, None
    activity, _, phase = name.rpartition(".")
    if activity in build.activities and phase in phases_of(build.activities[activity]):
        return activity, phase
    return None


def befores(build: model.Build, link: model.Link, phase: str) -> list[TaskKey] | None:
    """Tasks before one in `phase`; None: unknown, or not done in that phase."""
    found = meant(build, link.activity)
    if found is None:
        return None
    name, wanted = found
    known = phases_of(build.activities[name])
    if wanted is not None:
        return [(name, wanted)]
    if phase == ONCE or known == (ONCE,):
        return [(name, other) for other in known]
    return [(name, phase)] if phase in known else None


def pairs(build: model.Build) -> Iterator[Pair]:
    """All links between tasks; those that name nothing are left out."""
    for name, activity in build.activities.items():
        phases = phases_of(activity)
        for phase in phases:
            for position, given in enumerate(activity.after):
                link = as_link(given)
                for before in befores(build, link, phase) or ():
                    yield Pair(before, (name, phase), link, position)
        if activity.in_turn:
            for first, second in pairwise(phases):
                link = model.Link(activity=f"{name}.{first}")
                yield Pair((name, first), (name, second), link, -1)


def circle(keys: Sequence[TaskKey], links: Sequence[Pair]) -> list[TaskKey]:
    """Tasks that wait for each other, the first repeated at the end; empty if none do.

    It begins with the one that stands first in `keys`, each before the one that waits for it.
    """
    order = {key: i for i, key in enumerate(keys)}
    before: dict[TaskKey, list[TaskKey]] = {key: [] for key in keys}
    for pair in links:
        before[pair.after].append(pair.before)
    done: set[TaskKey] = set()
    for start in keys:
        trail: dict[TaskKey, Iterator[TaskKey]] = {}
        here: TaskKey | None = None if start in done else start
        while here is not None:
            others = trail.setdefault(here, iter(before[here]))
            following = next((other for other in others if other not in done), None)
            if following is None:
                done.add(here)
                del trail[here]
                here = next(reversed(trail), None)
            elif following in trail:
                found = list(trail)
                found = found[found.index(following) :][::-1]
                at = min(range(len(found)), key=lambda i: order[found[i]])
                return [*found[at:], *found[: at + 1]]
            else:
                here = following
    return []


def calendar_of(build: model.Build, activity: model.Activity) -> str | None:
    """Name of the calendar in which an activity goes on; None: all time."""
    if activity.calendar is not None:
        return None if activity.calendar == "all" else activity.calendar
    if activity.kind in ("procurement", "permit"):
        return None
    return None if build.calendar == "all" else build.calendar


def driven(build: model.Build, driver: model.RiskDriver) -> list[str]:
    """Activities that a risk driver affects."""
    return [
        name
        for name, activity in build.activities.items()
        if not driver.affects or {name, activity.kind} & set(driver.affects)
    ]


def ready_tasks(build: model.Build) -> Mapping[str, TaskKey | None]:
    """The task at whose end each phase is ready; None if its `ready` names none.

    A phase's `ready` names an activity: the phase's own part of it, or the one that is done once.
    """
    found: dict[str, TaskKey | None] = {}
    for phase, declared in build.phases.items():
        before = befores(build, model.Link(activity=declared.ready), phase)
        found[phase] = before[0] if before and len(before) == 1 else None
    return found
