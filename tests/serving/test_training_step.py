"""Time and memory of a training step, held against published figures, limits and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.system import Hardware
from firsttoken.serving.training_calibration import shipped
from firsttoken.serving.training_memory import USABLE, training_memory
from firsttoken.serving.training_points import packaged
from firsttoken.serving.training_power import activity
from firsttoken.serving.training_step import (
    Job,
    Rates,
    exponentials,
    model_flops,
    release_years,
    step_seconds,
    step_terms,
)

LLAMA = "llama3_1_70b"
PLAIN = Job(gpus=64.0, batch=256.0, micro=1.0, sequence=8192.0)


def seconds(model: str, gpu: str, job: Job, rates: Rates | None = None) -> float:
    a, h = library_architecture(model), library_hardware(gpu)
    used = shipped().rates if rates is None else rates
    return float(step_seconds(a, job, used, step_terms(a, h, job, used)))


@pytest.mark.parametrize(
    ("model", "sequence", "mtp", "tokens", "tflops"),
    [
        # Megatron Bridge, docs/performance-summary.md: tokens/s and model TFLOP/s of a GPU
        ("llama3_1_8b", 8192, 1, 37556, 1933),
        ("llama3_1_70b", 8192, 1, 4312, 1937),
        ("llama3_1_405b", 8192, 1, 999, 2522),
        ("deepseek_v3", 4096, 0, 3848, 961),
        ("deepseek_v3", 4096, 1, 2139, 557),
        ("qwen3_30b_a3b", 4096, 1, 28934, 666),
        ("qwen3_235b", 4096, 1, 4916, 728),
    ],
)
def test_operations_of_a_token_are_the_published(
    model: str, sequence: int, mtp: int, tokens: float, tflops: float
) -> None:
    """Within 2.5 %: the summary counts some layers of multi-token prediction otherwise."""
    a = library_architecture(model)._replace(mtp=float(mtp * (model == "deepseek_v3")))
    job = PLAIN._replace(sequence=float(sequence))
    found = float(model_flops(a, job)) / (256 * sequence)
    assert found == pytest.approx(tflops * 1e12 / tokens, rel=0.025)


def test_operations_of_gpt_3_by_the_formula_of_megatron() -> None:
    """72 B s l h^2 (1 + s / 6h + V / 12lh) (arXiv:2104.04473, section 5.1, without recomputation),
    of whose attention a causal mask leaves half.
    """
    layers, h, v, s = 96, 12288, 51200, 2048
    job = PLAIN._replace(sequence=float(s), batch=1536.0)
    a = library_architecture("gpt3_175b")._replace(vocabulary=float(v))
    expected = 72 * 1536 * s * layers * h * h * (1 + 0.5 * s / (6 * h) + v / (12 * layers * h))
    assert float(model_flops(a, job)) == pytest.approx(expected, rel=1e-3)


def test_adapters_need_no_gradients_of_weights() -> None:
    """Megatron Bridge, LoRA of Llama 3 70B on GB300: 2,086 TFLOP/s at 7,481 tokens/s a GPU.

    Its sequences are packed of short ones, which attend less: 6 % here.
    """
    a = library_architecture(LLAMA)
    job = PLAIN._replace(sequence=4096.0, trained=0.0)
    found = float(model_flops(a, job)) / (256 * 4096)
    assert found == pytest.approx(2086e12 / 7481, rel=0.06)


def test_pipeline_bubble() -> None:
    """With nothing once a step and no transfers, (m + (p - 1) / v) / m (arXiv:2104.04473)."""
    free = shipped().rates._replace(chunk=0.0, chunk_call=0.0, reduce=0.0, optimizer=0.0)
    times = {}
    for chunks in (1.0, 5.0):
        for batch in (128.0, 1e6 * 8):
            job = PLAIN._replace(pipeline=8.0, chunks=chunks, batch=batch)
            times[chunks, batch] = seconds(LLAMA, "h100_sxm", job, free) / batch
    many = times[1.0, 8e6]
    assert times[1.0, 128.0] / many == pytest.approx((16 + 7) / 16, rel=1e-4)
    assert times[5.0, 128.0] / many == pytest.approx((16 + 7 / 5) / 16, rel=1e-4)


def test_no_step_is_faster_than_its_products_at_the_peak() -> None:
    points = packaged()
    flops = model_flops(points.architecture, points.job)
    fp4 = np.maximum(points.hardware.fp4, points.hardware.bf16)
    fp8 = np.asarray(points.hardware.fp8)
    bits = np.asarray(points.job.bits)
    top = np.where(bits == 4, fp4, np.where(bits == 8, fp8, points.hardware.bf16))
    rates = shipped().rates
    terms = step_terms(points.architecture, points.hardware, points.job, rates)
    found = step_seconds(points.architecture, points.job, rates, terms)
    assert np.all(found > flops / (np.asarray(points.job.gpus) * top))
    assert np.all(points.seconds > flops / (np.asarray(points.job.gpus) * top))


def test_more_is_slower() -> None:
    base = seconds(LLAMA, "h100_sxm", PLAIN._replace(tensor=4.0))
    assert seconds(LLAMA, "h100_sxm", PLAIN._replace(tensor=4.0, recompute=1.0)) > 1.2 * base
    assert seconds(LLAMA, "h100_sxm", PLAIN._replace(tensor=4.0, bits=8.0)) < base
    assert seconds(LLAMA, "h100_sxm", PLAIN._replace(tensor=8.0)) > base
    far = PLAIN._replace(sequence=4096.0, expert=64.0)
    near = far._replace(expert=8.0)
    assert seconds("qwen3_235b", "h100_sxm", far) > seconds("qwen3_235b", "h100_sxm", near)
    # 64 ranks of experts are within the domain of an NVL72.
    rack = seconds("qwen3_235b", "gb200", far) / seconds("qwen3_235b", "gb200", near)
    node = seconds("qwen3_235b", "h100_sxm", far) / seconds("qwen3_235b", "h100_sxm", near)
    assert rack < node
    uneven = far._replace(imbalance=1.5)
    assert seconds("qwen3_235b", "gb200", uneven) > 1.05 * seconds("qwen3_235b", "gb200", far)
    assert seconds(LLAMA, "gb200", uneven) == seconds(LLAMA, "gb200", far)


def test_terms_broadcast() -> None:
    points = packaged()
    rates = shipped().rates
    terms = step_terms(points.architecture, points.hardware, points.job, rates)
    assert all(np.shape(term) == (points.size,) for term in terms)
    one = points.take([17])
    alone = step_terms(one.architecture, one.hardware, one.job, rates)
    for whole, single in zip(terms, alone, strict=True):
        assert whole[17] == pytest.approx(single[0])


def test_exponentials_of_blackwell_ultra_are_doubled() -> None:
    """NVIDIA's blog on Blackwell Ultra: twice the throughput of attention's exponentials."""
    b200, b300 = library_hardware("b200_sxm"), library_hardware("b300_sxm")
    assert float(exponentials(b300)) == pytest.approx(2.0 * float(exponentials(b200)), rel=0.01)
    # H100: 132 SMs x 16 x 1.755 GHz
    assert float(exponentials(library_hardware("h100_sxm"))) == pytest.approx(3.7e12, rel=0.01)


def test_releases() -> None:
    assert release_years("25.09") == 0.0
    assert release_years("26.09") == 1.0
    assert release_years("26.04.01") == pytest.approx(7 / 12 + 0.025)
    for wrong in ("", "newest", "26", "26.x"):
        with pytest.raises(ValueError, match="no release"):
            release_years(wrong)


def test_activations_are_those_of_korthikanti() -> None:
    """34 s b h bytes a layer (arXiv:2205.05198, section 4.1, selective recomputation), less the 2
    s b h of dropout masks, which models no longer have.
    """
    a = library_architecture("gpt_22b")
    job = Job(gpus=8.0, batch=4.0, micro=4.0, sequence=2048.0, tensor=8.0)
    found = float(training_memory(a, job).activations)
    assert found == pytest.approx(32.0 * 2048 * 4 * 6144 * 48 / 8)


def test_memory_by_hand() -> None:
    """Llama 3 8B on 8 GPUs: 2 bytes for weights and gradients, 12 of Adam over 8 ranks."""
    a = library_architecture("llama3_1_8b")
    found = training_memory(a, PLAIN._replace(gpus=8.0))
    assert float(found.weights) == pytest.approx(2 * 8.03e9, rel=0.002)
    assert float(found.gradients) == pytest.approx(2 * 8.03e9, rel=0.002)
    assert float(found.optimizer) == pytest.approx(12 * 8.03e9 / 8, rel=0.002)
    shared = training_memory(a, PLAIN._replace(gpus=8.0, shard=1.0))
    assert float(shared.weights) == pytest.approx(2 * 8.03e9 / 8, rel=0.002)
    frozen = training_memory(a, PLAIN._replace(gpus=8.0, trained=0.0))
    assert float(frozen.gradients) == float(frozen.optimizer) == 0.0


def test_jobs_that_ran_fit() -> None:
    """All published jobs fit if activations are recomputed, but for one whose layout cannot be.

    Llama 3 70B in NVFP4 on 64 GB300 without any splitting: 141 GB of weights and as many of
    gradients before anything else.
    """
    points = packaged()
    job = points.job._replace(recompute=np.ones(points.size))
    need = training_memory(points.architecture, job).total
    left = need > USABLE * np.asarray(points.hardware.memory)
    odd = [
        (points.model[i], points.accelerator[i], float(np.asarray(points.job.bits)[i]))
        for i in np.flatnonzero(left)
    ]
    assert odd == [(LLAMA, "gb300", 4.0)]


def test_power_while_training() -> None:
    """Between idle and the limit; dense pre-training near it (arXiv:2412.08602: 8.4 of 10.2 kW of a
    node whose limit includes hosts), and lower the more a job communicates.
    """
    points = packaged()
    rates = shipped().rates
    terms = step_terms(points.architecture, points.hardware, points.job, rates)
    share = activity(points.architecture, points.job, rates, terms)
    assert np.all((share > 0.25) & (share <= 1.0))
    dense = np.array([name.startswith("llama") for name in points.model])
    assert np.median(share[dense]) > np.median(share[~dense])
    assert 0.75 < np.median(share[dense]) < 0.97


def test_the_host_is_waited_for() -> None:
    """With hardware without limits only launches, transfers' calls and the host are left."""
    slow = library_hardware("h100_sxm")
    fast = Hardware(*(1e6 * x for x in slow))._replace(domain=8.0, tgp=slow.tgp * 1e6)
    a = library_architecture("qwen3_30b_a3b")
    rates = shipped().rates
    job = PLAIN._replace(sequence=4096.0, release=0.0)
    found = float(step_seconds(a, job, rates, step_terms(a, fast, job, rates)))
    launch = 48 * (rates.launch + rates.launch_expert) * rates.host
    assert found == pytest.approx(4 * launch, rel=0.01)
