"""One replication of a training job: failures, checkpoints, restarts, spares; and its books.

Failures come at a rate that grows with the GPUs in use (exponential, as Daly, Future Generation
Computer Systems 22 (2006) 303-312, assumes; measured ones are near it: Kokolis et al.,
arXiv:2410.21680). A failure throws the job back to the last checkpoint that was wholly written. It
can come again while the job starts anew. GPUs that wait for a failure to be noticed, or for nodes,
do not fail.
"""

from __future__ import annotations

import math
from typing import Any

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled, compiled_inner, is_cold
from firsttoken.kernel.random import FAILURE, REPAIR, log_normal_float, uniform2
from firsttoken.kernel.sampling import draw, table_quantile
from firsttoken.serving import training_state as of
from firsttoken.serving.training_state import Course, Floats, Work

__all__ = ["fresh_state", "must_compile", "run"]

LITTLE = 1e-9
"""Relative slack of times."""


@compiled
def run(
    work: Work,
    course: Course,
    edges: Floats,
    end: float,
    seed: int,
    replication: int,
    state: Floats,
    repairs: Floats,
    out: Floats,
    kinds: Floats,
) -> int:
    """Run a job until `end` and return 0; 1 if its books do not balance.

    Parameters
    ----------
    edges : of the periods that are counted, f8[B + 1]; out : f8[B, COUNTS], added to.
    state, repairs : f8[STATE]; when each node in repair is back, f8[nodes]; both change.
    kinds : failures by kind, f8[K], added to.
    """
    period = _place(edges, state[of.TIME])
    at = _place(course.edges, state[of.TIME])
    before, _ = _trained(out)
    first = state[of.DONE]
    while state[of.TIME] < end:
        t = state[of.TIME]
        while at + 1 < len(course.gpus) and course.edges[at + 1] <= t:
            at += 1
        while period + 1 < len(out) and edges[period + 1] <= t:
            period += 1
        gpus, speed = course.gpus[at], course.speed[at]
        _settle(work, gpus, state, repairs, out[period], seed, replication)
        step = _step(work, course, edges, end, state, repairs, at, period, speed)
        _advance(work, gpus, speed, step, state, out[period])
        _happen(work, gpus, speed, state, repairs, out[period], kinds, seed, replication)
    made, worked = _trained(out)
    if abs(made - before - (state[of.DONE] - first)) > LITTLE * max(1.0, worked + first):
        return 1
    return _balanced(out)


@compiled_inner
def _trained(out: Floats) -> tuple[float, float]:
    """Tokens trained for good, and all that were trained."""
    good, total = 0.0, 0.0
    for b in range(len(out)):
        total += out[b, of.TOKENS]
        good += out[b, of.TOKENS] - out[b, of.LOST_TOKENS]
    return good, total


@compiled_inner
def _balanced(out: Floats) -> int:
    """0 if GPU-seconds offered are those used, spared, repaired and free in every period."""
    for b in range(len(out)):
        total = 0.0
        for s in range(of.STATES):
            total += out[b, s]
        if abs(total - out[b, of.OFFERED]) > LITTLE * max(1.0, out[b, of.OFFERED]):
            return 1
    return 0


@compiled_inner
def _place(edges: Floats, t: float) -> int:
    low = 0
    while low + 2 < len(edges) and edges[low + 1] <= t:
        low += 1
    return low


@compiled_inner
def _healthy(work: Work, gpus: float, state: Floats) -> float:
    """Nodes that work, of those that the job holds and that are there."""
    held = math.ceil(work.replica * work.replicas / work.node - LITTLE) + work.spares
    there = min(held, math.floor(gpus / work.node + LITTLE))
    return float(max(there - state[of.BROKEN], 0.0))


@compiled_inner
def _possible(work: Work, gpus: float, state: Floats) -> float:
    """Replicas that the working nodes can run."""
    nodes = _healthy(work, gpus, state)
    fits = math.floor(nodes * work.node / work.replica + LITTLE)
    if work.elastic:
        return float(min(work.replicas, fits))
    return float(work.replicas) if fits >= work.replicas else 0.0


@compiled_inner
def _number(work: Work, row: int, seed: int, replication: int, index: int) -> float:
    """The next number of a distribution; times are never below zero."""
    code = work.draws.code[row]
    a, b, c, d = work.draws.args[row]
    entity = work.draws.entity[row]
    if code == codes.CONSTANT:
        return float(max(a, 0.0))
    if code == codes.DISCRETE or code == codes.EMPIRICAL:
        u, _ = uniform2(seed, replication, entity, REPAIR, index)
        return float(max(table_quantile(code, work.table, int(a), int(b), u), 0.0))
    return float(max(draw(code, a, b, c, d, seed, replication, entity, REPAIR, index), 0.0))


@compiled_inner
def _settle(
    work: Work,
    gpus: float,
    state: Floats,
    repairs: Floats,
    out: Floats,
    seed: int,
    replication: int,
) -> None:
    """Start what can start, and stop what has lost its GPUs."""
    phase = int(state[of.PHASE])
    if state[of.FINISHED] < math.inf:
        return
    if phase == of.IDLE:
        if state[of.TIME] >= work.begin:
            _go(work, gpus, state, seed, replication)
    elif phase == of.WAIT:
        if _possible(work, gpus, state) > 0:
            _go(work, gpus, state, seed, replication)
    elif phase != of.DETECT and _possible(work, gpus, state) < state[of.REPLICAS]:
        _back(state, out)
        _go(work, gpus, state, seed, replication)


@compiled_inner
def _go(work: Work, gpus: float, state: Floats, seed: int, replication: int) -> None:
    """Start on the replicas that are possible, or wait for nodes."""
    able = _possible(work, gpus, state)
    state[of.REPLICAS] = able
    if able <= 0:
        state[of.PHASE], state[of.UNTIL] = of.WAIT, math.inf
        return
    index = int(state[of.EVENTS])
    state[of.EVENTS] += 1
    pause = _number(work, work.start, seed, replication, index)
    if state[of.KEPT] > 0:
        pause += _number(work, work.load, seed, replication, index)
    state[of.PHASE], state[of.UNTIL] = of.RESTART, state[of.TIME] + pause


@compiled_inner
def _back(state: Floats, out: Floats) -> None:
    """Back to the last whole checkpoint."""
    out[of.LOST_TOKENS] += state[of.DONE] - state[of.KEPT]
    out[of.LOST] += state[of.WORK] - state[of.WORK_KEPT]
    state[of.DONE], state[of.WORK] = state[of.KEPT], state[of.WORK_KEPT]
    state[of.WRITE_END], state[of.SINCE] = math.inf, 0.0


@compiled_inner
def _keep(state: Floats) -> None:
    """The checkpoint being written is whole."""
    state[of.KEPT], state[of.WORK_KEPT] = state[of.WRITTEN], state[of.WORK_WRITTEN]
    state[of.WRITE_END] = math.inf


@compiled_inner
def _danger(work: Work, state: Floats) -> float:
    """Failures a second."""
    phase = int(state[of.PHASE])
    if phase != of.TRAIN and phase != of.PAUSE and phase != of.RESTART:
        return 0.0
    total = 0.0
    for k in range(len(work.mtbf)):
        total += 1.0 / work.mtbf[k]
    return float(total * state[of.REPLICAS] * work.replica)


@compiled_inner
def _step(
    work: Work,
    course: Course,
    edges: Floats,
    end: float,
    state: Floats,
    repairs: Floats,
    at: int,
    period: int,
    speed: float,
) -> float:
    """Time until something happens."""
    t = state[of.TIME]
    until = min(end, state[of.WRITE_END])
    if course.edges[at + 1] > t:
        until = min(until, course.edges[at + 1])
    if edges[period + 1] > t:
        until = min(until, edges[period + 1])
    for i in range(int(state[of.BROKEN])):
        until = min(until, repairs[i])
    phase = int(state[of.PHASE])
    if phase == of.IDLE:
        if work.begin > t:
            until = min(until, work.begin)
    elif phase == of.TRAIN:
        due = t + max(work.interval - state[of.SINCE], 0.0)
        if state[of.WRITE_END] < math.inf:
            due = max(due, state[of.WRITE_END])
        until = min(until, due)
        pace = _pace(work, state, speed)
        if pace > 0:
            until = min(until, t + max(work.target - state[of.DONE], 0.0) / pace)
    else:
        until = min(until, state[of.UNTIL])
    danger = _danger(work, state)
    if danger > 0:
        until = min(until, t + state[of.HAZARD] / danger)
    return float(max(until - t, 0.0))


@compiled_inner
def _pace(work: Work, state: Floats, speed: float) -> float:
    """Tokens a second."""
    return float(work.rate * speed * state[of.REPLICAS] / work.replicas)


@compiled_inner
def _advance(
    work: Work, gpus: float, speed: float, step: float, state: Floats, out: Floats
) -> None:
    """Let time pass, and count it."""
    phase = int(state[of.PHASE])
    held = math.ceil(work.replica * work.replicas / work.node - LITTLE) + work.spares
    offered = min(held, math.floor(gpus / work.node + LITTLE)) * work.node
    out[of.SECONDS] += step
    out[of.OFFERED] += offered * step
    if phase == of.IDLE:
        out[of.FREE] += offered * step
    else:
        healthy = _healthy(work, gpus, state) * work.node
        used = min(state[of.REPLICAS] * work.replica, healthy)
        broken = offered - healthy
        out[of.REPAIR] += broken * step
        out[of.ENERGY] += work.watts[of.REPAIR] * broken * step
        if phase == of.WAIT:
            used = healthy
        row = phase - of.TRAIN
        out[row] += used * step
        out[of.SPARE] += (healthy - used) * step
        watts = work.watts[row]
        if phase == of.TRAIN:
            watts = work.base + (watts - work.base) * speed**of.EXPONENT
            pace = _pace(work, state, speed)
            out[of.TOKENS] += pace * step
            state[of.DONE] += pace * step
            state[of.WORK] += used * step
            state[of.SINCE] += step
        out[of.ENERGY] += (watts * used + work.watts[of.SPARE] * (healthy - used)) * step
    state[of.HAZARD] -= _danger(work, state) * step
    state[of.TIME] += step


@compiled_inner
def _happen(
    work: Work,
    gpus: float,
    speed: float,
    state: Floats,
    repairs: Floats,
    out: Floats,
    kinds: Floats,
    seed: int,
    replication: int,
) -> None:
    """What is due now: nodes repaired, checkpoints whole, the end, failures, the phase's end."""
    t = state[of.TIME]
    slack = LITTLE * max(1.0, 1e-3 * abs(t))
    near = t + slack
    i = 0
    while i < int(state[of.BROKEN]):
        if repairs[i] <= near:
            state[of.BROKEN] -= 1
            repairs[i] = repairs[int(state[of.BROKEN])]
        else:
            i += 1
    if state[of.WRITE_END] <= near:
        _keep(state)
    phase = int(state[of.PHASE])
    left = work.target - state[of.DONE]
    if phase == of.TRAIN and left <= _pace(work, state, speed) * slack:
        state[of.FINISHED], state[of.PHASE], state[of.UNTIL] = t, of.IDLE, math.inf
        state[of.REPLICAS] = 0.0
        return
    danger = _danger(work, state)
    if danger > 0 and state[of.HAZARD] <= danger * slack:
        _fail(work, state, repairs, out, kinds, seed, replication)
    elif phase == of.TRAIN:
        free = state[of.WRITE_END] == math.inf
        if free and state[of.SINCE] >= work.interval - slack:
            out[of.SAVED] += 1
            state[of.PHASE], state[of.UNTIL] = of.PAUSE, t + work.pause
    if int(state[of.PHASE]) != of.IDLE and state[of.UNTIL] <= near:
        _end(work, gpus, state, seed, replication)


@compiled_inner
def _end(work: Work, gpus: float, state: Floats, seed: int, replication: int) -> None:
    """The end of a phase; a job that can have more replicas takes them after a checkpoint."""
    phase = int(state[of.PHASE])
    if phase == of.PAUSE:
        state[of.WRITTEN], state[of.WORK_WRITTEN] = state[of.DONE], state[of.WORK]
        state[of.WRITE_END] = state[of.TIME] + work.write
        state[of.SINCE] = 0.0
        state[of.PHASE], state[of.UNTIL] = of.TRAIN, math.inf
        if _possible(work, gpus, state) > state[of.REPLICAS]:
            _keep(state)
            _go(work, gpus, state, seed, replication)
            state[of.UNTIL] += work.write
        elif work.write <= 0:
            _keep(state)
    elif phase == of.RESTART:
        state[of.PHASE], state[of.UNTIL], state[of.SINCE] = of.TRAIN, math.inf, 0.0
    elif phase == of.DETECT:
        # `_settle` starts it on the nodes that are left.
        state[of.PHASE], state[of.UNTIL] = of.WAIT, math.inf


@compiled_inner
def _fail(
    work: Work,
    state: Floats,
    repairs: Floats,
    out: Floats,
    kinds: Floats,
    seed: int,
    replication: int,
) -> None:
    """A failure of some kind; numbers are addressed by how many were drawn before."""
    index = int(state[of.EVENTS])
    state[of.EVENTS] += 1
    entity = work.draws.entity[work.start]
    u, v = uniform2(seed, replication, entity, FAILURE, 2 * index)
    w, _ = uniform2(seed, replication, entity, FAILURE, 2 * index + 1)
    state[of.HAZARD] = -log_normal_float(u)
    total = 0.0
    for k in range(len(work.mtbf)):
        total += 1.0 / work.mtbf[k]
    kind = 0
    left = v * total - 1.0 / work.mtbf[0]
    while left > 0 and kind + 1 < len(work.mtbf):
        kind += 1
        left -= 1.0 / work.mtbf[kind]
    kinds[kind] += 1
    out[of.FAILURES] += 1
    if work.keeps[kind] and int(state[of.PHASE]) != of.RESTART:
        state[of.WRITTEN], state[of.WORK_WRITTEN] = state[of.DONE], state[of.WORK]
        _keep(state)
    _back(state, out)
    noticed = state[of.TIME] + _number(work, work.detect[kind], seed, replication, index)
    state[of.PHASE], state[of.UNTIL] = of.DETECT, noticed
    if w < work.replace[kind] and int(state[of.BROKEN]) < len(repairs):
        out[of.REPLACED] += 1
        back = noticed + _number(work, work.repair, seed, replication, index)
        repairs[int(state[of.BROKEN])] = back
        state[of.BROKEN] += 1


def must_compile() -> bool:
    """Whether the next simulation waits for the compiler."""
    return is_cold(run)


def fresh_state(first: float) -> Any:
    """State of a job that has not begun, f8[STATE].

    Parameters
    ----------
    first : the first number of the failure process, exponential with mean 1.
    """
    import numpy as np

    state = np.zeros(of.STATE)
    state[of.UNTIL] = state[of.WRITE_END] = state[of.FINISHED] = math.inf
    state[of.HAZARD] = first
    return state
