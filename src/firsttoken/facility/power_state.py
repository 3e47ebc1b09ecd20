"""What happens to a power chain in time: the arrays of the contingency engine.

Rows are the units of the chain (compiled with `detail: unit`), then the loads.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from firsttoken.facility.power_system import Floats, Ints

RUNNING: Final = 2
STARTING: Final = 1
OFF: Final = 0

# What an event is
TRIPPED: Final = 0
OVERLOADED: Final = 1
TRANSFERRED: Final = 2
STARTED: Final = 3
EMPTY: Final = 4
LOST: Final = 5
REFUSED: Final = 6
OUT_OF_FUEL: Final = 7

EVENTS: Final = 4096
"""Events of one contingency that are kept."""


class Network(NamedTuple):
    """What does not change, N rows.

    Attributes
    ----------
    kind, prefer, standby, group : of each row, as in `PowerGrid`.
    parent_start, parent, weight : sources and the weights by which a row shares its input among
        the live ones; of loads shares, of other rows capacities in W.
    child_start, child : what each row feeds.
    aid_start, aid : batteries that hold each board; boards that each battery holds.
    curve_start, curve_load, curve_loss : loss by load, as in `PowerGrid` and `PowerValues`.
    capacity, no_load, slope, square : as in `PowerValues`.
    limit : load that the row's breaker carries for ever, W; inf: no breaker.
    instant : load that trips it at once, W.
    constant : its time constant K, s: it trips after K / ((P / limit)^2 - 1).
    delay : transfer time of switches, start of generators, ride-through of loads, s.
    fails : 1 where a generator does not start.
    energy : full storage of UPS and batteries, energy of the fuel of generators, J; inf: no end.
    recharge : power by which a UPS fills its storage, W.
    power : what a load takes, W.
    restarts : 1 for loads that run again when supply is back, 0 for those that are lost.
    """

    kind: Ints
    prefer: Ints
    standby: Ints
    group: Ints
    parent_start: Ints
    parent: Ints
    weight: Floats
    child_start: Ints
    child: Ints
    aid_start: Ints
    aid: Ints
    curve_start: Ints
    curve_load: Floats
    curve_loss: Floats
    capacity: Floats
    no_load: Floats
    slope: Floats
    square: Floats
    limit: Floats
    instant: Floats
    constant: Floats
    delay: Floats
    fails: Ints
    energy: Floats
    recharge: Floats
    power: Floats
    restarts: Ints


class State(NamedTuple):
    """What changes, N rows and E edges.

    Attributes
    ----------
    up : 0 where the row has tripped or failed.
    live : 1 where it has voltage at its output (loads: where they run).
    fed : 1 where a source of it is live.
    mode : of generators OFF, STARTING, RUNNING; of switches the edge in use; of loads 1: lost.
    wanted : of switches the edge to which a transfer is under way; NONE: no transfer.
    flow : power on each edge, W, shape [E].
    output, lost : power at the output and loss, W.
    peak : most power at the output so far, W.
    heat : how far the breaker is on its way to trip, 0 to 1.
    heat_rate : its change, 1/s.
    stored : energy left, J.
    drain : its fall, W (negative: it fills).
    since : when heat and storage were brought up to date, s.
    trip, due : when the breaker trips, when anything else happens, s; inf: never.
    down_since : since when a load has no supply, s; nan: it has.
    """

    up: Ints
    live: Ints
    fed: Ints
    mode: Ints
    wanted: Ints
    flow: Floats
    output: Floats
    lost: Floats
    peak: Floats
    heat: Floats
    heat_rate: Floats
    stored: Floats
    drain: Floats
    since: Floats
    trip: Floats
    due: Floats
    down_since: Floats


class Work(NamedTuple):
    """Lists of the engine: what is to be looked at, what was touched, what happened.

    Attributes
    ----------
    size : rows in `down`, `up`, `touched`, `active`, and events, shape [5].
    down, up : heaps of rows whose supply, whose load may have changed, shape [N].
    flags : 1: in `down`, 2: in `up`, 4: in `touched`, 8: in `active`, 16: supply looked at, [N].
    touched, active, stack : rows, shape [N].
    event_time, event_row, event_what : what happened, shape [EVENTS].
    """

    size: Ints
    down: Ints
    up: Ints
    flags: Ints
    touched: Ints
    active: Ints
    stack: Ints
    event_time: Floats
    event_row: Ints
    event_what: Ints
