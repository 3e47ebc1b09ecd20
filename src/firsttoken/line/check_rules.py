"""Checks of a line: dispatch rules are known, and one's own can be compiled."""

from __future__ import annotations

from firsttoken.line.check_view import Keys, View
from firsttoken.line.rules import ARGUMENTS, BUILT_IN, RuleError, load_rule, own_rule, try_rule
from firsttoken.twin.slots import nearest


def check_rules(view: View) -> None:
    """Report rules that do not exist, cannot be used, or have nothing to go by."""
    given: list[tuple[Keys, str, list[str]]] = []
    inherit = [name for name, s in view.line.stations.items() if s.dispatch is None]
    given.append((("dispatch",), view.line.dispatch, inherit))
    for name, station in view.line.stations.items():
        if station.dispatch is not None:
            given.append((("stations", name, "dispatch"), station.dispatch, [name]))
    own: dict[tuple[str, str], Keys] = {}
    for keys, rule, stations in given:
        named = own_rule(rule)
        if named is None:
            _built_in(view, keys, rule, stations)
            continue
        first = next(iter(own), named)
        if named != first:
            what, why = "a line can have one rule of its own", f"another is {':'.join(first)}"
            hint = "let one function decide for all stations"
            view.add(keys, what, why, hint, code="rule")
        elif named not in own:
            _own(view, keys, *named)
        own.setdefault(named, keys)


def _built_in(view: View, keys: Keys, rule: str, stations: list[str]) -> None:
    if rule not in BUILT_IN:
        hint = nearest(rule, BUILT_IN)
        if ":" in rule or rule.endswith(".py"):
            hint = "write `file.py:function`"
        view.add(keys, f"unknown dispatch rule {rule!r}", "", hint, code="rule")
    elif rule in ("edd", "cr") and not _due_dates(view)[0]:
        _idle(view, keys, rule, "no lot has a due date", "give releases `due`, or orders")
    elif rule == "setup" and keys != ("dispatch",):
        changed = any(view.line.stations[station].setups for station in stations)
        if not changed:
            _idle(view, keys, rule, "no change of set-up takes time here", "give it `setups`")


def _idle(view: View, keys: Keys, rule: str, why: str, hint: str) -> None:
    what = f"rule {rule!r} has nothing to go by"
    view.add(keys, what, why, hint, code="rule", severity="warning")


def _own(view: View, keys: Keys, file: str, function: str) -> None:
    try:
        rule = load_rule(view.twin.folder / file, function)
        if _due_dates(view)[1]:
            try_rule(rule, due=False)
    except RuleError as error:
        hint = error.hint or f"it takes ({', '.join(ARGUMENTS)})"
        view.add(keys, error.what, error.why, hint, code="rule")


def _due_dates(view: View) -> tuple[bool, bool]:
    """Whether some lots have due dates, and whether some have none."""
    releases = [r for p in view.line.products.values() for r in p.releases.values()]
    dated = [release.due is not None for release in releases]
    dated += [lots.due is not None for lots in view.line.wip]
    dated += [True for _ in view.line.orders]
    dated += [False for _ in view.produced]
    return any(dated), not all(dated)
