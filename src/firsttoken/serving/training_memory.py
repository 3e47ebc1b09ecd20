"""Whether a training job fits: bytes on the fullest rank.

Weights and gradients in BF16 (as in the recipes of Megatron Bridge), Adam's state (FP32 weights and
two moments, 12 bytes) sharded over the data ranks (Rajbhandari et al., ZeRO, arXiv:1910.02054);
activations as Korthikanti et al. count them (arXiv:2205.05198, section 4), with flash attention,
for gated layers and experts; the first stage of a pipeline holds most of them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving import perf_weights
from firsttoken.serving.system import Architecture, Floats
from firsttoken.serving.training_step import Job, parameters

RESERVED: Final = 6e9
"""Bytes for CUDA, collectives' buffers and workspaces (prior; NCCL and cuBLAS defaults)."""

USABLE: Final = 0.97
"""Share of the memory that allocators can fill without fragments (prior)."""


class TrainingMemory(NamedTuple):
    """Bytes on the fullest rank, each f8[n]."""

    weights: Floats
    gradients: Floats
    optimizer: Floats
    activations: Floats
    logits: Floats

    @property
    def total(self) -> Floats:
        """All of it, and what is reserved."""
        return np.asarray(sum(self) + RESERVED)


def training_memory(architecture: Architecture, job: Job) -> TrainingMemory:
    """Memory that a job needs on its fullest rank."""
    a = architecture
    count = perf_weights.counts(a)
    spread = np.maximum(job.expert, 1.0) * job.pipeline
    plain = (count.attention + count.dense + count.embedding) / (job.tensor * job.pipeline)
    sparse = (count.experts + count.mtp) / spread
    copies = np.maximum(job.gpus / spread, 1.0)
    sharded = np.asarray(job.shard) > 0
    whole = np.where(sharded, plain / job.data + sparse / copies, parameters(a, job))
    owned = plain / job.data + sparse / copies
    tokens = job.micro * job.sequence / job.context / job.tensor
    chunk = a.layers / (job.pipeline * job.chunks)
    ahead = 1.0 + (job.pipeline - 1.0) / (job.pipeline * job.chunks)
    held = np.minimum(a.layers * ahead, job.microbatches * a.layers / job.pipeline + chunk)
    full = np.asarray(job.recompute) >= 1.0
    layers = held * _layer_bytes(a, job)
    kept = held * 2.0 * a.hidden + _layer_bytes(a, job._replace(recompute=0.0))
    heads = np.where(np.asarray(job.pipeline) > 1, 1.0, 2.0)
    zero = np.zeros(np.shape(np.asarray(whole * tokens)))
    return TrainingMemory(
        weights=zero + 2.0 * whole,
        gradients=zero + 2.0 * whole * job.trained,
        optimizer=zero + 12.0 * owned * job.trained,
        activations=zero + tokens * np.where(full, kept, layers),
        logits=zero + tokens * a.vocabulary * 4.0 * heads,
    )


def _layer_bytes(a: Architecture, job: Job) -> Any:
    """Bytes of activations that a token leaves in a layer.

    Inputs of products have the width of their format; norms, attention and residuals two bytes.
    Selective recomputation keeps neither norms nor the activation function's result.
    """
    width = np.where(np.asarray(job.bits) >= 16, 2.0, 1.0)
    cheap = np.where(np.asarray(job.recompute) > 0, 0.0, 1.0)
    attention = 2.0 * (
        a.heads * (a.head_size + np.asarray(a.value_size))
        + a.kv_heads * (a.head_size + np.asarray(a.value_size))
    )
    norms = a.hidden * (2.0 * 2.0 * cheap + 2.0 * width)
    gates = 1.0 + np.asarray(a.gated)
    dense = a.ffn * (2.0 * gates + width * cheap)
    picked = a.active * (a.hidden * width + a.expert_ffn * (2.0 * gates + width * cheap))
    picked = picked + a.active * a.hidden * 2.0 + a.shared * a.expert_ffn * (2.0 * gates + width)
    share = perf_weights.moe_layers(a) / a.layers
    return attention + norms + share * picked + (1.0 - share) * dense
