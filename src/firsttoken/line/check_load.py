"""Checks of a line: what timed releases ask of stations, crews and budgets, in the mean.

By Little's law (Little, A proof for the queuing formula L = lambda W, Operations Research 9 (1961)
383-387) the mean number of busy servers is the rate of operations times their mean time.  A line
that is asked for more than it has never catches up.  What is said here is a lower bound: loads
are full, change-overs take no time and nobody waits, so a warning is never a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from firsttoken.line import model
from firsttoken.line.check_capacity import open_week, unit_of
from firsttoken.line.check_routes import SHIPPED, Route
from firsttoken.line.check_view import View
from firsttoken.line.compile_routes import RESTART_WORD, Visit
from firsttoken.twin.dates import DAY

_WEEK = 7 * DAY
_SWEEPS = 10_000

Key = TypeVar("Key")


@dataclass(slots=True)
class Load:
    """What is asked of a line, in the mean.

    Attributes
    ----------
    servers, budgets : busy servers and drawn amounts (SI), by name.
    crews : busy people, by the pools that can serve them.
    pieces, loads : through each station, per s.
    longest : mean time of the longest operation at each station and with each pool in s.
    """

    servers: dict[str, float] = field(default_factory=dict)
    budgets: dict[str, float] = field(default_factory=dict)
    crews: dict[tuple[str, ...], float] = field(default_factory=dict)
    pieces: dict[str, float] = field(default_factory=dict)
    loads: dict[str, float] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)


class Work:
    """Mean times of the operations of one route.

    Attributes
    ----------
    visits : mean number of visits of each step by a lot that starts.
    times : mean time of an operation in s, attempts on the spot and repairs included.
    finished : share of the lots that are finished.
    """

    def __init__(self, view: View, product: str) -> None:
        self.view, self.route = view, Route(view, product)
        self.pieces = view.line.products[product].pieces
        self.times = [self._time(visit) for visit in self.route.visits]
        self.visits, self.finished = self._flow()

    @property
    def raw(self) -> float:
        """Mean processing time of a lot in s; nan if it is not known."""
        return sum(n * self.needed(v) * t for n, v, t in self)

    def needed(self, visit: Visit) -> float:
        """Share of the lots that need a step they come to."""
        return 1.0 if visit.step.share is None else self.view.mean(visit.step.share)

    def __iter__(self) -> zip[tuple[float, Visit, float]]:
        return zip(self.visits, self.route.visits, self.times, strict=True)

    def _flow(self) -> tuple[list[float], float]:
        """Visits and finished lots per lot that starts: sweeps until they settle."""
        moves = self.route.moves
        total, finished = [0.0] * len(moves), 0.0
        waiting = [1.0, *[0.0] * (len(moves) - 1)]
        for _ in range(_SWEEPS):
            for position, here in enumerate(moves):
                lots, waiting[position] = waiting[position], 0.0
                if lots == 0:
                    continue
                total[position] += lots
                for move in here:
                    if move.to >= 0:
                        waiting[move.to] += lots * move.chance
                    elif move.to == SHIPPED:
                        finished += lots * move.chance
            if not sum(waiting) > 1e-9:
                return total, finished
        return [math.nan] * len(moves), math.nan

    def _mean(self, visit: Visit, name: str, unit: str = "s") -> float:
        value = visit.work(name)[2]
        return 0.0 if value is None else self.view.mean(value, unit)

    def once(self, visit: Visit) -> float:
        """Mean time of one attempt in s."""
        time = self._mean(visit, "time")
        if visit.work("per")[2] == "piece":
            time *= self.pieces
        tasks: model.Tasks | None = visit.work("tasks")[2]
        if tasks is not None:
            mean = self.view.mean
            missed = (1 - mean(tasks.success)) * mean(tasks.recovery, "s")
            time += mean(tasks.count, "each") * (mean(tasks.time, "s") + missed)
        return self._mean(visit, "load") + time + self._mean(visit, "unload")

    def _time(self, visit: Visit) -> float:
        once = self.once(visit)
        fails, _, chance = self.route.failing(visit)
        if not fails or chance == 0:
            return once
        early = visit.work("fail_after")[2]
        failed = once if early is None else once * self.view.mean(early)
        limit = visit.work("attempts")[2]
        attempts = 1.0
        if (visit.work("on_fail")[2] or RESTART_WORD) == RESTART_WORD:
            if chance >= 1 and limit is None:
                return math.inf
            attempts = float(limit or 0) if chance >= 1 else 1 / (1 - chance)
            if limit is not None and chance < 1:
                attempts *= 1 - chance**limit
        repairs = (attempts - 1) * self._mean(visit, "repair")
        return attempts * ((1 - chance) * once + chance * failed) + repairs

    def occupied(self, visit: Visit, time: float) -> float:
        """Time of a server that one lot takes in s: its part of a full load or of a cascade."""
        if visit.work("interval")[2] is not None:
            interval = self._mean(visit, "interval")
            if visit.work("interval_per")[2] == "piece":
                interval *= self.pieces
            time = min(time, interval)
        return time / self.together(visit)

    def together(self, visit: Visit) -> int:
        """Lots in a full load."""
        batch: model.Batch | None = visit.work("batch")[2]
        return 1 if batch is None else max(batch.maximum // self.pieces, 1)


def check_load(view: View) -> None:
    """Warn of what is asked for more than it is, and of due dates that nobody can meet."""
    works = {name: Work(view, name) for name, route in view.routes.items() if route}
    for name, work in works.items():
        _releases(view, name, work)
    rates = _rates(view, works)
    if any(math.isnan(rate) for rate in rates.values()):
        return
    load = Load()
    for name, work in works.items():
        if rates.get(name):
            _add(view, load, work, rates[name])
    for name in load.servers:
        _station(view, load, name)
    for pools in load.crews:
        _crew(view, load, pools)
    for name, drawn in load.budgets.items():
        level = view.average(view.line.budgets[name], *model.BUDGET_UNITS)
        unit = unit_of(view, view.line.budgets[name])
        if unit is not None and drawn > level * (1 + 1e-6):
            shown = f"{drawn / unit.factor:.4g} of {level / unit.factor:.4g} {unit.text}"
            _warn(view, ("budgets", name), f"budget {name!r}", drawn / level, shown.strip())


def _releases(view: View, name: str, work: Work) -> None:
    """A due date within reach; and no lots that pass through in no time, one after the other."""
    raw = work.raw
    for label, release in view.line.products[name].releases.items():
        keys = ("products", name, "releases", label)
        if view.range(release.due, "s")[1] < raw:
            what = f"lots are due after {view.range(release.due, 's')[1] / DAY:.3g} day"
            why = f"the work alone takes {raw / DAY:.3g} day in the mean"
            view.add((*keys, "due"), what, why, code="due", severity="warning")
        if release.every is None and raw == 0 and not _moves(view, work):
            what, why = f"lots of {name!r} take no time", "one would follow the other without end"
            view.add(keys, what, why, "give a step a time", code="endless")


def _moves(view: View, work: Work) -> bool:
    """Whether some way takes time."""
    given = [v.step.transport or v.station.transport for v in work.route.visits]
    return any(value is not None and view.mean(value, "s") != 0 for value in given)


# What is asked ----------------------------------------------------------------------------


def _rates(view: View, works: Mapping[str, Work]) -> dict[str, float]:
    """Lots that start, per s: of timed releases, and of the components that they take."""
    rates: dict[str, float] = {}
    span = view.twin.end - view.twin.start
    for name in works:
        for release in view.line.products[name].releases.values():
            if release.every is not None:
                rate = release.lots / view.mean(release.every, "s")
                until = view.range(release.until, "date")[1]
                if not math.isnan(until):
                    rate *= min(1.0, max(0.0, until - view.twin.start) / span)
                if release.limit is not None:
                    rate = min(rate, release.limit / span)
                rates[name] = rates.get(name, 0.0) + rate
    for name in list(rates):
        _components(view, works, name, rates[name], rates, (name,))
    return rates


def _components(
    view: View,
    works: Mapping[str, Work],
    name: str,
    rate: float,
    rates: dict[str, float],
    trail: tuple[str, ...],
) -> None:
    """Add what assembly takes of components that are pulled and not timed."""
    for lots, visit, _ in works[name]:
        for part, amount in (visit.work("consumes")[2] or {}).items():
            product = view.line.products[part]
            timed = any(release.every is not None for release in product.releases.values())
            if part not in works or timed or part in trail or part in view.produced:
                continue
            if view.range(product.stock, "each")[1] > 0 or not works[part].finished > 0:
                continue
            pieces = rate * lots * works[name].needed(visit) * view.mean(amount, "each")
            more = pieces / product.pieces / works[part].finished
            rates[part] = rates.get(part, 0.0) + more
            _components(view, works, part, more, rates, (*trail, part))


def _add(view: View, load: Load, work: Work, rate: float) -> None:
    for lots, visit, time in work:
        flow = rate * lots * work.needed(visit)
        if not flow > 0:
            continue
        station, together = visit.step.station, work.together(visit)
        _count(load.servers, station, flow * work.occupied(visit, time))
        _count(load.pieces, station, flow * work.pieces)
        _count(load.loads, station, flow / together)
        load.longest[station] = max(load.longest.get(station, 0.0), time)
        for need, amount in (visit.work("crew")[2] or {}).items():
            pools = tuple(sorted(view.holders(need)))
            _count(load.crews, pools, flow * time / together * view.mean(amount, "each"))
            for pool in pools:
                load.longest["pool " + pool] = max(load.longest.get("pool " + pool, 0.0), time)
        for budget, amount in (visit.work("draws")[2] or {}).items():
            _count(
                load.budgets,
                budget,
                flow * time / together * view.mean(amount, *model.BUDGET_UNITS),
            )


def _count(counts: dict[Key, float], key: Key, more: float) -> None:
    counts[key] = counts.get(key, 0.0) + more


# What there is ----------------------------------------------------------------------------


def _station(view: View, load: Load, name: str) -> None:
    station = view.line.stations[name]
    busy = load.servers[name]
    up = _share(view, station.available, load.longest[name])
    for failure in station.failures.values():
        between, repair = view.mean(failure.mtbf, "s"), view.mean(failure.mttr, "s")
        if math.isnan(between + repair):
            continue
        if failure.counts == "time":
            up *= between / (between + repair)
        else:
            busy *= 1 + repair / between
    for care in station.maintenance.values():
        takes = view.mean(care.takes, "s")
        if care.every is not None:
            up *= max(0.0, 1 - takes / view.mean(care.every, "s"))
        elif care.every_pieces is not None:
            busy += load.pieces[name] * takes / view.mean(care.every_pieces, "each")
        elif care.every_loads is not None:
            busy += load.loads[name] * takes / view.mean(care.every_loads, "each")
    there = view.average(station.servers, "each") * up
    if busy > there * (1 + 1e-6):
        shown = f"{busy:.4g} servers of {there:.4g} that are up in the mean"
        share = busy / there if there > 0 else math.inf
        _warn(view, ("stations", name, "servers"), f"station {name!r}", share, shown)


def _crew(view: View, load: Load, pools: tuple[str, ...]) -> None:
    """Everybody who can serve these needs, and all needs that only they can serve."""
    busy = sum(n for others, n in load.crews.items() if set(others) <= set(pools))
    there = 0.0
    for pool in pools:
        declared = view.line.pools[pool]
        share = _share(view, declared.available, load.longest["pool " + pool])
        there += view.average(declared.count, "each") * share
    if busy > there * (1 + 1e-6):
        who = " and ".join(repr(pool) for pool in pools)
        shown = f"{busy:.4g} of {there:.4g} that are there in the mean"
        share = busy / there if there > 0 else math.inf
        _warn(view, ("pools", pools[0], "count"), f"pool {who}", share, shown)


def _share(view: View, calendar: str | None, longest: float) -> float:
    """Share of the time in which work goes on: in shifts, and after them to finish it."""
    if calendar is None:
        return 1.0
    spans = open_week(view, calendar)
    return min(1.0, sum(b - a + longest for a, b in spans) / _WEEK)


def _warn(view: View, keys: tuple[str, ...], who: str, share: float, shown: str) -> None:
    view.add(
        keys,
        f"{who} is overloaded: timed releases need {share:.0%} of it",
        shown,
        "add to it, shorten the work, or release less",
        code="overload",
        severity="warning",
    )
