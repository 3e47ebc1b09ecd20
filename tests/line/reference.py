"""A plain, slow simulator of lines whose times are all constant: what the engine is held against.

It shares nothing with the engine: lists, one heap of events, and after each event a loop that does
whatever has become possible until nothing is.  Stations have parallel servers, limited buffers with
blocking after service, failures by the clock and by work, maintenance by the calendar, by loads and
by pieces, batches, set-ups with minimum runs; lots go along routes with transport and priorities
and are released on time, by CONWIP or to keep a backlog.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

STATES = ("starved", "working", "setup", "blocked", "down", "maintenance")


@dataclass
class Failure:
    mtbf: float
    mttr: float
    by_work: bool


@dataclass
class Care:
    """Maintenance: `every` seconds, loads or pieces, as `clock` says."""

    clock: str
    every: float
    takes: float


@dataclass
class Batch:
    minimum: int
    maximum: int
    wait: float | None


@dataclass
class StationPlan:
    servers: int = 1
    buffer: int | None = None
    failures: list[Failure] = field(default_factory=list)
    cares: list[Care] = field(default_factory=list)
    batch: Batch | None = None
    setups: dict[str, float] = field(default_factory=dict)
    min_run: dict[str, int] = field(default_factory=dict)


@dataclass
class StepPlan:
    station: str
    time: float
    transport: float = 0.0
    per_piece: bool = False
    setup: str | None = None
    crew: tuple[str, int] | None = None
    """A skill and how many are needed; of the pools that have it, the first that has enough."""


@dataclass
class ProductPlan:
    """`release` is `every`, `wip` or `backlog`, `value` its number."""

    route: list[StepPlan]
    release: str
    value: float
    pieces: int = 1
    lots: int = 1
    first: float = 0.0
    priority: float = 10


@dataclass
class LinePlan:
    """Pools are given by the people they have and their skill."""

    stations: dict[str, StationPlan]
    products: dict[str, ProductPlan]
    pools: dict[str, tuple[int, str]] = field(default_factory=dict)

    def declared(self, warmup: float) -> dict[str, Any]:
        """The line as it stands in a twin file."""
        return {
            "warmup": f"{warmup} s",
            "stations": {name: _station(plan) for name, plan in self.stations.items()},
            "products": {name: _product(name, plan) for name, plan in self.products.items()},
            "pools": {
                name: {"count": count, "skills": [skill]}
                for name, (count, skill) in self.pools.items()
            },
        }


def _station(plan: StationPlan) -> dict[str, Any]:
    found: dict[str, Any] = {"servers": plan.servers, "min_run": plan.min_run}
    if plan.buffer is not None:
        found["buffer"] = plan.buffer
    found["failures"] = {
        f"f{i}": {
            "mtbf": f"{f.mtbf} s",
            "mttr": f"{f.mttr} s",
            "counts": "operation" if f.by_work else "time",
        }
        for i, f in enumerate(plan.failures)
    }
    found["maintenance"] = {
        f"m{i}": {
            "takes": f"{c.takes} s",
            **({"every": f"{c.every} s"} if c.clock == "time" else {f"every_{c.clock}": c.every}),
        }
        for i, c in enumerate(plan.cares)
    }
    if plan.batch:
        found["batch"] = {"minimum": plan.batch.minimum, "maximum": plan.batch.maximum}
        if plan.batch.wait is not None:
            found["batch"]["wait"] = f"{plan.batch.wait} s"
    found["setups"] = [{"to": to, "time": f"{time} s"} for to, time in plan.setups.items()]
    return found


def _product(name: str, plan: ProductPlan) -> dict[str, Any]:
    route = [
        {
            "name": f"step{i}",
            "station": step.station,
            "time": f"{step.time} s",
            "per": "piece" if step.per_piece else "load",
            "transport": f"{step.transport} s",
            **({"setup": step.setup} if step.setup else {}),
            **({"crew": dict([step.crew])} if step.crew else {}),
        }
        for i, step in enumerate(plan.route)
    ]
    release: dict[str, Any] = {"priority": plan.priority, "first": f"{plan.first} s"}
    release[plan.release] = f"{plan.value} s" if plan.release == "every" else int(plan.value)
    release["lots"] = plan.lots
    return {"pieces": plan.pieces, "route": route, "releases": {name: release}}


@dataclass(eq=False)
class Lot:
    product: str
    released: float
    at: int = -1
    target: int = 0
    arrived: float = 0.0
    server: Server | None = None


@dataclass(eq=False)
class Server:
    station: Station
    load: list[Lot] = field(default_factory=list)
    stuck: list[Lot] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    """States of the operation in hand and when each ends; while down, how long each still lasts."""
    operation: int = 0
    stopped: int = 0
    broken: int = 0
    setup: str | None = None
    run: int = 0
    due: set[int] = field(default_factory=set)
    crew: tuple[str, int] | None = None
    to_failure: list[float] = field(default_factory=list)
    to_care: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Station:
    plan: StationPlan
    queue: list[Lot] = field(default_factory=list)
    coming: int = 0
    blocked: deque[Lot] = field(default_factory=deque)
    servers: list[Server] = field(default_factory=list)
    idle: list[Server] = field(default_factory=list)
    operations: int = 0
    waits: int = 0
    waited: float = 0.0
    queue_area: float = 0.0
    state_area: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STATES, 0.0))


@dataclass(eq=False)
class Tally:
    lots: int = 0
    released: int = 0
    finished: int = 0
    cycle: float = 0.0
    area: float = 0.0


class Reference:
    """One run of a line.

    Attributes
    ----------
    stations, tallies : by name of the station, and of the product; sums from the warm-up on.
    """

    def __init__(self, plan: LinePlan, horizon: float, warmup: float) -> None:
        self.plan, self.horizon, self.warmup = plan, horizon, warmup
        self.now = 0.0
        self.events: list[tuple[float, int, Any]] = []
        self.order = itertools.count()
        self.stations = {name: Station(station) for name, station in plan.stations.items()}
        self.tallies = {name: Tally() for name in plan.products}
        self.free = {name: count for name, (count, _) in plan.pools.items()}
        for station in self.stations.values():
            for _ in range(station.plan.servers):
                self._new_server(station)
        for name, product in plan.products.items():
            if product.release == "every":
                self._at(product.first, self._timed_release, name)

    def _new_server(self, station: Station) -> None:
        server = Server(station)
        station.servers.append(server)
        station.idle.append(server)
        for i, failure in enumerate(station.plan.failures):
            server.to_failure.append(failure.mtbf)
            if not failure.by_work:
                self._at(failure.mtbf, self._fail, server, i)
        for i, care in enumerate(station.plan.cares):
            server.to_care.append(care.every)
            if care.clock == "time":
                self._at(care.every, self._calendar_care, server, i)

    def _at(self, time: float, act: Any, *arguments: Any) -> None:
        heapq.heappush(self.events, (time, next(self.order), (act, arguments)))

    # Time ---------------------------------------------------------------------------------

    def run(self) -> None:
        self._settle()
        while self.events and self.events[0][0] <= self.horizon:
            time, _, (act, arguments) = heapq.heappop(self.events)
            self._pass(time)
            act(*arguments)
            self._settle()
        self._pass(self.horizon)

    def _pass(self, time: float) -> None:
        """Let time pass; sums begin anew at the end of the warm-up."""
        if self.now < self.warmup <= time:
            self.now = self.warmup
            for tally in self.tallies.values():
                tally.released = tally.finished = 0
                tally.cycle = tally.area = 0.0
            for station in self.stations.values():
                station.operations = station.waits = 0
                station.waited = station.queue_area = 0.0
                station.state_area = dict.fromkeys(STATES, 0.0)
        span = time - self.now
        for tally in self.tallies.values():
            tally.area += tally.lots * span
        for station in self.stations.values():
            station.queue_area += len(station.queue) * span
            for server in station.servers:
                self._spend(server, time)
        self.now = time

    def _spend(self, server: Server, time: float) -> None:
        area = server.station.state_area
        if server.stopped:
            area["down" if server.broken else "maintenance"] += time - self.now
        elif server.load:
            begun = self.now
            for state, end in server.phases:
                until = max(begun, min(time, end))
                area[state] += until - begun
                begun = until
        else:
            area["blocked" if server.stuck else "starved"] += time - self.now

    # Lots ---------------------------------------------------------------------------------

    def _timed_release(self, product: str) -> None:
        for _ in range(self.plan.products[product].lots):
            self._release(product)
        self._at(self.now + self.plan.products[product].value, self._timed_release, product)

    def _release(self, product: str) -> None:
        self.tallies[product].lots += 1
        self.tallies[product].released += 1
        self._send(Lot(product, self.now), 0)

    def _send(self, lot: Lot, target: int) -> bool:
        """Send a lot to a step of its route; False if it must wait for room."""
        route = self.plan.products[lot.product].route
        if target == len(route):
            tally = self.tallies[lot.product]
            tally.lots -= 1
            tally.finished += 1
            tally.cycle += self.now - lot.released
            return True
        station = self.stations[route[target].station]
        if self._has_room(station):
            self._move(lot, target)
            return True
        lot.target = target
        station.blocked.append(lot)
        return False

    def _has_room(self, station: Station) -> bool:
        limit = station.plan.buffer
        return limit is None or len(station.queue) + station.coming < limit + len(station.idle)

    def _move(self, lot: Lot, target: int) -> None:
        lot.at = target
        transport = self._step(lot).transport
        if transport > 0:
            self.stations[self._step(lot).station].coming += 1
            self._at(self.now + transport, self._arrive, lot, 1)
        else:
            self._arrive(lot, 0)

    def _arrive(self, lot: Lot, coming: int) -> None:
        station = self.stations[self._step(lot).station]
        station.coming -= coming
        lot.arrived = self.now
        station.queue.append(lot)
        station.queue.sort(key=self._rank)  # stable: equals stay in order
        if station.plan.batch and station.plan.batch.wait is not None:
            self._at(self.now + station.plan.batch.wait, lambda: None)

    def _step(self, lot: Lot) -> StepPlan:
        return self.plan.products[lot.product].route[lot.at]

    def _rank(self, lot: Lot) -> tuple[float, float]:
        return -self.plan.products[lot.product].priority, lot.arrived

    # What is possible ---------------------------------------------------------------------

    def _settle(self) -> None:
        """Do what has become possible, until nothing is."""
        more = True
        while more:
            more = self._pull()
            for station in self.stations.values():
                more = self._serve(station) or more

    def _pull(self) -> bool:
        done = False
        for name, product in self.plan.products.items():
            station = self.stations[product.route[0].station]
            while (product.release == "wip" and self.tallies[name].lots < product.value) or (
                product.release == "backlog"
                and len(station.queue) + station.coming + len(station.blocked) < product.value
            ):
                self._release(name)
                done = True
        return done

    def _serve(self, station: Station) -> bool:
        done = False
        while self._start(station):
            done = True
        while station.blocked and self._has_room(station):
            lot = station.blocked.popleft()
            self._move(lot, lot.target)
            if lot.server is not None:
                lot.server.stuck.remove(lot)
                if not lot.server.stuck:
                    self._free(lot.server)
                lot.server = None
            done = True
        return done

    def _start(self, station: Station) -> bool:
        """Start the load of the lot that is first, on the server that has been idle longest."""
        kinds: dict[Any, list[Lot]] = {}
        for lot in station.queue:
            kinds.setdefault(self._kind(station, lot), []).append(lot)
        choice = min(
            (
                (self._rank(lots[0]), number, lots, server)
                for number, server in enumerate(station.idle)
                for lots in kinds.values()
                if self._may_start(station, lots, server)
            ),
            key=lambda row: row[:2],
            default=None,
        )
        if choice is None:
            return False
        _, _, lots, server = choice
        load = self._load(station, lots)
        station.idle.remove(server)
        for lot in load:
            station.queue.remove(lot)
            station.waits += 1
            station.waited += self.now - lot.arrived
        self._work(server, load)
        return True

    def _kind(self, station: Station, lot: Lot) -> Any:
        """Lots of one kind stand in one queue."""
        if station.plan.batch:
            return lot.product, lot.at
        return self._step(lot).setup, self._step(lot).crew

    def _may_start(self, station: Station, lots: list[Lot], server: Server) -> bool:
        batch = station.plan.batch
        if batch:
            first = min(lot.arrived for lot in lots)
            late = batch.wait is not None and self.now >= first + batch.wait
            if not late and self._pieces(lots) < batch.minimum:
                return False
        if self._step(lots[0]).crew and not self._pool(lots[0]):
            return False
        setup = self._step(lots[0]).setup
        if setup is None or server.setup is None or setup == server.setup:
            return True
        return server.run >= station.plan.min_run.get(server.setup, 0)

    def _load(self, station: Station, lots: list[Lot]) -> list[Lot]:
        load = lots[:1]
        if station.plan.batch:
            for lot in lots[1:]:
                if self._pieces([*load, lot]) > station.plan.batch.maximum:
                    break
                load.append(lot)
        return load

    def _pool(self, lot: Lot) -> str | None:
        """The first pool that can serve a lot now."""
        skill, count = self._step(lot).crew or ("", 0)
        able = (name for name, (_, has) in self.plan.pools.items() if has == skill)
        return next((name for name in able if self.free[name] >= count), None)

    def _pieces(self, lots: list[Lot]) -> int:
        return sum(self.plan.products[lot.product].pieces for lot in lots)

    # Servers ------------------------------------------------------------------------------

    def _work(self, server: Server, load: list[Lot]) -> None:
        plan, step = server.station.plan, self._step(load[0])
        setup = repair = 0.0
        server.run += 1
        if step.crew:
            server.crew = str(self._pool(load[0])), step.crew[1]
            self.free[server.crew[0]] -= step.crew[1]
        if step.setup is not None and step.setup != server.setup:
            setup = plan.setups.get(step.setup, 0.0)
            server.setup, server.run = step.setup, 1
        work = step.time * (self._pieces(load) if step.per_piece else 1)
        for i, failure in enumerate(plan.failures):
            if failure.by_work:
                rest = work
                while server.to_failure[i] < rest:
                    rest -= server.to_failure[i]
                    repair += failure.mttr
                    server.to_failure[i] = failure.mtbf
                server.to_failure[i] -= rest
        server.load = load
        ends = itertools.accumulate([self.now + setup, repair, work])
        server.phases = list(zip(("setup", "down", "working"), ends, strict=True))
        self._finish_later(server)

    def _finish_later(self, server: Server) -> None:
        server.operation += 1
        self._at(server.phases[-1][1], self._finish, server, server.operation)

    def _finish(self, server: Server, operation: int) -> None:
        if server.stopped or operation != server.operation:
            return  # it was interrupted
        station, load = server.station, server.load
        server.load = []
        station.operations += 1
        if server.crew:
            self.free[server.crew[0]] += server.crew[1]
            server.crew = None
        for i, care in enumerate(station.plan.cares):
            if care.clock != "time":
                server.to_care[i] -= 1 if care.clock == "loads" else self._pieces(load)
                if server.to_care[i] <= 0:
                    server.due.add(i)
        for lot in load:
            if not self._send(lot, lot.at + 1):
                lot.server = server
                server.stuck.append(lot)
        if not server.stuck:
            self._free(server)

    def _free(self, server: Server) -> None:
        """A server without a load is maintained if that is due, else idle."""
        if server.stopped:
            return
        if not server.due:
            server.station.idle.append(server)
            return
        i = min(server.due)
        server.due.remove(i)
        care = server.station.plan.cares[i]
        server.to_care[i] = care.every
        self._stop(server)
        self._at(self.now + care.takes, self._go_on, server)

    def _stop(self, server: Server) -> None:
        server.stopped += 1
        if server.stopped == 1:
            server.operation += 1
            server.phases = [(state, max(end - self.now, 0.0)) for state, end in server.phases]

    def _go_on(self, server: Server) -> None:
        server.stopped -= 1
        if server.stopped:
            return
        if server.load:
            server.phases = [(state, self.now + left) for state, left in server.phases]
            self._finish_later(server)
        elif not server.stuck:
            self._free(server)

    def _fail(self, server: Server, i: int) -> None:
        if server in server.station.idle:
            server.station.idle.remove(server)
        server.broken += 1
        self._stop(server)
        self._at(self.now + server.station.plan.failures[i].mttr, self._repaired, server, i)

    def _repaired(self, server: Server, i: int) -> None:
        server.broken -= 1
        self._at(self.now + server.station.plan.failures[i].mtbf, self._fail, server, i)
        self._go_on(server)

    def _calendar_care(self, server: Server, i: int) -> None:
        self._at(self.now + server.station.plan.cares[i].every, self._calendar_care, server, i)
        server.due.add(i)
        if server in server.station.idle:
            server.station.idle.remove(server)
            self._free(server)


def mean(total: float, count: int) -> float:
    """A mean, NaN of nothing."""
    return total / count if count else math.nan
