"""The line room's entry points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firsttoken.line import model
from firsttoken.twin.dates import iso
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared
from firsttoken.twin.snapshots import Finder, require_time
from firsttoken.twin.validation import is_needed

if TYPE_CHECKING:
    from firsttoken.line.kpi import Kpis
    from firsttoken.line.result import LineResult, Snapshot
    from firsttoken.line.system import System
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.source import SourceMap
    from firsttoken.twin.tables import Table
    from firsttoken.twin.twin import Twin


def check(twin: Twin, name: str, findings: Findings) -> None:
    """Add what is wrong with a line beyond what its classes can say."""
    from firsttoken.line.check import check_line

    check_line(twin, name, findings)


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a line, simulate it, analyse it, and name the results.

    A line is simulated if simulation or explanation is asked for, or if another room needs one of
    its ports: a plan of a network whose capacity is `model(line.houston.throughput)` needs that
    line.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or the line comes to a deadlock.
    """
    from firsttoken.line.compile import compile_line
    from firsttoken.twin.input_table import input_table

    scenario = twin.scenario or "base"
    compiled = compile_line(twin, name, resolve)
    inputs = input_table(
        "line_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        twin.library,
    )
    if not {"simulate", "explain"} & set(settings.engines) and not is_needed(twin, "line", name):
        return Outcome((inputs,))
    from firsttoken.line.kpi import Kpis
    from firsttoken.line.kpi_ports import line_ports

    line = twin.rooms["line"][name]
    assert isinstance(line, model.Line)
    simulated = _simulate(twin, compiled, settings)
    prefix = f"{name}: " if len(twin.rooms["line"]) > 1 else ""
    kpis = Kpis(scenario, line, compiled, simulated, prefix)
    tables = [inputs, *line_tables(kpis)]
    if "explain" in settings.engines:
        tables += _explanation(twin, line, compiled, simulated, settings)
    return Outcome(tuple(tables), line_ports(kpis))


def _simulate(twin: Twin, compiled: System, settings: Settings) -> LineResult:
    from firsttoken.line.simulate import must_compile, simulate

    if must_compile(compiled):
        settings.say("compile the simulation, once", 0, 0)
    what = f"simulate {compiled.names.line}, {twin.scenario or 'base'}"
    return simulate(
        compiled,
        twin.replications,
        twin.seed,
        threads=settings.threads,
        progress=lambda done, total: settings.say(what, done, total),
        cancel=settings.cancel,
    )


def save(twin: Twin, name: str, resolve: Resolve, at: float, settings: Settings) -> Snapshot:
    """The state of replication 0 of a line at a moment.

    Raises
    ------
    TwinError
        If the line cannot be compiled, or comes to a deadlock.
    """
    from firsttoken.line.compile import compile_line
    from firsttoken.line.simulate import snapshot

    settings.say(f"simulate {name} until {iso(at + twin.start)}", 0, 0)
    return snapshot(compile_line(twin, name, resolve), twin.seed, 0, at)


def forecast(
    twin: Twin,
    name: str,
    resolve: Resolve,
    finder: Finder,
    until: float | None,
    settings: Settings,
) -> list[ResultTable]:
    """Futures of a line from a saved state.

    Raises
    ------
    UsageError
        If the forecast ends before it begins.
    TwinError
        If the state belongs to another line.
    """
    from firsttoken.line.compile import compile_line
    from firsttoken.line.forecast import forecast as futures
    from firsttoken.line.forecast_tables import forecast_tables
    from firsttoken.line.result import Snapshot
    from firsttoken.line.simulate import identity

    system = compile_line(twin, name, resolve)
    saved = finder.find(identity(system), "stations, routes, parameters or orders")
    require_time(saved, finder, system.horizon if until is None else until)
    scenario = twin.scenario or "base"
    found = futures(
        system,
        Snapshot(saved.identity, saved.time, saved.arrays),
        twin.seed,
        futures=twin.replications,
        horizon=until,
        threads=settings.threads,
        progress=lambda done, total: settings.say(f"forecast {name}, {scenario}", done, total),
        cancel=settings.cancel,
    )
    line = twin.rooms["line"][name]
    assert isinstance(line, model.Line)
    return forecast_tables(scenario, line, system, found)


def _explanation(
    twin: Twin, line: model.Line, compiled: System, simulated: LineResult, settings: Settings
) -> list[ResultTable]:
    from firsttoken.line.analyse import PAIRS, analyse
    from firsttoken.line.analyse_tables import analysis_tables

    scenario, name = twin.scenario or "base", compiled.names.line
    found = analyse(
        compiled,
        simulated,
        twin.seed,
        replications=min(PAIRS, twin.replications),
        threads=settings.threads,
        progress=lambda part, done, total: settings.say(
            f"explain {name}, {scenario}: {part}", done, total
        ),
        cancel=settings.cancel,
    )
    return analysis_tables(scenario, line, compiled, found)


def line_tables(kpis: Kpis) -> list[ResultTable]:
    """All tables of a simulated line."""
    from firsttoken.line import kpi, kpi_causes, kpi_flow

    return [
        kpi.summary_table(kpis),
        kpi_flow.throughput_table(kpis),
        kpi.station_table(kpis),
        *kpi.pool_tables(kpis),
        *kpi_flow.cycle_tables(kpis),
        kpi_flow.order_table(kpis),
        kpi_flow.loss_table(kpis),
        kpi_causes.binding_table(kpis),
    ]


def port_names(instance: Declared) -> tuple[str, ...]:
    """Throughput (each/s) and lead time (s) of the line and of each product made on it."""
    assert isinstance(instance, model.Line)
    made = [name for name, product in instance.products.items() if not product.supplied]
    own = [f"{name}_{port}" for name in made for port in ("throughput", "lead_time")]
    return ("throughput", "lead_time", *own)


def read_tables(
    tables: Mapping[str, Table], findings: Findings
) -> tuple[dict[str, Any], SourceMap]:
    """A line's plain data from the tables of an AutoSched model."""
    from firsttoken.line.autosched import read_autosched_tables

    return read_autosched_tables(tables, findings)


ROOM = Room(
    name="line",
    model=model.Line,
    check=check,
    execute=execute,
    ports=port_names,
    tables=read_tables,
    save=save,
    forecast=forecast,
)
