"""What theory says about checkpoints and failures, to check the simulation against.

Young, A first order approximation to the optimum checkpoint interval, Communications of the ACM 17
(1974) 530-531; Daly, A higher order estimate of the optimum checkpoint interval for restart dumps,
Future Generation Computer Systems 22 (2006) 303-312; Kokolis et al., Revisiting reliability in
large-scale machine learning research clusters, arXiv:2410.21680, section IV.
"""

from __future__ import annotations

import math


def young_interval(pause: float, mtbf: float) -> float:
    """Optimum computing time between checkpoints, s: sqrt(2 pause mtbf) (Young, 1974).

    Parameters
    ----------
    pause : s that a checkpoint stops the job; mtbf : s between failures of the job.
    """
    return math.sqrt(2.0 * pause * mtbf)


def daly_interval(pause: float, mtbf: float) -> float:
    """Optimum computing time between checkpoints, s, to higher order (Daly, 2006, equation 37)."""
    if math.isinf(mtbf):
        return math.inf
    if pause >= 2.0 * mtbf:
        return mtbf
    part = math.sqrt(pause / (2.0 * mtbf))
    return young_interval(pause, mtbf) * (1.0 + part / 3.0 + part * part / 9.0) - pause


def daly_time(solve: float, interval: float, pause: float, restart: float, mtbf: float) -> float:
    """Expected time to the solution with failures, s (Daly, 2006, equation 20).

    mtbf e^(restart / mtbf) (e^((interval + pause) / mtbf) - 1) solve / interval: failures are
    exponential, come during restarts and checkpoints too, and the last segment has a checkpoint.

    Parameters
    ----------
    solve : s of computing without failures; interval : of computing between checkpoints.
    restart : s from a failure until computing goes on; a failure begins it anew.
    """
    if math.isinf(mtbf):
        return solve * (1.0 + pause / interval)
    growth = math.exp(restart / mtbf) * math.expm1((interval + pause) / mtbf)
    return mtbf * growth * solve / interval


def ettr(nodes: float, rate: float, restart: float, interval: float) -> float:
    """Expected effective training time ratio of a long job that never queues, to first order.

    1 - nodes rate (restart + interval / 2) (Kokolis et al., section IV.A).

    Parameters
    ----------
    rate : failures of a node a second; restart : s until it trains again; interval : s between
        checkpoints.
    """
    return 1.0 - nodes * rate * (restart + interval / 2.0)
