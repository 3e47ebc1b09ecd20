"""Calibration of serving latencies: points, processes, intervals, and what the library ships."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from firsttoken.serving.calibration import Calibration, predict, recalibrate, shipped
from firsttoken.serving.calibration_points import (
    Observation,
    PointsError,
    conditions,
    read_points,
    read_sample,
    write_points,
)
from firsttoken.serving.calibration_prior import (
    HOST,
    PUBLISHED,
    SHIPPED,
    Constants,
    fit_constants,
    prior,
)
from firsttoken.serving.calibration_process import (
    FAR,
    TPOT,
    Kernel,
    features,
    generation,
)
from firsttoken.serving.gaussian_process import covariance, design, variance
from firsttoken.serving.perf_efficiency import ENGINES, RATES

SAMPLE = Path(__file__).resolve().parents[3] / "shared/data/llm_silicon/silicon_sample.csv.gz"
BASE = Observation(
    id="a",
    model="llama3_1_70b",
    gpu="h100_sxm",
    engine="vllm",
    release="0.12.0",
    precision="fp8",
    tensor=4.0,
    pipeline=1.0,
    data=1.0,
    expert_tensor=4.0,
    expert=1.0,
    pools=0.0,
    isl=1024.0,
    osl=512.0,
    concurrency=16.0,
)


def grid(gpus: tuple[str, ...] = ("h100_sxm", "h200_sxm", "b200_sxm")) -> list[Observation]:
    """Questions over GPUs, engines, ranks and loads."""
    return [
        BASE._replace(
            id=f"{gpu} {engine} {tensor} {users} {isl}",
            gpu=gpu,
            engine=engine,
            tensor=tensor,
            expert_tensor=tensor,
            concurrency=users,
            isl=isl,
        )
        for gpu in gpus
        for engine in ("vllm", "trtllm")
        for tensor in (2.0, 8.0)
        for users in (4.0, 16.0, 64.0)
        for isl in (512.0, 4096.0)
    ]


def measured(
    points: list[Observation], factor: float, noise: float = 0.0, seed: int = 4
) -> list[Observation]:
    """Points that show `factor` times the latencies of physics, scattered."""
    found, draw = prior(points), np.random.default_rng(seed)
    late, slow = np.exp(noise * draw.standard_normal((2, len(points))))
    return [
        p._replace(ttft=float(factor * a * x), tpot=float(factor * b * y))
        for p, a, b, x, y in zip(points, found.ttft, found.tpot, late, slow, strict=True)
    ]


@pytest.fixture(scope="module")
def known() -> Calibration:
    """Deployments 25 % slower than physics, scattered by 5 %."""
    return Calibration(measured(grid(), 1.25, 0.05))


def test_points_survive_a_table(tmp_path: Path) -> None:
    points = measured(grid(("h100_sxm",)), 1.0)
    write_points(tmp_path / "points.csv", points)
    for old, new in zip(points, read_points(tmp_path / "points.csv"), strict=True):
        assert old[:6] == new[:6]
        assert np.allclose(old[6:], new[6:], rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("precision", "fp6", r"points\.csv:3: precision 'fp6' is not known"),
        ("isl", "long", r"points\.csv:3: isl 'long' is not a number"),
        ("tpot", "nan", r"points\.csv:3: tpot 'nan' must be above 0"),
        ("concurrency", "0", r"points\.csv:3: concurrency '0' must be above 0"),
    ],
)
def test_a_bad_point_is_named(tmp_path: Path, column: str, value: str, says: str) -> None:
    path = tmp_path / "points.csv"
    write_points(path, measured(grid(("h100_sxm",))[:2], 1.0))
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[2][rows[0].index(column)] = value
    path.write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(PointsError, match=says):
        read_points(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("id,model\n1,x\n")
    with pytest.raises(PointsError, match="concurrency"):
        read_points(path)


def test_points_without_measurements_do_not_calibrate() -> None:
    with pytest.raises(PointsError, match="ttft and tpot must be measured"):
        Calibration(grid())
    with pytest.raises(PointsError, match="too few"):
        Calibration(measured(grid()[:5], 1.0))


SQUARE = {"attention_dp_size": "1", "tp_size": "64", "moe_tp_size": "8", "moe_ep_size": "8"}


@pytest.mark.parametrize(
    ("columns", "ranks"),
    [
        # InferenceX's `tp8 ep8`, dumped as products: 8 GPUs (tensor, data, expert_tensor, expert)
        (SQUARE, (8, 1, 1, 8)),
        # the same with data-parallel attention
        ({**SQUARE, "tp_size": "1", "attention_dp_size": "64"}, (1, 8, 1, 8)),
        # plain tensor parallelism over 8
        ({**SQUARE, "tp_size": "8", "moe_ep_size": "1"}, (8, 1, 8, 1)),
        # `tp4 ep4 dp4` on 4 GPUs
        (
            {"attention_dp_size": "4", "tp_size": "4", "moe_tp_size": "1", "moe_ep_size": "16"},
            (1, 4, 1, 4),
        ),
        # data ranks left out: 8 GPUs whose batch is an eighth of the concurrency
        (
            {
                "attention_dp_size": "",
                "tp_size": "8",
                "moe_tp_size": "1",
                "moe_ep_size": "8",
                "batch_size": "8",
            },
            (1, 8, 1, 8),
        ),
        # an NVL72 in pools
        (
            {"attention_dp_size": "1", "tp_size": "36", "moe_tp_size": "36", "moe_ep_size": "1"},
            (1, 36, 1, 36),
        ),
    ],
)
def test_ranks_of_the_sample(
    tmp_path: Path, columns: dict[str, str], ranks: tuple[int, ...]
) -> None:
    row = {
        "id": "x",
        "silicon_data_source": "db; silicon_concurrency=64; measured=2025-11-02T00:00:00.000Z",
        "backend": "trtllm",
        "backend_version": "",
        "model_path": "deepseek-ai/DeepSeek-R1",
        "system": "b200_sxm",
        "precision": "fp4",
        "mode": "agg",
        "isl": "1024",
        "osl": "1024",
        "batch_size": "64",
        "pp_size": "1",
        "silicon_ttft_ms": "100",
        "silicon_tpot_ms": "10",
        **columns,
    }
    path = tmp_path / "sample.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([row, {**row, "id": "y"}, {**row, "id": "z", "mode": "disagg"}])
    (point,) = read_sample(path)
    assert point.id == "x; y"  # one run of two names
    assert (point.tensor, point.data, point.expert_tensor, point.expert) == ranks
    assert (point.model, point.release, point.concurrency) == ("deepseek_v3", "2025-11", 64.0)
    assert point.pools == (ranks[1] == 36)


def test_bits_follow_the_checkpoints() -> None:
    """NVFP4 DeepSeek keeps attention in FP8; gpt-oss computes in BF16 where there is no FP4."""
    asked = conditions(
        [
            BASE._replace(model="deepseek_v3", gpu="b200_sxm", precision="fp4"),
            BASE._replace(model="gpt_oss_120b", precision="fp4"),
            BASE,
        ]
    )
    layout = asked.layout
    assert np.allclose(layout.weight_bits, [8.0, 16.0, 8.0])
    assert np.allclose(layout.expert_bits, [4.5, 4.25, 8.0])
    assert np.allclose(layout.compute_bits, [4.5, 16.0, 8.0])


def test_parts_of_a_kernel() -> None:
    """Two runs that differ in their release alone: all effects but those that the release is in."""
    scales = {"common": 0.1, "effect.gpu": 0.2, "effect.release": 0.4, "unstated": 0.0}
    kernel = Kernel((), (), ("gpu", "release"), (), (), (), scales)
    points = [BASE, BASE._replace(release="0.13.0")]
    found = covariance(kernel.parts(), *(2 * [features(points, prior(points))]))
    assert np.allclose(np.diag(found), 0.1**2 + 0.2**2 + 0.4**2)
    assert found[0, 1] == pytest.approx(0.1**2 + 0.2**2)


def test_generations_by_the_narrowest_numbers() -> None:
    """Tensor cores: A100 takes BF16, Hopper FP8, Blackwell FP4 (NVIDIA's white papers)."""
    assert generation("h100_sxm") == generation("h200_sxm") == "fp8"
    assert generation("b200_sxm") == generation("b300_sxm") == generation("gb200") == "fp4"
    assert generation("a100_sxm") == "bf16"


def test_covariances_are_positive() -> None:
    points = grid()
    asked = features(points, prior(points))
    for kernel in (TPOT, FAR):
        parts = kernel.parts()
        found = covariance(parts, asked, asked)
        assert np.linalg.eigvalsh(found).min() > -1e-9
        assert np.allclose(np.diag(found), variance(parts, asked))


def test_a_generation_learns_from_its_own() -> None:
    """Slow runs on H100 slow H200 down more than B200: other generations have other kernels."""
    seen = measured(grid(("h100_sxm",)), 1.3)
    known = Calibration(seen)
    moved = []
    for gpu in ("h200_sxm", "b200_sxm"):
        asked = grid((gpu,))
        moved.append(np.median(known.predict(asked).tpot.median / prior(asked).tpot))
    assert 1.0 < moved[1] < moved[0] < 1.35


def test_design_takes_off_most_variance() -> None:
    """The first choice leaves less summed variance than any other would."""
    points = grid(("h100_sxm", "b200_sxm"))
    asked = features(points, prior(points))
    parts, noise = TPOT.parts(), TPOT.noise(asked)
    first = design(parts, asked, noise, 1)[0]
    left = []
    for k in range(len(points)):
        process = TPOT.process(asked.rows(np.array([k])), np.zeros(1), rounds=1)
        left.append(float((process.predict(asked, noise)[1] ** 2).sum()))
    assert first == int(np.argmin(left))
    chosen = design(parts, asked, noise, 12, [3, 5])
    assert chosen[:2] == [3, 5]
    assert len(set(chosen)) == 12
    assert {points[k].gpu for k in chosen} == {"h100_sxm", "b200_sxm"}


def test_a_slow_engine_is_learned(known: Calibration) -> None:
    asked = [p._replace(id="q", isl=2048.0, concurrency=8.0) for p in grid()[::12]]
    found, physics = known.predict(asked), prior(asked)
    assert found.known.all()
    assert np.allclose(found.tpot.median / physics.tpot, 1.25, rtol=0.08)
    assert np.allclose(found.ttft.median / physics.ttft, 1.25, rtol=0.35)
    factor = known.factor(asked)
    assert np.allclose(factor.median, 1.25, rtol=0.08)
    assert ((factor.low < 1.25) & (factor.high > 1.25)).all()


def test_intervals_hold_nine_of_ten() -> None:
    """Fresh points of the same law, of loads between those seen; six draws of both."""
    asked = [
        p._replace(id=f"{p.id} {more}", concurrency=p.concurrency * more, osl=800.0)
        for p in grid()
        for more in (1.3, 1.6, 1.9)
    ]
    held: dict[str, list[float]] = {"tpot": [], "e2e": []}
    for seed in range(6):
        found = Calibration(measured(grid(), 1.25, 0.05, seed)).predict(asked)
        truth = measured(asked, 1.25, 0.05, 100 + seed)
        for name, shares in held.items():
            predicted = getattr(found, name)
            value = np.array([getattr(p, name) for p in truth])
            shares.append(float(np.mean((predicted.low <= value) & (value <= predicted.high))))
            assert np.median(predicted.high / predicted.low) < 1.8
    for shares in held.values():
        assert 0.85 <= np.mean(shares) <= 0.95


def test_e2e_is_the_sum_of_its_parts(known: Calibration) -> None:
    found = known.predict(grid())
    osl = np.array([p.osl for p in grid()])
    whole = found.ttft.median + found.tpot.median * (osl - 1.0)
    assert np.allclose(found.e2e.median, whole)
    for prediction in (found.ttft, found.tpot, found.e2e):
        assert (prediction.low < prediction.median).all()
        assert (prediction.median < prediction.high).all()


def test_an_unknown_gpu_is_less_sure(known: Calibration) -> None:
    there, new = grid(("b200_sxm",)), grid(("b300_sxm",))
    near, far = known.predict(there), known.predict(new)
    assert near.known.all()
    assert not far.known.any()
    assert np.median(far.tpot.high / far.tpot.low) > np.median(near.tpot.high / near.tpot.low)


def test_constants_are_found_again() -> None:
    """Twelve points on slow memory behind slow hosts: constants move from the published ones
    towards the truth, not beyond it, and what they teach holds for the others."""
    truth = Constants(
        RATES._replace(memory=0.65),
        {"vllm": ENGINES["vllm"]._replace(overhead=1.5e-3)},
    )
    points = [p for p in grid() if p.engine == "vllm"]
    found = prior(points, truth)
    shown = [
        p._replace(ttft=float(a), tpot=float(b))
        for p, a, b in zip(points, found.ttft, found.tpot, strict=True)
    ]
    fitted = fit_constants(shown[::3], rounds=2)
    assert 0.65 <= fitted.rates.memory < PUBLISHED["memory"][0]
    assert HOST["overhead"][0] < fitted.engines["vllm"].overhead <= 1.5e-3
    before, after = (
        np.median(np.abs(prior(points, constants).tpot / found.tpot - 1.0))
        for constants in (SHIPPED, fitted)
    )
    assert after < 0.65 * before


def test_the_library_is_calibrated_on_a_tenth() -> None:
    """2,257 runs of the sample: 225 points; those drawn are the ones with `crc32 % 20 == 0`."""
    points = shipped().points
    assert len(points) == 225
    for point in points:
        drawn = any(zlib.crc32(name.encode()) % 20 == 0 for name in point.id.split("; "))
        assert drawn == (point.drawn == 1.0)


def test_own_points_move_predictions() -> None:
    asked = BASE._replace(id="mine", release="mine", isl=3000.0)
    before = predict([asked])
    slow = [
        asked._replace(
            id=f"mine {users}",
            concurrency=users,
            ttft=float(2.0 * before.ttft.median[0]),
            tpot=float(2.0 * predict([asked._replace(concurrency=users)]).tpot.median[0]),
        )
        for users in (4.0, 8.0, 16.0, 32.0)
    ]
    after = recalibrate(slow).predict([asked])
    assert after.tpot.median[0] > 1.5 * before.tpot.median[0]
    assert after.tpot.high[0] / after.tpot.low[0] < before.tpot.high[0] / before.tpot.low[0]
    other = BASE._replace(model="deepseek_v3", gpu="b200_sxm", engine="sglang", release="0.5.9")
    moved = recalibrate(slow).predict([other]).tpot.median / predict([other]).tpot.median
    assert moved[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the silicon sample is not here")
def test_the_public_points_are_met() -> None:
    """Bars: E2E median 8 %, 90th percentile 25 %; TTFT 20 %; 85-95 % within the intervals."""
    seen = {p.id for p in shipped().points}
    points = [p for p in read_sample(SAMPLE) if p.id not in seen]
    assert len(points) == 2257 - 225
    found = predict(points)
    whole, first = (np.array([getattr(p, k) for p in points]) for k in ("e2e", "ttft"))
    error = np.abs(found.e2e.median / whole - 1.0)
    assert np.median(error) <= 0.08
    assert np.quantile(error, 0.9) <= 0.25
    assert np.median(np.abs(found.ttft.median / first - 1.0)) <= 0.20
    assert 0.85 <= np.mean((found.e2e.low <= whole) & (whole <= found.e2e.high)) <= 0.95
