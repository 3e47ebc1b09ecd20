"""FrePPLe's tables and columns: which of them a supply network reads, and which it cannot.

The names are those of frePPLe's data exchange pages (https://frepple.com/docs/current/,
"Model reference"). A column is read, informative (a warning says that it is not used), or
refused: it would change the plan, so that ignoring it would be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from firsttoken.twin.findings import Finding, Findings, Severity
from firsttoken.twin.slots import nearest
from firsttoken.twin.tables import Table

_RANGE_SUFFIXES = {
    "low": "low",
    "high": "high",
    "dist": "dist",
    "source": "source",
    "asof": "as_of",
}
_EVERYWHERE = "category subcategory owner source lastmodified id"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"

_ALIASES = {
    "durationperunit": "durationper",
    "effectivestart": "start",
    "effectiveend": "end",
    "startdate": "start",
    "enddate": "end",
    "minimumshipment": "minshipment",
    "maximumlateness": "maxlateness",
    "deliveryoperation": "operation",
    "defaultvalue": "default",
    "efficiency%": "efficiency",
    "onhandquantity": "onhand",
    "safetystock": "minimum",
    "searchmode": "search",
    "releasefence": "fence",
    "postoperationtime": "posttime",
    "fixedquantity": "quantityfixed",
    "resourcequantity": "resourceqty",
    "setupmatrix": "setupmatrix",
    "origin": "origin",
    "shippinglocation": "origin",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table, names squashed (`sizeminimum`) and separated by blanks.

    Attributes
    ----------
    required, text : read as they are; required ones must be there.
    numbers : read as quantities; each may have `_low`, `_high`, `_dist`, `_source`, `_asof`.
    informative : not used, and said so.
    refused : column -> why the network cannot express it.
    """

    required: str
    text: str = ""
    numbers: str = ""
    informative: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)

    def known(self) -> set[str]:
        """All squashed names."""
        words = f"{self.required} {self.text} {self.numbers} {self.informative} {_EVERYWHERE}"
        return {*words.split(), *self.refused}


_LOTS = "lots of limited size are not modelled: flows are continuous between lot_minimum and none"
_ALTERNATE = "alternates are separate operations or resources: declare one operation for each"
_FENCE = "time fences are not modelled"
_BATCH = "batches (make to order) are not modelled"

TABLES: Mapping[str, Columns] = {
    "item": Columns(
        "name",
        "description type uom unit",
        "cost value holdingcost",
        "volume weight periodofcover latedemandcount latedemandquantity demandpattern",
    ),
    "location": Columns("name", "description country available"),
    "buffer": Columns(
        "item location",
        "name description type",
        "onhand minimum maximum basestock",
        "cost",
        {
            "minimumcalendar": "a safety stock that changes is written as a series in 'minimum'",
            "maximumcalendar": "a limit that changes is written as a series in 'maximum'",
            "batch": _BATCH,
            "mininterval": "replenishment intervals are not modelled",
        },
    ),
    "operation": Columns(
        "name",
        "description type item location start end available stage owner",
        "duration durationper sizeminimum sizemultiple sizemaximum cost priority yield energy",
        "search batchwindow",
        {
            "fence": _FENCE,
            "posttime": "post-operation time is lead time: add it to 'duration'",
            "batch": _BATCH,
            "sizeminimumcalendar": _LOTS,
        },
    ),
    "operationmaterial": Columns(
        "operation item quantity",
        "type",
        "quantity",
        "description priority search location",
        {
            "quantityfixed": "an amount per lot has no place in a flow: give it per unit",
            "name": _ALTERNATE,
            "offset": "offsets within an operation are not modelled",
            "transferbatch": "transfer batches are not modelled",
            "start": "a bill of materials that changes is written as a series in 'quantity'",
            "end": "a bill of materials that changes is written as a series in 'quantity'",
        },
    ),
    "resource": Columns(
        "name",
        "description type location maximumcalendar available constrained stage owner",
        "maximum efficiency cost",
        "maxearly loadfactor",
        {
            "efficiencycalendar": "an efficiency that changes is written as a series",
            "setup": "set-ups are not modelled",
            "setupmatrix": "set-up matrices are not modelled",
            "tool": "tools that move with an order are not modelled",
            "toolperpiece": "tools that move with an order are not modelled",
        },
    ),
    "operationresource": Columns(
        "operation resource",
        "",
        "quantity",
        "description priority search",
        {
            "skill": "skills are not modelled: name the resource itself",
            "setup": "set-ups are not modelled",
            "name": _ALTERNATE,
            "quantityfixed": "an amount per lot has no place in a flow: give it per unit",
            "start": "resources that change over time are separate operations",
            "end": "resources that change over time are separate operations",
        },
    ),
    "supplier": Columns("name", "description country", refused={"available": "not modelled"}),
    "itemsupplier": Columns(
        "supplier item",
        "description location resource start end stage",
        "leadtime sizeminimum sizemultiple sizemaximum cost priority resourceqty",
        "batchwindow",
        {
            "fence": _FENCE,
            "hardsafetyleadtime": "safety lead time is lead time: add it to 'lead time'",
            "extrasafetyleadtime": "safety lead time is lead time: add it to 'lead time'",
        },
    ),
    "itemdistribution": Columns(
        "item location origin",
        "description resource start end stage",
        "leadtime sizeminimum sizemultiple sizemaximum cost priority resourceqty",
        "batchwindow",
        {"fence": _FENCE},
    ),
    "demand": Columns(
        "name item due quantity",
        "description customer location status",
        "quantity priority minshipment price",
        "planneddate delay deliverydate plannedquantity",
        {
            "maxlateness": "a demand is lost at once or waits: use 'lost' in the twin",
            "operation": "a delivery operation is an operation that makes the item that is sold",
            "batch": _BATCH,
            "policy": "orders are delivered as they become available",
        },
    ),
    "calendar": Columns("name", "description", "default"),
    "calendarbucket": Columns(
        "calendar value", f"start end priority starttime endtime {_DAYS}", "value"
    ),
}

RENAMED = {"salesorder": "demand", "salesorders": "demand", "purchaseorders": "purchaseorder"}

INFORMATIVE_TABLES = {
    "customer": "customers are the names in 'demand'",
    "parameter": "settings belong to the twin's header",
    "suppliercategory": "",
}
REFUSED_TABLES = {
    "skill": "skills are not modelled: name the resource itself",
    "resourceskill": "skills are not modelled: name the resource itself",
    "setupmatrix": "set-up matrices are not modelled",
    "setuprule": "set-up matrices are not modelled",
    "suboperation": "routings are not modelled: chain operations by intermediate items",
    "operationdependency": "dependencies are not modelled: chain operations by intermediate items",
}
ORDER_TABLES = ("manufacturingorder", "purchaseorder", "distributionorder", "operationplan")
"""Orders that a plan proposed; those already released are not modelled."""

_CLOCK = re.compile(r"(?:(\d+) +)?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


class View:
    """One table as its room sees it: known columns only, cells read as quantities."""

    def __init__(self, name: str, table: Table, findings: Findings) -> None:
        self.name, self.table, self.findings = name, table, findings
        self.columns = TABLES[name]
        self.cells: dict[str, list[Any]] = {}
        self.ranges: dict[str, dict[str, list[Any]]] = {}
        self._match()
        self.lines = table.lines
        missing = [c for c in self.columns.required.split() if c not in self.cells]
        for column in missing:
            self.report(-1, f"table {name} has no column {column!r}", code="table-column")
        self.complete = not missing

    def __len__(self) -> int:
        return len(self.table)

    def report(
        self,
        row: int,
        what: str,
        hint: str = "",
        code: str = "table-cell",
        severity: Severity = "error",
    ) -> None:
        """Add a finding about a row; -1 is the header."""
        place = self.table.place(row)
        self.findings.add(Finding(what, "", hint, "", code, severity, place))

    def text(self, column: str) -> list[str]:
        """Cells as text; blank ones are empty."""
        cells = self.cells.get(column)
        if cells is None:
            return [""] * len(self)
        return [cell if type(cell) is str else _as_text(cell) for cell in cells]

    def has(self, column: str) -> bool:
        """Whether any cell of the column is filled."""
        return any(cell is not None for cell in self.cells.get(column, ()))

    def quantities(self, column: str, unit: str, sign: float = 1.0) -> list[Any]:
        """Cells as the twin writes quantities; None where blank.

        Parameters
        ----------
        unit : unit of a bare number; `s` also reads `HH:MM:SS` and `D HH:MM:SS`.
        sign : factor on bare numbers.
        """
        cells = self.cells.get(column)
        if cells is None and column not in self.ranges:
            return [None] * len(self)
        values = [None] * len(self) if cells is None else _plain(cells, unit, sign)
        if column in self.ranges:
            self._join_ranges(values, self.ranges[column], unit, sign)
        return values

    def dates(self, column: str) -> list[Any]:
        """Cells as dates in text; None where blank."""
        cells = self.cells.get(column)
        if cells is None:
            return [None] * len(self)
        return [None if cell is None else _as_date(cell) for cell in cells]

    def integers(self, column: str, default: int) -> list[int]:
        """Cells as whole numbers; what is none is reported."""
        found = []
        for row, cell in enumerate(self.cells.get(column) or [None] * len(self)):
            try:
                number = default if cell is None else float(cell)
                if number != int(number):
                    raise ValueError
                found.append(int(number))
            except (TypeError, ValueError, OverflowError):
                self.report(row, f"{column}: {cell!r} is not a whole number")
                found.append(default)
        return found

    def _match(self) -> None:
        known = self.columns.known()
        numbers = set(self.columns.numbers.split())
        squashed_aliases = {alias: name for alias, name in _ALIASES.items() if name in known}
        for folded, cells in self.table.columns.items():
            squashed = folded.replace("_", "")
            name = squashed if squashed in known else squashed_aliases.get(squashed, squashed)
            if name in known:
                self._take(name, cells, self.table.headers[folded])
                continue
            for suffix, part in _RANGE_SUFFIXES.items():
                stem = squashed.removesuffix(suffix)
                stem = squashed_aliases.get(stem, stem)
                if squashed.endswith(suffix) and stem in numbers:
                    self.ranges.setdefault(stem, {})[part] = cells
                    break
            else:
                hint = nearest(squashed, sorted(known))
                title = self.table.headers[folded]
                what = f"table {self.name}: unknown column {title!r}"
                self.report(-1, what, hint, "table-column")

    def _take(self, name: str, cells: list[Any], title: str) -> None:
        if name in self.cells:
            self.report(-1, f"column {title!r} means {name!r}, which stands already", "remove one")
            return
        if name in self.columns.refused:
            for row, cell in enumerate(cells):
                if cell is not None and cell != 0 and cell != "0":
                    what = f"table {self.name}: {title} {_as_text(cell)!r} cannot be expressed"
                    self.report(row, what, self.columns.refused[name], "not-modelled")
            return
        read = f"{self.columns.required} {self.columns.text} {self.columns.numbers}".split()
        if name not in read:
            if any(cell is not None for cell in cells) and name not in ("id", "lastmodified"):
                what = f"table {self.name}: column {title!r} is not used"
                self.report(-1, what, "it is informative only", "not-used", "warning")
            return
        self.cells[name] = cells

    def _join_ranges(
        self, values: list[Any], ranges: Mapping[str, list[Any]], unit: str, sign: float
    ) -> None:
        parts = {
            part: _plain(cells, unit, sign)
            if part in ("low", "high")
            else [None if cell is None else _as_text(cell) for cell in cells]
            for part, cells in ranges.items()
        }
        for row, value in enumerate(values):
            given = {part: cells[row] for part, cells in parts.items() if cells[row] is not None}
            if not given:
                continue
            if sign < 0 and ("low" in given or "high" in given):
                swapped = {"low": given.pop("high", None), "high": given.pop("low", None)}
                given |= {part: cell for part, cell in swapped.items() if cell is not None}
            if value is not None:
                given["value"] = value
            values[row] = given


def _plain(cells: Sequence[Any], unit: str, sign: float) -> list[Any]:
    """Cells as quantities; equal cells share one."""
    read: dict[Any, Any] = {None: None}
    for cell in set(cells):
        if cell is not None:
            read[cell] = _quantity(cell, unit, sign)
    return [read[cell] for cell in cells]


def _quantity(cell: Any, unit: str, sign: float) -> Any:
    if isinstance(cell, bool):
        return cell
    if unit == "s":
        seconds = _clock(cell)
        if seconds is not None:
            return f"{seconds * sign!r} s"
    try:
        number = float(cell) * sign
    except (TypeError, ValueError):
        return _as_text(cell)  # with a unit, or a distribution, or wrong: the grammar says
    if unit == "percent":
        return number / 100
    return f"{number!r} {unit}" if unit else number


def _clock(cell: Any) -> float | None:
    """Seconds of a time of day, a timedelta, `HH:MM:SS` or `D HH:MM:SS`."""
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, time):
        return cell.hour * 3600.0 + cell.minute * 60.0 + cell.second + cell.microsecond / 1e6
    match = _CLOCK.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)


def clock_seconds(cell: Any) -> float | None:
    """Seconds since midnight of a time of day in a table; None if it is none."""
    return _clock(cell)


def _as_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _as_date(cell: Any) -> str:
    if isinstance(cell, datetime):
        if cell.time() == time():
            return cell.date().isoformat()
        return cell.replace(microsecond=0).isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date) else _as_text(cell)


def number_of(value: object, unit: str = "") -> float | None:
    """The number in a plain quantity (`3600.0 s`, `2.5`); None if it is anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and unit and value.endswith(f" {unit}"):
        try:
            return float(value[: -len(unit) - 1])
        except ValueError:
            return None
    return None


def views(tables: Mapping[str, Table], findings: Findings) -> dict[str, View]:
    """The tables that a network reads; the others are reported."""
    found: dict[str, View] = {}
    for name, table in tables.items():
        name = RENAMED.get(name, name)
        if name in TABLES:
            view = View(name, table, findings)
            if view.complete:
                found[name] = view
        else:
            _report_table(name, table, findings)
    return found


def _report_table(name: str, table: Table, findings: Findings) -> None:
    def report(what: str, hint: str, code: str, severity: Severity = "error") -> None:
        findings.add(Finding(what, "", hint, "", code, severity, table.place(-1)))

    if not len(table):
        return
    if name in INFORMATIVE_TABLES:
        report(f"table {name} is not used", INFORMATIVE_TABLES[name], "not-used", "warning")
    elif name in ORDER_TABLES:
        states = {str(cell) for cell in table.columns.get("status", ["unknown"])}
        released = states - {"proposed", "closed", "canceled", "completed"}
        what = f"table {name}: orders that are {', '.join(sorted(released))} cannot be expressed"
        if released:
            report(what, "count what is under way as 'onhand' of its buffer", "not-modelled")
        else:
            report(
                f"table {name} is not used",
                "proposed orders are planned anew",
                "not-used",
                "warning",
            )
    elif name in REFUSED_TABLES:
        report(f"table {name} cannot be expressed", REFUSED_TABLES[name], "not-modelled")
    else:
        known: Iterable[str] = [*TABLES, *INFORMATIVE_TABLES, *REFUSED_TABLES, *ORDER_TABLES]
        report(f"unknown table {name!r}", nearest(name, list(known)), "table-unknown")
