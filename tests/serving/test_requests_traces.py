"""The request mode on published traces: what their authors say of them comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.requests_reference import exact_law

from firsttoken.serving.requests_result import RequestResult
from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import LEAST_LOADED, PREFIX, Pool, System, Tenant
from firsttoken.serving.system import StepLaw
from firsttoken.serving.traffic_trace import read_trace

TENANT = (Tenant("chat"),)


def fast(**changes: Any) -> StepLaw:
    """Steps of 5 ms, and 65,536 prompt tokens a second."""
    seconds = np.array([0.0, 2.0**-10, 2.0**-3])
    return exact_law(seconds=seconds, overhead=0.005, kv_second=0.0, pair_second=0.0, **changes)


def mooncake(folder: Path, pool: Pool, horizon: float) -> RequestResult:
    requests = read_trace(folder / "llm_traces" / "mooncake_conversation.jsonl.xz")
    return simulate(System(pool, requests, TENANT, horizon, tick=60.0), 1, 1)


def test_an_endless_cache_finds_mooncakes_36_6_per_cent(shared_data: Path) -> None:
    # Qin et al., Mooncake, FAST 2025: 36.6 % of the blocks of the conversation trace have been
    # asked for before. Steps are so short that each prompt is computed before the next one comes.
    quick = exact_law(kv_tokens=2.0**28, overhead=1e-7)
    quick = quick._replace(seconds=quick.seconds * 0, kv_second=0.0, pair_second=0.0)
    result = mooncake(shared_data, Pool(quick, 1, sequences=2000), 4000.0)
    assert result.finished[0, 0] == 12031
    found = result.found_blocks[0, 0] / result.asked_blocks[0, 0]
    assert found == pytest.approx(0.366, abs=0.0005)
    assert result.evicted[0, 0] == 0


def test_routing_to_known_prefixes_finds_more_of_them(shared_data: Path) -> None:
    # Each replica holds 2 M tokens, eight of them a tenth of all that the trace asks for.
    law = fast(kv_tokens=2.0**21)
    share = {}
    for routing in (LEAST_LOADED, PREFIX):
        result = mooncake(shared_data, Pool(law, 8, routing=routing), 4000.0)
        share[routing] = result.found[0, 0] / result.asked[0, 0]
        assert result.peak_kv[0, 0] <= 1.0
    assert share[LEAST_LOADED] < share[PREFIX] - 0.05
    assert share[PREFIX] <= 0.374


def test_all_tokens_of_the_azure_trace_are_made(shared_data: Path) -> None:
    requests = read_trace(shared_data / "llm_traces" / "azure2023_conv.csv.gz")
    pool = Pool(fast(kv_tokens=2.0**19), 2)
    result = simulate(System(pool, requests, TENANT, 3600.0), 1, 1)
    assert result.finished[0, 0] == 19366
    assert result.made[0, 0] == requests.output.sum()
    assert result.computed[0, 0] == requests.prompt.sum()
    assert result.decoded.sum() == pytest.approx(requests.output.sum())
