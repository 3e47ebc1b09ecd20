"""Lints of energy and mass: what a data sheet says must not break the laws that it is used with.

Heat is flow x density x heat capacity x rise; what a rack takes it gives away again, to liquid and
air; its peaks (EDP) are not below its full load (TDP), nor this below its idle power; a chiller
does not beat Carnot; an exchanger's cold side does not leave warmer than its hot side enters; three
phases carry 1.732 x voltage x current x power factor.  Each finding has the numbers in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from firsttoken.facility.slots import Sheet, sheet_of
from firsttoken.twin.findings import Finding, Findings, Severity, TwinError
from firsttoken.twin.library import FactError
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Constant, Distribution, Fact, Series, Value

LITRE_A_MINUTE: Final = 60000.0
"""L/min of a m3/s."""
AIR_HEAT: Final = 1.19 * 1006.0
"""Heat capacity of a volume of air at 25 degC, J/(m3 K)."""
LEAST_RISE: Final = 2.5
"""Coolant that warms by less was never meant for that heat, K."""
MOST_RISE: Final = 30.0
"""Coolant that warms by more boils the budget of any cold plate, K."""
CLOSE: Final = 0.1
"""Largest difference of two statements of one thing."""
AIR_RISE: Final = (4.0, 25.0)
COLD: Final = 280.0
"""Temperature of a chiller's rating, K."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken law: what, why, hint, and the field that it is about."""

    what: str
    why: str
    hint: str
    field: str
    severity: Severity = "warning"


def kilowatts(power: float) -> str:
    """A power as it is read: `498 kW`."""
    return f"{power / 1e3:.4g} kW"


def heat_carried(flow: float, rise: float, temperature: float, glycol: float = 0.0) -> float:
    """Heat in W that a flow in m3/s carries with a rise in K, at a mean temperature in K."""
    from firsttoken.facility.fluids import volumetric_heat

    return flow * volumetric_heat(min(max(temperature, 273.15), 373.15), glycol) * rise


def powers_in_order(
    peak: float | None, power: float | None, idle: float | None
) -> Iterator[Problem]:
    """EDP >= TDP >= idle."""
    if peak is not None and power is not None and peak < power * (1 - 1e-9):
        what = f"the peak of {kilowatts(peak)} is below the full load of {kilowatts(power)}"
        yield Problem(what, "an electrical design point is a peak above it", "", "peak", "error")
    if idle is not None and power is not None and idle > power * (1 + 1e-9):
        what = f"the idle power of {kilowatts(idle)} is above the full load of {kilowatts(power)}"
        yield Problem(what, "", "", "idle", "error")


def coolant_fits(
    power: float, flow: float, temperature: float, glycol: float, of: str
) -> Iterator[Problem]:
    """The rise of a coolant that takes a heat is one that equipment has."""
    if power <= 0 or flow <= 0:
        return
    rise = power / heat_carried(flow, 1.0, temperature, glycol)
    litres = flow * LITRE_A_MINUTE
    if rise < LEAST_RISE:
        usual = heat_carried(flow, 10.0, temperature, glycol)
        what = f"{litres:.4g} L/min warm by {rise:.2g} K with {of} of {kilowatts(power)}"
        why = f"at the usual 10 K they would carry {kilowatts(usual)}"
        yield Problem(what, why, "is it the flow of one unit?", "flow")
    elif rise > MOST_RISE:
        what = f"{litres:.4g} L/min would warm by {rise:.3g} K with {of} of {kilowatts(power)}"
        why = f"cold plates and exchangers are made for 5 to {MOST_RISE:.0f} K"
        yield Problem(what, why, "give the flow of the data sheet", "flow")


def heat_agrees(
    flow: float, supply: float, back: float, stated: float, glycol: float, of: str
) -> Iterator[Problem]:
    """The heat that a flow carries between two temperatures (K) is the heat that is stated."""
    if back <= supply:
        what = f"the coolant leaves at {back - 273.15:.4g} degC, and enters at "
        what += f"{supply - 273.15:.4g} degC"
        yield Problem(what, "it takes heat", "", "temperature", "error")
        return
    implied = heat_carried(flow, back - supply, (back + supply) / 2, glycol)
    if abs(implied - stated) > CLOSE * stated:
        what = (
            f"{flow * LITRE_A_MINUTE:.4g} L/min between {supply - 273.15:.4g} and "
            f"{back - 273.15:.4g} degC carry {kilowatts(implied)}"
        )
        why = f"{of} is {kilowatts(stated)}: {implied / stated:.3g} times as much"
        carried = heat_carried(1.0, back - supply, (back + supply) / 2, glycol)
        hint = f"{stated / carried * LITRE_A_MINUTE:.4g} L/min, or a rise of "
        hint += f"{(back - supply) * stated / implied:.3g} K, would fit"
        yield Problem(what, why, hint, "flow", "error")


def parts_add_up(liquid: float, air: float, power: float) -> Iterator[Problem]:
    """Heat to liquid and air is the power."""
    if power > 0 and abs(liquid + air - power) > CLOSE * power:
        what = f"{kilowatts(liquid)} to liquid and {kilowatts(air)} to air are "
        what += kilowatts(liquid + air)
        why = f"the power is {kilowatts(power)}, and all of it becomes heat"
        yield Problem(what, why, "", "liquid", "error")


def phases_carry(
    power: float, voltage: float, current: float, phases: float, factor: float
) -> Iterator[Problem]:
    """A nameplate's power is what its phases carry."""
    ways = math.sqrt(3.0) if round(phases) == 3 else 1.0
    carried = ways * voltage * current * factor
    if carried <= 0 or power <= 0:
        return
    if power > carried * (1 + CLOSE):
        what = (
            f"{kilowatts(power)} do not fit {voltage:.4g} V, {current:.4g} A, {phases:.0f} phases"
        )
        why = f"they carry {kilowatts(carried)} at power factor {factor:.3g}"
        yield Problem(what, why, "", "power", "error")
    elif carried > 2.5 * power:
        what = f"{voltage:.4g} V and {current:.4g} A carry {kilowatts(carried)}"
        why = f"the nameplate says {kilowatts(power)}"
        yield Problem(what, why, "is the current that of the whole feed?", "power")


def exchanger_possible(approach: float, warm_rise: float, cold_rise: float) -> Iterator[Problem]:
    """The cold side of an exchanger leaves below the temperature at which the hot side enters."""
    if approach <= 0:
        what = f"an approach of {approach:.3g} K"
        yield Problem(what, "heat flows from warm to cold", "", "approach", "error")
    elif cold_rise >= approach + warm_rise:
        what = f"the facility water warms by {cold_rise:.3g} K"
        why = f"it would leave warmer than the racks' liquid enters: {approach:.3g} K of approach "
        why += f"and {warm_rise:.3g} K of rise"
        yield Problem(what, why, "give more water_flow", "water_flow", "error")


def carnot_holds(cop: float, lift: float) -> Iterator[Problem]:
    """No chiller beats Carnot."""
    most = COLD / lift
    if cop >= most:
        what = f"a COP of {cop:.3g} at a lift of {lift:.3g} K"
        yield Problem(what, f"Carnot's is {most:.3g}", "", "cop", "error")


def check_balance(twin: Twin, name: str, findings: Findings) -> None:
    """Add what breaks a law in a site, data sheets of its parts included."""
    site = twin.rooms["facility"][name]
    checks: dict[str, Callable[[Sheet], Iterator[Problem]]] = {
        "racks": _rack,
        "cdus": _cdu,
        "air_units": _air_unit,
        "chillers": _chiller,
        "transformers": _transformer,
    }
    for group, check in checks.items():
        for key in getattr(site, group):
            try:
                sheet = sheet_of(twin, name, group, key)
                problems = list(check(sheet))
            except TwinError:
                continue  # what cannot be read is reported where it is read
            for problem in problems:
                findings.add(_finding(twin, sheet, problem))


def _finding(twin: Twin, sheet: Sheet, problem: Problem) -> Finding:
    known = problem.field in sheet.model.model_fields
    at = sheet.at(problem.field) if known else sheet.path
    why = problem.why
    if sheet.part:
        why = f"{why} (part {sheet.part})" if why else f"part {sheet.part}"
    what = f"{sheet.path.partition('.')[2]}: {problem.what}"
    place = twin.place(at)
    return Finding(what, why, problem.hint, at, "balance", problem.severity, place)


def _rack(sheet: Sheet) -> Iterator[Problem]:
    power, liquid = number(sheet, "power"), number(sheet, "liquid")
    yield from powers_in_order(number(sheet, "peak"), power, number(sheet, "idle"))
    flow, warmest = number(sheet, "flow"), number(sheet, "warmest")
    if power is None or not liquid:
        return
    temperature = (warmest or 303.15) + 5.0
    if flow is not None:
        yield from coolant_fits(liquid * power, flow, temperature, 0.25, "a heat")
        hottest = number(sheet, "hottest")
        if hottest is not None and warmest is not None and hottest > warmest:
            most = heat_carried(flow, hottest - warmest, (hottest + warmest) / 2, 0.25)
            if most < liquid * power * (1 - CLOSE):
                what = f"{flow * LITRE_A_MINUTE:.4g} L/min carry {kilowatts(most)} from "
                what += f"{warmest - 273.15:.4g} to {hottest - 273.15:.4g} degC"
                why = f"the liquid takes {kilowatts(liquid * power)}: it throttles at full load"
                yield Problem(what, why, "give more flow, or colder water", "flow")


def _cdu(sheet: Sheet) -> Iterator[Problem]:
    rating, approach = number(sheet, "rating"), number(sheet, "approach")
    pumps = sheet.below("pumps")
    flow = number(pumps, "flow") if pumps is not None else None
    glycol = 0.0 if sheet.raw("fluid") == "water" else 0.25
    if rating is None or flow is None:
        return
    yield from coolant_fits(rating, flow, 313.15, glycol, "a rating")
    water = number(sheet, "water_flow")
    if approach is not None and water is not None:
        warm = rating / heat_carried(flow, 1.0, 313.15, glycol)
        yield from exchanger_possible(approach, warm, rating / heat_carried(water, 1.0, 308.15))


def _air_unit(sheet: Sheet) -> Iterator[Problem]:
    rating, flow = number(sheet, "rating"), number(sheet, "air_flow")
    if rating and flow:
        rise = rating / (AIR_HEAT * flow)
        if not AIR_RISE[0] <= rise <= AIR_RISE[1]:
            what = f"{flow:.3g} m3/s of air change by {rise:.3g} K with {kilowatts(rating)}"
            why = f"air units are made for {AIR_RISE[0]:.0f} to {AIR_RISE[1]:.0f} K"
            yield Problem(what, why, "", "air_flow")
    fans = number(sheet, "fan_power")
    if rating and fans and fans > 0.2 * rating:
        what = f"fans of {kilowatts(fans)} in a unit of {kilowatts(rating)}"
        yield Problem(what, "they heat the air that they move", "", "fan_power")


def _chiller(sheet: Sheet) -> Iterator[Problem]:
    cop, lift = number(sheet, "cop"), number(sheet, "lift")
    if cop is not None and lift is not None:
        yield from carnot_holds(cop, lift)


def _transformer(sheet: Sheet) -> Iterator[Problem]:
    rating = number(sheet, "rating")
    losses = (number(sheet, "no_load_loss"), number(sheet, "load_loss"))
    if rating and None not in losses:
        lost = sum(loss for loss in losses if loss is not None)
        if lost > 0.05 * rating:
            what = f"losses of {kilowatts(lost)} at {kilowatts(rating)}"
            why = f"{lost / rating:.1%}: transformers lose 0.3 to 3 %"
            yield Problem(what, why, "are they in W?", "load_loss")


def number(sheet: Sheet, name: str) -> float | None:
    """The middle of a field in SI units, if it is known without running another room."""
    value: Value | None = sheet.value(name)
    if isinstance(value, Fact):
        try:
            value = sheet.twin.library.resolve(
                value.id, sheet.twin.as_of, sheet.quantity(name).unit
            )
        except FactError:
            return None
    if isinstance(value, Series):
        value = value.knots[-1][1]
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Distribution) and value.kind in ("triangular", "beta_pert"):
        return value.args[1]
    return None
