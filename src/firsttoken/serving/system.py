"""The frozen numbers that every engine of the room works with.

All fields are in SI units, tokens or plain numbers. They may be floats, or arrays `[n]` of points
that broadcast against each other: ten thousand configurations are one call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = float | Floats


class Architecture(NamedTuple):
    """A decoder-only transformer.

    Attributes
    ----------
    layers, hidden, vocabulary : layers, width of the residual stream, tokens known.
    heads, kv_heads, head_size : attention heads for queries, for keys and values, width of one.
    value_size : width of a value head (MLA: differs from `head_size`).
    kv_rank, rope_size, q_rank : MLA's latent width of keys and values, width of the decoupled
        positional part, latent width of queries; 0: no MLA (grouped-query attention).
    shared_kv : 1 where the latent itself is key and value of every head (no up-projection).
    out_rank, out_groups : latent width of the output projection and groups of heads that have one
        each; 0: one matrix.
    window, windowed : sliding window in tokens and share of the layers that use one; 0: none.
    linear : share of the layers whose state does not grow with the context (Mamba, delta nets).
    linear_width : inner width of such a layer (Mamba-2); 0: that of the attention's heads.
    ffn : inner width of a dense (gated) feed-forward layer.
    gated : 3 matrices (1) or 2 (0) in a feed-forward layer.
    experts, active, shared, expert_ffn : experts of a MoE layer, those a token uses, those all
        tokens use, inner width of one; 0 experts: dense.
    dense_layers : first layers that are dense in spite of the experts.
    tied : 1 if input and output embedding are one matrix.
    mtp : layers of multi-token prediction.
    parameters, active_parameters : published totals, for checks; 0: not known.
    """

    layers: Numbers
    hidden: Numbers
    vocabulary: Numbers
    heads: Numbers
    kv_heads: Numbers
    head_size: Numbers
    value_size: Numbers
    kv_rank: Numbers
    rope_size: Numbers
    q_rank: Numbers
    shared_kv: Numbers
    out_rank: Numbers
    out_groups: Numbers
    window: Numbers
    windowed: Numbers
    linear: Numbers
    linear_width: Numbers
    ffn: Numbers
    gated: Numbers
    experts: Numbers
    active: Numbers
    shared: Numbers
    expert_ffn: Numbers
    dense_layers: Numbers
    tied: Numbers
    mtp: Numbers
    parameters: Numbers
    active_parameters: Numbers


class Hardware(NamedTuple):
    """One accelerator and what joins it to others.

    Attributes
    ----------
    bf16, fp8, fp4 : peak of dense matrix products, FLOP/s; 0: not supported.
    memory, bandwidth : HBM, bytes and bytes/s.
    tgp, idle : power limit and power without work of one GPU, W.
    host : power of its share of the node that is not the GPU (CPU, NIC, fans, losses), W.
    domain : GPUs of one NVLink domain (8 of an HGX node, 72 of an NVL72 rack).
    link, network : bytes/s of a GPU in one direction within the domain, and between domains.
    """

    bf16: Numbers
    fp8: Numbers
    fp4: Numbers
    memory: Numbers
    bandwidth: Numbers
    tgp: Numbers
    idle: Numbers
    host: Numbers
    domain: Numbers
    link: Numbers
    network: Numbers


class Layout(NamedTuple):
    """How a model lies on GPUs: one replica takes `tensor x pipeline x data` of them.

    Attributes
    ----------
    tensor, pipeline, data : ranks of tensor, pipeline and (attention) data parallelism.
    expert_tensor, expert : ranks over which an expert is split, and experts are spread;
        `expert_tensor x expert = tensor x data`.
    weight_bits, expert_bits, kv_bits, compute_bits : bits of a dense weight, of an expert's
        weight, of a KV element, and of the operands of matrix products (16, 8, 4; the scales of
        block formats included, such as 4.5).
    """

    tensor: Numbers
    pipeline: Numbers
    data: Numbers
    expert_tensor: Numbers
    expert: Numbers
    weight_bits: Numbers
    expert_bits: Numbers
    kv_bits: Numbers
    compute_bits: Numbers


class StepLaw(NamedTuple):
    """Time and power of one engine step of one replica: all that request engines know of physics.

    A step with T tokens (all prefill tokens, and one a decoding sequence), of which decoding
    sequences read K tokens of KV, and whose prefill chunks attend A pairs (sum over its chunks of
    `chunk x (done before + chunk / 2)`), takes

        t = overhead + interpolate(tokens, seconds, T) + kv_second x K + pair_second x A

    and takes, above `idle`, an energy over all GPUs of (power at most `limit`)

        E = energy_step + interpolate(tokens, joules, T) + kv_joule x K + pair_joule x A

    Attributes
    ----------
    tokens : f8[m], rising, from 0; seconds, joules : f8[m] at them, rising. Matrix products, the
        reading of weights (the experts that are hit, for MoE) and collectives.
    overhead : s a step (launch, scheduler, sampling).
    kv_second, pair_second : s a KV token read by decoding, and an attended pair in prefill.
    energy_step, kv_joule, pair_joule : J over all GPUs of the replica, above idle.
    idle, limit : W of all GPUs of the replica without work, and their power limit.
    gpus : GPUs of the replica.
    kv_tokens : tokens of KV that fit into a replica's memory.
    kv_bytes : bytes of KV a token, over all GPUs (for transfers between pools).
    link : bytes/s at which a replica sends KV to another.
    """

    tokens: Floats
    seconds: Floats
    joules: Floats
    overhead: float
    kv_second: float
    pair_second: float
    energy_step: float
    kv_joule: float
    pair_joule: float
    idle: float
    limit: float
    gpus: float
    kv_tokens: float
    kv_bytes: float
    link: float
