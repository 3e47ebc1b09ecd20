"""What moves the dates: the programme simulated again with one thing changed at a time.

Every change runs under the same random numbers as the programme itself, so that the difference of
two dates is that change's doing, replication by replication.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from firsttoken.build.engine import Change
from firsttoken.build.engine_place import FAR
from firsttoken.build.kpi import Kpis
from firsttoken.build.simulate import no_change, target_dates
from firsttoken.build.system import FIRST, LAST, Floats
from firsttoken.kernel.statistics import mean_interval
from firsttoken.twin.dates import DAY, WEEK

SIMULATED = 1000
"""Most replications of one change."""
_LEAST = 200
_BUDGET = 4_000_000  # tasks scheduled for all changes together
_MOST = 10
_SEEN = 0.005
_MOVED = 60.0  # s


@dataclass(frozen=True, slots=True)
class Lever:
    """One change and what it does.

    Attributes
    ----------
    kind : activity (a week less), crew (one more), risk or driver (it cannot happen).
    share : of the futures in which it moves the first phase's date; of an activity, in which it
        drives that date.
    gain, low, high : mean days by which the first phase is ready earlier, with its 95 % interval.
    finish : mean days by which everything is done earlier.
    worth : mean cost of delay that it saves, USD; NaN without one.
    """

    kind: str
    name: str
    share: float
    gain: float
    low: float
    high: float
    finish: float
    worth: float
    replications: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    kind: str
    name: str
    share: float
    change: Change


def find_levers(
    kpis: Kpis,
    seed: int,
    *,
    replications: int,
    everything: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> list[Lever]:
    """What a week less, one more crew, or no risk brings; the most first.

    Parameters
    ----------
    kpis : the simulated programme.
    seed : with which it was simulated.
    replications : most of each change, not more than were simulated.
    everything : every activity that ever drives a date, not only the foremost.
    """
    candidates = list(_candidates(kpis, everything))
    work = len(kpis.names.tasks) * max(len(candidates), 1)
    count = max(min(replications, _BUDGET // work), min(replications, _LEAST))
    found = []
    for position, candidate in enumerate(candidates):
        if progress is not None:
            progress(position, len(candidates))
        first, last = target_dates(
            kpis.system, count, seed, candidate.change, threads=threads, cancel=cancel
        )
        found.append(_lever(kpis, candidate, first, last))
    return sorted(found, key=lambda lever: (-lever.gain, -lever.share, lever.name))


def _candidates(kpis: Kpis, everything: bool) -> Iterator[_Candidate]:
    network, names, found = kpis.system.network, kpis.names, kpis.result
    plain = no_change(network)
    critical = np.where(network.tasks.finished < 0, found.criticality.max(axis=0), 0.0)
    critical[found.work.max(axis=1, initial=0.0) <= 0] = 0.0
    ranked = np.lexsort((np.arange(len(critical)), -found.criticality[LAST], -critical))
    ranked = np.argsort(-(found.criticality[FIRST] + 1e-3 * critical), kind="stable")
    kept = [int(i) for i in ranked if critical[i] >= _SEEN]
    for i in kept if everything else kept[:_MOST]:
        cut = np.zeros(len(critical))
        cut[i] = WEEK * network.tasks.share[i]
        share = float(found.criticality[FIRST, i])
        yield _Candidate("activity", names.tasks[i], share, plain._replace(cut=cut))
    for c, crew in enumerate(names.crews[: None if everything else _MOST]):
        extra = np.zeros(len(names.crews))
        extra[c] = 1.0
        yield _Candidate("crew", crew, np.nan, plain._replace(extra=extra))
    for d, driver in enumerate(names.drivers[: None if everything else _MOST]):
        drivers = plain.drivers.copy()
        drivers[d] = False
        yield _Candidate("driver", driver, np.nan, plain._replace(drivers=drivers))
    shares = {name: float(critical[i]) for i, name in enumerate(names.tasks)}
    risky = [k for k, (task, _) in enumerate(names.risks) if shares[task] >= _SEEN]
    for k in risky if everything else risky[:_MOST]:
        risks = plain.risks.copy()
        risks[k] = False
        yield _Candidate("risk", ".".join(names.risks[k]), np.nan, plain._replace(risks=risks))


def _lever(kpis: Kpis, candidate: _Candidate, first: Floats, last: Floats) -> Lever:
    """What a change does, against the same replications of the programme itself."""
    before, before_last = kpis.result.first[: len(first)], kpis.result.last[: len(first)]
    gain, finish = (
        np.where((a < FAR) & (b < FAR), np.subtract(a, b), 0.0) / DAY
        for a, b in ((before, first), (before_last, last))
    )
    interval = mean_interval(gain)
    moved = float((np.abs(gain) > _MOVED / DAY).mean())
    worth = np.nan
    if kpis.system.due >= 0 and kpis.system.cost_of_delay >= 0:
        due, rate = kpis.value(kpis.system.due), kpis.value(kpis.system.cost_of_delay)
        saved = np.maximum(before - due, 0.0) - np.maximum(first - due, 0.0)
        worth = float(np.where(before < FAR, saved, 0.0).mean()) * rate
    share = moved if np.isnan(candidate.share) else candidate.share
    return Lever(
        candidate.kind,
        candidate.name,
        share,
        interval.estimate,
        interval.low,
        interval.high,
        float(finish.mean()),
        worth,
        len(first),
    )
