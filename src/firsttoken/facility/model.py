"""What can be declared about a site: halls, racks, power, cooling, climate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.facility.model_cooling import Cooling, Difference, Flow, Temperature
from firsttoken.facility.model_design import Design
from firsttoken.facility.model_grid import Grid
from firsttoken.facility.model_power import (
    Count,
    Duration,
    Energy,
    Money,
    Power,
    PowerChain,
    PowerInTime,
    Share,
    ShareInTime,
)
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Area = Annotated[Value, Quantity("m**2", above=0, series=False)]
Mass = Annotated[Value, Quantity("kg", above=0, series=False)]
FloorLoad = Annotated[Value, Quantity("kg/m**2", above=0, series=False)]
Number = Annotated[Value, Quantity("", series=False)]
Ramp = Annotated[Value, Quantity("W/s", above=0, series=False)]


class FlowLaw(Declared):
    """Coolant flow that a rack needs at full power by supply temperature T.

    The law of the vendors' guides: flow = unit x (scale / (limit - T)) ^ exponent.
    """

    scale: Difference = Field(description="Scale in the numerator.")
    limit: Temperature = Field(description="Supply temperature at which no flow suffices.")
    exponent: Number = Field(description="Exponent.")
    unit: Flow = default("1 L/min", description="Unit of the flow.")


class Racks(Declared):
    """A group of equal racks."""

    part: str | None = Field(
        None, description="Part of the library whose data sheet gives what is not written here."
    )
    description: str = Field("", description="What they are and do.")
    count: Count = default(1, description="Racks.")
    from_: str | list[str] | None = Field(
        None, alias="from", description="Groups of the power chain that feed them."
    )
    feeds: int | None = Field(
        None, ge=1, description="Sources each rack has of those in `from`; none: all."
    )
    cooled_by: str | None = Field(None, description="CDUs that take the heat of the liquid.")
    air_by: str | None = Field(None, description="Air units that take the rest.")
    hall: str | None = Field(None, description="Hall that they stand in.")
    # What they draw
    power: Power | None = Field(None, description="Power at full load (TDP), at the rack's input.")
    peak: Power | None = Field(None, description="Electrical design point (EDP): short peaks.")
    idle: Power | None = Field(None, description="Power without work.")
    load: ShareInTime = default(1, description="Work, between idle (0) and full load (1).")
    draws: PowerInTime | None = Field(None, description="Power of one rack, instead of `load`.")
    trace: str | None = Field(
        None, description="CSV file: `time`, and `load` or `power` of a rack, instead of `load`."
    )
    jobs: str | None = Field(
        None, description="CSV file of jobs: start, end, nodes, load; instead of `load`."
    )
    repeat: bool = Field(False, description="Whether the trace begins again after its end.")
    nodes: int = Field(1, ge=1, description="Nodes (trays) of a rack, for `jobs`.")
    gpus: Annotated[Value, Quantity("each", at_least=0, series=False)] | None = Field(
        None, description="GPUs of a rack."
    )
    # What they need
    liquid: Share | None = Field(None, description="Share of the heat that goes to the liquid.")
    flow: Flow | None = Field(
        None, description="Coolant flow at full power; none: 1.5 L/min for each kW of its heat."
    )
    flow_law: FlowLaw | None = Field(None, description="Coolant flow by supply temperature.")
    least_flow: Share = default(
        1, description="Least flow as a share of that at full power; 1: no valve follows the load."
    )
    warmest: Temperature | None = Field(
        None, description="Supply temperature above which the rack throttles."
    )
    hottest: Temperature | None = Field(
        None, description="Coolant leaving the rack at which it throttles."
    )
    throttle: Difference = default(
        "5 K", description="Above `warmest` or `hottest` by so much, it has throttled to idle."
    )
    ride_through: Duration = default(
        "20 ms", description="Time that the power shelves bridge without supply."
    )
    storage: Energy | None = Field(None, description="Energy stored in the rack to smooth power.")
    ramp_up: Ramp | None = Field(None, description="Fastest rise of its power.")
    ramp_down: Ramp | None = Field(None, description="Fastest fall of its power.")
    shed: int = Field(
        1, ge=1, description="Order in which racks give up power where it is short; 1: first."
    )
    weight: Mass | None = Field(None, description="Weight, filled.")
    footprint: Area | None = Field(None, description="Floor taken, aisles included.")
    cost: Money | None = Field(None, description="Price.")


class Hall(Declared):
    """A data hall."""

    area: Area | None = Field(None, description="Floor for racks and aisles.")
    floor_load: FloorLoad | None = Field(None, description="What the floor carries.")
    positions: int | None = Field(None, ge=0, description="Rack positions.")


class Overhead(Declared):
    """Power of the building that is neither IT nor cooling: light, offices, security."""

    power: PowerInTime = Field(description="Power.")
    from_: str | list[str] | None = Field(None, alias="from", description="Groups that feed it.")
    with_: str | None = Field(
        None,
        alias="with",
        description="Group of racks with which it comes: while a part of them is there, it takes "
        "that part of its power; none: all from the beginning.",
    )


class Facility(PowerChain, Cooling):
    """One site."""

    description: str = Field("", description="What it is, and where.")
    weather: str | list[str] | None = Field(
        None,
        description="EPW or CSV files of hourly weather; several: years to choose from by turns.",
    )
    warmer: Annotated[Value, Quantity("delta_degC")] = default(
        "0 K", description="Added to dry and wet bulb: heat waves, a warmer climate."
    )
    altitude: Annotated[Value, Quantity("m", series=False)] | None = Field(
        None, description="Height above the sea, for the pressure of air where no file gives it."
    )
    utc_offset: Annotated[Value, Quantity("s", series=False)] | None = Field(
        None, description="The site's clock (standard time) minus UTC, for files in UTC."
    )
    energy_prices: str | None = Field(
        None, description="CSV file of hourly prices of energy, for feeds that give no `price`."
    )
    carbon_intensity: str | None = Field(
        None, description="CSV file of hourly carbon intensity, for feeds that give no `carbon`."
    )
    demand_charge: Annotated[Value, Quantity("USD/W", at_least=0, series=False)] = default(
        "0 USD/kW", description="Charge for the highest power of each calendar month."
    )
    water_price: Annotated[Value, Quantity("USD/m**3", at_least=0, series=False)] = default(
        "0 USD/m**3", description="Price of water."
    )
    halls: dict[str, Hall] = Field({}, description="Data halls.")
    racks: dict[str, Racks] = Field({}, description="Groups of equal racks.")
    overheads: dict[str, Overhead] = Field({}, description="Other loads.")
    water_limit: Annotated[Value, Quantity("m**3/s", at_least=0)] | None = Field(
        None, description="Water that may be taken; hours above it are counted."
    )
    grid: Grid | None = Field(
        None, description="Jobs and the utility's limits within seconds; none: not looked at."
    )
    grid_events: str | None = Field(
        None,
        description="File of DSX Flex events, JSON or JSON lines: load targets limit the feeds "
        "that their tags name.",
    )
    design: Design | None = Field(
        None, description="What `plan` may choose from, and must reach; none: no plan."
    )
    step: Annotated[Value, Quantity("s", above=0, series=False)] = default(
        "1 hour", description="Time step of the simulation."
    )
    detail: Literal["group", "unit"] = Field(
        "group",
        description="`group`: equal units behave alike; `unit`: every rack, CDU and breaker.",
    )
    trace: bool = Field(
        False, description="Whether every step of the first replication is kept as a table."
    )
    report: Literal["hour", "day", "month", "year"] = Field(
        "month", description="Period of reports."
    )
