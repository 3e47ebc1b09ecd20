"""Effective rates: which share of a peak an operator reaches, and what each launch costs.

Every constant names its source, or says that it is a prior fitted by hand to public measurements.
`Corrections` multiply terms, `Engine` says how an engine schedules; both may hold arrays.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from firsttoken.serving.system import Numbers

MATRIX_16: Final = 0.70
"""Share of the dense BF16 peak of a large matrix product (cuBLAS on H100 SXM: 650-750 of 989
TFLOP/s, limited by power)."""

MATRIX_8: Final = 0.62
"""Share of the FP8 peak (cuBLAS on H100: 1,200-1,300 of 1,979; DeepGEMM up to 1,550)."""

MATRIX_4: Final = 0.55
"""Share of the NVFP4 peak (fitted prior: the scales of blocks cost more at higher rates)."""

GROUPED: Final = 0.75
"""Rate of grouped products of experts relative to one large product (fitted prior; DeepGEMM's
grouped kernels reach 70-100 % of its dense ones)."""

ATTENTION_PREFILL: Final = 0.55
"""Share of the BF16 peak of prefill attention, causal (FlashAttention-3, arXiv:2407.08608:
up to 75 % at 16k, 50-60 % at 1k-4k)."""

ATTENTION_DECODE: Final = 0.60
"""Share of the BF16 peak that decode attention of latent heads reaches (FlashMLA: 580-660 of 989
TFLOP/s on H800)."""

MEMORY: Final = 0.80
"""Share of the memory bandwidth of reading weights (FlashMLA and vendors' GEMV: 75-90 %)."""

MEMORY_KV: Final = 0.70
"""Share of the memory bandwidth of reading KV in pages (fitted prior)."""

ROWS: Final = 96.0
"""Rows of a matrix product at which a rank reaches half its rate (fitted prior: tiles of 64-128
rows, waves over 132-160 SMs)."""

COLUMNS: Final = 256.0
"""Columns of a rank's matrix at which it reaches half its rate (fitted prior)."""

KERNEL: Final = 2.2e-6
"""s that each kernel of a CUDA graph costs beyond its work: launch gap, ramp, tail (public
profiles show 1.5-3 us)."""

KERNELS_ATTENTION: Final = 7.0
"""Kernels of an attention layer: norm, QKV, rotation and cache write, attention, merge, output,
quantisation."""

KERNELS_DENSE: Final = 4.0
"""Kernels of a dense feed-forward layer: norm, up, activation, down."""

KERNELS_EXPERTS: Final = 9.0
"""Kernels of a MoE layer: norm, router, top-k, sort, quantise, two grouped products, activation,
weighted sum."""

ELEMENTWISE: Final = 14.0
"""Times that a token's residual stream passes the memory in a layer outside of matrix products."""

REDUCE_LATENCY: Final = 4.0e-6
REDUCE_RANK: Final = 0.4e-6
"""s of a small all-reduce within a NVLink domain, and more for each rank (one-shot kernels of
the engines take 6-10 us on 8 GPUs; NCCL 2-3 times as long)."""

REDUCE_SHARE: Final = 0.75
"""Share of the link's rate that large collectives reach (NCCL bus bandwidth on NVSwitch)."""

NETWORK_LATENCY: Final = 25.0e-6
"""s of a small collective between domains (NCCL over InfiniBand)."""

NETWORK_SHARE: Final = 0.80
"""Share of the NIC's rate that collectives reach (DeepEP: 43-47 of 50 GB/s)."""

EXCHANGE_LATENCY: Final = 20.0e-6
"""s of a small all-to-all (DeepEP low latency: 77 us dispatch and 114 us combine for 128 tokens
over 8 H800 with RDMA, of which about 30 us do not depend on the size)."""

SKEW: Final = 0.25
"""Spread of the popularity of experts (standard deviation / mean of the load of a rank with one
expert, fitted prior; DeepSeek's public load statistics of R1 show 0.2-0.4 after balancing)."""

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
    request : s a request spends in the front end before it is scheduled (HTTP, tokenizer).
    """

    chunk: Numbers = 8192.0
    mixed: Numbers = 1.0
    overhead: Numbers = 0.7e-3
    request: Numbers = 0.010


ENGINES: Final = {
    "vllm": Engine(chunk=8192.0, mixed=1.0, overhead=1.2e-3, request=0.012),
    "sglang": Engine(chunk=8192.0, mixed=0.0, overhead=0.6e-3, request=0.012),
    "trtllm": Engine(chunk=8192.0, mixed=1.0, overhead=0.6e-3, request=0.012),
}
"""Public defaults of the engines (documentation of vLLM 0.1x, SGLang 0.5, TensorRT-LLM 1.x)."""

GENERIC: Final = Engine()
"""An engine that is not named."""
