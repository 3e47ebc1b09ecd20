"""Steps of all routes: what is done where, with what, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firsttoken.kernel.streams import PROCESS, QUALITY, REPAIR, TRANSPORT
from firsttoken.line import model, system
from firsttoken.line.compile_routes import (
    COUNT_WORD,
    RESTART_WORD,
    SCRAP_WORD,
    SHIP_WORD,
    Visit,
)
from firsttoken.line.compile_slots import Keys, Rows, Slots, Table
from firsttoken.twin.values import Constant

_WORDS = {
    SHIP_WORD: system.SHIP,
    SCRAP_WORD: system.SCRAP,
    RESTART_WORD: system.RESTART,
    COUNT_WORD: system.COUNT,
}


class Steps:
    """Compiles the steps of a line.

    Attributes
    ----------
    number : row of each step, by product and step name.
    first : first row and number of steps of each product.
    marks, tools : slots of times and of servers that a lot needs at most.
    """

    def __init__(
        self,
        slots: Slots,
        routes: Mapping[str, Sequence[Visit]],
        family: Mapping[tuple[str, str], int],
    ) -> None:
        self.slots, self.routes, self.family = slots, routes, family
        self.steps = Table(system.STEP)
        self.branches = Table(system.BRANCH)
        self.tasks = Table(system.TASKS)
        self.holds = Table(system.HOLD)
        self.takes = Table(system.TAKE)
        self.stations = {name: i for i, name in enumerate(slots.line.stations)}
        self.products = {name: i for i, name in enumerate(slots.line.products)}
        self.number: dict[tuple[str, str], int] = {}
        self.first: dict[str, Rows] = {}
        self.marks = self.tools = 0
        for product, route in routes.items():
            self.first[product] = (len(self.number), len(route)) if route else (system.NONE, 0)
            for visit in route:
                if visit.key in self.number:
                    hint = "give each step of a route a name of its own"
                    what = f"step {visit.name!r} stands in the route twice"
                    raise slots.error(what, visit.keys, hint, "duplicate")
                self.number[visit.key] = len(self.number)

    def compile(self) -> None:
        """Fill all tables."""
        for route in self.routes.values():
            marks = self._slots_of(route, "queue_limit")
            tools = self._slots_of(route, "same_tool")
            gives = self._gives(route)
            self.marks, self.tools = max(self.marks, len(marks)), max(self.tools, len(tools))
            for visit in route:
                self._step(visit, marks, tools, gives.get(visit.name, []))

    def names(self) -> tuple[str, ...]:
        """`product.step` of each row."""
        return tuple(".".join(key) for key in self.number)

    # What a route says about several steps ------------------------------------------------

    def _slots_of(self, route: Sequence[Visit], name: str) -> dict[str, int]:
        """Slot of each earlier step that a queue limit or a shared tool refers to."""
        found: dict[str, int] = {}
        for visit in route:
            given = getattr(visit.step, name)
            earlier = given.after if isinstance(given, model.QueueLimit) else given
            if earlier:
                self.step(visit, earlier, (*visit.keys, name))
                found.setdefault(earlier, len(found))
        return found

    def _gives(self, route: Sequence[Visit]) -> dict[str, list[tuple[float, ...]]]:
        """Rows of HOLD given back at the end of each step."""
        found: dict[str, list[tuple[float, ...]]] = {}
        for visit in route:
            for pool, hold in visit.step.holds.items():
                self.step(visit, hold.until, (*visit.keys, "holds", pool, "until"))
                found.setdefault(hold.until, []).append(self._hold(visit, pool, hold))
        return found

    def _hold(self, visit: Visit, pool: str, hold: model.Hold) -> tuple[float, ...]:
        keys = (*visit.keys, "holds", pool)
        row = self.slots.index(self.slots.line.pools, pool, "pool", keys)
        return row, self.slots.x(hold, "count", keys)

    def step(self, visit: Visit, name: str, keys: Keys) -> int:
        """Row of a step of the same route by its name; raises `TwinError`."""
        names = [other.name for other in self.routes[visit.product]]
        self.slots.index(names, name, "step", keys)
        return self.number[visit.product, name]

    def _target(self, visit: Visit, name: str, keys: Keys, *words: str) -> int:
        """Row of a step, or what one of the words stands for."""
        return _WORDS[name] if name in words else self.step(visit, name, keys)

    # One step -----------------------------------------------------------------------------

    def _step(
        self,
        visit: Visit,
        marks: Mapping[str, int],
        tools: Mapping[str, int],
        gives: Sequence[tuple[float, ...]],
    ) -> None:
        step, name = visit.step, visit.name
        self.steps.add(
            does=0,
            product=self.products[visit.product],
            station=self.stations[step.station],
            family=self.family[visit.key],
            **self._flow(visit),
            **self._time(visit),
            **self._resources(visit, gives),
            **self._quality(visit),
            **self._limit(visit, marks),
            mark=marks.get(name, system.NONE),
            tool_put=tools.get(name, system.NONE),
            tool_get=tools[step.same_tool] if step.same_tool else system.NONE,
            work=0.0,
            work_left=0.0,
        )

    def _flow(self, visit: Visit) -> dict[str, int]:
        """Where lots go next, and which skip the step."""
        first, count = self.first[visit.product]
        here = self.number[visit.key]
        following = here + 1 if here + 1 < first + count else system.SHIP
        keys = (*visit.keys, "then")
        branches: list[tuple[float, ...]] = []
        then = visit.step.then
        if isinstance(then, str):
            following = self._target(visit, then, keys, SHIP_WORD, SCRAP_WORD)
        for name, share in (then if isinstance(then, dict) else {}).items():
            to = self._target(visit, name, (*keys, name), SHIP_WORD, SCRAP_WORD)
            branches.append((to, self.slots.scalar(share, "", (*keys, name))))
        branch, number = self.branches.extend(branches)
        return {"next": following, "branch": branch, "branches": number}

    def _time(self, visit: Visit) -> dict[str, int]:
        """Streams and parameters of all that takes time."""
        found: dict[str, int] = {}
        for name in ("load", "unload"):
            owner, keys, _ = visit.work(name)
            found[name] = self.slots.x(owner, name, keys, nothing=0.0)
        owner, keys, _ = visit.work("time")
        found["time"] = self.slots.stream(owner, "time", keys, PROCESS)
        owner, keys, _ = visit.work("interval")
        found["interval"] = self.slots.stream(owner, "interval", keys, PROCESS, nothing=None)
        found["tasks"] = self._tasks(visit)
        mover: model.Step | model.Station = visit.step
        keys = visit.keys
        if visit.step.transport is None:
            mover, keys = visit.station, ("stations", visit.step.station)
        found["transport"] = self.slots.stream(mover, "transport", keys, TRANSPORT)
        found["per_piece"] = int(visit.work("per")[2] == "piece")
        found["interval_per_piece"] = int(visit.work("interval_per")[2] == "piece")
        return found

    def _tasks(self, visit: Visit) -> int:
        tasks: model.Tasks | None
        _, owner_keys, tasks = visit.work("tasks")
        if tasks is None:
            return system.NONE
        keys = (*owner_keys, "tasks")
        row = [self.slots.x(tasks, name, keys) for name in ("count", "time", "success", "recovery")]
        return self.tasks.extend([(*row, self.slots.uniforms(keys, PROCESS))])[0]

    def _resources(self, visit: Visit, gives: Sequence[tuple[float, ...]]) -> dict[str, int]:
        """Crews, budgets, what is held over several steps, and assembly."""
        _, crew_keys, crew = visit.work("crew")
        _, draw_keys, draws = visit.work("draws")
        need, needs = self.slots.needs(
            crew or {}, (*crew_keys, "crew"), draws or {}, (*draw_keys, "draws")
        )
        hold, holds = self.holds.extend(
            self._hold(visit, pool, declared) for pool, declared in visit.step.holds.items()
        )
        give, given = self.holds.extend(gives)
        part, parts = self._pieces(visit, "consumes")
        make, makes = self._pieces(visit, "produces")
        return {
            "need": need,
            "needs": needs,
            "hold": hold,
            "holds": holds,
            "give": give,
            "gives": given,
            "part": part,
            "parts": parts,
            "make": make,
            "makes": makes,
        }

    def _pieces(self, visit: Visit, side: str) -> Rows:
        _, keys, amounts = visit.work(side)
        rows: list[tuple[float, ...]] = []
        for product, amount in (amounts or {}).items():
            here = (*keys, side, product)
            row = self.slots.index(self.products, product, "product", here)
            if not (isinstance(amount, Constant) and amount.value == 0):
                rows.append((row, self.slots.scalar(amount, "each", here)))
        return self.takes.extend(rows)

    def _quality(self, visit: Visit) -> dict[str, int]:
        """What may fail, how it shows and what follows."""
        slots = self.slots
        found: dict[str, int] = {}
        for name, nothing in (("pass_", 1.0), ("defects", 0.0)):
            owner, keys, _ = visit.work(name)
            found[name] = slots.x(owner, name, keys, nothing=nothing)
        _, keys, target = visit.work("on_fail")
        words = (RESTART_WORD, SCRAP_WORD)
        where = (*keys, "on_fail")
        found["fail_to"] = self._target(visit, target or RESTART_WORD, where, *words)
        owner, keys, _ = visit.work("fail_after")
        found["fail_after"] = slots.stream(owner, "fail_after", keys, QUALITY, nothing=None)
        owner, keys, _ = visit.work("repair")
        found["repair"] = slots.stream(owner, "repair", keys, REPAIR)
        found["attempts"] = visit.work("attempts")[2] or 0
        inspection: model.Inspection | None
        _, keys, inspection = visit.work("inspect")
        for name, field in (
            ("inspect", "share"),
            ("escape", "escape"),
            ("false_call", "false_call"),
        ):
            found[name] = system.NONE
            if inspection is not None:
                found[name] = slots.x(inspection, field, (*keys, "inspect"))
        found["share"] = slots.x(visit.step, "share", visit.keys, nothing=1.0)
        # Keyed by names, so that another step in the route does not change this one's luck.
        entity = ("products", visit.product, "route", visit.name)
        draws = (found["pass_"], found["defects"], found["inspect"], found["share"])
        random = max(draws) >= 0 or isinstance(visit.step.then, dict)
        found["chance"] = slots.uniforms(entity, QUALITY) if random else system.NONE
        return found

    def _limit(self, visit: Visit, marks: Mapping[str, int]) -> dict[str, int]:
        """The queue-time limit that ends at the step."""
        limit = visit.step.queue_limit
        if limit is None:
            return {"limit_mark": system.NONE, "limit": system.NONE, "limit_to": system.COUNT}
        keys = (*visit.keys, "queue_limit")
        words = (COUNT_WORD, SCRAP_WORD)
        return {
            "limit_mark": marks[limit.after],
            "limit": self.slots.x(limit, "within", keys),
            "limit_to": self._target(visit, limit.on_miss, (*keys, "on_miss"), *words),
        }
