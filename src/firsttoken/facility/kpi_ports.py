"""What a site tells other rooms: power, PUE, heat, and racks that can run."""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.facility import simulate_state as of
from firsttoken.facility.kpi import Floats, Kpis, ratio
from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

PORTS: Final = ("power", "it_power", "pue", "heat", "racks", "gpus", "throttle")
"""Mean power taken (W), of IT (W), PUE, heat given to the outside (W); racks and GPUs with supply
and, of racks, without what throttling takes; share of the work that heat and supply leave them."""


def site_ports(kpis: Kpis) -> dict[str, Value]:
    """The ports, step functions of the report periods.

    Each level is an empirical distribution over replications; the levels of a series share one
    draw.  A period in which no replication has a value keeps the one before.
    """
    found = kpis.result.period
    seconds = found[..., of.SECONDS]
    racks = np.maximum(found[..., of.INSTALLED] - found[..., of.LOST], 0.0)
    samples = {
        "power": ratio(found[..., of.INPUT], seconds),
        "it_power": ratio(found[..., of.IT], seconds),
        "pue": ratio(found[..., of.INPUT], found[..., of.IT]),
        "heat": ratio(found[..., of.INPUT], seconds),
        "racks": ratio(np.minimum(racks, found[..., of.AVAILABLE]), seconds),
        "gpus": ratio(found[..., of.GPUS], seconds),
        "throttle": ratio(racks, found[..., of.INSTALLED]),
    }
    return {name: _series(kpis, values) for name, values in samples.items()}


def _series(kpis: Kpis, samples: Floats) -> Value:
    """Samples [R, B] as a step function of time."""
    knots: list[tuple[Scalar, Scalar]] = []
    last: Floats | None = None
    for edge, column in zip(kpis.system.edges[:-1], samples.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known) or (last is not None and np.array_equal(known, last)):
            continue
        last = known
        knots.append((Constant(float(edge + kpis.system.start)), empirical(known)))
    if not knots:
        return Constant(0.0)
    return knots[0][1] if len(knots) == 1 else Series("step", tuple(knots))


def empirical(samples: Floats) -> Scalar:
    """The samples as a distribution; a constant if they are all one."""
    ordered = np.sort(samples)
    if ordered[0] == ordered[-1]:
        return Constant(float(ordered[0]))
    shares = (np.arange(len(ordered)) + 1) / len(ordered)
    table = tuple(zip(ordered.tolist(), shares.tolist(), strict=True))
    return Distribution("empirical", (), table, drawn="once")
