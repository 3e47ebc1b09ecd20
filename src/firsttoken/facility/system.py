"""A compiled site: racks, power chain, cooling plant, weather and loads as arrays.

The *fleet* is all groups of units: racks, then the power chain, then the cooling plant.  Rows of
the fleet are numbered in the same order; a row is a group, or one unit with `detail: unit`.
Parameters and series are indices into the tables; NONE where nothing is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.cooling_system import CoolingSystem
from firsttoken.facility.grid_events import GridEvents
from firsttoken.facility.grid_targets import NO_TARGETS, Targets
from firsttoken.facility.loads import LoadTable
from firsttoken.facility.power_system import Attachment, PowerSystem
from firsttoken.facility.rack_rows import RackRow
from firsttoken.facility.weather import Climate
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.twin.parameters import Input

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NONE: Final = -1

RACK_FIELDS: Final[Mapping[str, float]] = {
    "power": 0.0,
    "idle": 0.0,
    "liquid": 0.0,
    "flow": np.nan,
    "least_flow": 1.0,
    "warmest": np.inf,
    "hottest": np.inf,
    "throttle": 5.0,
    "ramp_up": np.inf,
    "ramp_down": np.inf,
    "gpus": 0.0,
}
"""Fields of racks that are one number, and what holds where none is declared."""

LAW_FIELDS: Final = ("scale", "limit", "exponent", "unit")


class Fleet(NamedTuple):
    """Units of all groups; usable in compiled functions.  F groups, U rows, M units that can fail.

    Attributes
    ----------
    first : first row of each group, shape [F + 1].
    by_unit : 1 where the rows of a group are its units, shape [F].
    number : series of the number of units, NONE: one, shape [F].
    factor_start, factor : series to multiply the number with (closures), shapes [F + 1] and [n].
    follow : group of racks with which a group comes, NONE: it does not, shape [F].
    most : racks of a group at most, shape [G].
    unit_start : first of the units that can fail of each group, shape [F + 1].
    entity : stream key of each group's failures, shape [F].
    """

    first: Ints
    by_unit: Ints
    number: Ints
    factor_start: Ints
    factor: Ints
    follow: Ints
    most: Floats
    unit_start: Ints
    entity: Ints


class Loads(NamedTuple):
    """Everything that takes power; usable in compiled functions.

    Attributes
    ----------
    rack_group : group of racks of each row of racks, shape [N].
    full : racks that a row stands for at most, shape [N].
    shed : order in which rows of racks give up power where it is short, shape [N].
    table : what the racks do.
    overhead : series of the overheads' power, shape [O].
    with_racks : group of racks with which an overhead comes, NONE: it does not, shape [O].
    feeds : rows of the power chain that feed the N rows of racks, then the rows of the cooling
        plant, then the overheads; a load without any is supplied from outside the chain.
    """

    rack_group: Ints
    full: Floats
    shed: Ints
    table: LoadTable
    overhead: Ints
    with_racks: Ints
    feeds: Attachment


@dataclass(frozen=True)
class Names:
    """Names of groups and rows, by table.

    Attributes
    ----------
    site : instance under `facility`.
    groups : (collection, name) of each group of the fleet.
    """

    site: str
    groups: tuple[tuple[str, str], ...]
    overheads: tuple[str, ...]


@dataclass(frozen=True)
class System:
    """A site in arrays.

    Attributes
    ----------
    racks : rows of racks.
    rack_fields : parameter of each of RACK_FIELDS and `flow_law.<field>` by group of racks.
    power, cooling : the compiled chain and plant; None: none is declared.
    shaving : rows of the power chain that are batteries against peaks.
    mtbf, mttr : parameters by group of the fleet.
    warmer, water_limit : series.
    demand_charge, water_price : parameters.
    price, carbon : hourly, for feeds that have no series of their own; None: nothing.
    start : seconds from 1970-01-01.
    horizon, step : s.
    edges : report periods, s from the start, from 0 to the horizon, shape [B + 1].
    months : calendar months, as `edges`.
    targets : load targets of the grid for feeds.
    events : the messages that say so; None: there are none.
    """

    names: Names
    parameters: ParameterTable
    series: SeriesTable
    fleet: Fleet
    loads: Loads
    racks: tuple[RackRow, ...]
    rack_fields: Mapping[str, Ints]
    power: PowerSystem
    cooling: CoolingSystem
    shaving: Ints
    mtbf: Ints
    mttr: Ints
    warmer: int
    water_limit: int
    demand_charge: int
    water_price: int
    climate: Climate
    price: Climate | None
    carbon: Climate | None
    start: float
    horizon: float
    step: float
    edges: Floats
    months: Floats
    targets: Targets = NO_TARGETS
    events: GridEvents | None = None
    inputs: tuple[Input, ...] = ()
    users: dict[str, list[str]] = field(default_factory=dict)

    @property
    def by_unit(self) -> bool:
        """Whether rows are units."""
        return self.power.by_unit

    @property
    def rack_groups(self) -> tuple[str, ...]:
        """Names of the groups of racks."""
        return tuple(name for kind, name in self.names.groups if kind == "racks")

    def rows(self, kind: str) -> slice:
        """Rows of the fleet of one kind: `racks`, `power` or `cooling`."""
        racks, power = len(self.racks), len(self.power)
        if kind == "racks":
            return slice(0, racks)
        if kind == "power":
            return slice(racks, racks + power)
        return slice(racks + power, racks + power + len(self.cooling))
