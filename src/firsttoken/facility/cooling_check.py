"""What is wrong with a cooling plant: names that lead nowhere, too little of something.

Heat is that of the complete site: the most units that every group ever has, racks at full power.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firsttoken.facility.model_cooling import Cooling
from firsttoken.twin.findings import Finding, Findings, Severity, TwinError
from firsttoken.twin.slots import nearest
from firsttoken.twin.values import Constant, Fact, ModelPort, Signal, Value

if TYPE_CHECKING:
    from firsttoken.facility.cooling_system import CoolingSystem, CoolingValues, Floats
    from firsttoken.facility.slots import Slots
    from firsttoken.facility.weather import Climate
    from firsttoken.twin.twin import Twin

COOLERS = ("dry_coolers", "towers", "chillers")
FULL = 1.0 + 1e-6
"""Heat over rating that counts as too much."""
ZERO = 273.15
LITTLE = 0.05
"""Temperature that set-points may be apart from what is possible, K."""
COLDEST, HOTTEST = ZERO - 20.0, ZERO + 95.0
"""Set-points that are taken for what is meant."""


def check_cooling(twin: Twin, name: str, findings: Findings) -> None:
    """Add to `findings` what is wrong with the cooling plant of one site."""
    site = twin.rooms["facility"][name]
    assert isinstance(site, Cooling)
    view = _View(twin, name, findings, site)
    before = len(findings.errors)
    for look in (_names, _loops, _set_points, _units, _transients):
        look(view)
    if len(findings.errors) == before and (site.cdus or site.air_units):
        _heat(view)


@dataclass(frozen=True)
class _View:
    """A plant while it is checked."""

    twin: Twin
    name: str
    findings: Findings
    site: Cooling

    def say(
        self,
        path: str,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        code: str = "cooling",
        severity: Severity = "error",
    ) -> None:
        """Add a finding at a path below the site."""
        full = f"facility.{self.name}.{path}"
        place = self.twin.place(full)
        self.findings.add(Finding(what, why, hint, full, code, severity, place=place))

    def warn(self, path: str, what: str, why: str = "", hint: str = "") -> None:
        """Add a warning at a path below the site."""
        self.say(path, what, why, hint, severity="warning")

    def known(self, path: str, given: str, names: Iterable[str], what: str) -> bool:
        """Whether a name is among the known ones; says so if not."""
        names = list(names)
        if given not in names:
            hint = nearest(given, names) or f"the site has no {what}"
            self.say(path, f"{given!r} is no {what}", "", hint, code="reference")
        return given in names

    def resolve(self, reference: Fact | ModelPort | Signal, unit: str) -> Value:
        """What a reference stands for in a check."""
        if isinstance(reference, Fact):
            return self.twin.library.resolve(reference.id, self.twin.as_of, unit)
        return Constant(1.0)  # known in the run only


def _names(view: _View) -> None:
    site = view.site
    for collection in ("cdus", "air_units"):
        for name, unit in getattr(site, collection).items():
            view.known(f"{collection}.{name}.water", unit.water, site.loops, "facility water loop")
    for name, chiller in site.chillers.items():
        if chiller.rejects_to is not None:
            known = [*site.towers, *site.dry_coolers]
            path = f"chillers.{name}.rejects_to"
            view.known(path, chiller.rejects_to, known, "tower or dry cooler")


def _loops(view: _View) -> None:
    """Every loop has coolers of its own and something to cool; every cooler a loop or chillers."""
    site = view.site
    coolers = [name for group in COOLERS for name in getattr(site, group)]
    user: dict[str, str] = {}
    for loop, declared in site.loops.items():
        path = f"loops.{loop}"
        if not declared.coolers:
            hint = "name dry coolers, towers or chillers in `coolers`"
            view.say(f"{path}.coolers", f"nothing cools loop {loop!r}", "", hint)
        for name in declared.coolers:
            view.known(f"{path}.coolers", name, coolers, "dry cooler, tower or chiller")
            if name in user:
                what = f"{name!r} cools loops {user[name]!r} and {loop!r}"
                if user[name] == loop:
                    what = f"{name!r} stands twice among the coolers of {loop!r}"
                why = "the water of a cooler is that of one loop"
                view.say(f"{path}.coolers", what, why, "declare a group for each")
            user.setdefault(name, loop)
        if loop not in _waters(site).values():
            view.warn(path, f"loop {loop!r} cools nothing", "no CDU or air unit has its `water`")
    for chiller in site.chillers.values():
        if chiller.rejects_to is not None:
            user.setdefault(chiller.rejects_to, "")
    for group in COOLERS:
        for name in getattr(site, group):
            if name not in user:
                what = f"{name!r} cools nothing"
                why = "it is among the coolers of no loop, and no chiller rejects to it"
                view.warn(f"{group}.{name}", what, why)


def _waters(site: Cooling) -> dict[str, str]:
    """The loop of each group of CDUs and air units."""
    cdus = {name: unit.water for name, unit in site.cdus.items()}
    return cdus | {name: unit.water for name, unit in site.air_units.items()}


def _set_points(view: _View) -> None:
    """Set-points are temperatures of water and air."""
    for group in ("loops", "cdus", "air_units"):
        for name, unit in getattr(view.site, group).items():
            supply = unit.supply
            if not isinstance(supply, Constant) or COLDEST <= supply.value <= HOTTEST:
                continue
            what = f"{supply.value - ZERO:.4g} degC is no supply of {name!r}"
            why = f"sound are {COLDEST - ZERO:.0f} to {HOTTEST - ZERO:.0f} degC"
            view.say(f"{group}.{name}.supply", what, why, "write '30 degC'; K count from -273 degC")


def _units(view: _View) -> None:
    """Units needed are not more than there are."""
    for group in ("cdus", "air_units", *COOLERS):
        for name, unit in getattr(view.site, group).items():
            count = unit.count
            if unit.needed and isinstance(count, Constant) and unit.needed > count.value:
                what = f"{unit.needed} units are needed of {count.value:g}"
                view.say(f"{group}.{name}.needed", what)
            pumps = getattr(unit, "pumps", None)
            if pumps is not None and pumps.needed and pumps.needed > pumps.count:
                what = f"{pumps.needed} pumps are needed of {pumps.count}"
                view.say(f"{group}.{name}.pumps.needed", what)


def _transients(view: _View) -> None:
    site = view.site
    groups = ("racks", "cdus", "air_units", "loops", *COOLERS)
    known = [name for group in groups for name in getattr(site, group, {})]
    racks = list(getattr(site, "racks", {}))
    for name, transient in site.transients.items():
        for number, event in enumerate(transient.events):
            path = f"transients.{name}.events.{number}"
            targets = [event.of] if isinstance(event.of, str) else event.of
            for target in targets:
                if not view.known(f"{path}.of", target, known, "group of racks or cooling"):
                    continue
                if event.load is not None and target not in racks:
                    view.say(f"{path}.load", f"{target!r} has no load", "only racks have")
                if event.pumps is not None and target in racks:
                    view.say(f"{path}.pumps", f"racks {target!r} have no pumps", "their CDUs have")
            if event.pumps is None and event.units is None and event.load is None:
                view.say(path, "nothing happens", "", "give `pumps`, `units` or `load`")
    for name, search in site.set_points.items():
        view.known(f"set_points.{name}.loop", search.loop, site.loops, "facility water loop")


# Heat ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plant:
    """The complete site: heat by group of CDUs and air units, in W."""

    system: CoolingSystem
    values: CoolingValues
    x: Floats
    units: dict[str, float]
    heat: dict[str, float]
    flow: dict[str, float]

    def get(self, name: str, field: str) -> float | None:
        """A field of a group's data sheet at its mean; None if it has none."""
        index = int(self.system.fields[field][self.system.index(name)])
        return float(self.x[index]) if index >= 0 else None

    def value(self, name: str, field: str) -> float:
        """A number of one unit of a group."""
        found: Floats = getattr(self.values, field)
        return float(found[self.system.rows(name).start])


def _heat(view: _View) -> None:
    """Capacity against heat; nothing if its numbers are known in the run only."""
    from firsttoken.facility.compile import Files
    from firsttoken.facility.cooling_compile import compile_cooling
    from firsttoken.facility.cooling_values import cooling_values
    from firsttoken.facility.rack_rows import rack_rows
    from firsttoken.facility.slots import Slots
    from firsttoken.kernel.parameters import fixed_parameters
    from firsttoken.twin.parameters import ParameterBuilder

    builder = ParameterBuilder(view.twin.start, view.resolve)
    slots = Slots(view.twin, view.name, builder, view.resolve)
    try:
        system = compile_cooling(slots, "group", rack_rows(slots, "group"))
        units = _most(slots, system)
        racks = [_rack(slots, name) for name in slots.site.racks]
        climate = Files(slots).climate()
        x = fixed_parameters(slots.build.tables()[0])
    except TwinError:
        return  # said elsewhere
    heat: dict[str, float] = {}
    flow: dict[str, float] = {}
    for liquid, air, number, parameters in racks:
        power, share, coolant = (float(x[p]) if p >= 0 else 0.0 for p in parameters)
        share = share if liquid and air else float(liquid is not None)
        if liquid:
            heat[liquid] = heat.get(liquid, 0.0) + number * power * share
            flow[liquid] = flow.get(liquid, 0.0) + number * coolant
        if air:
            heat[air] = heat.get(air, 0.0) + number * power * (1.0 - share)
    plant = _Plant(system, cooling_values(system, x), x, units, heat, flow)
    for group in ("cdus", "air_units"):
        for name in getattr(view.site, group):
            _exchanger(view, plant, group, name)
    if climate is not None and view.twin.rooms["facility"][view.name].weather:  # type: ignore[attr-defined]
        for name in view.site.loops:
            _cooled(view, plant, climate, name)


def _most(slots: Slots, system: CoolingSystem) -> dict[str, float]:
    from firsttoken.facility.rack_rows import largest

    return {
        name: 1.0 if group == "loops" else largest(slots, slots.sheet(group, name), "count")
        for group, name in system.groups
    }


def _rack(slots: Slots, name: str) -> tuple[str | None, str | None, float, tuple[int, int, int]]:
    """CDUs and air units of racks, their number, parameters of power, liquid's share and flow."""
    from firsttoken.facility.rack_rows import largest

    sheet, racks = slots.sheet("racks", name), slots.site.racks[name]
    parameters = sheet.scalar("power"), sheet.scalar("liquid"), sheet.scalar("flow")
    return racks.cooled_by, racks.air_by, largest(slots, sheet, "count"), parameters


def megawatts(power: float) -> str:
    """A power as it is read: `12.3 MW`."""
    return f"{power / 1e6:.3g} MW" if power >= 1e6 else f"{power / 1e3:.3g} kW"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.1 else f"{100.0 * share:.2g} %"


def _exchanger(view: _View, plant: _Plant, group: str, name: str) -> None:
    """A group of CDUs or air units: rating, flow, approach, set-point."""
    heat, path = plant.heat.get(name, 0.0), f"{group}.{name}"
    needed = float(plant.system.needed[plant.system.index(name)])
    rating = plant.value(name, "rating") * needed
    if heat > 0.0 and not plant.units[name]:
        what = f"the racks of {name!r} give {megawatts(heat)}"
        view.say(f"{path}.count", what, "there is no unit of it", "raise the count")
        return
    if heat > rating * FULL:
        what = f"the racks of {name!r} give {megawatts(heat)}"
        units = f"{needed:g} unit{'' if needed == 1 else 's'}"
        view.warn(path, what, f"{units} take {megawatts(rating)}", "more units, or larger ones")
    pumped = plant.value(name, "pump_flow") * needed
    wanted = plant.flow.get(name, 0.0)
    if group == "cdus" and wanted > pumped * FULL:
        what = f"the racks of {name!r} want {wanted * 6e4:.4g} L/min"
        view.warn(path, what, f"the pumps give {pumped * 6e4:.4g} L/min", "stronger pumps")
    small = min(plant.value(name, "hot_rate"), plant.value(name, "cold_rate"))
    approach = plant.get(name, "approach")
    one = plant.value(name, "rating")
    if approach is not None:
        given = one / (approach + one / plant.value(name, "hot_rate"))
        if given > 0.995 * small:
            what = f"an approach of {approach:.3g} K is beyond an exchanger of any size"
            why = "the facility water would leave warmer than the other side enters"
            view.warn(f"{path}.approach", what, why, "more water_flow, or a larger approach")
    loop = view.site.loops[getattr(view.site, group)[name].water]
    supply = getattr(view.site, group)[name].supply
    if isinstance(supply, Constant) and isinstance(loop.supply, Constant):
        load = min(heat / rating, 1.0) if rating > 0.0 else 0.0
        least = loop.supply.value + load * (approach if approach is not None else 0.0)
        if supply.value < least - LITTLE:
            what = f"{name!r} cannot supply {supply.value - ZERO:.4g} degC"
            why = f"its water has {loop.supply.value - ZERO:.4g} degC, and at full load it comes "
            why += f"to {least - ZERO:.4g} degC"
            view.warn(f"{path}.supply", what, why, "colder water, or a warmer set-point")
    _warmest(view, name, supply if supply is not None else loop.supply)


def _warmest(view: _View, name: str, supply: Value) -> None:
    """Racks do not throttle at the set-point of what cools them."""
    from firsttoken.facility.slots import sheet_of

    for group, racks in getattr(view.site, "racks", {}).items():
        if name != racks.cooled_by:
            continue
        warmest = sheet_of(view.twin, view.name, "racks", group).value("warmest")
        if isinstance(warmest, Fact):
            warmest = view.resolve(warmest, "K")
        both = isinstance(warmest, Constant) and isinstance(supply, Constant)
        if both and supply.value > warmest.value + LITTLE:  # type: ignore[union-attr]
            what = f"racks {group!r} throttle above {warmest.value - ZERO:.4g} degC"  # type: ignore[union-attr]
            why = f"{name!r} gives them {supply.value - ZERO:.4g} degC"  # type: ignore[union-attr]
            view.warn(f"racks.{group}", what, why, "a colder set-point")


def _cooled(view: _View, plant: _Plant, climate: Climate, loop: str) -> None:
    """Coolers of a loop at every hour of the weather, with the loop at its set-point."""
    import numpy as np

    from firsttoken.facility.cooling_laws import conductance

    supply = view.site.loops[loop].supply
    waters = _waters(view.site)
    heat = sum(plant.heat.get(name, 0.0) for name, water in waters.items() if water == loop)
    if not isinstance(supply, Constant) or heat <= 0.0:
        return
    hours = climate.dated if climate.dated is not None else np.concatenate(climate.years, axis=1)
    dry, wet = hours[0], hours[1]
    rate = plant.value(loop, "hot_rate")
    left, entering = np.full(len(dry), heat), np.full(len(dry), supply.value + heat / rate)
    for name in view.site.loops[loop].coolers:
        units = plant.units[name]
        if name in view.site.chillers:
            taken = np.minimum(left, units * plant.value(name, "rating"))
        else:
            sink = wet
            if name in view.site.dry_coolers:
                sink = dry - plant.value(name, "adiabatic") * (dry - wet)
            each = conductance(
                plant.value(name, "hot_rate"),
                plant.value(name, "cold_rate"),
                plant.value(name, "ua"),
            )
            taken = np.clip(units * each * (entering - sink), 0.0, left)
        left, entering = left - taken, entering - taken / rate
    short = left > 1e-3 * heat
    if short.any():
        worst = int(np.argmax(left))
        what = f"the coolers of {loop!r} take {megawatts(heat - float(left[worst]))} of "
        what += f"{megawatts(heat)} in the worst hour"
        why = f"at {dry[worst] - ZERO:.3g} degC, wet bulb {wet[worst] - ZERO:.3g} degC; they fall "
        why += f"short in {_percent(float(short.mean()))} of the hours, and the water gets "
        why += f"warmer than {supply.value - ZERO:.4g} degC"
        view.warn(f"loops.{loop}.coolers", what, why, "more coolers, chillers, or warmer water")
