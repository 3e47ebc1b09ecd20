"""Tables from CSV folders and workbooks, whole and broken."""

from __future__ import annotations

import builtins
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from firsttoken.twin import tables as module
from firsttoken.twin.findings import Findings, MissingExtraError, Place
from firsttoken.twin.tables import Table, read_tables


def folder(tmp_path: Path, **files: str | bytes) -> Path:
    for name, text in files.items():
        raw = text.encode() if isinstance(text, str) else text
        (tmp_path / f"{name}.csv").write_bytes(raw)
    return tmp_path


def read(path: Path) -> tuple[dict[str, Table], list[str]]:
    findings = Findings()
    found = read_tables(path, findings)
    return found, [str(f) for f in findings]


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_names_are_folded(tmp_path: Path) -> None:
    found, problems = read(
        folder(tmp_path, **{"Operation Material": "Operation, Duration per ,x_y\nmake,1,\n"})
    )
    assert not problems
    table = found["operationmaterial"]
    assert table.columns == {"operation": ["make"], "duration_per": ["1"], "x_y": [None]}
    assert table.headers["duration_per"] == "Duration per"


def test_rows_know_their_lines(tmp_path: Path) -> None:
    text = 'name,note\na,"two\nlines"\n\n,\nb,x\n'
    found, problems = read(folder(tmp_path, item=text))
    assert not problems
    table = found["item"]
    assert table.columns["name"] == ["a", "b"]
    assert [table.place(row).line for row in (-1, 0, 1)] == [1, 2, 6]
    assert table.place(0) == Place(str(tmp_path / "item.csv"), 2)


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    found, problems = read(folder(tmp_path, item=b"\xef\xbb\xbfname;cost\na;1,5\n"))
    assert not problems
    assert found["item"].columns == {"name": ["a"], "cost": ["1,5"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "item.csv:1: error: the table is empty"),
        ("name,cost\na,1,2\n", "item.csv:2: error: the row has 3 cells, the header 2"),
        ("name,cost\na\n", "item.csv:2: error: the row has 1 cells, the header 2"),
        ("name,Name\na,b\n", "item.csv:1: error: column 'Name' stands twice"),
        ("name,\na,b\n", "item.csv:2: error: the row has 2 cells, the header 1"),
        ("name,,x\na,b,c\n", "item.csv:1: error: a column with cells has no name"),
        ("name\nZürich\n".encode("latin-1"), "item.csv:2: error: byte 0xfc is not UTF-8"),
        ('name,cost\na,"1\n', "the row cannot be read: unexpected end of data"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str | bytes, message: str) -> None:
    _, problems = read(folder(tmp_path, item=text))
    assert len(problems) == 1
    assert message in problems[0]


def test_all_broken_rows_are_reported_at_once(tmp_path: Path) -> None:
    found, problems = read(folder(tmp_path, item="name,cost\na\nb,1\nc,2,3\n"))
    assert len(problems) == 2
    assert found["item"].columns["name"] == ["a", "b", "c"]


def test_folders_without_tables_and_missing_files(tmp_path: Path) -> None:
    assert "the folder holds no CSV or tab-separated file" in read(tmp_path)[1][0]
    assert "it does not exist" in read(tmp_path / "none")[1][0]
    (tmp_path / "x.txt").write_text("x")
    assert (
        "a folder of CSV or tab-separated files or an XLSX workbook"
        in read(tmp_path / "x.txt")[1][0]
    )


def test_two_files_of_one_table(tmp_path: Path) -> None:
    _, problems = read(folder(tmp_path, item="name\na\n", Item="name\nb\n"))
    assert "table 'item' is given twice" in problems[0]


def test_a_workbook(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "plan.xlsx",
        Item=[["Name", "Cost", "Due"], ["a", 1.5, date(2026, 3, 1)], [None], ["b", None]],
    )
    found, problems = read(path)
    assert not problems
    table = found["item"]
    assert table.columns == {
        "name": ["a", "b"],
        "cost": [1.5, None],
        "due": [date(2026, 3, 1), None],
    }
    assert str(table.place(1)) == f"{path}[Item]:4"


def test_a_truncated_workbook(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "plan.xlsx", item=[["name"], ["a"]]).read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.xlsx").write_bytes(whole[:size])
        found, problems = read(tmp_path / "cut.xlsx")
        assert not found
        assert len(problems) == 1
        assert "cannot read cut.xlsx" in problems[0]


def test_a_workbook_with_corrupt_content(tmp_path: Path) -> None:
    path = workbook(tmp_path / "plan.xlsx", item=[["name"], ["a"]])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
        for entry in old.infolist():
            raw = old.read(entry)
            new.writestr(entry, raw[: len(raw) // 2] if "sheet1" in entry.filename else raw)
    assert "cannot read broken.xlsx" in read(broken)[1][0]


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPACKED_LIMIT", 1000)
    path = workbook(tmp_path / "plan.xlsx", item=[["name"], ["a"]])
    assert "the workbook unpacks to" in read(path)[1][0]


def test_without_calamine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "plan.xlsx", item=[["name"], ["a"]])
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "python_calamine":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'firsttoken\[xlsx\]'"):
        read_tables(path, Findings())


def test_tab_separated_tables_are_read_where_there_is_no_csv(tmp_path: Path) -> None:
    (tmp_path / "tool.txt.1l").write_text('STNFAM\tSTNQTY\tNOTE\nWE_1\t2\n\nDE_1\t1\tsay "x"\n')
    (tmp_path / "route_3.txt").write_bytes("STEP\tPTIME\n1\t2.5\n".encode("utf-16"))
    found, problems = read(tmp_path)
    assert not problems
    assert found["tool"].columns["note"] == [None, 'say "x"']
    assert [found["tool"].place(row).line for row in (0, 1)] == [2, 4]
    assert found["route3"].columns["ptime"] == ["2.5"]
    (tmp_path / "item.csv").write_text("name\na\n")
    assert set(read(tmp_path)[0]) == {"item"}


def test_a_row_too_long_in_a_tab_separated_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "tool.txt").write_text("a\tb\n1\t2\t3\n")
    assert "tool.txt:2: error: the row has 3 cells, the header 2" in read(tmp_path)[1][0]
