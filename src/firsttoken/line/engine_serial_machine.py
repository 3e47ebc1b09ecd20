"""A plain serial line with its state: a machine whose replications a recursion runs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.kernel import codes
from firsttoken.kernel.memory import INTEGER, NUMBER, aligned
from firsttoken.line.engine_serial import recur
from firsttoken.line.engine_serial_lines import route_of
from firsttoken.line.engine_serial_state import GATE, PASSING, RUN, SERIAL, SLOTS, STOP
from firsttoken.line.machine import Machine
from firsttoken.line.state import DONE, DYNAMIC, FULL, STATIC
from firsttoken.line.system import BACKLOG, BY_WORK, ORDER, TIMED, WIP, System
from firsttoken.twin.findings import BalanceError

RUNS = 128
"""Active periods that a station may have waiting, at first."""
EXACT = 1e-9
"""Share of the statistics' time by which the books of time may differ, from rounding."""


class SerialMachine(Machine):
    """A machine of a line that :func:`is_serial` has found plain.

    A replication whose times are not all positive, or whose targets change, takes the event
    engine, which sees what happens at one moment.

    Parameters
    ----------
    system
        The compiled line.
    """

    def __init__(self, system: System) -> None:
        self._route = route_of(system) or []
        self._capacity = RUNS
        self._level = 0
        self._by_recursion = True
        self._address = 0, 0, 0.0
        super().__init__(system)
        self._positive = self._draws_positive()
        self._once = system.tables.stream["parameter"][system.tables.stream["each"] == 0]
        self._once = self._once[self._once >= 0]
        self._stops = self._first_stops()
        self._serial = self._first_serial()

    # Building ---------------------------------------------------------------------------

    def _dynamic(self) -> dict[int, npt.NDArray[Any]]:
        tables = self.system.tables
        found = super()._dynamic()
        count = len(self._route)
        buffers = np.maximum(tables.station["buffer"], 0)
        sizes = {
            "passing": (1, PASSING),
            "serial": (count, SERIAL),
            "stop": (max(len(tables.failure), 1), STOP),
            "gate": (len(tables.source), GATE),
            "run": (count * self._capacity, RUN),
            "ring": (max(int(buffers.sum()), 1), NUMBER),
            "echo": (1, NUMBER),
            "way": (len(tables.product) * count, INTEGER),
            "free": (int(tables.station["servers"].sum()), NUMBER),
        }
        found |= {SLOTS[name]: aligned(rows, dtype) for name, (rows, dtype) in sizes.items()}
        self._set_ways(found[SLOTS["way"]]["v"].reshape(len(tables.product), count))
        return found

    def _set_ways(self, ways: npt.NDArray[np.int64]) -> None:
        """Streams of processing times by product and position in the line."""
        tables = self.system.tables
        for product in np.unique(tables.source["product"]):
            first = tables.product["step"][product]
            ways[product] = tables.step["time"][first : first + len(self._route)]

    def _first_serial(self) -> npt.NDArray[Any]:
        """The stations before the first lot."""
        found = self.memory[SLOTS["serial"]].copy()
        station = self.system.tables.station[self._route]
        places = np.maximum(station["buffer"], 0)
        found["row"] = self._route
        found["servers"] = station["servers"]
        found["free"] = np.cumsum(station["servers"]) - station["servers"]
        found["buffer"] = station["buffer"]
        found["ring"] = np.cumsum(places) - places
        found["joins"] = station["buffer"] != 0
        if self.system.tables.source["mode"][0] == WIP:
            found["joins"][-1] = 0  # what leaves calls another lot first
        by_work = self.system.tables.failure["clock"] == BY_WORK
        first = 0
        for row, given in zip(found, station, strict=True):
            own = slice(given["failure"], given["failure"] + given["failures"])
            row["worn_out"], row["worn_outs"] = first, by_work[own].sum()
            row["stop"] = first + row["worn_outs"]
            row["stops"] = given["failures"] - row["worn_outs"]
            first += given["failures"]
        return found

    def _first_stops(self) -> npt.NDArray[Any]:
        """Kinds of failure of each station: those by working time, then those by the clock."""
        found = self.memory[SLOTS["stop"]].copy()
        tables = self.system.tables
        order: list[int] = []
        for given in tables.station[self._route]:
            own = np.arange(given["failure"], given["failure"] + given["failures"])
            by_work = tables.failure["clock"][own] == BY_WORK
            order += [*own[by_work], *own[~by_work]]
        failure = tables.failure[order]
        rows = found[: len(order)]
        rows["mtbf"], rows["mttr"] = failure["mtbf"], failure["mttr"]
        rows["first"] = np.where(failure["first"] >= 0, failure["first"], failure["mtbf"])
        return found

    @cached_property
    def _transports(self) -> npt.NDArray[np.int64]:
        """Parameters of the times of transport to the stations; -1: none."""
        step, stream = self.system.tables.step, self.system.tables.stream
        given = [int(step["transport"][step["station"] == s][0]) for s in self._route]
        rows = [int(stream["parameter"][k]) if k >= 0 else -1 for k in given]
        return np.array(rows, np.int64)

    def _draws_positive(self) -> bool:
        """Tell whether all times that are drawn at each use are positive."""
        parameters, stream = self.system.parameters, self.system.tables.stream
        for row in np.unique(stream["parameter"][stream["each"] != 0]):
            if parameters.code[row] in (codes.DISCRETE, codes.EMPIRICAL):
                first, count = parameters.args[row, :2].astype(int)
                if parameters.table[first : first + count, 0].min() <= 0.0:
                    return False
            elif parameters.code[row] == codes.NORMAL:
                return False
        return True

    # One replication --------------------------------------------------------------------

    def begin(self, seed: int, replication: int, horizon: float) -> None:
        """Set the state at time 0 of a replication."""
        self._address = seed, replication, horizon
        self.prepare(seed, replication, horizon)
        self._by_recursion = self._fits()
        if not self._by_recursion:
            super().begin(seed, replication, horizon)

    def run(self) -> int:
        """Run to the horizon; return DONE, or with the event engine DEADLOCK or ENDLESS."""
        if not self._by_recursion:
            return super().run()
        self._place()
        while recur(self.memory.m) == FULL:
            self._capacity *= 2
            self.memory.grow(SLOTS["run"], len(self._route) * self._capacity)
            self.prepare(*self._address)
            self._place()
        self.check_time()
        return int(DONE)

    def _fits(self) -> bool:
        """Tell whether all times of this replication are positive, and targets stay."""
        if self.system.tables.source["mode"][0] in (BACKLOG, WIP):
            self._level = int(self.memory[STATIC["level_user"]]["value"][0])
        return bool(self._positive and np.all(self.x[self._once] > 0.0) and not self.levels.count)

    def _place(self) -> None:
        """Fill the tables of the recursion, of which only the ways stay."""
        memory = self.memory
        for name in ("passing", "gate", "run", "ring", "echo", "free"):
            memory[SLOTS[name]].view(np.uint8)[:] = 0
        if len(memory[SLOTS["echo"]]) < self._level:
            memory.replace(SLOTS["echo"], aligned(self._level, NUMBER))
        source = self.system.tables.source[0]
        passing = memory[SLOTS["passing"]]
        passing["until"] = memory[DYNAMIC["line"]]["until"]
        passing["warmup"] = self.system.warmup
        passing["stations"] = len(self._route)
        passing["capacity"] = self._capacity
        passing["pieces"] = self.system.tables.product["pieces"][source["product"]]
        passing["mode"] = TIMED if source["mode"] == ORDER else source["mode"]
        passing["level"] = self._level
        memory[SLOTS["stop"]][:] = self._stops
        serial = memory[SLOTS["serial"]]
        serial[:] = self._serial
        serial["runs"] = np.arange(len(serial)) * self._capacity
        moved = self._transports >= 0
        serial["transport"][moved] = self.x[self._transports[moved]]

    # The books of time ------------------------------------------------------------------

    def check_time(self) -> None:
        """The time that lots spend in the line is what stations and ways have of them.

        Raises `BalanceError` if it is not, or if the states of a server do not fill its time:
        both sides are summed up apart, the one by lots, the other by stations.
        """
        state = self.memory[SLOTS["passing"]][0]
        station = self.memory[SLOTS["serial"]]
        lots = self.memory[DYNAMIC["lot_class"]][: len(self.system.names.classes)]
        span = (state["until"] - state["warmup"]) * station["servers"]
        spent = station["work"] + station["worn"] + station["down"] + station["blocked"]
        spent = spent + station["idle"] - station["idle_down"]
        states = (station["work"], station["blocked"], station["idle"] - station["idle_down"])
        slack = EXACT * span
        if np.any(np.abs(spent - span) > slack) or any(np.any(s < -slack) for s in states):
            raise BalanceError("the states of a server do not fill its time")
        held = station["wait"] + station["queue"] + span - station["idle"]
        held = float(held.sum() + state["outside"] + state["moving"])
        in_line = float((lots["area"] + lots["lots"] * state["until"]).sum())
        if abs(held - in_line) > EXACT * max(span.sum(), in_line):
            raise BalanceError("the time of the lots is not the time that stations have of them")
