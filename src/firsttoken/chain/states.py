"""States of lines, sites and token factories: taken at a moment, and what can follow from them.

What they need of other rooms is simulated first, as in a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firsttoken.chain.ports import Resolver, instances, order, references
from firsttoken.chain.run import check_twin
from firsttoken.twin.dates import DAY, moment_text, parse_date
from firsttoken.twin.findings import Findings, UsageError
from firsttoken.twin.room import Settings
from firsttoken.twin.schema import slots
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import ModelPort

if TYPE_CHECKING:
    from firsttoken.twin.result_table import ResultTable

Instance = tuple[str, str]


def save_states(twin: Twin, until: str, path: Path, settings: Settings) -> None:
    """Simulate one replication of all that has states up to a day, and write the states to a file.

    Parameters
    ----------
    until : a date within the twin's time.

    Raises
    ------
    UsageError
        If the twin has none, or the date is none or lies outside of the twin's time.
    TwinError
        If the twin has errors, or a line comes to a standstill.
    """
    from firsttoken.twin.snapshots import SnapshotFile, save_snapshots

    at = moment(twin, until)
    found = {}
    for room, name, resolver in _with_states(twin, settings):
        save = twin.registry[room].save
        assert save is not None
        found[f"{room}.{name}"] = save(twin, name, resolver, at, settings)
    save_snapshots(path, SnapshotFile(twin.name, twin.scenario or "base", twin.start, found))


def forecast_states(
    twin: Twin, path: Path, until: str | None, settings: Settings
) -> list[ResultTable]:
    """Simulate many futures of all that has states from the states in a file.

    Parameters
    ----------
    until : day at which the forecast ends; None: the twin's end.

    Raises
    ------
    UsageError
        If there is no such file, nothing has states, or the forecast ends before it begins.
    TwinError
        If the twin has errors, or the states belong to others.
    """
    from firsttoken.twin.snapshots import Finder, load_snapshots

    end = None if until is None else moment(twin, until)
    file = load_snapshots(path)
    tables: list[ResultTable] = []
    for room, name, resolver in _with_states(twin, settings):
        forecast = twin.registry[room].forecast
        assert forecast is not None
        finder = Finder(file, path, twin.name, twin.start, f"{room}.{name}")
        tables += forecast(twin, name, resolver, finder, end, settings)
    return tables


def moment(twin: Twin, text: str) -> float:
    """A date in s from the twin's start.

    Raises
    ------
    UsageError
        If the text is no date, or a date outside of the twin's time.
    """
    try:
        seconds = parse_date(text) - twin.start
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    if not 0 < seconds <= twin.end - twin.start:
        days = not twin.start % DAY and not twin.end % DAY
        first = twin.start + DAY if days else twin.start
        span = f"{moment_text(first, time=not days)} to {moment_text(twin.end, time=not days)}"
        raise UsageError(f"--until {text} lies outside of the twin's time, {span}")
    return seconds


def _with_states(twin: Twin, settings: Settings) -> Iterator[tuple[str, str, Resolver]]:
    """Every instance that has states, in order, once what it needs of others is known.

    Raises
    ------
    UsageError
        If the twin has none.
    TwinError
        If the twin has errors.
    """
    able = {instance for instance in instances(twin) if twin.registry[instance[0]].save is not None}
    if not able:
        what = "only these have states to save and start from"
        raise UsageError(f"{twin.name} has no line, no site and no token factory: {what}")
    findings = Findings()
    check_twin(twin, findings)
    findings.raise_if_errors()
    wanted = _wanted(twin, able)
    resolver = Resolver(twin)
    for room, name in order(twin):
        if (room, name) in able:
            yield room, name, resolver
        if (room, name) in wanted:
            simulated = replace(settings, engines=("simulate",))
            outcome = twin.registry[room].execute(twin, name, resolver, simulated)
            resolver.provide((room, name), outcome.ports)


def _wanted(twin: Twin, able: set[Instance]) -> set[Instance]:
    """Instances of whose ports one with states needs one, directly or through others."""
    needs = {
        (room, name): {
            (reference.room, reference.name)
            for _, _, value in slots(twin.rooms[room][name], f"{room}.{name}")
            for reference in references(value)
            if isinstance(reference, ModelPort)
        }
        for room, name in instances(twin)
    }
    wanted: set[Instance] = set()
    new = {other for instance in able for other in needs[instance]}
    while new:
        wanted |= new
        new = {other for instance in new for other in needs[instance]} - wanted
    return wanted
