"""What a token factory tells other rooms: power, load, tokens, GPUs that work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from firsttoken.serving import result as of
from firsttoken.serving.kpi import Kpis, ratio
from firsttoken.serving.result import Floats
from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

PORTS: Final = ("power", "gpu_power", "tokens", "requests", "gpus", "trained")
"""Mean power of GPUs and hosts (W), of one GPU with its share of the host (W), output tokens and
requests by time (1/s), GPUs that serve or train, and tokens trained by time (1/s)."""


def factory_ports(kpis: Kpis, training: Mapping[str, Floats]) -> dict[str, Value]:
    """The ports, step functions of the report periods.

    `training` holds what its jobs do together, [R, B] each; empty: there are none.

    Each level is an empirical distribution over replications; the levels of a series share one
    draw.  A period in which no replication has a value keeps the one before.
    """
    length = np.diff(kpis.system.edges)
    pools, period = kpis.result.pools, kpis.result.period
    energy = pools[..., of.POOL_ENERGY].sum(axis=1)
    there = pools[..., of.THERE].sum(axis=1)
    samples = {
        "power": energy / length,
        "gpu_power": ratio(energy, there),
        "tokens": period[..., of.OUTPUT].sum(axis=1) / length,
        "requests": period[..., of.ARRIVED].sum(axis=1) / length,
        "gpus": (pools[..., of.USED] + pools[..., of.TRAINED]).sum(axis=1) / length,
        "trained": training.get("tokens", np.zeros_like(energy)),
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
