"""Bad input of every kind: named at its place, the right status, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import TWIN, call

Edit = tuple[str, str]

FAULTS: dict[str, tuple[list[Edit], str]] = {
    # name: (replacements in the sound twin, what must be said)
    "wrong unit": (
        [("lead_time: triangular(1, 2, 5) week", "lead_time: 2 rack")],
        "expected a time",
    ),
    "negative capacity": (
        [("capacity: triangular(10, 20, 25) rack/week", "capacity: -5 rack/week")],
        "-5 rack/week is out of range: must be >= 0",
    ),
    "not a number": (
        [("capacity: triangular(10, 20, 25) rack/week", "capacity: .nan")],
        "not a finite number",
    ),
    "dates reversed": (
        [
            (
                "        at: houston\n",
                "        at: houston\n        start: 2026-09\n        end: 2026-03\n",
            )
        ],
        "'start' is not before 'end'",
    ),
    "unknown fact": (
        [("capacity: triangular(10, 20, 25) rack/week", "capacity: fact(cowos.tsmc)")],
        "fact(cowos.tsmc) is unknown",
    ),
    "unknown field": (
        [("lead_time: triangular(1, 2, 5) week", "lead_tme: 2 week")],
        "did you mean 'lead_time'",
    ),
    "cycle in a bill of materials": (
        [
            ("    items: {rack:", "    items: {tray: {}, rack:"),
            (
                "        produces: {rack: 1}\n",
                "        consumes: {tray: 1}\n        produces: {rack: 1}\n",
            ),
            (
                "    operations:\n",
                "    operations:\n"
                "      strip: {at: houston, consumes: {rack: 1}, produces: {tray: 1}}\n",
            ),
        ],
        "the bill of materials has a cycle",
    ),
    "duplicate key": ([("horizon:", "horizon: 8 week\nhorizon:")], "twice"),
    "not YAML": ([("supply:", "supply: [")], "twin.yaml:"),
}


def edited(folder: Path, edits: list[Edit]) -> None:
    """Write the sound twin with replacements, each of which must apply."""
    text = TWIN
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after, 1)
    (folder / "twin.yaml").write_text(text, encoding="utf-8")


def refused(folder: Path, status: int, words: str, *, place: str = "twin.yaml:") -> None:
    """Run and check: the status, the place and the words on stderr, and no trace of a run."""
    before = sorted(folder.iterdir())
    done = call("run", "twin.yaml", "--out", "there", "-n", "5")
    assert done.exit_code == status, done.output
    assert words in done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.output
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named_and_nothing_is_written(name: str, folder: Path) -> None:
    edits, words = FAULTS[name]
    edited(folder, edits)
    refused(folder, 1, words)


def test_faults_of_several_kinds_are_reported_at_once(folder: Path) -> None:
    edited(folder, [*FAULTS["wrong unit"][0], *FAULTS["negative capacity"][0]])
    done = call("check", "twin.yaml")
    assert done.exit_code == 1
    assert FAULTS["wrong unit"][1] in done.stdout
    assert FAULTS["negative capacity"][1] in done.stdout


def test_truncated_workbook(folder: Path) -> None:
    (folder / "tables.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 200)
    (folder / "twin.yaml").write_text(
        "twin: t\nstart: 2026-01-05\nhorizon: 8 week\nsupply: {net: {tables: tables.xlsx}}\n"
    )
    refused(folder, 1, "tables.xlsx", place="tables.xlsx")


def test_file_of_100_megabytes(folder: Path) -> None:
    with (folder / "twin.yaml").open("w") as stream:
        stream.write("twin: t\nstart: 2026-01-05\nsupply:\n")
        stream.write("  # " + "x" * 96 + "\n")
        line = "  n: {locations: {" + "a: b, " * 2000 + "}}\n"
        for _ in range(100_000_000 // len(line) + 1):
            stream.write(line)
    refused(folder, 1, "64 MiB", place="twin.yaml")


def test_alias_bomb(folder: Path) -> None:
    levels = [f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 10)}]" for i in range(1, 12)]
    text = "\n".join(["twin: t", "b0: &b0 [x]", *levels, "start: 2026-01-05", ""])
    (folder / "twin.yaml").write_text(text)
    refused(folder, 1, "twin.yaml", place="twin.yaml:")


def test_infeasible_plan_names_what_conflicts(folder: Path) -> None:
    stock = "    buffers: {full: {item: rack, location: houston, onhand: 5000, maximum: 10}}\n"
    edited(folder, [("    operations:\n", stock + "    operations:\n")])
    refused(folder, 4, "rack@houston", place="")
