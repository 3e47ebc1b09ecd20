"""The order in which tasks are scheduled, chosen at the means of all that is uncertain.

So it knows nothing of what will happen: in every replication the same list decides who gets a crew
first. The rules that it is chosen from are the least latest start of the network without limits of
crews, among the best for the serial scheme (Kolisch, Serial and parallel resource-constrained
project scheduling methods revisited, European Journal of Operational Research 90 (1996) 320-333);
the same with what an earlier phase waits for first; and samples about the better of both, each
latest start moved by chance (after Kolisch and Drexl, Adaptive search for solving hard project
scheduling problems, Naval Research Logistics 43 (1996) 23-40).
"""

from __future__ import annotations

import heapq

import numpy as np

from firsttoken.build.clock import Clock
from firsttoken.build.engine_block import new_out, new_room, run_block
from firsttoken.build.simulate import FIRST_DATES, no_change
from firsttoken.build.system import Floats, Integers, Network
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, fixed_parameters

_SAMPLES = 200
_WORK = 40_000  # tasks ordered in all samples together
_SPREAD = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Expected:
    """The programme at the means of its parameters, scheduled by one list or another."""

    def __init__(
        self, network: Network, clock: Clock, parameters: ParameterTable, series: SeriesTable
    ) -> None:
        self.network, self.clock = network, clock
        self.parameters, self.series = parameters, series
        self.room = new_room(network, parameters, FIRST_DATES)
        self.room.values[:] = fixed_parameters(parameters)

    def schedule(self, order: Integers, network: Network | None = None) -> tuple[Floats, Floats]:
        """Finish and latest start of each task, [T], of the programme or a changed network."""
        given = self.network if network is None else network
        plain = given._replace(tasks=given.tasks._replace(order=order))
        room = self.room
        if network is not None:
            room = new_room(plain, self.parameters, FIRST_DATES)
            room.values[:] = self.room.values
        tables = (plain, self.clock, self.parameters, self.series, no_change(plain), np.empty(0))
        run_block(*tables, 0, -1, 0, FIRST_DATES, room, new_out(plain, 0, 0, FIRST_DATES))
        return room.plan.finish.copy(), room.plan.late_start.copy()

    def score(self, order: Integers) -> float:
        """Mean date of the phases and of the end of all: less is better."""
        finish, _ = self.schedule(order)
        ready = finish[self.network.ready[self.network.counts]]
        return float(np.mean([*ready, finish.max()]))


def expected_order(
    network: Network, clock: Clock, parameters: ParameterTable, series: SeriesTable
) -> Network:
    """The network with its tasks in the order in which they are to be scheduled."""
    count = len(network.tasks.order)
    expected = Expected(network, clock, parameters, series)
    unlimited = network._replace(
        crews=network.crews._replace(
            need_start=np.zeros(count + 1, dtype=np.int64), level=np.zeros(0, dtype=np.int64)
        )
    )
    first = _ordered(network, np.zeros(count))
    finish, urgency = expected.schedule(first, unlimited)
    best = _ordered(network, urgency)
    if len(network.crews.need_crew):
        length = float(finish.max() - expected.room.values[network.begin])
        phase = _phase_of(network, first, finish) * length
        best = _best(network, expected, [urgency, urgency + phase], length)
    return network._replace(tasks=network.tasks._replace(order=best))


def _best(network: Network, expected: Expected, rules: list[Floats], length: float) -> Integers:
    """The list of the least score, of the rules and samples about the best of them."""
    orders = [_ordered(network, rule) for rule in rules]
    scores = [expected.score(order) for order in orders]
    at = int(np.argmin(scores))
    rule, best, least = rules[at], orders[at], scores[at]
    random = np.random.default_rng(0)
    count = len(rule)
    for sample in range(min(_SAMPLES, _WORK // count)):
        size = _SPREAD[sample % len(_SPREAD)] * length
        order = _ordered(network, rule + random.normal(0.0, size, count))
        score = expected.score(order)
        if score < least - 1e-6:
            best, least = order, score
    return best


def _phase_of(network: Network, order: Integers, finish: Floats) -> Floats:
    """Place of the first phase that waits for each task, among the phases by their dates, [T]."""
    links = network.links
    ready = network.ready[np.argsort(finish[network.ready], kind="stable")]
    place = np.full(len(order), float(len(ready)))
    for p in reversed(range(len(ready))):
        place[ready[p]] = p
    for i in order[::-1].tolist():
        for k in range(links.start[i], links.start[i + 1]):
            before = links.before[k]
            place[before] = min(place[before], place[i])
    return place


def _ordered(network: Network, urgency: Floats) -> Integers:
    """Tasks, none before what it waits for, the least `urgency` [T] first, then as in the file.

    What is done or begun comes first: its crews are with it.
    """
    tasks, links = network.tasks, network.links
    begun = (np.maximum(tasks.started, tasks.finished) < 0).tolist()
    waiting = np.bincount(links.after, minlength=len(urgency)).tolist()
    starts, after, given = (
        links.out_start.tolist(),
        links.after[links.out].tolist(),
        urgency.tolist(),
    )
    heap = [(begun[i], given[i], i) for i, count in enumerate(waiting) if not count]
    heapq.heapify(heap)
    found: list[int] = []
    while heap:
        i = heapq.heappop(heap)[2]
        found.append(i)
        for j in after[starts[i] : starts[i + 1]]:
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(heap, (begun[j], given[j], j))
    return np.array(found, dtype=np.int64)
