"""Tables of a line, from results that are made by hand: every number can be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.line.fake_result import COUNTED, FINISHED, HEADER, LINE, WEEK, kpis, result, rows

from firsttoken.line import kpi, kpi_flow
from firsttoken.line.kpi import Kpis, mixed_quantiles
from firsttoken.line.kpi_rows import amount, figure, percent, spread
from firsttoken.line.result import QUANTILES
from firsttoken.twin.dates import parse_date, period_label

WEEKS = COUNTED / WEEK  # 24 days


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Kpis:
    return kpis(tmp_path_factory.mktemp("line"))


@pytest.fixture(scope="module")
def summary(made: Kpis) -> dict[str, dict[str, Any]]:
    return {row["kpi"].removeprefix("x."): row for row in rows(kpi.summary_table(made))}


def test_throughput_is_lots_that_leave_the_line(summary: dict[str, dict[str, Any]]) -> None:
    """48, 52, 56 and 60 racks in 24 days; trays go into racks."""
    row = summary["throughput"]
    assert (row["label"], row["unit"]) == ("racks a week", "rack/week")
    assert row["mean"] == pytest.approx(54 / 24 * 7)
    assert row["p50"] == pytest.approx(54 / 24 * 7)
    assert row["p10"] == pytest.approx((48 + 0.3 * 4) / 24 * 7)
    # Student's t of three degrees of freedom is 3.1824 (Fisher and Yates, table III).
    deviation = np.std([48, 52, 56, 60], ddof=1) / 2 * 7 / 24
    assert row["interval"] == pytest.approx(3.1824463 * deviation)
    assert summary["throughput.tray"]["mean"] == pytest.approx(108 / 24 * 7)
    assert summary["throughput.tray"]["unit"] == "lot/week"


def test_any_one_week_counts_whole_weeks_after_the_warm_up(
    summary: dict[str, dict[str, Any]],
) -> None:
    """The first week is warm-up and the last has three days: weeks 2 to 4 are told."""
    row = summary["throughput.any_period"]
    weeks = np.array([[f * part // 16 for part in (2, 4, 6)] for f in FINISHED])
    racks = weeks[:, :, :3].sum(axis=2)
    assert row["label"] == "racks in any one week"
    assert row["mean"] == pytest.approx(racks.mean())
    assert row["p90"] == pytest.approx(np.quantile(racks, 0.9))


def test_cycle_time_is_weighted_by_lots(summary: dict[str, dict[str, Any]]) -> None:
    mean = [(96 * a + 60 * 4 + 72 * 4) / (a + 8) for a in (40, 44, 48, 52)]
    expected = np.mean(np.array(mean) * [0.9, 1.0, 1.1, 1.2])
    assert summary["cycle_time"]["mean"] == pytest.approx(expected)
    assert summary["cycle_time"]["unit"] == "hour"
    # All racks have 48 h of processing.
    assert summary["x_factor"]["mean"] == pytest.approx(expected / 48)
    assert summary["wip"]["mean"] == 12
    assert summary["wip.components"]["mean"] == 4


def test_due_dates_of_some_classes(summary: dict[str, dict[str, Any]]) -> None:
    """Hot lots and trays have no due dates: 30 + 4 of 44 regular and ordered racks, and so on."""
    share = np.mean([34 / 44, 36 / 48, 38 / 52, 40 / 56])
    assert summary["on_time"]["mean"] == pytest.approx(100 * share)
    late = np.mean([(2 * a + 6 * 4) / (a + 4) for a in (40, 44, 48, 52)])
    assert summary["tardiness"]["mean"] == pytest.approx(late)
    # `first` is on time in three of four replications, `second` in one.
    assert summary["orders.on_time"]["mean"] == pytest.approx(50)


def test_yields(summary: dict[str, dict[str, Any]]) -> None:
    """Rolled: integrate 1, burn-in 60 of 66, pack 27 of 30, which only half of the racks need."""
    row = summary["yield.first_pass"]
    assert row["mean"] == pytest.approx(100 * 60 / 66 * (27 / 30) ** 0.5)
    final = np.mean([n / (n + 1) for n in (48, 52, 56, 60)])
    assert summary["yield.final"]["mean"] == pytest.approx(100 * final)
    assert summary["escapes"]["mean"] == pytest.approx(
        100 * np.mean(1 / np.array([48, 52, 56, 60]))
    )


def test_energy_and_pools(summary: dict[str, dict[str, Any]]) -> None:
    """590 kW on average, 168 h a week; the replications' racks differ."""
    assert summary["energy"]["mean"] == pytest.approx(590 * 168)
    one = np.mean(590 * np.array([0.9, 1, 1, 1.1]) * 24 * 24 / [48, 52, 56, 60])
    assert summary["energy.lot"]["mean"] == pytest.approx(one)
    assert summary["energy.lot"]["unit"] == "kWh/rack"
    assert summary["use.test_power"]["mean"] == pytest.approx(59)
    assert summary["peak.test_power"]["p50"] == pytest.approx(1000)
    assert summary["use.hands"]["mean"] == pytest.approx(100 * 4 / 6)
    assert summary["short.test_power"]["p50"] == pytest.approx(80)


def test_names_of_several_lines_do_not_meet(tmp_path: Path) -> None:
    made = kpis(tmp_path)
    made.prefix = "x: "
    found = rows(kpi.summary_table(made))
    assert all(row["label"].startswith("x: ") for row in found)
    assert len({row["kpi"] for row in found}) == len(found)


def test_oee_of_nakajimas_example(tmp_path: Path) -> None:
    """Nakajima, Introduction to TPM (1988), chapter 3: of 460 minutes 60 are stoppages (20),
    set-up (20) and adjustment (20); 400 pieces at 0.5 min; 2 % defects: 87 % x 50 % x 98 % =
    42.6 %."""
    states = result().state_time.copy()
    minutes = [200, 200, 40, 0, 20, 0, 0, 0]
    states[:, 0] = 2 * np.array(minutes) / 460
    changes = {
        "state_time": states,
        "operations": np.array([[400, 1, 1, 1]] * 4),
        "failed": np.array([[8, 0, 0, 0]] * 4),
    }
    (first, *_) = rows(kpi.station_table(kpis(tmp_path, changes)))
    assert first["availability"] == pytest.approx(0.87, abs=0.005)
    assert first["performance"] == pytest.approx(0.5)
    assert first["quality"] == pytest.approx(0.98)
    assert first["oee"] == pytest.approx(0.426, abs=0.0005)


def test_states_of_a_station(made: Kpis) -> None:
    found = {row["station"]: row for row in rows(kpi.station_table(made))}
    tray = found["tray_test"]
    assert (tray["servers"], tray["closed"], tray["starved"]) == (2, 0.25, 0.5)
    # Half a server of one and a half that are open: closed time is no loss.
    assert tray["utilisation"] == pytest.approx(1 / 3)
    assert tray["oee"] == pytest.approx(1 / 3)
    integrate = found["integrate"]
    # Open 4; set-up .2, down .2 and maintenance .4 leave 3.2, of which 2 work.
    assert integrate["availability"] == pytest.approx(0.8)
    assert integrate["performance"] == pytest.approx(2 / 3.2)
    assert integrate["blocked"] == pytest.approx(0.2)
    burn = found["burn_in"]
    assert burn["short"] == pytest.approx(0.4)
    assert burn["operations"] == pytest.approx(66 / WEEKS)
    assert (burn["queue"], burn["wait"], burn["bottleneck"]) == (5, 24, 0.7)
    for row in found.values():
        assert sum(row[state] for state in kpi.result.STATES) == pytest.approx(1)


def test_pools_in_the_units_of_a_plant(made: Kpis) -> None:
    pools, by_period = kpi.pool_tables(made)
    found = {row["pool"]: row for row in rows(pools)}
    power = found["test_power"]
    assert (power["kind"], power["unit"], power["level"], power["peak"]) == (
        "budget", "kW", 1000, 1000,
    )  # fmt: skip
    assert power["used"] == pytest.approx(590)
    assert power["energy"] == pytest.approx(590 * 168)
    assert found["hands"]["description"] == "People"
    assert np.isnan(found["hands"]["energy"])
    assert len(by_period) == 2 * 5


def test_output_by_period_and_class(made: Kpis) -> None:
    found = rows(kpi_flow.throughput_table(made))
    week = [r for r in found if r["period"] == "2026-01-26" and r["metric"] == "finished"]
    by_class = {row["lot_class"]: row for row in week}
    assert set(by_class) == {"all", "regular", "hot", "rack_orders", "trays"}
    racks = [6 * a // 16 + 1 + 1 for a in (40, 44, 48, 52)]
    assert by_class["all"]["mean"] == pytest.approx(np.mean(racks))
    assert by_class["trays"]["p50"] == pytest.approx(np.median([36, 39, 42, 45]))
    assert by_class["trays"]["unit"] == "lot"
    last = [r for r in found if r["period"] == "2026-02-02"]
    assert not any(row["whole"] for row in last)
    # Nothing is finished in the first week: its cycle time is not known.
    first = [r for r in found if r["period"] == "2026-01-05" and r["metric"] == "cycle_time"]
    assert all(np.isnan(row["p50"]) for row in first)


def test_cycle_times_by_class(made: Kpis) -> None:
    times, histogram = kpi_flow.cycle_tables(made)
    found = {row["lot_class"]: row for row in rows(times)}
    regular = found["regular"]
    assert regular["mean"] == pytest.approx(96 * 1.05)
    assert regular["mean_p10"] == pytest.approx(96 * (0.9 + 0.3 * 0.1))
    assert regular["x_factor"] == pytest.approx(96 * 1.05 / 48)
    assert regular["finished"] == pytest.approx(46 / WEEKS)
    # Nine evenly spaced quantiles from 0.8 to 1.2 of the cycle time: P50 is the fourth.
    assert regular["p50"] == pytest.approx(96 * 1.05 * 0.95)
    assert np.isnan(found["hot"]["on_time"])
    bins = [row for row in rows(histogram) if row["lot_class"] == "hot"]
    assert sum(row["count"] for row in bins) == pytest.approx(100)
    assert sum(row["share"] for row in bins) == pytest.approx(1)
    # A fifth at each of 48, 54, 60, 66 and 72 h; buckets are at most 1/128 of the value wide.
    middle = sum(row["count"] for row in bins if row["low"] >= 59 and row["high"] <= 61)
    assert middle == pytest.approx(20)


def test_bins_are_round_and_lose_no_lot() -> None:
    random = np.random.default_rng(1)
    edges = np.linspace(0, 1000, 4001)
    counts = np.histogram(random.gamma(4, 30, 20000), edges)[0].astype(float)
    bins, binned = kpi_flow.rebinned(counts, edges)
    assert binned.sum() == pytest.approx(20000)
    assert np.allclose(np.diff(bins), bins[1] - bins[0])
    assert 20 <= len(binned) <= 45
    # In the body the counts are those of the samples themselves.
    assert binned[5] == pytest.approx(
        counts[(edges[:-1] >= bins[5]) & (edges[:-1] < bins[6])].sum()
    )


def test_orders(made: Kpis) -> None:
    first, second = rows(kpi_flow.order_table(made))
    assert (first["customer"], first["lots"], first["due"]) == ("cloud", 3, "2026-01-19")
    # Complete after 10, 12, 14 and 16 days; due after 14.
    assert first["p50"] == "2026-01-18"
    assert first["on_time"] == 0.75
    # Wilson's interval of 3 in 4 (Wilson 1927): (p + z2/2n +- z sqrt(pq/n + z2/4n2)) / (1 + z2/n)
    z2 = 1.959964**2
    centre, spread_ = 0.75 + z2 / 8, np.sqrt(z2 * (0.1875 / 4 + z2 / 64))
    assert first["on_time_low"] == pytest.approx((centre - spread_) / (1 + z2 / 4), abs=1e-6)
    assert first["on_time_high"] == pytest.approx((centre + spread_) / (1 + z2 / 4), abs=1e-6)
    assert (second["p50"], second["p90"], second["finished"]) == ("", "", 0.5)
    assert second["on_time"] == 0.25


def test_losses(made: Kpis) -> None:
    found = {(row["kind"], row["name"]): row for row in rows(kpi_flow.loss_table(made))}
    assert found["failed", "burn_in"]["share"] == pytest.approx(6 / 66)
    assert found["failed", "burn_in"]["mean"] == pytest.approx(6 / WEEKS)
    assert found["rework", "rack.pack"]["product"] == "rack"
    assert found["rework", "rack.pack"]["share"] == pytest.approx(
        np.mean(3 / np.array([48, 52, 56, 60]))
    )
    assert found["scrapped", "trays"]["share"] == pytest.approx(
        np.mean(4 / np.array([100, 108, 116, 124]))
    )
    assert ("failed", "integrate") not in found


def test_a_queue_limit_is_told_even_if_it_is_never_missed(tmp_path: Path) -> None:
    limited = LINE.replace(
        "- {station: burn_in}",
        "- {station: burn_in, queue_limit: {after: integrate, within: 4 hour}}",
    )
    found = rows(kpi_flow.loss_table(kpis(tmp_path, text=limited)))
    (limit,) = [row for row in found if row["kind"] == "queue limit"]
    assert (limit["name"], limit["mean"], limit["share"]) == ("rack.burn_in", 0, 0)


def test_quantiles_of_mixed_classes(tmp_path: Path) -> None:
    """Two classes of as many lots, uniform on [0, 1] and on [1, 2]: together uniform on [0, 2]."""
    uniform = np.array(QUANTILES)
    quantiles = np.zeros((4, 4, len(QUANTILES)))
    quantiles[:, 0], quantiles[:, 1] = uniform, 1 + uniform
    finished = np.array([[50, 50, 0, 7]] * 4)
    made = kpis(tmp_path, {"cycle_quantiles": quantiles, "finished": finished})
    median, p90 = mixed_quantiles(made, (0.5, 0.9))
    assert median == pytest.approx(1.0, abs=0.03)
    assert p90 == pytest.approx(1.8, abs=0.03)


def test_one_class_keeps_its_quantiles(tmp_path: Path) -> None:
    finished = np.array([[50, 0, 0, 7]] * 4)
    made = kpis(tmp_path, {"finished": finished})
    (p90,) = mixed_quantiles(made, (0.9,))
    assert p90 == pytest.approx(made.result.cycle_quantiles[:, 0, QUANTILES.index(0.9)])


def test_a_line_that_finishes_nothing(tmp_path: Path) -> None:
    """Unknown numbers are empty, not zero and not a crash."""
    none = np.zeros((4, 4), dtype=np.int64)
    nan = np.full((4, 4), np.nan)
    empty: dict[str, Any] = {
        "finished": none, "scrapped": none, "on_time": none, "cycle_mean": nan, "cycle_sd": nan,
        "cycle_quantiles": np.full((4, 4, len(QUANTILES)), np.nan), "raw_time": nan,
        "cycle_histogram": result().cycle_histogram * 0, "tardiness": nan,
        "period_finished": result().period_finished * 0,
        "period_cycle": result().period_cycle * 0,
        "order_finished": np.full((4, 2), np.inf), "operations": none, "failed": none,
    }  # fmt: skip
    made = kpis(tmp_path, empty)
    found = {row["kpi"]: row for row in rows(kpi.summary_table(made))}
    assert found["x.throughput"]["p50"] == 0
    assert np.isnan(found["x.cycle_time"]["p50"])
    assert np.isnan(found["x.yield.final"]["p50"])
    assert rows(kpi_flow.cycle_tables(made)[1]) == []
    assert rows(kpi_flow.order_table(made))[0]["p10"] == ""


def test_lots_of_several_pieces(tmp_path: Path) -> None:
    text = LINE.replace("  rack:\n    route", "  rack:\n    pieces: 25\n    route")
    found = {row["kpi"]: row for row in rows(kpi.summary_table(kpis(tmp_path, text=text)))}
    assert found["x.throughput.pieces"]["mean"] == pytest.approx(25 * 54 / 24 * 7)
    assert found["x.throughput.pieces"]["unit"] == "piece/week"


@pytest.mark.parametrize(
    ("report", "label"), [("day", "2026-04-01"), ("week", "2026-04-01"), ("month", "2026-04"),
                          ("quarter", "2026Q2")],
)  # fmt: skip
def test_labels_of_periods(report: str, label: str) -> None:
    assert period_label(parse_date("2026-04-01"), report) == label


def test_report_by_month_has_whole_months(tmp_path: Path) -> None:
    made = kpis(tmp_path, text=LINE + "report: month\n", header=HEADER.replace("31", "60"))
    # 2026-01-05 to 2026-03-06: a part of January, February, a part of March.
    assert made.labels == ["2026-01", "2026-02", "2026-03"]
    assert made.counted.tolist() == [False, True, False]


def test_unknown_replications_do_not_count() -> None:
    found = spread(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    assert found["p50"][0] == 2
    assert np.isnan(found["mean"][1])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(19.24e6, "W", "19.2 MW"), (132e3, "W", "132 kW"), (0.01, "m**3/s", "600 L/min"),
     (11.96, "each", "12")],
)  # fmt: skip
def test_amounts_in_sentences(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_numbers_in_sentences() -> None:
    assert [figure(v) for v in (0.0, 0.01234, 1234.5, float("nan"))] == [
        "0",
        "0.0123",
        "1,230",
        "-",
    ]
    assert [percent(v) for v in (0.0, 0.004, 0.0996, 0.956)] == ["0 %", "0.4 %", "10 %", "96 %"]
