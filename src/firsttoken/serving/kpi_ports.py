"""What a token factory tells other rooms: power, load, tokens, GPUs that work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import result as of
from firsttoken.serving.kpi import Kpis, ratio
from firsttoken.serving.result import Floats
from firsttoken.twin.samples import in_time
from firsttoken.twin.values import Value

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
    drawn, start = fixed_parameters(kpis.system.parameters), kpis.system.start
    powers = {"power": power.sum(axis=1)}
    for row, pool in enumerate(kpis.system.accelerators):
        rack = float(drawn[pool.hardware["domain"]])
        powers[f"{pool.name}_power"] = power[:, row]
        powers[f"{pool.name}_rack_power"] = ratio(power[:, row] * rack, gpus[:, row])
    return {
        **{name: in_time(values, fine, start) for name, values in powers.items()},
        **{name: in_time(values, edges, start) for name, values in samples.items()},
    }
