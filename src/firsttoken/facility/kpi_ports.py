"""What a site tells other rooms: power, PUE, heat, and racks that can run."""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.facility import simulate_state as of
from firsttoken.facility.kpi import Kpis, ratio
from firsttoken.twin.samples import in_time
from firsttoken.twin.values import Value

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
    edges, start = kpis.system.edges, kpis.system.start
    return {name: in_time(values, edges, start) for name, values in samples.items()}
