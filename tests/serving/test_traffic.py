"""Traffic: traces as published, what is wrong with others, scaling, and what is made up."""

from __future__ import annotations

import gzip
import json
import lzma
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from firsttoken.kernel import codes
from firsttoken.serving.requests_system import Requests, requests_of
from firsttoken.serving.traffic_generate import Drawn, Generator, Stream, gap_of
from firsttoken.serving.traffic_scale import merged, of_tenant, repeated, scaled, select
from firsttoken.serving.traffic_trace import read_trace, read_trace_file
from firsttoken.twin.findings import TwinError, UsageError


def drawn(code: int, *args: float) -> Drawn:
    return Drawn(code, np.array([*args, *[0.0] * (4 - len(args))]))


# Files.


@pytest.mark.parametrize(
    ("name", "requests", "prompt", "output"),
    [("azure2023_conv.csv.gz", 19366, 1155, 211), ("azure2023_code.csv.gz", 8819, 2048, 28)],
)
def test_azure_traces_are_those_of_splitwise(
    shared_data: Path, name: str, requests: int, prompt: int, output: int
) -> None:
    # Patel et al., Splitwise, ISCA 2024: counts and mean lengths of the two traces.
    found = read_trace_file(shared_data / "llm_traces" / name)
    assert found.format == "Azure"
    assert len(found.requests.arrival) == requests
    assert round(found.requests.prompt.mean()) == prompt
    assert round(found.requests.output.mean()) == output
    assert found.requests.arrival[0] == 0.0
    assert 57 * 60 < found.requests.arrival[-1] < 59 * 60


def test_mooncakes_trace_is_that_of_the_paper(shared_data: Path) -> None:
    # Qin et al., Mooncake, FAST 2025: 12,031 requests of an hour, 12,035 and 343 tokens on
    # average, 36.6 % of the blocks known from earlier requests.
    found = read_trace_file(shared_data / "llm_traces" / "mooncake_conversation.jsonl.xz")
    r = found.requests
    assert (found.format, found.hash_block) == ("Mooncake", 512)
    assert len(r.arrival) == 12031
    assert (round(r.prompt.mean()), round(r.output.mean())) == (12035, 343)
    seen: set[int] = set()
    known = 0
    for low, high in zip(r.first[:-1], r.first[1:], strict=True):
        row = r.hashes[low:high].tolist()
        known += next((i for i, h in enumerate(row) if h not in seen), len(row))
        seen.update(row)
    assert known / len(r.hashes) == pytest.approx(0.366, abs=0.0005)


def test_burstgpt_requests_that_failed_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "BurstGPT.csv"
    path.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,ChatGPT,1087,0,1087,Conversation log\n"
        "118,GPT-4,417,276,693,API log\n"
    )
    found = read_trace_file(path)
    assert (found.format, found.failed) == ("BurstGPT", 1)
    assert found.requests.arrival.tolist() == [0.0, 113.0]
    assert found.requests.output.tolist() == [18, 276]


def test_qwen_conversations_are_sessions(tmp_path: Path) -> None:
    rows = [
        {"chat_id": 1, "parent_chat_id": -1, "timestamp": 10.5, "turn": 1, "hash_ids": [1, 2]},
        {"chat_id": 2, "parent_chat_id": -1, "timestamp": 11.0, "turn": 1, "hash_ids": [3]},
        {"chat_id": 3, "parent_chat_id": 1, "timestamp": 12.0, "turn": 2, "hash_ids": [1, 2, 4]},
        {"chat_id": 4, "parent_chat_id": 3, "timestamp": 13.0, "turn": 3, "hash_ids": [1, 2, 5]},
    ]
    path = tmp_path / "qwen.jsonl.xz"
    with lzma.open(path, "wt") as stream:
        for row in rows:
            row |= {"input_length": 30, "output_length": 4, "type": "text"}
            stream.write(json.dumps(row) + "\n")
    found = read_trace_file(path)
    assert (found.format, found.hash_block) == ("Qwen-Bailian", 16)
    assert found.requests.session.tolist() == [0, 1, 0, 0]
    assert found.requests.hashes.tolist() == [0, 1, 2, 0, 1, 3, 0, 1, 4]


def test_plain_files_have_tenants_sessions_and_hashes(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv.gz"
    with gzip.open(path, "wt") as stream:
        stream.write("Arrival, Prompt, Output, Session, Tenant, Cached, Hash_ids\n")
        stream.write(
            "1.5, 100, 10, x, paid, 20, 7;8\n2, 90, 3, y, free, 0,\n9, 10, 1, x, paid, , 7\n"
        )
    found = read_trace_file(path)
    assert found.tenants == ("free", "paid")
    assert found.requests.tenant.tolist() == [1, 0, 1]
    assert found.requests.session.tolist() == [0, 1, 0]
    assert found.requests.cached.tolist() == [20, 0, 0]
    assert np.diff(found.requests.first).tolist() == [2, 0, 1]


def test_times_may_be_dates(tmp_path: Path) -> None:
    path = tmp_path / "dates.csv"
    path.write_text(
        "arrival,prompt,output\n2026-01-05 23:59:59.5,5,5\n2026-01-06T00:00:01.2500000,5,5\n"
    )
    assert read_trace(path).arrival.tolist() == [0.0, 1.75]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("arrival,prompt,output\n", "there is no request in it"),
        ("", "there is no request in it"),
        ("time,in,out\n1,2,3\n", "t.csv:2: error: no known kind of trace has the columns"),
        ("arrival,prompt,output\n5,3,3\n4,3,3\n", "t.csv:3: error: it arrives before the request"),
        ("arrival,prompt,output\n5,nan,3\n", "t.csv:2: error: prompt is 'nan'"),
        ("arrival,prompt,output\n5,,3\n", "prompt is missing"),
        ("arrival,prompt,output\nsoon,3,3\n", "arrival is 'soon'"),
        ("arrival,prompt,output\n1,3.5,3\n", "prompt is '3.5'"),
        ("arrival,prompt,output\n1,3,0\n", "3 tokens of prompt and 0 of answer"),
        ("arrival,prompt,output\ninf,3,1\n", "arrival is 'inf'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TwinError) as error:
        read_trace(path)
    assert says in str(error.value)


def test_damaged_files_are_findings(tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    whole = gzip.compress(b"arrival,prompt,output\n" + b"1,2,3\n" * 100)
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TwinError, match="it cannot be read"):
        read_trace(cut)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"arrival": 1, "prompt": 3, "output": 2}\n{"arrival": 1,\n[1]\n')
    with pytest.raises(TwinError) as error:
        read_trace(bad)
    assert "bad.jsonl:2: error: it is not JSON" in str(error.value)
    assert "bad.jsonl:3: error: it is not a JSON object" in str(error.value)
    with pytest.raises(UsageError, match="there is no trace"):
        read_trace(tmp_path / "none.csv")


def test_a_file_that_is_wrong_throughout_says_so_ten_times(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arrival,prompt,output\n" + "x,1,1\n" * 100)
    with pytest.raises(TwinError) as error:
        read_trace(path)
    assert str(error.value).count("arrival is 'x'") == 10


# Scaling.


def ask(n: int) -> Requests:
    random = np.random.default_rng(2)
    first = np.concatenate([[0], np.cumsum(random.integers(0, 4, n))])
    return requests_of(
        np.sort(random.uniform(0, 100, n)),
        random.integers(1, 1000, n),
        random.integers(1, 1000, n),
        hashes=np.arange(first[-1]),
        first=first,
    )


def test_scaling_by_whole_numbers_keeps_every_request() -> None:
    given = ask(500)
    assert np.array_equal(scaled(given, 1.0, 1, 2).arrival, given.arrival)
    twice = scaled(given, 2.0, 1, 2, jitter=0.0)
    assert np.array_equal(np.sort(twice.prompt), np.sort(np.tile(given.prompt, 2)))
    assert np.array_equal(np.unique(twice.arrival), given.arrival)
    assert len(np.unique(twice.hashes)) == 2 * len(given.hashes)
    assert len(scaled(given, 0.0, 1, 2).arrival) == 0


def test_scaling_by_a_share_is_binomial() -> None:
    given = ask(4000)
    found = scaled(given, 1.3, 1, 2)
    assert stats.binomtest(len(found.arrival) - 4000, 4000, 0.3).pvalue > 1e-3
    assert (np.diff(found.arrival) >= 0).all()
    with pytest.raises(ValueError, match="not negative"):
        scaled(given, -1.0, 1, 2)


def test_repetitions_and_merges() -> None:
    given = ask(50)
    again = repeated(given, 100.0, 250.0)
    assert len(again.arrival) == 100 + (given.arrival < 50.0).sum()
    np.testing.assert_allclose(again.arrival[50:100], given.arrival + 100.0)
    with pytest.raises(ValueError, match="after 10 s"):
        repeated(given, 10.0, 20.0)
    both = merged([of_tenant(given, 0), of_tenant(select(given, np.arange(10)), 1)])
    assert np.bincount(both.tenant).tolist() == [50, 10]
    assert (np.diff(both.arrival) >= 0).all()
    row = int(np.flatnonzero(both.tenant == 1)[3])
    mine = both.hashes[both.first[row] : both.first[row + 1]]
    assert mine.tolist() == given.hashes[given.first[3] : given.first[4]].tolist()


# Generators.


def generator(burstiness: float, rate: np.ndarray, edges: np.ndarray) -> Generator:
    stream = Stream(
        edges,
        rate,
        drawn(codes.LOGNORMAL, 6.0, 1.0),
        drawn(codes.EXPONENTIAL, 200.0),
        burstiness=burstiness,
        cached=0.5,
        entity=3,
    )
    return Generator((stream,))


@pytest.mark.parametrize("burstiness", [0.0, 0.5, 1.0, 3.0])
def test_gaps_have_the_burstiness_that_was_asked_for(burstiness: float) -> None:
    made = generator(burstiness, np.array([50.0]), np.array([0.0, 2000.0])).requests(4)
    gaps = np.diff(made.arrival)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.02 * max(burstiness, 0.1))
    assert gaps.std() / gaps.mean() == pytest.approx(burstiness, rel=0.05, abs=1e-9)


def test_poisson_traffic_is_poisson() -> None:
    made = generator(1.0, np.array([50.0]), np.array([0.0, 500.0])).requests(4)
    assert stats.kstest(np.diff(made.arrival) * 50, "expon").pvalue > 0.01


def test_the_rate_is_followed_and_lengths_are_those_drawn() -> None:
    edges = np.array([0.0, 100.0, 200.0, 400.0])
    made = generator(1.0, np.array([100.0, 0.0, 50.0]), edges).requests(4)
    counts, _ = np.histogram(made.arrival, edges)
    assert counts[1] == 0
    for count in (counts[0], counts[2]):
        assert stats.poisson.sf(count, 1e4) > 1e-3
        assert stats.poisson.cdf(count, 1e4) > 1e-3
    assert np.log(made.prompt).mean() == pytest.approx(6.0, abs=0.03)
    assert made.output.mean() == pytest.approx(200.0, rel=0.03)
    assert np.array_equal(made.cached, made.prompt // 2)


def test_chunks_are_the_whole_in_order() -> None:
    edges = np.array([0.0, 8000.0])
    one = generator(2.0, np.array([40.0]), edges)
    parts = list(one.chunks(1, 0))
    assert len(parts) > 1
    assert all(a.arrival[-1] <= b.arrival[0] for a, b in pairwise(parts))
    whole = one.requests(1)
    assert np.array_equal(np.concatenate([part.prompt for part in parts]), whole.prompt)
    assert not np.array_equal(one.requests(1, 1).prompt[:100], whole.prompt[:100])


def test_a_gap_of_each_burstiness_has_mean_one() -> None:
    code, args = gap_of(2.0)
    assert (code, args[0] * args[1], args[0] * args[1] ** 2) == (codes.GAMMA, 1.0, 4.0)


def test_rates_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        generator(1.0, np.array([-1.0]), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="rising edges"):
        generator(1.0, np.array([1.0]), np.array([1.0, 1.0]))
