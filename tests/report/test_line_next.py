"""The report of an explanation of a line, and of a forecast from its state."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
from tests.report.html_page import Page
from tests.report.test_lines import page_of, sections

from firsttoken.twin.result_table import ResultTable

FIXED = {"scenario": "base", "line": "houston"}


def table(name: str, rows: list[dict[str, Any]]) -> ResultTable:
    whole = [FIXED | row for row in rows]
    return ResultTable(name, {key: [row[key] for row in whole] for key in whole[0]})


def change(rank: int, name: str, parameter: str, gain: float, sure: bool) -> dict[str, Any]:
    return {
        "kind": "station", "name": name, "parameter": parameter, "rank": rank, "step": "+1",
        "unit": "rack/week", "throughput": gain, "low": gain - 1, "high": gain + 1,
        "share": gain / 400, "cycle_time": -2.0, "cycle_time_low": -3.0, "cycle_time_high": -1.0,
        "sure": sure, "replications": 40,
        "sentence": f"{name}: one more server = +{gain} racks a week (+1 %; 2 to 4)",
    }  # fmt: skip


def analysis(sure: bool = True) -> list[ResultTable]:
    changes = [change(1, "burn_in", "servers", 3.2, sure), change(2, "pack", "servers", 0.1, False)]
    buffers = [
        {"station": name, "places": now, "best": best, "unit": "rack/week", "throughput": 400.0,
         "throughput_best": 404.0, "gain": 4.0, "gain_low": 1.0, "gain_high": 7.0, "splits": 21,
         "exhaustive": True, "decided": True}
        for name, now, best in (("cabling", 4, 2), ("burn_in", 2, 4))
    ]  # fmt: skip
    floor = [
        {"station": "burn_in", "budget": "test_power", "rate_unit": "rack/week", "rate": 400.0,
         "time": 48.0, "first_pass": 0.9, "slots_law": 127.0, "slots": 126.0, "slots_low": 125.0,
         "slots_high": 127.5, "unit": "kW", "draw_law": 16764.0, "draw": 16632.0,
         "draw_low": 16500.0, "draw_high": 16800.0, "level": 20000.0, "servers": 140.0,
         "servers_law": 127.0}
    ]  # fmt: skip
    return [table("line_sensitivity", changes), table("line_buffers", buffers),
            table("line_test_floor", floor)]  # fmt: skip


def summary() -> ResultTable:
    row = {
        "kpi": "houston.throughput",
        "label": "racks a week",
        "unit": "rack/week",
        "p10": 387.0,
        "p50": 400.0,
        "p80": 408.0,
        "p90": 412.0,
        "mean": 400.0,
        "interval": 2.0,
    }
    return table("line_summary", [row])  # fmt: skip


def test_what_to_change_next(tmp_path: Path) -> None:
    page = page_of(tmp_path, [summary(), *analysis()])
    assert Page(page).problems == []
    assert "line-houston-gains" in sections(page)
    said = html.unescape(page)
    assert "Burn in: one more server brings +3.2 racks a week</h2>" in said
    assert "+3.2 racks a week" in said
    # The law and the simulation stand side by side; the change that is not sure is in the table.
    assert "16.8 MW" in said
    assert "16.6 MW" in said
    assert "Pack: servers" in said
    assert "4 racks/week more (1 to 7)" in said


def test_nothing_that_would_surely_help(tmp_path: Path) -> None:
    page = page_of(tmp_path, [summary(), *analysis(sure=False)])
    assert Page(page).problems == []
    assert "No small change alone would surely give more" in page


def forecast(metric: str, start: float, step: float) -> list[dict[str, Any]]:
    bands = ("p5", "p10", "p25", "p50", "p75", "p90", "p95")
    return [
        {"product": "all", "lot_class": "all", "metric": metric,
         "period": f"2027-03-{1 + 7 * i:02d} 06:00", "label": f"2027-03-{1 + 7 * i:02d}",
         "end": f"2027-03-{8 + 7 * i:02d} 00:00", "unit": "rack", "mean": start + step * i,
         **dict(zip(bands, np.linspace(0.9, 1.1, 7) * (start + step * i), strict=True))}
        for i in range(4)
    ]  # fmt: skip


def test_a_forecast_from_a_state(tmp_path: Path) -> None:
    orders = [
        {"order": "cloud", "product": "gb300", "customer": "", "lots": 40, "due": "2027-03-20",
         "p10": "2027-03-16", "p50": "2027-03-18", "p90": "", "complete": 0.95, "on_time": 0.7,
         "on_time_low": 0.66, "on_time_high": 0.74}
    ]  # fmt: skip
    rows = [*forecast("finished", 100, 0), *forecast("finished_in_all", 100, 100),
            *forecast("wip", 130, 0)]  # fmt: skip
    tables = [table("line_forecast", rows), table("line_forecast_orders", orders)]
    page = page_of(tmp_path, tables)
    assert Page(page).problems == []
    assert sections(page) == ["line-houston-forecast", "line-houston-orders", "run"]
    said = html.unescape(page)
    # Four weeks of a hundred racks; the tenth percentile is 28/30 of the median here.
    assert "400 racks by 29 Mar 2027 in the median future, 373 to 427" in said
    assert "60 futures from the state of the line on 1 Mar 2027" in said
    assert "The order is on time in 70\N{NO-BREAK SPACE}% of the futures" in said
