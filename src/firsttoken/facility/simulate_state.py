"""What a replication of a site consists of: its numbers, its state, and what it counts."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.cooling_system import CoolingPlant, CoolingValues
from firsttoken.facility.grid_targets import Targets
from firsttoken.facility.power_system import PowerGrid, PowerValues
from firsttoken.facility.system import Fleet, Loads

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Columns of what is counted by report period; sums of W s, s, kg, USD, and highest levels.
SECONDS: Final = 0
IT: Final = 1
"""Energy at the racks' inputs."""
INPUT: Final = 2
"""Energy that the site takes: from feeds, generators, and where nothing stands between."""
FEED: Final = 3
GENERATOR: Final = 4
LOSS: Final = 5
MOTORS: Final = 6
OVERHEAD: Final = 7
WATER: Final = 8
CARBON: Final = 9
COST: Final = 10
FREE: Final = 11
"""Seconds in which racks draw power and no chiller cools."""
THROTTLED: Final = 12
"""Rack-seconds with less power than the work wants."""
LOST: Final = 13
"""Rack-seconds of work lost: power not given over power wanted; racks without supply."""
INSTALLED: Final = 14
AVAILABLE: Final = 15
"""Rack-seconds installed, and with supply."""
UNSERVED: Final = 16
"""Energy that overheads and motors wanted and did not get."""
OVER_WATER: Final = 17
"""Seconds above the water limit."""
OVERLOADED: Final = 18
"""Seconds in which some row of the power chain carries more than it may."""
GPUS: Final = 19
"""GPU-seconds of racks with supply."""
CHARGED: Final = 20
"""Energy that batteries took, less what they gave."""
RUNNING: Final = 21
"""Seconds in which racks draw power."""
PEAK: Final = 22
PEAK_IT: Final = 23
PEAK_WATER: Final = 24
WARMEST: Final = 25
"""Highest power taken, IT power, water (kg/s), supply temperature of racks."""
COUNTS: Final = 26
HIGHEST: Final = PEAK
"""Columns from here on are highest levels, those before are sums."""

# Columns by hour of the day.
BY_HOUR: Final = (SECONDS, IT, INPUT, WATER, CARBON, MOTORS)

# Columns of what is counted by row of the fleet.
ROW_ENERGY: Final = 0
"""J: at the racks' input, at the output of the power chain, heat taken by the cooling plant."""
ROW_LOSS: Final = 1
"""J: rack-seconds throttled of racks, losses of the power chain, motors of the cooling plant."""
ROW_PEAK: Final = 2
"""Highest power, W."""
ROW_LEVEL: Final = 3
"""Highest supply temperature (K), highest load over capacity, highest share of what it could."""
ROW_COUNTS: Final = 4

# How a run of steps ends.
DONE: Final = 0
COOLING_BOOKS: Final = 1
POWER_BOOKS: Final = 2


class RackValues(NamedTuple):
    """The numbers of one replication by group of racks, shape [G]; see `system.RACK_FIELDS`.

    Attributes
    ----------
    scale, limit, exponent, unit : the flow law; nan: none.
    """

    power: Floats
    idle: Floats
    liquid: Floats
    flow: Floats
    least_flow: Floats
    warmest: Floats
    hottest: Floats
    throttle: Floats
    ramp_up: Floats
    ramp_down: Floats
    gpus: Floats
    scale: Floats
    limit: Floats
    exponent: Floats
    unit: Floats


class Site(NamedTuple):
    """Everything about a replication that does not change while it runs.

    Attributes
    ----------
    price, carbon, limit : series by row of the power chain; NONE: hourly, hourly, no limit.
    limit_share : share of a group's limit that is a row's.
    battery : rows of the batteries that shave peaks, shape [B].
    storage : energy of one unit of each, J, shape [B].
    set_point : series of each set-point of the cooling plant; NONE: none.
    warmer, water_limit : series.
    mtbf, mttr : s by group of the fleet; inf: never fails.
    water_price : USD/kg.
    start, step, horizon : s.
    air : dry bulb K, wet bulb K, pressure Pa at full hours, shape [3, H].
    market : USD/J and kg/J in each hour, shape [2, H].
    edges, months : s from the start.
    targets : load targets of the grid.
    """

    fleet: Fleet
    loads: Loads
    grid: PowerGrid
    power: PowerValues
    plant: CoolingPlant
    cooling: CoolingValues
    racks: RackValues
    price: Ints
    carbon: Ints
    limit: Ints
    limit_share: Floats
    battery: Ints
    storage: Floats
    set_point: Ints
    warmer: int
    water_limit: int
    mtbf: Floats
    mttr: Floats
    water_price: float
    start: float
    step: float
    horizon: float
    air: Floats
    market: Floats
    edges: Floats
    months: Floats
    targets: Targets


class Events(NamedTuple):
    """Failures and repairs in order of time.

    Attributes
    ----------
    time : s from the start.
    unit : which of the units that can fail.
    group : its group of the fleet.
    down : 1: fails, 0: is repaired.
    """

    time: Floats
    unit: Ints
    group: Ints
    down: Ints


class State(NamedTuple):
    """The state of a site; arrays that steps change.  U rows of the fleet, N rows of racks.

    Attributes
    ----------
    cooling : of the cooling plant, shape [R, STATES].
    throttle : share of the work above idle that racks leave undone for their coolant, [N].
    power : power of one rack at the end of the last step, W; nan: no step yet, [N].
    own : load of racks by jobs, [N].
    level : level of the traces, [G].
    pointer : next event of the traces, of the jobs and of the failures, [G + 2].
    base : time at which a trace that repeats began last, [G].
    charge : energy of the batteries that shave peaks, as a share of what they hold, [B].
    down : whether a unit is down, [M].
    amount : units of each group at the last look; nan: none yet, [F].
    units : units of each row, [U].
    """

    cooling: Floats
    throttle: Floats
    power: Floats
    own: Floats
    level: Floats
    pointer: Ints
    base: Floats
    charge: Floats
    down: Ints
    amount: Floats
    units: Floats


class Work(NamedTuple):
    """Arrays that a step fills anew; `hint` remembers the report period and the month.

    By row of the power chain, where racks are cut: `weakest` is the row that cuts what stands
    below, `gentle` whether it does so by best effort, `order` who gives first, `under` what all
    racks below draw and `first` what those do that give first, W.
    """

    cool_units: Floats
    live: Floats
    supplied: Floats
    want: Floats
    actual: Floats
    cut: Floats
    previous: Floats
    miss: Floats
    liquid: Floats
    air: Floats
    flow: Floats
    set_points: Floats
    motor: Floats
    water: Floats
    report: Floats
    supply: Floats
    outlet: Floats
    saved: Floats
    load: Floats
    demand: Floats
    output: Floats
    input: Floats
    loss: Floats
    factor: Floats
    weakest: Ints
    gentle: Floats
    order: Ints
    under: Floats
    first: Floats
    level: Floats
    own: Floats
    cells: Floats
    hint: Ints


class Tally(NamedTuple):
    """What a replication counts.

    Attributes
    ----------
    period : by report period, shape [B, COUNTS].
    hour : by hour of the day, shape [24, len(BY_HOUR)].
    month : highest power by calendar month, W.
    rows : by row of the fleet, shape [U, ROW_COUNTS].
    heat : by group of the cooling plant, shape [G, HEAT_COUNTS], see `cooling_count`.
    trace : power, IT power, motors, loss, water (kg/s), supply temperature, dry bulb of every
        step, shape [T, TRACES] or [0, TRACES].
    targets : by row with load targets, shape [K, TARGET_COUNTS], see `grid_targets`.
    feeds : power taken and target of these rows in every step, W, shape [T or 0, K, 2].
    """

    period: Floats
    hour: Floats
    month: Floats
    rows: Floats
    heat: Floats
    trace: Floats
    targets: Floats
    feeds: Floats


TRACES: Final = ("power", "it_power", "motors", "loss", "water", "supply", "dry_bulb", "wet_bulb")
