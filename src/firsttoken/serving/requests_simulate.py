"""The simulation of requests: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.replicate import replicate
from firsttoken.kernel.sketch import BUCKETS, fill_quantiles
from firsttoken.serving import requests_engine
from firsttoken.serving.requests_books import check_books, made_in_hand
from firsttoken.serving.requests_check import check_system
from firsttoken.serving.requests_machine import Machine, edges_of
from firsttoken.serving.requests_result import QUANTILES, RequestResult, Snapshot
from firsttoken.serving.requests_state import (
    BUSY,
    COLUMNS,
    DECODE,
    ENDLESS,
    ENERGY,
    NOWHERE,
    PREFILL,
    QUEUED,
    REPLICAS,
    RUNNING,
    SCALE,
    SKETCHES,
)
from firsttoken.serving.requests_system import Requests, System, pools_of
from firsttoken.twin.findings import Finding, TwinError

Integers = npt.NDArray[np.int64]

_COUNT: Final = [
    "arrived",
    "refused",
    "finished",
    "restarted",
    "prompt",
    "output",
    "made",
    "wasted",
    "counted",
    "good",
    "good_ttft",
    "good_tpot",
    "good_e2e",
]
_POOL: Final = [
    "energy",
    "steps",
    "preempted",
    "failures",
    "evicted",
    "sent",
    "asked",
    "found",
    "asked_blocks",
    "found_blocks",
]
_SERIES: Final = {
    "power": ENERGY,
    "decoded": DECODE,
    "prefilled": PREFILL,
    "busy": BUSY,
    "running": RUNNING,
    "waiting": QUEUED,
    "replicas": REPLICAS,
}


def simulate(
    system: System,
    replications: int,
    seed: int,
    *,
    initial_state: Snapshot | None = None,
    horizon: float | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
    records: bool = False,
    first: int = 0,
) -> RequestResult:
    """Simulate a service request by request.

    Parameters
    ----------
    system
        The frozen numbers.
    replications, seed
        Replication r draws its numbers at (seed, first + r); results do not depend on threads.
    initial_state
        State from which all replications go on, see :func:`snapshot`; None: an empty system.
    horizon
        End in s from the start of the twin; None: the system's.
    threads, progress, cancel
        As in :func:`firsttoken.kernel.replicate.replicate`.
    records
        Keep what became of each request of replication 0; traffic must be `Requests`, and the
        system empty at the start.
    first
        Number of the first replication.

    Returns
    -------
    RequestResult

    Raises
    ------
    TwinError
        Naming what is wrong: requests out of order or without length, a chunk smaller than the
        batch, a snapshot of another system.
    ValueError
        If the horizon is later than the system's, or not after the snapshot, or records cannot
        be kept.
    BalanceError
        If requests, tokens, blocks or energy do not balance: a defect of the engine.
    """
    check_system(system)
    end = system.horizon if horizon is None else horizon
    since = 0.0 if initial_state is None else initial_state.time
    if not since < end <= system.horizon:
        raise ValueError(f"the end at {end:g} s is not in ({since:g}, {system.horizon:g}] s")
    if initial_state is not None:
        check_snapshot(system, initial_state)
    kept = 0
    if records:
        if not isinstance(system.traffic, Requests) or initial_state is not None:
            raise ValueError("records need requests that are given, and an empty system")
        kept = len(system.traffic.arrival)
    collector = _Collector(system, replications, end, since)
    local = threading.local()

    def task(low: int, high: int) -> None:
        machine: Machine | None = getattr(local, "machine", None)
        if machine is None:
            machine = Machine(system)
            local.machine = machine
        for replication in range(low, high):
            used = Machine(system, kept) if kept and replication == 0 else machine
            _run(used, seed, first + replication, end, initial_state)
            collector.take(used, replication)

    replicate(task, replications, block=1, threads=threads, progress=progress, cancel=cancel)
    return collector.result()


def snapshot(system: System, seed: int, replication: int, at: float) -> Snapshot:
    """Run one replication to a moment (s from the start) and return its complete state."""
    check_system(system)
    machine = Machine(system)
    _run(machine, seed, replication, at, None)
    return machine.snapshot(identity(system))


def must_compile() -> bool:
    """Tell whether the first simulation has to wait for the compiler."""
    return requests_engine.must_compile()


def identity(system: System) -> str:
    """Return a hash of the structure of a system: snapshots restore into the same one only."""
    digest = blake2b(digest_size=16)
    for pool in pools_of(system):
        fields = (pool.replicas, pool.sequences, pool.block, pool.chunk, pool.width)
        digest.update(f"{fields} {int(pool.law.kv_tokens // pool.block)};".encode())
    for tenant in system.tenants:
        digest.update(f"{tenant.name} {tenant.priority};".encode())
    digest.update(str(system.hash_block).encode())
    return digest.hexdigest()


def check_snapshot(system: System, state: Snapshot) -> None:
    """Raise `TwinError` if a state belongs to another system."""
    if state.identity != identity(system):
        raise TwinError(
            Finding(
                "the snapshot is of another service",
                "its replicas, their memory or its tenants differ",
                "take the snapshot from the same twin file",
                code="snapshot",
            )
        )


def _run(
    machine: Machine, seed: int, replication: int, end: float, initial_state: Snapshot | None
) -> None:
    if initial_state is None:
        machine.begin(seed, replication, end)
        held = np.zeros(len(machine.system.tenants), np.int64)
        made = held
    else:
        machine.restore(initial_state, seed, replication, end)
        held, made = in_hand(machine), made_in_hand(machine)
    status = machine.run()
    if status == ENDLESS:
        raise TwinError(
            Finding(
                f"time stands still at {machine['world']['now'][0]:g} s",
                "steps take no time",
                "give the step law an overhead",
                code="endless",
            )
        )
    check_books(machine, held, made)


def in_hand(machine: Machine) -> Integers:
    """Requests in the system, [C]."""
    rows = machine["sequence"]
    live = rows["tenant"][rows["place"] != NOWHERE]
    return np.bincount(live, minlength=len(machine.system.tenants)).astype(np.int64)


class _Collector:
    """Arrays that replications write their rows into."""

    def __init__(self, system: System, replications: int, end: float, since: float) -> None:
        self.system, self.end, self.since, self.edges = system, end, since, edges_of(system)
        self.replications = replications
        self.found: list[dict[str, Any]] = [{} for _ in range(replications)]
        self.records: dict[str, npt.NDArray[Any]] = {}

    def take(self, machine: Machine, replication: int) -> None:
        """Copy the results of a replication."""
        row = self.found[replication]
        tenants, periods = len(self.system.tenants), len(self.edges) - 1
        counts, pools = machine["count"], machine["pool"]
        for name in _COUNT:
            row[name] = counts[name].astype(np.int64)
        row["in_hand"] = in_hand(machine)
        with np.errstate(invalid="ignore", divide="ignore"):
            numbers = [counts["counted"], counts["decoded"], counts["counted"]]
            sums = [counts["ttft"], counts["tpot"], counts["e2e"]]
            row["mean"] = np.stack([s / n for s, n in zip(sums, numbers, strict=True)], axis=-1)
        for name in _POOL:
            row[name] = pools[name].copy()
        row["computed"] = pools["prefilled"].copy()
        row["busy_time"], row["on_time"] = pools["busy"].copy(), pools["up_area"].copy()
        row["energy"] = pools["energy"] + pools["idle"] * pools["up_area"]
        row["peak_kv"] = pools["peak"] / np.maximum(pools["blocks"], 1)
        self._series(machine, row)
        by_period = machine["period"][: periods * tenants].reshape(periods, tenants)
        for name in ("arrived", "finished", "good", "prompt", "output"):
            row[f"period_{name}"] = by_period[name].astype(np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            for name in ("ttft", "tpot"):
                row[f"period_{name}"] = by_period[name] / by_period["finished"]
        sketch = machine["sketch"]["v"].reshape(tenants, SKETCHES, BUCKETS)
        row["sketch"] = sketch.copy()
        row["gap"] = machine["gap"]["v"].reshape(-1, BUCKETS).copy()
        row["times"] = np.empty((tenants, SKETCHES, len(QUANTILES)))
        for c in range(tenants):
            for k in range(SKETCHES):
                fill_quantiles(sketch[c, k], np.array(QUANTILES), row["times"][c, k])
        row["times"] /= SCALE
        row["events"] = int(machine["world"]["events"][0])
        if machine.records and replication == 0:
            table = machine["record"]
            self.records = {name: table[name].copy() for name in table.dtype.names or ()}

    def _series(self, machine: Machine, row: dict[str, Any]) -> None:
        """Means of the ticks that were simulated."""
        series = machine["series"]["v"].reshape(len(machine.pools), machine.ticks, COLUMNS)
        edges = np.minimum(np.arange(machine.ticks + 1) * self.system.tick, self.end)
        lengths = np.diff(np.maximum(edges, self.since))
        ticks = int(np.ceil(self.end / self.system.tick - 1e-9))
        for name, column in _SERIES.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                row[name] = np.where(lengths > 0.0, series[:, :, column] / lengths, 0.0)[:, :ticks]
        row["power"] = row["power"] + machine["pool"]["idle"][:, None] * row["replicas"]

    def result(self) -> RequestResult:
        """All rows as one."""
        merged = {
            name: sum(row[name] for row in self.found) if name in ("sketch", "gap") else
            np.stack([row[name] for row in self.found])
            for name in self.found[0]
        }  # fmt: skip
        return RequestResult(
            time=self.end - self.since,
            tick=self.system.tick,
            edges=self.edges,
            records=self.records,
            **merged,
        )
