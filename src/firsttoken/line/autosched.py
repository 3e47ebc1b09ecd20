"""AutoSched-style tables to the plain data of a line: tools, routes, releases, initial lots.

The result has the shape of `line.model.Line` and is read by its classes like a YAML file. Tables
and columns are those of the SMT2020 testbed (D. Kopp, M. Hassoun, A. Kalir, L. Moench, IEEE
Transactions on Semiconductor Manufacturing 33(4), 522-531, 2020, doi 10.1109/TSM.2020.3001933).

How AutoSched's terms are read:

* a station family is a station, its stations are servers; the ranks must begin with `rank_HP`,
  which a line always obeys;
* `per_piece` is for each of the lot's pieces; `PartInterval` and `BatchInterval` make a cascade
  tool, entered by the next piece or lot after the interval;
* `rank_RSETUP` ranks by the times of the set-up table only: set-ups that have their time in the
  route rank as none, as in the published reference runs;
* `SVESTN`, `FORSTEP`: the later step needs the tool of the earlier one;
* the first maintenance of tool k of N falls due at `FOA` k/N; it does not wait for the end of a
  breakdown or of other maintenance of the tool;
* a move between two locations takes the time of the from-to table, and none if it is not there;
* simulated time begins with the earliest `START`: the twin should start on that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from firsttoken.line.autosched_columns import View
from firsttoken.line.autosched_orders import read_orders
from firsttoken.line.autosched_routes import Tools, read_route
from firsttoken.twin.findings import Finding, Findings
from firsttoken.twin.slots import nearest
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import Table, fold_name

Row = dict[str, Any]

ORDER_COLUMNS: Final = frozenset(("lot", "part", "start"))
"""A table with these columns releases lots or lists initial ones, whatever its name."""

_UNUSED: Final = {"period": "the twin's warm-up and report periods are used", "options": ""}
_READ: Final = (
    "tool setup setupgrp part downcal pmcal attach fromto order wip and the routes that part names"
)


def read_autosched_tables(
    tables: Mapping[str, Table], findings: Findings
) -> tuple[dict[str, Any], SourceMap]:
    """Read AutoSched-style tables.

    Parameters
    ----------
    tables : by folded name (`setupgrp`, `route3`).
    findings : gets what cannot be read, expressed or is not used.

    Returns
    -------
    plain data in the shape of `line.model.Line`, and the row of each part.
    """
    reader = _Reader(tables, findings)
    reader.tools()
    reader.transport()
    reader.setups()
    reader.products()
    reader.calendars()
    reader.orders()
    reader.rest()
    data = {"stations": reader.stations, "products": reader.parts, **reader.more}
    return {name: rows for name, rows in data.items() if rows}, reader.sources


class _Reader:
    """Reads one table after the other; later ones complete what earlier ones began."""

    def __init__(self, tables: Mapping[str, Table], findings: Findings) -> None:
        self.tables, self.findings = tables, findings
        self.sources = SourceMap()
        self.used: set[str] = set()
        self.stations: dict[str, Row] = {}
        self.parts: dict[str, Row] = {}
        self.more: dict[str, Any] = {}
        self.shop = Tools()

    def view(
        self, name: str, columns: str, ignored: str = "", optional: bool = True
    ) -> View | None:
        """A table of that name, or None; a missing one that is needed is reported."""
        table = self.tables.get(name)
        if table is None:
            if not optional:
                what = f"table {name} is missing"
                self.findings.add(Finding(what, "", f"tables read: {_READ}", code="table"))
            return None
        self.used.add(name)
        return View(table, self.findings, columns, ignored)

    # Tools.

    def tools(self) -> None:
        """Station families: servers, loading times, ranks, batching, cascading."""
        view = self.view(
            "tool",
            "stnfam rule fwlrank wakeresrank batchcritf batchper ltime ltunits ultime ultunits "
            "stncap stnqty stngrp stnfamloc prerulerwl setupgrp",
            "stn stnfamstep_actlist",
            optional=False,
        )
        if view is None or not view.has("stnfam", "stngrp"):
            return
        name = ""
        for row in view.rows:
            given = view.text(row, "stnfam")
            if not given:  # the next rank of the family above
                self._rank(view, row, name)
            elif given in self.stations:
                view.report(row, f"station family {given!r} stands twice", code="duplicate-key")
            else:
                name = given
                self._tool(view, row, name)
        for family, ranks in self.shop.ranks.items():
            self._check_ranks(view, family, ranks)

    def _tool(self, view: View, row: int, name: str) -> None:
        shop = self.shop
        station: Row = {"servers": view.whole(row, "stnqty", 1) or 1}
        for key, column, units in (("load", "ltime", "ltunits"), ("unload", "ultime", "ultunits")):
            time = view.duration(row, column, units)
            if time is not None and not time.startswith("0 "):
                station[key] = time
        view.one_of(row, "rule", "rule_HotLotFIRST rule_LSSU rule_FirstLotFirst")
        view.one_of(row, "wakeresrank", "wake_LeastSetupTime")
        view.one_of(
            row, "prerulerwl", "no", "choosing lots before the tool is free is not modelled"
        )
        batch = view.one_of(
            row, "batchcritf", "crit_sameroutestep crit_samepartfam|crit_samestepname"
        )
        if batch:
            view.one_of(row, "batchper", "piece")
        capacity = view.whole(row, "stncap", 1) or 1
        if capacity > 2:
            what = f"STNCAP {capacity} cannot be expressed"
            view.report(row, what, "1: one lot at a time, 2: a cascade tool", "not-modelled")
        self.stations[name] = station
        self.sources.add_line(("stations", name), view.table.file, view.table.lines[row])
        shop.group[name] = view.text(row, "stngrp")
        shop.location[name] = view.text(row, "stnfamloc")
        shop.batch[name] = batch
        shop.cascades[name] = capacity > 1
        shop.setup_group[name] = view.text(row, "setupgrp")
        shop.ranks[name], shop.row[name] = [], row
        self._rank(view, row, name)
        if view.text(row, "rule") == "rule_LSSU" and not shop.setup_group[name]:
            view.report(row, "rule_LSSU needs a SETUPGRP", "name the set-up group")

    def _rank(self, view: View, row: int, name: str) -> None:
        if not name:
            view.report(row, "the row has no STNFAM", "name the station family")
            return
        ranks = view.text(row, "fwlrank").replace("|", ";").split(";")
        known = ("rank_HP", "rank_RSETUP", "rank_FIFO", "rank_CR", "rank_EDD")
        for rank in ranks:
            if rank in known:
                self.shop.ranks[name].append(rank)
            elif rank:
                view.report(
                    row, f"FWLRANK {rank!r} cannot be expressed", nearest(rank, list(known))
                )

    def _check_ranks(self, view: View, name: str, ranks: list[str]) -> None:
        row = self.shop.row[name]
        if ranks and ranks[0] != "rank_HP":
            what = f"{name}: FWLRANK begins with {ranks[0]!r}"
            hint = "a line ranks by priority first: begin with rank_HP"
            view.report(row, what, hint, "not-modelled")
        rest = ranks[1:]
        if "rank_RSETUP" in rest and any(rank in rest for rank in ("rank_CR", "rank_EDD")):
            what = f"{name}: rank_RSETUP and then {rest[-1]} cannot be expressed"
            hint = "after the set-up time a line ranks by arrival"
            view.report(row, what, hint, "not-modelled")

    # Moves and set-ups.

    def transport(self) -> None:
        """Times of moves between locations."""
        view = self.view("fromto", "fromloc toloc ddist dtime dtime2 dunits")
        if view is None or not view.has("fromloc", "toloc", "dtime"):
            return
        known = set(self.shop.location.values())
        for row in view.rows:
            pair = view.text(row, "fromloc"), view.text(row, "toloc")
            for place in pair:
                if place not in known:
                    view.report(
                        row, f"location {place!r} has no tools", nearest(place, list(known))
                    )
            if pair in self.shop.moves:
                view.report(row, f"the move {pair[0]} to {pair[1]} stands twice")
            time = view.drawn(row, "ddist", "dtime", "dunits", "dtime2")
            if time is not None:
                self.shop.moves[pair] = time

    def setups(self) -> None:
        """The set-up table and the minimum runs."""
        view = self.view("setup", "cursetup newsetup stime stunits sdist stime2")
        if view is not None and view.has("newsetup", "stime"):
            for row in view.rows:
                change = view.text(row, "cursetup"), view.text(row, "newsetup")
                if not change[1]:
                    view.report(row, "NEWSETUP is missing", "name the set-up after the change")
                    continue
                if change in self.shop.changes:
                    view.report(row, f"the change to {change[1]} stands twice")
                time = view.drawn(row, "sdist", "stime", "stunits", "stime2")
                self.shop.changes[change] = (time or "0 s", view.place(row))
        view = self.view("setupgrp", "setupgrp setup minrun")
        if view is not None and view.has("setupgrp", "setup", "minrun"):
            group = ""
            for row in view.rows:
                group = view.text(row, "setupgrp") or group
                runs = view.whole(row, "minrun") or 0
                self.shop.runs.setdefault(group, {})[view.text(row, "setup")] = runs

    # Products and routes.

    def products(self) -> None:
        """Parts and their routes."""
        view = self.view("part", "part partfam routefile route", "partgrp", optional=False)
        if view is None or not view.has("part", "routefile"):
            return
        for row in view.rows:
            name = view.text(row, "part")
            if not name or name in self.parts:
                what = f"part {name!r} stands twice" if name else "the row has no PART"
                view.report(row, what, code="duplicate-key")
                continue
            self.sources.add_line(("products", name), view.table.file, view.table.lines[row])
            self.parts[name] = {}
            file = view.text(row, "routefile")
            table = self.tables.get(fold_name(PurePath(file).name.split(".")[0]))
            if table is None:
                view.report(row, f"ROUTEFILE {file!r} is not there", nearest(file, [*self.tables]))
                continue
            self.used.add(table.name)
            steps, lines = read_route(
                table,
                self.findings,
                self.shop,
                view.text(row, "route"),
                view.text(row, "partfam") or name,
            )
            self.parts[name]["route"] = steps
            places = [str(index) for index in range(len(steps))]
            self.sources.add_rows(("products", name, "route"), places, table.file, lines)
        self._finish_setups()

    def _finish_setups(self) -> None:
        """Give each station the changes, minimum runs and rule of the set-ups used there."""
        shop = self.shop
        wanted: set[str] = set()
        for name, station in self.stations.items():
            used = shop.used_setups.get(name, {})
            wanted |= set(used)
            rows: list[Row] = []
            for (before, after), (time, _) in shop.changes.items():
                if used.get(after, "") is None and (not before or before in used):
                    rows.append({"from": before, "to": after, "time": time})
            by_table = bool(rows)
            rows += [{"to": setup, "time": time} for setup, time in used.items() if time]
            for change in rows:
                if change.get("from") == "":
                    del change["from"]
            if rows:
                station["setups"] = rows
            runs = shop.runs.get(shop.setup_group[name], {})
            runs = {setup: runs[setup] for setup in used if runs.get(setup, 0) > 1}
            if runs:
                station["min_run"] = runs
            rule = _rule(shop.ranks[name], by_table)
            if rule != "fifo":
                station["dispatch"] = rule
        for (_, after), (_, place) in shop.changes.items():
            if after not in wanted:
                what = f"set-up {after!r} is used by no step"
                self.findings.add(Finding(what, "", "", "", "not-used", "warning", place))

    # Breakdowns and maintenance.

    def calendars(self) -> None:
        """Breakdowns and maintenance, and the tools that they are attached to."""
        downs, pms = self._downs(), self._pms()
        view = self.view("attach", "calname caltype restype resname foadist foa foaunits")
        if view is None or not view.has("calname", "caltype", "restype", "resname"):
            return
        attached: set[str] = set()
        for row in view.rows:
            name, kind = view.text(row, "calname"), view.one_of(row, "caltype", "down pm")
            known = {"down": downs, "pm": pms}.get(kind, {})
            if kind and name not in known:
                view.report(row, f"calendar {name!r} is unknown", nearest(name, list(known)))
                continue
            targets = self._targets(view, row)
            if not kind or not targets:
                continue
            attached.add(name)
            if kind == "down":
                first = view.drawn(row, "foadist", "foa", "foaunits")
                entry = known[name] | ({"first": first} if first else {})
                key = "failures"
            else:
                # In the published runs outages overlap: none waits for the end of another.
                entry = known[name] | self._first_pm(view, row, known[name]) | {"alone": False}
                key = "maintenance"
            for target in targets:
                self.stations[target].setdefault(key, {})[name] = entry
                path = ("stations", target, key, name)
                self.sources.add_line(path, view.table.file, view.table.lines[row])
        for name in (downs.keys() | pms.keys()) - attached:
            view.report(-1, f"calendar {name!r} is attached to nothing", "", "not-used", "warning")

    def _downs(self) -> dict[str, Row]:
        view = self.view(
            "downcal", "downcalname downcaltype mttfdist mttf mttfunits mttrdist mttr mttrunits"
        )
        if view is None or not view.has("downcalname", "mttf", "mttr"):
            return {}
        found: dict[str, Row] = {}
        for row in view.rows:
            view.one_of(row, "downcaltype", "mttf_by_cal")
            mtbf = view.drawn(row, "mttfdist", "mttf", "mttfunits")
            mttr = view.drawn(row, "mttrdist", "mttr", "mttrunits")
            found[view.text(row, "downcalname")] = {"mtbf": mtbf, "mttr": mttr}
        return found

    def _pms(self) -> dict[str, Row]:
        view = self.view(
            "pmcal", "pmcalname pmcaltype mtbpm mtbpmunits mttrdist mttr mttr2 mttrunits"
        )
        if view is None or not view.has("pmcalname", "pmcaltype", "mtbpm", "mttr"):
            return {}
        found: dict[str, Row] = {}
        for row in view.rows:
            entry: Row = {"takes": view.drawn(row, "mttrdist", "mttr", "mttrunits", "mttr2")}
            kind = view.one_of(row, "pmcaltype", "mtbpm_by_cal mtbpm_by_pieces")
            if kind == "mtbpm_by_pieces":
                entry["every_pieces"] = view.whole(row, "mtbpm", 1)
            else:
                entry["every"] = view.duration(row, "mtbpm", "mtbpmunits")
            found[view.text(row, "pmcalname")] = entry
        return found

    def _first_pm(self, view: View, row: int, entry: Row) -> Row:
        """First due date, spread over the tools."""
        view.one_of(row, "foadist", "constant")
        if not view.text(row, "foa"):
            return {"stagger": True}
        if "every_pieces" in entry:
            return {"first_pieces": view.number(row, "foa"), "stagger": True}
        return {"first": view.duration(row, "foa", "foaunits"), "stagger": True}

    def _targets(self, view: View, row: int) -> list[str]:
        kind = view.one_of(row, "restype", "stngrp stnfam")
        name, groups = view.text(row, "resname"), self.shop.group
        if kind == "stnfam":
            targets = [name] if name in self.stations else []
        else:
            targets = [family for family, group in groups.items() if group == name]
        if kind and not targets:
            hint = nearest(name, [*self.stations] if kind == "stnfam" else [*groups.values()])
            view.report(row, f"RESNAME {name!r} is no {kind.upper()} of the tool table", hint)
        return targets

    # Releases.

    def orders(self) -> None:
        """Releases, single orders and initial lots, from every table that lists lots."""
        views = []
        for name, table in self.tables.items():
            if name not in self.used and table.columns.keys() >= ORDER_COLUMNS:
                self.used.add(name)
                views.append(
                    View(
                        table,
                        self.findings,
                        "lot part prior pieces start rdist repeat runits rpt# lotsperrpt due "
                        "curstep hotlot",
                        "order trace",
                    )
                )
        if views:
            self.more |= read_orders(views, self.parts, self.sources)

    def rest(self) -> None:
        """Report the tables that nothing has read."""
        for name, table in self.tables.items():
            if name in self.used:
                continue
            hint = _UNUSED.get(name, f"tables read: {_READ}")
            self.findings.add(
                Finding(
                    f"table {name} is not used",
                    "",
                    hint,
                    "",
                    "not-used",
                    "warning",
                    table.place(-1),
                )
            )


def _rule(ranks: list[str], by_table: bool) -> str:
    """The dispatch rule of a station after its priorities."""
    if "rank_RSETUP" in ranks and by_table:
        return "setup"
    if "rank_CR" in ranks:
        return "cr"
    return "edd" if "rank_EDD" in ranks else "fifo"
