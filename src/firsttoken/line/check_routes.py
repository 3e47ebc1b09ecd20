"""Checks of a line: every lot that starts can leave, and what spans steps comes to its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from firsttoken.line.check_view import Keys, View
from firsttoken.line.compile_routes import (
    COUNT_WORD,
    RESTART_WORD,
    SCRAP_WORD,
    SHIP_WORD,
    Visit,
)

SHIPPED, SCRAPPED = -1, -2
"""Where a move ends that leaves the line."""


@dataclass(frozen=True, slots=True)
class Move:
    """A way from one step.

    Attributes
    ----------
    to : position of the next step, SHIPPED or SCRAPPED.
    chance : its expected probability, nan if only a run can know it.
    how : `next`, `then`, `on_fail`, `attempts` or `on_miss`.
    """

    to: int
    chance: float
    how: str


class Route:
    """The steps of one product and the ways between them."""

    def __init__(self, view: View, product: str) -> None:
        self.view, self.product = view, product
        self.visits: Sequence[Visit] = view.routes[product]
        self.number = {visit.name: i for i, visit in enumerate(self.visits)}
        self.moves = [list(self._moves(i, visit)) for i, visit in enumerate(self.visits)]

    def failing(self, visit: Visit) -> tuple[bool, bool, float]:
        """Whether an operation can fail and can pass, and the chance that it fails."""
        view, inspection = self.view, visit.work("inspect")[2]
        given = visit.work("pass_")[2]
        low, high = (1.0, 1.0) if given is None else view.range(given)
        passed = 1.0 if given is None else view.mean(given)
        called = 0.0
        if inspection is not None:
            called = view.mean(inspection.share) * view.mean(inspection.false_call)
        return not low >= 1 or inspection is not None, not high <= 0, 1 - passed * (1 - called)

    def _moves(self, position: int, visit: Visit) -> Iterator[Move]:
        fails, passes, chance = self.failing(visit)
        share = visit.step.share
        needed = 1.0 if share is None else self.view.mean(share)
        limit = visit.work("attempts")[2]
        if fails:
            target = visit.work("on_fail")[2] or RESTART_WORD
            if target == RESTART_WORD:
                chance = 0.0 if limit is None else chance**limit
            elif target != SCRAP_WORD:
                yield Move(self.number[target], needed * chance, "on_fail")
            if target == SCRAP_WORD or limit is not None:
                lost = needed * chance if target in (SCRAP_WORD, RESTART_WORD) else 0.0
                yield Move(SCRAPPED, lost, "on_fail" if target == SCRAP_WORD else "attempts")
        if passes or needed < 1:
            yield from self._onward(position, visit, 1 - needed * (chance if fails else 0.0))
        timed = visit.step.queue_limit
        if timed is not None and timed.on_miss != COUNT_WORD:
            yield Move(self._at(timed.on_miss), 0.0, "on_miss")

    def _onward(self, position: int, visit: Visit, chance: float) -> Iterator[Move]:
        """Ways after the work is done or skipped."""
        following = position + 1 if position + 1 < len(self.visits) else SHIPPED
        then = visit.step.then
        if isinstance(then, str):
            yield Move(self._at(then), chance, "then")
            return
        shares = then or {}
        for name, share in shares.items():
            if not self.view.range(share)[1] <= 0:
                yield Move(self._at(name), chance * self.view.mean(share), "then")
        least = sum(self.view.range(share)[0] for share in shares.values())
        if not least >= 1 - 1e-9:
            rest = 1 - sum(self.view.mean(share) for share in shares.values())
            yield Move(following, chance * rest, "next")

    def _at(self, name: str) -> int:
        words = {SHIP_WORD: SHIPPED, SCRAP_WORD: SCRAPPED}
        return words[name] if name in words else self.number[name]

    # Reaching -----------------------------------------------------------------------------

    @cached_property
    def starts(self) -> list[int]:
        """Steps at which lots come into the line."""
        waiting = [lots.step for lots in self.view.line.wip if lots.product == self.product]
        return [0, *(self.number[step] for step in waiting)]

    def reached(self, sources: Iterable[int], without: int | None = None) -> set[int]:
        """Steps and ends that lots can come to from steps, these included.

        Parameters
        ----------
        without : a step beyond which nobody is followed.
        """
        found, stack = set[int](), list(sources)
        while stack:
            position = stack.pop()
            if position not in found:
                found.add(position)
                if position >= 0 and position != without:
                    stack += [move.to for move in self.moves[position]]
        return found

    def after(self, position: int) -> list[int]:
        """Where a lot may go from a step."""
        return [move.to for move in self.moves[position]]

    def reaching(self, ends: Callable[[Move], bool]) -> set[int]:
        """Steps from which some way leads to an end; misses of a limit are no way to rely on."""
        into: dict[int, list[int]] = {}
        stack: list[int] = []
        for position, moves in enumerate(self.moves):
            for move in moves:
                if move.how != "on_miss":
                    into.setdefault(move.to, []).append(position)
                    if move.to < 0 and ends(move):
                        stack.append(position)
        found = set[int]()
        while stack:
            position = stack.pop()
            if position not in found:
                found.add(position)
                stack += into.get(position, [])
        return found


def check_routes(view: View) -> None:
    """Report cycles without exit, steps that nobody comes to, and ties that lead nowhere."""
    for product, visits in view.routes.items():
        if visits:
            route = Route(view, product)
            _exits(view, route)
            for position, visit in enumerate(visits):
                _shares(view, visit)
                _ties(view, route, position, visit)
                _holds(view, route, position, visit)


def _shares(view: View, visit: Visit) -> None:
    then = visit.step.then
    if isinstance(then, dict):
        least = sum(view.range(share)[0] for share in then.values())
        most = sum(view.range(share)[1] for share in then.values())
        keys = (*visit.keys, "then")
        if least > 1 + 1e-9:
            what = f"the probabilities sum to {least:g}"
            view.add(keys, what, "they cannot be more than 1", code="probability")
        elif most > 1 + 1e-9:
            what = f"the probabilities may sum to {most:g}"
            why = "beyond 1 the later ones are cut off"
            view.add(keys, what, why, code="probability", severity="warning")


def _exits(view: View, route: Route) -> None:
    visits = route.visits
    leaving = route.reaching(lambda move: True)
    come_to = route.reached(route.starts)
    stuck = [i for i in range(len(visits)) if i in come_to and i not in leaving]
    if stuck:
        cycle = _cycle(route, stuck[0], leaving)
        names = " -> ".join(visits[i].name for i in cycle)
        view.add(
            visits[cycle[0]].keys,
            f"a cycle without exit: {names}",
            f"no lot of {route.product!r} that comes here ever leaves",
            "let a step go on to `ship`, give `pass` more than 0, or limit the `attempts`",
            code="no-exit",
        )
    elif SHIPPED not in come_to:
        view.add(
            ("products", route.product),
            f"no lot of {route.product!r} is ever finished",
            "every way ends in scrap",
            "let a way lead to `ship`",
            code="no-exit",
        )
    for i, visit in enumerate(visits):
        if i not in come_to and not stuck:
            view.add(
                visit.keys,
                f"no lot comes to step {visit.name!r}",
                "no step leads there",
                "name it in the `then` or `on_fail` of another step, or remove it",
                code="dead-step",
                severity="warning",
            )


def _cycle(route: Route, start: int, leaving: set[int]) -> list[int]:
    """Steps along a cycle among those that nobody leaves, the first repeated at the end."""
    path = [start]
    while True:
        following = [to for to in route.after(path[-1]) if to >= 0 and to not in leaving]
        if not following:  # it is restarted for ever
            return [path[-1], path[-1]]
        if following[0] in path:
            return [*path[path.index(following[0]) :], following[0]]
        path.append(following[0])


# Ties between steps -----------------------------------------------------------------------


def _ties(view: View, route: Route, position: int, visit: Visit) -> None:
    """A queue-time limit and a shared tool look back to a step that lots have passed."""
    limit, tool = visit.step.queue_limit, visit.step.same_tool
    if limit is not None:
        _upstream(view, route, position, limit.after, (*visit.keys, "queue_limit", "after"))
    if tool is None:
        return
    keys = (*visit.keys, "same_tool")
    earlier = route.visits[route.number[tool]]
    if earlier.step.station != visit.step.station:
        view.add(
            keys,
            f"step {tool!r} is done at another station",
            f"at {earlier.step.station!r}, this one at {visit.step.station!r}",
            "only servers of one station can do both",
            code="same-tool",
        )
    else:
        _upstream(view, route, position, tool, keys)


def _upstream(view: View, route: Route, position: int, name: str, keys: Keys) -> None:
    if position not in route.reached(route.after(route.number[name])):
        view.add(
            keys,
            f"step {name!r} does not come before {route.visits[position].name!r}",
            "no lot passes it first",
            "name a step upstream",
            code="route-order",
        )


def _holds(view: View, route: Route, position: int, visit: Visit) -> None:
    """What is held is taken once and given back once, on every way."""
    for pool, hold in visit.step.holds.items():
        keys = (*visit.keys, "holds", pool)
        end = route.number[hold.until]
        during = set[int]() if end == position else route.reached(route.after(position), end)
        if end != position and end not in during:
            what = f"step {hold.until!r} does not come after {visit.name!r}"
            why = f"{pool!r} would never be given back"
            view.add((*keys, "until"), what, why, "name a step downstream", code="route-order")
            continue
        wrong = _unbalanced(view, route, position, end, during)
        if wrong:
            what = f"{pool!r} is not taken once and given back once on every way"
            hint = "let all ways lead over both steps, rework within them or after them"
            view.add(keys, what, wrong, hint, code="hold")
        if not math.isnan(view.range(hold.count, "each")[0]):
            _held(view, route, position, pool, keys, during | {position})


def _unbalanced(view: View, route: Route, position: int, end: int, during: set[int]) -> str:
    """How a lot may take something twice, or never give it back; empty if it cannot."""
    first, last = route.visits[position], route.visits[end]
    for skipped in (first, last):
        share = skipped.step.share
        if share is not None and view.range(share)[0] < 1:
            return f"some lots skip {skipped.name!r}"
    if end == position:
        return ""
    if position in during:
        return f"a lot can come back to {first.name!r} before {last.name!r}"
    if during & {SHIPPED, SCRAPPED}:
        return f"some lots leave the line before {last.name!r}"
    if end in route.reached([0], position):
        return f"some lots come to {last.name!r} without {first.name!r}"
    if end in route.reached(route.after(end), position):
        return f"a lot can come to {last.name!r} twice"
    inside = {route.visits[i].name for i in during if i >= 0}
    for lots in view.line.wip:
        if lots.product == route.product and lots.step in inside:
            return f"lots are in the line at {lots.step!r} that have taken nothing"
    return ""


def _held(view: View, route: Route, position: int, pool: str, keys: Keys, during: set[int]) -> None:
    """What is held and what is needed meanwhile must be there together."""
    hold = route.visits[position].step.holds[pool]
    most = view.range(view.line.pools[pool].count, "each")[1]
    held = view.range(hold.count, "each")[0]
    for i in sorted(step for step in during if step >= 0):
        crew = route.visits[i].work("crew")[2] or {}
        alone = [name for name in crew if view.holders(name) == [pool]]
        needed = sum(view.range(crew[name], "each")[0] for name in alone)
        if held + needed > most:
            other = route.visits[i].name
            what = f"{other!r} needs {needed:g} of {pool!r} while its lot holds {held:g}"
            if not needed:
                what = f"a lot holds {held:g} of {pool!r}"
            why = f"there are at most {most:g}"
            view.add(keys, what, why, "add to the pool, or hold less", code="capacity")
            return
