"""What of a token factory changes with time in one replication: GPUs, replicas, power caps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from firsttoken.kernel.parameters import SeriesTable, evaluate_series
from firsttoken.serving import deployment as to
from firsttoken.serving.physics import hardware_of
from firsttoken.serving.system import Layout

Floats = to.Floats


@dataclass(frozen=True)
class Group:
    """Replicas of one kind in time: `service` serves, decodes or prefills with them.

    Attributes
    ----------
    count : replicas at each tick, whole numbers, f8[T].
    gpus : GPUs of one replica.
    cap : most power of all of them together, W; infinite: none, f8[T].
    """

    service: int
    role: str
    on: int
    layout: Layout
    gpus: float
    count: Floats
    cap: Floats


@dataclass(frozen=True)
class Timeline:
    """One replication's course, by tick.

    Attributes
    ----------
    edges : of the ticks, s from the start, [T + 1].
    available : GPUs of each pool, [A, T].
    paid : GPUs of each pool that cost, those that disruptions take away included, [A, T].
    groups : replicas of every service.
    trained : GPUs of each pool that training holds, [A, T].
    free : GPUs of each pool that neither services nor training have, [A, T].
    throttle : share of the speed that cooling leaves, [T].
    pue, energy_price : [T]; rent : USD/s of a GPU, [A, T].
    """

    edges: Floats
    available: Floats
    paid: Floats
    groups: tuple[Group, ...]
    trained: Floats
    free: Floats
    throttle: Floats
    pue: Floats
    energy_price: Floats
    rent: Floats


@dataclass(frozen=True)
class Held:
    """What training has by tick: GPUs of each pool, [A, T], and W of GPUs and hosts, [T]."""

    gpus: Floats
    power: Floats


class Course:
    """Series of a system evaluated on a grid of one replication."""

    def __init__(
        self, system: to.System, drawn: Floats, edges: Floats, seed: int, replication: int
    ) -> None:
        self.system, self.drawn, self.edges = system, drawn, edges
        self.seed, self.replication = seed, replication

    def __call__(self, series: Sequence[int]) -> Floats:
        """Means over the ticks of series, [len(series), T]; NaN rows where there is none."""
        out = np.full((len(series), len(self.edges) - 1), np.nan)
        wanted = [row for row in series if row != to.NONE]
        if not wanted:
            return out
        found = np.empty((len(wanted), len(self.edges) - 1))
        table = subset(self.system.series, wanted)
        evaluate_series(
            table,
            self.system.parameters,
            self.drawn,
            self.edges,
            self.seed,
            self.replication,
            found,
        )
        out[[i for i, row in enumerate(series) if row != to.NONE]] = found
        return out


def subset(table: SeriesTable, rows: Sequence[int]) -> SeriesTable:
    """The table of some of its series, in the order given."""
    spans = [np.arange(table.start[row], table.start[row + 1]) for row in rows]
    knots = np.concatenate(spans).astype(np.int64)
    return SeriesTable(
        table.kind[np.asarray(rows)],
        np.cumsum([0, *(len(span) for span in spans)]).astype(np.int64),
        table.knot_time[knots],
        table.knot_value[knots],
    )


def timeline(
    system: to.System,
    drawn: Floats,
    layouts: Sequence[tuple[Layout, Layout | None]],
    held: Held,
    edges: Floats,
    seed: int,
    replication: int,
) -> Timeline:
    """The course of one replication.

    Parameters
    ----------
    drawn : parameters, [P].
    layouts : of the replicas of each service: its own, and those that prefill.
    held : what training has.
    edges : of the ticks, s from the start, [T + 1].
    """
    course = Course(system, drawn, edges, seed, replication)
    throttle, pue, price, cap = course(
        (system.throttle, system.pue, system.energy_price, system.power_cap)
    )
    available, paid = _available(system, drawn, course)
    free = np.maximum(available - held.gpus, 0.0)
    groups: list[Group] = []
    last: list[tuple[int, to.Replicas, Layout]] = []
    for number, service in enumerate(system.services):
        own, prefill = layouts[number]
        for row, layout in ((service.pool, own), (service.prefill, prefill)):
            if row is None or layout is None:
                continue
            if row.kind == to.REST:
                last.append((number, row, layout))
            else:
                groups.append(_group(number, row, layout, course, available, free))
    groups += [_group(number, row, layout, course, available, free) for number, row, layout in last]
    groups.sort(key=lambda group: (group.service, group.role == "prefill"))
    return Timeline(
        edges=edges,
        available=available,
        paid=paid,
        groups=tuple(_capped(system, drawn, groups, available, held, cap)),
        trained=available - np.maximum(available - held.gpus, 0.0),
        free=free,
        throttle=throttle,
        pue=pue,
        energy_price=price,
        rent=course([pool.rent for pool in system.accelerators]),
    )


def _available(system: to.System, drawn: Floats, course: Course) -> tuple[Floats, Floats]:
    """GPUs of each pool after closures, and those that are paid for, [A, T] each.

    A GPU that is down costs what it costs at work; what a disruption adds is paid for, too.
    """
    found = course([pool.number for pool in system.accelerators])
    paid = found.copy()
    for row, pool in enumerate(system.accelerators):
        racks = drawn[pool.per_rack] if pool.per_rack != to.NONE else 1.0
        found[row] *= racks
        paid[row] *= racks
        for factor in course(pool.factors):
            found[row] *= factor
            paid[row] *= np.maximum(factor, 1.0)
    return _whole(found), _whole(paid)


def _whole(gpus: Floats) -> Floats:
    return np.asarray(np.floor(np.maximum(gpus, 0.0) + 1e-9))


def _group(
    service: int,
    row: to.Replicas,
    layout: Layout,
    course: Course,
    available: Floats,
    free: Floats,
) -> Group:
    """Replicas that a group gets of the GPUs that are left; takes them away from `free`."""
    gpus = float(layout.tensor * layout.pipeline * layout.data)
    left = np.floor(free[row.on] / gpus + 1e-9)
    if row.kind == to.REST:
        wanted = left
    else:
        wanted = course((row.number,))[0]
        if row.kind == to.SHARE:
            wanted = wanted * available[row.on]
        if row.kind != to.REPLICAS:
            wanted = wanted / gpus
        wanted = np.floor(wanted + 1e-9)
    count = np.minimum(np.maximum(wanted, 0.0), left)
    free[row.on] -= count * gpus
    none = np.full(count.shape, np.inf)
    return Group(service, row.role, row.on, layout, gpus, count, none)


def _capped(
    system: to.System,
    drawn: Floats,
    groups: Sequence[Group],
    available: Floats,
    held: Held,
    cap: Floats,
) -> list[Group]:
    """The groups with their parts of the cap, by the limits of their GPUs.

    Hosts, GPUs without a service and training take theirs first.
    """
    if np.isnan(cap).all():
        return list(groups)
    gpus = [hardware_of(pool, drawn) for pool in system.accelerators]
    left = cap - held.power
    for row, gpu in enumerate(gpus):
        others = np.maximum(available[row] - held.gpus[row], 0.0)
        left -= others * gpu.host
        busy = sum((g.count * g.gpus for g in groups if g.on == row), np.zeros_like(cap))
        left -= np.maximum(others - busy, 0.0) * gpu.idle
    limits = [group.count * group.gpus * gpus[group.on].tgp for group in groups]
    whole = np.maximum(sum(limits, np.zeros_like(cap)), 1e-9)
    left = np.maximum(left, 0.0)
    return [
        replace(group, cap=left * part / whole) for group, part in zip(groups, limits, strict=True)
    ]
