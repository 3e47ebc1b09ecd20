"""What limits a line, told from patterns of waiting that are made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.line.fake_result import LINE, R, kpis, result, rows, state_time

from firsttoken.line.kpi_causes import Limit, binding_table, limits, station_loads


def changed(**rows_of_states: list[float]) -> np.ndarray:
    """The states of the stations, some of them others."""
    order = ("tray_test", "integrate", "burn_in", "pack")
    out = state_time()
    for station, states in rows_of_states.items():
        out[:, order.index(station)] = states
    return out


def calm(**changes: Any) -> dict[str, Any]:
    """Nothing is short and nothing blocked."""
    idle = changed(
        integrate=[2.0, 2.0, 0, 0, 0, 0, 0, 0],
        burn_in=[4.0, 6.0, 0, 0, 0, 0, 0, 0],
    )
    quiet: dict[str, Any] = {
        "state_time": idle,
        "pool_short": np.zeros((R, 2)),
        "product_short": np.zeros((R, 2)),
        "active_bottleneck": np.zeros((R, 4)),
    }
    return quiet | changes


def found(folder: Path, changes: dict[str, Any] | None = None, text: str = LINE) -> list[Limit]:
    return limits(kpis(folder, changes, text=text))


def test_what_work_waits_for_binds_and_comes_first(tmp_path: Path) -> None:
    first = found(tmp_path)[0]
    assert (first.kind, first.name, first.share, first.binds) == ("budget", "test_power", 0.8, True)
    assert first.sentence == (
        "test_power is the limit: work waits for it 80 % of the time, at burn_in; "
        "590 kW of 1 MW are in use on average."
    )


def test_what_is_short_now_and_then_does_not_bind(tmp_path: Path) -> None:
    hands = next(limit for limit in found(tmp_path) if limit.name == "hands")
    assert not hands.binds
    assert hands.sentence == ("Work waits for hands 4 % of the time; 4 of 6 are in use on average.")


def test_components(tmp_path: Path) -> None:
    limit = next(limit for limit in found(tmp_path) if limit.kind == "component")
    assert (limit.name, limit.share, limit.binds) == ("tray", 0.25, False)
    assert "made on this line" in limit.sentence


def test_load_is_work_and_its_own_losses_of_open_time(tmp_path: Path) -> None:
    """Blocked and short servers wait for others: burn-in works 5.9 of 10, integrate 2.8 of 4."""
    loads = station_loads(kpis(tmp_path))
    assert loads[0] == pytest.approx([0.5 / 1.5, 2.8 / 4, 5.9 / 10, 0.1])


def test_a_station_that_is_used_up(tmp_path: Path) -> None:
    full = changed(
        integrate=[2.0, 2.0, 0, 0, 0, 0, 0, 0],
        burn_in=[0.2, 8.8, 0, 0, 1.0, 0, 0, 0],
    )
    (first, *_) = found(tmp_path, calm(state_time=full))
    assert (first.kind, first.name, first.binds) == ("station", "burn_in", True)
    assert first.sentence == (
        "burn_in is the limit: its 10 servers are busy 98 % of the open time (10 % down); "
        "5 lots wait there on average."
    )


def test_an_easy_line_makes_what_is_released(tmp_path: Path) -> None:
    first, *others = found(tmp_path, calm())
    assert (first.kind, first.binds) == ("release", True)
    assert first.sentence == (
        "Releases set the pace, and the line keeps up: 15.8 racks a week; "
        "the busiest station, burn_in, is busy 60 % of its open time."
    )
    assert not any(limit.binds for limit in others)


def test_lots_that_pile_up_are_no_releases_that_set_the_pace(tmp_path: Path) -> None:
    growing = result().period_wip + np.arange(5)[None, :, None] * 4
    assert not any(limit.binds for limit in found(tmp_path, calm(period_wip=growing)))


@pytest.mark.parametrize(
    ("release", "words"),
    [("{wip: 12}", "The limit on lots in the line sets the pace, with 12 racks in it"),
     ("{backlog: 1}", "")],
)  # fmt: skip
def test_pull_and_saturation(tmp_path: Path, release: str, words: str) -> None:
    text = LINE.replace("{every: 3 hour, due: 10 day}", release)
    first = found(tmp_path, calm(), text)[0]
    assert (first.kind == "wip") == bool(words)
    assert first.sentence.startswith(words)


def test_one_future_is_limited_by_this_and_another_by_that(tmp_path: Path) -> None:
    """Hands are short in one replication of four, power in the other three; neither on average
    would tell."""
    short = np.array([[0.9, 0.0], [0.0, 0.7], [0.0, 0.8], [0.05, 0.6]])
    first, second, *_ = found(tmp_path, calm(pool_short=short))
    assert (first.name, first.futures, first.binds) == ("test_power", 0.75, True)
    assert first.sentence.endswith("; it is the limit in 75 % of the futures.")
    assert (second.name, second.futures, second.binds) == ("hands", 0.25, False)
    assert second.sentence.endswith("; it is the limit in 25 % of the futures.")


def test_releases_set_the_pace_where_nothing_else_does(tmp_path: Path) -> None:
    short = np.array([[0.9, 0.0], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0]])
    first, second, *_ = found(tmp_path, calm(pool_short=short))
    assert (first.kind, first.futures) == ("release", 0.75)
    assert first.sentence.endswith("; so in 75 % of the futures.")
    assert (second.name, second.futures) == ("hands", 0.25)


def test_hands_that_work_beyond_their_shift(tmp_path: Path) -> None:
    used = np.array([[9.0, 5e5]] * R)
    limit = next(x for x in found(tmp_path, {"pool_used": used}) if x.name == "hands")
    assert limit.sentence == (
        "Work waits for hands 4 % of the time; all are in use on average, some beyond their shift."
    )


def test_a_full_buffer_names_whom_it_blocks(tmp_path: Path) -> None:
    buffers = [limit for limit in found(tmp_path) if limit.kind == "buffer"]
    assert [limit.sentence for limit in buffers] == [
        "burn_in has no buffer: integrate stands blocked 20 % of the time."
    ]


def test_the_table_ranks_and_every_sentence_ends(tmp_path: Path) -> None:
    table = rows(binding_table(kpis(tmp_path)))
    assert [row["rank"] for row in table] == list(range(1, len(table) + 1))
    assert all(row["sentence"].endswith(".") for row in table)
    assert len({(row["kind"], row["name"]) for row in table}) == len(table)
