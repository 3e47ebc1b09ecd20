"""Servers: what state they are in, which are idle, and which stations have something to decide."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.events import clock
from firsttoken.line.result import BLOCKED, CLOSED, STARVED, WORKING
from firsttoken.line.state import agenda, line, places, servers, source_states, state_times

N_STATES = 8


@compiled_fused
def consider(m: Any, s: int) -> None:
    """Put station ``s`` on the agenda: something there may have become possible."""
    place = places(m, s)
    if place.listed == 0:
        place.listed = 1
        _list(m, s)


@compiled_inner
def consider_source(m: Any, source: int) -> None:
    """Put a pulling source on the agenda: it may have to release."""
    state = source_states(m, source)
    if state.listed == 0:
        state.listed = 1
        line(m, 0).pulling += 1
        _list(m, line(m, 0).stations + source)


@compiled_fused
def _list(m: Any, what: int) -> None:
    state = line(m, 0)
    room = state.stations + state.sources
    at = state.agenda_first + state.agenda
    agenda(m, at - room if at >= room else at).v = what
    state.agenda += 1


@compiled_fused
def next_on_agenda(m: Any) -> int:
    """Take the first entry off the agenda: a station, or stations + source."""
    state = line(m, 0)
    what = int(agenda(m, state.agenda_first).v)
    state.agenda -= 1
    state.agenda_first += 1
    if state.agenda_first == state.stations + state.sources:
        state.agenda_first = 0
    if what < state.stations:
        places(m, what).listed = 0
    else:
        source_states(m, what - state.stations).listed = 0
        state.pulling -= 1
    return what


@compiled_fused
def set_state(m: Any, v: int, state: int) -> None:
    """Account for the time in the old state of server ``v`` and begin the new one."""
    now = clock(m, 0).now
    server = servers(m, v)
    old = server.state
    s = int(server.station)
    state_times(m, s * N_STATES + old).v += now - server.since
    server.since = now
    server.state = state
    before = old in (STARVED, BLOCKED, CLOSED)
    after = state in (STARVED, BLOCKED, CLOSED)
    if before != after:
        place = places(m, s)
        if after:
            place.idle += 1
            if place.idle == 1:
                _end_active(m, s, now)
        else:
            place.idle -= 1
            if place.idle == 0:
                place.active_since = now
                if line(m, 0).bottleneck < 0:
                    line(m, 0).bottleneck = s
                    line(m, 0).bottleneck_since = now


@compiled_apart
def _end_active(m: Any, s: int, now: float) -> None:
    """End the active period of station ``s``; the longest of those that go on is next.

    A station is active while none of its servers is idle or blocked.  The momentary bottleneck is
    the station with the longest active period so far (Roser, Nakano, Tanaka: A practical bottleneck
    detection method, Winter Simulation Conference 2001).
    """
    place = places(m, s)
    place.active_since = np.inf
    state = line(m, 0)
    if state.bottleneck != s:
        return
    place.bottleneck += now - state.bottleneck_since
    state.bottleneck_since = now
    state.bottleneck = -1
    longest = np.inf
    for k in range(state.stations):
        since = places(m, k).active_since
        if since < longest:
            longest = since
            state.bottleneck = k


@compiled_fused
def make_idle(m: Any, v: int) -> None:
    """Put server ``v`` behind the idle servers of its station."""
    server = servers(m, v)
    place = places(m, server.station)
    _short_area(m, int(server.station))
    server.next = -1
    server.prev = place.free_tail
    if place.free_tail >= 0:
        servers(m, place.free_tail).next = v
    else:
        place.free_head = v
    place.free_tail = v
    place.free += 1


@compiled_fused
def take_idle(m: Any, v: int) -> None:
    """Take server ``v`` out of the idle servers of its station."""
    server = servers(m, v)
    place = places(m, server.station)
    _short_area(m, int(server.station))
    if server.prev >= 0:
        servers(m, server.prev).next = server.next
    else:
        place.free_head = server.next
    if server.next >= 0:
        servers(m, server.next).prev = server.prev
    else:
        place.free_tail = server.prev
    place.free -= 1


@compiled_inner
def _short_area(m: Any, s: int) -> None:
    """Account for idle servers of a station that lack something, before their number changes."""
    place = places(m, s)
    if place.short >= 0:
        now = clock(m, 0).now
        place.short_area += place.free * (now - place.short_since)
        place.short_since = now


@compiled_fused
def release_server(m: Any, v: int) -> None:
    """Server ``v`` has nothing to do: idle it, or keep it away if it is down or closed."""
    server = servers(m, v)
    place = places(m, server.station)
    server.taken = 0
    if server.closed == 0 and place.opened > place.open:
        close_server(m, v)
    if server.down == 0 and server.closed == 0:
        # A cascade server that is open for the next load may have others in hand.
        set_state(m, v, WORKING if server.lot >= 0 else STARVED)
        make_idle(m, v)
        if place.queued > 0 or place.blocked > 0 or place.feed >= 0 or place.short >= 0:
            consider(m, int(server.station))


@compiled_inner
def close_server(m: Any, v: int) -> None:
    """Close server ``v``, which is not idle and has no operation in hand."""
    server = servers(m, v)
    server.closed = 1
    places(m, server.station).opened -= 1
    if server.down == 0:
        set_state(m, v, CLOSED)
