"""The law of a step against the operators it was folded from."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC, GRAPH, NONE, RATES
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_replica import Replica
from firsttoken.serving.perf_speculation import draft_seconds
from firsttoken.serving.perf_step import step_seconds
from firsttoken.serving.system import Layout, StepLaw

CASES = {
    "llama3_1_70b": ("h100_sxm", Layout(8, 1, 1, 8, 1, 8, 8, 8, 8)),
    "deepseek_v3": ("gb200", Layout(1, 1, 32, 1, 32, 4.5, 4.5, 8, 4.5)),
    "gpt_oss_120b": ("b200", Layout(1, 1, 1, 1, 1, 16, 4.25, 16, 8)),
    "qwen3_5_397b": ("b200", Layout(8, 1, 1, 8, 1, 8, 8, 8, 8)),
}
STEPS = [(1, 500, 0), (30, 2000, 0), (200, 5000, 0), (100, 4000, 2048), (0, 0, 8192), (40, 4096, 0)]


def seconds(law: StepLaw, tokens: float, kv: float, pairs: float) -> float:
    """The formula of `StepLaw`, written anew."""
    table = float(np.interp(tokens, law.tokens, law.seconds))
    return law.overhead + table + law.kv_second * kv + law.pair_second * pairs


def joules(law: StepLaw, tokens: float, kv: float, pairs: float) -> float:
    table = float(np.interp(tokens, law.tokens, law.joules))
    return law.energy_step + table + law.kv_joule * kv + law.pair_joule * pairs


@pytest.mark.parametrize("model", CASES)
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_law_reproduces_steps(model: str, step: tuple[int, int, int]) -> None:
    gpu, layout = CASES[model]
    decoding, context, prompt = step
    engine = ENGINES["vllm"]
    law = step_law(library_architecture(model), library_hardware(gpu), layout, engine=engine)
    replica = Replica(
        library_architecture(model), library_hardware(gpu), layout, engine, NONE, RATES
    )
    tokens, kv, pairs = decoding + prompt, decoding * context, prompt**2 / 2
    terms = replica.terms(tokens, decoding + (prompt > 0), kv, pairs)
    eager = tokens / float(np.asarray(layout.data)) > GRAPH
    direct = float(replica.uncovered(terms) if eager else step_seconds(terms))
    # a table cannot tell prompts from sequences that decode: their heads and states differ
    assert seconds(law, tokens, kv, pairs) == pytest.approx(
        direct, rel=0.01 if not prompt else 0.08
    )


@pytest.mark.parametrize("model", CASES)
def test_law_is_fit_for_interpolation(model: str) -> None:
    gpu, layout = CASES[model]
    law = step_law(library_architecture(model), library_hardware(gpu), layout)
    assert law.tokens[0] == 0.0
    assert (np.diff(law.tokens) > 0).all()
    assert (np.diff(law.seconds) >= 0).all()
    assert (np.diff(law.joules) >= 0).all()
    assert law.seconds[0] >= 0.0
    assert law.overhead > 0.0


@pytest.mark.parametrize("model", CASES)
def test_power_stays_below_the_limit(model: str) -> None:
    gpu, layout = CASES[model]
    law = step_law(library_architecture(model), library_hardware(gpu), layout)
    for decoding, context, prompt in STEPS:
        tokens, kv, pairs = decoding + prompt, decoding * context, prompt**2 / 2
        watts = joules(law, tokens, kv, pairs) / seconds(law, tokens, kv, pairs) + law.idle
        assert law.idle < watts < law.limit


@pytest.mark.parametrize(
    "step", [(144, 88.0, 0.0), (144, 8.0, 0.0), (32, 0.0, 4096.0), (32, 0.0, 16384.0)], ids=str
)
@pytest.mark.parametrize("drafted", [0.0, 1.0])
def test_law_of_half_batches_that_take_turns(
    step: tuple[int, float, float], drafted: float
) -> None:
    """Sequences that decode, or tokens of 4k prompts, on each of many ranks."""
    ranks, decoding, prompt = step[0], step[0] * step[1], step[0] * step[2]
    model, gpu = library_architecture("deepseek_v3"), library_hardware("h800_sxm")
    layout = Layout(1, 1, ranks, 1, ranks, 8, 8, 16, 8)
    engine = GENERIC._replace(overlap=0.67)
    law = step_law(model, gpu, layout, engine=engine, queries=1.0 + drafted)
    replica = Replica(model, gpu, layout, engine, NONE, RATES)
    kv, pairs, tokens = decoding * 5000.0, prompt * 2048.0, decoding * (1.0 + drafted) + prompt
    terms = replica.terms(tokens, decoding, kv, pairs, queries=1.0 + drafted)
    direct = step_seconds(terms) if decoding else replica.uncovered(terms)
    direct = float(direct + draft_seconds(model, terms, drafted))
    assert seconds(law, tokens, kv, pairs) == pytest.approx(direct, rel=0.02)


def test_replica_of_the_law() -> None:
    gpu, layout = CASES["deepseek_v3"]
    model, hardware = library_architecture("deepseek_v3"), library_hardware(gpu)
    law = step_law(model, hardware, layout)
    assert law.gpus == 32.0
    assert law.limit == 32 * float(hardware.tgp)
    assert law.idle == 32 * float(hardware.idle)
    # arXiv:2505.09343: 70.272 kB a token in BF16
    assert law.kv_bytes == pytest.approx(70272 / 2)
    assert law.kv_tokens == pytest.approx(float(kv_capacity(model, hardware, layout, 4096.0)))


def test_nothing_fits_into_too_little_memory() -> None:
    one = Layout(1, 1, 1, 1, 1, 16, 16, 16, 16)
    law = step_law(library_architecture("llama3_1_70b"), library_hardware("h100_sxm"), one)
    assert law.kv_tokens == 0.0


def test_windows_make_long_contexts_cheaper() -> None:
    gemma, h100 = library_architecture("gemma_3_27b"), library_hardware("h100_sxm")
    layout = Layout(1, 1, 1, 1, 1, 8, 8, 8, 8)
    short = step_law(gemma, h100, layout, context=1024.0)
    long = step_law(gemma, h100, layout, context=32768.0)
    share = 1 - float(gemma.windowed) * (1 - 1024 / 32768)
    assert long.kv_second / short.kv_second == pytest.approx(share)


def test_pipeline_stages_share_a_round() -> None:
    llama, h100 = library_architecture("llama3_1_70b"), library_hardware("h100_sxm")
    flat = step_law(llama, h100, Layout(4, 1, 1, 4, 1, 8, 8, 8, 8))
    deep = step_law(llama, h100, Layout(4, 2, 1, 4, 1, 8, 8, 8, 8))
    # twice the GPUs: a long prompt passes at twice the rate, the weights of a decoding batch are
    # read by two batches side by side
    assert seconds(deep, 16384, 0, 0) == pytest.approx(seconds(flat, 8192, 0, 0), rel=0.02)
    assert deep.kv_second == pytest.approx(flat.kv_second / 2)
