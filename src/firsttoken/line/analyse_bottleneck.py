"""Where the bottleneck is: by active periods, and by the turning point of waiting.

*Active period* (Roser, Nakano, Tanaka, A practical bottleneck detection method, Proceedings of
the 2001 Winter Simulation Conference 949-953; Shifting bottleneck detection, 2002, 1079-1086): a
station is active while it does not wait for lots or for room behind it.  At any moment the station
whose active period is the longest is the momentary bottleneck.  The engine streams the share of
time in which each station was that.

*Turning point* (Li, Chang, Ni, Data driven bottleneck detection of manufacturing systems,
International Journal of Production Research 47 (2009) 5019-5036): along the flow, stations before
the bottleneck are blocked more than they starve, stations after it starve more than they are
blocked, and the bottleneck waits less than both its neighbours.  It needs limited buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.statistics import Interval, mean_interval
from firsttoken.line.result import BLOCKED, CLOSED, STARVED, Floats, LineResult
from firsttoken.line.system import System

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bottlenecks:
    """What each station has to do with the throughput; S stations.

    Attributes
    ----------
    active : share of time as the momentary bottleneck, with 95 % intervals, S of them.
    turning : share of the replications in which the station is a turning point, [S]; NaN where
        no buffer is limited.
    turning_point : whether it is one in the means of all replications, [S].
    blocked, starved : mean shares of the open servers' time, [S].
    """

    active: tuple[Interval, ...]
    turning: Floats
    turning_point: Bools
    blocked: Floats
    starved: Floats


def bottlenecks(system: System, result: LineResult) -> Bottlenecks:
    """Turn a simulation into shares of bottlenecks.

    Parameters
    ----------
    result : R replications of `system`.
    """
    stations = len(system.names.stations)
    opened = result.state_time.sum(axis=2) - result.state_time[:, :, CLOSED]
    shares = [
        np.divide(
            result.state_time[:, :, state], opened, out=np.zeros_like(opened), where=opened > 0
        )
        for state in (BLOCKED, STARVED)
    ]
    active = tuple(_within(result.active_bottleneck[:, s]) for s in range(stations))
    blocked, starved = (share.mean(axis=0) for share in shares)
    order = flow(system)
    limited = bool(np.any(system.tables.station["buffer"][order] >= 0))
    turning = np.full(stations, np.nan)
    point = np.zeros(stations, np.bool_)
    if limited and len(order) > 1:
        each = np.array([turning_points(b[order], s[order]) for b, s in zip(*shares, strict=True)])
        turning[order] = each.mean(axis=0)
        point[order] = turning_points(blocked[order], starved[order])
    return Bottlenecks(active, turning, point, blocked, starved)


def _within(shares: Floats) -> Interval:
    """Interval of a mean share, cut to [0, 1]."""
    found = mean_interval(shares)
    return Interval(found.estimate, max(found.low, 0.0), min(found.high, 1.0))


def flow(system: System) -> npt.NDArray[np.int64]:
    """Stations in the order in which the product with the most steps first meets them.

    Only that product's own stations: what lies beside its flow has no place in the order.
    """
    products = system.tables.product
    if not len(products):
        return np.zeros(0, np.int64)
    shipped = products["component"] == 0
    steps = np.where(shipped if shipped.any() else True, products["steps"], 0)
    main = products[int(np.argmax(steps))]
    visited = system.tables.step["station"][main["step"] : main["step"] + main["steps"]]
    return np.array(list(dict.fromkeys(visited.tolist())), np.int64)


def turning_points(blocked: Floats, starved: Floats) -> Bools:
    """Find the turning points of a line.

    The line is cut into segments wherever waiting turns back from starving to being blocked; each
    segment has one turning point at most.  There all stations before are blocked more than they
    starve and all stations after the other way round; of the two stations between which that
    changes it is the one that waits less, if it also waits less than its other neighbour.

    Parameters
    ----------
    blocked, starved : shares of time along the flow, [n].

    Returns
    -------
    Bools
        Whether a station is a turning point, [n].
    """
    found = np.zeros(len(blocked), np.bool_)
    before = blocked >= starved  # nothing can starve the first station of a saturated line
    waits = blocked + starved
    cuts = np.flatnonzero(~before[:-1] & before[1:]) + 1
    for low, high in zip([0, *cuts], [*cuts, len(blocked)], strict=True):
        ahead = low + int(before[low:high].sum())
        if ahead == low:
            continue  # even the first station starves: the bottleneck lies before the line
        pair = [i for i in (ahead - 1, ahead) if i < high]
        j = min(pair, key=lambda i: waits[i])
        neighbours = [i for i in (j - 1, j + 1) if low <= i < high]
        found[j] = all(waits[j] < waits[i] for i in neighbours)
    return found
