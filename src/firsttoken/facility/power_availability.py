"""Availability of the racks' power from the failure and repair times of all elements.

An element is out with probability ``q = MTTR / (MTBF + MTTR)`` (a standby generator also if it does
not start), independently of the others: the data and the assumption of IEEE Std 493 (Gold Book).
The racks lost in an outage of a set of elements are a function of that set; its expectation is the
sum over sets T of ``m(T) prod q``, where m is what T loses beyond its own subsets (Moebius
inversion).  m vanishes where elements do not act on each other, so single elements and the pairs
of `power_pairs` give it but for triples: an error of order q^3.  Of these, an element with two
standby generators that do not start counts too, since their q is not small.

Outages that end before batteries are empty lose nothing: with repair times that are exponential of
mean MTTR, the share ``exp(-s / MTTR)`` lasts longer than the s seconds to the first loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from firsttoken.facility.power_screen import (
    HORIZON,
    RESULTS,
    Case,
    Screened,
    copied,
    new_work,
    racks_of,
    screen,
)
from firsttoken.facility.power_state import Network, State, Work
from firsttoken.facility.power_system import STANDBY, Floats, Ints, field_values
from firsttoken.facility.power_trips import restore, run_contingency
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.random import MASK, uniform
from firsttoken.kernel.streams import FAILURE, entity_key

HOURS = 8766.0
"""Hours of a year."""
MOST_ENUMERATED = 16


@dataclass(frozen=True)
class Outages:
    """Failure data of each element, shape [R].

    Attributes
    ----------
    q : probability that it is out.
    rate : failures, 1/s.
    repair : mean time to repair, s; of a generator that does not start, its failure counts alone.
    """

    q: Floats
    rate: Floats
    repair: Floats


@dataclass(frozen=True)
class Availability:
    """Availability of the racks' power.

    Attributes
    ----------
    unavailability : share of the rack-hours lost, all racks together.
    single, double, triple : by element, by pair, by triple with two generators: the same.
    frequency : outages that take racks down, by element, 1/s.
    """

    unavailability: float
    single: Floats
    double: Floats
    triple: Floats
    frequency: Floats


def outages(case: Case, values: Floats) -> Outages:
    """Failure data of every element from its `mtbf`, `mttr` and `success`.

    Parameters
    ----------
    values : parameters of the replication, shape [P].
    """
    system, group = case.system, case.system.grid.group
    field = field_values(system, values)
    mtbf, mttr = field["mtbf"][group], field["mttr"][group]
    with np.errstate(invalid="ignore"):
        q = np.where(np.isfinite(mtbf), mttr / np.maximum(mtbf + mttr, 1e-12), 0.0)
    starts = np.where(system.grid.kind == STANDBY, field["success"][group], 1.0)
    q = 1.0 - (1.0 - q) * starts
    return Outages(q, np.where(np.isfinite(mtbf), 1.0 / np.maximum(mtbf, 1e-12), 0.0), mttr)


def availability(
    case: Case,
    data: Outages,
    singles: Screened,
    pairs: Ints,
    doubles: Screened,
    triples: Ints,
    trebles: Screened,
) -> Availability:
    """Availability of the racks from single elements, pairs, and triples with two generators.

    Parameters
    ----------
    singles : results of every element alone, in the order of rows.
    pairs, doubles : results of the pairs that can act together, from `screen_pairs`.
    triples, trebles : results of elements with two generators, from `screen_standby`.
    """
    racks = max(racks_of(case), 1)
    lasting = _lasting(singles.first, data.repair)
    alone = singles.racks / racks * lasting
    # Both are under repair: the rate at which that ends is the sum of the rates.  A generator
    # that did not start is missed as long as what it stands in for.
    i, j = pairs[:, 0], pairs[:, 1]
    standby = case.system.grid.kind == STANDBY
    with np.errstate(divide="ignore"):
        repair = 1.0 / (1.0 / data.repair[i] + 1.0 / data.repair[j])
    repair = np.where(standby[j], data.repair[i], repair)
    repair = np.where(standby[i], data.repair[j], repair)
    together = doubles.racks / racks * _lasting(doubles.first, repair) - alone[i] - alone[j]
    beyond = trebles.racks / racks * _lasting(trebles.first, data.repair[triples[:, 0]])
    beyond -= alone[triples].sum(axis=1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        beyond -= _of_pairs(pairs, together, triples[:, [a, b]], len(data.q))
    single = data.q * alone
    double = data.q[i] * data.q[j] * together
    triple = data.q[triples].prod(axis=1) * beyond
    total = float(single.sum() + double.sum() + triple.sum())
    frequency = np.where(singles.racks > 0.0, data.rate * lasting, 0.0)
    return Availability(total, single, double, triple, frequency)


def _of_pairs(pairs: Ints, values: Floats, wanted: Ints, count: int) -> Floats:
    """Values of the pairs wanted, 0 where a pair is not listed."""
    if not len(pairs):
        return np.zeros(len(wanted))
    keys = pairs.min(axis=1) * count + pairs.max(axis=1)
    order = np.argsort(keys)
    keys = keys[order]
    sought = wanted.min(axis=1) * count + wanted.max(axis=1)
    at = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where(keys[at] == sought, values[order[at]], 0.0)


def _lasting(first: Floats, repair: Floats) -> Floats:
    """Share of outage time that lies beyond the first loss."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.exp(-first / repair)
    return np.where(np.isfinite(first), np.where(first <= 0.0, 1.0, np.nan_to_num(found)), 0.0)


def enumerated_unavailability(case: Case, q: Floats, horizon: float = HORIZON) -> float:
    """Share of the racks lost on average, over all sets of elements that can be out: exact.

    For small systems: 2 to the number of elements with q > 0, at most 16.

    Raises
    ------
    ValueError
        If more elements can be out.
    """
    able = np.flatnonzero(q > 0.0)
    if len(able) > MOST_ENUMERATED:
        raise ValueError(f"{len(able)} elements can be out, more than {MOST_ENUMERATED}")
    total = 0.0
    for size in range(1, len(able) + 1):
        sets = np.array(list(combinations(able.tolist(), size)), np.int64)
        lost = screen(case, sets, horizon).racks
        for out, racks in zip(sets, lost, strict=True):
            inside = np.isin(able, out)
            total += float(racks) * float(np.where(inside, q[able], 1.0 - q[able]).prod())
    return total / max(racks_of(case), 1)


def sampled_unavailability(
    case: Case, q: Floats, trials: int, seed: int, horizon: float = HORIZON
) -> tuple[float, float]:
    """Share of the racks lost on average and its standard error, by Monte Carlo.

    Parameters
    ----------
    q : probability that each element is out, shape [R].
    trials : independent states of the site.
    """
    lost = np.zeros(trials)
    state, work = copied(case.base), new_work(len(case.net.kind))
    key = int(entity_key("facility.power.outages"))
    _sample(case.net, case.base, state, work, q, seed, key, horizon, lost)
    share = lost / max(racks_of(case), 1)
    return float(share.mean()), float(share.std(ddof=1) / np.sqrt(trials))


@compiled
def _sample(
    net: Network,
    base: State,
    state: State,
    work: Work,
    q: Floats,
    seed: int,
    entity: int,
    horizon: float,
    lost: Floats,
) -> None:
    tripped = np.empty(len(q), np.int64)
    row = np.zeros(RESULTS)
    key = int(entity) & MASK
    purpose = int(np.int64(FAILURE))
    for trial in range(len(lost)):
        n = 0
        for r in range(len(q)):
            if q[r] > 0.0 and uniform(seed, trial, key, purpose, r) < q[r]:
                tripped[n] = r
                n += 1
        if n > 0:
            run_contingency(net, state, work, tripped[:n], horizon, row)
            lost[trial] = row[0]
            restore(net, base, state, work)
