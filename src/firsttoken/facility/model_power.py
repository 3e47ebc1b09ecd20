"""The power chain: what can stand between a utility's feed and a rack.

Groups of equal units, each fed `from` the groups named.  Where a group has fewer units than the
one that feeds it, each of its units is fed by a block of these in parallel; where it has more,
each feeding unit serves a block of them.  Several names in `from` are several sources: racks share
their load among them (A and B feeds), transfer switches prefer the first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Count = Annotated[Value, Quantity("each", at_least=0)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
ShareInTime = Annotated[Value, Quantity("", at_least=0, at_most=1)]
Efficiency = Annotated[Value, Quantity("", above=0, at_most=1, series=False)]
Power = Annotated[Value, Quantity("W", at_least=0, series=False)]
PowerInTime = Annotated[Value, Quantity("W", at_least=0)]
Energy = Annotated[Value, Quantity("J", at_least=0, series=False)]
Duration = Annotated[Value, Quantity("s", at_least=0, series=False)]
Voltage = Annotated[Value, Quantity("V", above=0, series=False)]
Length = Annotated[Value, Quantity("m", at_least=0, series=False)]
Impedance = Annotated[Value, Quantity("ohm/m", at_least=0, series=False)]
Parallel = Annotated[Value, Quantity("each", above=0, series=False)]
Money = Annotated[Value, Quantity("USD", at_least=0, series=False)]
Ratio = Annotated[Value, Quantity("", above=0, series=False)]


class Breaker(Declared):
    """Protection of a unit: what it carries for ever, and how long it carries more."""

    limit: Ratio = default(1, description="Load carried for ever, as a share of the rating.")
    hold: Duration = default(
        "60 s", description="Time to trip at 1.25 times the limit; with I2t it is less beyond."
    )
    instant: Ratio = default(8, description="Multiple of the rating that trips at once.")


class Cable(Declared):
    """Three-phase cable or busbar from a unit's source to it."""

    length: Length = Field(description="Length of the run.")
    resistance: Impedance = Field(description="Resistance of a conductor by length.")
    reactance: Impedance = default("0 ohm/m", description="Reactance of a conductor by length.")
    parallel: Parallel = default(1, description="Cables in parallel.")


class Equipment(Declared):
    """What all units of power and cooling equipment have."""

    part: str | None = Field(
        None, description="Part of the library whose data sheet gives what is not written here."
    )
    description: str = Field("", description="What it is.")
    count: Count = default(1, description="Units.")
    with_: str | None = Field(
        None,
        alias="with",
        description="Group of racks with which it comes: while a part of them is there, so is "
        "the same part of it, in whole units; none: all is there from the beginning.",
    )
    needed: int | None = Field(
        None,
        ge=1,
        description="Units that carry the load; more are redundant. With fewer the rest trips by "
        "overload, even if no breaker is declared. None: all.",
    )
    mtbf: Annotated[Value, Quantity("s", above=0, series=False)] | None = Field(
        None, description="Time between failures of one unit."
    )
    mttr: Duration | None = Field(None, description="Time to repair.")
    cost: Money | None = Field(None, description="Cost of one unit, installed.")


class Element(Equipment):
    """A unit of the power chain."""

    from_: str | list[str] | None = Field(
        None, alias="from", description="Groups that feed it, the preferred one first."
    )
    feeds: int | None = Field(
        None,
        ge=1,
        description="Sources each unit has of those in `from`, by turns through all choices "
        "(4-to-make-3: four sources, `feeds: 2`); none: all.",
    )
    rating: Power | None = Field(None, description="Rated power at the output; none: no limit.")
    power_factor: Share = default(1, description="Power factor of its load.")
    efficiency: Efficiency | dict[int, Efficiency] | None = Field(
        None,
        description="Output over input: one number, or by load in % of the rating.",
    )
    no_load_loss: Power | None = Field(None, description="Loss of a unit whatever its load.")
    load_loss: Power | None = Field(
        None, description="Loss of a unit at its rating, beyond `no_load_loss`; goes as the square."
    )
    breaker: Breaker | None = Field(None, description="Overload protection.")
    voltage: Voltage | None = Field(
        None, description="Nominal line voltage at the output; none: that of its source."
    )
    cable: Cable | None = Field(None, description="Cable or busbar from its source.")


class Feed(Element):
    """A utility's feed."""

    limit: PowerInTime | None = Field(
        None, description="What the utility lets it take, over time; none: its rating."
    )
    short_circuit: Power | None = Field(
        None, description="Short-circuit power of the grid there; none: its voltage stands still."
    )
    price: Annotated[Value, Quantity("USD/J")] | None = Field(None, description="Energy price.")
    carbon: Annotated[Value, Quantity("kg/J", at_least=0)] | None = Field(
        None, description="Carbon intensity of the energy."
    )


class Generator(Element):
    """Standby or prime-power generators."""

    start: Duration = default("10 s", description="From the loss of supply to rated speed.")
    success: Share = default(1, description="Probability that a unit starts.")
    prime: bool = Field(False, description="Runs all the time: on-site generation.")
    fuel: Duration | None = Field(None, description="Fuel on site, as time at rated power.")
    price: Annotated[Value, Quantity("USD/J")] | None = Field(None, description="Energy price.")
    carbon: Annotated[Value, Quantity("kg/J", at_least=0)] | None = Field(
        None, description="Carbon intensity of the energy."
    )


class Transformer(Element):
    """Transformers."""

    impedance: Share = default(0.06, description="Short-circuit impedance, per unit.")


class Board(Element):
    """Switchgear and boards of medium or low voltage."""


class TransferSwitch(Element):
    """Automatic (ATS) or static (STS) transfer switches: one source at a time."""

    transfer: Duration = default("100 ms", description="Time without supply in a transfer.")


class Ups(Element):
    """Uninterruptible power supplies."""

    storage: Energy | None = Field(None, description="Energy of one unit's batteries.")
    autonomy: Duration | None = Field(
        None, description="Time at rated power from the batteries, instead of `storage`."
    )
    recharge: Power | None = Field(None, description="Charging power; none: a tenth of the rating.")


class Battery(Element):
    """Battery energy storage beside a board: smooths, shaves peaks, rides through."""

    storage: Energy | None = Field(None, description="Usable energy of one unit.")
    round_trip: Efficiency = default(0.88, description="Round-trip efficiency.")
    use: Literal["ride_through", "smooth", "peak"] = Field(
        "ride_through", description="What it is for: outages, ramps, or peaks of demand."
    )


class Distribution(Element):
    """Busways, PDUs, rectifiers, 800 VDC power units: the way from a board to the racks."""


class PowerChain(Declared):
    """All equipment between the grid and the racks."""

    feeds: dict[str, Feed] = Field({}, description="Utility feeds.")
    generators: dict[str, Generator] = Field({}, description="Generators.")
    transformers: dict[str, Transformer] = Field({}, description="Transformers.")
    boards: dict[str, Board] = Field({}, description="Switchgear and boards.")
    transfer_switches: dict[str, TransferSwitch] = Field({}, description="ATS and STS.")
    ups: dict[str, Ups] = Field({}, description="UPS.")
    batteries: dict[str, Battery] = Field({}, description="Battery energy storage.")
    distribution: dict[str, Distribution] = Field(
        {}, description="Busways, PDUs, rectifiers, DC power units."
    )
