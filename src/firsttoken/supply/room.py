"""The supply room's entry points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firsttoken.supply import model
from firsttoken.supply.check import check_network
from firsttoken.twin.dates import iso
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared
from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

if TYPE_CHECKING:
    from firsttoken.supply.plan import PlanResult
    from firsttoken.supply.simulate import SimulationResult
    from firsttoken.supply.system import System
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.source import SourceMap
    from firsttoken.twin.tables import Table
    from firsttoken.twin.twin import Twin


def execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """Compile a network, plan and simulate it, and name the results.

    Raises
    ------
    TwinError
        If a reference cannot be resolved or the policy lacks what it needs.
    InfeasibleError
        If no plan satisfies the constraints.
    """
    from firsttoken.supply.compile import compile_network
    from firsttoken.supply.inputs import input_table

    net = twin.rooms["supply"][name]
    assert isinstance(net, model.Network)
    scenario = twin.scenario or "base"
    compiled = compile_network(twin, name, resolve)
    tables: list[ResultTable] = [input_table(scenario, compiled, twin.library)]
    planned: PlanResult | None = None
    if "plan" in settings.engines or net.release == "plan":
        planned = _plan(twin, net, compiled, settings)
    if planned is not None and "plan" in settings.engines:
        from firsttoken.supply.kpi_plan import plan_tables

        tables += plan_tables(scenario, compiled, net, planned)
    ports: Mapping[str, Value] = {}
    if "simulate" in settings.engines:
        simulated = _simulate(twin, net, compiled, planned, settings)
        tables += _simulation_tables(twin, compiled, net, simulated, resolve)
        ports = delivered_ports(compiled, simulated)
    return Outcome(tuple(tables), ports)


def _plan(twin: Twin, net: model.Network, compiled: System, settings: Settings) -> PlanResult:
    import numpy as np

    from firsttoken.supply.plan import plan
    from firsttoken.twin.dates import period_edges

    edges = None
    if net.plan.bucket is not None and net.plan.bucket != net.bucket:
        edges = np.array(period_edges(twin.start, twin.end, net.plan.bucket)) - twin.start
    return plan(
        compiled,
        objectives=tuple(net.plan.objectives),
        uncertain=net.plan.uncertain,
        edges=edges,
        progress=settings.progress,
    )


def _simulate(
    twin: Twin,
    net: model.Network,
    compiled: System,
    planned: PlanResult | None,
    settings: Settings,
) -> SimulationResult:
    from firsttoken.supply.sim_block import must_compile
    from firsttoken.supply.simulate import simulate

    if must_compile():
        settings.say("compile the simulation, once", 0, 0)
    runs = None
    if net.release == "plan" and planned is not None:
        runs = planned.runs_by(compiled.edges)
    return simulate(
        compiled,
        twin.replications,
        twin.seed,
        plan_runs=runs,
        threads=settings.threads,
        progress=lambda done, total: settings.say(
            f"simulate {compiled.name}, {twin.scenario or 'base'}", done, total
        ),
        cancel=settings.cancel,
    )


def _simulation_tables(
    twin: Twin,
    compiled: System,
    net: model.Network,
    simulated: SimulationResult,
    resolve: Resolve,
) -> list[ResultTable]:
    from firsttoken.supply.inputs import display_range
    from firsttoken.supply.kpi import Kpis
    from firsttoken.supply.kpi_causes import cause_tables
    from firsttoken.supply.kpi_flow import flow_table

    def shown(value: Value, unit: str) -> tuple[float, float, float]:
        return display_range(value, unit, resolve)

    kpis = Kpis(twin.scenario or "base", compiled, net, simulated, shown, iso(twin.as_of))
    return [*kpis.tables(), *cause_tables(kpis), flow_table(kpis)]


def port_names(instance: Declared) -> tuple[str, ...]:
    """One port a demand: `<demand>_delivered`, the rate of delivery."""
    assert isinstance(instance, model.Network)
    return tuple(f"{name}_delivered" for name in instance.demands)


def delivered_ports(compiled: System, simulated: SimulationResult) -> dict[str, Value]:
    """Rate of delivery of each demand by report period, in each/s.

    Each level is the empirical distribution over replications. Levels of one port share one
    stream, so a replication that is high in one quarter is high in the next (comonotone).
    """
    import numpy as np

    lengths = np.diff(compiled.report_edges)
    ports: dict[str, Value] = {}
    for d, demand in enumerate(compiled.names.demands):
        rates = simulated.delivered[:, :, d].astype(np.float64) / lengths
        knots: list[tuple[Scalar, Scalar]] = []
        for q in range(lengths.size):
            ordered = np.sort(rates[:, q])
            shares = (np.arange(ordered.size) + 1) / ordered.size
            moment = Constant(float(compiled.report_edges[q] + compiled.start))
            if ordered[0] == ordered[-1]:
                knots.append((moment, Constant(float(ordered[0]))))
                continue
            table = tuple(zip(ordered.tolist(), shares.tolist(), strict=True))
            knots.append((moment, Distribution("empirical", (), table)))
        ports[f"{demand}_delivered"] = Series("step", tuple(knots))
    return ports


def read_tables(
    tables: Mapping[str, Table], findings: Findings
) -> tuple[dict[str, Any], SourceMap]:
    """A network's plain data from frePPLe's tables."""
    from firsttoken.supply.tables import read_network_tables

    return read_network_tables(tables, findings)


ROOM = Room(
    name="supply",
    model=model.Network,
    check=check_network,
    execute=execute,
    ports=port_names,
    tables=read_tables,
)
