"""Tables beside a twin: a folder of text tables or an XLSX workbook, read column by column.

A file (sheet) is one table; its first row names the columns. Text tables are CSV files or, in a
folder without any, tab-separated ones. What the tables and columns mean is for the room that
reads them.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from firsttoken.twin.findings import Finding, Findings, MissingExtraError, Place

UNPACKED_LIMIT = 1 << 30
"""Most bytes that a workbook may unpack to."""

TABBED = ("*.txt", "*.tsv", "*.asd", "*.txt.1l")
"""Names of tab-separated tables; the table's name ends at the first dot."""

_WORD_BREAK = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes
    ----------
    name : folded name: `Operation Material` is `operationmaterial`.
    file : the file it was read from, with the sheet's name for a workbook.
    columns : cells by folded column name (`Duration per` is `duration_per`); each a list of
        one cell a row: text (stripped), number, bool, date, time or timedelta; None is blank.
    headers : column names as written, by folded name.
    lines : line (row of the sheet) of each row, counted from 1.
    """

    name: str
    file: str
    columns: Mapping[str, list[Any]]
    headers: Mapping[str, str]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> Place:
        """Where a row stands; row -1 is the header."""
        return Place(self.file, self.lines[row] if row >= 0 else 1)


def fold_name(name: str) -> str:
    """A table's name without case, spaces and underscores."""
    return _WORD_BREAK.sub("", name.strip().casefold())


def fold_column(name: str) -> str:
    """A column's name without case, words joined by underscores."""
    return _WORD_BREAK.sub("_", name.strip().casefold()).strip("_")


def read_tables(path: Path, findings: Findings) -> dict[str, Table]:
    """Read all tables of a folder of CSV or tab-separated files, a workbook or a schedule.

    Returns
    -------
    tables by folded name; those that cannot be read are left out and reported.

    Raises
    ------
    MissingExtraError
        For a workbook, if python-calamine is not installed.
    """
    if path.is_dir():
        tables = [_csv(file, findings) for file in sorted(path.glob("*.csv"))]
        if not tables:
            tabbed = sorted(file for form in TABBED for file in path.glob(form) if file.is_file())
            tables = [_csv(file, findings, tabs=True) for file in tabbed]
        if not tables:
            what = "the folder holds no CSV or tab-separated file"
            _report(findings, str(path), 0, what, "one file a table")
    elif not path.is_file():
        _report(findings, str(path), 0, "cannot read the tables", "it does not exist", code="file")
        tables = []
    elif path.suffix.casefold() in (".xlsx", ".xlsm", ".xls", ".ods"):
        tables = _workbook(path, findings)
    elif path.suffix.casefold() in (".xml", ".xer"):
        tables = _schedule(path, findings)
    else:
        _report(
            findings,
            str(path),
            0,
            f"cannot read tables from {path.name}",
            "tables are a folder of CSV or tab-separated files or an XLSX workbook, "
            "a schedule is an XML or XER file",
            code="file",
        )
        tables = []
    found: dict[str, Table] = {}
    for table in tables:
        if table is None:
            continue
        if table.name in found:
            _report(
                findings,
                table.file,
                1,
                f"table {table.name!r} is given twice",
                f"it also stands in {found[table.name].file}",
                code="table-duplicate",
            )
            continue
        found[table.name] = table
    return found


def read_csv(path: Path, findings: Findings) -> Table | None:
    """Read one CSV file (UTF-8, separated by commas or semicolons)."""
    return _csv(path, findings)


def _report(
    findings: Findings,
    file: str,
    line: int,
    what: str,
    why: str = "",
    hint: str = "",
    code: str = "table",
) -> None:
    findings.add(Finding(what, why, hint, code=code, place=Place(file, line)))


def _csv(path: Path, findings: Findings, tabs: bool = False) -> Table | None:
    try:
        raw = path.read_bytes()
        # Simulators of the Windows world write UTF-16, and say so in the first two bytes.
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        _report(
            findings, str(path), 0, f"cannot read {path.name}", error.strerror or "", "", "file"
        )
        return None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{raw[error.start]:02x} is not {error.encoding.upper()}"
        _report(findings, str(path), line, what, "", "save the file as UTF-8", "encoding")
        return None
    if tabs:
        return _tabbed(path, text, findings)
    header = text[: text.find("\n")] if "\n" in text else text
    comma = "," if header.count(",") >= header.count(";") else ";"
    reader = csv.reader(StringIO(text, newline=""), delimiter=comma, strict=True)
    rows: list[list[Any]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            rows.append(row)
            lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        _report(findings, str(path), line, f"the row cannot be read: {error}", "", "", "table-row")
    return _table(path.stem, str(path), rows, lines, findings)


def _tabbed(path: Path, text: str, findings: Findings) -> Table | None:
    """A tab-separated file: a row a line, no quotes; blank cells at its end may be left out."""
    rows: list[list[Any]] = [line.split("\t") for line in text.splitlines()]
    width = len(rows[0]) if rows else 0
    rows = [row + [""] * (width - len(row)) if row != [""] else row for row in rows]
    name = path.name.split(".")[0]
    return _table(name, str(path), rows, range(1, len(rows) + 1), findings)


def _schedule(path: Path, findings: Findings) -> list[Table | None]:
    from firsttoken.twin.schedule_files import read_xer, read_xml

    read = read_xer if path.suffix.casefold() == ".xer" else read_xml
    return list(read(path, findings))


def _workbook(path: Path, findings: Findings) -> list[Table | None]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise MissingExtraError("reading XLSX", "xlsx") from None
    file = str(path)
    hint = "save or copy the workbook again"
    try:
        if path.suffix.casefold() != ".xls":
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > UNPACKED_LIMIT:
                what = f"the workbook unpacks to {size >> 20} MiB"
                why = f"at most {UNPACKED_LIMIT >> 20} MiB are read"
                _report(findings, file, 0, what, why, "split it", "file-size")
                return []
        workbook = CalamineWorkbook.from_path(file)
        sheets = [
            (name, workbook.get_sheet_by_name(name).to_python(skip_empty_area=False))
            for name in workbook.sheet_names
        ]
    except zipfile.BadZipFile:
        why = "it is truncated or no workbook"
        _report(findings, file, 0, f"cannot read {path.name}", why, hint, "workbook")
        return []
    except (CalamineError, OSError, ValueError) as error:
        _report(findings, file, 0, f"cannot read {path.name}", str(error), hint, "workbook")
        return []
    tables: list[Table | None] = []
    for name, rows in sheets:
        lines = range(1, len(rows) + 1)
        tables.append(_table(name, f"{file}[{name}]", rows, lines, findings))
    return tables


def _table(
    name: str, file: str, rows: list[list[Any]], lines: Sequence[int], findings: Findings
) -> Table | None:
    while rows and not any(rows[0]):
        rows, lines = rows[1:], lines[1:]
    if not rows:
        _report(findings, file, 1, "the table is empty", "its first row names the columns")
        return None
    header = [str(cell).strip() for cell in rows[0]]
    while header and not header[-1]:
        header.pop()
    width = len(header)
    kept: list[Sequence[Any]] = []
    kept_lines: list[int] = []
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) == width:
            kept.append(row)
        elif any(row):
            kept.append(_fitted(row, width, file, line, findings))
        else:
            continue
        kept_lines.append(line)
    cells = [_cleaned(column) for column in zip(*kept, strict=True)] or [[] for _ in header]
    blank = {row for row in range(len(kept)) if not any(kept[row])}
    if blank:
        cells = [[cell for i, cell in enumerate(c) if i not in blank] for c in cells]
        kept_lines = [line for i, line in enumerate(kept_lines) if i not in blank]
    columns: dict[str, list[Any]] = {}
    headers: dict[str, str] = {}
    for title, column in zip(header, cells, strict=True):
        folded = fold_column(title)
        if not folded:
            if any(cell is not None for cell in column):
                what = "a column with cells has no name"
                _report(
                    findings, file, lines[0], what, "", "name it in the first row", "table-column"
                )
            continue
        if folded in columns:
            what = f"column {title!r} stands twice"
            _report(findings, file, lines[0], what, "", "remove one", "table-column")
            continue
        columns[folded], headers[folded] = column, title
    return Table(fold_name(name), file, columns, headers, kept_lines)


def _cleaned(column: Sequence[Any]) -> list[Any]:
    return [(cell.strip() or None) if type(cell) is str else cell for cell in column]


def _fitted(
    row: Sequence[Any], width: int, file: str, line: int, findings: Findings
) -> Sequence[Any]:
    """The row cut or padded to the header's width; cells too many or too few are reported."""
    if len(row) > width and not any(cell not in ("", None) for cell in row[width:]):
        return row[:width]
    what = f"the row has {len(row)} cells, the header {width}"
    hint = "put text that holds a comma in quotes" if len(row) > width else "add the missing cells"
    _report(findings, file, line, what, "", hint, "table-row")
    return [*row[:width], *[""] * (width - len(row))]
