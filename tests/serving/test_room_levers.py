"""What limits a service and what a tenth more brings, against cases with one answer."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.levers import Setting, levers, point_of, served, shares
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import GENERIC
from firsttoken.serving.system import Layout

INF = float("inf")
LLAMA = Setting(
    architecture=library_architecture("llama3_1_70b"),
    hardware=library_hardware("h100_sxm"),
    layout=Layout(4.0, 1.0, 1.0, 1.0, 4.0, 8.0, 8.0, 8.0, 8.0),
    engine=GENERIC,
    prompt=1000.0,
    output=500.0,
    cached=0.0,
    sequences=64.0,
    speed=1.0,
    ttft=INF,
    tpot=INF,
    e2e=INF,
)


def by_name(setting: Setting, flight: float) -> dict[str, tuple[float, float]]:
    return {lever.name: (lever.served, lever.pace) for lever in levers(setting, flight)}


def test_faster_software_is_faster_by_just_that() -> None:
    served_more, pace = by_name(LLAMA, 8.0)["speed"]
    assert served_more == pytest.approx(0.1)
    assert pace == pytest.approx(1 / 1.1 - 1)


def test_one_sequence_waits_for_bandwidth_not_for_arithmetic() -> None:
    """Decoding one sequence reads all weights for two operations a byte (roofline)."""
    found = by_name(LLAMA, 1.0)
    assert found["bandwidth"][1] < -0.04
    assert abs(found["arithmetic"][1]) < 0.01
    assert found["memory"][1] == pytest.approx(0.0, abs=1e-9)
    told = shares(LLAMA, 1.0)
    assert next(iter(told)) == "dense"
    assert sum(told.values()) == pytest.approx(1.0)


def test_a_goal_ends_the_load_where_it_is_reached() -> None:
    """Within the goal at the load that is found, and beyond it a little above."""
    free = served(LLAMA)
    assert (free.bound, free.flight) == ("sequences", 64.0)
    latency = float(point_of(LLAMA, np.array([16.0])).tpot[0])
    held = served(LLAMA._replace(tpot=latency))
    assert held.bound == "tpot"
    assert held.flight == pytest.approx(16.0, rel=0.02)
    assert held.tokens < free.tokens
    found = by_name(LLAMA._replace(tpot=latency), 16.0)
    assert found["tpot_goal"][0] > 0.05
    assert found["sequences"][0] == pytest.approx(0.0, abs=1e-9)


def test_a_goal_that_nobody_reaches() -> None:
    assert served(LLAMA._replace(tpot=1e-6)).tokens == 0.0


def test_memory_ends_the_load_of_long_contexts() -> None:
    """Weights of 70 GB on 4 x 80 GB leave about 55 GB a GPU: KV of 160 KiB a token in FP8."""
    long = LLAMA._replace(prompt=60_000.0, output=2000.0, sequences=512.0)
    found = served(long)
    assert found.bound in ("memory", "speed")
    # 4 x (0.9 x 80 - 17.6) GB over 163,840 B a token, 61,000 tokens a sequence
    room = 4 * (0.9 * 80e9 - 17.6e9) / 163_840 / 61_000
    assert found.flight <= room * 1.05
