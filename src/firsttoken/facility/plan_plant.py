"""Heat rejection by the hour, for the plan of a site.

A cooler's leaving water stands above the air (dry), the wetted air (adiabatic) or the wet bulb
(tower) in proportion to its heat: ``heat = n x rating / approach x (leaving - ambient)`` at full
fans, which is how makers' ratings are carried to other temperatures.  Capacity goes as the air
flow and fan power as its cube (fan laws, AMCA 201), so fans run slower in colder hours.  Chillers
take what is left; their COP goes inversely as the lift (Carnot, at constant quality).  Water that
pads and towers evaporate takes away the latent heat of 2.45 MJ/kg and leaves a blow-down behind:
make-up = evaporation x cycles / (cycles - 1) + drift (ASHRAE Handbook, HVAC Systems, 2020, ch. 40).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RANGE: Final = 10.0
"""Warming of the facility water in K."""
LATENT: Final = 2.45e6
"""Heat of evaporation of water at 20 degC, J/kg."""
PAD_RISE: Final = 12.0
"""Warming of the air in an adiabatic cooler, K: its heat needs so much air."""
CONDENSER: Final = 15.0
"""Condensing temperature of an air-cooled chiller above the air, K."""
LEAST_LIFT: Final = 12.0
"""Least lift of a chiller, K."""
DRIFT_FLOW: Final = 1.0 / (4186.0 * RANGE)
"""Water that circulates for a watt of heat, kg/J."""


@dataclass(frozen=True, slots=True)
class Cooler:
    """A dry or adiabatic cooler or a tower; ratings of one unit.

    Attributes
    ----------
    rating, fan_power : W at full fans.
    approach : K.
    adiabatic : effectiveness of wetted pads.
    cycles, drift : of its water; 0 cycles: dry.
    """

    kind: str
    rating: float
    approach: float
    fan_power: float
    adiabatic: float = 0.0
    cycles: float = 0.0
    drift: float = 0.0


@dataclass(frozen=True, slots=True)
class Chiller:
    """Air-cooled chillers: rating of one in W, COP at outside air `lift` K above the water."""

    rating: float
    cop: float
    lift: float


@dataclass(frozen=True, slots=True)
class Hours:
    """What a plant does in each hour, for one watt of heat.

    Attributes
    ----------
    power : of fans and chillers, W/W.
    water : that it consumes, kg/J.
    chilled : share of the heat that chillers take.
    """

    power: Floats
    water: Floats
    chilled: Floats


def ambient(cooler: Cooler, dry_bulb: Floats, wet_bulb: Floats) -> Floats:
    """Temperature that a wetted cooler works against, K."""
    if cooler.kind == "tower":
        return wet_bulb
    return dry_bulb - cooler.adiabatic * (dry_bulb - wet_bulb)


def units_without_chillers(cooler: Cooler, supply: float, hottest: float) -> float:
    """Units for a watt of heat, so that they do without chillers; inf if they cannot.

    Parameters
    ----------
    supply : set-point of the water, K.
    hottest : temperature that the cooler works against in the design hour, K.
    """
    difference = supply - hottest
    if difference <= 0:
        return float("inf")
    return cooler.approach / (cooler.rating * difference)


def plant_hours(
    cooler: Cooler | None,
    units: float,
    chiller: Chiller,
    supply: float,
    dry_bulb: Floats,
    wet_bulb: Floats,
) -> Hours:
    """A plant's hours, with as many chillers as it needs.

    Parameters
    ----------
    cooler : None: chillers alone.
    units : coolers for a watt of heat.
    supply : set-point of the water, K.
    dry_bulb, wet_bulb : K, shape [H].
    """
    fans = np.zeros(len(dry_bulb))
    water = np.zeros(len(dry_bulb))
    chilled = np.ones(len(dry_bulb))
    if cooler is not None:
        fans, water, chilled = _free(cooler, units, supply, dry_bulb, wet_bulb)
    lift = np.maximum(dry_bulb + CONDENSER - supply, LEAST_LIFT)
    cop = chiller.cop * (chiller.lift + CONDENSER) / lift
    return Hours(fans + chilled / cop, water, chilled)


def _free(
    cooler: Cooler, units: float, supply: float, dry_bulb: Floats, wet_bulb: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fans W/W, water kg/J and the share that is left to chillers."""
    full = units * cooler.rating / cooler.approach
    first = wet_bulb if cooler.kind == "tower" else dry_bulb
    left, speed = _cooled(full, supply, first)
    water = np.zeros(len(first))
    if cooler.kind == "tower":
        taken = 1.0 - left
        water = taken / LATENT * cooler.cycles / (cooler.cycles - 1) + cooler.drift * DRIFT_FLOW
    elif cooler.adiabatic > 0:
        wetted = ambient(cooler, dry_bulb, wet_bulb)
        wet_left, wet_speed = _cooled(full, supply, wetted)
        wet = left > 0
        evaporated = (1.0 - wet_left) * (dry_bulb - wetted) / (PAD_RISE * LATENT)
        water = np.where(wet, evaporated * cooler.cycles / (cooler.cycles - 1), 0.0)
        left = np.where(wet, wet_left, left)
        speed = np.where(wet, wet_speed, speed)
    return units * cooler.fan_power * speed**3, water, left


def _cooled(full: float, supply: float, air: Floats) -> tuple[Floats, Floats]:
    """Share of a watt that is left, and fan speed, for a conductance of `full` W/K."""
    flow = 1.0 / RANGE
    back = supply + RANGE
    leaving = (flow * back + full * air) / (flow + full)
    left = np.clip(flow * (leaving - supply), 0.0, 1.0)
    wanted = 1.0 / np.maximum(supply - air, 1e-9)
    speed = np.where(leaving <= supply, np.minimum(wanted / full, 1.0), 1.0)
    return left, np.where(air < back, speed, 0.0)
