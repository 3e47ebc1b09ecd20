"""The end of a run of a serial line: what goes on at the end, and where the tables get results."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_inner
from firsttoken.kernel.events import clock
from firsttoken.line.engine_serial_runs import append, compare
from firsttoken.line.engine_serial_state import frees, passing, serials
from firsttoken.line.engine_serial_stops import stand_still, within
from firsttoken.line.result import BLOCKED, DOWN, STARVED, WORKING
from firsttoken.line.state import edges, line, periods, places, state_times

N_STATES: int = 8


@compiled_apart
def close_station(m: Any, j: int) -> None:
    """Account for a station from its last operation to the end."""
    station = serials(m, j)
    until = passing(m, 0).until
    stand_still(m, j, until)
    station.blocked += within(m, station.finish, station.leave)
    if station.servers == 1:
        station.idle += within(m, station.leave, until)
    else:
        for k in range(station.free, station.free + station.servers):
            station.idle += within(m, frees(m, k).v, until)
    if station.finish <= until and station.leave > until:
        station.inside += 1
    append(m, j, station.run_since, station.run_end)
    station.run_end = station.run_since
    station.closed = 1
    station.finish = np.inf
    station.leave = np.inf
    station.fail = np.inf


@compiled_inner
def close(m: Any) -> None:
    """Close all stations and write the sums where the event engine has them."""
    state = passing(m, 0)
    whole = line(m, 0)
    for j in range(state.stations):
        if serials(m, j).closed == 0:
            close_station(m, j)
    compare(m, np.inf)
    whole.lots = state.outside_lots + state.moving_lots
    for j in range(state.stations):
        _write(m, j)
        whole.lots += serials(m, j).inside
    now = clock(m, 0)
    now.now = state.until
    now.events = state.events + whole.operations
    for c in range(whole.classes):
        lots = int(np.int64(0))
        for p in range(whole.periods):
            period = periods(m, p * whole.classes + c)
            lots += period.lots
            period.lots = lots if edges(m, p + 1).v <= state.until else 0


@compiled_inner
def _write(m: Any, j: int) -> None:
    station = serials(m, j)
    place = places(m, station.row)
    ends = station.whole + station.ends
    line(m, 0).operations += ends + station.early
    place.operations = ends
    place.waits = station.whole + station.starts
    place.pieces = place.waits * passing(m, 0).pieces
    place.wait = station.wait + station.edge_wait
    place.queue_area = station.wait + station.queue
    place.bottleneck = station.bottleneck
    at = station.row * N_STATES
    state_times(m, at + STARVED).v = station.idle - station.idle_down
    state_times(m, at + WORKING).v = station.work
    state_times(m, at + BLOCKED).v = station.blocked
    state_times(m, at + DOWN).v = station.worn + station.down
