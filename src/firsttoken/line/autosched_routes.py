"""Routes of AutoSched-style tables: the steps of one part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from firsttoken.line.autosched_columns import View
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.slots import nearest
from firsttoken.twin.tables import Table

Row = dict[str, Any]


@dataclass
class Tools:
    """What the tool, from-to and set-up tables say; routes need it and add to it.

    Attributes
    ----------
    group, location, batch, cascades, setup_group, ranks, row : of each station family.
    moves : time of a move by (from, to).
    changes : time and place by (set-up before or "", set-up after).
    runs : minimum run by set-up, by set-up group.
    used_setups : by station family: set-up -> its time in the route; None: in the set-up table.
    """

    group: dict[str, str] = field(default_factory=dict)
    location: dict[str, str] = field(default_factory=dict)
    batch: dict[str, str] = field(default_factory=dict)
    cascades: dict[str, bool] = field(default_factory=dict)
    setup_group: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, list[str]] = field(default_factory=dict)
    row: dict[str, int] = field(default_factory=dict)
    moves: dict[tuple[str, str], str] = field(default_factory=dict)
    changes: dict[tuple[str, str], tuple[str, Place]] = field(default_factory=dict)
    runs: dict[str, dict[str, int]] = field(default_factory=dict)
    used_setups: dict[str, dict[str, str | None]] = field(default_factory=dict)


def read_route(
    table: Table, findings: Findings, tools: Tools, route: str, family: str
) -> tuple[list[Row], list[int]]:
    """The steps of one route as a twin writes them, and the line of each.

    Parameters
    ----------
    route : value of ROUTE whose rows are read; empty: all rows.
    family : part family, for batches that parts share.
    """
    view = View(
        table,
        findings,
        "route step desc stnfam pdist ptime ptime2 ptunits ptper batchmn batchmx setup when stime "
        "stunits svestn forstep batchinterval batchintunits partinterval partintunits rwkstep "
        "rework rwktype steppercent step_cqt cqt cqtunits",
    )
    if not view.has("step", "stnfam", "ptime"):
        return [], []
    reader = _Route(view, tools, family)
    current = ""
    for row in view.rows:
        current = view.text(row, "route") or current
        if not route or current in ("", route):
            reader.step(row)
    if not reader.steps:
        view.report(-1, f"the table has no step of route {route!r}", "see ROUTE in table part")
    reader.links()
    reader.moves()
    return reader.steps, [table.lines[row] for row in reader.rows]


class _Route:
    """Collects the steps; links between them are made when all are known."""

    def __init__(self, view: View, tools: Tools, family: str) -> None:
        self.view, self.tools, self.family = view, tools, family
        self.steps: list[Row] = []
        self.rows: list[int] = []
        self.index: dict[str, int] = {}

    def step(self, row: int) -> None:
        """Read one row."""
        view, tools = self.view, self.tools
        name, station = view.text(row, "step"), view.text(row, "stnfam")
        if not name or name in self.index:
            view.report(row, f"STEP {name!r} stands twice" if name else "the row has no STEP")
            return
        if station not in tools.group:
            hint = nearest(station, list(tools.group))
            view.report(row, f"station family {station!r} is not in table tool", hint, "reference")
            return
        step: Row = {"name": name, "station": station}
        time = view.drawn(row, "pdist", "ptime", "ptunits", "ptime2")
        if time is not None:
            step["time"] = time
        per = view.one_of(row, "ptper", "per_lot per_piece per_batch")
        if per == "per_piece":
            step["per"] = "piece"
        self._batch(row, station, per, step)
        self._cascade(row, station, per, step)
        self._setup(row, station, step)
        share = view.number(row, "steppercent")
        if share is not None and share > 100:
            view.report(row, f"STEPPERCENT {share:g} is more than 100")
        elif share is not None and share < 100:
            step["share"] = share / 100
        self.index[name] = len(self.steps)
        self.steps.append(step)
        self.rows.append(row)

    def _batch(self, row: int, station: str, per: str, step: Row) -> None:
        least, most = self.view.whole(row, "batchmn"), self.view.whole(row, "batchmx", 1)
        rule = self.tools.batch[station]
        if (per == "per_batch") != bool(rule) or bool(rule) != (most is not None):
            what = f"{station}: PTPER per_batch, BATCHMX and BATCHCRITF go together"
            self.view.report(row, what, "give all three or none")
            return
        if most is None:
            return
        if least is not None and least > most:
            self.view.report(row, f"BATCHMN {least} is more than BATCHMX {most}")
            return
        step["batch"] = {"minimum": max(least or 1, 1), "maximum": most}
        if "samepartfam" in rule:
            step["batch"]["family"] = f"{self.family} {self.view.text(row, 'desc') or step['name']}"

    def _cascade(self, row: int, station: str, per: str, step: Row) -> None:
        view = self.view
        piece = view.duration(row, "partinterval", "partintunits")
        lot = view.duration(row, "batchinterval", "batchintunits")
        if piece is None and lot is None:
            return
        if not self.tools.cascades[station]:
            what = f"{station}: an interval needs STNCAP 2"
            view.report(row, what, "a tool that holds one lot cannot be entered before it is free")
        elif (piece is not None) != (per == "per_piece") or (piece and lot):
            what = "PartInterval goes with per_piece, BatchInterval with per_lot"
            view.report(row, what)
        else:
            step["interval"] = piece or lot
            if piece is not None:
                step["interval_per"] = "piece"

    def _setup(self, row: int, station: str, step: Row) -> None:
        view = self.view
        setup = view.text(row, "setup")
        view.one_of(row, "when", "need", "a set-up made although the tool has it is not modelled")
        time = view.duration(row, "stime", "stunits")
        if not setup:
            if time is not None:
                view.report(row, "STIME without SETUP", "name the set-up")
            return
        step["setup"] = setup
        used = self.tools.used_setups.setdefault(station, {})
        if used.setdefault(setup, time) != time:
            what = f"set-up {setup!r} has another time at another step of {station}"
            view.report(row, what, "give it one time, or two names")

    def links(self) -> None:
        """Rework, queue-time limits and dedicated tools: what ties steps together."""
        view = self.view
        for step, row in zip(self.steps, self.rows, strict=True):
            here = self.index[step["name"]]
            back = view.text(row, "rwkstep")
            if back:
                view.one_of(row, "rwktype", "lot", "parts of a lot cannot be reworked alone")
                share = view.number(row, "rework") or 0.0
                if self._other(row, "rwkstep", back, here, later=False) and share:
                    step["then"] = {back: share / 100}
            after = view.text(row, "step_cqt")
            limit = view.duration(row, "cqt", "cqtunits")
            if after and limit is None:
                view.report(row, "STEP_CQT without CQT", "give the limit")
            elif after and self._other(row, "step_cqt", after, here, later=True):
                entry = {"after": step["name"], "within": limit}
                self._once(row, "queue_limit", after, entry, "queue-time limit")
            kept = view.text(row, "forstep")
            if view.one_of(row, "svestn", "yes no") == "yes":
                if not kept:
                    view.report(row, "SVESTN without FORSTEP", "name the step that needs the tool")
                elif self._other(row, "forstep", kept, here, later=True):
                    self._once(row, "same_tool", kept, step["name"], "dedicated tool")

    def _other(self, row: int, column: str, name: str, here: int, later: bool) -> bool:
        """Whether a named step exists on the right side of this one; else it is reported."""
        there = self.index.get(name)
        if there is None:
            hint = nearest(name, list(self.index))
            self.view.report(row, f"{column.upper()} {name!r} is no step", hint, "reference")
        elif (there > here) != later:
            side = "after" if later else "before"
            self.view.report(row, f"{column.upper()} {name!r} is not {side} this step")
        return there is not None and (there > here) == later

    def _once(self, row: int, key: str, step: str, entry: object, what: str) -> None:
        target = self.steps[self.index[step]]
        if key in target:
            self.view.report(row, f"step {step} has two of one kind: {what}", code="not-modelled")
        else:
            target[key] = entry

    def moves(self) -> None:
        """Transport to each step from where a lot most likely comes."""
        came: dict[str, float] = {}
        for step, row in zip(self.steps, self.rows, strict=True):
            here, share = self.tools.location[step["station"]], step.get("share", 1.0)
            times = {place: self.tools.moves.get((place, here), "") for place in came}
            if came:
                likely = max(came, key=lambda place: came[place])
                if times[likely]:
                    step["transport"] = times[likely]
                if len(set(times.values())) > 1:
                    what = f"step {step['name']}: some lots come from elsewhere than {likely}"
                    hint = f"all are moved in the time from {likely}"
                    self.view.report(row, what, hint, "table-move", "note")
            came = {place: chance * (1 - share) for place, chance in came.items() if share < 1}
            came[here] = came.get(here, 0.0) + share
