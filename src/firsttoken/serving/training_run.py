"""All training jobs of a token factory, from the twin to tables and ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firsttoken.serving import model
from firsttoken.serving.timeline import Held
from firsttoken.serving.training_compile import compile_training
from firsttoken.serving.training_engine import must_compile
from firsttoken.serving.training_kpi import Costs, TrainingKpis, port_samples, training_tables
from firsttoken.serving.training_simulate import (
    TrainingState,
    TrainingSystem,
    course_of_gpus,
    prices,
    simulate_training,
)
from firsttoken.serving.training_state import Floats
from firsttoken.twin.input_table import input_table
from firsttoken.twin.parameters import Resolve
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.room import Settings
from firsttoken.twin.twin import Twin

MOMENT = 3600.0
"""s between which GPUs and speed of jobs are constant, at most."""


Trained = Callable[[int, Floats], Held]
"""(replication, edges of the ticks) -> what training has."""


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What the jobs of a factory did.

    Attributes
    ----------
    tables : all tables, of all jobs together.
    ports : `power` (W), `tokens` (token/s), `gpus` held, of all jobs together, f8[R, B] each.
    systems : the compiled jobs; seed : of the run; kpis : of each job, see `training_kpi.figures`.
    begun : states from which jobs go on, by the path of the job.
    """

    tables: tuple[ResultTable, ...]
    ports: dict[str, Floats]
    systems: tuple[TrainingSystem, ...]
    seed: int
    kpis: tuple[TrainingKpis, ...]
    begun: Mapping[str, TrainingState] = field(default_factory=dict)

    def course(self, pools: int) -> Trained:
        """What the jobs take from services on one of so many pools, see `course_of`."""
        return course_of(self.systems, pools, self.seed, self.begun)


def run_training(
    twin: Twin,
    name: str,
    resolve: Resolve,
    settings: Settings,
    edges: Floats,
    begun: Mapping[str, TrainingState] | None = None,
) -> TrainingOutcome:
    """Compile and simulate the training jobs of one token factory, in the order given.

    Parameters
    ----------
    edges : of the report periods, s from the twin's start, f8[B + 1].
    begun : states from which jobs go on, by the path of the job; None: their own starts.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a job cannot run as declared.
    """
    factory = twin.rooms["serving"][name]
    assert isinstance(factory, model.Serving)
    scenario = twin.scenario or "base"
    held: dict[str, float] = {}
    found: dict[str, list[ResultTable]] = {}
    ports: dict[str, Floats] = {}
    systems: list[TrainingSystem] = []
    all_kpis: list[TrainingKpis] = []
    if must_compile():
        settings.say("compile the simulation, once", 0, 0)
    for job, system in compiled_jobs(twin, name, resolve, edges, held):
        what = f"train {job}, {scenario}"
        result = simulate_training(
            system,
            twin.replications,
            twin.seed,
            (begun or {}).get(system.name),
            threads=settings.threads,
            progress=lambda done, total, what=what: settings.say(what, done, total),  # type: ignore[misc]
            cancel=settings.cancel,
        )
        costs = Costs(*prices(system, twin.replications, twin.seed))
        kpis = TrainingKpis(scenario, name, job, system, result, twin.start, factory.report, costs)
        for table in training_tables(kpis):
            found.setdefault(table.name, []).append(table)
        for port, samples in port_samples(kpis).items():
            ports[port] = ports.get(port, 0.0) + np.nan_to_num(samples)
        systems.append(system)
        all_kpis.append(kpis)
        inputs = input_table(
            "serving_training_inputs",
            scenario,
            system.inputs,
            system.parameters,
            twin.start,
            system.users,
            twin.library,
        )
        found.setdefault(inputs.name, []).append(inputs)
    tables = tuple(_joined(several) for several in found.values())
    return TrainingOutcome(tables, ports, tuple(systems), twin.seed, tuple(all_kpis), begun or {})


def course_of(
    systems: Sequence[TrainingSystem],
    pools: int,
    seed: int,
    begun: Mapping[str, TrainingState] | None = None,
) -> Trained:
    """What jobs take from services that share their pools, of a replication and ticks.

    Parameters
    ----------
    pools : of the factory.
    begun : states from which jobs go on, by the path of the job; None: their own starts.
    """

    def course(replication: int, edges: Floats) -> Held:
        found = Held(np.zeros((pools, len(edges) - 1)), np.zeros(len(edges) - 1))
        for system in systems:
            state = (begun or {}).get(system.name)
            power, gpus = course_of_gpus(system, seed, replication, edges, state)
            found.gpus[system.own] += gpus
            found.power[:] += power
        return found

    return course


def compiled_jobs(
    twin: Twin, name: str, resolve: Resolve, edges: Floats, held: dict[str, float]
) -> Iterator[tuple[str, TrainingSystem]]:
    """The training jobs of a factory, compiled in the order given.

    Parameters
    ----------
    edges : of the report periods, s from the twin's start.
    held : filled with the GPUs that jobs hold, by pool.
    """
    factory = twin.rooms["serving"][name]
    assert isinstance(factory, model.Serving)
    horizon = twin.end - twin.start
    moments = np.append(np.arange(0.0, horizon - 1e-6, min(MOMENT, horizon)), horizon)
    for job, declared in factory.training.items():
        pool = declared.on or next(iter(factory.accelerators), "")
        taken = held.get(pool, 0.0)
        system = compile_training(
            twin, name, job, resolve, moments=moments, edges=edges, taken=taken
        )
        held[pool] = taken + system.held
        yield job, system


def _joined(tables: list[ResultTable]) -> ResultTable:
    """The rows of several tables of one name; of rows with the same keys, the first."""
    first = tables[0]
    if len(tables) == 1:
        return first
    columns: dict[str, list[object]] = {key: [] for key in first.columns}
    known: set[tuple[object, ...]] = set()
    for table in tables:
        for i in range(len(table)):
            key = tuple(table.columns[name][i] for name in first.keys)
            if key not in known:
                known.add(key)
                for name, cells in columns.items():
                    cells.append(table.columns[name][i])
    return ResultTable(first.name, dict(columns), dict(first.units), first.description, first.keys)
