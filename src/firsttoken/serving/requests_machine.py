"""The memory of one running system: built from the frozen numbers, fed with requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.memory import INTEGER, Memory, aligned, together
from firsttoken.kernel.sketch import BUCKETS
from firsttoken.serving.autoscale import SLOTS
from firsttoken.serving.requests_engine import BEGIN, CLOSE, GO_ON, REHASH, RUN, operate
from firsttoken.serving.requests_result import Snapshot
from firsttoken.serving.requests_state import (
    CHANGE,
    COLUMNS,
    DTYPES,
    DYNAMIC,
    FEED,
    FULL,
    GATES,
    HUNGRY,
    IN_QUEUE,
    LAW,
    MOST_STRIDE,
    NOWHERE,
    PER_REPLICA,
    REPLICA_TIMERS,
    SKETCHES,
    STATIC,
    TENANT,
)
from firsttoken.serving.requests_system import (
    CAP,
    COUNT,
    LOWEST_SPEED,
    SPEED,
    Change,
    Pool,
    Requests,
    System,
    pools_of,
)

Floats = npt.NDArray[np.float64]

SPARE: Final = 1024
"""Rows of sequences beyond the seats, at the start."""

_COUNTS: Final = ("count", "period", "sketch", "gap", "series", "record")
"""Statistics, that begin anew with a state that is taken over."""
_BOOKS: Final = [
    "up_area",
    "energy",
    "steps",
    "busy",
    "asked",
    "found",
    "asked_blocks",
    "found_blocks",
    "evicted",
    "preempted",
    "prefilled",
    "sent",
    "failures",
    "peak",
]
"""The same of pools."""


class Machine:
    """One system with its state; a thread has one and uses it for one replication after the other.

    Parameters
    ----------
    system
        The frozen numbers.
    records
        Requests whose course is kept one by one; 0: none.
    """

    def __init__(self, system: System, records: int = 0) -> None:
        self.system = system
        self.pools = pools_of(system)
        self.records = records
        self.replicas = sum(pool.replicas for pool in self.pools)
        self.ticks = max(int(np.ceil(system.horizon / system.tick - 1e-9)), 1)
        self.edges = edges_of(system)
        names = sorted({tenant.priority for tenant in system.tenants}, reverse=True)
        self.levels = {priority: level for level, priority in enumerate(names)}
        self._chunks: Iterator[Requests] = iter(())
        self.memory = Memory(together(self._static() | self._dynamic()))

    # Building ---------------------------------------------------------------------------

    def _static(self) -> dict[int, npt.NDArray[Any]]:
        system = self.system
        tenants = aligned(len(system.tenants), TENANT)
        for row, tenant in zip(tenants, system.tenants, strict=True):
            row["level"] = self.levels[tenant.priority]
            row["ttft"], row["tpot"], row["e2e"] = tenant.ttft, tenant.tpot, tenant.e2e
        ordered = sorted(system.changes, key=lambda change: change.time)
        edges = aligned(len(self.edges), DTYPES["edge"])
        edges["v"] = self.edges
        return {
            STATIC["feed"]: aligned(1, FEED),
            STATIC["hash"]: aligned(1, INTEGER),
            STATIC["tenant"]: tenants,
            STATIC["change"]: change_table(ordered),
            STATIC["law"]: np.concatenate([law_table(pool) for pool in self.pools]),
            STATIC["edge"]: edges,
        }

    def _dynamic(self) -> dict[int, npt.NDArray[Any]]:
        seats = sum(pool.replicas * pool.sequences for pool in self.pools)
        tenants, periods = len(self.system.tenants), len(self.edges) - 1
        timers = REPLICA_TIMERS + PER_REPLICA * self.replicas
        sizes = {
            "world": 1,
            "pool": len(self.pools),
            "replica": self.replicas,
            "sequence": min(seats, 65536) + SPARE,
            "runner": seats,
            "phase": self.replicas * MOST_STRIDE,
            "entry": 1,
            "bucket": 1,
            "list": GATES + self.replicas * (IN_QUEUE + len(self.levels)),
            "timer": timers,
            "place": timers,
            "count": tenants,
            "period": periods * tenants,
            "sketch": tenants * SKETCHES * BUCKETS,
            "gap": len(self.pools) * BUCKETS,
            "series": len(self.pools) * self.ticks * COLUMNS,
            "record": self.records,
            "look": len(self.pools) * SLOTS,
        }
        return {DYNAMIC[name]: aligned(max(size, 1), DTYPES[name]) for name, size in sizes.items()}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A table of the state by name."""
        return self.memory[DYNAMIC[name]]

    # One replication --------------------------------------------------------------------

    def begin(self, seed: int, replication: int, horizon: float) -> None:
        """Set the state at time 0 of a replication."""
        for slot in DYNAMIC.values():
            self.memory[slot].view(np.uint8)[:] = 0
        self._set_world(seed, replication, horizon)
        self._set_pools()
        rows = self["sequence"]
        rows["next"] = np.arange(1, len(rows) + 1)
        self["list"]["head"] = -1
        self["list"]["tail"] = -1
        self._chunks = self.requests(seed, replication)
        self._feed()
        self._first_entries()
        operate(self.memory.m, BEGIN)

    def requests(self, seed: int, replication: int) -> Iterator[Requests]:
        """The requests of a replication, chunk after chunk."""
        traffic = self.system.traffic
        if isinstance(traffic, Requests):
            return iter((traffic,))
        return traffic.chunks(seed, replication)

    def _set_world(self, seed: int, replication: int, horizon: float) -> None:
        system, state = self.system, self["world"]
        values = {
            "until": horizon,
            "warmup": system.warmup,
            "free_rows": len(self["sequence"]),
            "changes": len(system.changes),
            "replicas": self.replicas,
            "pools": len(self.pools),
            "levels": len(self.levels),
            "tenants": len(system.tenants),
            "lists": IN_QUEUE + len(self.levels),
            "hash_block": system.hash_block,
            "periods": len(self.edges) - 1,
            "ticks": self.ticks,
            "tick": system.tick,
            "exponent": system.exponent,
            "lowest": LOWEST_SPEED,
            "seed": seed,
            "replication": replication,
            "key": system.key,
            "recorded": self.records,
            "split": int(len(self.pools) > 1),
        }
        for name, value in values.items():
            state[name] = value

    def _set_pools(self) -> None:
        first = seats = law = 0
        slowest = max(pool.law.kv_bytes / pool.law.link for pool in self.pools)
        for number, pool in enumerate(self.pools):
            row = self["pool"][number : number + 1]
            for name, value in pool_fields(pool, self.system).items():
                row[name] = value
            row["first"], row["law"] = first, law
            row["transfer"] = slowest
            mine = slice(first, first + pool.replicas)
            self["replica"]["pool"][mine] = number
            self["replica"]["runner"][mine] = seats + pool.sequences * np.arange(pool.replicas)
            first += pool.replicas
            seats += pool.replicas * pool.sequences
            law += pool.chunk + 1

    # Requests ---------------------------------------------------------------------------

    def _feed(self, since: float = -np.inf) -> None:
        """Hand over the next requests, those after a time (s), with the hashes of those inside."""
        state = self["world"]
        chunk = next(self._chunks, None)
        while chunk is not None and (not len(chunk.arrival) or chunk.arrival[-1] <= since):
            chunk = next(self._chunks, None)
        if chunk is None:
            state["last"], state["feed"], state["fed"] = 1, 0, 0
            return
        kept = self._live_hashes()
        rows = aligned(len(chunk.arrival), FEED)
        for name in ("arrival", "prompt", "output", "tenant", "session", "cached"):
            rows[name] = getattr(chunk, name)
        rows["hash"] = chunk.first[:-1] + len(kept)
        rows["hashes"] = np.diff(chunk.first)
        self.memory.replace(STATIC["feed"], rows)
        self._set_hashes(np.concatenate([kept, chunk.hashes]))
        state["feed"], state["fed"] = len(rows), np.searchsorted(chunk.arrival, since, "right")
        self._set_margin(int(rows["hashes"].max(initial=0)))

    def _live_hashes(self) -> npt.NDArray[np.int64]:
        """The hashes of the sequences in the system, which now begin at 0."""
        rows = self["sequence"]
        live = np.flatnonzero((rows["place"] != NOWHERE) & (rows["hashes"] > 0))
        counts = rows["hashes"][live]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(live) else 0
        old = np.repeat(rows["hash"][live] - (ends - counts), counts) + np.arange(total)
        rows["hash"][live] = ends - counts
        return np.array(self.memory[STATIC["hash"]]["v"][old], np.int64)

    def _set_hashes(self, values: npt.NDArray[np.int64]) -> None:
        table = aligned(max(len(values), 1), INTEGER)
        table["v"][: len(values)] = values
        self.memory.replace(STATIC["hash"], table)

    def _set_margin(self, most: int) -> None:
        """Blocks of hashes that one step may make known: of what it reads, and of a long prompt."""
        state = self["world"]
        chunk = max(pool.chunk for pool in self.pools) // self.system.hash_block
        most = max(most, int(self["sequence"]["hashes"].max()))
        state["margin"] = 2 * most + chunk + 16 if most else 0

    # The cache --------------------------------------------------------------------------

    def _first_entries(self) -> None:
        rows = max(4 * int(self["world"]["margin"][0]), 16)
        self.memory.replace(DYNAMIC["entry"], aligned(rows, DTYPES["entry"]))
        self._link_entries(0)

    def _link_entries(self, old: int) -> None:
        """Make the entries from row `old` on free, and fit the buckets to their number."""
        entries, state = self["entry"], self["world"]
        new = len(entries) - old
        entries["replica"][old:] = -1
        entries["chain"][old:] = np.arange(old + 2, len(entries) + 2)
        entries["chain"][-1] = state["free_entry"][0]
        state["free_entry"] = old + 1
        state["free_entries"] += new
        state["rows"] = len(entries)
        size = 1 << len(entries).bit_length()
        self.memory.replace(DYNAMIC["bucket"], aligned(size, INTEGER))
        state["buckets"] = size - 1
        operate(self.memory.m, REHASH)

    def _grow(self) -> None:
        """Double the table that is full."""
        state, memory = self["world"], self.memory
        if state["free_rows"][0] < 1:
            old = len(self["sequence"])
            memory.grow(DYNAMIC["sequence"], 2 * old)
            rows = self["sequence"]
            rows["next"][old:] = np.arange(old + 1, 2 * old + 1)
            state["free"], state["free_rows"] = old, old
        if state["free_entries"][0] < state["margin"][0]:
            old = len(self["entry"])
            memory.grow(DYNAMIC["entry"], 2 * old + int(state["margin"][0]))
            self._link_entries(old)

    # Running ----------------------------------------------------------------------------

    def run(self) -> int:
        """Run to the end and bring the statistics up to it; return DONE or ENDLESS."""
        while True:
            status = int(operate(self.memory.m, RUN))
            if status == HUNGRY:
                self._feed()
            elif status == FULL:
                self._grow()
            else:
                operate(self.memory.m, CLOSE)
                return status

    # Snapshots --------------------------------------------------------------------------

    def snapshot(self, identity: str) -> Snapshot:
        """Return a copy of the whole state, statistics apart."""
        kept = self._live_hashes()
        self._set_hashes(kept)
        arrays = self.memory.copy({k: v for k, v in DYNAMIC.items() if k not in _COUNTS})
        return Snapshot(
            identity, float(self["world"]["now"][0]), arrays | {"hash": np.asarray(kept)}
        )

    def restore(self, state: Snapshot, seed: int, replication: int, horizon: float) -> None:
        """Take a state over; statistics begin with it."""
        for name, slot in DYNAMIC.items():
            if name in _COUNTS:
                self.memory[slot].view(np.uint8)[:] = 0
            else:
                self.memory.replace(slot, _copied(state.arrays[name]))
        self._set_hashes(np.asarray(state.arrays["hash"], np.int64))
        world = self["world"]
        for name in _BOOKS:
            self["pool"][name] = 0
        world["until"], world["since"] = horizon, state.time
        world["seed"], world["replication"] = seed, replication
        ahead = self._changes_after(state.time)
        self.memory.replace(STATIC["change"], change_table(ahead))
        world["changes"], world["change"], world["recorded"] = len(ahead), 0, self.records
        world["ticks"], world["periods"] = self.ticks, len(self.edges) - 1
        world["period"] = 0
        self._chunks = self.requests(seed, replication)
        world["last"] = 0
        self._feed(state.time)
        operate(self.memory.m, GO_ON)

    def _changes_after(self, time: float) -> list[Change]:
        """Changes after a moment, after those that lead to what should hold then, but does not."""
        ordered = sorted(self.system.changes, key=lambda change: change.time)
        found = []
        for number, (pool, row) in enumerate(zip(self.pools, self["pool"], strict=True)):
            held = {COUNT: float(pool.replicas), CAP: np.inf, SPEED: 1.0}
            for change in ordered:
                if change.time <= time and change.pool == number and change.what in held:
                    held[change.what] = change.value
            for what, name in ((COUNT, "allowed"), (CAP, "cap"), (SPEED, "speed")):
                if held[what] != row[name]:
                    found.append(Change(time, number, what, held[what]))
        return found + [change for change in ordered if change.time > time]


def edges_of(system: System) -> Floats:
    """Edges of the report periods, s: one period if none are given."""
    return system.edges if len(system.edges) else np.array([0.0, system.horizon])


def change_table(changes: list[Change]) -> npt.NDArray[Any]:
    """Changes, in order of time, as a table."""
    table = aligned(max(len(changes), 1), CHANGE)
    for row, change in zip(table, changes, strict=False):
        row["time"], row["pool"], row["what"] = change.time, change.pool, change.what
        row["value"], row["seconds"] = change.value, change.seconds
    return table


def _copied(given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    table = aligned(len(given), given.dtype)
    table[:] = given
    return table


def law_table(pool: Pool) -> npt.NDArray[Any]:
    """Seconds and joules of steps of 0 to `chunk` tokens, beyond the law with its last slope."""
    law = pool.law
    at = np.arange(pool.chunk + 1, dtype=np.float64)
    table = aligned(len(at), LAW)
    for name, values in (("second", law.seconds), ("joule", law.joules)):
        table[name] = np.interp(at, law.tokens, values)
        beyond = at > law.tokens[-1]
        if beyond.any() and len(values) > 1:
            slope = (values[-1] - values[-2]) / (law.tokens[-1] - law.tokens[-2])
            table[name][beyond] = values[-1] + slope * (at[beyond] - law.tokens[-1])
    return table


def pool_fields(pool: Pool, system: System) -> dict[str, float]:
    """The fields of a pool's row but for where its tables begin."""
    law, scaling = pool.law, pool.scaling
    stride = max(int(pool.block / pool.progress), 1)
    found: dict[str, float] = {
        "replicas": pool.replicas,
        "sequences": pool.sequences,
        "chunk": pool.chunk,
        "block": pool.block,
        "blocks": int(law.kv_tokens // pool.block),
        "slack": 0 if pool.progress == 1.0 else int(pool.progress) + 1,
        "stride": min(stride, MOST_STRIDE),
        "routing": pool.routing,
        "cache": int(pool.prefix_cache),
        "per_hash": system.hash_block // pool.block,
        "width": pool.width,
        "progress": pool.progress,
        "overhead": law.overhead,
        "kv_second": law.kv_second,
        "pair_second": law.pair_second,
        "energy_step": law.energy_step,
        "kv_joule": law.kv_joule,
        "pair_joule": law.pair_joule,
        "idle": law.idle,
        "limit": law.limit,
        "startup": pool.startup,
        "failure_rate": 1.0 / pool.mtbf,
        "mttr": pool.mttr,
        "allowed": pool.replicas,
        "cap": np.inf,
        "speed": 1.0,
        "rate": -1.0,
        "down_rate": -1.0,
    }
    if scaling is not None:
        found |= {
            "scales": 1,
            "least": scaling.least,
            "target": scaling.target,
            "interval": scaling.interval,
            "startup": scaling.startup,
            "cooldown": scaling.cooldown,
            "tolerance": scaling.tolerance,
        }
    return found
