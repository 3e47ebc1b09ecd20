"""The facility room's entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.facility import model
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared
from firsttoken.twin.validation import is_needed

if TYPE_CHECKING:
    from firsttoken.facility.kpi import Kpis
    from firsttoken.facility.result import SiteResult
    from firsttoken.facility.system import System
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.snapshots import Finder, State
    from firsttoken.twin.twin import Twin


def check(twin: Twin, name: str, findings: Findings) -> None:
    """Add what is wrong with a site beyond what its classes can say."""
    from firsttoken.facility.check import check_site

    check_site(twin, name, findings)


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a site, plan and simulate it, and name the results.

    A site without racks is only planned.  It is simulated if simulation or explanation is asked
    for, or if another room needs one of its ports.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a file cannot be read.
    InfeasibleError
        If no design meets the demands.
    """
    site = twin.rooms["facility"][name]
    assert isinstance(site, model.Facility)
    tables: list[ResultTable] = []
    if "plan" in settings.engines:
        from firsttoken.facility.plan import plan_tables

        tables += plan_tables(twin, name, resolve, settings)
    wanted = {"simulate", "explain"} & set(settings.engines) or is_needed(twin, "facility", name)
    if (not site.racks and not site.overheads) or not wanted:
        return Outcome(tuple(tables))
    from firsttoken.facility.compile import compile_site
    from firsttoken.facility.kpi import Kpis
    from firsttoken.facility.kpi_ports import site_ports
    from firsttoken.facility.simulate_steps import must_compile
    from firsttoken.twin.input_table import input_table

    scenario = twin.scenario or "base"
    if must_compile():
        settings.say("compile the simulation, once", 0, 0)
    compiled = compile_site(twin, name, resolve)
    inputs = input_table(
        "facility_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        twin.library,
    )
    simulated = _simulate(twin, site, compiled, settings)
    prefix = f"{name}: " if len(twin.rooms["facility"]) > 1 else ""
    kpis = Kpis(scenario, site, compiled, simulated, prefix)
    tables += [inputs, *site_tables(kpis)]
    if site.grid is not None:
        tables += _power_quality(twin, name, resolve, settings)
    if "explain" in settings.engines:
        tables += _contingencies(twin, name, resolve, settings)
    return Outcome(tuple(tables), site_ports(kpis))


def _simulate(twin: Twin, site: model.Facility, compiled: System, settings: Settings) -> SiteResult:
    from firsttoken.facility.simulate import simulate

    what = f"simulate {compiled.names.site}, {twin.scenario or 'base'}"
    return simulate(
        compiled,
        twin.replications,
        twin.seed,
        threads=settings.threads,
        progress=lambda done, total: settings.say(what, done, total),
        cancel=settings.cancel,
        trace=site.trace,
    )


def _contingencies(
    twin: Twin, name: str, resolve: Resolve, settings: Settings
) -> list[ResultTable]:
    """What every single failure, and every pair that acts together, does to the racks."""
    from firsttoken.facility.power_kpi import power_tables

    settings.say(f"contingencies of {name}, {twin.scenario or 'base'}", 0, 0)
    return power_tables(twin, name, resolve, pairs=True)


def _power_quality(
    twin: Twin, name: str, resolve: Resolve, settings: Settings
) -> list[ResultTable]:
    """What the jobs of a site do to its power within seconds."""
    from firsttoken.facility.grid_kpi import grid_tables
    from firsttoken.facility.grid_quality import compile_grid, simulate_grid

    scenario = twin.scenario or "base"
    system = compile_grid(twin, name, resolve)
    found = simulate_grid(
        system,
        twin.replications,
        twin.seed,
        threads=settings.threads,
        progress=lambda done, total: settings.say(f"grid of {name}, {scenario}", done, total),
        cancel=settings.cancel,
    )
    return grid_tables(scenario, system, found)


def site_tables(kpis: Kpis) -> list[ResultTable]:
    """All tables of a simulated site."""
    from firsttoken.facility import kpi, kpi_units

    tables = [
        kpi.summary_table(kpis),
        kpi.period_table(kpis),
        kpi.hour_table(kpis),
        kpi_units.group_table(kpis),
        kpi_units.weather_table(kpis),
    ]
    if kpis.site.halls:
        tables.append(kpi_units.hall_table(kpis))
    if kpis.system.by_unit:
        tables.append(kpi_units.unit_table(kpis))
    if len(kpis.result.trace):
        tables.append(kpi_units.trace_table(kpis))
    if kpis.system.events is not None:
        from firsttoken.facility.grid_states_kpi import event_tables

        tables += event_tables(kpis)
    if len(kpis.system.cooling):
        from firsttoken.facility.cooling_kpi import (
            cooling_table,
            set_point_tables,
            transient_tables,
        )

        tables.append(cooling_table(kpis))
        tables += transient_tables(kpis.scenario, kpis.system)
        tables += set_point_tables(kpis.scenario, kpis.system)
    return tables


def port_names(instance: Declared) -> tuple[str, ...]:
    """Power and heat in W, PUE, racks and GPUs that can run, in time."""
    from firsttoken.facility.kpi_ports import PORTS

    assert isinstance(instance, model.Facility)
    return PORTS if instance.racks or instance.overheads else ()


def save(twin: Twin, name: str, resolve: Resolve, at: float, settings: Settings) -> State:
    """The state of replication 0 of a site at a moment."""
    from firsttoken.facility import states

    return states.save(twin, name, resolve, at, settings)


def forecast(
    twin: Twin,
    name: str,
    resolve: Resolve,
    finder: Finder,
    until: float | None,
    settings: Settings,
) -> list[ResultTable]:
    """Futures of a site from a saved state."""
    from firsttoken.facility import states

    return states.forecast(twin, name, resolve, finder, until, settings)


ROOM = Room(
    name="facility",
    model=model.Facility,
    check=check,
    execute=execute,
    ports=port_names,
    save=save,
    forecast=forecast,
)
