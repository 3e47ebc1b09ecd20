"""Effective rates: which share of a peak an operator reaches, and what each launch costs.

`RATES` holds the constants, each with its source.  Those marked *fitted* started from a public
figure and were moved, all at once and by one robust fit, on the aggregated points of the silicon
sample (aisimulate 0.13, mostly InferenceX) whose `crc32(id) % 20` is 0, about 5 % of them; no
constant belongs to a GPU, a model or an engine.  `Corrections` multiply terms, `Engine` says how
an engine schedules.  All may hold arrays.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from firsttoken.serving.system import Numbers


class Rates(NamedTuple):
    """Constants of the operators; shares of peaks without unit, times in s.

    Attributes
    ----------
    matrix_16 : share of the dense BF16 peak of a large matrix product (cuBLAS on H100 SXM:
        650-750 of 989 TFLOP/s, limited by power).
    matrix_8 : of the FP8 peak (cuBLAS on H100: 1,200-1,300 of 1,979; DeepGEMM up to 1,550).
    matrix_4 : of the NVFP4 peak (the scales of blocks cost more at higher rates).
    grouped : rate of the grouped products of experts relative to one large product (DeepGEMM's
        grouped kernels: 0.7-1).
    attention_prefill : of the BF16 peak, causal (FlashAttention-3, arXiv:2407.08608: up to 0.75
        at 16k tokens, 0.5-0.6 at 1k-4k).
    attention_decode : of the BF16 peak, latent heads (FlashMLA: 580-660 of 989 TFLOP/s on H800).
    memory : of the memory bandwidth, weights (GEMV kernels: 0.75-0.9).
    memory_experts : of it, weights of experts in grouped products.
    memory_kv : of it, KV in pages.
    rows, columns : of a rank's product at which it reaches half its rate (tiles of 64-128 rows,
        waves over 132-160 SMs).
    kernel : s a kernel of a CUDA graph costs beyond its work: launch gap, ramp, tail (profiles
        show 1.5-3 us).
    eager : s more a kernel of a step too long for CUDA graphs costs (launches of 4-6 us that
        partly hide behind the work).
    elementwise : times that a token's residual stream passes the memory in a layer outside of
        matrix products.
    reduce, reduce_rank : s of a small all-reduce within a NVLink domain, and more for each rank
        (one-shot kernels of the engines: 6-10 us on 8 GPUs; NCCL 2-3 times as long).
    link : share of a link's rate of large collectives (NCCL bus bandwidth on NVSwitch).
    network_delay : s more of a small collective between domains (NCCL over InfiniBand).
    network : share of the NIC's rate of collectives (DeepEP: 43-47 of 50 GB/s).
    exchange : s of a small all-to-all (DeepEP low latency: 77 us dispatch and 114 us combine of
        128 tokens over 8 H800 with RDMA; within NVLink about a third).
    skew : standard deviation / mean of the load of a rank with one expert, fitted.  Measured of
        DeepSeek-R1 (TensorRT-LLM, examples/ep_load_balancer: 0.48 over 32 ranks of 8, most layers
        0.2; 0.053 with experts placed anew): 1.4, 0.5 in most layers; 0.12.
    hot : how much slower the number of experts hit saturates than with even choices (1), fitted.
        Experts whose popularity spreads by those 1.4 lognormally give 0.65-0.4 at 32-128 tokens.
    """

    matrix_16: Numbers = 0.7
    matrix_8: Numbers = 0.574
    matrix_4: Numbers = 0.545
    grouped: Numbers = 0.756
    attention_prefill: Numbers = 0.548
    attention_decode: Numbers = 0.598
    memory: Numbers = 0.798
    memory_experts: Numbers = 0.869
    memory_kv: Numbers = 0.726
    rows: Numbers = 52.1
    columns: Numbers = 266.0
    kernel: Numbers = 3.38e-06
    eager: Numbers = 2.34e-06
    elementwise: Numbers = 23.0
    reduce: Numbers = 5.51e-06
    reduce_rank: Numbers = 5.78e-07
    link: Numbers = 0.719
    network_delay: Numbers = 2.5e-05
    network: Numbers = 0.85
    exchange: Numbers = 1.86e-05
    skew: Numbers = 0.251
    hot: Numbers = 0.561


RATES: Final = Rates()
"""The prior."""

NARROW_KV: Final = 1.6
"""Rate of attention over KV in FP8 relative to BF16 (FlashAttention-3, arXiv:2407.08608: 1.2
PFLOP/s against 0.74 on H100)."""

KERNELS_ATTENTION: Final = 7.0
"""Kernels of an attention layer: norm, QKV, rotation and cache write, attention, merge, output,
quantisation."""

KERNELS_LATENT: Final = 6.0
"""More kernels of a latent (MLA) one: two down- and up-projections, their norms, absorption."""

KERNELS_LINEAR: Final = 5.0
"""More kernels of a layer with a fixed state: convolution, gates, update of the state, norm."""

KERNELS_DENSE: Final = 4.0
"""Kernels of a dense feed-forward layer: norm, up, activation, down."""

DENSE_KERNELS: Final = KERNELS_ATTENTION + KERNELS_DENSE
"""Kernels of a layer of a dense model."""

KERNELS_EXPERTS: Final = 9.0
"""Kernels of a MoE layer: norm, router, top-k, sort, quantise, two grouped products, activation,
weighted sum."""

KERNELS_SHARED: Final = 3.0
"""More kernels of a MoE layer with shared experts."""

GRAPH: Final = 512.0
"""Tokens of the longest step that engines run as a CUDA graph (vLLM's default capture size)."""

ACTIVATIONS: Final = 0.10
"""Share of the memory that engines leave free for activations, graphs and buffers (vLLM's and
SGLang's defaults: 0.9 and 0.85-0.9 of the memory for weights and KV)."""


class Corrections(NamedTuple):
    """Factors on the terms of a step and on waiting; 1: the prior.  Numbers or f8[n]."""

    dense: Numbers = 1.0
    experts: Numbers = 1.0
    decode: Numbers = 1.0
    prefill: Numbers = 1.0
    elementwise: Numbers = 1.0
    head: Numbers = 1.0
    reduce: Numbers = 1.0
    exchange: Numbers = 1.0
    launch: Numbers = 1.0
    overhead: Numbers = 1.0
    wait: Numbers = 1.0


NONE: Final = Corrections()
"""No correction."""


class Engine(NamedTuple):
    """How an engine schedules its steps; numbers or f8[n].

    Attributes
    ----------
    chunk : tokens a step may have (`max_num_batched_tokens`, `chunked_prefill_size`).
    mixed : 1: prefill chunks share a step with decoding (vLLM, TensorRT-LLM); 0: prefill has
        steps of its own that hold decoding up (SGLang's default).
    overhead : s of host work a step that the GPU waits for.
    sequence : s of host work more for each sequence of the step (scheduling, sampling, stream).
    request : s a request spends in the front end before it is scheduled (HTTP, tokenizer).
    layer : s more to the first token for each dense layer's worth of kernels that a model has
        beyond those of its layers if they were dense (Python path of a prefill that no CUDA graph
        covers, of experts and latents); it delays the request, not the others.
    host : s of host work for each kernel of a step with a prompt, which no CUDA graph covers: the
        step takes at least that for all its kernels.
    cold : s more that the first wave of a benchmark waits for each doubling of the concurrency
        and each thousand kernels: they are compiled and tuned on first use.
    overlap : share of the smaller of exchange and the other operators that runs beside the other:
        two half batches take turns (SGLang's two-batch overlap, DeepSeek-V3, arXiv:2412.19437,
        section 3.4); 0: none, and whole batches.  0.67 is what SGLang's gains say (see
        docs/explanation/serving-performance.md).
    slots : sequences that may run at a time (`max_num_seqs`, `max_batch_size`), each data rank.
    """

    chunk: Numbers = 8192.0
    mixed: Numbers = 1.0
    overhead: Numbers = 0.7e-3
    sequence: Numbers = 5.0e-6
    request: Numbers = 0.015
    layer: Numbers = 0.5e-3
    host: Numbers = 2.0e-5
    cold: Numbers = 0.2
    overlap: Numbers = 0.0
    slots: Numbers = inf


ENGINES: Final = {
    "vllm": Engine(
        chunk=8192.0,
        mixed=1.0,
        overhead=0.000698,
        sequence=4.33e-06,
        request=0.0144,
        layer=0.000251,
        host=1.5e-05,
        cold=0.0978,
    ),
    "sglang": Engine(
        chunk=8192.0,
        mixed=0.0,
        overhead=0.00145,
        sequence=2.09e-05,
        request=0.0154,
        layer=0.00137,
        host=3e-05,
        cold=0.413,
    ),
    "trtllm": Engine(
        chunk=8192.0,
        mixed=1.0,
        overhead=0.00056,
        sequence=5.01e-06,
        request=0.0159,
        layer=0.0008,
        host=1.89e-05,
        cold=0.23,
    ),
}
"""Public defaults of the engines (documentation of vLLM 0.1x, SGLang 0.5, TensorRT-LLM 1.x)."""

GENERIC: Final = Engine()
"""An engine that is not named."""
