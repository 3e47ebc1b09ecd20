"""What limits a service and what a tenth more brings, against cases with one answer."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.levers import Prefill, Setting, busy, levers, point_of, served, shares
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


def apart(replicas: float, **more: float) -> Setting:
    """The same model with prefill on replicas of its own."""
    before = Prefill(LLAMA.hardware, LLAMA.layout, replicas, 1.0)
    return LLAMA._replace(prefill=before, **more)


def test_few_replicas_that_prefill_end_the_load() -> None:
    """A closed queue of one server hands out one prompt each service time (utilisation law)."""
    tight = apart(0.5, prompt=8000.0, output=100.0, sequences=256.0)
    found = served(tight)
    assert found.bound == "prefill"
    # a prompt alone, of many replicas: its service time, and some ms of front end and handover
    alone = apart(64.0, prompt=8000.0, output=2.0, sequences=256.0)
    seconds = float(point_of(alone, np.array([1.0])).ttft[0])
    assert found.tokens / 100.0 == pytest.approx(0.5 / seconds, rel=0.15)
    assert busy(tight, found.tokens) == pytest.approx(1.0, abs=0.06)
    more = by_name(tight, 10.0)
    assert more["prefill"][0] == pytest.approx(0.1, abs=0.02)
    assert more["decode"][0] == pytest.approx(0.0, abs=0.02)
    assert more["arithmetic"][0] > more["bandwidth"][0]


def test_enough_replicas_that_prefill_leave_the_batch_as_the_end() -> None:
    wide = apart(4.0, sequences=64.0)
    found = served(wide)
    assert found.bound == "sequences"
    more = by_name(wide, 32.0)
    assert more["prefill"][0] == pytest.approx(0.0, abs=0.01)
    assert more["decode"][0] == pytest.approx(0.1, abs=0.01)
    assert more["sequences"][0] > 0.02


def test_pools_twice_as_fast_serve_twice_as_much() -> None:
    slow = apart(0.5, prompt=8000.0, output=100.0, sequences=256.0)
    quick = slow._replace(speed=2.0, prefill=slow.prefill and slow.prefill._replace(speed=2.0))
    assert served(quick).tokens == pytest.approx(2.0 * served(slow).tokens, rel=0.05)


def test_drafts_that_are_right_bring_tokens() -> None:
    """Of one token drafted 80 % right: up to 1.8 tokens a step (Leviathan et al., ICML 2023)."""
    plain = float(point_of(LLAMA, np.array([1.0])).tpot[0])
    drafts = LLAMA._replace(accepted=0.8, drafted=1.0)
    assert 1.4 < plain / float(point_of(drafts, np.array([1.0])).tpot[0]) <= 1.8
