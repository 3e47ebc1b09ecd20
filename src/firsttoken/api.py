"""The Python interface: load, check, run.

These are the functions behind the command line, one each; `firsttoken` exports them.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from firsttoken.chain.rooms import rooms
from firsttoken.chain.run import (
    BASE,
    Execution,
    check_scenarios,
    check_twin,
    execute,
    scenario_names,
)
from firsttoken.twin.dates import iso
from firsttoken.twin.findings import Findings, UsageError
from firsttoken.twin.loading import load_twin
from firsttoken.twin.room import Progress, Settings
from firsttoken.twin.twin import Twin

if TYPE_CHECKING:
    from firsttoken.results.run import ScenarioRecord
    from firsttoken.results.store import Results
    from firsttoken.twin.scenario import Disruption, Scenario


@contextmanager
def _without_collector() -> Iterator[None]:
    """Reading makes a million objects that all stay: looking for garbage among them is waste."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Run:
    """One finished execution.

    Attributes
    ----------
    folder : where its tables and `run.json` lie.
    report_path : its report, one HTML file; None if none was asked for.
    results : its tables, open.
    """

    folder: Path
    report_path: Path | None
    results: Results


def load(path: Path | str, scenario: str | None = None) -> Twin:
    """Load a twin from a YAML file, or a folder with `twin.yaml`, under a scenario.

    Raises
    ------
    TwinError
        If the files have errors; its findings are all of them.
    UsageError
        If the path or the scenario does not exist.
    """
    findings = Findings()
    with _without_collector():
        twin = load_twin(path, rooms(), findings)
    findings.raise_if_errors()
    assert twin is not None
    return twin.with_scenario(scenario) if scenario else twin


def check(path: Path | str) -> Findings:
    """Everything that is wrong with a twin and its scenarios, errors and warnings."""
    findings = Findings()
    with _without_collector():
        twin = load_twin(path, rooms(), findings)
        if twin is not None:
            check_twin(twin, findings)
            check_scenarios(twin, findings)
    return findings.sorted()


def run(
    twin: Twin | Path | str,
    *,
    scenarios: Sequence[str] | None = None,
    engines: Sequence[str] = ("plan", "simulate"),
    replications: int | None = None,
    seed: int | None = None,
    out: Path | str | None = None,
    threads: int | None = None,
    report: bool = True,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Run:
    """Run a twin and write its run folder, with a report in it.

    Parameters
    ----------
    twin : a loaded twin, or the path of one.
    scenarios : names; None is the twin as it stands, `all` adds every scenario.
    engines : of `plan`, `simulate` and `explain`.
    out : run folder to make; None: `runs/<twin>/<UTC time>-<hash>` below the working folder.
    threads : worker threads; None: all cores. Results do not depend on it.

    Raises
    ------
    TwinError, UsageError, InfeasibleError
        As the input, the call or the constraints are at fault; nothing is written then.
    """
    begun = _Clock()
    loaded = twin if isinstance(twin, Twin) else load(twin)
    loaded = loaded.with_settings(seed=seed, replications=replications)
    settings = Settings(tuple(engines), threads, progress, cancel)
    names = scenario_names(loaded, scenarios)
    done = execute(loaded, names, settings)
    folder = Path(out) if out is not None else _default_folder(loaded)
    return _write(loaded, done, settings, folder, report, begun)


def save_state(
    twin: Twin | Path | str,
    path: Path | str,
    until: str,
    *,
    scenario: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Simulate one replication of all that has states up to a day, and write their states.

    Parameters
    ----------
    path : file to write, `.npz`; one that is there is replaced.
    until : date within the twin's time.

    Raises
    ------
    TwinError, UsageError
        As the input or the call are at fault; nothing is written then.
    """
    from firsttoken.chain.states import save_states

    changed = _of_scenario(twin, scenario).with_settings(seed=seed)
    save_states(changed, until, Path(path), Settings((), threads, progress))


def forecast(
    twin: Twin | Path | str,
    path: Path | str,
    *,
    until: str | None = None,
    scenario: str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    out: Path | str | None = None,
    threads: int | None = None,
    report: bool = True,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Run:
    """Simulate many futures of what has states from a file of them, and write a run folder.

    Parameters
    ----------
    path : file that `save_state` wrote.
    until : date at which the forecast ends; None: the twin's end.
    replications : number of futures; None: as the twin says.
    out, threads, report : as of `run`.

    Raises
    ------
    TwinError, UsageError
        As the input or the call are at fault; nothing is written then.
    """
    from firsttoken.chain.states import forecast_states

    begun = _Clock()
    loaded = twin if isinstance(twin, Twin) else load(twin)
    loaded = loaded.with_settings(seed=seed, replications=replications)
    settings = Settings(("forecast",), threads, progress, cancel)
    changed = _of_scenario(loaded, scenario)
    tables = forecast_states(changed, Path(path), until, settings)
    folder = Path(out) if out is not None else _default_folder(loaded)
    done = Execution({changed.scenario or BASE: changed}, tables)
    return _write(loaded, done, settings, folder, report, begun)


def _of_scenario(twin: Twin | Path | str, scenario: str | None) -> Twin:
    """The twin under one scenario; None and `base` are the twin as it stands."""
    loaded = twin if isinstance(twin, Twin) else load(twin)
    name, *others = scenario_names(loaded, None if scenario is None else [scenario])
    if others:
        raise UsageError("a state belongs to one scenario; name one")
    return loaded if name == BASE else loaded.with_scenario(name)


class _Clock:
    """Seconds used since it was made, of the clock and of all cores."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        return time.process_time() - self._cpu


def _write(
    twin: Twin, done: Execution, settings: Settings, folder: Path, report: bool, begun: _Clock
) -> Run:
    """Write the run folder of an execution, with a report in it if that is wanted."""
    from firsttoken.results.run import Run as Record
    from firsttoken.results.store import write_run

    record = Record(
        twin=twin.name,
        twin_hash=twin.hash,
        scenarios=tuple(_scenario_record(changed, name) for name, changed in done.twins.items()),
        seed=twin.seed,
        replications=twin.replications,
        engines=settings.engines,
        as_of=iso(twin.as_of),
        start=iso(twin.start),
        end=iso(twin.end),
        title=twin.title,
        description=twin.description,
        cpu_s=begun.cpu,
        wall_s=begun.wall,
    )
    settings.say("write results", 0, 2)
    results = write_run(folder, record, done.tables)
    path: Path | None = None
    if report:
        from firsttoken.report.report import write_report

        settings.say("write report", 1, 2)
        path = folder / "report.html"
        write_report(results, path)
    settings.say("write report", 2, 2)
    return Run(folder, path, results)


def _default_folder(twin: Twin) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("runs") / twin.name / f"{stamp}-{twin.hash[:8]}"


def _scenario_record(twin: Twin, name: str) -> ScenarioRecord:
    from firsttoken.results.run import ScenarioRecord

    if not twin.scenario:
        return ScenarioRecord(name, twin.title, as_of=iso(twin.as_of))
    parts = [twin.scenarios[part] for part in name.split("+")]
    overrides: dict[str, str] = {}
    for part in parts:
        overrides.update({path: str(value) for path, value in part.overrides.items()})
    return ScenarioRecord(
        name=name,
        description=" ".join(part.description or part.title for part in parts),
        extends=", ".join(base for part in parts for base in part.bases),
        overrides=overrides,
        disruptions=tuple(_said(twin, disruption) for disruption in twin.disruptions),
        as_of=iso(twin.as_of),
    )


def _said(twin: Twin, disruption: Disruption) -> str:
    """A disruption as its writer wrote it: `close: ..., from: 2026-09-01, for: 90 day`."""
    for scenario in twin.scenarios.values():
        for position, candidate in enumerate(scenario.disruptions):
            if candidate is disruption:
                raw = _written(twin, scenario, position)
                return ", ".join(f"{key}: {value}" for key, value in raw.items())
    return f"{disruption.kind}: {disruption.path}"


def _written(twin: Twin, scenario: Scenario, position: int) -> Mapping[str, object]:
    (name,) = [key for key, other in twin.scenarios.items() if other is scenario]
    found: Mapping[str, object] = twin.data["scenarios"][name]["disruptions"][position]
    return found
