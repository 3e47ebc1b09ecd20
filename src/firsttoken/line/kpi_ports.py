"""What a line tells other rooms: its throughput and its lead time."""

from __future__ import annotations

import numpy as np

from firsttoken.line.kpi import Kpis
from firsttoken.line.kpi_rows import Floats
from firsttoken.twin.samples import empirical
from firsttoken.twin.values import Constant, Scalar, Series, Value

QUARTER = 365.25 / 4 * 86400.0
_SHORT = 0.5  # of the usual length: a shorter last period is told together with the one before


def line_ports(kpis: Kpis) -> dict[str, Value]:
    """`throughput` and `lead_time`, of all products together and as `<product>_...`.

    Products that go into assemblies on the same line have ports of their own and no part in the
    whole.  A product of which no lot is finished in any replication has no lead time.
    """
    ports: dict[str, Value] = {"throughput": _throughput(kpis, kpis.ships)}
    chosen = [("", kpis.ships)]
    for p in kpis.products():
        mine = kpis.product == p
        name = kpis.names.products[p]
        ports[f"{name}_throughput"] = _throughput(kpis, mine)
        chosen.append((f"{name}_", mine))
    for prefix, mine in chosen:
        time = _lead_time(kpis, mine)
        if time is not None:
            ports[f"{prefix}lead_time"] = time
    return ports


def _throughput(kpis: Kpis, mine: np.ndarray) -> Series:
    """Pieces finished per second, a step at the start of each report period.

    Each level is an empirical distribution over replications.  All levels of the series share
    one draw (they are comonotone), so the chance of single weeks, which evens out, must not be
    in them: a replication counts with its rate over a quarter of a year, and within the quarter
    the periods follow the course of the mean.  Periods that begin in the warm-up take the rates
    of the statistics time.
    """
    pieces = kpis.system.tables.product["pieces"][kpis.product]
    made = (kpis.result.period_finished * pieces * mine).sum(axis=2).astype(np.float64)
    edges = np.minimum(kpis.system.edges, kpis.system.horizon)
    starts, made, lengths = _merged(edges[:-1], made, kpis.lengths)
    rates = _smoothed(made, lengths)
    early = starts < kpis.system.warmup - 1e-6
    lots = (kpis.result.finished * pieces * mine).sum(axis=1)
    rates[:, early] = (lots / kpis.result.time)[:, None]
    knots: list[tuple[Scalar, Scalar]] = []
    for b, start in enumerate(starts):
        if b and np.array_equal(rates[:, b], rates[:, b - 1]):
            continue
        knots.append((Constant(float(start + kpis.system.start)), empirical(rates[:, b])))
    return Series("step", tuple(knots))


def _merged(starts: Floats, made: Floats, lengths: Floats) -> tuple[Floats, Floats, Floats]:
    """The periods, the last joined to the one before if the horizon leaves little of it."""
    if len(lengths) > 1 and lengths[-1] < _SHORT * np.median(lengths):
        made = np.concatenate([made[:, :-2], made[:, -2:].sum(axis=1, keepdims=True)], axis=1)
        lengths = np.concatenate([lengths[:-2], [lengths[-2:].sum()]])
        starts = starts[:-1]
    return starts, made, lengths


def _smoothed(made: Floats, lengths: Floats) -> Floats:
    """Rates [R, B]: each replication's over a quarter, shaped within it as the mean is."""
    usual = float(np.median(lengths))
    span = max(round(QUARTER / usual), 1)
    count = max(len(lengths) // span, 1)
    group = np.minimum(np.arange(len(lengths)) // span, count - 1)
    rates = made / lengths
    profile = rates.mean(axis=0)
    for g in range(count):
        inside = group == g
        over = lengths[inside].sum()
        whole = made[:, inside].sum(axis=1) / over
        mean = whole.mean()
        if mean > 0:
            rates[:, inside] = whole[:, None] * (profile[inside] / mean)
    return rates


def _lead_time(kpis: Kpis, mine: np.ndarray) -> Value | None:
    """Mean time in s from release to finish, an empirical distribution over replications.

    It is a mean over lots, drawn once a replication: what differs from lot to lot evens out, what
    differs from future to future does not.
    """
    lots = kpis.result.finished * mine
    total = lots.sum(axis=1)
    known = total > 0
    if not known.any():
        return None
    spent = (lots * np.nan_to_num(kpis.result.cycle_mean)).sum(axis=1)
    return empirical(spent[known] / total[known])
