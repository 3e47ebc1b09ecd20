"""AutoSched-style tables, row by row: cells as text, numbers, durations and distributions.

A cell that begins with `~` starts a comment that ends with its row, as in AutoSched AP's model
files. Distributions are `constant` (value), `exponential` (mean) and `uniform` (mean and half of
the range); the half range is what reproduces the published reference runs of SMT2020 (Kopp et al.,
IEEE Transactions on Semiconductor Manufacturing 33(4), 2020, doi 10.1109/TSM.2020.3001933).
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

from firsttoken.twin.findings import Finding, Findings, Place, Severity
from firsttoken.twin.slots import nearest
from firsttoken.twin.tables import Table

UNITS: Final = {
    "sec": "s",
    "s": "s",
    "min": "min",
    "hr": "hour",
    "hour": "hour",
    "day": "day",
    "week": "week",
}
"""AutoSched's time units as a twin writes them."""

SECONDS: Final = {"s": 1.0, "min": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}

_DATES = ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%m/%d/%y", "%Y-%m-%d")


class View:
    """One table as its reader sees it.

    Parameters
    ----------
    used : columns that are read, folded and separated by blanks.
    ignored : columns that say nothing the model needs; others are reported.
    """

    def __init__(self, table: Table, findings: Findings, used: str, ignored: str = "") -> None:
        self.table, self.findings = table, findings
        known = {*used.split(), *ignored.split(), "ignore"}
        for column, title in table.headers.items():
            if column not in known and not title.startswith("~"):
                self.report(
                    -1,
                    f"column {title!r} is not used",
                    nearest(column, sorted(known)),
                    "not-used",
                    "warning",
                )
        self._cells = _without_comments(table)
        self.rows = [row for row in range(len(table)) if self._filled(row)]

    def _filled(self, row: int) -> bool:
        return any(column[row] is not None for column in self._cells.values())

    def has(self, *columns: str) -> bool:
        """Whether all columns stand in the table; each that does not is reported."""
        missing = [column for column in columns if column not in self._cells]
        for column in missing:
            self.report(-1, f"column {column.upper()} is missing", code="table-column")
        return not missing

    def place(self, row: int) -> Place:
        """Where a row stands."""
        return self.table.place(row)

    def report(
        self,
        row: int,
        what: str,
        hint: str = "",
        code: str = "table-cell",
        severity: Severity = "error",
    ) -> None:
        """Add a finding about a row; -1 is the header."""
        self.findings.add(Finding(what, "", hint, "", code, severity, self.place(row)))

    def text(self, row: int, column: str) -> str:
        """A cell as text; empty if it is blank."""
        cells = self._cells.get(column)
        cell = None if cells is None else cells[row]
        if cell is None:
            return ""
        if isinstance(cell, float) and cell.is_integer():
            return str(int(cell))
        return str(cell)

    def number(self, row: int, column: str, at_least: float = 0.0) -> float | None:
        """A cell as a number; None if it is blank, or wrong and reported."""
        text = self.text(row, column)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < at_least:
            want = "a number" if math.isnan(number) else f"a number of at least {at_least:g}"
            self.report(row, f"{column.upper()} {text!r} is not {want}")
            return None
        return number

    def whole(self, row: int, column: str, at_least: int = 0) -> int | None:
        """A cell as a whole number; None if it is blank, or wrong and reported."""
        number = self.number(row, column, at_least)
        if number is None or number == int(number):
            return None if number is None else int(number)
        self.report(row, f"{column.upper()} {self.text(row, column)!r} is not a whole number")
        return None

    def one_of(self, row: int, column: str, known: str, why: str = "") -> str:
        """A cell that must be blank or one of the known words; another is reported."""
        text = self.text(row, column)
        if not text or text in known.split():
            return text
        what = f"{column.upper()} {text!r} cannot be expressed"
        self.report(row, what, why or f"known are {known.replace(' ', ', ')}", "not-modelled")
        return ""

    def duration(self, row: int, column: str, units: str, at_least: float = 0.0) -> str | None:
        """A duration as a twin writes it: `51.69 min`."""
        number, unit = self.number(row, column, at_least), self._unit(row, column, units)
        return None if number is None or unit is None else f"{number:.12g} {unit}"

    def drawn(
        self, row: int, kind: str, mean: str, units: str, spread: str = "", default: str = ""
    ) -> str | None:
        """A distribution as a twin writes it: `uniform(476, 526) min`.

        Parameters
        ----------
        kind, mean, units, spread : names of the columns.
        default : kind if that cell is blank.
        """
        value, unit = self.number(row, mean), self._unit(row, mean, units)
        if value is None or unit is None:
            return None
        word = self.text(row, kind) or default or "constant"
        if word == "constant":
            return f"{value:.12g} {unit}"
        if word == "exponential":
            return f"exponential({value:.12g}) {unit}" if value else f"0 {unit}"
        if word == "uniform":
            half = (self.number(row, spread) or 0.0) if spread else 0.0
            if half > value:
                self.report(row, f"{spread.upper()} {half:g} is more than {mean.upper()} {value:g}")
                return None
            low, high = value - half, value + half
            return f"uniform({low:.12g}, {high:.12g}) {unit}" if half else f"{value:.12g} {unit}"
        self.report(
            row,
            f"distribution {word!r} cannot be expressed",
            "constant, exponential or uniform",
            "not-modelled",
        )
        return None

    def date(self, row: int, column: str) -> datetime | None:
        """A cell as a date; None if it is blank, or wrong and reported."""
        cells = self._cells.get(column)
        cell: Any = None if cells is None else cells[row]
        if isinstance(cell, datetime) or cell is None:
            return cell
        for form in _DATES:
            try:
                return datetime.strptime(str(cell), form)
            except ValueError:
                continue
        self.report(row, f"{column.upper()} {cell!r} is not a date", "write 02/23/18 20:07:47")
        return None

    def _unit(self, row: int, column: str, units: str) -> str | None:
        text = self.text(row, units)
        if not self.text(row, column):
            return None
        if text in UNITS:
            return UNITS[text]
        what = f"{units.upper()} {text!r} is no unit of time" if text else f"{units.upper()} lacks"
        self.report(row, what, "min, hr or day")
        return None


def _without_comments(table: Table) -> dict[str, list[Any]]:
    """The cells with every `~` comment blanked to the end of its row."""
    cells = {name: list(column) for name, column in table.columns.items()}
    columns = list(cells.values())
    for row in range(len(table)):
        for index, column in enumerate(columns):
            if isinstance(column[row], str) and column[row].startswith("~"):
                for later in columns[index:]:
                    later[row] = None
                break
    return cells
