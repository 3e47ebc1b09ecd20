"""The build room's entry points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firsttoken.build import model
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared
from firsttoken.twin.validation import is_needed

if TYPE_CHECKING:
    from firsttoken.build.kpi import Kpis
    from firsttoken.build.simulate import BuildResult
    from firsttoken.build.system import System
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.source import SourceMap
    from firsttoken.twin.tables import Table
    from firsttoken.twin.twin import Twin


def check(twin: Twin, name: str, findings: Findings) -> None:
    """Add what is wrong with a programme beyond what its classes can say."""
    from firsttoken.build.check import check_build

    check_build(twin, name, findings)


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a programme, simulate it, and name the results.

    It is simulated if simulation or explanation is asked for, or if another room needs one of its
    ports.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a disruption cannot act.
    """
    from firsttoken.build.compile import compile_build
    from firsttoken.build.engine_block import must_compile
    from firsttoken.twin.input_table import input_table

    scenario = twin.scenario or "base"
    if must_compile():
        settings.say("compile the simulation, once", 0, 0)
    compiled = compile_build(twin, name, resolve)
    inputs = input_table(
        "build_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        twin.library,
    )
    if not {"simulate", "explain"} & set(settings.engines) and not is_needed(twin, "build", name):
        return Outcome((inputs,))
    from firsttoken.build.kpi import Kpis
    from firsttoken.build.kpi_ports import build_ports
    from firsttoken.build.outlook import outlook

    declared = twin.rooms["build"][name]
    assert isinstance(declared, model.Build)
    simulated = _simulate(twin, compiled, settings)
    prefix = f"{name}: " if len(twin.rooms["build"]) > 1 else ""
    both = outlook(twin, declared, compiled, simulated)
    kpis = Kpis(scenario, declared, compiled, simulated, prefix, both)
    tables = [inputs, *build_tables(kpis), *_levers(twin, kpis, settings)]
    return Outcome(tuple(tables), build_ports(kpis))


def _simulate(twin: Twin, compiled: System, settings: Settings) -> BuildResult:
    from firsttoken.build.simulate import simulate

    what = f"simulate {compiled.names.programme}, {twin.scenario or 'base'}"
    return simulate(
        compiled,
        twin.replications,
        twin.seed,
        threads=settings.threads,
        progress=lambda done, total: settings.say(what, done, total),
        cancel=settings.cancel,
    )


def _levers(twin: Twin, kpis: Kpis, settings: Settings) -> list[ResultTable]:
    from firsttoken.build.levers import SIMULATED, find_levers
    from firsttoken.build.levers_tables import binding_table, lever_table

    what = f"what moves {kpis.name}, {kpis.scenario}"
    found = find_levers(
        kpis,
        twin.seed,
        replications=min(SIMULATED, twin.replications),
        everything="explain" in settings.engines,
        threads=settings.threads,
        progress=lambda done, total: settings.say(what, done, total),
        cancel=settings.cancel,
    )
    return [binding_table(kpis, found), lever_table(kpis, found)]


def build_tables(kpis: Kpis) -> list[ResultTable]:
    """All tables of a simulated programme."""
    from firsttoken.build import kpi
    from firsttoken.build.outlook import outlook_table

    both = [] if kpis.outlook is None else [outlook_table(kpis, kpis.outlook)]
    return [
        kpi.summary_table(kpis),
        kpi.activity_table(kpis),
        kpi.phase_table(kpis),
        kpi.deadline_table(kpis),
        kpi.curve_table(kpis),
        *both,
    ]


def port_names(instance: Declared) -> tuple[str, ...]:
    """Dates of the phases, of the first of them and of the end; racks and power in time."""
    assert isinstance(instance, model.Build)
    if not instance.phases:
        return ("finish",)
    ready = [f"{phase}_ready" for phase in instance.phases]
    return ("first_power", "finish", "racks", "power", *ready)


def read_tables(
    tables: Mapping[str, Table], findings: Findings
) -> tuple[dict[str, Any], SourceMap]:
    """A programme's plain data from a schedule of Microsoft Project or Primavera P6."""
    from firsttoken.build.table_schedule import read_schedule_tables

    return read_schedule_tables(tables, findings)


ROOM = Room(
    name="build",
    model=model.Build,
    check=check,
    execute=execute,
    ports=port_names,
    tables=read_tables,
)
