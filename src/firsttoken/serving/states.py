"""States of a token factory in a file, and what can follow from them.

A state is taken at the end of a tick, of replication 0: every request and KV block of services in
mode `requests`, the curves of those in mode `fluid`, and where each training job stands.  What goes
on from it with the same seed in replication 0 equals the uncut run, if the state is taken at a full
hour, at which training jobs look at their GPUs: bit for bit, but for sums over a tick in which the
cut ends a step, which round otherwise (1e-14).  All other replications share what
is in hand and draw everything else anew: parameters, requests, failures (what is left until the
next failure of a training job stays: it is exponential), but lengths of requests in flows, whose
table belongs to the requests in hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsttoken.serving import model
from firsttoken.serving.factory_simulate import FactoryState
from firsttoken.serving.factory_state import State
from firsttoken.serving.kpi import Kpis
from firsttoken.serving.plan import Layouts
from firsttoken.serving.requests_result import Snapshot
from firsttoken.serving.result import ServingState
from firsttoken.serving.simulate import between, simulate, snapshot
from firsttoken.serving.training_run import TrainingOutcome, compiled_jobs, course_of, run_training
from firsttoken.serving.training_simulate import TrainingState
from firsttoken.serving.training_simulate import identity as job_identity
from firsttoken.serving.training_simulate import snapshot as job_snapshot
from firsttoken.twin.dates import iso
from firsttoken.twin.findings import TwinError
from firsttoken.twin.snapshots import OWNER, Finder, SavedState, require_time

if TYPE_CHECKING:
    from firsttoken.serving.deployment import Floats, System
    from firsttoken.serving.training_simulate import TrainingSystem
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.room import Settings
    from firsttoken.twin.twin import Twin

Arrays = dict[str, npt.NDArray[Any]]

OTHER_REQUESTS = "the snapshot is of another service"
OTHER_FLOWS = "the state is of another factory"
"""What engines say of a state that is not theirs."""

NOBODY = ""
"""Identity that no factory has."""


def save(twin: Twin, name: str, resolve: Resolve, at: float, settings: Settings) -> SavedState:
    """The state of replication 0 of a token factory at the end of the tick that reaches a moment.

    Raises
    ------
    TwinError
        If the factory cannot be compiled.
    InfeasibleError
        If no layout serves a service.
    """
    from firsttoken.serving.room import prepared

    compiled, layouts = prepared(twin, name, resolve, settings)
    settings.say(f"simulate {name} until {iso(at + twin.start)}", 0, 0)
    at = whole_ticks(compiled, at)
    jobs = [job for _, job in compiled_jobs(twin, name, resolve, compiled.edges, {})]
    found = snapshot(
        compiled,
        twin.seed,
        0,
        at,
        layouts=layouts,
        trained=course_of(jobs, len(compiled.accelerators), twin.seed),
    )
    states = [job_snapshot(job, twin.seed, 0, at) for job in jobs]
    arrays = {**_arrays(compiled, found)}
    for job, state in zip(jobs, states, strict=True):
        arrays[f"{job.name}/state"], arrays[f"{job.name}/repairs"] = state.state, state.repairs
    return SavedState(identity(compiled, layouts, jobs), at, arrays)


def forecast(
    twin: Twin,
    name: str,
    resolve: Resolve,
    finder: Finder,
    until: float | None,
    settings: Settings,
) -> list[ResultTable]:
    """Futures of a token factory from a saved state: the tables of a simulation, from there on.

    Raises
    ------
    UsageError
        If the forecast ends before it begins.
    TwinError
        If the state belongs to another factory.
    InfeasibleError
        If no layout serves a service.
    """
    from firsttoken.serving.room import factory_tables, prepared

    compiled, layouts = prepared(twin, name, resolve, settings)
    jobs = [job for _, job in compiled_jobs(twin, name, resolve, compiled.edges, {})]
    what = "services, their layouts, replicas or modes, training jobs or the step"
    saved = finder.find(identity(compiled, layouts, jobs), what)
    end = compiled.horizon if until is None else whole_ticks(compiled, until)
    require_time(saved, finder, end)
    begun = _state(compiled, saved)
    cut = between(compiled, saved.time, end)
    trained = _trained(twin, name, resolve, settings, cut.edges, saved) if jobs else None
    scenario = twin.scenario or "base"
    factory = twin.rooms["serving"][name]
    assert isinstance(factory, model.Serving)
    with _same_services(finder, what):
        found = simulate(
            compiled,
            twin.replications,
            twin.seed,
            layouts=layouts,
            trained=None if trained is None else trained.course(len(compiled.accelerators)),
            initial_state=begun,
            until=end,
            threads=settings.threads,
            progress=lambda done, total: settings.say(f"forecast {name}, {scenario}", done, total),
            cancel=settings.cancel,
        )
    prefix = f"{name}: " if len(twin.rooms["serving"]) > 1 else ""
    kpis = Kpis(scenario, cut, found, factory.report, prefix)
    tables = list(trained.tables) if trained is not None else []
    summary = [table for table in tables if table.name == "serving_training"]
    return [*tables, *factory_tables(kpis, layouts, summary, trace=factory.trace)]


@contextmanager
def _same_services(finder: Finder, parts: str) -> Iterator[None]:
    """Say of a state that an engine refuses what file it is of, and what may have changed.

    How many replicas a service has, and their memory, is known when it is simulated only.
    """
    try:
        yield
    except TwinError as error:
        if {finding.what for finding in error.findings} <= {OTHER_FLOWS, OTHER_REQUESTS}:
            finder.find(NOBODY, parts)
        raise


def whole_ticks(compiled: System, at: float) -> float:
    """The end of the tick that reaches a moment, s from the twin's start."""
    ticks = np.ceil(at / compiled.step - 1e-9)
    return float(min(ticks * compiled.step, compiled.horizon))


def identity(compiled: System, layouts: list[Layouts], jobs: list[TrainingSystem]) -> str:
    """A hash that factories share whose states fit each other."""
    digest = blake2b(digest_size=16)
    digest.update(f"{compiled.name} {compiled.step!r};".encode())
    for service, both in zip(compiled.services, layouts, strict=True):
        engine = service.engine
        parts = (
            *(service.name, service.model, service.mode, service.sample),
            *(engine.sequences, engine.chunk, engine.block, engine.prefix_cache, engine.drafted),
            [(stream.name, stream.priority) for stream in service.streams],
            [None if layout is None else [float(np.asarray(v)) for v in layout] for layout in both],
        )
        digest.update(f"{parts!r};".encode())
    for job in jobs:
        digest.update(f"{job_identity(job)};".encode())
    return digest.hexdigest()


def _trained(
    twin: Twin,
    name: str,
    resolve: Resolve,
    settings: Settings,
    edges: Floats,
    saved: SavedState,
) -> TrainingOutcome:
    """The training jobs from their states on."""
    states = {
        job.name: TrainingState(
            job_identity(job),
            saved.arrays[f"{job.name}/state"],
            saved.arrays[f"{job.name}/repairs"],
        )
        for _, job in compiled_jobs(twin, name, resolve, edges, {})
    }
    return run_training(twin, name, resolve, settings, edges, states)


def _arrays(compiled: System, found: ServingState) -> Arrays:
    """A state as plain arrays."""
    arrays: Arrays = {OWNER: np.array([found.seed, found.replication], np.int64)}
    if found.fluid is not None:
        arrays["fluid/identity"] = np.array(found.fluid.identity)
        for field, array in found.fluid.state._asdict().items():
            arrays[f"fluid/{field}"] = np.asarray(array)
    for row, state in found.requests.items():
        own = f"services.{compiled.services[row].name}"
        arrays[f"{own}/identity"] = np.array(state.identity)
        for field, array in state.arrays.items():
            arrays[f"{own}/{field}"] = array
    return arrays


def _state(compiled: System, saved: SavedState) -> ServingState:
    """The state of a file."""
    seed, replication = (int(number) for number in saved.arrays[OWNER])
    fluid, requests = None, {}
    found = _below(saved.arrays, "fluid")
    if found:
        told = str(found.pop("identity"))
        fluid = FactoryState(told, State(**found))
    for row, service in enumerate(compiled.services):
        found = _below(saved.arrays, f"services.{service.name}")
        if found:
            told = str(found.pop("identity"))
            requests[row] = Snapshot(told, saved.time, found)
    return ServingState(saved.time, seed, replication, fluid, requests)


def _below(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Arrays:
    """The arrays whose names begin with a prefix, without it."""
    head = f"{prefix}/"
    return {name[len(head) :]: array for name, array in arrays.items() if name.startswith(head)}
