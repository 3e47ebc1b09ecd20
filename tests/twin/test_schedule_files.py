"""XML and XER files as tables: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firsttoken.twin import schedule_files
from firsttoken.twin.findings import Findings
from firsttoken.twin.schedule_files import PARENT
from firsttoken.twin.tables import Table, read_tables


def read(path: Path, content: str | bytes) -> tuple[dict[str, Table], list[str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    findings = Findings()
    return read_tables(path, findings), [str(found) for found in findings]


def xml(tmp_path: Path, content: str | bytes) -> tuple[dict[str, Table], list[str]]:
    return read(tmp_path / "plan.xml", content)


def xer(tmp_path: Path, content: str | bytes) -> tuple[dict[str, Table], list[str]]:
    return read(tmp_path / "plan.xer", content)


def test_elements_with_elements_inside_are_rows(tmp_path: Path) -> None:
    tables, said = xml(
        tmp_path,
        '<?xml version="1.0"?>\n<Project xmlns="urn:x">\n<Name>P</Name>\n<Tasks>\n'
        "<Task><Unique Name='n'> 1 </Unique></Task>\n"
        "<Task><Unique>2</Unique><Empty/><Link><To>1</To></Link></Task>\n"
        "</Tasks></Project>",
    )
    assert not said
    assert list(tables) == ["project", "tasks", "task", "link"]
    task = tables["task"]
    assert task.columns["unique"] == ["1", "2"]
    assert task.columns["empty"] == [None, None]
    assert task.columns[PARENT] == [("tasks", 0), ("tasks", 0)]
    assert task.lines == [5, 6]
    assert task.headers["unique"] == "Unique"
    assert tables["link"].columns[PARENT] == [("task", 1)]
    assert tables["project"].columns[PARENT] == [None]


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    """The billion laughs: entities of entities, and a file named by an entity."""
    bomb = (
        '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY lol "lol">\n'
        '<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>\n'
        "<Project><Name>&lol2;</Name></Project>"
    )
    tables, said = xml(tmp_path, bomb)
    assert not tables
    assert len(said) == 1
    assert "plan.xml:2: error: plan.xml: it has a document type" in said[0]
    stealing = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>'
    assert "document type" in xml(tmp_path, stealing)[1][0]


def test_deep_nesting_and_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = "<a>" * 100 + "</a>" * 100
    assert "nested more than 64 deep" in xml(tmp_path, deep)[1][0]
    monkeypatch.setattr(schedule_files, "SIZE_LIMIT", 10)
    assert "MiB are read" in xml(tmp_path, "<a><b>0123456789</b></a>")[1][0]
    assert "MiB are read" in xer(tmp_path, "ERMHDR\t1\n%E\n")[1][0]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("<a>\n<b>1</b>\n</c>", 3, "mismatched tag"),
        ("<a>\n<b>1</b>\n", 3, "no element found"),
        ("", 1, "no element found"),
        ("<a>\n<b>&unknown;</b></a>", 2, "undefined entity"),
    ],
)
def test_what_is_no_xml_says_where(tmp_path: Path, content: str, line: int, what: str) -> None:
    tables, said = xml(tmp_path, content)
    assert not tables
    assert f"plan.xml:{line}: error: plan.xml is not XML: {what}" in said[0]


def test_a_cell_that_stands_twice_is_told(tmp_path: Path) -> None:
    tables, said = xml(tmp_path, "<a>\n<b>1</b>\n<b>2</b></a>")
    assert tables["a"].columns["b"] == ["1"]
    assert "plan.xml:3: warning: <b> stands more than once" in said[0]


def test_the_tables_of_an_xer_file(tmp_path: Path) -> None:
    tables, said = xer(
        tmp_path,
        "ERMHDR\t19.12\r\n%T\tTASK\r\n%F\ttask_id\ttask_name\r\n%R\t1\tDig\r\n%R\t2\r\n"
        "%T\tNOTE\r\n%F\tid\ttext\r\n%R\t1\tone\r\nmore of it\r\n%E\r\n",
    )
    assert not said
    assert tables["task"].columns == {"task_id": ["1", "2"], "task_name": ["Dig", None]}
    assert tables["task"].lines == [4, 5]
    assert tables["note"].columns["text"] == ["one\nmore of it"]


def test_windows_text_is_read(tmp_path: Path) -> None:
    tables, said = xer(
        tmp_path, "ERMHDR\n%T\tA\n%F\tx\n%R\tGüterbahnhof – süd\n%E".encode("cp1252")
    )
    assert not said
    assert tables["a"].columns["x"] == ["Güterbahnhof – süd"]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("%T\tTASK\n%E\n", 1, "does not begin with ERMHDR"),
        ("ERMHDR\n%T\tTASK\n%F\ta\n%R\t1\n", 5, "ends without %E"),
        ("ERMHDR\n%T\tTASK\n%F\ta\ta\n%E\n", 3, "a field stands twice"),
        ("ERMHDR\n%T\tTASK\n%F\ta\n%R\t1\t2\n%E\n", 4, "the row has 2 cells, there are 1 fields"),
    ],
)
def test_what_is_no_xer_says_where(tmp_path: Path, content: str, line: int, what: str) -> None:
    _, said = xer(tmp_path, content)
    assert any(f"plan.xer:{line}: error" in text and what in text for text in said)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), suffix=st.sampled_from(["xml", "xer"]))
def test_no_content_breaks_the_reader(tmp_path: Path, content: bytes, suffix: str) -> None:
    read(tmp_path / f"plan.{suffix}", content)
    read(tmp_path / f"plan.{suffix}", b"ERMHDR\n%T\tA\n%F\tb\tc\n" + content)
    read(tmp_path / f"plan.{suffix}", b"<a><b>" + content + b"</b></a>")
