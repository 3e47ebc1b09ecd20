"""One replication of a token factory, and what a service did in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving import result as of
from firsttoken.serving.laws import entry_of
from firsttoken.serving.result import ServingState
from firsttoken.serving.timeline import Group, Timeline


@dataclass(frozen=True)
class Case:
    """One replication of a factory.

    Attributes
    ----------
    drawn : parameters, [P]; line : what changes with time.
    first : tick in which each report period begins, i8[B].
    end : s from the twin's start at which the simulation ends.
    begun : state from which it goes on; None: empty services at time 0.
    """

    system: to.System
    drawn: to.Floats
    line: Timeline
    first: to.Ints
    seed: int
    replication: int
    end: float
    begun: ServingState | None = None

    def padded(self, rows: to.Floats, first: int = 0) -> to.Floats:
        """Rows of ticks from one on as rows of all ticks; zeros before and after."""
        whole = np.zeros((len(self.line.edges) - 1, *rows.shape[1:]))
        whole[first : first + len(rows)] = rows
        return whole


@dataclass(frozen=True)
class Served:
    """What one service did in one replication.

    Attributes
    ----------
    period : counts by report period, [B, COUNTS]; energy and money are filled by `simulate`.
    latency : s at PROBABILITIES and mean, [3, 5].
    tenants : finished, and those that reach all goals, [tenants, 2].
    power : W of its GPUs by tick, [T].
    tokens : output tokens/s, [T]; sequences : in decoding, [T].
    replicas : that are on, of each of its groups, [groups, T].
    """

    period: to.Floats
    latency: to.Floats
    tenants: to.Floats
    power: to.Floats
    tokens: to.Floats
    sequences: to.Floats
    replicas: to.Floats


def groups_of(line: Timeline, service: int) -> tuple[Group, Group | None]:
    """Replicas that serve or decode, and those that prefill."""
    found = [group for group in line.groups if group.service == service]
    return found[0], found[1] if len(found) > 1 else None


def goals_in_replicas(service: to.Service, drawn: to.Floats) -> tuple[float, float, float]:
    """The same as what is left of them when a request comes from the front end."""
    ttft, tpot, e2e = goals_of(service, drawn)
    entry = entry_of(service)
    return ttft - entry, tpot, e2e - entry


def seen_by_users(service: to.Service, latency: to.Floats) -> to.Floats:
    """Latencies of replicas (rows LATENCIES), s, with the time in the front end."""
    found = latency.copy()
    found[[of.TTFT, of.E2E]] += entry_of(service)
    return found


def goals_of(service: to.Service, drawn: to.Floats) -> tuple[float, float, float]:
    """Goals of TTFT, TPOT and E2E, s; infinite: none."""
    goals = service.goals
    rows = (goals.ttft, goals.tpot, goals.e2e)
    ttft, tpot, e2e = (float(drawn[row]) if row != to.NONE else np.inf for row in rows)
    return ttft, tpot, e2e
