"""The run folder: whole or not there, true to what was put in, clear about what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.results.sample import sample_run, sample_tables

from firsttoken.results import store
from firsttoken.results.run import Run
from firsttoken.results.store import Results, write_run
from firsttoken.twin.findings import EXIT_USAGE, UsageError
from firsttoken.twin.result_table import ResultTable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", sample_run(), sample_tables()).close()
    return tmp_path / "run"


def test_tables_come_back_as_they_were(folder: Path) -> None:
    with Results.open(folder) as results:
        assert results.tables == ("supply_summary", "supply_goal_date")
        summary = results.table("supply_summary")
        assert summary["scenario"].tolist() == ["base", "base", "quake", "quake"]
        assert summary["p50"].tolist() == [100.0, 0.0, 75.0, 0.0]
        dates = results.table("supply_goal_date")
        assert dates["p90"].tolist() == ["2028-09-01", ""]
        info = results.info("supply_summary")
        assert info.rows == 4
        assert info.keys == ("scenario", "kpi")
        assert info.description == "Key figures; with 'quotes' and ümlauts."
        assert results.info("supply_goal_date").units["p10"] == "date"


def test_dates_are_dates_to_sql(folder: Path) -> None:
    with Results.open(folder) as results:
        found = results.sql(
            "SELECT scenario, p50 - p10 AS days FROM supply_goal_date ORDER BY p50 DESC"
        )
    assert found["scenario"].tolist() == ["quake", "base"]
    assert found["days"].tolist() == [119, 60]


def test_units_and_description_are_in_the_parquet_file_itself(folder: Path) -> None:
    query = "SELECT decode(key) k, decode(value) v FROM parquet_kv_metadata(?)"
    with duckdb.connect() as connection:
        path = str(folder / "supply_goal_date.parquet")
        said = dict(connection.execute(query, [path]).fetchall())
    assert json.loads(said["units"])["p50"] == "date"
    assert "description" in said


def test_record_holds_what_makes_the_run_reproducible(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    assert record["twin_hash"] == "ab12"
    assert (record["seed"], record["replications"]) == (7, 100)
    assert [scenario["name"] for scenario in record["scenarios"]] == ["base", "quake"]
    assert {"python", "numpy", "duckdb", "firsttoken"} <= set(record["versions"])
    assert record["created"].endswith("Z")
    with Results.open(folder) as results:
        assert Run.from_json(results.run.as_json()) == results.run


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(TEXTS, st.floats(allow_nan=True, allow_infinity=True),
                  st.integers(-(2**62), 2**62), st.booleans()),
        max_size=8,
    )
)  # fmt: skip
def test_any_values_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, int, bool]]
) -> None:
    names = ("text", "number", "count", "yes")
    kinds = (object, np.float64, np.int64, np.bool_)
    columns = {}
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        columns[name] = np.array([row[i] for row in rows], dtype=kind)
    path = tmp_path_factory.mktemp("any") / "run"
    with write_run(path, sample_run(), [ResultTable("room_any", columns)]) as results:
        found = results.table("room_any")
    for name in names:
        np.testing.assert_array_equal(found[name], columns[name])
        assert found[name].dtype.kind == columns[name].dtype.kind


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    bad = ResultTable("room_bad", {"a": ["x", 1.0]})
    with pytest.raises(ValueError, match="mixes kinds"):
        write_run(tmp_path / "run", sample_run(), [*sample_tables(), bad])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_and_an_old_run_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_run(folder, sample_run(), sample_tables(5.0), overwrite=True)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_old_run_comes_back_if_the_new_one_cannot_take_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.startswith(".run.") and Path(target).name == "run":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UsageError, match="No space left"):
        write_run(folder, sample_run(), sample_tables(5.0), overwrite=True)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    with Results.open(folder) as results:
        assert results.table("supply_summary")["p50"][0] == 100.0


def test_overwriting_replaces_the_run(folder: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already"):
        write_run(folder, sample_run(), sample_tables())
    with write_run(folder, sample_run(), sample_tables(5.0), overwrite=True) as results:
        assert results.table("supply_summary")["p50"][0] == 5.0
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_what_is_not_a_run_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is not a run folder"):
            write_run(tmp_path, sample_run(), sample_tables(), overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", sample_run(), sample_tables()).close()
    assert (tmp_path / "run" / "run.json").is_file()


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the run folder"):
        write_run(tmp_path / "file" / "run", sample_run(), sample_tables())


def _damage(folder: Path, how: str) -> None:
    parquet = folder / "supply_summary.parquet"
    record = folder / "run.json"
    if how == "missing":
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    elif how == "foreign":
        record.unlink()
    elif how == "not json":
        record.write_text("{")
    elif how == "another format":
        record.write_text('{"format": "else"}')
    elif how == "another version":
        record.write_text(record.read_text().replace('"format_version": 1', '"format_version": 9'))
    elif how == "a field gone":
        record.write_text(record.read_text().replace('"seed"', '"sead"'))
    elif how == "table gone":
        parquet.unlink()
    elif how == "table truncated":
        os.truncate(parquet, parquet.stat().st_size // 2)
    elif how == "table exchanged":
        parquet.write_bytes((folder / "supply_goal_date.parquet").read_bytes())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "there is no run folder"),
        ("foreign", "is not a run folder: it holds no run.json"),
        ("not json", "is not a firsttoken-run record"),
        ("another format", "its format is not 'firsttoken-run'"),
        ("another version", "its format version is 9"),
        ("a field gone", "a field is missing or wrong: .*seed"),
        ("table gone", "supply_summary.parquet: the file is missing"),
        ("table truncated", "supply_summary.parquet: "),
        ("table exchanged", "supply_summary.parquet: it has 2 rows, run.json says 4"),
    ],
)
def test_a_damaged_folder_is_named(folder: Path, how: str, message: str) -> None:
    _damage(folder, how)
    with pytest.raises(UsageError, match=message) as caught:
        Results.open(folder)
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.__cause__ is None


def test_unknown_tables_and_wrong_queries_are_usage_errors(folder: Path) -> None:
    with Results.open(folder) as results:
        assert "supply_summary" in results
        with pytest.raises(UsageError, match="no table 'line_oee'; it has supply_summary"):
            results.table("line_oee")
        with pytest.raises(UsageError, match="the query failed"):
            results.sql("SELECT nonsense FROM supply_summary")
        with pytest.raises(UsageError, match="no scenario 'x'; it has base, quake"):
            results.run.scenario("x")
