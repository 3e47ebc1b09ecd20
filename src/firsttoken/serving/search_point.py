"""Configurations evaluated: latencies, tokens, power; thousands side by side.

The load of a configuration is the number of requests in flight at the busiest time for which it
still promises its goals.  Requests that arrive at random make that number Poisson around its mean
(the insensitivity of a system without queueing), so with a mean of m it stays below

    m + z sqrt(m)

for the share of the time that the normal quantile z belongs to.  Latencies are those of the
busiest time, tokens and power those of the mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.energy_law import gpu_power, use_of_step
from firsttoken.serving.perf_efficiency import GENERIC, NONE, RATES, Corrections, Engine
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.perf_point import Point, aggregated_point, disaggregated_point
from firsttoken.serving.perf_replica import Demand, Replica, demand
from firsttoken.serving.search_space import Layouts, crossed
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout
from firsttoken.serving.tables import Tables

Ints = NDArray[np.int64]

BUSY: Final = (0.5, 0.7, 0.9)
"""Shares of its time that a pool of prefill workers may be busy."""

NEAR: Final = 0.6
"""Decode workers are paired if their tokens/s and GPU are at least this share of the best that are
as fast for a user: what is lost with whole workers stays well above it."""

MOST_DECODE: Final = 8
"""Most decode workers of one disaggregated unit; larger sites repeat the unit."""


@dataclass(frozen=True)
class Load:
    """A model on a GPU, and what is asked of it.

    Attributes
    ----------
    prompt, output : mean tokens of a request.
    cached : share of the prompt that is found in the prefix cache.
    accepted, drafted : tokens of a step that are drafted, and of them those accepted, in the mean.
    sequences : most requests in flight of a data rank.
    quantile : z of the share of the time in which goals must hold; 0: on average.
    tables : measured operators in place of the physics; None: physics.
    """

    architecture: Architecture
    hardware: Hardware
    prompt: float
    output: float
    cached: float = 0.0
    accepted: float = 0.0
    drafted: float = 0.0
    engine: Engine = GENERIC
    corrections: Corrections = NONE
    sequences: float = math.inf
    quantile: float = 0.0
    tables: Tables | None = None

    @property
    def context(self) -> float:
        """Mean tokens of a sequence that decodes."""
        return self.prompt + self.output / 2.0

    @property
    def ask(self) -> Demand:
        """One request."""
        return demand(self.prompt, self.output, self.cached, self.accepted, self.drafted)

    def on(self, layout: Layout) -> Replica:
        """The replicas of layouts side by side."""
        models = (self.architecture, self.hardware, layout)
        return Replica(*models, self.engine, self.corrections, RATES, self.tables)


class Columns(NamedTuple):
    """Configurations side by side; each field f8[n], or i8[n] for rows of formats.

    Attributes
    ----------
    apart : 1 where prefill has workers of its own.
    format : row of the formats given.
    layout : of the replicas that decode (and prefill, where not apart).
    prefill : layout of the prefill workers; as `layout` where not apart.
    prefill_workers, workers : replicas of each kind in one unit; 0 and 1 where not apart.
    flight : requests in flight of the unit at the busiest time.
    ttft, tpot, e2e : s, at the busiest time.
    tokens : output tokens/s of the unit, in the mean.
    gpus : of the unit.
    watts : of one GPU in the mean, without its host.
    """

    apart: Floats
    format: Ints
    layout: Layout
    prefill: Layout
    prefill_workers: Floats
    workers: Floats
    flight: Floats
    ttft: Floats
    tpot: Floats
    e2e: Floats
    tokens: Floats
    gpus: Floats
    watts: Floats

    def __len__(self) -> int:
        return len(self.format)


def join(parts: list[Columns]) -> Columns:
    """Configurations of several kinds in one table."""

    def both(values: tuple[Any, ...]) -> Any:
        if isinstance(values[0], Layout):
            return Layout(*(np.concatenate(fields) for fields in zip(*values, strict=True)))
        return np.concatenate(values)

    return Columns(*(both(values) for values in zip(*parts, strict=True)))


def fitting(load: Load, found: Layouts) -> Layouts:
    """The layouts that hold the weights and at least one request on every data rank.

    With tables of measured operators: of these the ones that the tables hold.
    """
    room = kv_capacity(load.architecture, load.hardware, found.layout, load.context, 1.0)
    needed = (load.prompt + load.output) * np.asarray(found.layout.data)
    fit = found.take(np.flatnonzero(room >= needed))
    if load.tables is None or not len(fit):
        return fit
    return fit.take(np.flatnonzero(load.tables.held(fit.layout)))


def aggregated(load: Load, found: Layouts) -> Columns:
    """Replicas that prefill and decode, each layout with each load that fits its memory."""
    rows, flight = crossed(found, load.sequences)
    room = kv_capacity(load.architecture, load.hardware, rows.layout, load.context, flight)
    kept = np.flatnonzero(flight * load.context <= room)
    rows, flight = rows.take(kept), flight[kept]
    layout = rows.layout

    def point(users: Floats) -> Point:
        return aggregated_point(
            load.architecture,
            load.hardware,
            layout,
            load.prompt,
            load.output,
            users,
            engine=load.engine,
            corrections=load.corrections,
            cached=load.cached,
            accepted=load.accepted,
            drafted=load.drafted,
            tables=load.tables,
        )

    busiest = point(flight)
    mean = busiest if load.quantile <= 0 else point(mean_of(flight, load.quantile))
    ones, gpus = np.ones(len(rows)), replica_gpus(layout)
    spent = np.minimum(prefill_seconds(load, layout) * mean.tokens / load.output, 1.0)
    watts = spent * prefill_watts(load, layout)
    watts += (1.0 - spent) * decode_watts(load, layout, mean.running)
    return Columns(
        0.0 * ones,
        rows.format,
        layout,
        layout,
        0.0 * ones,
        ones,
        flight,
        busiest.ttft,
        busiest.tpot,
        busiest.e2e,
        mean.tokens,
        gpus,
        watts,
    )


def mean_of(busiest: Floats, quantile: float) -> Floats:
    """Mean requests in flight if they are at most `busiest` at a normal quantile z.

    Solves m + z sqrt(m) = busiest.
    """
    root = (np.sqrt(quantile**2 + 4.0 * busiest) - quantile) / 2.0
    return np.asarray(root**2)


def prefill_seconds(load: Load, layout: Layout) -> Floats:
    """Seconds of a replica for each prompt: data ranks and stages work on prompts of their own."""
    step, count = _prefill_step(load, layout)
    return np.asarray(count * step / np.asarray(layout.data) / np.asarray(layout.pipeline))


def prompt_seconds(load: Load, layout: Layout) -> Floats:
    """Seconds until a prompt is through: its chunks follow each other through the stages."""
    step, count = _prefill_step(load, layout)
    return np.asarray(step * (1.0 + (count - 1.0) / np.asarray(layout.pipeline)))


def decode_seconds(load: Load, layout: Layout, running: Floats) -> Floats:
    """Seconds between two tokens of a sequence, with drafts where they are asked for."""
    return np.asarray(load.on(layout).decode(running, load.ask) / (1.0 + load.accepted))


def _prefill_step(load: Load, layout: Layout) -> tuple[Floats, Floats]:
    """Seconds of one chunk on every data rank, and how many follow each other."""
    replica, data = load.on(layout), np.asarray(layout.data)
    tokens, pairs, count = replica.chunk(load.ask)
    return replica.uncovered(replica.terms(tokens * data, data, 0.0, pairs * data)), count


def prefill_watts(load: Load, layout: Layout) -> Floats:
    """Power of one GPU while its replica prefills, without its host."""
    step, _ = _prefill_step(load, layout)
    tokens, pairs, _ = load.on(layout).chunk(load.ask)
    data = np.asarray(layout.data)
    return _watts(load, layout, step, tokens * data, data, 0.0, pairs * data)


def decode_watts(load: Load, layout: Layout, running: Floats) -> Floats:
    """Power of one GPU while its replica decodes, without its host."""
    step = load.on(layout).decode(running, load.ask)
    batch = running / np.asarray(layout.pipeline)
    tokens = batch * (1.0 + load.ask.drafted)
    return _watts(load, layout, step, tokens, batch, batch * load.context, 0.0)


def _watts(
    load: Load, layout: Layout, step: Any, tokens: Any, sequences: Any, kv: Any, pairs: Any
) -> Floats:
    """Of steps that follow each other, one in each pipeline stage."""
    seconds = step / np.asarray(layout.pipeline)
    use = use_of_step(
        load.architecture, load.hardware, layout, tokens, sequences, kv, pairs, seconds
    )
    return gpu_power(load.hardware, use)


def prefill_choices(load: Load, found: Layouts) -> Ints:
    """Rows of the layouts worth prefilling with: none is both sooner and cheaper in GPU-seconds.

    Formats compete among themselves only: prefill and decode share one format.
    """
    sooner = prompt_seconds(load, found.layout)
    cheaper = prefill_seconds(load, found.layout) * replica_gpus(found.layout)
    kept = []
    for form in np.unique(found.format):
        rows = np.flatnonzero(found.format == form)
        order = rows[np.lexsort((cheaper[rows], sooner[rows]))]
        least = np.minimum.accumulate(cheaper[order])
        first = np.r_[True, cheaper[order][1:] < least[:-1]]
        kept.append(order[first])
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def disaggregated(load: Load, found: Layouts, gpus: float) -> Columns:
    """Units of prefill and decode workers whose rates match, on at most `gpus` GPUs.

    Each decode layout with each load that comes `NEAR` the best takes each of the prefill layouts
    of `prefill_choices`, at each share of `BUSY`; workers are counted so that the unit wastes
    least.
    """
    chosen = prefill_choices(load, found)
    rows, each = crossed(found, load.sequences)
    room = kv_capacity(load.architecture, load.hardware, rows.layout, load.context, each)
    kept = np.flatnonzero(each * load.context <= room)
    rows, each = rows.take(kept), each[kept]
    tpot = decode_seconds(load, rows.layout, each)
    kept = _near(tpot, each / tpot / replica_gpus(rows.layout), rows.format)
    rows, each, tpot = rows.take(kept), each[kept], tpot[kept]
    rate = each / (tpot * max(load.output - 1.0, 1.0))
    of, at, busy = (
        axis.ravel()
        for axis in np.meshgrid(chosen, np.arange(len(rows)), np.array(BUSY), indexing="ij")
    )
    alike = found.format[of] == rows.format[at]
    of, at, busy = of[alike], at[alike], busy[alike]
    spent = prefill_seconds(load, found.layout)
    sizes = replica_gpus(found.layout)
    first, then = _workers(
        rate[at] * spent[of] / busy, sizes[of], replica_gpus(rows.layout)[at], gpus
    )
    kept = np.flatnonzero(then > 0)
    of, at, first, then = of[kept], at[kept], first[kept], then[kept]
    own = prompt_seconds(load, found.layout)[of]
    flight = then * (each[at] + rate[at] * own)
    return _paired(load, found.take(of), rows.take(at), first, then, flight)


def _near(tpot: Floats, per_gpu: Floats, format_of: Ints) -> Ints:
    """Rows whose tokens/s and GPU come near the best of their format that are as fast or faster."""
    kept = []
    for form in np.unique(format_of):
        rows = np.flatnonzero(format_of == form)
        order = rows[np.argsort(tpot[rows], kind="stable")]
        best = np.maximum.accumulate(per_gpu[order])
        kept.append(order[per_gpu[order] >= NEAR * best])
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def _workers(ratio: Floats, before: Floats, after: Floats, gpus: float) -> tuple[Floats, Floats]:
    """Prefill and decode workers of a unit, f8[n] each; 0 where none fits.

    Parameters
    ----------
    ratio : prefill workers that one decode worker keeps busy.
    before, after : GPUs of a prefill and of a decode worker.
    """
    least = np.full(len(ratio), np.inf)
    first, then = np.zeros(len(ratio)), np.zeros(len(ratio))
    for workers in range(1, MOST_DECODE + 1):
        needed = np.ceil(ratio * workers - 1e-9)
        size = needed * before + workers * after
        each = size / workers
        better = (size <= gpus) & (each < least * (1.0 - 1e-9))
        least = np.where(better, each, least)
        first = np.where(better, needed, first)
        then = np.where(better, float(workers), then)
    return first, then


def _paired(
    load: Load, before: Layouts, after: Layouts, first: Floats, then: Floats, flight: Floats
) -> Columns:
    """Evaluate units of `first` prefill and `then` decode workers."""

    def point(users: Floats) -> Point:
        return disaggregated_point(
            load.architecture,
            load.hardware,
            before.layout,
            after.layout,
            first,
            then,
            load.prompt,
            load.output,
            users,
            engine=load.engine,
            corrections=load.corrections,
            cached=load.cached,
            accepted=load.accepted,
            drafted=load.drafted,
            tables=load.tables,
        )

    busiest = point(flight)
    mean = busiest if load.quantile <= 0 else point(mean_of(flight, load.quantile))
    sizes = replica_gpus(before.layout) * first, replica_gpus(after.layout) * then
    spent = prefill_seconds(load, before.layout) * mean.tokens / load.output / first
    spent = np.minimum(spent, 1.0)
    power = spent * prefill_watts(load, before.layout) + (1.0 - spent) * load.hardware.idle
    power = sizes[0] * power + sizes[1] * decode_watts(load, after.layout, mean.running / then)
    gpus = sizes[0] + sizes[1]
    return Columns(
        np.ones(len(flight)),
        after.format,
        after.layout,
        before.layout,
        first,
        then,
        flight,
        busiest.ttft,
        busiest.tpot,
        busiest.e2e,
        mean.tokens,
        gpus,
        power / gpus,
    )
