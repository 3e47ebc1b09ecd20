"""What a programme tells other rooms: when phases are ready, and how much is by when."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.engine_place import FAR
from firsttoken.build.kpi import Kpis
from firsttoken.twin.dates import DAY
from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

Floats = NDArray[np.float64]

_CENTURY = 36525 * DAY


def build_ports(kpis: Kpis) -> dict[str, Value]:
    """`first_power`, `finish` and `<phase>_ready`, dates; `racks` (each) and `power` (W), series.

    Dates are empirical distributions over replications; what never comes does so a century later.
    With a reference class the dates are those of both views together: in each replication all move
    as far as the date does that was compared.
    """
    found, system = kpis.result, kpis.system
    later: Floats = np.zeros(len(found.first))
    if kpis.outlook is not None:
        later = kpis.outlook.later
    ports: dict[str, Value] = {"finish": date(found.last + later, system.start)}
    if not kpis.names.phases:
        return ports
    ports["first_power"] = date(found.first + later, system.start)
    for p, phase in enumerate(kpis.names.phases):
        ports[f"{phase}_ready"] = date(found.ready[p] + later, system.start)
    for port, rows in (("racks", system.racks), ("power", system.power)):
        ports[port] = _available(found.ready + later, kpis.fixed[rows], system.start)
    return ports


def _available(ready: Floats, amounts: Floats, start: float) -> Series:
    """What is there by when: a step up at each date by which so much is there.

    With the phases in the order of their median dates, the k-th step rises to what the first k
    bring, at the date by which at least that much is there, whichever phases bring it. All dates
    of the series share one draw: a future that is late is late throughout.
    """
    order = np.argsort(np.median(ready, axis=1), kind="stable")
    levels = np.cumsum(amounts[order])
    when = np.full((len(levels), ready.shape[1]), np.inf)
    sequence = np.argsort(ready, axis=0, kind="stable")
    moments = np.take_along_axis(ready, sequence, axis=0)
    reached = np.cumsum(amounts[sequence], axis=0)
    for k, level in enumerate(levels):
        first = (reached >= level - 1e-9 * levels[-1]).argmax(axis=0)
        when[k] = np.take_along_axis(moments, first[None], axis=0)[0]
    knots: list[tuple[Scalar, Scalar]] = [(Constant(start - _CENTURY), Constant(0.0))]
    before = 0.0
    for k, level in enumerate(levels.tolist()):
        if level > before:
            knots.append((date(when[k], start), Constant(level)))
            before = level
    return Series("step", tuple(knots))


def date(samples: Floats, start: float) -> Scalar:
    """Moments [R] in s from the twin's start as a date; a constant if they are all one."""
    known = np.where(samples < FAR, samples, np.max(samples[samples < FAR], initial=0) + _CENTURY)
    ordered = np.sort(known) + start
    if ordered[0] == ordered[-1]:
        return Constant(float(ordered[0]))
    shares = (np.arange(ordered.size) + 1) / ordered.size
    table = tuple(zip(ordered.tolist(), shares.tolist(), strict=True))
    return Distribution("empirical", (), table, drawn="once")
