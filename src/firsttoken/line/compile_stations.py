"""Stations, their set-ups, queue families, breakdowns and maintenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from firsttoken.kernel.streams import FAILURE, REPAIR, SETUP
from firsttoken.line import model, system
from firsttoken.line.compile_routes import Visit
from firsttoken.line.compile_slots import Slots, Table
from firsttoken.line.rules import own_rule

_RULES = {
    "fifo": system.FIFO,
    "edd": system.EDD,
    "spt": system.SPT,
    "cr": system.CR,
    "setup": system.SETUP,
}

FamilyKey = tuple[str, str]
"""(set-up; batch family or step, or what lots need to start); empty where there is none."""


class Stations:
    """Compiles the stations of a line.

    Attributes
    ----------
    family : queue family of each step, by product and step name.
    servers : server records so far.
    user_rule : (file, function) of the dispatch rule of one's own.
    """

    def __init__(self, slots: Slots, routes: Mapping[str, Sequence[Visit]]) -> None:
        self.slots = slots
        self.visits = {
            name: [v for route in routes.values() for v in route if v.step.station == name]
            for name in slots.line.stations
        }
        self.stations = Table(system.STATION)
        self.families = Table(system.FAMILY)
        self.failures = Table(system.FAILURE)
        self.maintenances = Table(system.MAINTENANCE)
        self.change: list[int] = []
        self.family: dict[tuple[str, str], int] = {}
        self.failure_names: list[str] = []
        self.maintenance_names: list[str] = []
        self.servers = 0
        self.user_rule: tuple[str, str] | None = None

    def compile(self) -> None:
        """Fill all tables."""
        for name, declared in self.slots.line.stations.items():
            self._station(name, declared)

    def change_table(self) -> system.Records:
        """Streams of set-up times, flat."""
        return np.array(self.change, dtype=np.int32)

    def _station(self, name: str, declared: model.Station) -> None:
        servers, level = self.slots.servers(name)
        setups = self._setups(name, declared)
        setup = self._changes(name, declared, setups)
        family, failure = len(self.families), len(self.failures)
        maintenance = len(self.maintenances)
        self._families(name, declared, setups)
        self._failures(name, declared)
        self._maintenances(name, declared)
        self.stations.add(
            server=self.servers,
            servers=servers,
            family=family,
            families=len(self.families) - family,
            setup=setup,
            setups=len(setups),
            failure=failure,
            failures=len(self.failures) - failure,
            maintenance=maintenance,
            maintenances=len(self.maintenances) - maintenance,
            level=level,
            buffer=system.NONE if declared.buffer is None else declared.buffer,
            rule=self._rule(name, declared),
            pause=int(declared.shift_end == "pause"),
            tools=int(any(visit.step.same_tool for visit in self.visits[name])),
            plain=0,
        )
        self.servers += servers

    def _rule(self, name: str, declared: model.Station) -> int:
        rule = declared.dispatch or self.slots.line.dispatch
        if rule in _RULES:
            return _RULES[rule]
        keys = ("stations", name, "dispatch") if declared.dispatch else ("dispatch",)
        named = own_rule(rule)
        if named is None:
            hint = f"one of {', '.join(_RULES)}, or file.py:function"
            raise self.slots.error(f"rule {rule!r} is unknown", keys, hint, "choice")
        own = str(self.slots.twin.folder / named[0]), named[1]
        if self.user_rule not in (None, own):
            raise self.slots.error("a line can have one rule of its own", keys, code="rule")
        self.user_rule = own
        return system.USER

    # Set-ups and families -----------------------------------------------------------------

    def _setups(self, name: str, declared: model.Station) -> dict[str, int]:
        """Row of each set-up in the station's change-overs; 0 is "none yet"."""
        words: dict[str, None] = {}
        for setup in declared.setups:
            words.update(dict.fromkeys(word for word in (setup.from_, setup.to) if word))
        for visit in self.visits[name]:
            word = visit.work("setup")[2]
            words.update({word: None} if word else {})
        return {word: i for i, word in enumerate(["", *words])} if words else {}

    def _changes(self, name: str, declared: model.Station, setups: dict[str, int]) -> int:
        """First row of the station's streams [from, to]; a named `from` wins over any."""
        if not setups:
            return system.NONE
        first, size = len(self.change), len(setups)
        table = np.full((size, size), system.NONE)
        positions = sorted(
            range(len(declared.setups)), key=lambda i: bool(declared.setups[i].from_)
        )
        for position in positions:
            setup = declared.setups[position]
            keys = ("stations", name, "setups", str(position))
            stream = self.slots.stream(setup, "time", keys, SETUP)
            row = setups[setup.from_] if setup.from_ else slice(None)
            table[row, setups[setup.to]] = stream
        np.fill_diagonal(table, system.NONE)
        self.change.extend(table.ravel().tolist())
        return first

    def _families(self, name: str, declared: model.Station, setups: dict[str, int]) -> None:
        known: dict[FamilyKey, tuple[int, model.Batch | None]] = {}
        station = len(self.stations)
        for visit in self.visits[name]:
            setup = visit.work("setup")[2] or ""
            _, keys, batch = visit.work("batch")
            kind = _needs(visit) if batch is None else batch.family or ".".join(visit.key)
            if (setup, kind) not in known:
                row = self.families.add(
                    station=station,
                    setup=setups[setup] - 1 if setup else system.NONE,
                    min_run=declared.min_run.get(setup, 0),
                    batch_min=0 if batch is None else batch.minimum,
                    batch_max=0 if batch is None else batch.maximum,
                    batch_wait=system.NONE
                    if batch is None
                    else self.slots.x(batch, "wait", (*keys, "batch")),
                )
                known[setup, kind] = row, batch
            row, first = known[setup, kind]
            if batch != first:
                what = f"batch family {kind!r} has other bounds elsewhere"
                hint = "give the same minimum, maximum and wait, or another family"
                raise self.slots.error(what, (*keys, "batch"), hint, "batch")
            self.family[visit.key] = row

    # Breakdowns and maintenance -----------------------------------------------------------

    def _failures(self, name: str, declared: model.Station) -> None:
        slots = self.slots
        for label, failure in declared.failures.items():
            keys = ("stations", name, "failures", label)
            need, needs = slots.needs(failure.crew, (*keys, "crew"), {}, ())
            self.failures.add(
                clock=system.BY_WORK if failure.counts == "operation" else system.BY_TIME,
                mtbf=slots.stream(failure, "mtbf", keys, FAILURE, nothing=None),
                mttr=slots.stream(failure, "mttr", keys, REPAIR, nothing=None),
                first=slots.stream(failure, "first", keys, FAILURE, nothing=None),
                need=need,
                needs=needs,
            )
            self.failure_names.append(f"{name}.{label}")

    def _maintenances(self, name: str, declared: model.Station) -> None:
        slots = self.slots
        for label, work in declared.maintenance.items():
            keys = ("stations", name, "maintenance", label)
            need, needs = slots.needs(work.crew, (*keys, "crew"), {}, ())
            clock, every, first = self._due(work, keys)
            self.maintenances.add(
                clock=clock,
                every=every,
                takes=slots.stream(work, "takes", keys, REPAIR, nothing=None),
                first=first,
                need=need,
                needs=needs,
                stagger=int(work.stagger),
                alone=int(work.alone),
            )
            self.maintenance_names.append(f"{name}.{label}")

    def _due(self, work: model.Maintenance, keys: tuple[str, ...]) -> tuple[int, int, int]:
        """Clock, interval and first due date of a maintenance."""
        slots = self.slots
        if work.every is not None:
            every = slots.stream(work, "every", keys, FAILURE, nothing=None)
            first = slots.stream(work, "first", keys, FAILURE, nothing=None)
            return system.BY_TIME, every, first
        if work.every_pieces is not None:
            every = slots.x(work, "every_pieces", keys)
            return system.BY_PIECES, every, slots.x(work, "first_pieces", keys)
        if work.every_loads is not None:
            return system.BY_LOADS, slots.x(work, "every_loads", keys), system.NONE
        hint = "give one of every, every_pieces and every_loads"
        raise slots.error("maintenance has no interval", keys, hint, "missing-key")


def _needs(visit: Visit) -> str:
    """What a lot needs to start besides a server: who needs something else does not wait for it."""
    needed = [visit.work(name)[2] for name in ("crew", "draws", "consumes")]
    needed.append({pool: hold.count for pool, hold in visit.step.holds.items()})
    return repr(needed) if any(needed) else ""
