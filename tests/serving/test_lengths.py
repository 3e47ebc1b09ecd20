"""Lengths of flows: the means of their distributions, whatever the tail, and those of traces."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.serving.factories import factory, tables

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable
from firsttoken.serving.lengths import SAMPLE, parts_of, reversed_bits, sample_of


def system(*rows: tuple[int, tuple[float, ...]]) -> Any:
    args = np.array([(*given, *(0.0,) * (4 - len(given))) for _, given in rows])
    code = np.array([code for code, _ in rows])
    entity = np.arange(len(rows), dtype=np.uint32)
    return SimpleNamespace(parameters=ParameterTable(code, args, entity, np.zeros((1, 2))))


@pytest.mark.parametrize(
    ("code", "args", "mean"),
    [
        (codes.LOGNORMAL, (7.0, 1.5), math.exp(7.0 + 1.5**2 / 2)),  # most of it is in the tail
        (codes.EXPONENTIAL, (800.0,), 800.0),
        (codes.GAMMA, (0.5, 4000.0), 2000.0),
        (codes.UNIFORM, (100.0, 900.0), 500.0),
        (codes.TRIANGULAR, (100.0, 200.0, 900.0), 400.0),
        (codes.WEIBULL, (0.7, 1000.0), 1000.0 * math.gamma(1.0 + 1.0 / 0.7)),
        (codes.BETA_PERT, (100.0, 200.0, 900.0, 4.0), (100.0 + 4 * 200.0 + 900.0) / 6.0),
    ],
)
def test_means_are_those_of_the_distribution(
    code: int, args: tuple[float, ...], mean: float
) -> None:
    found = parts_of(system((code, args)), 0)
    assert len(found) == SAMPLE
    assert found.mean() == pytest.approx(mean, rel=2e-3)
    assert (np.diff(found) >= 0.0).all()


def test_prompts_and_answers_are_independent() -> None:
    """All quarters of the one meet all quarters of the other equally often."""
    order = reversed_bits()
    assert (np.sort(order) == np.arange(SAMPLE)).all()
    quarters = np.zeros((4, 4))
    np.add.at(quarters, (np.arange(SAMPLE) * 4 // SAMPLE, order * 4 // SAMPLE), 1)
    assert (quarters == SAMPLE / 16).all()
    both = system((codes.EXPONENTIAL, (500.0,)), (codes.LOGNORMAL, (5.0, 1.0)))
    stream = SimpleNamespace(trace=None, prompt=0, output=1, cached=2)
    sample = sample_of(both, stream, np.array([0.0, 0.0, 0.25]))  # type: ignore[arg-type]
    assert abs(np.corrcoef(sample.prompt, sample.output)[0, 1]) < 0.01
    assert sample.cached == pytest.approx(0.25 * sample.prompt)


TRACE = [
    "arrival,prompt,output",
    *(f"{i / 4},{100 + 13 * i % 3000},{10 + i % 90}" for i in range(1600)),
]


def test_a_trace_has_its_own_prompts_in_every_replication(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(TRACE))
    whole = sum(100 + 13 * i % 3000 for i in range(1600))
    changes = {
        "services.chat.traffic": {"users": {"trace": "t.csv"}},
        "services.chat.mode": "fluid",
    }
    found = tables(tmp_path, factory(**changes), horizon="10 minute", replications=3)
    rows = [r for r in found["serving_summary"] if r["kpi"] == "x.chat.prompt_tokens"]
    assert len(rows) == 1
    assert rows[0]["p10"] == pytest.approx(rows[0]["p90"], rel=1e-6)
    assert rows[0]["p50"] * 600 == pytest.approx(whole, rel=2e-3)


def test_tenants_reach_their_goals_in_both_modes(tmp_path: Path) -> None:
    """The same service as flows and as requests; goals that about two thirds reach."""
    parts = {}
    for mode in ("requests", "fluid"):
        changes = {
            "services.chat.mode": mode,
            "services.chat.traffic.users.rate": "24 request/s",
            "services.chat.slo": {"e2e": "4 s"},
        }
        found = tables(tmp_path, factory(**changes), horizon="8 minute", replications=1)
        row = next(r for r in found["serving_tenants"] if r["metric"] == "attained")
        parts[mode] = row["p50"], found["serving_latency"]
    low, high = sorted((parts["requests"][0], parts["fluid"][0]))
    assert 10.0 < low < 90.0  # %
    assert high - low < 3.0
    first = {
        mode: next(r for r in rows if r["metric"] == "ttft")["p50"]
        for mode, (_, rows) in parts.items()
    }
    assert first["fluid"] == pytest.approx(first["requests"], rel=0.15)
