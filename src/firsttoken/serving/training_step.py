"""Time of a training step: named terms from operations, bytes and how the ranks are arranged.

A step is `batch` sequences.  Each data-parallel replica runs `m` microbatches through its pipeline;
with `v` chunks a rank (interleaved schedule, Narayanan et al., arXiv:2104.04473, section 2.2) it
takes `m + (p - 1) / v` times the time of a microbatch, then the optimizer and what of reducing
gradients is not hidden.  Backward has twice the matrix products of forward; recomputation adds
up to one more forward (Korthikanti et al., arXiv:2205.05198).  The shares of peaks that are
reached are `Rates`, fitted to measured steps in `training_calibration`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from firsttoken.serving import perf_weights
from firsttoken.serving.system import Architecture, Floats, Hardware, Numbers

FULL_GRAPHS = 0.75
"""Years after 2025-09 from which MoE models in MXFP8 run as one CUDA graph a step with fused
grouped products (Megatron Bridge's recipes of container 26.06)."""


class Job(NamedTuple):
    """A training job as it lies on GPUs; numbers or f8[n].

    Attributes
    ----------
    gpus : all ranks; batch, micro : sequences of a step, and of a microbatch; sequence : tokens.
    tensor, pipeline, context : ranks of tensor (with sequence), pipeline and context parallelism;
        the rest of the GPUs are data-parallel replicas.
    chunks : model chunks of a pipeline rank (virtual pipeline, interleaving).
    expert : ranks over which experts are spread.
    shard : 1 if weights are sharded over the data ranks too (FSDP), else 0.
    bits : of the operands of matrix products in layers: 16, 8 or 4.
    block : 1 if their scales belong to blocks (MXFP8, NVFP4), 0 to tensors.
    recompute : share of a forward pass that backward repeats.
    trained : share of the weights that get gradients: 1, or 0 for adapters (LoRA).
    dropped : 1 if experts have a fixed capacity and drop tokens above it.
    imbalance : tokens of the busiest rank of experts over the mean; all wait for it.
    release : software, years after 2025-09 (`release_years`).
    """

    gpus: Numbers
    batch: Numbers
    micro: Numbers
    sequence: Numbers
    tensor: Numbers = 1.0
    pipeline: Numbers = 1.0
    context: Numbers = 1.0
    chunks: Numbers = 1.0
    expert: Numbers = 1.0
    shard: Numbers = 0.0
    bits: Numbers = 16.0
    block: Numbers = 0.0
    recompute: Numbers = 0.0
    trained: Numbers = 1.0
    dropped: Numbers = 0.0
    release: Numbers = 0.75
    imbalance: Numbers = 1.0

    @property
    def data(self) -> Any:
        """Data-parallel replicas."""
        return self.gpus / (self.tensor * self.pipeline * self.context)

    @property
    def microbatches(self) -> Any:
        """Microbatches of a replica in a step."""
        return self.batch / (self.micro * self.data)

    @property
    def tokens(self) -> Any:
        """Tokens of a step."""
        return self.batch * self.sequence


class Rates(NamedTuple):
    """What the terms are multiplied with.

    Attributes
    ----------
    bf16, fp8, mxfp8, fp4 : time of a large matrix product over that at the peak.
    power : exponent of the watts a FLOP/s relative to the first of a generation: large products
        are limited by power.
    hopper : factor on the time of products over peak for GPUs without FP4, relative to Blackwell.
    grouped, rows : time of experts' products over that of large ones; rows of an expert at which
        it doubles again.
    attention, exponent : time over that at the peak of products, and of exponentials.
    passes, expert_passes : times that the residual stream, and the tokens of experts, pass memory.
    scale, block : further passes of quantising with scales of tensors, and of blocks.
    gradients : passes of FP32 gradients a microbatch; optimizer : of its state a step.
    tensor, exchange, exchange_out, context, sharded, reduce, chunk : shares of the time on the link
        that are not hidden, of tensor ranks, all-to-all within and out of the domain, context
        ranks, sharded weights, gradients, and from chunk to chunk.
    tensor_call, chunk_call : s of a collective of tensor ranks, and of a transfer.
    launch, launch_expert : s of host work for a layer, and more if it has experts, forward and
        back; graphs, capacity : share of it with full graphs, and with a fixed capacity.
    host : factor on it for hosts of x86 (domains of 8) over Grace.
    fused : logarithm of what full graphs and fused products change of a microbatch.
    release, release_expert : change of the logarithm a year of software, dense and MoE.
    """

    bf16: Numbers = 1.45
    fp8: Numbers = 1.43
    mxfp8: Numbers = 1.48
    fp4: Numbers = 1.8
    power: Numbers = -0.6
    hopper: Numbers = 1.0
    grouped: Numbers = 2.5
    rows: Numbers = 500.0
    attention: Numbers = 1.2
    exponent: Numbers = 1.0
    passes: Numbers = 200.0
    expert_passes: Numbers = 25.0
    scale: Numbers = 3.0
    block: Numbers = 6.0
    gradients: Numbers = 1.0
    optimizer: Numbers = 1.0
    tensor: Numbers = 0.8
    exchange: Numbers = 0.4
    exchange_out: Numbers = 0.9
    context: Numbers = 0.5
    sharded: Numbers = 0.1
    reduce: Numbers = 0.3
    chunk: Numbers = 0.3
    tensor_call: Numbers = 2.0e-5
    chunk_call: Numbers = 3.0e-5
    launch: Numbers = 1.0e-4
    launch_expert: Numbers = 3.0e-3
    graphs: Numbers = 0.3
    capacity: Numbers = 0.4
    host: Numbers = 1.6
    fused: Numbers = -0.15
    release: Numbers = -0.02
    release_expert: Numbers = -0.12


SIGNED = ("power", "fused", "release", "release_expert")
"""Rates that may be negative; all others are factors."""


class TrainingTerms(NamedTuple):
    """Seconds of one microbatch on a rank, f8[n]; the last two are of the whole step.

    Attributes
    ----------
    products : matrix products of attention, dense layers and the output head.
    experts : grouped products of experts.
    attention : scores and values of attention.
    memory : norms, activations, quantisation, routing, gradients: bound by memory.
    launch : host work that GPUs wait for if it is longer than all of the above.
    tensor, exchange, context, sharded, transfer : communication that is not hidden.
    optimizer, reduce : once a step.
    """

    products: Floats
    experts: Floats
    attention: Floats
    memory: Floats
    launch: Floats
    tensor: Floats
    exchange: Floats
    context: Floats
    sharded: Floats
    transfer: Floats
    optimizer: Floats
    reduce: Floats


def release_years(release: str) -> float:
    """Years from 2025-09 to a release named `yy.mm` or `yy.mm.patch`.

    Raises
    ------
    ValueError
        If it is no such name.
    """
    parts = release.split(".")
    if not (2 <= len(parts) <= 3 and all(part.isdigit() for part in parts)):
        raise ValueError(f"{release!r} is no release such as 26.06")
    year, month = int(parts[0]) % 100, int(parts[1])
    patch = int(parts[2]) if len(parts) == 3 else 0
    return (year - 25) + (month - 9) / 12.0 + 0.025 * patch


def peak(hardware: Hardware, bits: Numbers) -> Any:
    """Peak of matrix products with operands of so many bits, FLOP/s, f8[n]; 0: not supported."""
    bits = np.asarray(bits)
    return np.where(bits >= 16, hardware.bf16, np.where(bits >= 8, hardware.fp8, hardware.fp4))


def exponentials(hardware: Hardware) -> Any:
    """Exponentials a second, f8[n]: 16 a clock and SM, 32 from Blackwell Ultra on.

    Ampere has 130 BF16 FLOP for each, Hopper 267, Blackwell 511, Blackwell Ultra 256 (data
    sheets: SMs, boost clock); told apart by the formats that they compute.
    """
    bf16, fp4 = np.asarray(hardware.bf16), np.asarray(hardware.fp4)
    older = np.where(np.asarray(hardware.fp8) > 0, 267.0, 130.0)
    return bf16 / np.where(fp4 > 5.0 * bf16, 256.0, np.where(fp4 > 0, 511.0, older))


def model_flops(architecture: Architecture, job: Job) -> Floats:
    """Operations of a step as papers count them, FLOP: no recomputation, causal attention, f8[n].

    Six for every weight and token, and for attention 6 for every pair of tokens, of which a causal
    mask leaves half (Narayanan et al., arXiv:2104.04473; PaLM, arXiv:2204.02311, appendix B).
    Adapters need no gradients of the weights: four.
    """
    count = perf_weights.counts(architecture)
    weights = count.attention + count.dense + count.active_experts + count.head
    weights = weights + _heads_of_mtp(architecture, count)
    rounds = 2.0 + np.asarray(job.trained)
    pairs = np.asarray(_pairs(architecture, job))
    return np.asarray(job.tokens * (2.0 * rounds * weights + 3.0 * pairs))


def _heads_of_mtp(a: Architecture, count: perf_weights.Counts) -> Any:
    """Active weights of multi-token prediction: a layer like the others, and the head again."""
    layer = (count.attention + count.dense + count.active_experts) / a.layers
    return np.asarray(a.mtp) * (layer + count.head + 2.0 * a.hidden * a.hidden)


def _pairs(a: Architecture, job: Job) -> Any:
    """Operations a token of forward attention over its causal context."""
    seen = np.asarray(job.sequence) / 2.0
    window = np.where(np.asarray(a.window) > 0, np.minimum(a.window, seen), seen)
    full = perf_weights.pair_flops(a) * seen
    near = 2.0 * a.layers * (1.0 - a.linear) * a.windowed * a.heads * (a.head_size + a.value_size)
    return (full + near * window) * (1.0 + np.asarray(a.mtp) / a.layers)


def step_terms(
    architecture: Architecture, hardware: Hardware, job: Job, rates: Rates
) -> TrainingTerms:
    """The terms of a step.

    All arguments broadcast; sources are those of the module and of `Rates`.
    """
    a, h = architecture, hardware
    count = perf_weights.counts(a)
    ranks = job.tensor * job.pipeline
    tokens = job.micro * job.sequence / job.context
    more = 1.0 + np.asarray(a.mtp) / a.layers
    forward = 2.0 * tokens * more / ranks
    rounds = 2.0 + np.asarray(job.trained) + job.recompute
    product = _product(h, job, rates)
    head = forward * count.head * _head_rounds(job) * _wide(h, rates)
    experts = forward * count.active_experts * rounds * product
    rows = tokens / job.tensor * job.expert * a.active / np.maximum(a.experts, 1.0)
    attention = tokens * _pairs(a, job) / ranks * (3.5 + np.asarray(job.recompute))
    scores = attention / (2.0 * (a.head_size + np.asarray(a.value_size)))
    zero = np.zeros(np.shape(forward * product))
    return TrainingTerms(
        products=zero + forward * (count.attention + count.dense) * rounds * product + head,
        experts=zero
        + experts * rates.grouped * (job.imbalance + rates.rows / np.maximum(rows, 1e-9)),
        attention=zero
        + attention * rates.attention / h.bf16
        + scores * rates.exponent / exponentials(h),
        memory=zero + _memory(a, h, job, rates, tokens),
        launch=zero + _launch(a, h, job, rates),
        tensor=zero + _tensor(a, h, job, rates, tokens),
        exchange=zero + _exchange(a, h, job, rates, tokens) * job.imbalance,
        context=zero + _context(a, h, job, rates, tokens),
        sharded=zero + _sharded(a, h, job, rates),
        transfer=zero + _transfer(a, h, job, rates, tokens),
        optimizer=zero + _optimizer(a, h, job, rates),
        reduce=zero + _reduce(a, h, job, rates),
    )


def step_seconds(
    architecture: Architecture,
    job: Job,
    rates: Rates,
    terms: TrainingTerms,
) -> Floats:
    """Seconds of a step from its terms, f8[n].

    Host work runs beside the GPU's: the longer counts, smoothly (power mean of degree 4).
    """
    t = terms
    device = t.products + t.experts + t.attention + t.memory
    busy = (device**4 + t.launch**4) ** 0.25
    sparse = np.asarray(architecture.experts) > 0
    year = np.where(sparse, rates.release_expert, rates.release)
    busy = busy * np.exp(year * job.release + rates.fused * full_graphs(architecture, job))
    apart = t.tensor + t.exchange + t.context + t.sharded + t.transfer
    rounds = job.microbatches + (job.pipeline - 1.0) / job.chunks
    return np.asarray(rounds * (busy + apart) + t.optimizer + t.reduce)


def full_graphs(architecture: Architecture, job: Job) -> Any:
    """1 where a step is one CUDA graph with fused grouped products (see `FULL_GRAPHS`), else 0."""
    eight = (np.asarray(job.bits) == 8) & (np.asarray(job.block) > 0)
    late = np.asarray(job.release) >= FULL_GRAPHS - 1e-6
    return ((np.asarray(architecture.experts) > 0) & eight & late).astype(float)


def _hot(h: Hardware, rates: Rates) -> Any:
    """Factor on the time of products, which are limited by power: W a FLOP/s.

    Against A100 (400 W for 312 TFLOP/s), H100 (700 W for 989 TFLOP/s) or B200 (1,000 W for
    2.25 PFLOP/s), whichever has the same formats.
    """
    older = np.where(np.asarray(h.fp8) > 0, 700.0 / 989e12, 400.0 / 312e12)
    first = np.where(np.asarray(h.fp4) > 0, 1000.0 / 2.25e15, older)
    ratio = np.asarray(h.tgp) / np.asarray(h.bf16) / first
    return np.exp(rates.power * np.log(ratio)) * np.where(np.asarray(h.fp4) > 0, 1.0, rates.hopper)


def _wide(h: Hardware, rates: Rates) -> Any:
    """Seconds a FLOP of products in BF16 (the output head)."""
    return rates.bf16 * _hot(h, rates) / h.bf16


def _head_rounds(job: Job) -> Any:
    """Forward and backward of the output head, which is not recomputed."""
    return 2.0 + np.asarray(job.trained)


def _product(h: Hardware, job: Job, rates: Rates) -> Any:
    """Seconds a FLOP of products in layers."""
    bits, block = np.asarray(job.bits), np.asarray(job.block)
    eight = np.where(block > 0, rates.mxfp8, rates.fp8)
    factor = np.where(bits >= 16, rates.bf16, np.where(bits >= 8, eight, rates.fp4))
    return factor * _hot(h, rates) / np.maximum(peak(h, bits), 1.0)


def _memory(a: Architecture, h: Hardware, job: Job, rates: Rates, tokens: Any) -> Any:
    """Norms, activations and quantisation; routing of experts; adding up of gradients."""
    small = np.asarray(job.bits) < 16
    extra = np.where(small, np.where(np.asarray(job.block) > 0, rates.block, rates.scale), 0.0)
    stage = tokens / (job.tensor * job.pipeline) * 2.0 / h.bandwidth
    residual = a.layers * a.hidden * (rates.passes + extra)
    picked = perf_weights.moe_layers(a) * a.active * (a.hidden + 2.0 * a.expert_ffn)
    routed = picked * (rates.expert_passes + extra / 4.0)
    gradients = parameters(a, job) * 8.0 / h.bandwidth * rates.gradients * job.trained
    return stage * (residual + routed) + gradients


def parameters(architecture: Architecture, job: Job) -> Any:
    """Parameters on a rank before sharding, f8[n]."""
    count = perf_weights.counts(architecture)
    plain = count.attention + count.dense + count.embedding
    spread = np.maximum(job.expert, 1.0) * job.pipeline
    return plain / (job.tensor * job.pipeline) + (count.experts + count.mtp) / spread


def _launch(a: Architecture, h: Hardware, job: Job, rates: Rates) -> Any:
    """Host work of a microbatch: kernels of all layers of a rank, more where experts are routed."""
    host = np.where(np.asarray(h.domain) > 8, 1.0, rates.host)
    less = np.where(np.asarray(job.dropped) > 0, rates.capacity, 1.0)
    less = np.where(full_graphs(a, job) > 0, rates.graphs, less)
    sparse = perf_weights.moe_layers(a) * rates.launch_expert * less
    return (a.layers * rates.launch + sparse) / job.pipeline * host


def _tensor(a: Architecture, h: Hardware, job: Job, rates: Rates, tokens: Any) -> Any:
    """All-gathers and reduce-scatters of tensor ranks: eight a layer, forward and back."""
    split = np.asarray(job.tensor, dtype=float)
    sent = 8.0 * tokens * a.hidden * 2.0 * (split - 1.0) / split
    calls = np.where(split > 1, 8.0 * rates.tensor_call, 0.0)
    return a.layers / job.pipeline * (sent / h.link * rates.tensor + calls)


def _exchange(a: Architecture, h: Hardware, job: Job, rates: Rates, tokens: Any) -> Any:
    """All-to-all of experts, two forward and two back.

    Out of the domain a token is sent once to each domain that has one of its experts: of D domains
    and k experts picked at random, D (1 - (1 - 1 / D)^k).
    """
    ranks = np.asarray(job.expert, dtype=float)
    picks = np.minimum(a.active, ranks)
    outside = 1.0 - np.minimum(h.domain, ranks) / ranks
    sent = perf_weights.moe_layers(a) * 4.0 * tokens / (job.tensor * job.pipeline) * a.hidden * 2.0
    sent = np.where(ranks > 1, sent, 0.0)
    domains = np.maximum(ranks / h.domain, 1.0)
    once = domains * (1.0 - (1.0 - 1.0 / domains) ** np.asarray(a.active))
    within = sent * picks * (ranks - 1.0) / ranks * (1.0 - outside) / h.link * rates.exchange
    return within + sent * once * outside / h.network * rates.exchange_out


def _context(a: Architecture, h: Hardware, job: Job, rates: Rates, tokens: Any) -> Any:
    """Keys and values around the ring of context ranks, forward and twice back."""
    ranks = np.asarray(job.context, dtype=float)
    size = tokens * perf_weights.kv_elements(a) * 2.0 * 3.0 * (ranks - 1.0)
    full = (1.0 - a.linear) * a.layers / job.pipeline
    return full * size / np.minimum(job.tensor, 8.0) / h.link * rates.context


def _sharded(a: Architecture, h: Hardware, job: Job, rates: Rates) -> Any:
    """Weights gathered twice and gradients scattered once a microbatch (FSDP)."""
    size = parameters(a, job) * 8.0 * np.asarray(job.shard)
    return size / _data_link(h, job) * rates.sharded


def _transfer(a: Architecture, h: Hardware, job: Job, rates: Rates, tokens: Any) -> Any:
    """Activations from chunk to chunk of the pipeline, forward and back."""
    chunks = np.where(np.asarray(job.pipeline) > 1, job.chunks, 0.0)
    sent = 4.0 * chunks * tokens / job.tensor * a.hidden
    link = np.where(np.asarray(h.domain) > 8, h.link, h.network)
    return sent / link * rates.chunk + 4.0 * chunks * rates.chunk_call


def _optimizer(a: Architecture, h: Hardware, job: Job, rates: Rates) -> Any:
    """Adam reads and writes its state, sharded over the data ranks, once a step."""
    count = perf_weights.counts(a)
    plain = (count.attention + count.dense + count.embedding) / (job.tensor * job.pipeline)
    copies = np.maximum(job.gpus / (job.pipeline * np.maximum(job.expert, 1.0)), 1.0)
    spread = (count.experts + count.mtp) / (job.pipeline * np.maximum(job.expert, 1.0))
    size = plain / job.data * 30.0 + spread / copies * 30.0 + parameters(a, job) * 6.0
    return size / h.bandwidth * rates.optimizer * job.trained


def _reduce(a: Architecture, h: Hardware, job: Job, rates: Rates) -> Any:
    """Gradients to, and weights from, the data ranks: 4 and 2 bytes a parameter, mostly hidden."""
    many = (np.asarray(job.data) > 1) & (np.asarray(job.shard) == 0)
    size = parameters(a, job) * 6.0 * job.trained
    return np.where(many, size / _data_link(h, job) * rates.reduce, 0.0)


def _data_link(h: Hardware, job: Job) -> Any:
    """Bytes/s between data ranks: the link if all GPUs share a domain, else the network."""
    return np.where(np.asarray(job.gpus) <= h.domain, h.link, h.network)
