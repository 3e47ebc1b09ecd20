"""What a token factory tells other rooms: power, load, tokens, GPUs that work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import result as of
from firsttoken.serving.kpi import Kpis, ratio
from firsttoken.serving.result import Floats
from firsttoken.twin.values import Constant, Distribution, Scalar, Series, Value

PORTS: Final = ("power", "tokens", "requests", "gpus", "trained")
"""Mean power of GPUs and hosts (W), output tokens and requests by time (1/s), GPUs that serve or
train, and tokens trained by time (1/s)."""

OF_POOL: Final = ("power", "rack_power")
"""Of each pool, as `<pool>_power`: mean power (W), and that of the GPUs and hosts of one NVLink
domain: what a rack draws."""


def factory_ports(kpis: Kpis, training: Mapping[str, Floats]) -> dict[str, Value]:
    """The ports, step functions of the report periods; power in steps of `port_step`.

    `training` holds what its jobs do together, [R, B] each; empty: there are none.

    Each level is an empirical distribution over replications; the levels of a series share one
    draw.  A period in which no replication has a value keeps the one before.
    """
    edges, fine = kpis.system.edges, kpis.system.port_edges
    length, period = np.diff(edges), kpis.result.period
    pools, power, gpus = kpis.result.pools, kpis.result.power, kpis.result.gpus
    samples = {
        "tokens": period[..., of.OUTPUT].sum(axis=1) / length,
        "requests": period[..., of.ARRIVED].sum(axis=1) / length,
        "gpus": (pools[..., of.USED] + pools[..., of.TRAINED]).sum(axis=1) / length,
        "trained": training.get("tokens", np.zeros((len(period), len(length)))),
    }
    drawn = fixed_parameters(kpis.system.parameters)
    powers = {"power": power.sum(axis=1)}
    for row, pool in enumerate(kpis.system.accelerators):
        rack = float(drawn[pool.hardware["domain"]])
        powers[f"{pool.name}_power"] = power[:, row]
        powers[f"{pool.name}_rack_power"] = ratio(power[:, row] * rack, gpus[:, row])
    return {
        **{name: _series(kpis, values, fine) for name, values in powers.items()},
        **{name: _series(kpis, values, edges) for name, values in samples.items()},
    }


def _series(kpis: Kpis, samples: Floats, edges: Floats) -> Value:
    """Samples [R, B] as a step function of time between edges."""
    knots: list[tuple[Scalar, Scalar]] = []
    last: Floats | None = None
    for edge, column in zip(edges[:-1], samples.T, strict=True):
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
