"""The memory of one running line: built from a system, reset for every replication."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from firsttoken.kernel import codes
from firsttoken.kernel.draws import (
    BLOCK,
    BLOCK_SLOT,
    STREAM_SLOT,
    STREAM_STATE,
    TABLE_SLOT,
    VALUE_SLOT,
)
from firsttoken.kernel.events import (
    CLOCK_SLOT,
    EVENT_SLOT,
    LATER_SLOT,
    WHEEL_SLOT,
    event_tables,
)
from firsttoken.kernel.memory import NUMBER, Memory, aligned, together
from firsttoken.kernel.parameters import draw_parameters
from firsttoken.kernel.sampling import mean
from firsttoken.kernel.sketch import BUCKETS
from firsttoken.line.compile_ways import plain_stations, what_steps_do
from firsttoken.line.cycles import buffers_form_circle
from firsttoken.line.engine import BEGIN, CLOSE, GO_ON, GUESS, RUN, operate
from firsttoken.line.levels import LevelPaths
from firsttoken.line.result import Snapshot
from firsttoken.line.state import (
    CHANGE,
    DONE,
    DTYPES,
    DYNAMIC,
    FULL,
    LEVEL_USER,
    STATIC,
    TRACE_FULL,
)
from firsttoken.line.system import TIMED, System

Floats = npt.NDArray[np.float64]

SPARE_LOTS: Final = 256
_STATE: Final = {
    **DYNAMIC,
    "clock": CLOCK_SLOT,
    "event": EVENT_SLOT,
    "later": LATER_SLOT,
    "wheel": WHEEL_SLOT,
    "stream": STREAM_SLOT,
}


class Machine:
    """One line with its state; a thread has one and uses it for one replication after the other.

    Parameters
    ----------
    system
        The compiled line.
    rule
        Address of the dispatch rule of one's own (in pure-Python mode the function), or None.
    trace
        Events that are traced at a time; 0: none.
    """

    def __init__(self, system: System, rule: Any = None, trace: int = 0) -> None:
        self.system = system
        self.levels = LevelPaths(system)
        self.trace_rows = trace
        self.trace: list[npt.NDArray[Any]] = []
        self.x = np.zeros(max(len(system.parameters.code), 1))
        self._lots = self._first_lots()
        self.memory = Memory(together(self._static() | self._dynamic()))
        if rule is not None:
            self._set_rule(rule)

    # Building ---------------------------------------------------------------------------

    def _first_lots(self) -> int:
        tables = self.system.tables
        return int(tables.wip["lots"].sum()) + 2 * self.margin + SPARE_LOTS

    @cached_property
    def margin(self) -> int:
        """Lots that one event may bring into the line."""
        tables = self.system.tables
        timed = tables.source["mode"] == TIMED
        most = int(tables.source["lots"].max(initial=1))
        made = int(self.levels.greatest_number(tables.take["amount"])) * max(len(tables.take), 1)
        pulled = sum(
            int(self.levels.greatest(int(source["level"]))) + 1
            for source in tables.source[~timed]
            if source["level"] >= 0
        )
        fed = sum(self._at_once(int(source["product"])) for source in tables.source[~timed])
        return most + made + pulled + fed + 8

    def _at_once(self, product: int) -> int:
        """Most lots that can start at the first station of a product at one moment."""
        tables = self.system.tables
        first = int(tables.product["step"][product])
        if first < 0:
            return 0
        station = tables.station[tables.step["station"][first]]
        rows = slice(int(station["family"]), int(station["family"] + station["families"]))
        load = max(1, int(tables.family["batch_max"][rows].max(initial=1)))
        return int(station["servers"]) * load

    def _static(self) -> dict[int, npt.NDArray[Any]]:
        tables = self.system.tables
        found: dict[int, npt.NDArray[Any]] = {}
        for name, slot in STATIC.items():
            given = getattr(tables, name, None)
            table = aligned(max(1 if given is None else len(given), 1), DTYPES[name])
            if given is not None:
                table[: len(given)] = given
            found[slot] = table
        found[STATIC["step"]]["does"][: len(tables.step)] = what_steps_do(tables)
        found[STATIC["station"]]["plain"][: len(tables.station)] = plain_stations(tables)
        over = aligned(max(len(tables.change), 1), DTYPES["change_over"])
        over["v"][: len(tables.change)] = tables.change
        found[STATIC["change_over"]] = over
        found[STATIC["change_mean"]] = aligned(len(over), NUMBER)
        found[STATIC["change"]] = aligned(1, CHANGE)
        edges = aligned(len(self.system.edges), NUMBER)
        edges["v"] = self.system.edges
        found[STATIC["edge"]] = edges
        users = self.levels.users
        table = aligned(max(len(users), 1), LEVEL_USER)
        for row, (kind, number, _) in enumerate(users):
            table[row]["kind"], table[row]["row"] = kind, number
        found[STATIC["level_user"]] = table
        return found

    def _dynamic(self) -> dict[int, npt.NDArray[Any]]:
        system, tables = self.system, self.system.tables
        pools, products = len(tables.pool), len(tables.product)
        stations, classes = len(tables.station), len(system.names.classes)
        periods = len(system.edges) - 1
        streams = max(len(tables.stream), 1)
        per_station = tables.station["servers"]
        sizes = {
            "line": 1,
            "lot": self._lots,
            "server": system.servers,
            "fault": int(np.sum(per_station * tables.station["failures"])),
            "care": int(np.sum(per_station * tables.station["maintenances"])),
            "queue": len(tables.family),
            "place": stations,
            "resource": pools + products,
            "lot_class": classes,
            "source_state": len(tables.source),
            "period": periods * classes,
            "period_pool": periods * (pools + products),
            "histogram": classes * BUCKETS,
            "count": len(tables.step),
            "mark": self._lots * system.marks,
            "tool": self._lots * system.tools,
            "agenda": stations + len(tables.source),
            "waiting": (pools + products) * stations,
            "state_time": stations * 8,
            "order_left": len(system.order_lots),
            "order_finished": len(system.order_lots),
            "trace": self.trace_rows,
        }
        self._fixed_events = (
            system.servers * 2 + sizes["fault"] + sizes["care"] + len(tables.source)
            + len(tables.family) + 64
        )  # fmt: skip
        found = {DYNAMIC[name]: aligned(max(size, 1), DTYPES[name]) for name, size in sizes.items()}
        found |= event_tables(self._fixed_events + 2 * self._lots)
        found[STREAM_SLOT] = aligned(streams, STREAM_STATE)
        found[BLOCK_SLOT] = aligned(streams * BLOCK, NUMBER)
        found[VALUE_SLOT] = aligned(len(self.x), NUMBER)
        pairs = system.parameters.table.reshape(-1)
        found[TABLE_SLOT] = aligned(max(len(pairs), 2), NUMBER)
        found[TABLE_SLOT]["v"][: len(pairs)] = pairs
        return found

    def _set_rule(self, rule: Any) -> None:
        if callable(rule):
            self.memory.m[STATIC["rule"]] = rule
        else:
            self.memory[STATIC["rule"]]["v"] = rule

    @property
    def now(self) -> float:
        """The clock, s from the start of the twin."""
        return float(self.memory[CLOCK_SLOT]["now"][0])

    # One replication --------------------------------------------------------------------

    def begin(self, seed: int, replication: int, horizon: float) -> None:
        """Set the state at time 0 of a replication."""
        self.prepare(seed, replication, horizon)
        operate(self.memory.m, BEGIN)

    def prepare(self, seed: int, replication: int, horizon: float) -> None:
        """Draw the parameters of a replication and clear the state."""
        self._draw(seed, replication)
        for slot in _STATE.values():
            if slot != STREAM_SLOT:
                self.memory[slot].view(np.uint8)[:] = 0
        self._set_clock(seed, replication)
        self._set_streams(self.memory[STREAM_SLOT])
        self._set_line(horizon)
        self.memory[DYNAMIC["order_left"]]["v"][: len(self.system.order_lots)] = (
            self.system.order_lots
        )
        self.memory[DYNAMIC["order_finished"]]["v"] = np.inf

    def _draw(self, seed: int, replication: int) -> None:
        if len(self.system.parameters.code):
            draw_parameters(self.system.parameters, seed, replication, self.x)
        self.memory[VALUE_SLOT]["v"] = self.x
        first, changes = self.levels.paths(self.x, seed, replication)
        self.memory[STATIC["level_user"]]["value"][: len(first)] = first
        if changes is not self.memory[STATIC["change"]]:
            self.memory.replace(STATIC["change"], changes)
        means = self.memory[STATIC["change_mean"]]
        means["v"][: len(self._change_streams)] = self._change_times()

    @cached_property
    def _change_streams(self) -> npt.NDArray[np.int64]:
        return self.system.tables.change.astype(np.int64)

    def _change_times(self) -> Floats:
        """Expected set-up times, one an entry of `change`."""
        means = np.zeros(len(self._change_streams))
        for row, stream in enumerate(self._change_streams):
            if stream >= 0:
                means[row] = self._stream_mean(int(stream))
        return means

    def _stream_mean(self, stream: int) -> float:
        given = self.system.tables.stream[stream]
        p = int(given["parameter"])
        if p < 0:
            return 0.5
        parameters = self.system.parameters
        if not given["each"]:
            return float(self.x[p])
        return mean(int(parameters.code[p]), parameters.args[p], parameters.table)

    def _set_clock(self, seed: int, replication: int) -> None:
        clock = self.memory[CLOCK_SLOT]
        clock["seed"], clock["replication"] = seed, replication

    def _set_streams(self, table: npt.NDArray[Any]) -> None:
        """Set the distributions of streams; what is drawn once a replication is a constant."""
        given = self.system.tables.stream
        n = len(given)
        table[:] = np.zeros(1, STREAM_STATE)
        table["used"] = BLOCK
        table["rows"] = len(self.system.parameters.table)
        if not n:
            return
        parameters = self.system.parameters
        p = given["parameter"]
        drawn = (given["each"] != 0) & (p >= 0) & (parameters.code[p] < codes.SUM)
        table["code"][:n] = np.where(drawn, parameters.code[p], codes.CONSTANT)
        for column, name in enumerate("abcd"):
            table[name][:n] = np.where(drawn, parameters.args[p, column], 0.0)
        table["a"][:n] = np.where(drawn, table["a"][:n], self.x[p])
        chance = p < 0
        table["code"][:n][chance] = codes.UNIFORM
        table["a"][:n][chance], table["b"][:n][chance] = 0.0, 1.0
        table["entity"][:n] = given["entity"]
        table["purpose"][:n] = given["purpose"]

    @cached_property
    def _cyclic(self) -> int:
        return int(buffers_form_circle(self.system.tables))

    def _set_line(self, horizon: float) -> None:
        system, tables = self.system, self.system.tables
        line = self.memory[DYNAMIC["line"]]
        sizes = {
            "until": horizon,
            "warmup": system.warmup,
            "free_lots": self._lots,
            "margin": self.margin,
            "cyclic": self._cyclic,
            "changes": self.levels.count,
            "trace_rows": self.trace_rows,
            "mark": system.marks,
            "tool": system.tools,
            "stations": len(tables.station),
            "pools": len(tables.pool),
            "products": len(tables.product),
            "classes": len(system.names.classes),
            "sources": len(tables.source),
            "families": len(tables.family),
            "servers": system.servers,
            "steps": len(tables.step),
            "users": len(self.levels.users),
            "wip": len(tables.wip),
            "periods": len(system.edges) - 1,
        }
        for name, size in sizes.items():
            line[name] = size

    def run(self) -> int:
        """Run to the horizon; return DONE, DEADLOCK or ENDLESS."""
        while True:
            status = operate(self.memory.m, RUN)
            if status == FULL:
                self._grow()
            elif status == TRACE_FULL:
                self.flush()
            else:
                if status == DONE:
                    operate(self.memory.m, CLOSE)
                self.flush()
                return int(status)

    def flush(self) -> None:
        """Keep the trace written so far."""
        line = self.memory[DYNAMIC["line"]]
        rows = int(line["traced"][0])
        if rows:
            self.trace.append(self.memory[DYNAMIC["trace"]][:rows].copy())
            line["traced"] = 0

    def _grow(self) -> None:
        """Double the table of lots, with what belongs to each lot."""
        more = self._lots
        old, self._lots = self._lots, self._lots + more
        memory, system = self.memory, self.system
        memory.grow(DYNAMIC["lot"], self._lots)
        memory.grow(DYNAMIC["mark"], max(self._lots * system.marks, 1))
        memory.grow(DYNAMIC["tool"], max(self._lots * system.tools, 1))
        for slot in (EVENT_SLOT, LATER_SLOT):
            memory.grow(slot, self._fixed_events + 2 * self._lots)
        line = memory[DYNAMIC["line"]]
        lots = memory[DYNAMIC["lot"]]
        lots["next"][old:] = np.arange(old + 1, self._lots + 1)
        lots["next"][self._lots - 1] = line["free"][0]
        line["free"] = old
        line["free_lots"] += more

    # Snapshots --------------------------------------------------------------------------

    def snapshot(self, identity: str) -> Snapshot:
        """Return a copy of the whole state."""
        arrays = self.memory.copy(_STATE)
        arrays["value"] = self.memory[VALUE_SLOT].copy()
        return Snapshot(identity, float(self.memory[CLOCK_SLOT]["now"][0]), arrays)

    def restore(
        self,
        snapshot: Snapshot,
        seed: int,
        replication: int,
        horizon: float,
        *,
        redraw: bool = False,
    ) -> None:
        """Take a state over; from here on the numbers are those of a replication of its own.

        Parameters
        ----------
        redraw
            Draw what nobody knows at that moment anew, such as when work in hand will end.
        """
        memory = self.memory
        for name, slot in _STATE.items():
            given = snapshot.arrays[name]
            if len(memory[slot]) == len(given):
                memory[slot][:] = given
            else:
                memory.replace(slot, _copied(given))
        self._lots = len(memory[DYNAMIC["lot"]])
        self._draw(seed, replication)
        self._set_clock(seed, replication)
        streams = memory[STREAM_SLOT]
        drawn = streams["drawn"].copy()
        self._set_streams(streams)
        streams["drawn"] = drawn
        line = memory[DYNAMIC["line"]]
        line["until"] = horizon
        line["changes"] = self.levels.count
        line["change"] = self._set_levels(snapshot.time)
        operate(memory.m, GUESS if redraw else GO_ON)

    def _set_levels(self, now: float) -> int:
        """Set the levels to those of a moment; return how many changes lie before it."""
        changes = self.memory[STATIC["change"]][: self.levels.count]
        users = self.memory[STATIC["level_user"]]
        past = int(np.searchsorted(changes["time"], now, "right"))
        for change in changes[:past]:
            users["value"][change["level"]] = change["value"]
        return past


def _copied(given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    table = aligned(len(given), given.dtype)
    table[:] = given
    return table
