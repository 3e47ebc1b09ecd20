"""Files of schedules as tables: XML elements, and Primavera's XER text.

What the tables and columns mean is for the room that reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.tables import Table, fold_column, fold_name

SIZE_LIMIT: Final = 1 << 27
"""Most bytes of a file that are read."""

DEPTH_LIMIT: Final = 64
"""Deepest nesting of XML elements that is read."""

PARENT: Final = "^"
"""Column of an XML table: (table, row) of the element around, None for the root."""

Cells = dict[str, Any]


def _report(findings: Findings, path: Path, line: int, what: str, why: str, hint: str) -> None:
    place = Place(str(path), line)
    findings.add(Finding(what, why, hint, code="schedule-file", place=place))


def _content(path: Path, findings: Findings) -> bytes | None:
    """The file's bytes; None, and a finding, if there are too many."""
    try:
        size = path.stat().st_size
        if size <= SIZE_LIMIT:
            return path.read_bytes()
    except OSError as error:
        _report(findings, path, 0, f"cannot read {path.name}", error.strerror or "", "")
        return None
    limit = f"at most {SIZE_LIMIT >> 20} MiB are read"
    _report(findings, path, 0, f"{path.name} has {size >> 20} MiB", limit, "export less of it")
    return None


class _RefusedError(Exception):
    """The file has something that is not read, at the parser's place."""


class _Elements:
    """Collects the elements of an XML file by name while it is parsed."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.parser = parser
        self.rows: dict[str, list[Cells]] = {}
        self.titles: dict[str, dict[str, str]] = {}
        self.lines: dict[str, list[int]] = {}
        self.stack: list[tuple[str, int, tuple[str, int] | None]] = []
        self.text: list[str] = []
        self.root = ""
        self.repeated: dict[str, int] = {}

    def start(self, name: str, _: dict[str, str]) -> None:
        """An element begins: the one around it is a row."""
        if len(self.stack) >= DEPTH_LIMIT:
            raise _RefusedError(f"elements are nested more than {DEPTH_LIMIT} deep")
        tag = name.rpartition(" ")[2]
        self.root = self.root or name
        self._become_row()
        around = self.stack[-1][2] if self.stack else None
        self.stack.append((tag, self.parser.CurrentLineNumber, None))
        if around is None and len(self.stack) == 1:
            self._become_row()
        self.text.clear()

    def _become_row(self) -> None:
        """Give the innermost element a row if it has none: it has elements inside."""
        if not self.stack or self.stack[-1][2] is not None:
            return
        tag, line, _ = self.stack[-1]
        table = fold_name(tag)
        rows = self.rows.setdefault(table, [])
        around = self.stack[-2][2] if len(self.stack) > 1 else None
        rows.append({PARENT: around})
        self.lines.setdefault(table, []).append(line)
        self.stack[-1] = (tag, line, (table, len(rows) - 1))

    def characters(self, data: str) -> None:
        """Text of an element."""
        self.text.append(data)

    def end(self, _: str) -> None:
        """An element ends: one without elements inside is a cell of the one around."""
        tag, line, own = self.stack.pop()
        if own is None and self.stack:
            row = self.stack[-1][2]
            assert row is not None
            cells, column = self.rows[row[0]][row[1]], fold_column(tag)
            if column in cells:
                self.repeated.setdefault(tag, line)
            else:
                cells[column] = "".join(self.text).strip() or None
                self.titles.setdefault(row[0], {})[column] = tag
        self.text.clear()

    def doctype(self, *_: object) -> None:
        """A document type could define entities that grow without end, or name other files."""
        raise _RefusedError("it has a document type, which is not read")

    def tables(self, path: Path) -> list[Table]:
        """The elements as tables, in the order of their first appearance."""
        found = []
        for name, rows in self.rows.items():
            names = [PARENT, *self.titles.get(name, {})]
            columns = {column: [row.get(column) for row in rows] for column in names}
            headers = {PARENT: PARENT, **self.titles.get(name, {})}
            found.append(Table(name, str(path), columns, headers, self.lines[name]))
        return found


def read_xml(path: Path, findings: Findings) -> list[Table]:
    """Read an XML file as tables, one for each name of elements with elements inside.

    Elements without any inside are the cells of the one around; the column `PARENT` says which row
    of which table is around. A document type (and so any entity) is refused; attributes are not
    read. The table of the root is the first; its headers hold no namespace.
    """
    content = _content(path, findings)
    if content is None:
        return []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    elements = _Elements(parser)
    parser.StartElementHandler = elements.start
    parser.EndElementHandler = elements.end
    parser.CharacterDataHandler = elements.characters
    parser.StartDoctypeDeclHandler = elements.doctype
    try:
        parser.Parse(content, True)
    except _RefusedError as error:
        line = parser.CurrentLineNumber
        _report(findings, path, line, f"{path.name}: {error}", "", "export it again as plain XML")
        return []
    except expat.ExpatError as error:
        what = f"{path.name} is not XML: {expat.errors.messages[error.code]}"
        _report(findings, path, error.lineno, what, "", "export it again")
        return []
    for tag, line in elements.repeated.items():
        what = f"<{tag}> stands more than once in one element"
        finding = Finding(what, "only the first is read", code="schedule-file", severity="warning")
        findings.add(_at(finding, Place(str(path), line)))
    return elements.tables(path)


def _at(finding: Finding, place: Place) -> Finding:
    from dataclasses import replace

    return replace(finding, place=place)


def read_xer(path: Path, findings: Findings) -> list[Table]:
    """Read a Primavera XER file: lines `%T` name a table, `%F` its fields, `%R` are rows.

    The text is UTF-8 if it is valid as such, else Windows-1252. A line that begins with none of
    the marks goes on with the last cell of the row above.
    """
    content = _content(path, findings)
    if content is None:
        return []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[0].startswith("ERMHDR"):
        what = f"{path.name} does not begin with ERMHDR"
        _report(findings, path, 1, what, "it is no XER file", "export it from Primavera P6 as XER")
        return []
    tables: list[_XerTable] = []
    for number, line in enumerate(lines[1:], 2):
        mark, _, rest = line.partition("\t")
        if mark == "%T":
            tables.append(_XerTable(rest.strip(), number))
        elif mark == "%E":
            break
        elif mark in ("%F", "%R") and tables:
            problem = tables[-1].fields(rest) if mark == "%F" else tables[-1].row(rest, number)
            if problem:
                hint = "export the file again"
                _report(findings, path, number, f"{tables[-1].name}: {problem}", "", hint)
        elif line.strip() and tables:
            tables[-1].go_on(line)
    else:
        what = f"{path.name} ends without %E"
        _report(findings, path, len(lines), what, "it is cut off", "export the file again")
    return [table.table(path) for table in tables]


class _XerTable:
    """One table of an XER file while it is read."""

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line
        self.titles: list[str] = []
        self.rows: list[list[str]] = []
        self.lines: list[int] = []

    def fields(self, rest: str) -> str:
        """Take the names of the fields; returns what is wrong with them."""
        self.titles = [title.strip() for title in rest.split("\t")]
        return "a field stands twice" if len(set(self.titles)) < len(self.titles) else ""

    def row(self, rest: str, line: int) -> str:
        """Take a row; returns what is wrong with it. Empty cells at the end may be left out."""
        cells = rest.split("\t")
        missing = len(self.titles) - len(cells)
        if missing < 0 and any(cells[len(self.titles) :]):
            return f"the row has {len(cells)} cells, there are {len(self.titles)} fields"
        self.rows.append([*cells[: len(self.titles)], *[""] * missing])
        self.lines.append(line)
        return ""

    def go_on(self, line: str) -> None:
        """Add a line to the last cell."""
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += "\n" + line

    def table(self, path: Path) -> Table:
        """As a table."""
        columns: dict[str, list[Any]] = {
            fold_column(title): [row[index].strip() or None for row in self.rows]
            for index, title in enumerate(self.titles)
        }
        headers = {fold_column(title): title for title in self.titles}
        return Table(fold_name(self.name), str(path), columns, headers, self.lines)
