"""Power of GPUs at work, from how busy their arithmetic and their memory are.

Each rank draws its idle power and a share of the rest up to its limit,

    P = idle + (limit - idle) (1 - exp(-z)),  z = static + weights u_w + cache u_c + work u_f^e

with u_f the FLOP/s of its products over the BF16 peak, u_w and u_c the bytes/s of weights and of KV
over the bandwidth. `static` is what a GPU takes more as soon as it works (clocks, launches,
collectives); the law bends because products and memory slow each other down and because voltage and
frequency are lowered near the limit (Patel et al., Characterizing Power Management Opportunities
for LLMs in the Cloud, ASPLOS 2024). Narrow formats save energy by moving fewer bytes; a product in
FP8 takes about what one in BF16 takes in the same time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.perf_step import experts_hit
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers


class PowerLaw(NamedTuple):
    """Coefficients of the law; numbers without unit, or f8[n]."""

    static: Numbers
    weights: Numbers
    cache: Numbers
    work: Numbers
    exponent: Numbers


HOPPER: Final = PowerLaw(0.53, 0.27, 2.57, 2.66, 0.67)
"""Of H100, fitted to 333 measured points of 32 models: median error 8 %."""

BLACKWELL: Final = PowerLaw(0.03, 2.27, 0.69, 5.06, 0.71)
"""Of B200, fitted to 372 points: 12 %.  Both from the ML.ENERGY leaderboard v3 (Chung et al., The
ML.ENERGY Benchmark, NeurIPS 2025; power of GPUs alone by NVML), whose data are not part of this."""


class Use(NamedTuple):
    """How busy a rank is on average over a time; f8[n] each.

    Attributes
    ----------
    work : FLOP/s over the peak in BF16.
    weights, cache : bytes/s of weights and of KV over the bandwidth.
    """

    work: Floats
    weights: Floats
    cache: Floats


def law_of(hardware: Hardware) -> PowerLaw:
    """The law of a generation: GPUs with FP4 as Blackwell, others as Hopper."""
    new = np.asarray(hardware.fp4) > 0
    fields = zip(BLACKWELL, HOPPER, strict=True)
    return PowerLaw(*(np.where(new, young, old) for young, old in fields))


def use_of_step(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    tokens: Numbers,
    sequences: Numbers,
    kv_tokens: Numbers,
    pairs: Numbers,
    seconds: Numbers,
    queries: Numbers = 1.0,
) -> Use:
    """How busy a rank is in a step, arrays broadcast.

    Parameters
    ----------
    tokens, sequences, kv_tokens, pairs, queries : as of `perf_step.step_terms`.
    seconds : length of the step.
    """
    a = architecture
    n = weights.counts(a)
    ranks = layout.tensor * layout.data * layout.pipeline
    context = np.asarray(kv_tokens) / np.maximum(sequences, 1e-9)
    latent = 2.0 * a.layers * a.heads * (2.0 * a.kv_rank + a.rope_size) * kv_tokens
    grouped = weights.pair_flops(a) * kv_tokens
    flops = (
        weights.token_flops(a) * tokens
        + 2.0 * n.head * sequences
        + weights.pair_flops(a) * pairs
        + np.where(np.asarray(a.kv_rank) > 0, latent, grouped) * queries
    )
    hit = experts_hit(a.experts, a.active, tokens) / np.maximum(a.experts, 1.0)
    spread = layout.expert_tensor * layout.expert * layout.pipeline
    read: Any = (n.attention + n.dense) * layout.weight_bits / (layout.tensor * layout.pipeline)
    read = read + n.head * weights.EMBEDDING_BITS / layout.tensor
    read = (read + n.experts * hit * layout.expert_bits / spread) / 8.0
    held = weights.kv_rank_bytes(a, layout, context) * kv_tokens / layout.data
    states = 2.0 * weights.state_bytes(a) * sequences / ranks
    time = np.maximum(seconds, 1e-12)
    return Use(
        np.asarray(flops / ranks / hardware.bf16 / time),
        np.asarray(read / hardware.bandwidth / time),
        np.asarray((held + states) / hardware.bandwidth / time),
    )


def gpu_power(hardware: Hardware, use: Use, law: PowerLaw | None = None) -> Floats:
    """Mean power of one GPU in W, without its host, f8[n]; law None: that of its generation."""
    law = law_of(hardware) if law is None else law
    z = law.static + law.weights * use.weights + law.cache * use.cache
    z = z + law.work * np.maximum(use.work, 1e-12) ** law.exponent
    return np.asarray(hardware.idle - (hardware.tgp - hardware.idle) * np.expm1(-z))


def step_joules(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    tokens: Numbers,
    sequences: Numbers,
    kv_tokens: Numbers,
    pairs: Numbers,
    seconds: Numbers,
    queries: Numbers = 1.0,
) -> Floats:
    """Energy of a step above rest over all GPUs of a replica, J, f8[n]; see `use_of_step`."""
    work = (tokens, sequences, kv_tokens, pairs)
    use = use_of_step(architecture, hardware, layout, *work, seconds, queries)
    above = gpu_power(hardware, use) - np.asarray(hardware.idle)
    return np.asarray(replica_gpus(layout) * above * seconds)
