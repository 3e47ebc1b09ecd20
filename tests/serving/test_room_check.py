"""What `check` says of token factories that cannot be: each named with what would fix it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.serving.factories import check, factory, twin_of, write

from firsttoken import api
from firsttoken.serving.check import View
from firsttoken.twin.findings import Findings

TRAFFIC = "services.chat.traffic.users"
PARALLEL = "services.chat.parallel"
H100 = {"part": "h100_sxm", "count": 64}


def test_a_factory_without_faults(tmp_path: Path) -> None:
    assert check(tmp_path, factory()) == ""


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    # layouts: Qwen3-235B has 64 heads, 4 of keys and values, 128 experts of 1,536 columns
    ({PARALLEL: {"tensor": 3}}, "64 attention heads do not divide by 3", "1, 2, 4, 8, 16, 32, 64"),
    (
        {PARALLEL: {"tensor": 8, "expert": 3, "expert_tensor": 2}},
        "128 experts do not divide by 3",
        "1, 2, 4, 8",
    ),
    (
        {PARALLEL: {"tensor": 8, "expert": 4, "expert_tensor": 1}},
        "experts lie on 4 GPUs of a stage, attention on 8",
        "make expert x expert_tensor = tensor x data",
    ),
    (
        {"accelerators.pool": H100, PARALLEL: {"tensor": 16}, "services.chat.replicas": 1},
        "16 tensor ranks reach beyond an NVLink domain of 8",
        "take tensor: 8, and pipeline: 2",
    ),
    ({"accelerators.pool.count": 2}, "one replica takes 4 GPUs, 'pool' has 2", "more GPUs"),
    ({PARALLEL: {"pipeline": 95}}, "95 stages for 94 layers", "less stages"),
    # memory: 235 GB of weights in FP8 on GPUs of 80 GB
    (
        {"accelerators.pool": H100, PARALLEL: {"tensor": 2}},
        "the weights take 118 GB on each GPU, 90% of its memory are 77 GB",
        "take tensor: 4, or a narrower format",
    ),
    # formats
    (
        {
            "accelerators.pool": H100,
            PARALLEL: {"tensor": 8},
            "services.chat.precision": {"weights": "nvfp4", "compute": "nvfp4"},
        },
        "'pool' does not multiply NVFP4, its data sheet gives no peak for it",
        "compute in bf16 or fp8, or take another GPU",
    ),
    # goals
    (
        {"services.chat.slo": {"tpot": "1 ms"}},
        "TPOT of 0.001 s cannot be reached",
        "narrower formats, or ease the goal",
    ),
    ({"services.chat.slo": {"ttft": "1 ms"}}, "TTFT of 0.001 s cannot be reached", "ease the goal"),
    (
        {"services.chat.engine": {"chunk": 256}},
        "a step of 256 tokens, while 256 of decoding sequences may be in it",
        "more than 256 tokens, or less",
    ),
    # 72 GPUs of GB300 take 72 x (170 + 475) W at rest, or 72 x (173 + 493) W in the mean
    ({"power_cap": "40 kW"}, "a cap of 40.0 kW cannot be kept", "raise it, or close GPUs"),
    # autoscaling
    ({"services.chat.scaling": {"target": 0}}, "a target of no load", "70 % is usual"),
    (
        {"services.chat.scaling": {"least": 3, "most": 2}},
        "at least 3 replicas, and at the most 2",
        "give `most` as many or more",
    ),
    # names
    ({"services.chat.model": "qwen3_235"}, "'qwen3_235' is no language model", "'qwen3_235b'"),
    ({"accelerators.pool.part": "gb301"}, "'gb301' is no accelerator of the library", "'gb300'"),
    ({"services.chat.on": "poool"}, "'poool' is no pool of GPUs", "did you mean 'pool'?"),
    (
        {"accelerators.other": {"part": "gb300", "count": 8}},
        "'on' is missing",
        "name one of pool, other",
    ),
    # sizes
    ({"services.chat.gpus": 16}, "'replicas' and 'gpus' both say how many replicas", "keep one"),
    ({"accelerators.pool.racks": 1}, "'count' and 'racks' both say how many GPUs", "keep one"),
    ({"accelerators.pool.count": None}, "'count' is missing", "write it"),
    ({"accelerators.pool.mtbf": "5 year"}, "'mtbf' is read with 'mttr' only", "give 'mttr'"),
    (
        {"services.chat.replicas": 0},
        "there is never a replica, 'replicas' gives 0 GPUs and one takes 4",
        "smaller layout",
    ),
    (
        {"services.chat.replicas": None, "services.chat.gpus": 3},
        "there is never a replica, 'gpus' gives 3 GPUs and one takes 4",
        "smaller layout",
    ),
    ({"services.chat.replicas": 1000}, "'replicas' asks for 4,000 GPUs", "ask for less"),
    (
        {"services.chat.engine": {"name": "vlmm"}},
        "no measured points of an engine 'vlmm', it counts as fast as the mean of all",
        "known are ",
    ),
    # traffic
    ({"services.chat.traffic": {}}, "no requests come", "declare them"),
    ({f"{TRAFFIC}.prompt": None}, "'prompt' is missing", "write it"),
    ({f"{TRAFFIC}.rate": None}, "'rate' is missing", "write it"),
    ({f"{TRAFFIC}.day": [1.0, 2.0]}, "2 factors stand in 'day'", "write 24 of them, or none"),
    ({f"{TRAFFIC}.week": [0.0] * 7}, "all factors in 'week' are 0", "no request would ever come"),
    ({f"{TRAFFIC}.repeat": True}, "'repeat' is read with a trace only", "remove it"),
    ({f"{TRAFFIC}.trace": "a.csv"}, "'rate' is read without a trace only", "the trace tells it"),
    ({f"{TRAFFIC}.prompt": ".nan token"}, "'.nan token' is not a quantity", "token"),
    ({f"{TRAFFIC}.output": "-5 token"}, "-5 token is out of range", ">= 0"),
    (
        {f"{TRAFFIC}.output": "0 token"},
        "'output' has 0 tokens in the mean, a request has at least one of each",
        "give 1 or more",
    ),
    ({f"{TRAFFIC}.prompt": "uniform(0, 1) token"}, "'prompt' has 0.5 tokens", "give 1 or more"),
    ({f"{TRAFFIC}.rate": "0 request/s"}, "no request ever comes: 'rate' is 0", "give it a rate"),
    ({f"{TRAFFIC}.scale": 0}, "no request ever comes: 'scale' is 0", "give it a rate"),
    # what is lost or waits without a word
    (
        {"services.chat.replicas": None, "services.chat.gpus": 5},
        "5 GPUs are no whole number of replicas of 4, 1 of them is never used by it",
        "give 4 or 8",
    ),
    ({"step": "1 hour"}, "a step of 3,600 s in a horizon of 600 s", "take a shorter step"),
    ({"step": "1 us"}, "600,000,000 steps of 1e-06 s are too many", "take steps of 1.8e-05 s"),
    # too much of anything
    (
        {"accelerators.pool.count": 9e7, "services.chat.replicas": 2e7},
        "20,000,000 replicas with 5,120,000,000 sequences in all are too many",
        "take mode `fluid`",
    ),
    (
        {f"{TRAFFIC}.rate": "1e6 request/s"},
        "1,200,000,000 requests are simulated one by one",
        "take mode `fluid` or `hybrid`",
    ),
    ({"services.chat.engine": {"sequences": 10**9}}, "less than or equal to 65536", ""),
    ({PARALLEL: {"tensor": 10**12}}, "less than or equal to 1048576", ""),
    # a layout that is to be found, and is not: 405 billion parameters on two GPUs
    (
        {
            "accelerators.pool": {"part": "h100_sxm", "count": 2},
            "services.chat.model": "llama3_1_405b",
            PARALLEL: None,
            "services.chat.replicas": None,
        },
        "no layout serves it, the model does not fit: its weights take 4",
        "or declare `parallel`",
    ),
    # a plan that is asked for beside a layout
    (
        {"services.chat.search": {"gpus": 100_000}},
        "a search on 100,000 GPUs, 'pool' has 72",
        "ask for less",
    ),
    (
        {
            "accelerators.pool": H100,
            PARALLEL: {"tensor": 8},
            "services.chat.search": {"precisions": ["nvfp4"]},
        },
        "'pool' does not multiply NVFP4: weights are widened on the way",
        "no faster to multiply",
    ),
    (
        {"services.chat.search": {"power": "100 W"}},
        "no plan is found, the model does not fit",
        "remove `search`",
    ),
    (
        {"services.chat.search": {"gpus": 1, "precisions": ["bf16"]}},
        "no plan is found, the model does not fit",
        "remove `search`",
    ),
    (
        {"services.chat.search": {"rate": "1e6 request/s"}},
        "no plan is found, the budget does not suffice for 1e+06 requests/s",
        "remove `search`",
    ),
    # half batches: Qwen3-235B on tensor ranks alone, and Llama, which is dense
    (
        {"services.chat.engine": {"overlap": 0.5}},
        "there is no exchange between ranks of experts to overlap, it has one rank of data",
        "remove it",
    ),
    (
        {
            "services.chat.engine": {"overlap": 0.5},
            "services.chat.model": "llama3_1_8b",
            PARALLEL: {"tensor": 1, "data": 4},
        },
        "there is no exchange between ranks of experts to overlap, a dense model has none",
        "remove it",
    ),
    # what is not read
    ({"power_first": "services"}, "'power_first' is read with `power_cap` only", "or remove it"),
    (
        {"power_first": "services", "power_cap": "90 kW"},
        "'power_first' is read with `training` only",
        "or remove it",
    ),
    # what no engine knows
    (
        {"services.chat.precision": {"weights": "fp3"}},
        "bf16",
        "fp8",
    ),
    ({"services.chat.sample": 7}, "'sample' is read in mode `hybrid` only", "mode: hybrid"),
    ({"services.chat.engine": {"release": "1.0"}}, "a release without the engine's name", "vllm"),
    (
        {"services.chat.engine": {"prefix_cache": False}, "services.chat.routing": "prefix"},
        "routing by prefix without a prefix cache",
        "route to the least loaded",
    ),
]


@pytest.mark.parametrize(("changes", "what", "hint"), FAULTS, ids=[fault[1] for fault in FAULTS])
def test_faults_are_named_with_what_would_fix_them(
    tmp_path: Path, changes: dict[str, Any], what: str, hint: str
) -> None:
    said = check(tmp_path, factory(**changes))
    assert what in said
    assert hint in said
    assert "twin.yaml:" in said.splitlines()[0]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    changes = {
        "accelerators.pool.part": "gb301",
        "services.chat.model": "qwen3_235",
        f"{TRAFFIC}.day": [1.0],
    }
    said = check(tmp_path, factory(**changes))
    assert said.count("error") == 3


def test_traces_that_cannot_be_used(tmp_path: Path) -> None:
    """Files that are missing, empty, unsorted, or hold what is no number; each line is named."""
    traffic = {"services.chat.traffic": {"users": {"trace": "t.csv"}}}
    missing = check(tmp_path, factory(**traffic))
    text = (tmp_path / "twin.yaml").read_text().splitlines()
    line = next(k for k, row in enumerate(text, 1) if "t.csv" in row)
    assert missing.startswith(f"{tmp_path / 'twin.yaml'}:{line}: error: ")
    assert "there is no file 't.csv'" in missing
    cases = {
        "arrival,prompt,output\n": "t.csv:1: error: there is no request in it",
        "arrival,prompt,output\n1,100,10\n0,100,10\n": "t.csv:3: error: it arrives before",
        "arrival,prompt,output\n-1,100,10\n": "t.csv:2: error: arrival is '-1', time begins at 0",
        "arrival,prompt,output\n0,nan,10\n": "t.csv:2: error: prompt is 'nan'",
        "arrival,prompt,output\n0,100,0\n": "t.csv:2: error: 100 tokens of prompt and 0 of answer",
        "when,what\n0,1\n": "no known kind of trace has the columns when, what",
    }
    for text, said in cases.items():
        (tmp_path / "t.csv").write_text(text)
        assert said in check(tmp_path, factory(**traffic))


def test_disruptions_act_on_gpus_only(tmp_path: Path) -> None:
    wrong = [{"close": "serving.x.services.chat", "from": "2026-11-02"}]
    assert "it acts on one of the `accelerators`" in check(tmp_path, factory(), disruptions=wrong)
    right = [{"close": "serving.x.accelerators.pool", "from": "2026-11-02", "for": "1 minute"}]
    assert check(tmp_path, factory(), disruptions=right) == ""


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    """A declared model fills what it leaves out from its part."""
    mine = {"mine": {"part": "qwen3_235b", "experts": 96}}
    changes = {"models": mine, "services.chat.model": "mine"}
    # 32 experts less of 3 x 4096 x 1536 in each of 94 layers: 56.8 of 235 billion
    assert "178.3 billion parameters by its shapes" in check(tmp_path, factory(**changes))
    mine["mine"]["parameters"] = 178e9
    assert check(tmp_path, factory(**changes)) == ""
    changes[PARALLEL] = {"tensor": 64, "expert": 64}
    assert "96 experts do not divide by 64" in check(tmp_path, factory(**changes))


def test_a_rack_stands_for_its_gpus(tmp_path: Path) -> None:
    """Two GB300 NVL72 hold a replica of 128 GPUs, and one does not."""
    racks = {"part": "gb300_nvl72", "racks": 2}
    layout = {PARALLEL: {"tensor": 4, "data": 32}, "services.chat.replicas": 1}
    said = check(tmp_path, factory(**{"accelerators.pool": racks, **layout}))
    assert "error" not in said
    assert "experts on 128 GPUs reach beyond the NVLink domain" in said
    said = check(tmp_path, factory(**{"accelerators.pool": racks | {"racks": 1}, **layout}))
    assert "one replica takes 128 GPUs, 'pool' has 72" in said


def test_hours_of_computing_are_announced(tmp_path: Path) -> None:
    """A thousand replications, the default, of a day of 1 s: 86,400 x 1,000 x 0.1 ms are 2.4 h."""
    fluid = {"services.chat.mode": "fluid"}
    said = check(tmp_path, factory(**fluid), horizon="1 day", replications=1000)
    assert "warning: 1000 replications of 1 services in steps of 1 s are many" in said
    assert "about 2 hours of one core" in said
    assert check(tmp_path, factory(**fluid), horizon="1 day", replications=20) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [("services.chat.traffic.users.rate", "1e12 request/s"), ("accelerators.pool.count", 1e12)],
)
def test_rates_and_counts_beyond_the_world(tmp_path: Path, path: str, value: object) -> None:
    said = check(tmp_path, factory(**{path: value}))
    assert f"error: {path.rpartition('.')[2]}: " in said
    assert "is out of range: must be <= " in said


JOB: dict[str, Any] = {
    "model": "llama3_1_8b",
    "gpus": 64,
    "batch": 256,
    "sequence": 4096,
    "step_time": "4 s",
    "failures": {"any": {"mtbf": "640 hour"}},
}


def test_a_job_without_spares_stands_while_a_node_is_repaired(tmp_path: Path) -> None:
    """Up 10 hours, away for 24, in turn: it stands 24/34 of the time (alternating renewal)."""
    said = check(tmp_path, factory(services={}, training={"job": JOB}))
    assert "the job stands for want of nodes for about 71% of the time" in said
    assert "one fails every 10 hours and is away for 24; it has 0 spares" in said
    # Erlang's B of 2.4 on 6 and 7 servers: 2.4 and 0.8 %; 7 are away with the seventh spare gone
    assert "give `spares: 6`" in said
    for more in ({"spares": 6}, {"elastic": True}, {"repair": "10 minute"}):
        assert check(tmp_path, factory(services={}, training={"job": {**JOB, **more}})) == ""


def test_training_that_leaves_nothing_to_a_service(tmp_path: Path) -> None:
    """64 GPUs and 2 spare trays of 4 are all 72: no replica is left; without spares two are."""
    job = {**JOB, "failures": {}, "spares": 2}
    said = check(tmp_path, factory(training={"job": job}))
    assert "warning: training leaves it 0 GPUs, it holds 72 of the 72 of 'pool'" in said
    assert "training leaves" not in check(tmp_path, factory(training={"job": {**job, "spares": 0}}))


def test_what_cannot_be_served_is_infeasible_at_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` warns; what needs the layout ends with code 4, what is wrong with code 1."""
    from firsttoken.cli import main

    def code(*words: str) -> object:
        monkeypatch.setattr("sys.argv", ["firsttoken", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    changes = {"services.chat.slo": {"tpot": "10 us"}, PARALLEL: None}
    write(tmp_path, twin_of(factory(**changes)))
    text = (tmp_path / "twin.yaml").read_text().splitlines()
    line = next(k for k, row in enumerate(text, 1) if row.strip() == "chat:")
    assert code("check", str(tmp_path)) == 0
    assert "no layout serves it" in "".join(capsys.readouterr())
    assert code("plan", str(tmp_path), "--out", str(tmp_path / "run")) == 4
    said = capsys.readouterr().err
    assert f"twin.yaml:{line}: serving.x.services.chat: no configuration serves it" in said
    assert not (tmp_path / "run").exists()
    write(tmp_path, twin_of(factory(**{"accelerators.pool.count": 2})))
    assert code("check", str(tmp_path)) == 1


def test_lengths_count_by_the_requests_that_have_them(tmp_path: Path) -> None:
    """9 requests of 1,000 tokens for 1 of 11,000: 2,000 in the mean, not 6,000."""
    from firsttoken.kernel.parameters import fixed_parameters
    from firsttoken.serving.compile import compile_factory
    from firsttoken.serving.physics import mean_lengths

    streams = {
        "short": {"rate": "9 request/s", "prompt": "1000 token", "output": "10 token"},
        "long": {
            "rate": "1 request/s",
            "prompt": "11000 token",
            "output": "20 token",
            "cached": "50 %",
        },
    }
    twin = api.load(write(tmp_path, twin_of(factory(**{"services.chat.traffic": streams}))))
    found = compile_factory(twin, "x", View(twin, "x", Findings()).resolve)
    drawn = fixed_parameters(found.parameters)
    prompt, output, cached = mean_lengths(found.services[0], drawn)
    assert (prompt, output) == pytest.approx((2000.0, 11.0))
    assert cached == pytest.approx(0.1 * 5500.0 / 2000.0)


def test_a_cap_that_the_lowest_clock_does_not_keep(tmp_path: Path) -> None:
    """Power above idle goes with the speed to 2.5, and the speed ends at 0.15 (an H100's clock).

    8 GPUs of 100 W idle, 700 W at the limit and 200 W of host: 2.4 kW without work, and
    8 x 600 W x 0.15^2.5 = 41.8 W more at the lowest clock.
    """
    pool = {**H100, "count": 8, "idle": "100 W", "tgp": "700 W", "host": "200 W"}
    small = {"accelerators.pool": pool, PARALLEL: {"tensor": 8}, "services.chat.replicas": 1}
    said = check(tmp_path, factory(**small, power_cap="2.42 kW"))
    assert "warning: a cap of 2.420 kW is not kept at the lowest clock" in said
    assert "it needs at least 2.442 kW" in said
    assert "lowest clock" not in check(tmp_path, factory(**small, power_cap="2.45 kW"))
    # GPUs beside the replica have no work to slow
    pool["count"] = 16
    assert "lowest clock" not in check(tmp_path, factory(**small, power_cap="4.85 kW"))
    # an error by itself
    said = check(tmp_path, factory(**small, power_cap="4.7 kW"))
    assert "cannot be kept" in said
    assert "lowest clock" not in said


def test_a_job_that_restarts_keeps_its_power_under_a_cap(tmp_path: Path) -> None:
    """It holds 64 GPUs at 15 % of the way from idle to the limit: 64 x 600 W x 0.15 = 5.76 kW."""
    pool = {**H100, "idle": "100 W", "tgp": "700 W", "host": "200 W"}
    job = {**JOB, "repair": "10 minute"}
    declared = {"accelerators.pool": pool, "services": {}, "training": {"job": job}}
    said = check(tmp_path, factory(**declared, power_cap="24 kW", power_first="training"))
    assert "a cap of 24.000 kW is not kept at the lowest clock" in said
    assert "needs at least 24.960 kW" in said
    assert check(tmp_path, factory(**declared, power_cap="25.1 kW")) == ""


def test_a_throttle_below_the_lowest_clock(tmp_path: Path) -> None:
    said = check(tmp_path, factory(throttle=0))
    assert "warning: a throttle of 0 acts as 0.15 on services" in said
    assert "the lowest clock" in said
    assert check(tmp_path, factory(throttle=0.15)) == ""


def test_half_batches_where_experts_exchange(tmp_path: Path) -> None:
    """Attention by data ranks sends tokens to experts on all of them."""
    changes = {"services.chat.engine": {"overlap": 0.5}, PARALLEL: {"tensor": 1, "data": 4}}
    assert "overlap" not in check(tmp_path, factory(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "all layouts are declared; `search` asks for a plan"),
        ({"services": {}, "training": {"job": JOB}}, "there is no service to plan"),
    ],
)
def test_why_there_is_no_plan(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    said: str,
) -> None:
    from firsttoken.cli import main

    write(tmp_path, twin_of(factory(**changes)))
    out = ["--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["firsttoken", "plan", str(tmp_path), *out])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert said in capsys.readouterr().out
