"""Contingencies: elements trip at t = 0, and the cascade takes its course in time.

Of each contingency only what it touches is computed.  After an event, rows are first visited from
the sources down (who has supply now?), then from the loads up (who carries what now?); then the
timers of the rows touched are set anew: transfers, starts, batteries, ride-through, breakers.

A breaker trips by the inverse-time characteristic of IEEE C37.112 with exponent 2 (I^2 t beyond
its limit): ``t = K / (M^2 - 1)`` at a constant multiple M of its limit, K from its time at 1.25; at
varying load when the integral of ``(M^2 - 1) / K`` reaches 1; it falls back at the same rate law
where M < 1.
"""

from __future__ import annotations

import numpy as np

from firsttoken.facility.power_state import (
    EMPTY,
    EVENTS,
    LOST,
    OFF,
    OUT_OF_FUEL,
    OVERLOADED,
    REFUSED,
    RUNNING,
    STARTED,
    STARTING,
    TRANSFERRED,
    TRIPPED,
    Network,
    State,
    Work,
)
from firsttoken.facility.power_system import (
    BATTERY,
    LOAD,
    NONE,
    PRIME,
    SOURCES,
    STANDBY,
    UPS,
    Floats,
    Ints,
)
from firsttoken.kernel.compiled import compiled, compiled_inner

DOWN, UP, TOUCHED, ACTIVE, AFFECTED = 1, 2, 4, 8, 16
N_DOWN, N_UP, N_TOUCHED, N_ACTIVE, N_EVENTS = 0, 1, 2, 3, 4


@compiled
def run_contingency(
    net: Network,
    state: State,
    work: Work,
    tripped: Ints,
    horizon: float,
    row: Floats,
) -> None:
    """Trip elements at t = 0 and follow what happens until the horizon, in s.

    Parameters
    ----------
    state : the normal state, settled by `settle_base`; `restore` brings it back.
    tripped : rows.
    row : results, shape [7]: loads lost, W lost, s to the first loss (inf: none), restarting loads
        without supply at the end, their W, longest time without supply of one that came back in s,
        breakers that tripped by overload.
    """
    _clear(work)
    for r in tripped:
        _touch(work, r)
        state.up[r] = 0
        _event(work, 0.0, r, TRIPPED)
        _look(net, work, r)
    row[:] = 0.0
    row[2] = np.inf
    _settle(net, state, work, 0.0, row)
    while True:
        t = _next(state, work)
        if t > horizon:
            break
        _due(net, state, work, t, row)
        _settle(net, state, work, t, row)
    for i in range(work.size[N_TOUCHED]):
        r = work.touched[i]
        if net.kind[r] == LOAD and net.restarts[r] and state.live[r] == 0:
            row[3] += 1.0
            row[4] += net.power[r]


@compiled
def restore(net: Network, base: State, state: State, work: Work) -> None:
    """Put every row that was touched back into its state before."""
    for i in range(work.size[N_TOUCHED]):
        r = work.touched[i]
        state.up[r] = base.up[r]
        state.live[r] = base.live[r]
        state.fed[r] = base.fed[r]
        state.mode[r] = base.mode[r]
        state.wanted[r] = base.wanted[r]
        state.output[r] = base.output[r]
        state.lost[r] = base.lost[r]
        state.peak[r] = base.peak[r]
        state.heat[r] = base.heat[r]
        state.heat_rate[r] = base.heat_rate[r]
        state.stored[r] = base.stored[r]
        state.drain[r] = base.drain[r]
        state.since[r] = base.since[r]
        state.trip[r] = base.trip[r]
        state.due[r] = base.due[r]
        state.down_since[r] = base.down_since[r]
        for e in range(net.parent_start[r], net.parent_start[r + 1]):
            state.flow[e] = base.flow[e]
        work.flags[r] = 0
    work.size[N_TOUCHED] = 0


@compiled
def settle_base(net: Network, state: State, work: Work, row: Floats) -> None:
    """Bring a state in which every row is up, and nothing flows, into its normal state.

    Standby generators run in it where nothing else feeds what they feed.
    """
    _clear(work)
    for r in range(len(net.kind)):
        state.live[r] = 0
        _push_down(work, r)
    while work.size[N_DOWN] > 0:
        _settle(net, state, work, 0.0, row)
        for r in range(len(net.kind)):
            if net.kind[r] == STANDBY and state.mode[r] == STARTING:
                state.mode[r] = RUNNING
                _push_down(work, r)
    for r in range(len(net.kind)):
        # What goes on in the normal state is not the contingency's doing.
        state.trip[r] = np.inf
        state.due[r] = np.inf
        state.down_since[r] = np.nan
        state.peak[r] = state.output[r]
        work.flags[r] = 0
    _clear(work)


# Lists ------------------------------------------------------------------------------------


@compiled_inner
def _clear(work: Work) -> None:
    for k in range(5):
        work.size[k] = 0


@compiled_inner
def _touch(work: Work, r: int) -> None:
    if work.flags[r] & TOUCHED == 0:
        work.flags[r] |= TOUCHED
        work.touched[work.size[N_TOUCHED]] = r
        work.size[N_TOUCHED] += 1


@compiled_inner
def _activate(work: Work, r: int) -> None:
    if work.flags[r] & ACTIVE == 0:
        work.flags[r] |= ACTIVE
        work.active[work.size[N_ACTIVE]] = r
        work.size[N_ACTIVE] += 1


@compiled_inner
def _event(work: Work, t: float, r: int, what: int) -> None:
    n = work.size[N_EVENTS]
    if n < EVENTS:
        work.event_time[n] = t
        work.event_row[n] = r
        work.event_what[n] = what
        work.size[N_EVENTS] = n + 1


@compiled_inner
def _push_down(work: Work, r: int) -> None:
    if work.flags[r] & DOWN == 0:
        work.flags[r] |= DOWN
        _push(work.down, work.size[N_DOWN], r)
        work.size[N_DOWN] += 1


@compiled_inner
def _push_up(work: Work, r: int) -> None:
    if work.flags[r] & UP == 0:
        work.flags[r] |= UP
        _push(work.up, work.size[N_UP], -r)
        work.size[N_UP] += 1


@compiled_inner
def _push(heap: Ints, n: int, key: int) -> None:
    """Put a key into a binary heap of n keys, the least on top."""
    i = n
    while i > 0 and heap[(i - 1) >> 1] > key:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = key


@compiled_inner
def _pop(heap: Ints, n: int) -> int:
    """Take the least key out of a binary heap of n keys."""
    first = heap[0]
    key = heap[n - 1]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n - 1:
            break
        if child + 1 < n - 1 and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key
    return int(first)


@compiled_inner
def _next(state: State, work: Work) -> float:
    """When something happens next; rows without timers leave the list."""
    first = np.inf
    kept = 0
    for i in range(work.size[N_ACTIVE]):
        r = work.active[i]
        t = min(state.trip[r], state.due[r])
        if t == np.inf:
            work.flags[r] &= ~ACTIVE
            continue
        work.active[kept] = r
        kept += 1
        first = min(first, t)
    work.size[N_ACTIVE] = kept
    return first


# Events -----------------------------------------------------------------------------------


@compiled_inner
def _look(net: Network, work: Work, r: int) -> None:
    """A row must be looked at again, and the boards that a battery holds."""
    _push_down(work, r)
    if net.kind[r] == BATTERY:
        for k in range(net.aid_start[r], net.aid_start[r + 1]):
            _push_down(work, net.aid[k])


@compiled_inner
def _due(net: Network, state: State, work: Work, t: float, row: Floats) -> None:
    """Let everything happen that is due at t."""
    for i in range(work.size[N_ACTIVE]):
        r = work.active[i]
        if state.trip[r] <= t:
            state.up[r] = 0
            state.trip[r] = np.inf
            state.due[r] = np.inf
            row[6] += 1.0
            _event(work, t, r, OVERLOADED)
            _look(net, work, r)
        elif state.due[r] <= t:
            state.due[r] = np.inf
            _happen(net, state, work, t, r, row)
            _look(net, work, r)


@compiled_inner
def _happen(net: Network, state: State, work: Work, t: float, r: int, row: Floats) -> None:
    """Let happen what a row's timer was set for."""
    kind = net.kind[r]
    if kind == LOAD:
        state.mode[r] = 1
        row[0] += 1.0
        row[1] += net.power[r]
        row[2] = min(row[2], t)
        _event(work, t, r, LOST)
    elif kind == STANDBY and state.mode[r] == STARTING:
        if net.fails[r]:
            state.up[r] = 0
            _event(work, t, r, REFUSED)
        else:
            state.mode[r] = RUNNING
            _event(work, t, r, STARTED)
    elif kind == STANDBY:
        state.up[r] = 0
        _event(work, t, r, OUT_OF_FUEL)
    elif kind in (UPS, BATTERY):
        if state.drain[r] > 0.0:
            state.stored[r] = 0.0
            state.drain[r] = 0.0
            _event(work, t, r, EMPTY)
        else:
            state.stored[r] = net.energy[r]
            state.drain[r] = 0.0
        state.since[r] = t
    elif net.prefer[r]:
        state.mode[r] = state.wanted[r]
        state.wanted[r] = NONE
        _event(work, t, r, TRANSFERRED)


# Who has supply? --------------------------------------------------------------------------


@compiled_inner
def _settle(net: Network, state: State, work: Work, t: float, row: Floats) -> None:
    """Bring supply and load of all rows up to date."""
    while work.size[N_DOWN] > 0:
        r = _pop(work.down, work.size[N_DOWN])
        work.size[N_DOWN] -= 1
        work.flags[r] = (work.flags[r] & ~DOWN) | AFFECTED
        _touch(work, r)
        _push_up(work, r)
        before = state.live[r]
        _supply(net, state, work, t, r, row)
        if state.live[r] != before:
            for k in range(net.child_start[r], net.child_start[r + 1]):
                _push_down(work, net.child[k])
    while work.size[N_UP] > 0:
        r = -_pop(work.up, work.size[N_UP])
        work.size[N_UP] -= 1
        work.flags[r] &= ~UP
        _touch(work, r)
        _carry(net, state, work, t, r)
        _timers(net, state, work, t, r)


@compiled_inner
def _best(net: Network, state: State, r: int) -> int:
    """First live source of a row, as an edge: standby ones only where there is no other."""
    spare = NONE
    for e in range(net.parent_start[r], net.parent_start[r + 1]):
        p = net.parent[e]
        if state.live[p]:
            if net.standby[p] == 0:
                return int(e)
            if spare == NONE:
                spare = e
    return int(spare)


@compiled_inner
def _supply(net: Network, state: State, work: Work, t: float, r: int, row: Floats) -> None:
    """Find out whether a row has voltage at its output, and start what helps it."""
    kind = net.kind[r]
    best = _best(net, state, r)
    if state.up[r] and net.standby[r] == 0 and (best == NONE or net.standby[net.parent[best]]):
        _call(net, state, work, t, r)
    state.fed[r] = 1 if best != NONE else 0
    live = 1 if best != NONE and state.up[r] else 0
    if kind <= PRIME:
        live = state.up[r]
    elif kind == STANDBY:
        live = 1 if state.up[r] and state.mode[r] == RUNNING else 0
    elif kind == LOAD:
        live = _load(net, state, t, r, row)
    elif state.up[r] and net.prefer[r]:
        live = _switch(net, state, work, t, r, best)
    elif state.up[r] and best == NONE:
        if kind == UPS:
            live = 1 if state.stored[r] > 0.0 else 0
        elif kind != BATTERY and net.aid_start[r + 1] > net.aid_start[r]:
            live = _held(net, state, r)
    state.live[r] = live


@compiled_inner
def _load(net: Network, state: State, t: float, r: int, row: Floats) -> int:
    """A load runs with supply; without it rides through, and then is lost or waits."""
    fed = state.fed[r]
    if fed and state.down_since[r] == state.down_since[r]:
        row[5] = max(row[5], t - state.down_since[r])
        state.down_since[r] = np.nan
        if state.mode[r] == 0:
            state.due[r] = np.inf
    elif fed == 0 and state.down_since[r] != state.down_since[r] and state.mode[r] == 0:
        state.down_since[r] = t
        state.due[r] = np.inf if net.restarts[r] else t + net.delay[r]
    return 1 if fed and state.mode[r] == 0 else 0


@compiled_inner
def _switch(net: Network, state: State, work: Work, t: float, r: int, best: int) -> int:
    """A transfer switch stays where it is while that is live, else goes to the best source."""
    used = state.mode[r]
    if used != NONE and state.live[net.parent[used]]:
        state.wanted[r] = NONE
        state.due[r] = np.inf
        return 1
    if best == NONE:
        state.wanted[r] = NONE
        state.due[r] = np.inf
    elif used == NONE:
        state.mode[r] = best
        return 1
    elif net.delay[r] <= 0.0:
        state.mode[r] = best
        _event(work, t, r, TRANSFERRED)
        return 1
    elif state.wanted[r] != best:
        state.wanted[r] = best
        state.due[r] = t + net.delay[r]
    return 0


@compiled_inner
def _held(net: Network, state: State, r: int) -> int:
    """Whether the batteries beside a board can carry what it carried."""
    able = 0.0
    for k in range(net.aid_start[r], net.aid_start[r + 1]):
        b = net.aid[k]
        if state.up[b] and state.stored[b] > 0.0:
            able += net.capacity[b]
    return 1 if able > 0.0 and able >= state.output[r] else 0


@compiled_inner
def _call(net: Network, state: State, work: Work, t: float, r: int) -> None:
    """Start the standby generators that can feed a row."""
    work.stack[0] = r
    n = 1
    while n > 0:
        n -= 1
        row = work.stack[n]
        for e in range(net.parent_start[row], net.parent_start[row + 1]):
            p = net.parent[e]
            if net.standby[p] and state.up[p]:
                if net.kind[p] != STANDBY:
                    work.stack[n] = p
                    n += 1
                elif state.mode[p] == OFF:
                    _touch(work, p)
                    _activate(work, p)
                    state.mode[p] = STARTING
                    state.due[p] = t + net.delay[p]


# Who carries what? ------------------------------------------------------------------------


@compiled_inner
def _carry(net: Network, state: State, work: Work, t: float, r: int) -> None:
    """Find the input of a row and share it among its sources."""
    _integrate(net, state, t, r)
    kind = net.kind[r]
    power = 0.0
    out = state.output[r]
    if kind == LOAD:
        power = net.power[r] if state.live[r] else 0.0
    elif state.live[r]:
        lost = 0.0
        if out != 0.0 or net.standby[r] == 0:
            lost = _loss(net, r, out)
        state.lost[r] = lost
        power = out + lost
        if kind == UPS and state.stored[r] < net.energy[r] and state.fed[r]:
            power += net.recharge[r]
    else:
        state.lost[r] = 0.0
    held = kind > SOURCES and kind < LOAD and state.live[r] and state.fed[r] == 0
    if net.aid_start[r + 1] > net.aid_start[r] and kind != BATTERY:
        _discharge(net, state, work, t, r, power if held else 0.0)
    if kind > SOURCES:
        _share(net, state, work, r, 0.0 if held else power)


@compiled_inner
def _share(net: Network, state: State, work: Work, r: int, power: float) -> None:
    """Set the flows on the edges of a row."""
    first, last = net.parent_start[r], net.parent_start[r + 1]
    best = _best(net, state, r)
    only = NONE
    if net.prefer[r]:
        only = state.mode[r]
    spare = 0 if best == NONE else net.standby[net.parent[best]]
    total = 0.0
    count = 0
    for e in range(first, last):
        p = net.parent[e]
        if state.live[p] and net.standby[p] == spare:
            total += net.weight[e]
            count += 1
    for e in range(first, last):
        p = net.parent[e]
        flow = 0.0
        if only != NONE:
            flow = power if e == only else 0.0
        elif power != 0.0 and state.live[p] and net.standby[p] == spare:
            flow = power * net.weight[e] / total if 0.0 < total < np.inf else power / count
        if flow != state.flow[e]:
            state.output[p] += flow - state.flow[e]
            if abs(state.output[p]) < 1e-6:
                state.output[p] = 0.0
            state.flow[e] = flow
            _push_up(work, p)


@compiled_inner
def _discharge(net: Network, state: State, work: Work, t: float, r: int, power: float) -> None:
    """Take the power of a board from the batteries beside it."""
    able = 0.0
    for k in range(net.aid_start[r], net.aid_start[r + 1]):
        b = net.aid[k]
        if state.up[b] and state.stored[b] > 0.0:
            able += net.capacity[b]
    for k in range(net.aid_start[r], net.aid_start[r + 1]):
        b = net.aid[k]
        _touch(work, b)
        _integrate(net, state, t, b)
        give = 0.0
        if state.up[b] and state.stored[b] > 0.0 and power > 0.0:
            give = power * net.capacity[b] / able
        state.drain[b] = give * (1.0 + net.slope[b])
        state.due[b] = np.inf
        if give > 0.0:
            state.due[b] = t + state.stored[b] / state.drain[b]
            _activate(work, b)


@compiled_inner
def _loss(net: Network, r: int, power: float) -> float:
    """Loss of a unit, as `power_flow.unit_loss`."""
    size = abs(power)
    lost = net.no_load[r] + (net.slope[r] + net.square[r] * size) * size
    first, last = net.curve_start[net.group[r]], net.curve_start[net.group[r] + 1]
    if last > first:
        load = size / net.capacity[r]
        k = first + 1
        while k < last - 1 and load > net.curve_load[k]:
            k += 1
        x, y = net.curve_load[k - 1], net.curve_loss[k - 1]
        rise = (net.curve_loss[k] - y) / (net.curve_load[k] - x)
        lost += (y + rise * (load - x)) * net.capacity[r]
    return float(lost)


# Timers -----------------------------------------------------------------------------------


@compiled_inner
def _integrate(net: Network, state: State, t: float, r: int) -> None:
    """Bring heat and storage of a row up to t, at the rates that held until now."""
    passed = t - state.since[r]
    if passed > 0.0:
        state.heat[r] = max(0.0, state.heat[r] + state.heat_rate[r] * passed)
        stored = state.stored[r] - state.drain[r] * passed
        if net.energy[r] < np.inf:
            state.stored[r] = min(max(stored, 0.0), net.energy[r])
    state.since[r] = t


@compiled_inner
def _timers(net: Network, state: State, work: Work, t: float, r: int) -> None:
    """Set the timers of a row by the load that it carries now."""
    kind = net.kind[r]
    if kind == LOAD:
        if state.due[r] < np.inf:
            _activate(work, r)
        return
    state.trip[r] = np.inf
    load = abs(state.output[r])
    state.peak[r] = max(state.peak[r], load)
    if net.limit[r] < np.inf and state.up[r]:
        multiple = load / net.limit[r]
        state.heat_rate[r] = (multiple * multiple - 1.0) / max(net.constant[r], 1e-9)
        if load >= net.instant[r]:
            state.trip[r] = t
        elif multiple > 1.0:
            state.trip[r] = t + max(0.0, 1.0 - state.heat[r]) / state.heat_rate[r]
    if kind == UPS or (kind == STANDBY and state.mode[r] == RUNNING):
        _storage(net, state, t, r)
    if min(state.trip[r], state.due[r]) < np.inf:
        _activate(work, r)


@compiled_inner
def _storage(net: Network, state: State, t: float, r: int) -> None:
    """Set the timer of a UPS's batteries or a generator's fuel."""
    state.due[r] = np.inf
    state.drain[r] = 0.0
    if state.up[r] == 0 or net.energy[r] == np.inf:
        return
    if net.kind[r] == STANDBY:
        state.drain[r] = state.output[r]
    elif state.fed[r] == 0 and state.live[r]:
        state.drain[r] = state.output[r] + state.lost[r]
    elif state.fed[r] and state.stored[r] < net.energy[r]:
        state.drain[r] = -net.recharge[r]
    if state.drain[r] > 0.0:
        state.due[r] = t + state.stored[r] / state.drain[r]
    elif state.drain[r] < 0.0:
        state.due[r] = t + (net.energy[r] - state.stored[r]) / -state.drain[r]
