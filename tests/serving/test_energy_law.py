"""The law of power: limits, hand-computed use, and what was measured of H100s and B200s."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firsttoken.serving.energy_law import (
    BLACKWELL,
    HOPPER,
    PowerLaw,
    Use,
    gpu_power,
    law_of,
    step_joules,
    use_of_step,
)
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.system import Layout

H100, B200 = library_hardware("h100_sxm"), library_hardware("b200")
LLAMA = library_architecture("llama3_1_8b")
ONE = Layout(1.0, 1.0, 1.0, 1.0, 1.0, 16.0, 16.0, 16.0, 16.0)


def test_use_of_decoding_by_hand() -> None:
    """Llama 3.1 8B, 32 sequences of 1,000 tokens, in a step of 10 ms.

    Its published shape: 8.03 G parameters, of them 0.525 G in the input embedding, which is looked
    up; 32 layers of 8 KV heads of 128, so 131,072 bytes of KV a token in BF16.
    """
    found = use_of_step(LLAMA, H100, ONE, 32.0, 32.0, 32_000.0, 0.0, 0.01)
    read = (8.03e9 - 0.525e9) * 2
    assert float(found.weights) == pytest.approx(read / 3.35e12 / 0.01, rel=0.01)
    assert float(found.cache) == pytest.approx(131_072 * 32_000 / 3.35e12 / 0.01, rel=0.001)
    products = 2 * (8.03e9 - 0.525e9) * 32
    attention = 4 * 32 * 32 * 128 * 32_000  # keys and values of 32 heads in 32 layers
    assert float(found.work) == pytest.approx((products + attention) / 989e12 / 0.01, rel=0.01)


def test_half_the_ranks_do_half_the_work_each() -> None:
    two = ONE._replace(tensor=2.0, expert_tensor=2.0)
    alone = use_of_step(LLAMA, H100, ONE, 64.0, 64.0, 1e5, 0.0, 0.02)
    split = use_of_step(LLAMA, H100, two, 64.0, 64.0, 1e5, 0.0, 0.02)
    for whole, half in zip(alone, split, strict=True):
        assert float(half) == pytest.approx(float(whole) / 2, rel=1e-9)


def test_a_gpu_at_rest_takes_idle_power_and_a_busy_one_at_most_its_limit() -> None:
    none = Use(np.zeros(1), np.zeros(1), np.zeros(1))
    plain = PowerLaw(0.0, 1.0, 1.0, 1.0, 0.7)
    assert float(gpu_power(H100, none, plain)[0]) == pytest.approx(float(H100.idle), abs=0.1)
    full = Use(np.ones(1), np.ones(1), np.ones(1))
    for hardware in (H100, B200):
        assert 0.9 * hardware.tgp < float(gpu_power(hardware, full)[0]) <= hardware.tgp


def test_the_law_by_hand() -> None:
    law = PowerLaw(0.5, 0.25, 2.5, 2.7, 0.5)
    use = Use(np.array([0.04]), np.array([0.4]), np.array([0.1]))
    z = 0.5 + 0.25 * 0.4 + 2.5 * 0.1 + 2.7 * 0.2
    expected = H100.idle + (H100.tgp - H100.idle) * (1 - math.exp(-z))
    assert float(gpu_power(H100, use, law)[0]) == pytest.approx(expected)


def test_each_generation_has_its_law() -> None:
    both = H100._replace(fp4=np.array([0.0, 9e15]))
    found = law_of(both)
    assert [float(value) for value in np.array(found)[:, 0]] == list(HOPPER)
    assert [float(value) for value in np.array(found)[:, 1]] == list(BLACKWELL)


@pytest.mark.parametrize(
    ("gpu", "batch", "rate", "watts"),
    [
        # ML.ENERGY leaderboard v3, lm-arena-chat, dense models in BF16 on one GPU
        ("h100_sxm", 31.9, 2927.9, 478.1),  # Qwen3-8B
        ("b200", 7.94, 1086.7, 759.9),  # Qwen3-14B
    ],
)
def test_measured_power_of_two_deployments(
    gpu: str, batch: float, rate: float, watts: float
) -> None:
    model = library_architecture("qwen3_8b" if gpu == "h100_sxm" else "qwen3_14b")
    prompt, output = 250.0, 647.0 if gpu == "h100_sxm" else 615.0
    seconds, entering = batch / rate, batch / output * prompt
    use = use_of_step(
        model,
        library_hardware(gpu),
        ONE,
        batch + entering,
        batch,
        batch * (prompt + output / 2),
        entering * prompt / 2,
        seconds,
    )
    assert float(gpu_power(library_hardware(gpu), use)) == pytest.approx(watts, rel=0.15)


def test_energy_of_a_step_is_power_above_rest_in_its_time() -> None:
    work = (64.0, 64.0, 64_000.0, 0.0, 0.012)
    two = ONE._replace(tensor=2.0, expert_tensor=2.0)
    power = float(gpu_power(H100, use_of_step(LLAMA, H100, two, *work)))
    expected = 2 * (power - H100.idle) * 0.012
    assert float(step_joules(LLAMA, H100, two, *work)) == pytest.approx(expected)
