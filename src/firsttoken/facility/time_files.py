"""Tables whose rows are moments: weather, prices, loads; CSV files, plain or compressed by xz.

A column may carry its unit in brackets, `dry_bulb (degF)` or `load [%]`; without one it has the
unit that the reader names.  Times are those of the site's clock (local standard time): ISO texts
such as `2026-07-01T13:00`, or seconds from the twin's start.
"""

from __future__ import annotations

import csv
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.grammar import ValueSyntaxError, slot_unit
from firsttoken.twin.slots import nearest

Floats = NDArray[np.float64]
LARGEST = 1 << 28
"""Most bytes that a file may unpack to."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?)?")
_ZONE = r"(Z|[+-]\d{2}:?\d{2})$"
_HEADER = re.compile(r"\s*([^\[(]*?)\s*(?:[\[(]\s*([^\])]*?)\s*[\])])?\s*")
_SPAN = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True)
class Column:
    """What a reader looks for.

    Attributes
    ----------
    names : folded headers that mean it, the preferred one first.
    unit : SI unit of the numbers that are given back.
    default : unit of numbers whose header names none.
    low, high : smallest and largest sound number in SI.
    """

    names: tuple[str, ...]
    unit: str
    default: str
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class TimeFile:
    """A table of numbers over time.

    Attributes
    ----------
    file : its name in findings.
    lines : line of each row, shape [n].
    time : seconds from 1970-01-01 by the site's clock, not descending, shape [n].
    columns : numbers in SI by the reader's names, NaN where a cell is blank, shape [n] each.
    """

    file: str
    lines: NDArray[np.int64]
    time: Floats
    columns: Mapping[str, Floats]


def read_text(path: Path, findings: Findings, at: str) -> str | None:
    """Text of a file, unpacked if its name ends in `.xz`; None, and a finding, if it cannot be."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".xz":
            unpack = lzma.LZMADecompressor()
            raw = unpack.decompress(raw, LARGEST)
            if not unpack.eof:
                raise lzma.LZMAError(f"it is truncated, or unpacks to more than {LARGEST >> 20} MB")
        return raw.decode("utf-8-sig", errors="strict" if path.suffix != ".epw" else "replace")
    except OSError as error:
        what, hint = error.strerror or "cannot be read", "names are relative to the twin's file"
    except lzma.LZMAError as error:
        what, hint = str(error), "pack it again: xz file.csv"
    except UnicodeDecodeError:
        what, hint = "it is not UTF-8", "save it as UTF-8"
    what = f"cannot read {path.name}: {what}"
    findings.add(Finding(what, "", hint, at, "file", place=Place(str(path))))
    return None


def read_rows(path: Path, findings: Findings, at: str) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows of a CSV file; rows of other lengths are reported."""
    text = read_text(path, findings, at)
    if text is None:
        return None
    first = text[: text.find("\n")] if "\n" in text else text
    separator = "," if first.count(",") >= first.count(";") else ";"
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        report(findings, path, 0, f"{path.name} is no CSV file: {error}", at=at)
        return None
    while rows and not any(rows[-1]):
        rows.pop()
    if len(rows) < 2:
        report(findings, path, 1, f"{path.name} has no rows", "the first row names columns", at=at)
        return None
    width = len(rows[0])
    for number, row in enumerate(rows[1:], 2):
        if len(row) != width:
            what = f"the row has {len(row)} cells, the header {width}"
            report(findings, path, number, what, at=at)
            return None
    return rows[0], rows[1:]


def report(
    findings: Findings,
    path: Path,
    line: int,
    what: str,
    why: str = "",
    hint: str = "",
    at: str = "",
    code: str = "time-file",
) -> None:
    """Add an error at a line of a file."""
    findings.add(Finding(what, why, hint, at, code, place=Place(str(path), line)))


def folded(title: str) -> tuple[str, str]:
    """Name and unit of a header: `Dry bulb (degF)` is `dry_bulb` in `degF`."""
    match = _HEADER.fullmatch(title)
    name, unit = (match[1], match[2] or "") if match else (title, "")
    return _SPAN.sub("_", name.casefold()).strip("_"), unit.replace("°", "deg")


def read_time_file(
    path: Path,
    wanted: Mapping[str, Column],
    start: float,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> TimeFile | None:
    """Read the columns `wanted` of a CSV file, those that it has.

    Parameters
    ----------
    start : twin's start in seconds from 1970-01-01, for times in seconds.
    utc_offset : site's clock minus UTC in s; None: not known.
    at : path of the field that names the file.

    Returns
    -------
    None, and findings, if the file cannot be read.
    """
    before = len(findings.errors)
    read = read_rows(path, findings, at)
    if read is None:
        return None
    header, rows = read
    titles = [folded(title) for title in header]
    cells = list(zip(*rows, strict=True))
    time = _time(path, titles, cells, start, utc_offset, findings, at)
    columns: dict[str, Floats] = {}
    for name, column in wanted.items():
        position = _position(titles, column.names)
        if position is not None:
            given = titles[position][1] or column.default
            columns[name] = numbers(path, cells[position], column, given, findings, at)
    if time is None or len(findings.errors) > before:
        return None
    lines = np.arange(2, len(rows) + 2)
    back = np.flatnonzero(np.diff(time) < 0)
    if back.size:
        row = int(back[0]) + 1
        what = f"time goes back from one row to the next: {rows[row - 1][0]}, {rows[row][0]}"
        report(findings, path, int(lines[row]), what, "rows ascend in time", "sort them", at)
        return None
    return TimeFile(str(path), lines, time, columns)


def find_missing(
    found: TimeFile, wanted: Sequence[str], path: Path, findings: Findings, at: str
) -> bool:
    """Report columns that a file must have and has not; whether there was one."""
    missing = [name for name in wanted if name not in found.columns]
    for name in missing:
        report(findings, path, 1, f"{path.name} has no column {name!r}", at=at)
    return bool(missing)


def _position(titles: Sequence[tuple[str, str]], names: Sequence[str]) -> int | None:
    for name in names:
        for position, (title, _) in enumerate(titles):
            if title == name:
                return position
    return None


_LOCAL = ("time", "datetime_local", "time_local", "local_time", "datetime", "timestamp", "date")
_UTC = ("datetime_utc", "time_utc", "utc")


def _time(
    path: Path,
    titles: Sequence[tuple[str, str]],
    cells: Sequence[Sequence[str]],
    start: float,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> Floats | None:
    """Times of all rows by the site's clock; UTC is moved by the offset where it is known."""
    local, utc = _position(titles, _LOCAL), _position(titles, _UTC)
    use_utc = utc is not None and (local is None or utc_offset is not None)
    position = utc if use_utc else local
    if position is None:
        known = ", ".join(title for title, _ in titles)
        hint = f"name a column `time`; {nearest('time', [title for title, _ in titles])}"
        report(findings, path, 1, f"{path.name} has no times, only {known}", "", hint, at)
        return None
    if use_utc and utc_offset is None:
        why = "its times are in UTC, and the site's clock is not known"
        hint = "give the site's utc_offset: -6 hour"
        report(findings, path, 1, f"{path.name} needs the site's clock", why, hint, at)
        return None
    found = moments(path, cells[position], start, findings, at)
    if found is not None and use_utc and utc_offset is not None:
        found = found + utc_offset
    return found


def moments(
    path: Path, cells: Sequence[str], start: float, findings: Findings, at: str
) -> Floats | None:
    """Seconds from 1970-01-01 of a column of times; offsets from UTC in it are left out.

    Parameters
    ----------
    start : twin's start in seconds from 1970-01-01, for times in seconds.

    Returns
    -------
    None, and a finding, if a cell is no time.
    """
    try:
        return np.array(cells, dtype=np.float64) + start
    except ValueError:
        pass
    texts = [re.sub(_ZONE, "", cell.strip()) for cell in cells]
    good = all(map(_MOMENT.fullmatch, texts))
    try:
        if good:
            return np.array(texts, dtype="datetime64[ms]").astype(np.float64) / 1e3
    except ValueError:
        pass
    number = next(line for line, text in enumerate(texts, 2) if not _is_moment(text))
    what = f"{cells[number - 2]!r} is no time"
    hint = "write 2026-07-01T13:00, or seconds from the twin's start in all rows"
    report(findings, path, number, what, "", hint, at)
    return None


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text)) and not np.isnat(np.array(text, "datetime64[ms]"))
    except ValueError:
        return False


def numbers(
    path: Path, cells: Sequence[str], column: Column, given: str, findings: Findings, at: str
) -> Floats:
    """Numbers of a column in SI; blank cells are NaN, others that are no number are reported."""
    empty: Floats = np.full(len(cells), np.nan)
    try:
        unit = slot_unit(given or "1", column.unit)
    except ValueSyntaxError as error:
        report(findings, path, 1, f"column {column.names[0]!r}: {error}", "", error.hint, at)
        return empty
    blank = ("", "nan", "na", "null", "-")
    filled = [cell if cell.strip().casefold() not in blank else "nan" for cell in cells]
    try:
        found = np.array(filled, dtype=np.float64)
    except ValueError:
        for line, cell in enumerate(filled, 2):
            try:
                float(cell)
            except ValueError:
                what = f"{cell!r} in column {column.names[0]!r} is no number"
                report(findings, path, line, what, at=at)
        return empty
    found = found * unit.factor + unit.offset
    wrong = np.flatnonzero((found < column.low) | (found > column.high))
    for row in wrong[:3]:
        what = f"{cells[row]} in column {column.names[0]!r} is out of range"
        why = f"sound are {_shown(column.low, unit)} to {_shown(column.high, unit)} {given}"
        report(findings, path, int(row) + 2, what, why, "", at)
    return found


def _shown(number: float, unit: object) -> str:
    return f"{(number - unit.offset) / unit.factor:g}"  # type: ignore[attr-defined]
