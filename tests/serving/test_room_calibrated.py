"""Services as measured points see them: the median is met, and the bands hold the interval."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serving.factories import factory, tables

MEASURED = {
    "accelerators.pool": {"part": "h200_sxm", "count": 8},
    "services.chat.model": "llama3_1_70b",
    "services.chat.engine": {"name": "trtllm"},
    "services.chat.parallel": {"tensor": 8},
    "services.chat.replicas": 1,
    "services.chat.traffic.users": {
        "rate": "1 request/s",
        "prompt": "1000 token",
        "output": "200 token",
    },
    "services.chat.slo": {},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    folder = tmp_path_factory.mktemp("calibrated")
    return tables(folder, factory(**MEASURED), replications=60, horizon="3 minute")


def test_the_simulation_meets_the_calibration(
    found: dict[str, list[dict[str, float]]],
) -> None:
    """P10 and P90 lie at 1.28 of the 1.64 standard deviations of a 90 % interval."""
    told = {row["metric"]: row for row in found["serving_calibration"]}
    tpot = next(r for r in found["serving_summary"] if r["kpi"] == "x.chat.tpot_p50")
    assert tpot["p50"] == pytest.approx(told["tpot"]["value"], rel=0.15)
    assert told["tpot"]["low"] < tpot["p10"] < tpot["p50"] < tpot["p90"] < told["tpot"]["high"]
    share = (1.2816 / 1.6449) * 2
    wide = told["tpot"]["high"] / told["tpot"]["low"]
    assert tpot["p90"] / tpot["p10"] == pytest.approx(wide ** (share / 2), rel=0.25)


def test_it_is_an_input_with_its_source(found: dict[str, list[dict[str, object]]]) -> None:
    rows = [r for r in found["serving_inputs"] if str(r["path"]).endswith("engine.error")]
    assert len(rows) == 1
    assert "measured points" in str(rows[0]["source"])


def test_a_model_that_nobody_measured_stays_with_the_physics(tmp_path: Path) -> None:
    mine = {"mine": {"part": "llama3_1_70b", "layers": 60, "parameters": 0}}
    changes = {**MEASURED, "models": mine, "services.chat.model": "mine"}
    found = tables(tmp_path, factory(**changes), horizon="1 minute")
    assert "serving_calibration" not in found


POOLS = {
    **MEASURED,
    "accelerators.pool": {"part": "h200_sxm", "count": 16},
    "services.chat.prefill": {"parallel": {"tensor": 4}, "replicas": 2},
}


def test_pools_apart_are_corrected_each_by_itself(tmp_path: Path) -> None:
    """The bands of the simulation lie in the interval that is told; what binds is told too."""
    found = tables(
        tmp_path, factory(**POOLS), replications=24, horizon="3 minute", engines=("explain",)
    )
    told = {row["metric"]: row for row in found["serving_calibration"]}
    assert set(told) == {"tpot", "speed", "prefill_speed"}
    for row in told.values():
        assert row["low"] < row["value"] < row["high"]
        assert row["known"]
    tpot = next(r for r in found["serving_summary"] if r["kpi"] == "x.chat.tpot_p50")
    assert tpot["p50"] == pytest.approx(told["tpot"]["value"], rel=0.15)
    assert told["tpot"]["low"] < tpot["p10"] < tpot["p90"] < told["tpot"]["high"]
    assert "a replica that decodes, with 2 that prefill for it" in str(
        found["serving_binding"][0]["sentence"]
    )
    assert {"prefill", "decode"} <= {row["lever"] for row in found["serving_levers"]}
