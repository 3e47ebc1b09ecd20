"""The cooling plant as arrays: racks' loops and air, facility water, coolers.

A *row* is a group of equal units that share what they cool, or one unit.  Rows stand in the order
CDUs, air units, facility water loops, coolers (dry coolers, towers, chillers).  CDUs and air units
are *exchangers*: a hot side (the racks' liquid, the hall's air) that circulates between a cold and
a hot volume, and a cold side (facility water).

Temperatures in K, powers in W, flows in m3/s, all of a row together unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NONE: Final = -1

# Kinds of rows.
CDU: Final = 0
AIR: Final = 1
LOOP: Final = 2
DRY: Final = 3
TOWER: Final = 4
CHILLER: Final = 5

# Columns of the state, shape [R, STATES].  It may be changed between steps.
SUPPLY: Final = 0
"""Temperature that a loop supplies: to racks, as air, as facility water; of a cooler that takes a
chiller's heat the condenser water's that enters it."""
RETURN: Final = 1
"""Temperature that comes back; of a loop and a cooler: that enters the first cooler, it."""
PUMPS: Final = 2
"""Share of the pumps or fans installed that can run; 1: all."""
VALVE: Final = 3
"""Facility water at the end of the last step, W/K."""
STATES: Final = 4

# Columns of the report, shape [R, REPORTS].
HEAT: Final = 0
"""Heat that the row hands on, W: to facility water, to its coolers, to the outside (a chiller:
taken from the water)."""
LEAVING: Final = 1
"""Supply temperature, mean of the step; of coolers the water leaving."""
ENTERING: Final = 2
"""Return temperature, mean of the step; of coolers the water entering."""
FLOW: Final = 3
"""Flow of the racks' liquid, of air, of facility water."""
WATER_FLOW: Final = 4
"""Facility water through a CDU or air unit; of other rows as FLOW."""
SPEED: Final = 5
"""Speed of pumps or fans as a share of full speed; of chillers the share of units that run."""
LOAD: Final = 6
"""Share of what the row could do at the time: 1 is its limit."""
SINK: Final = 7
"""Temperature of what takes the heat: facility water, air at the pads, wet bulb, condenser."""
MAKE_UP: Final = 8
"""Water taken, kg/s; evaporation, drift and blow-down are its parts."""
EVAPORATION: Final = 9
"""Water evaporated, kg/s."""
TAKEN: Final = 10
"""Heat put in by racks, W; of coolers what they give to the outside, with their motors'."""
WANTED: Final = 11
"""Flow wanted: by racks, m3/s; by a loop's valves, W/K."""
RATE: Final = 12
"""Facility water through an exchanger, W/K; of a loop what its pumps give of what is wanted."""
STORED: Final = 13
"""Heat that stays in the row's volumes, W."""
LOAD_IN: Final = 14
"""Heat that a loop takes; that a cooler takes from condensers, W."""
FULL: Final = 15
"""Conductance of a cooler at full speed, of an exchanger with open valve, W/K."""
HOT_SIDE: Final = 16
"""Resistance of an exchanger's hot side, as a share of all at the rating."""
REPORTS: Final = 17
"""Columns of the report; those from TAKEN on are the step's own."""


class CoolingPlant(NamedTuple):
    """Who cools whom; usable in compiled functions.  R rows, of which E exchangers, L loops.

    Attributes
    ----------
    kind : CDU .. CHILLER, shape [R].
    group : group of each row, shape [R].
    exchangers, loops : E and L.
    loop_of : row of the loop of each exchanger, shape [E].
    cooler_start, cooler : coolers of loop E + l, in their order, are
        ``cooler[cooler_start[l]:cooler_start[l + 1]]``.
    condenser : row of the cooler that takes a chiller's heat; NONE: outside air, no chiller.
    shared : 1 for coolers that take chillers' heat, shape [R].
    rack_liquid, rack_air : row of the CDU and of the air unit of each row of racks; NONE: none.
    """

    kind: Ints
    group: Ints
    exchangers: int
    loops: int
    loop_of: Ints
    cooler_start: Ints
    cooler: Ints
    condenser: Ints
    shared: Ints
    rack_liquid: Ints
    rack_air: Ints


class CoolingValues(NamedTuple):
    """The numbers of one replication, of one unit of each row but for `store`; shape [R] each.

    Attributes
    ----------
    rating : heat, W.
    hot_heat, cold_heat : heat capacity of a volume of the hot and of the cold side's fluid,
        J/(m3 K); of coolers the cold side is air.
    hot_rate, cold_rate : heat capacity flow at the rating, W/K.
    ua : heat transfer at the rating, W/K.
    hot_share : share of the resistance to heat transfer that is the hot side's, at the rating.
    hot_exponent, cold_exponent : how the heat transfer of each side goes with its flow.
    store : heat capacity of the cold volumes of all units that the row ever has, and again of the
        hot ones, J/K: what units hold stays when they fail.  Of loops of the one volume.
    pump_flow, pump_head, pump_static : rating of the pumps needed, m3/s and Pa.
    pump_efficiency, pump_spare : at the rating; pumps installed over pumps needed.
    fan : power of fans at full speed, W; of chillers that of condenser-water pumps.
    air_mass : air at full speed, kg/s.
    slope : change of saturated air's enthalpy with temperature at the rating, J/(kg K).
    adiabatic, wet_above, cycles, drift : as declared.
    carnot : share of Carnot's efficiency.
    pinch : refrigerant's lift beyond the water's, K.
    least : least load of a chiller, share.
    """

    rating: Floats
    hot_heat: Floats
    cold_heat: Floats
    hot_rate: Floats
    cold_rate: Floats
    ua: Floats
    hot_share: Floats
    hot_exponent: Floats
    cold_exponent: Floats
    store: Floats
    pump_flow: Floats
    pump_head: Floats
    pump_static: Floats
    pump_efficiency: Floats
    pump_spare: Floats
    fan: Floats
    air_mass: Floats
    slope: Floats
    adiabatic: Floats
    wet_above: Floats
    cycles: Floats
    drift: Floats
    carnot: Floats
    pinch: Floats
    least: Floats


class CoolingWeather(NamedTuple):
    """Outside air: K and Pa."""

    dry_bulb: float
    wet_bulb: float
    pressure: float


@dataclass(frozen=True, slots=True)
class TransientChange:
    """One change of one group: `what` is `pumps`, `units` or `load`; the rest are parameters."""

    group: tuple[str, str]
    what: str
    at: int
    over: int
    to: int


@dataclass(frozen=True, slots=True)
class TransientCase:
    """One transient: parameters of its fields, and its changes."""

    name: str
    fields: Mapping[str, int]
    changes: tuple[TransientChange, ...]


@dataclass(frozen=True, slots=True)
class SetPointCase:
    """One search for set-points: the loop's name, and parameters of its fields."""

    name: str
    loop: str
    fields: Mapping[str, int]


@dataclass(frozen=True)
class CoolingSystem:
    """The compiled cooling plant of a site.

    Attributes
    ----------
    plant : who cools whom.
    groups : (collection, name) of each group, such as ("cdus", "row").
    first : first row of each group, shape [G + 1].
    unit : number of a row's unit within its group; NONE: the row is all of its group.
    fields : parameter of each field by group, shape [G]; NONE: not declared.
    count : series of the number of units by group, shape [G]; NONE: one, always (loops).
    needed : units that carry the load at the rating, by group, shape [G].
    most : most units that a row ever has, shape [R].
    pumps : pumps installed in a unit, and needed, by group, shape [G, 2].
    set_point : series of the supply's set-point of exchangers and loops by row, shape [E + L];
        NONE: none.
    feeds : names of what feeds the motors of each group.
    liquid : liquid of each group's racks' loop, `pg25` or `water`; empty: no CDU.
    transients : trips and ramps to try.
    searches : set-points to find.
    """

    plant: CoolingPlant
    groups: tuple[tuple[str, str], ...]
    first: Ints
    unit: Ints
    fields: Mapping[str, Ints]
    count: Ints
    needed: Floats
    most: Floats
    pumps: Floats
    set_point: Ints
    feeds: tuple[tuple[str, ...], ...]
    liquid: tuple[str, ...]
    transients: tuple[TransientCase, ...] = ()
    searches: tuple[SetPointCase, ...] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.plant.kind)

    def index(self, name: str) -> int:
        """Group of a name; raises KeyError."""
        for number, (_, known) in enumerate(self.groups):
            if known == name:
                return number
        raise KeyError(name)

    def rows(self, name: str) -> range:
        """Rows of a group."""
        group = self.index(name)
        return range(int(self.first[group]), int(self.first[group + 1]))

    @property
    def by_unit(self) -> Ints:
        """1 for each group whose rows are units, shape [G]."""
        return (self.unit[self.first[:-1]] >= 0).astype(np.int64)

    def row_name(self, row: int) -> str:
        """Name of a row: `row`, or `row 3` of the third unit of several."""
        name = self.groups[int(self.plant.group[row])][1]
        return name if self.unit[row] < 0 else f"{name} {self.unit[row] + 1}"


def cooling_units(system: CoolingSystem, counts: Floats) -> Floats:
    """Units of each row from the units of each group.

    Parameters
    ----------
    counts : units of each group now, shape [G]; loops: 1.

    Returns
    -------
    Shape [R]: a row that is one unit has 1 while the group has that many, a broken number the last.
    """
    units = counts[system.plant.group]
    single = system.unit >= 0
    units[single] = np.clip(units[single] - system.unit[single], 0.0, 1.0)
    return units
