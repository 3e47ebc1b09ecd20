"""The serving room's entry points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from firsttoken.serving import model
from firsttoken.twin.findings import Findings, InfeasibleError
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared
from firsttoken.twin.validation import is_needed

if TYPE_CHECKING:
    from firsttoken.serving.deployment import System
    from firsttoken.serving.kpi import Kpis
    from firsttoken.serving.plan import Layouts
    from firsttoken.serving.result import FactoryResult
    from firsttoken.serving.training_run import TrainingOutcome
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.snapshots import Finder, State
    from firsttoken.twin.twin import Twin


def check(twin: Twin, name: str, findings: Findings) -> None:
    """Add what is wrong with a token factory beyond what its classes can say."""
    from firsttoken.serving.check import check_factory

    check_factory(twin, name, findings)


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a token factory, plan and simulate it, and name the results.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a file cannot be read.
    InfeasibleError
        If no configuration reaches a service's goals.
    """
    from firsttoken.serving.compile import compile_factory
    from firsttoken.twin.input_table import input_table

    scenario = twin.scenario or "base"
    compiled = compile_factory(twin, name, resolve)
    inputs = input_table(
        "serving_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        twin.library,
    )
    tables = [inputs]
    if "plan" in settings.engines:
        from firsttoken.serving.plan import plan_services
        from firsttoken.serving.search_kpi import tables_of

        settings.say(f"plan {name}, {scenario}", 0, 0)
        with at_its_line(twin):
            planned = plan_services(compiled)
        tables += tables_of(scenario, planned) if planned else []
    wanted = {"simulate", "explain"} & set(settings.engines) or is_needed(twin, "serving", name)
    if not wanted or not (compiled.services or compiled.training):
        return Outcome(tuple(tables))
    from firsttoken.serving.kpi import Kpis
    from firsttoken.serving.kpi_ports import factory_ports

    factory = twin.rooms["serving"][name]
    assert isinstance(factory, model.Serving)
    with at_its_line(twin):
        compiled, layouts = laid_out(compiled, scenario, settings)
    trained = None
    if compiled.training:
        from firsttoken.serving.training_run import run_training

        trained = run_training(twin, name, resolve, settings, compiled.edges)
        tables += trained.tables
    simulated = _simulate(twin, compiled, layouts, trained, settings)
    prefix = f"{name}: " if len(twin.rooms["serving"]) > 1 else ""
    kpis = Kpis(scenario, compiled, simulated, factory.report, prefix)
    jobs = [table for table in tables if table.name == "serving_training"]
    tables += factory_tables(kpis, layouts, jobs, trace=factory.trace)
    return Outcome(tuple(tables), factory_ports(kpis, trained.ports if trained else {}))


def prepared(
    twin: Twin, name: str, resolve: Resolve, settings: Settings
) -> tuple[System, list[Layouts]]:
    """A token factory as it is simulated: compiled, laid out, calibrated.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a file cannot be read.
    InfeasibleError
        If no layout reaches a service's goals.
    """
    from firsttoken.serving.compile import compile_factory

    compiled = compile_factory(twin, name, resolve)
    with at_its_line(twin):
        return laid_out(compiled, twin.scenario or "base", settings)


@contextmanager
def at_its_line(twin: Twin) -> Iterator[None]:
    """Say of a service that nothing serves where it stands: `file:line: `."""
    try:
        yield
    except InfeasibleError as error:
        place = twin.place(str(error).partition(": ")[0])
        raise InfeasibleError(f"{place}: {error}" if place.file else str(error)) from None


def laid_out(compiled: System, scenario: str, settings: Settings) -> tuple[System, list[Layouts]]:
    """A compiled factory with the layouts of its services, and what measured points say of them."""
    from firsttoken.serving.plan import layouts_of

    layouts = layouts_of(compiled)
    if any(service.engine.error >= 0 for service in compiled.services):
        from firsttoken.serving.calibrated import calibrated

        settings.say(f"calibrate {compiled.name}, {scenario}", 0, 0)
        compiled = calibrated(compiled, layouts)
    if any(service.engine.tables for service in compiled.services):
        from firsttoken.serving.tables_pace import paced

        compiled = paced(compiled, layouts)
    return compiled, layouts


def _simulate(
    twin: Twin,
    compiled: System,
    layouts: Sequence[Layouts],
    trained: TrainingOutcome | None,
    settings: Settings,
) -> FactoryResult:
    from firsttoken.serving.simulate import must_compile, simulate

    if must_compile(compiled):
        settings.say("compile the simulation, once", 0, 0)
    what = f"simulate {compiled.name}, {twin.scenario or 'base'}"
    return simulate(
        compiled,
        twin.replications,
        twin.seed,
        layouts=layouts,
        trained=None if trained is None else trained.course(len(compiled.accelerators)),
        threads=settings.threads,
        progress=lambda done, total: settings.say(what, done, total),
        cancel=settings.cancel,
    )


def factory_tables(
    kpis: Kpis, layouts: Sequence[Layouts], jobs: Sequence[ResultTable], *, trace: bool
) -> list[ResultTable]:
    """All tables of a simulated token factory; `jobs` are those of training's figures."""
    from firsttoken.serving import kpi, kpi_explain, kpi_units, tables_kpi

    tables = [
        kpi.summary_table(kpis, jobs),
        kpi.period_table(kpis),
        kpi.latency_table(kpis),
        kpi_units.tenant_table(kpis),
        kpi_units.replica_table(kpis, layouts),
        kpi_units.pool_table(kpis),
        *kpi_units.calibration_tables(kpis),
        *tables_kpi.tables_tables(kpis, layouts),
        *kpi_explain.explain_tables(kpis, layouts),
    ]
    if trace:
        tables.append(kpi_units.trace_table(kpis))
    return tables


def port_names(instance: Declared) -> tuple[str, ...]:
    """Power in W, of each pool and its racks too, tokens and requests in 1/s, GPUs at work."""
    from firsttoken.serving.kpi_ports import OF_POOL, PORTS

    assert isinstance(instance, model.Serving)
    if not (instance.services or instance.training):
        return ()
    return (*PORTS, *(f"{pool}_{port}" for pool in instance.accelerators for port in OF_POOL))


def save(twin: Twin, name: str, resolve: Resolve, at: float, settings: Settings) -> State:
    """The state of replication 0 of a token factory at a moment."""
    from firsttoken.serving import states

    return states.save(twin, name, resolve, at, settings)


def forecast(
    twin: Twin,
    name: str,
    resolve: Resolve,
    finder: Finder,
    until: float | None,
    settings: Settings,
) -> list[ResultTable]:
    """Futures of a token factory from a saved state."""
    from firsttoken.serving import states

    return states.forecast(twin, name, resolve, finder, until, settings)


ROOM = Room(
    name="serving",
    model=model.Serving,
    check=check,
    execute=execute,
    ports=port_names,
    save=save,
    forecast=forecast,
)
