"""Files of states: what is written is read, and what does not belong is named."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from firsttoken.twin.findings import TwinError, UsageError
from firsttoken.twin.snapshots import (
    Finder,
    SavedState,
    SnapshotFile,
    load_snapshots,
    save_snapshots,
)

LOT = np.dtype([("step", "i4"), ("due", "f8"), ("taken", "i2", (8,))])
START = 1_767_571_200.0  # 2026-01-05


def example() -> SnapshotFile:
    lots = np.zeros(3, LOT)
    lots["due"] = [1.5, np.inf, -0.0]
    lots["taken"][1] = np.arange(8)
    arrays = {"lot": lots, "clock": np.array([3.0, np.nan])}
    state = SavedState("abc", 3600.0, arrays)
    other = SavedState("def", 7200.0, {"lot": lots[:1]})
    return SnapshotFile("racks", "base", START, {"line.houston": state, "facility.x": other})


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    file = example()
    save_snapshots(tmp_path / "a.npz", file)
    found = load_snapshots(tmp_path / "a.npz")
    assert (found.twin, found.scenario, found.start) == ("racks", "base", START)
    assert list(found.snapshots) == ["line.houston", "facility.x"]
    for name, state in file.snapshots.items():
        read = found.snapshots[name]
        assert (read.identity, read.time) == (state.identity, state.time)
        assert set(read.arrays) == set(state.arrays)
        for key, array in state.arrays.items():
            assert read.arrays[key].dtype == array.dtype
            assert read.arrays[key].tobytes() == array.tobytes()


def test_nothing_is_pickled(tmp_path: Path) -> None:
    save_snapshots(tmp_path / "a.npz", example())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype.hasobject is False for name in archive.files)


def test_an_old_file_gives_way_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("old")
    save_snapshots(tmp_path / "a.npz", example())
    assert load_snapshots(tmp_path / "a.npz").twin == "racks"
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_state_of_an_instance() -> None:
    finder = Finder(example(), Path("a.npz"), "racks", START, "facility.x")
    assert finder.find("def", "racks").time == 7200.0


@pytest.mark.parametrize(
    ("twin", "name", "identity", "start", "says"),
    [
        ("racks", "line.a", "abc", START, "no state of line.a; it has line.houston, facility.x"),
        (
            "racks",
            "line.houston",
            "xyz",
            START,
            "line.houston of racks, scenario base, that",
        ),
        ("trays", "line.houston", "xyz", START, "another twin, racks, scenario base"),
        (
            "racks",
            "line.houston",
            "abc",
            START + 86400,
            "2026-01-05, this one on 2026-01-06",
        ),
    ],
)
def test_a_state_that_belongs_elsewhere_is_refused(
    twin: str, name: str, identity: str, start: float, says: str
) -> None:
    with pytest.raises(TwinError) as error:
        Finder(example(), Path("a.npz"), twin, start, name).find(identity, "stations")
    text = str(error.value)
    assert text.startswith("a.npz: error: cannot start from a.npz, ")
    assert says in text
    assert "--save" in text


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no snapshot"):
        load_snapshots(tmp_path / "a.npz")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the snapshot"):
        save_snapshots(tmp_path / "missing" / "a.npz", example())


def damaged(tmp_path: Path) -> dict[str, bytes]:
    good = tmp_path / "good.npz"
    save_snapshots(good, example())
    whole = good.read_bytes()
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    odd = tmp_path / "odd.npz"
    np.savez(odd, snapshot=np.array(json.dumps({"format": "else"})))
    version = tmp_path / "version.npz"
    record = {"format": "firsttoken-snapshot", "format_version": 99}
    np.savez(version, snapshot=np.array(json.dumps(record)))
    lacking = tmp_path / "lacking.npz"
    with np.load(good) as archive:
        parts = {name: archive[name] for name in archive.files if name != "line.houston/lot"}
    np.savez(lacking, allow_pickle=False, **parts)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, snapshot=np.array([{"format": "firsttoken-snapshot"}], dtype=object))
    return {
        "empty": b"",
        "text": b"twin: racks\n",
        "half": whole[: len(whole) // 2],
        "bit": whole[:300] + bytes([whole[300] ^ 255]) + whole[301:],
        "pickle": pickle.dumps({"a": 1}),
        **{path.stem: path.read_bytes() for path in (other, odd, version, lacking, pickled)},
    }


def test_every_damaged_file_is_a_finding(tmp_path: Path) -> None:
    for name, content in damaged(tmp_path).items():
        path = tmp_path / f"bad-{name}.npz"
        path.write_bytes(content)
        with pytest.raises(TwinError) as error:
            load_snapshots(path)
        assert str(error.value).startswith(f"{path}: error: cannot start from bad-{name}.npz"), name
