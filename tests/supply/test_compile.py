"""What `compile_network` puts into the arrays, seen through the expressions' values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.supply.networks import changed, compiled

from firsttoken.kernel.expressions import evaluate_expressions
from firsttoken.kernel.parameters import evaluate_series, fixed_parameters
from firsttoken.supply.system import System
from firsttoken.twin.dates import WEEK, parse_date
from firsttoken.twin.findings import TwinError

NET = "supply.network."


def levels(system: System) -> np.ndarray:
    """Every expression in every period at the median inputs: float64[E, T]."""
    values = fixed_parameters(system.parameters, "median")
    series = np.empty((system.series.kind.size, system.edges.size - 1))
    evaluate_series(system.series, system.parameters, values, system.edges, 0, -1, series)
    out = np.empty((system.expressions.term.size - 1, system.edges.size - 1))
    evaluate_expressions(system.expressions, series, out)
    return out


def activity(system: System, name: str, array: str) -> np.ndarray:
    """Values of one of an activity's expressions, by period; 1 where it has none."""
    index = getattr(system.network, array)[system.names.activities.index(name)]
    return levels(system)[index] if index >= 0 else np.ones(system.edges.size - 1)


def week(system: System, date: str) -> int:
    """Index of the period that holds a date."""
    return int(np.searchsorted(system.edges, parse_date(date) - system.start, side="right")) - 1


def test_material_flows_downwards(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed({}))
    assert system.names.activities == ("buy", "fly", "assemble")
    assert system.edges.size == 53
    assert system.report.max() == 3 or system.report.max() == 4


def test_rates_are_per_second(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed({}))
    assert activity(system, "buy", "capacity") * WEEK == pytest.approx(720)
    line = levels(system)[system.network.resource_capacity[0]]
    assert line * WEEK == pytest.approx(8)


def test_duty_is_value_times_rate_times_what_is_not_exempt(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed({}))
    assert activity(system, "fly", "duty") == pytest.approx(35_000 * 0.20 * 0.50)


def test_no_duty_on_a_purchase_that_stays_abroad(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed({}))
    assert system.network.duty[system.names.activities.index("buy")] == -1


def test_start_date_closes_an_activity_before_it(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed({NET + "operations.assemble.start": "2025-07-07"}))
    open_ = activity(system, "assemble", "available")
    first = week(system, "2025-07-07")
    assert (open_[:first] == 0).all()
    assert (open_[first:] == 1).all()


def test_calendars_of_site_and_activity_multiply(tmp_path: Path) -> None:
    bucket = [{"start": "2025-02-03", "end": "2025-02-10", "value": 0.5}]
    changes: dict[str, Any] = {
        NET + "calendars": {"half": {"buckets": bucket}},
        NET + "locations.taiwan.available": "half",
        NET + "purchases.buy.available": "half",
    }
    capacity = activity(compiled(tmp_path, changed(changes)), "buy", "capacity") * WEEK
    assert capacity[4] == pytest.approx(720 * 0.25)
    assert capacity[[3, 5]] == pytest.approx(720)


OVERLAPS: dict[str, tuple[list[tuple[str, str, float]], list[float]]] = {
    # name: buckets (start, end, value), expected factor in weeks 0 to 7 (from 2025-01-06)
    "a shut-down within a half-time": (
        [("2025-01-13", "2025-02-17", 0.5), ("2025-01-27", "2025-02-03", 0.0)],
        [1, 0.5, 0.5, 0, 0.5, 0.5, 1, 1],
    ),
    "one that begins before the end of another": (
        [("2025-01-13", "2025-02-03", 0.5), ("2025-01-27", "2025-02-17", 0.25)],
        [1, 0.5, 0.5, 0.25, 0.25, 0.25, 1, 1],
    ),
    "the later listed wins, wherever it lies": (
        [("2025-01-27", "2025-02-03", 0.0), ("2025-01-13", "2025-02-17", 0.5)],
        [1, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1],
    ),
    "listed in no order": (
        [("2025-02-10", "2025-02-17", 0.0), ("2025-01-13", "2025-01-20", 0.5)],
        [1, 0.5, 1, 1, 1, 0, 1, 1],
    ),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_of_overlapping_buckets_the_later_listed_wins(name: str, tmp_path: Path) -> None:
    buckets, expected = OVERLAPS[name]
    listed = [{"start": a, "end": b, "value": v} for a, b, v in buckets]
    changes: dict[str, Any] = {
        NET + "calendars": {"c": {"buckets": listed}},
        NET + "purchases.buy.available": "c",
    }
    open_ = activity(compiled(tmp_path, changed(changes)), "buy", "available")
    assert open_[:8] == pytest.approx(expected)


def test_an_order_fills_the_period_of_its_due_date(tmp_path: Path) -> None:
    order = {"item": "rack", "location": "houston", "quantity": 30, "due": "2025-03-05"}
    system = compiled(tmp_path, changed({NET + "demands.cloud": order}))
    wanted = levels(system)[system.network.demand_rate[0]] * WEEK
    assert wanted[week(system, "2025-03-05")] == pytest.approx(30)
    assert wanted.sum() == pytest.approx(30)


def test_a_lane_of_several_items_shares_its_capacity(tmp_path: Path) -> None:
    changes = {
        NET + "lanes.fly.items": ["package", "rack"],
        NET + "lanes.fly.capacity": "100 each/week",
    }
    system = compiled(tmp_path, changed(changes))
    assert "fly[package]" in system.names.activities
    assert system.names.resources == ("line", "fly")
    shared = levels(system)[system.network.resource_capacity[1]]
    assert shared * WEEK == pytest.approx(100)


DISRUPTIONS: dict[str, tuple[dict[str, Any], str, str, list[float]]] = {
    # name: disruption, activity, array, expected weekly values for weeks 8-12 (from 2025-03-03)
    "closed site": (
        {"close": NET + "locations.taiwan", "from": "2025-03-10", "for": "2 week"},
        "buy",
        "capacity",
        [720, 0, 0, 720, 720],
    ),
    "closed site stops its lanes": (
        {"close": NET + "locations.houston", "from": "2025-03-10", "until": "2025-03-24"},
        "fly",
        "available",
        [1, 0, 0, 1, 1],
    ),
    "capacity lost": (
        {"capacity": NET + "purchases.buy", "factor": 0.5, "from": "2025-03-10", "for": "1 week"},
        "buy",
        "capacity",
        [720, 360, 720, 720, 720],
    ),
    "capacity recovers in a straight line": (
        {
            "capacity": NET + "suppliers.fab",
            "factor": 0,
            "from": "2025-03-10",
            "for": "1 week",
            "recovery": "2 week",
        },
        "buy",
        "capacity",
        [720, 0, 180, 540, 720],
    ),
    "lead time stretched": (
        {"lead_time": NET + "lanes.fly", "factor": 3, "from": "2025-03-10", "for": "1 week"},
        "fly",
        "lead_time",
        [1, 3, 1, 1, 1],
    ),
    "lead time longer": (
        {"lead_time": NET + "lanes.fly", "add": "2 week", "from": "2025-03-10", "for": "1 week"},
        "fly",
        "lead_time",
        [1, 3, 1, 1, 1],
    ),
    "yield lost": (
        {"yield": NET + "operations.assemble", "factor": 0.9, "from": "2025-03-10"},
        "assemble",
        "yield_",
        [1, 0.9, 0.9, 0.9, 0.9],
    ),
    "tariff changed": (
        {"tariff": NET + "tariffs.duty", "rate": "40 %", "from": "2025-03-10", "for": "1 week"},
        "fly",
        "duty",
        [3500, 7000, 3500, 3500, 3500],
    ),
}
SCALE = {"capacity": WEEK, "lead_time": 1 / WEEK, "available": 1, "yield_": 1, "duty": 1}


@pytest.mark.parametrize("name", DISRUPTIONS)
def test_disruption_acts_in_its_time(name: str, tmp_path: Path) -> None:
    disruption, who, array, expected = DISRUPTIONS[name]
    data = changed({"scenarios": {"s": {"disruptions": [disruption]}}})
    values = activity(compiled(tmp_path, data, "s"), who, array) * SCALE[array]
    assert values[8:13] == pytest.approx(expected, abs=1e-3)
    untouched = activity(compiled(tmp_path, data), who, array) * SCALE[array]
    assert untouched[8:13] == pytest.approx(expected[0], rel=1e-9)


def test_slip_moves_the_dates_of_a_ramp_and_a_start(tmp_path: Path) -> None:
    ramp = {"unit": "rack/week", "2025-01-06": 0, "2025-03-10": 8}
    data = changed(
        {
            NET + "resources.line.capacity": ramp,
            NET + "operations.assemble.start": "2025-03-10",
            "scenarios": {
                "late": {
                    "disruptions": [
                        {"slip": NET + "resources.line", "by": "3 week", "from": "2025-02"},
                        {"slip": NET + "operations.assemble", "by": "3 week"},
                    ]
                }
            },
        }
    )
    for scenario, first in ((None, 9), ("late", 12)):
        system = compiled(tmp_path, data, scenario)
        line = levels(system)[system.network.resource_capacity[0]] * WEEK
        assert (line[:first] == 0).all()
        assert line[first:] == pytest.approx(8)
        assert int(np.argmax(activity(system, "assemble", "available") > 0)) == first


def test_loss_touches_stock_and_work_of_the_site(tmp_path: Path) -> None:
    lost = {"lose": NET + "locations.houston", "share": "10 %", "at": "2025-03-10"}
    system = compiled(tmp_path, changed({"scenarios": {"s": {"disruptions": [lost]}}}), "s")
    nodes = [system.names.nodes[n] for n in system.network.loss_node]
    assert nodes == ["package@houston", "rack@houston"]
    assert [system.names.activities[a] for a in system.network.loss_activity] == ["assemble"]


def test_disruption_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    wrong = {"yield": NET + "lanes.fly", "factor": 0.5, "from": "2025-03"}
    data = changed({"scenarios": {"s": {"disruptions": [wrong]}}})
    with pytest.raises(TwinError, match="cannot act on"):
        compiled(tmp_path, data, "s")


def test_a_fact_used_twice_is_one_parameter(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "facts.csv").write_text(
        "id,entity,quantity,low,value,high,unit,valid_from,known_from,confidence,source,note\n"
        "rate,x,capacity,400,500,700,package/week,,2024-01-01,B,somebody,\n"
    )
    data = changed(
        {
            "library": ["mine"],
            NET + "purchases.buy.capacity": "fact(rate)",
            NET + "purchases.more": {
                "supplier": "fab",
                "item": "package",
                "location": "taiwan",
                "capacity": "fact(rate)",
            },
        }
    )
    system = compiled(tmp_path, data)
    assert system.uncertain.size == 1
    (row,) = [row for row in system.inputs if row.once]
    assert row.path == "fact:rate"
    assert row.provenance is not None
    assert row.provenance.source == "somebody"


def test_names_with_dots_can_be_disrupted(tmp_path: Path) -> None:
    """A path is split along the names that the twin declares, not at every dot."""
    net = changed({})["supply"]["network"]
    bought = {**net["purchases"]["buy"], "stage": "buying"}
    lost = {"capacity": NET + "purchases.buy v1.2", "factor": 0.5, "from": "2025-03-10"}
    data = changed(
        {
            NET + "purchases": {"buy v1.2": bought},
            "scenarios": {"s": {"disruptions": [lost]}},
        }
    )
    capacity = activity(compiled(tmp_path, data, "s"), "buy v1.2", "capacity") * WEEK
    assert capacity[8:11] == pytest.approx([720, 360, 360])
