"""Cooling and water: from the racks' heat to the outside air.

Racks give their heat to the liquid of a CDU's technology cooling loop (TCS) and to the air of the
hall; CDUs and air units give it to a facility water loop (FWS), and this to dry coolers, towers
and chillers, in the order named.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.facility.model_power import Duration, Equipment, Power, Share
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Temperature = Annotated[Value, Quantity("K", above=0, series=False)]
TemperatureInTime = Annotated[Value, Quantity("K", above=0)]
Difference = Annotated[Value, Quantity("delta_degC", above=0, series=False)]
Flow = Annotated[Value, Quantity("m**3/s", above=0, series=False)]
Heat = Annotated[Value, Quantity("W", above=0, series=False)]
Volume = Annotated[Value, Quantity("m**3", at_least=0, series=False)]
Pressure = Annotated[Value, Quantity("Pa", at_least=0, series=False)]
Number = Annotated[Value, Quantity("", above=0, series=False)]

Supply = str | list[str] | None


class Cooler(Equipment):
    """A unit of cooling equipment; its motors are fed `from` the power chain."""

    from_: Supply = Field(None, alias="from", description="Groups that feed its motors.")
    rating: Heat | None = Field(None, description="Heat that one unit takes at its design point.")


class Pumps(Declared):
    """The pumps of a unit or loop, on speed control (affinity laws)."""

    count: int = Field(2, ge=1, description="Pumps.")
    needed: int | None = Field(None, ge=1, description="Pumps for full flow; none: all.")
    flow: Flow | None = Field(
        None,
        description="Rated flow of the pumps needed together; none: what the rated heat or the "
        "units served need.",
    )
    head: Pressure | None = Field(
        None,
        description="Pressure rise at rated flow; none: 200 kPa, of condenser pumps 150 kPa.",
    )
    static: Pressure = default("0 Pa", description="Part of the head that flow does not change.")
    efficiency: Share = default(0.65, description="Pump and motor with drive, at rated flow.")


class Cdu(Cooler):
    """Coolant distribution units between facility water and the racks' liquid."""

    water: str = Field(description="Facility water loop.")
    approach: Difference | None = Field(
        None, description="Racks' supply above the facility water's, at the rating; none: 4 K."
    )
    supply: TemperatureInTime | None = Field(
        None,
        description="Set-point of the racks' supply, held by a valve in the facility water; none: "
        "the water follows the racks' flow, and the supply is as cold as that gives.",
    )
    pumps: Pumps | None = Field(None, description="Pumps of the racks' loop.")
    water_flow: Flow | None = Field(
        None, description="Facility water at the rating; none: as the racks' flow."
    )
    volume: Volume | None = Field(
        None,
        description="Liquid in the racks' loop of one unit; none: what flows in 30 seconds.",
    )
    fluid: Literal["pg25", "water"] = Field("pg25", description="Liquid of the racks' loop.")


class AirUnit(Cooler):
    """Room air units (CRAH, fan walls)."""

    water: str = Field(description="Facility water loop.")
    air_flow: Flow | None = Field(
        None, description="Rated air flow of one unit; none: air warms by 12 K."
    )
    fan_power: Power | None = Field(
        None, description="Power of its fans at rated flow; none: 3.5 % of the rating."
    )
    supply: TemperatureInTime | None = Field(
        None, description="Set-point of the supply air; none: the water follows the air's flow."
    )
    approach: Difference | None = Field(
        None, description="Supply air above the water, at the rating; none: 6 K."
    )
    water_flow: Flow | None = Field(
        None, description="Facility water at the rating; none: water warms by 10 K."
    )
    volume: Volume | None = Field(
        None, description="Air of the hall for one unit; none: what flows in two minutes."
    )


class WaterLoop(Declared):
    """A facility water loop (FWS)."""

    supply: TemperatureInTime = Field(description="Set-point of the supply.")
    coolers: list[str] = Field(
        description="Dry coolers, towers and chillers that cool it, the first as far as they can."
    )
    pumps: Pumps | None = Field(None, description="Pumps; none: as the units served need.")
    from_: Supply = Field(None, alias="from", description="Groups that feed its pumps.")
    volume: Volume | None = Field(
        None,
        description="Water in the loop, tanks included; none: what flows in three minutes.",
    )
    glycol: Share = default(0, description="Share of propylene glycol.")


class DryCooler(Cooler):
    """Dry or adiabatic coolers."""

    approach: Difference | None = Field(
        None, description="Leaving water above the outside air, at the rating; none: 8 K."
    )
    range: Difference | None = Field(
        None, description="Cooling of the water at the rating; none: from the loop's flow."
    )
    air_flow: Flow | None = Field(
        None,
        description="Air of one unit at full speed; none: at the rating air warms by 0.6 of the "
        "difference between entering water and entering air.",
    )
    fan_power: Power | None = Field(
        None, description="Power of one unit's fans at full speed; none: 2 % of the rating."
    )
    adiabatic: Share = default(
        0, description="Effectiveness of the wetted pads: 0 dry, 0.8 usual for adiabatic."
    )
    wet_above: Temperature | None = Field(
        None, description="Outside air above which the pads are wetted; none: when needed."
    )
    cycles: Number = default(4, description="Cycles of concentration of the pads' water.")


class Tower(Cooler):
    """Evaporative cooling towers."""

    approach: Difference | None = Field(
        None, description="Leaving water above the wet bulb, at the rating; none: 4 K."
    )
    wet_bulb: Temperature = default("25.6 degC", description="Wet bulb of the rating.")
    range: Difference | None = Field(
        None, description="Cooling of the water at the rating; none: from the loop's flow."
    )
    air_flow: Flow | None = Field(
        None,
        description="Air of one unit at full speed; none: as much as takes the heat that the "
        "water gives with the same change of temperature.",
    )
    fan_power: Power | None = Field(
        None, description="Power of one unit's fans at full speed; none: 1 % of the rating."
    )
    cycles: Number = default(4, description="Cycles of concentration: make-up over blow-down.")
    drift: Share = default(0.00005, description="Drift, as a share of the water that circulates.")


class Chiller(Cooler):
    """Chillers, air- or water-cooled."""

    rejects_to: str | None = Field(
        None, description="Towers or dry coolers of its condenser water; none: outside air."
    )
    cop: Number | None = Field(
        None,
        description="Coefficient of performance at the rating; none: 6, air-cooled 3.2.",
    )
    lift: Difference | None = Field(
        None,
        description="Condenser water (air-cooled: outside air) above the chilled water, both "
        "leaving, at the rating; none: 28 K.",
    )
    leaving: Temperature = default("7 degC", description="Chilled water at the rating.")
    least: Share = default(0.15, description="Least load as a share of the rating; cycles below.")
    pumps: Pumps | None = Field(None, description="Condenser-water pumps of one unit.")


class TransientEvent(Declared):
    """Something that happens to groups of racks or of cooling equipment, and stays."""

    at: Duration = default("0 s", description="When, from the beginning.")
    over: Duration = default("0 s", description="Time that it takes, in a straight line.")
    of: str | list[str] = Field(description="Groups: racks, CDUs, air units, loops, coolers.")
    pumps: Share | None = Field(None, description="Share of their pumps or fans that then run.")
    units: Share | None = Field(None, description="Share of their units that then work.")
    load: Share | None = Field(
        None, description="Load that the racks then have, from idle (0) to full (1)."
    )


class Transient(Declared):
    """Minutes in short steps: what a trip does to the racks' coolant, and how soon."""

    description: str = Field("", description="What is tried.")
    dry_bulb: Temperature = default("35 degC", description="Outside air.")
    wet_bulb: Temperature = default("25 degC", description="Wet bulb of the outside air.")
    load: Share = default(1, description="Load of all racks before.")
    duration: Duration = default("10 minute", description="Time simulated.")
    step: Duration = default("0.5 s", description="Time step.")
    events: list[TransientEvent] = Field(description="What happens, in any order.")


class SetPoints(Declared):
    """Search for the set-points of a loop and its CDUs, hour by hour, that take least energy."""

    loop: str = Field(description="Facility water loop.")
    load: Share = default(1, description="Load of all racks.")
    coldest: Temperature = default("18 degC", description="Coldest facility water tried.")
    hottest: Temperature = default("45 degC", description="Warmest facility water tried.")
    step: Difference = default("1 K", description="Step between set-points tried.")
    ramp: Difference = default("2 K", description="Largest change of a set-point in an hour.")


class Cooling(Declared):
    """All cooling equipment."""

    cdus: dict[str, Cdu] = Field({}, description="Coolant distribution units.")
    air_units: dict[str, AirUnit] = Field({}, description="Room air units.")
    loops: dict[str, WaterLoop] = Field({}, description="Facility water loops.")
    dry_coolers: dict[str, DryCooler] = Field({}, description="Dry and adiabatic coolers.")
    towers: dict[str, Tower] = Field({}, description="Cooling towers.")
    chillers: dict[str, Chiller] = Field({}, description="Chillers.")
    transients: dict[str, Transient] = Field(
        {}, description="Trips and ramps to try: seconds until racks throttle."
    )
    set_points: dict[str, SetPoints] = Field(
        {}, description="Loops whose set-points are to be found for every hour of the weather."
    )
