"""Releases, single orders and initial lots of AutoSched-style tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from firsttoken.line.autosched_columns import SECONDS, View
from firsttoken.twin.slots import nearest
from firsttoken.twin.source import SourceMap

Row = dict[str, Any]


def read_orders(views: Sequence[View], parts: dict[str, Row], sources: SourceMap) -> dict[str, Any]:
    """Read all rows that list lots.

    Rows with REPEAT are releases of their part, rows with CURSTEP lots that are in the line at
    the start, the others single orders.

    Parameters
    ----------
    parts : products by name; they get `pieces` and `releases`.

    Returns
    -------
    `orders` and `wip` of the line.
    """
    reader = _Orders(parts, sources)
    starts = [view.date(row, "start") for view in views for row in view.rows]
    given = [start for start in starts if start is not None]
    reader.start = min(given) if given else None
    for view in views:
        if view.has("lot", "part", "start"):
            for row in view.rows:
                reader.row(view, row)
    reader.name_classes()
    return {"orders": reader.orders, "wip": reader.wip}


class _Orders:
    def __init__(self, parts: dict[str, Row], sources: SourceMap) -> None:
        self.parts, self.sources = parts, sources
        self.start: datetime | None = None
        self.classes: dict[tuple[str, float], str] = {}
        self.orders: dict[str, Row] = {}
        self.wip: list[Row] = []

    def row(self, view: View, row: int) -> None:
        """Read one row."""
        name, part = view.text(row, "lot"), view.text(row, "part")
        if part not in self.parts:
            hint = nearest(part, list(self.parts))
            view.report(row, f"part {part!r} is not in table part", hint, "reference")
            return
        view.one_of(row, "hotlot", "no", "reserving the next tool for a hot lot is not modelled")
        pieces = view.whole(row, "pieces", 1)
        if pieces is not None and self.parts[part].setdefault("pieces", pieces) != pieces:
            what = (
                f"a lot of {pieces} pieces, other lots of {part} have {self.parts[part]['pieces']}"
            )
            view.report(row, what, "declare a part for each size of lot", "not-modelled")
        start, due = view.date(row, "start"), view.date(row, "due")
        if start is not None and due is not None and due < start and not view.text(row, "curstep"):
            view.report(row, f"{name} is due before its start")
        priority = view.number(row, "prior")
        if view.text(row, "curstep"):
            self._lot(view, row, part, priority, start, due)
        elif view.text(row, "repeat"):
            self._release(view, row, name, part, priority, start, due)
        else:
            self._order(view, row, name, part, priority, start, due)

    def _release(
        self,
        view: View,
        row: int,
        name: str,
        part: str,
        priority: float | None,
        start: datetime | None,
        due: datetime | None,
    ) -> None:
        release: Row = {"every": view.drawn(row, "rdist", "repeat", "runits")}
        lots, times = view.whole(row, "lotsperrpt", 1) or 1, view.whole(row, "rpt#", 1)
        if lots > 1:
            release["lots"] = lots
        if times is not None:
            release["limit"] = times * lots
        if start is not None and self.start is not None and start > self.start:
            release["first"] = _days((start - self.start).total_seconds())
        if priority is not None:
            release["priority"] = priority
            self.classes.setdefault((part, priority), name)
        if start is not None and due is not None:
            release["due"] = _days((due - start).total_seconds())
        releases = self.parts[part].setdefault("releases", {})
        if name in releases:
            view.report(row, f"release {name!r} stands twice", code="duplicate-key")
            return
        releases[name] = release
        path = ("products", part, "releases", name)
        self.sources.add_line(path, view.table.file, view.table.lines[row])

    def _lot(
        self,
        view: View,
        row: int,
        part: str,
        priority: float | None,
        start: datetime | None,
        due: datetime | None,
    ) -> None:
        step = view.text(row, "curstep")
        steps = [known["name"] for known in self.parts[part].get("route", ())]
        if step not in steps:
            hint = nearest(step, steps)
            view.report(row, f"CURSTEP {step!r} is no step of {part}", hint, "reference")
            return
        lot: Row = {"product": part, "step": step}
        if priority is not None:
            lot["priority"] = priority
        if due is not None:
            lot["due"] = due.isoformat(sep=" ")
        if start is not None and self.start is not None and start > self.start:
            view.report(
                row, "a lot that is in the line has its START later than others", "", "date"
            )
        self.sources.add_line(("wip", len(self.wip)), view.table.file, view.table.lines[row])
        self.wip.append(lot)

    def _order(
        self,
        view: View,
        row: int,
        name: str,
        part: str,
        priority: float | None,
        start: datetime | None,
        due: datetime | None,
    ) -> None:
        if due is None:
            view.report(row, f"order {name} has no DUE", "give the due date")
            return
        if name in self.orders:
            view.report(row, f"order {name!r} stands twice", code="duplicate-key")
            return
        order: Row = {"product": part, "due": due.isoformat(sep=" ")}
        if start is not None:
            order["release"] = start.isoformat(sep=" ")
        if priority is not None:
            order["priority"] = priority
        self.orders[name] = order
        self.sources.add_line(("orders", name), view.table.file, view.table.lines[row])

    def name_classes(self) -> None:
        """Initial lots belong to the release of their part and priority."""
        for lot in self.wip:
            name = self.classes.get((lot["product"], lot.get("priority", 10.0)))
            if name is not None:
                lot["lot_class"] = name


def _days(seconds: float) -> str:
    """A duration in days, exactly if it is a whole number of minutes."""
    minutes = seconds / SECONDS["min"]
    return f"{minutes:.12g} min" if minutes == int(minutes) else f"{seconds:.12g} s"
