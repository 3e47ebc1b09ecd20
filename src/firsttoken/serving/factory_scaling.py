"""Replicas of the fluid mode that follow the load."""

from __future__ import annotations

import math
from typing import Final

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.autoscale import (
    SLOTS,
    decode_load,
    recommended,
    slot_seconds,
    slots_back,
    smoothed,
)
from firsttoken.serving.factory_flow import Work, waiting
from firsttoken.serving.factory_state import (
    AHEAD,
    DOWN_RATE,
    FLOOR,
    FLOOR_RATE,
    RATE,
    SLOT,
    State,
)
from firsttoken.serving.factory_step import step_of
from firsttoken.serving.factory_system import Factory

HAIR: Final = 1e-9
"""Replicas that are none."""


@compiled_inner
def scaled(state: State, f: Factory, work: Work, s: int, p: int, k: int) -> float:
    """Replicas of a pool that serve in tick k, of those that are up."""
    there = float(f.inputs.replicas[p, k])
    rule = f.pools.scaling[p]
    if math.isnan(rule[0]):
        return there
    if math.isnan(state.up[p]):
        state.up[p] = min(rule[0], there)
        state.due[p] = max(rule[2] / f.dt, 1.0)
    if k >= state.due[p]:
        _look(state, f, work, s, p, k)
    return min(float(state.up[p]), there)


@compiled_inner
def _look(state: State, f: Factory, work: Work, s: int, p: int, k: int) -> None:
    """Look at the load of a pool, and start or stop replicas as `autoscale` says."""
    least, _, interval, startup, cooldown, tolerance = f.pools.scaling[p]
    interval = max(interval, f.dt)
    memory = state.scaler[p]
    look = round(k * f.dt / interval)
    slot = look % AHEAD
    state.up[p] += state.coming[p, slot]
    state.coming[p, slot] = 0.0
    state.due[p] = k + interval / f.dt
    ahead = 0.0
    for i in range(AHEAD):
        ahead += state.coming[p, i]
    rate = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        rate += f.inputs.rate[c, k]
    memory[RATE] = smoothed(memory[RATE], rate, interval, cooldown)
    if memory[RATE] < memory[FLOOR_RATE] * (1.0 - tolerance):
        memory[FLOOR] = 0.0
    have = state.up[p] + ahead
    wanted = recommended(have, _load(state, f, work, s, p, k), tolerance)
    wanted = min(max(wanted, least, memory[FLOOR]), float(f.inputs.replicas[p, k]))
    most = _most_wanted(state, p, k * f.dt, interval, cooldown, wanted)
    if wanted > have + HAIR:
        if memory[DOWN_RATE] >= 0.0 and memory[RATE] <= memory[DOWN_RATE] * (1.0 + tolerance):
            memory[FLOOR], memory[FLOOR_RATE] = math.floor(have + HAIR) + 1.0, memory[RATE]
        memory[DOWN_RATE] = -1.0
        later = min(max(math.ceil(startup / interval), 1), AHEAD - 1)
        state.coming[p, (slot + later) % AHEAD] += wanted - have
    elif most < have - HAIR:
        memory[DOWN_RATE] = memory[RATE]
        _stop(state, p, slot, have - most)


@compiled_inner
def _load(state: State, f: Factory, work: Work, s: int, p: int, k: int) -> float:
    """Load of a pool at the beginning of tick k, in replicas at the target."""
    target, interval = f.pools.scaling[p, 1], max(f.pools.scaling[p, 2], f.dt)
    if p != f.services.decode[s]:
        worked = state.worked[p] / interval
        state.worked[p] = 0.0
        return float(worked / target)
    if p == f.services.prefill[s]:
        _, hand = waiting(f, state.arrived, state.position, s, float(k))
    else:
        _, hand = waiting(f, state.prefilled, state.admitted, s, float(k))
    hand += state.batch[s]
    full = target * f.pools.sequences[p]
    each = state.context[s] / max(state.batch[s], HAIR)
    mine = min(hand / max(state.up[p], HAIR), f.pools.sequences[p])
    step, _ = step_of(f, s, p, work.mix, mine, mine * each, 0.0, math.inf, 1.0)
    at_target, _ = step_of(f, s, p, work.mix, full, full * each, 0.0, math.inf, 1.0)
    return decode_load(state.up[p], hand, full, step, at_target)


@compiled_inner
def _stop(state: State, p: int, slot: int, excess: float) -> None:
    """Stop replicas: first those under way, the last of them first."""
    for i in range(AHEAD):
        place = (slot - 1 - i) % AHEAD
        some = min(state.coming[p, place], excess)
        state.coming[p, place] -= some
        excess -= some
    state.up[p] -= excess


@compiled_inner
def _most_wanted(
    state: State, p: int, now: float, interval: float, cooldown: float, wanted: float
) -> float:
    """Note what is wanted now, and return the most that was within the stabilisation window."""
    memory, looks = state.scaler[p], state.looks[p]
    slot = round(now / slot_seconds(interval, cooldown))
    for i in range(min(slot - int(memory[SLOT]), SLOTS)):
        looks[(slot - i) % SLOTS] = 0.0
    memory[SLOT] = float(slot)
    looks[slot % SLOTS] = max(looks[slot % SLOTS], wanted)
    most = 0.0
    for i in range(slots_back(interval, cooldown) + 1):
        most = max(most, looks[(slot - i) % SLOTS])
    return float(most)
