"""Facts on rack lines against the measurements and papers that they restate.

Oracles: the trials of a simulated robot cell (`robot_cell_trials`), the interruptions of Llama 3
(`reliability`), both of the reference data; products of numbers that the notes name.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import Library, Vintage, read_libraries

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library() -> Library:
    findings = Findings()
    found = read_libraries([("ai-hardware", Place("test", 1))], HERE, findings)
    assert not list(findings)
    return found


def fact(library: Library, name: str) -> Vintage:
    """The latest vintage."""
    return library.superseded(name)[-1]


@pytest.fixture(scope="module")
def trials(shared_data: Path) -> list[dict[str, Any]]:
    file = shared_data / "robot_cell_trials" / "dimm_insertion_trials.json"
    if not file.is_file():
        pytest.skip("the trials are not here")
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_robot_facts_are_the_measured_ones(library: Library, trials: list[dict[str, Any]]) -> None:
    best = [setting for setting in trials if setting["sigma_mm"] == 0.5]
    good = [t for s in best for t, ok in zip(s["cycle_s"], s["ok"], strict=True) if ok]
    failed = [t for s in best for t, ok in zip(s["cycle_s"], s["ok"], strict=True) if not ok]
    time = fact(library, "dimm_robot.cycle_time")
    assert (time.low, time.high) == (min(good), max(good))
    assert time.value == pytest.approx(sum(good) / len(good), abs=0.005)
    rates = [sum(s["ok"]) / len(s["ok"]) for s in best]
    success = fact(library, "dimm_robot.success")
    assert (success.low, success.high) == pytest.approx((min(rates), max(rates)), abs=5e-4)
    assert success.value == pytest.approx(len(good) / (len(good) + len(failed)), abs=5e-4)
    timeout = fact(library, "dimm_robot.timeout")
    assert timeout.low <= min(failed)
    assert max(failed) <= timeout.high
    worse = [ok for s in trials if s["sigma_mm"] == 1.0 for ok in s["ok"]]
    assert fact(library, "dimm_robot.success_1mm").value == sum(worse) / len(worse)


def test_hours_between_interruptions_are_those_of_llama_3(
    library: Library, shared_data: Path
) -> None:
    """arXiv 2407.21783, Table 5: 419 unexpected interruptions in 54 days of 16,384 GPUs."""
    file = shared_data / "reliability" / "llama3_405b_interruptions.csv"
    if not file.is_file():
        pytest.skip("the interruptions are not here")
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    events = sum(int(row["count_54_days_16384_H100"]) for row in rows)
    hours = fact(library, "nvl72.failure_hours").value
    assert hours == pytest.approx(54 * 24 * 16384 / events, rel=1e-4)
    # What the note of rack.burn_in_first_pass says of 48 h with 72 GPUs.
    assert math.exp(-72 * 48 / hours) == pytest.approx(0.934, abs=5e-4)


def test_cabling_by_hand_fits_the_labour_of_a_rack(library: Library) -> None:
    """5,184 cables at the assumed seconds are 17 to 36 h, part of 100 to 260 h (rack.labour)."""
    cables = fact(library, "nvl72.cables").value
    time = fact(library, "cable_worker.cycle_time")
    hours = [cables * seconds / 3600 for seconds in (time.low, time.high)]
    assert [round(h) for h in hours] == [17, 36]
    labour = fact(library, "rack.labour")
    assert 0.1 < hours[0] / (labour.low * 40) < hours[1] / (labour.low * 40) < 0.5


def test_placement_time_is_placements_over_speed(library: Library) -> None:
    placements = fact(library, "compute_board.placements").value
    time = fact(library, "compute_board.smt_time")
    assert time.low == pytest.approx(placements / 120_000 * 60)
    assert time.high == pytest.approx(placements / 80_000 * 60)


def test_what_nobody_published_is_marked_as_assumed(library: Library) -> None:
    """Station hours at L10 to L12, first-pass yields, test megawatts: ranges of confidence D."""
    names = [
        *("compute_tray.l10_time", "rack.l11_time", "rack.l12_time", "rack.leak_test_time"),
        *("compute_tray.first_pass", "rack.burn_in_first_pass", "rack.l11_first_pass"),
        *("foxconn.houston.test_power", "foxconn.houston.coolant", "cable_robot.success"),
    ]
    for name in names:
        row = fact(library, name)
        assert (row.source, row.confidence) == ("assumption", "D"), name
        assert row.low < row.value < row.high, name


def test_burn_in_hours_and_rack_power_are_published(library: Library) -> None:
    first, later = library.superseded("rack.burn_in_time")
    assert (first.low, first.high) == (24, 72)  # leviathansystems.co
    assert (later.value, later.high) == (72, 168)  # aidatacenterguide 13.8
    power = fact(library, "nvl72.power")
    assert (power.value, power.high) == (132, 142)
