"""The order in which tasks are scheduled: the least latest start first.

The latest starts are those of the network without limits of crews at the means of all that is
uncertain, so that the order knows nothing of what will happen. Among priority rules for the serial
scheme it is one of the best (Kolisch, Serial and parallel resource-constrained project scheduling
methods revisited, European Journal of Operational Research 90 (1996) 320-333).
"""

from __future__ import annotations

import heapq

import numpy as np

from firsttoken.build.clock import Clock
from firsttoken.build.simulate import ALL, no_change, room, run_block
from firsttoken.build.system import Integers, Network
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, fixed_parameters

Floats = np.ndarray


def expected_order(
    network: Network, clock: Clock, parameters: ParameterTable, series: SeriesTable
) -> Network:
    """The network with its tasks in the order in which they are to be scheduled."""
    count = len(network.tasks.order)
    unlimited = network.crews._replace(
        need_start=np.zeros(count + 1, dtype=np.int64), level_start=np.zeros(1, dtype=np.int64)
    )
    order = _ordered(network, np.zeros(count))
    plain = network._replace(tasks=network.tasks._replace(order=order), crews=unlimited)
    values = fixed_parameters(parameters)
    edges = np.empty(0)
    out = room(plain, 0, 1, ALL)
    run_block(
        *(plain, clock, parameters, series, no_change(plain), values, edges, 0, -1, 0, ALL, out)
    )
    order = _ordered(network, out.free[0])
    return network._replace(tasks=network.tasks._replace(order=order))


def _ordered(network: Network, urgency: Floats) -> Integers:
    """Tasks, none before what it waits for, the least `urgency` [T] first, then as in the file.

    What is done or begun comes first: its crews are with it.
    """
    tasks, links = network.tasks, network.links
    begun = np.maximum(tasks.started, tasks.finished) < 0
    waiting = np.bincount(links.after, minlength=len(urgency))
    heap = [(bool(begun[i]), float(urgency[i]), i) for i in np.flatnonzero(waiting == 0).tolist()]
    heapq.heapify(heap)
    found: list[int] = []
    while heap:
        i = heapq.heappop(heap)[2]
        found.append(i)
        for k in links.out[links.out_start[i] : links.out_start[i + 1]].tolist():
            j = int(links.after[k])
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(heap, (bool(begun[j]), float(urgency[j]), j))
    return np.array(found, dtype=np.int64)
