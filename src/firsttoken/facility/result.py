"""What a simulation of a site gives back."""

from __future__ import annotations

from dataclasses import dataclass

from firsttoken.facility.simulate_state import Floats, State


@dataclass(frozen=True)
class SiteResult:
    """Results of R replications.

    B report periods, M months, F groups and U rows of the fleet are those of the system; the
    columns of counts stand in `simulate_state`.

    Attributes
    ----------
    time : time simulated, s.
    seed : seed of the replications.
    period : counts by report period, [R, B, COUNTS].
    hour : counts by hour of the day, [R, 24, len(BY_HOUR)].
    month : highest power by calendar month, W, [R, M].
    group : counts by group of the fleet, [R, F, ROW_COUNTS].
    heat : counts by group of the cooling plant, [R, G, HEAT_COUNTS], see `cooling_count`.
    unit : counts by row of the fleet, means and highest over replications, [U, ROW_COUNTS].
    trace : every step of replication 0, [T, len(TRACES)], if it was asked for.
    targets : counts by row with load targets, [R, K, TARGET_COUNTS], see `grid_targets`.
    feeds : power taken and target of these rows in every step of replication 0, W, [T, K, 2].
    """

    time: float
    seed: int
    period: Floats
    hour: Floats
    month: Floats
    group: Floats
    heat: Floats
    unit: Floats
    trace: Floats
    targets: Floats
    feeds: Floats


@dataclass(frozen=True)
class SiteState:
    """The complete state of one replication at the end of a step.

    Attributes
    ----------
    identity : of the site, see `simulate.identity`.
    time : s from the start of the twin.
    seed, replication : whose it is: the same replication goes on as if it had not been stopped,
        others draw failures and repairs anew from here on.
    """

    identity: str
    time: float
    seed: int
    replication: int
    state: State
