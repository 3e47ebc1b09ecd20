"""The numbers of a cooling plant in one replication: data sheets become heat transfer and flows.

Every unit is calibrated to its rating: with the rated flows and heat its model gives the rated
approach.  What a data sheet leaves out is a usual value of the trade, named here and in the
reference of the fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from firsttoken.facility import air, fluids
from firsttoken.facility.cooling_laws import LEAST_LIFT, transfer_of_conductance
from firsttoken.facility.cooling_system import (
    AIR,
    CDU,
    CHILLER,
    DRY,
    LOOP,
    PUMPS,
    RETURN,
    STATES,
    SUPPLY,
    TOWER,
    VALVE,
    CoolingSystem,
    CoolingValues,
    Floats,
)

__all__ = ["cooling_state", "cooling_values"]

LIQUID_AT = 313.15
"""Temperature at which heat capacities of racks' liquids are taken, K; PG25's changes by 0.2 %
within 15 K."""
WATER_AT = 303.15
"""Likewise of facility water; it changes by 0.5 % within 15 K."""
AIR_HEAT = 1.145 * 1007.0
"""Heat capacity of air at 35 degC, 101325 Pa, J/(m3 K)."""

LIQUID_RISE, AIR_RISE, COIL_RISE, CONDENSER_RISE = 10.0, 12.0, 10.0, 5.5
CDU_APPROACH, COIL_APPROACH, DRY_APPROACH, TOWER_APPROACH = 4.0, 6.0, 8.0, 4.0
AIR_FANS, DRY_FANS, TOWER_FANS = 0.035, 0.02, 0.01
WARMING = 0.6
"""Rise of a dry cooler's air over the difference of entering water and air."""
PUMP_HEAD, CONDENSER_HEAD, EFFICIENCY = 200e3, 150e3, 0.65
TURNS = {CDU: 30.0, AIR: 120.0, LOOP: 180.0}
"""Time in which the rated flow fills a volume that is not declared, s."""
COP, AIR_COP, LIFT = 6.0, 3.2, 28.0
PINCH, AIR_PINCH = 14.0, 20.0
"""Lift beyond the water's (or between water and outside air), K.  With 14 K the power of five
centrifugal chillers in EnergyPlus' data set (Carrier 19XR 1143, 1403, 1407, 1410 kW with variable
speed, DOE-2 Centrifugal/5.50COP) is met over their range of temperatures within 2.5, 9, 10, 10 and
19 % (root mean square); the refrigerant's own differences, 4 K or so, would say twice that."""

# Share of the resistance that is the hot side's, and exponents of heat transfer by flow of the hot
# and the cold side.  Plates: equal sides, Nu ~ Re^0.7 (Muley and Manglik, J. Heat Transfer 121
# (1999) 110: 0.64 to 0.73 by chevron angle).  Finned coils: air 0.6 (Wang, Chi and Chang, Int. J.
# Heat Mass Transfer 43 (2000) 2693: 0.5 to 0.65), water in tubes 0.8 (Dittus-Boelter).  Towers:
# NTU ~ (water / air)^0.4 (ASHRAE Handbook - HVAC Systems and Equipment 2020, ch. 40).
TRANSFER = {
    CDU: (0.5, 0.7, 0.7),
    AIR: (0.75, 0.6, 0.8),
    LOOP: (0.5, 0.7, 0.7),
    DRY: (0.2, 0.8, 0.6),
    TOWER: (0.0, 0.4, 0.6),
    CHILLER: (0.5, 0.8, 0.8),
}


@dataclass
class _Sheet:
    """One group's numbers; `nan` where the data sheet is silent."""

    system: CoolingSystem
    values: Floats
    group: int

    def get(self, name: str, otherwise: float = math.nan) -> float:
        """The value of a field, or another number."""
        index = int(self.system.fields[name][self.group])
        return float(self.values[index]) if index >= 0 else otherwise


def cooling_values(system: CoolingSystem, values: Floats) -> CoolingValues:
    """The numbers of one replication, by row.

    Parameters
    ----------
    values : parameters of the replication, shape [P].
    """
    plant = system.plant
    found = {
        name: np.full(len(system.groups), math.nan if name == "wet_above" else 0.0)
        for name in CoolingValues._fields
    }
    kinds = [int(plant.kind[system.first[group]]) for group in range(len(system.groups))]
    loop_flow = np.zeros(len(system.groups))
    for group, kind in enumerate(kinds):
        sheet = _Sheet(system, values, group)
        one = {
            "rating": sheet.get("rating", 0.0),
            "pump_efficiency": EFFICIENCY,
            "pump_spare": 1.0,
            "slope": 1.0,
            "cycles": sheet.get("cycles", 4.0),
            "drift": sheet.get("drift", 0.0),
            "adiabatic": sheet.get("adiabatic", 0.0),
            "wet_above": sheet.get("wet_above"),
            "least": sheet.get("least", 0.0),
        }
        one["hot_share"], one["hot_exponent"], one["cold_exponent"] = TRANSFER[kind]
        if kind in (CDU, AIR):
            loop = _loop_group(system, group)
            water = _water_heat(_Sheet(system, values, loop))
            _exchanger(system, sheet, kind, water, one)
            units = system.needed[group]
            loop_flow[loop] += one["cold_rate"] / water * units
        for name, value in one.items():
            found[name][group] = value
    for group, kind in enumerate(kinds):
        sheet = _Sheet(system, values, group)
        if kind == LOOP:
            _loop(system, sheet, loop_flow[group], found)
    for group, kind in enumerate(kinds):
        if kind in (DRY, TOWER, CHILLER):
            _cooler(system, _Sheet(system, values, group), kind, found)
    rows = {name: array[plant.group] for name, array in found.items()}
    rows["store"] *= np.maximum(system.most, 1e-6)
    return CoolingValues(**rows)


def _loop_group(system: CoolingSystem, group: int) -> int:
    plant = system.plant
    return int(plant.group[plant.loop_of[system.first[group]]])


def _water_heat(loop: _Sheet) -> float:
    return fluids.volumetric_heat(WATER_AT, loop.get("glycol", 0.0))


def _pumps(system: CoolingSystem, sheet: _Sheet, flow: float, one: dict[str, float]) -> None:
    """Rating of pumps; `flow` where none is declared."""
    installed, needed = system.pumps[sheet.group]
    one["pump_flow"] = sheet.get("pumps.flow", flow)
    one["pump_head"] = sheet.get("pumps.head", PUMP_HEAD)
    one["pump_static"] = min(sheet.get("pumps.static", 0.0), one["pump_head"])
    one["pump_efficiency"] = max(sheet.get("pumps.efficiency", EFFICIENCY), 0.01)
    one["pump_spare"] = installed / needed


def _exchanger(
    system: CoolingSystem, sheet: _Sheet, kind: int, water: float, one: dict[str, float]
) -> None:
    """A CDU or an air unit: counterflow, calibrated to its approach."""
    rating = one["rating"]
    if kind == CDU:
        glycol = fluids.PG25 if system.liquid[sheet.group] == "pg25" else 0.0
        one["hot_heat"] = fluids.volumetric_heat(LIQUID_AT, glycol)
        _pumps(system, sheet, rating / one["hot_heat"] / LIQUID_RISE, one)
        flow = one["pump_flow"]
        one["hot_rate"] = flow * one["hot_heat"]
        one["cold_rate"] = sheet.get("water_flow", one["hot_rate"] / water) * water
        approach = sheet.get("approach", CDU_APPROACH)
    else:
        one["hot_heat"] = AIR_HEAT
        flow = sheet.get("air_flow", rating / AIR_HEAT / AIR_RISE)
        one["hot_rate"] = flow * AIR_HEAT
        one["cold_rate"] = sheet.get("water_flow", rating / COIL_RISE / water) * water
        one["fan"] = sheet.get("fan_power", AIR_FANS * rating)
        approach = sheet.get("approach", COIL_APPROACH)
    one["cold_heat"] = water
    given = rating / (approach + rating / one["hot_rate"])
    one["ua"] = transfer_of_conductance(one["hot_rate"], one["cold_rate"], given)
    volume = sheet.get("volume", flow * TURNS[kind])
    one["store"] = 0.5 * max(volume, flow) * one["hot_heat"]  # no less than a second's flow


def _loop(system: CoolingSystem, sheet: _Sheet, flow: float, found: dict[str, Floats]) -> None:
    """A facility water loop; `flow` is what its CDUs and air units have at their ratings."""
    one: dict[str, float] = {}
    one["hot_heat"] = one["cold_heat"] = _water_heat(sheet)
    _pumps(system, sheet, max(flow, 1e-6), one)
    one["hot_rate"] = one["cold_rate"] = one["pump_flow"] * one["hot_heat"]
    volume = sheet.get("volume", one["pump_flow"] * TURNS[LOOP])
    one["store"] = max(volume, one["pump_flow"]) * one["hot_heat"]
    for name, value in one.items():
        found[name][sheet.group] = value


def _cooler(system: CoolingSystem, sheet: _Sheet, kind: int, found: dict[str, Floats]) -> None:
    """A dry cooler, tower or chiller, calibrated to its rating."""
    group, one = sheet.group, {}
    loop = _loop_cooled(system, group)
    rating = found["rating"][group]
    water = found["hot_heat"][loop] if loop >= 0 else fluids.volumetric_heat(WATER_AT)
    one["hot_heat"], one["cold_heat"] = water, AIR_HEAT
    if kind == CHILLER:
        _chiller(system, sheet, one, rating)
    else:
        rate = rating / CONDENSER_RISE
        if loop >= 0:
            rate = found["hot_rate"][loop] / system.needed[group]
        if not math.isnan(span := sheet.get("range")):
            rate = rating / span
        one["hot_rate"] = rate
        (_dry if kind == DRY else _tower)(sheet, rating, rate, one)
    for name, value in one.items():
        found[name][group] = value


def _loop_cooled(system: CoolingSystem, group: int) -> int:
    """Group of the loop that a cooler cools; -1: none."""
    plant, row = system.plant, int(system.first[group])
    for loop in range(plant.loops):
        if row in plant.cooler[plant.cooler_start[loop] : plant.cooler_start[loop + 1]]:
            return int(plant.group[plant.exchangers + loop])
    return -1


def _dry(sheet: _Sheet, rating: float, rate: float, one: dict[str, float]) -> None:
    difference = sheet.get("approach", DRY_APPROACH) + rating / rate
    air_rate = rating / (WARMING * difference)
    if not math.isnan(flow := sheet.get("air_flow")):
        air_rate = flow * AIR_HEAT
    one["cold_rate"] = air_rate
    one["ua"] = transfer_of_conductance(rate, air_rate, rating / difference)
    one["air_mass"] = air_rate / 1007.0
    one["fan"] = sheet.get("fan_power", DRY_FANS * rating)


def _tower(sheet: _Sheet, rating: float, rate: float, one: dict[str, float]) -> None:
    approach, span = sheet.get("approach", TOWER_APPROACH), rating / rate
    wet_bulb = sheet.get("wet_bulb", 298.75)
    warm = wet_bulb + approach + span
    one["slope"] = air.saturation_slope(wet_bulb, warm, air.STANDARD_PRESSURE)
    air_rate = rate
    if not math.isnan(flow := sheet.get("air_flow")):
        ratio = air.saturated_ratio(wet_bulb, air.STANDARD_PRESSURE)
        density = air.air_density(wet_bulb, ratio, air.STANDARD_PRESSURE)
        air_rate = flow * density / (1.0 + ratio) * one["slope"]
    one["cold_rate"] = air_rate
    one["ua"] = transfer_of_conductance(rate, air_rate, rating / (approach + span))
    one["air_mass"] = air_rate / one["slope"]
    one["fan"] = sheet.get("fan_power", TOWER_FANS * rating)


def _chiller(system: CoolingSystem, sheet: _Sheet, one: dict[str, float], rating: float) -> None:
    by_air = system.plant.condenser[system.first[sheet.group]] < 0
    one["pinch"] = AIR_PINCH if by_air else PINCH
    cop = sheet.get("cop", AIR_COP if by_air else COP)
    lift = max(sheet.get("lift", LIFT), LEAST_LIFT) + one["pinch"]
    one["carnot"] = cop * lift / sheet.get("leaving", 280.15)
    one["hot_rate"] = one["cold_rate"] = rating / CONDENSER_RISE
    if system.fields["pumps.efficiency"][sheet.group] >= 0:
        rejected = rating * (1.0 + 1.0 / cop)
        flow = rejected / CONDENSER_RISE / fluids.volumetric_heat(WATER_AT)
        _pumps(system, sheet, flow, one)
        head = sheet.get("pumps.head", CONDENSER_HEAD)
        one["fan"] = one["pump_flow"] * head / one["pump_efficiency"]


def cooling_state(
    system: CoolingSystem, values: CoolingValues, set_points: Floats, dry_bulb: float
) -> Floats:
    """The state before the first step: everything idle at its set-point.

    Parameters
    ----------
    set_points : K, shape [E + L]; nan where there is none.
    dry_bulb : outside air, K: the temperature of what has no set-point.

    Returns
    -------
    Shape [R, STATES].
    """
    plant = system.plant
    state = np.zeros((len(system), STATES))
    temperature = np.full(len(system), dry_bulb)
    settable = plant.exchangers + plant.loops
    temperature[:settable] = np.where(np.isnan(set_points), np.nan, set_points)
    for row in range(plant.exchangers):
        if math.isnan(temperature[row]):
            temperature[row] = temperature[plant.loop_of[row]]
    temperature[np.isnan(temperature)] = dry_bulb
    state[:, SUPPLY] = state[:, RETURN] = temperature
    state[:, PUMPS] = 1.0
    state[:, VALVE] = 0.5 * values.cold_rate
    return state
