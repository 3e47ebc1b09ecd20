"""Ports of a line: rates and lead times as other rooms draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.line.fake_result import LINE, WEEK, R, kpis

from firsttoken.line.kpi_ports import line_ports
from firsttoken.line.room import port_names
from firsttoken.twin.dates import parse_date
from firsttoken.twin.values import Constant, Distribution, Series

YEAR = "horizon: 52 week\nreplications: 4"
ALWAYS = LINE.replace("warmup: 1 week", "warmup: 0 week")


def levels(port: object) -> np.ndarray:
    """Levels by replication, in ascending order, and period: [R, knots]."""
    assert isinstance(port, Series)
    columns = []
    for _, level in port.knots:
        if isinstance(level, Constant):
            columns.append(np.full(R, level.value))
        else:
            assert isinstance(level, Distribution)
            columns.append(np.array([value for value, _ in level.table]))
    return np.array(columns).T


def of_year(folder: Path, weekly: np.ndarray, **changes: Any) -> dict[str, Any]:
    """Ports of a line that makes these racks a week, [R, 52]."""
    made = np.zeros((R, 52, 4), dtype=np.int64)
    made[:, :, 0] = weekly
    changes = {
        "period_finished": made,
        "finished": made.sum(axis=1),
        "time": 52 * WEEK,
        **changes,
    }
    text = changes.pop("text", ALWAYS)
    return line_ports(kpis(folder, changes, text=text, header=YEAR))


def test_every_named_port_is_there(tmp_path: Path) -> None:
    made = kpis(tmp_path)
    assert set(port_names(made.line)) == set(line_ports(made))


def test_levels_follow_the_mean_and_keep_each_replications_total(tmp_path: Path) -> None:
    """A ramp over half a year: by the week on average, by the quarter for each replication."""
    ramp = np.minimum(np.arange(52) // 2, 12)
    weekly = ramp * np.array([[8], [10], [11], [13]])
    port = of_year(tmp_path, weekly)["throughput"]
    assert isinstance(port, Series)
    assert port.kind == "step"
    assert port.knots[0][0] == Constant(parse_date("2026-01-05"))
    moments = [moment.value for moment, _ in port.knots]  # type: ignore[union-attr]
    lengths = np.diff([*moments, parse_date("2026-01-05") + 52 * WEEK])
    found = levels(port)
    assert (found * lengths).sum(axis=1) == pytest.approx(weekly.sum(axis=1))
    edges = parse_date("2026-01-05") + np.arange(52) * WEEK
    by_week = found[:, np.searchsorted(moments, edges, side="right") - 1] * WEEK
    assert by_week.mean(axis=0) == pytest.approx(weekly.mean(axis=0))


def test_chance_of_single_weeks_is_not_counted_as_that_of_years(tmp_path: Path) -> None:
    """Independent Poisson weeks of mean 20: the year's total has a standard deviation of
    sqrt(52 x 20) = 32. Drawn together week by week it would be 52 x sqrt(20) = 233; the four
    quarters drawn together give twice 32."""
    random = np.random.default_rng(5)
    spread = []
    for trial in range(60):
        folder = tmp_path / str(trial)
        folder.mkdir()
        port = of_year(folder, random.poisson(20, (R, 52)))["throughput"]
        spread.append(np.var((levels(port) * _lengths(port)).sum(axis=1), ddof=1))
    deviation = np.sqrt(np.mean(spread))
    assert 32 <= deviation <= 80


def _lengths(port: Series) -> np.ndarray:
    moments = [moment.value for moment, _ in port.knots]  # type: ignore[union-attr]
    return np.diff([*moments, moments[0] + 52 * WEEK])


def test_the_warm_up_takes_the_rates_after_it(tmp_path: Path) -> None:
    weekly = np.full((R, 52), 10)
    weekly[:, :4] = 0
    text = LINE.replace("warmup: 1 week", "warmup: 4 week")
    finished = np.zeros((R, 4), dtype=np.int64)
    finished[:, 0] = 480
    port = of_year(tmp_path, weekly, text=text, finished=finished, time=48 * WEEK)["throughput"]
    assert levels(port)[:, 0] * WEEK == pytest.approx(10)
    assert levels(port)[:, -1] * WEEK == pytest.approx(10)


def test_the_last_days_go_with_the_week_before(tmp_path: Path) -> None:
    """31 days: the last three are told together with the week before."""
    port = line_ports(kpis(tmp_path))["throughput"]
    assert isinstance(port, Series)
    last = port.knots[-1][0]
    assert isinstance(last, Constant)
    assert last.value == parse_date("2026-01-26")


def test_pieces_are_counted_not_lots(tmp_path: Path) -> None:
    text = ALWAYS.replace("  rack:\n    route", "  rack:\n    pieces: 25\n    route")
    port = of_year(tmp_path, np.full((R, 52), 10), text=text)["throughput"]
    assert levels(port)[:, 0] * WEEK == pytest.approx(250)


def test_a_steady_rate_is_one_constant(tmp_path: Path) -> None:
    port = of_year(tmp_path, np.full((R, 52), 10))["throughput"]
    assert isinstance(port, Series)
    ((_, level),) = port.knots
    assert isinstance(level, Constant)
    assert level.value == pytest.approx(10 / WEEK)


def test_lead_time_is_each_replications_mean(tmp_path: Path) -> None:
    made = kpis(tmp_path)
    port = line_ports(made)["lead_time"]
    assert isinstance(port, Distribution)
    assert port.kind == "empirical"
    expected = [
        factor * 3600 * (96 * lots + 60 * 4 + 72 * 4) / (lots + 8)
        for factor, lots in ((0.9, 40), (1.0, 44), (1.1, 48), (1.2, 52))
    ]
    assert [value for value, _ in port.table] == pytest.approx(expected)
    assert [share for _, share in port.table] == [0.25, 0.5, 0.75, 1.0]


def test_without_a_finished_lot_there_is_no_lead_time(tmp_path: Path) -> None:
    none = np.zeros((R, 4), dtype=np.int64)
    ports = line_ports(kpis(tmp_path, {"finished": none}))
    assert not [name for name in ports if name.endswith("lead_time")]
