"""States of a twin's lines: taken at a moment of a simulation, and what can follow from them.

Only lines have states yet.  What a line needs of other rooms is simulated first, as in a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firsttoken.chain.ports import Resolver, check_references, instances, order, references
from firsttoken.twin.dates import DAY, iso, parse_date
from firsttoken.twin.findings import Findings, UsageError
from firsttoken.twin.room import Settings
from firsttoken.twin.schema import slots
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import ModelPort

if TYPE_CHECKING:
    from firsttoken.line.system import System
    from firsttoken.twin.result_table import ResultTable

ROOM = "line"


def save_states(twin: Twin, until: str, path: Path, settings: Settings) -> None:
    """Simulate one replication of every line up to a day, and write the states to a file.

    Parameters
    ----------
    until : a date within the twin's time.

    Raises
    ------
    UsageError
        If the twin has no line, or the date is none or lies outside of the twin's time.
    TwinError
        If the twin has errors, or a line comes to a standstill.
    """
    from firsttoken.line.simulate import snapshot
    from firsttoken.line.snapshots import SnapshotFile, save_snapshots

    at = moment(twin, until)
    found = {}
    for name, system in line_systems(twin, settings).items():
        settings.say(f"simulate {name} until {iso(at + twin.start)}", 0, 0)
        found[name] = snapshot(system, twin.seed, 0, at)
    save_snapshots(path, SnapshotFile(twin.name, twin.scenario or "base", twin.start, found))


def forecast_states(
    twin: Twin, path: Path, until: str | None, settings: Settings
) -> list[ResultTable]:
    """Simulate many futures of every line from the states in a file.

    Parameters
    ----------
    until : day at which the forecast ends; None: the twin's end.

    Raises
    ------
    UsageError
        If there is no such file, the twin has no line, or the forecast ends before it begins.
    TwinError
        If the twin has errors, or the states belong to other lines.
    """
    from firsttoken.line.forecast import forecast
    from firsttoken.line.forecast_tables import forecast_tables
    from firsttoken.line.model import Line
    from firsttoken.line.simulate import identity
    from firsttoken.line.snapshots import load_snapshots, snapshot_of

    end = None if until is None else moment(twin, until)
    file = load_snapshots(path)
    tables: list[ResultTable] = []
    for name, system in line_systems(twin, settings).items():
        state = snapshot_of(file, path, twin.name, name, identity(system), twin.start)
        if state.time >= (system.horizon if end is None else end):
            begin = iso(state.time + twin.start)
            raise UsageError(f"the state in {path} is of {begin}: the forecast must end after it")
        what = f"forecast {name}, {twin.scenario or 'base'}"
        found = forecast(
            system,
            state,
            twin.seed,
            futures=twin.replications,
            horizon=end,
            threads=settings.threads,
            progress=lambda done, total, what=what: settings.say(what, done, total),  # type: ignore[misc]
            cancel=settings.cancel,
        )
        line = twin.rooms[ROOM][name]
        assert isinstance(line, Line)
        tables += forecast_tables(twin.scenario or "base", line, system, found)
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
        first, last = iso(twin.start + DAY), iso(twin.end)
        raise UsageError(f"--until {text} lies outside of the twin's time, {first} to {last}")
    return seconds


def line_systems(twin: Twin, settings: Settings) -> Mapping[str, System]:
    """Every line of a twin, compiled.

    Raises
    ------
    UsageError
        If the twin has none.
    TwinError
        If the twin has errors.
    """
    from firsttoken.line.compile import compile_line

    if not twin.rooms.get(ROOM):
        raise UsageError(f"{twin.name} has no line: only lines have states to save and start from")
    findings = Findings()
    check_references(twin, findings)
    for room, name in instances(twin):
        twin.registry[room].check(twin, name, findings)
    findings.raise_if_errors()
    wanted = _wanted(twin)
    resolver = Resolver(twin)
    systems = {}
    for room, name in order(twin):
        if room == ROOM:
            systems[name] = compile_line(twin, name, resolver)
        if (room, name) in wanted:
            simulated = replace(settings, engines=("simulate",))
            outcome = twin.registry[room].execute(twin, name, resolver, simulated)
            resolver.provide((room, name), outcome.ports)
    return systems


def _wanted(twin: Twin) -> set[tuple[str, str]]:
    """Instances of whose ports a line needs one, directly or through others."""
    needs = {
        (room, name): {
            (reference.room, reference.name)
            for _, _, value in slots(twin.rooms[room][name], f"{room}.{name}")
            for reference in references(value)
            if isinstance(reference, ModelPort)
        }
        for room, name in instances(twin)
    }
    wanted: set[tuple[str, str]] = set()
    new = {other for instance, others in needs.items() if instance[0] == ROOM for other in others}
    while new:
        wanted |= new
        new = {other for instance in new for other in needs[instance]} - wanted
    return wanted
