"""How to split buffer space over the stations of a line, and how many servers a rate needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np

from firsttoken.kernel.statistics import Interval, mean_interval
from firsttoken.line.analyse_changes import Run, throughput
from firsttoken.line.analyse_edit import set_buffers, set_servers
from firsttoken.line.analyse_select import BATCH, Samples, select
from firsttoken.line.result import Floats
from firsttoken.line.system import System
from firsttoken.line.test_floor import servers_for

EXHAUSTIVE: Final = 60
"""Most splits that are all looked at; of more, neighbours are."""
ZONE: Final = 5e-4
"""Indifference zone as a share of the throughput."""
MOST: Final = 30
"""Most batches of replications."""
ROUNDS: Final = 50
"""Most exchanges of space."""

Split = tuple[int, ...]


@dataclass(frozen=True)
class Allocation:
    """The best split of buffer space.

    Attributes
    ----------
    stations : with limited buffers; now, best : their places.
    throughput_now, throughput_best : lots per second with 95 % intervals.
    gain : of the best over the present, paired.
    lines : splits simulated; exhaustive : whether these were all.
    decided : whether the best could be told from all others within the indifference zone.
    """

    stations: tuple[int, ...]
    now: Split
    best: Split
    throughput_now: Interval
    throughput_best: Interval
    gain: Interval
    lines: int
    exhaustive: bool
    decided: bool


def limited(system: System) -> tuple[int, ...]:
    """Stations with limited buffers."""
    return tuple(np.flatnonzero(system.tables.station["buffer"] >= 0).tolist())


def allocate(
    system: System,
    run: Run,
    total: int | None = None,
    *,
    zone: float = ZONE,
    most: int = MOST,
    say: Callable[[int, int], object] | None = None,
) -> Allocation | None:
    """Find the best split of buffer space over the stations with limited buffers.

    All splits are compared while they are few.  Otherwise places are moved between two stations at
    a time, first many and then one, as long as that helps: throughput of a serial line is believed
    to be concave in its buffers (Meester and Shanthikumar, Concavity of the throughput of tandem
    queueing systems with finite buffer storage space, Advances in Applied Probability 22 (1990)
    764-767), so a split that no such move betters is the best.

    Parameters
    ----------
    run : simulates a line; streams of one number are common to all lines.
    total : places in all; None: as many as there are.
    zone : differences below this share of the throughput do not matter.
    most : most batches of `BATCH` replications.
    say : called as ``say(0, 0)`` before the search, whose length is not known.

    Returns
    -------
    None if fewer than two buffers are limited: there is nothing to split.

    Raises
    ------
    ValueError
        If `total` is negative.
    """
    stations = limited(system)
    if total is not None and total < 0:
        raise ValueError(f"buffers cannot hold {total} lots")
    if len(stations) < 2:
        return None
    now = tuple(int(b) for b in system.tables.station["buffer"][list(stations)])
    places = sum(now) if total is None else total
    if say is not None:
        say(0, 0)
    samples = Samples(lambda split: set_buffers(system, stations, split), run)
    search = _Search(samples, zone * float(samples.of(now, 1).mean()), most)
    exhaustive = comb(places + len(stations) - 1, places) <= EXHAUSTIVE
    if exhaustive:
        best, decided = search.best_of(list(splits(places, len(stations))))
    else:
        best, decided = search.climb(now if sum(now) == places else even(places, len(stations)))
    batches = search.batches
    before, after = samples.of(now, batches), samples.of(best, batches)
    return Allocation(
        stations,
        now,
        best,
        mean_interval(before),
        mean_interval(after),
        mean_interval(after - before),
        samples.lines,
        exhaustive,
        decided,
    )


class _Search:
    """A search for the best split."""

    def __init__(self, samples: Samples, zone: float, most: int) -> None:
        self.samples, self.zone, self.most = samples, max(zone, 1e-300), most
        self.batches = 1

    def best_of(self, candidates: list[Split]) -> tuple[Split, bool]:
        """The best of some splits, and whether it is so beyond doubt."""

        def sample(line: int, batches: int) -> Floats:
            return self.samples.of(candidates[line], batches)

        choice = select(sample, len(candidates), self.zone, most=self.most)
        self.batches = max(self.batches, choice.replications // BATCH)
        return candidates[choice.best], choice.decided

    def climb(self, split: Split) -> tuple[Split, bool]:
        """Move space between pairs of stations as long as it helps."""
        step = max(1, sum(split) // (2 * len(split)))
        decided = True
        for _ in range(ROUNDS):
            better, decided = self.best_of([split, *exchanges(split, step)])
            if better != split:
                split = better
            elif step == 1:
                break
            else:
                step = max(1, step // 2)
        return split, decided


def splits(places: int, stations: int) -> Iterator[Split]:
    """All ways to split places over stations."""
    if stations == 1:
        yield (places,)
        return
    for first in range(places + 1):
        for rest in splits(places - first, stations - 1):
            yield (first, *rest)


def exchanges(split: Split, step: int) -> list[Split]:
    """All splits in which one station has `step` places more and another so many less."""
    found = []
    for giver, places in enumerate(split):
        for taker in range(len(split)):
            if giver != taker and places >= step:
                moved = list(split)
                moved[giver] -= step
                moved[taker] += step
                found.append(tuple(moved))
    return found


def even(places: int, stations: int) -> Split:
    """Places spread evenly; what is left over goes to the middle, as the bowl has it.

    Hillier and So, The effect of the coefficient of variation of operation times on the allocation
    of storage space in production line systems, IIE Transactions 23 (1991) 198-206.
    """
    share, left = divmod(places, stations)
    middle = sorted(range(stations), key=lambda i: abs(2 * i - (stations - 1)))
    extra = set(middle[:left])
    return tuple(share + (i in extra) for i in range(stations))


# Servers ---------------------------------------------------------------------------------------

SHORTFALL: Final = 0.005
"""Share of the target rate that a finite horizon may lack without its being missed."""


@dataclass(frozen=True)
class Servers:
    """How many parallel servers a target rate needs at a station.

    Attributes
    ----------
    law : the fewest that the law of the test floor allows.
    needed : the fewest that reach the rate in simulation; None: no number does.
    throughput : lots per second with `needed` servers, or with the most that were tried.
    tried : throughput by number of servers.
    """

    law: int
    needed: int | None
    throughput: Interval
    tried: dict[int, Interval]


def servers_needed(
    system: System, station: int, rate: float, time: float, run: Run, replications: int
) -> Servers:
    """Find the fewest parallel servers of a station with which the line ships a target rate.

    The law gives the fewest that can be; simulation goes up from there until the rate is reached,
    or until one more server no longer brings anything: then something else binds.

    Parameters
    ----------
    rate : lots shipped per second.
    time : mean time that one shipped lot keeps a server, all its attempts together, in s.
    run, replications : as in `sensitivity`.

    Raises
    ------
    ValueError
        If rate or time are not positive.
    """
    if not (rate > 0 and time > 0):
        raise ValueError(f"a rate of {rate} lots/s that take {time} s each is no target")
    law = servers_for(rate, time)
    tried: dict[int, Floats] = {}

    def reaches(servers: int) -> bool:
        if servers not in tried:
            changed = set_servers(system, station, servers)
            tried[servers] = throughput(changed, run(changed, replications))
        return float(tried[servers].mean()) >= rate * (1 - SHORTFALL)

    low, high, stride = law - 1, law, 1  # `low` does not reach the rate: the law says so
    while not reaches(high):
        if low in tried and mean_interval(tried[high] - tried[low]).low <= 0:
            break  # one more brings nothing: something else binds
        low, high, stride = high, high + stride, 2 * stride
    needed = high if reaches(high) else None
    while needed is not None and needed - low > 1:
        middle = (low + needed) // 2
        low, needed = (low, middle) if reaches(middle) else (middle, needed)
    found = {servers: mean_interval(tried[servers]) for servers in sorted(tried)}
    return Servers(law, needed, found[high if needed is None else needed], found)
