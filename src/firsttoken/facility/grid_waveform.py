"""Power of a job's racks sample by sample, and what storage makes of it.

A job is a sequence of iterations: high power while its GPUs compute, low while they communicate.
The racks' energy storage averages it, GPUs burn to hold a floor, and ramps are limited: up by
capping the work, down by burning.  The smoother keeps its books: energy taken from the grid =
energy of the work done + energy burnt + change of the energy stored.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.random import normal, uniform
from firsttoken.kernel.streams import PROCESS, ROUTING

Floats = NDArray[np.float64]

LEAN: Final = 4.0
"""Times over which a storage goes back to half full, in times over which it averages."""
CHECKPOINT_STREAM: Final = 1
"""Index of the draw that places a job's first checkpoint."""


class Job(NamedTuple):
    """One job in numbers.

    Attributes
    ----------
    step, compute, spread : iteration in s, share of it at high power, coefficient of variation.
    high, low, idle : power of all its racks in W: computing, communicating, without work.
    checkpoint_every, checkpoint : s; 0: none.
    start, stop : s from the start of the window; stop may be infinite.
    entity : key of its random streams.
    """

    step: float
    compute: float
    spread: float
    high: float
    low: float
    idle: float
    checkpoint_every: float
    checkpoint: float
    start: float
    stop: float
    entity: int


class Smoother(NamedTuple):
    """What keeps the power of some racks, or of a site, steady.

    Attributes
    ----------
    storage : J that can be stored; 0: nothing is averaged.
    time : s over which power is averaged.
    limit : W that the storage can give or take.
    ramp_up, ramp_down : fastest change of the power taken, W/s; infinite: any.
    floor : W held while work goes on and for `hold` s after.
    """

    storage: float
    time: float
    limit: float
    ramp_up: float
    ramp_down: float
    floor: float
    hold: float


@compiled
def waveform(job: Job, sample: float, seed: int, replication: int, out: Floats) -> None:
    """Power of a job's racks in W, mean over each sample, shape [samples].

    Before its start and after its stop the racks are idle.  A job that runs from the beginning is
    somewhere within its iteration then, at random; the lengths of iterations are normal, cut at a
    tenth of their mean.
    """
    for i in range(len(out)):
        out[i] = job.idle
    end = min(job.stop, len(out) * sample)
    time = job.start
    if job.start <= 0:
        time = -job.step * uniform(seed, replication, job.entity, PROCESS, 0)
    saved = math.inf
    if job.checkpoint_every > 0 and job.checkpoint > 0:
        first = uniform(seed, replication, job.entity, ROUTING, CHECKPOINT_STREAM)
        saved = time + job.checkpoint_every * (first if job.start <= 0 else 1.0)
    iteration = 0
    while time < end:
        if time >= saved:
            _add(out, sample, time, min(time + job.checkpoint, end), job.low - job.idle)
            time += job.checkpoint
            saved = time + job.checkpoint_every
            continue
        iteration += 1
        length = job.step
        if job.spread > 0:
            drawn = normal(seed, replication, job.entity, PROCESS, iteration)
            length = max(0.1 * job.step, job.step * (1.0 + job.spread * drawn))
        turn = time + job.compute * length
        _add(out, sample, time, min(turn, end), job.high - job.idle)
        _add(out, sample, turn, min(time + length, end), job.low - job.idle)
        time += length


@compiled
def _add(out: Floats, sample: float, start: float, end: float, power: float) -> None:
    """Add `power` over [start, end) to the means of the samples."""
    start = max(start, 0.0)
    if end <= start:
        return
    first = int(start / sample)
    last = min(int(end / sample), len(out) - 1)
    if first >= len(out):
        return
    if first == last:
        out[first] += power * (min(end, (last + 1) * sample) - start) / sample
        return
    out[first] += power * ((first + 1) * sample - start) / sample
    for i in range(first + 1, last):
        out[i] += power
    out[last] += power * min(end - last * sample, sample) / sample


@compiled
def smooth(
    wanted: Floats, sample: float, by: Smoother, lead: int, books: Floats, out: Floats
) -> None:
    """Power taken from the grid, shape [samples], for the power that the work wants.

    Parameters
    ----------
    wanted : W of the work, shape [samples].
    lead : samples at the beginning in which the storage finds its level; the books begin after.
    books : receives J: work done, burnt, stored at the start, stored at the end, work not done
        because power was capped; shape [5].
    out : receives W.

    The set-point follows the running mean of the wanted power over `time`, and leans towards a
    storage half full.  It is kept where the storage can make up the difference; where a ramp or
    the floor forbids that, work is capped or energy is burnt.
    """
    stored = 0.5 * by.storage
    books[:] = 0.0
    books[2] = stored
    first = max(1, min(len(wanted), round(3.0 * by.time / sample)))
    mean = wanted[:first].mean() if len(wanted) else 0.0
    gain = 1.0 - math.exp(-sample / by.time) if by.time > 0 else 1.0
    taken = highest = mean
    since = math.inf
    for i in range(len(wanted)):
        if i == lead:
            books[:] = 0.0
            books[2] = stored
        want = wanted[i]
        highest = max(highest, want)
        since = 0.0 if want >= by.floor else since + sample
        floor = by.floor if since <= by.hold else 0.0
        give = min(by.limit, stored / sample)
        take = min(by.limit, (by.storage - stored) / sample)
        mean += gain * (want - mean)
        target = want
        if by.storage > 0 and by.time > 0:
            target = mean + (0.5 * by.storage - stored) / (LEAN * by.time)
            target = min(target, highest)  # charging raises no peak
        target = max(min(max(target, want - give), want + take), floor)
        taken = min(max(target, taken - by.ramp_down * sample), taken + by.ramp_up * sample)
        done = min(want, taken + give)
        change = min(max(taken - done, -give), take)
        stored += change * sample
        books[0] += done * sample
        books[1] += (taken - done - change) * sample
        books[4] += (want - done) * sample
        out[i] = taken
    books[3] = stored


@compiled
def slew_storage(wanted: Floats, sample: float, slope: float) -> float:
    """Energy in J that a storage needs so that the power taken changes by `slope` W/s at most.

    The power taken follows the wanted power as fast as it may; the storage makes up the
    difference.  For a single step of height P it is P ** 2 / (2 slope).
    """
    taken = wanted[0]
    level = 0.0
    least = 0.0
    most = 0.0
    for i in range(len(wanted)):
        change = min(max(wanted[i] - taken, -slope * sample), slope * sample)
        taken += change
        level += (taken - wanted[i]) * sample
        least = min(least, level)
        most = max(most, level)
    return most - least


def balance(books: Floats, taken: Floats, sample: float) -> float:
    """Relative error of a smoother's books: energy taken against done, burnt and stored."""
    energy = float(taken.sum() * sample)
    spent = float(books[0] + books[1] + books[3] - books[2])
    return abs(energy - spent) / max(abs(energy), abs(float(books[2])), 1.0)


NOTHING: Final = Smoother(0.0, 0.0, 0.0, math.inf, math.inf, 0.0, 0.0)
"""A smoother that lets all pass."""
