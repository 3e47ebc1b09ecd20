"""Steady state of a deployment: time to first token, time per output token, tokens per second.

The load is a closed loop: `concurrency` requests are always in flight, each with `isl` tokens of
prompt and `osl` of output; when one ends the next begins (how public benchmarks load engines).
In one cycle of a request - its whole life - every other request is prefilled once too, so its
decoding pays for all prefills:

    life = osl x t_decode + concurrency x t_prefill

with the prefill of a chunk costing what its step takes longer than a step without (mixed steps,
Agrawal et al., Sarathi-Serve, OSDI 2024), or a step of its own.  Requests that begin at the same
moment wait for each other's prefills: the first wave of a benchmark (`burst` of its requests)
waits for half of it; later ones come one by one, as the others end.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.perf_efficiency import GENERIC, NONE, RATES, Corrections, Engine, Rates
from firsttoken.serving.perf_memory import kv_capacity, replica_gpus
from firsttoken.serving.perf_step import kernels, step_seconds, step_terms
from firsttoken.serving.perf_weights import moe_layers
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers

ROUNDS: Final = 24
"""Rounds of the fixed point; it halves its distance each round."""


BALANCED: Final = 0.25
"""Share of the requests in flight that engines gather for a balanced prefill over data ranks
(fitted prior; TensorRT-LLM's `attention_dp_config` waits up to tens of steps)."""


class Point(NamedTuple):
    """Operating point of one replica (or one disaggregated deployment); each f8[n].

    Attributes
    ----------
    ttft, tpot : mean s to the first token, and between the following ones.
    e2e : mean s of a request: ttft + tpot x (osl - 1).
    tokens : output tokens a second.
    per_gpu : output tokens a second and GPU.
    per_user : output tokens a second that one request sees: 1 / tpot.
    running : sequences that decode at a time.
    fits : whether weights and at least one request fit into memory.
    """

    ttft: Floats
    tpot: Floats
    e2e: Floats
    tokens: Floats
    per_gpu: Floats
    per_user: Floats
    running: Floats
    fits: Floats


class _Physics(NamedTuple):
    """What every step of a replica shares."""

    architecture: Architecture
    hardware: Hardware
    layout: Layout
    engine: Engine
    corrections: Corrections
    rates: Rates

    @property
    def host(self) -> Any:
        """Least s of a step that no CUDA graph covers."""
        return np.asarray(self.engine.host) * kernels(self.architecture)

    def seconds(self, tokens: Any, sequences: Any, kv: Any, pairs: Any, busiest: Any = None) -> Any:
        """Seconds of a step, host work included."""
        host = self.engine.overhead + self.engine.sequence * np.asarray(sequences)
        terms = step_terms(
            self.architecture,
            self.hardware,
            self.layout,
            tokens,
            sequences,
            kv,
            pairs,
            self.corrections,
            host,
            self.rates,
            busiest,
        )
        return step_seconds(terms)


def aggregated_point(
    architecture: Architecture,
    hardware: Hardware,
    layout: Layout,
    isl: Numbers,
    osl: Numbers,
    concurrency: Numbers,
    *,
    engine: Engine = GENERIC,
    corrections: Corrections = NONE,
    rates: Rates = RATES,
    cached: Numbers = 0.0,
    accepted: Numbers = 0.0,
    burst: Numbers = 0.0,
) -> Point:
    """Steady state of one replica that both prefills and decodes, arrays broadcast.

    Parameters
    ----------
    isl, osl : tokens of prompt and of output.
    concurrency : requests in flight at this replica.
    engine : how it schedules; corrections : factors on the terms; rates : of the operators.
    cached : share of the prompt that is found in the prefix cache.
    accepted : drafted tokens that are accepted in a step (speculative decoding; 0: none).
    burst : share of the requests that begin all at once (the first wave of a benchmark that
        sends ten times its concurrency: 0.1; waves that stay in step: 1).
    """
    physics = _Physics(architecture, hardware, layout, engine, corrections, rates)
    isl, osl, users = (np.asarray(x, dtype=float) for x in (isl, osl, concurrency))
    fresh = np.maximum(isl * (1.0 - np.asarray(cached)), 1.0)
    context = isl + osl / 2.0
    room = kv_capacity(architecture, hardware, layout, context, users)
    served = np.minimum(users, np.maximum(np.floor(room / context), 1.0))
    served = np.minimum(served, np.asarray(engine.slots) * layout.data)
    entry = engine.request + np.asarray(engine.layer) * moe_layers(architecture)
    decoded = 1.0 + np.asarray(accepted)
    steps = np.maximum(osl - 1.0, 1.0) / decoded
    wave = _wave(physics, fresh, isl - fresh, served)
    cold = np.asarray(engine.cold) * np.log2(np.maximum(served, 1.0))
    running, life = 0.9 * served, wave
    ttft = tpot = wave
    for _ in range(ROUNDS):
        plain = physics.seconds(running * decoded, running, running * context, 0.0)
        piece = _piece(physics, fresh, isl - fresh, running, context, served)
        extra = np.where(np.asarray(engine.mixed) > 0, piece.step - plain, piece.step)
        busy = served * piece.count * np.maximum(extra, 0.0) / piece.together
        own = piece.count * piece.step
        life = entry + own + steps * plain + busy * (1.0 - 1.0 / served)
        load = np.minimum(busy / life, 0.98)
        queue = 0.5 * load * own * np.asarray(corrections.wait)
        gathered = 0.5 * (piece.together - 1.0) * life / served
        calm = entry + 0.5 * plain + own + queue + gathered
        first = entry + (wave + cold) * np.asarray(corrections.wait)
        ttft = (1.0 - np.asarray(burst)) * calm + np.asarray(burst) * np.maximum(first, own)
        tpot = np.maximum(life - ttft, steps * plain) / np.maximum(osl - 1.0, 1.0)
        life = ttft + tpot * (osl - 1.0)
        target = served * np.clip(1.0 - calm / life, 0.02, 1.0)
        running = 0.5 * (running + target)
    waiting = life * (users - served) / served
    return _made(
        replica_gpus(layout), ttft + waiting, tpot, osl, served / life, running, room >= isl + osl
    )


class _Piece(NamedTuple):
    """A step with prefill: how long it takes, how many a prompt takes, prompts that share it."""

    step: Any
    count: Any
    together: Any


def _piece(
    physics: _Physics, fresh: Any, before: Any, running: Any, context: Any, served: Any
) -> _Piece:
    """Mean step of a prompt's prefill.

    Data ranks prefill prompts of their own side by side: engines hold prompts back until they
    have one for each rank, or for `BALANCED` of the requests.
    """
    engine, ranks = physics.engine, np.asarray(physics.layout.data, dtype=float)
    count = np.maximum(np.ceil(fresh / np.asarray(engine.chunk)), 1.0)
    tokens, pairs = fresh / count, fresh * (before + fresh / 2.0) / count
    beside = np.asarray(engine.mixed) * running
    together = np.clip(served * BALANCED, 1.0, ranks) + 0.0 * tokens
    step = physics.seconds(
        tokens * together + beside,
        1.0 + beside,
        beside * context,
        pairs * together,
        tokens + beside / ranks,
    )
    return _Piece(np.maximum(step, physics.host), count, together)


def _wave(physics: _Physics, fresh: Any, before: Any, served: Any) -> Any:
    """Mean s until the prefill ends of requests that begin at the same moment.

    Steps are filled up to the engine's budget; the mean prompt ends after half of the steps.
    """
    engine, ranks = physics.engine, np.asarray(physics.layout.data, dtype=float)
    count = np.maximum(np.ceil(fresh / np.asarray(engine.chunk)), 1.0)
    fill = np.clip(np.floor(np.asarray(engine.chunk) / fresh), 1.0, np.maximum(served / ranks, 1.0))
    tokens = fresh / count * fill
    pairs = fresh * (before + fresh / 2.0) / count * fill
    step = physics.seconds(tokens * ranks, fill * ranks, 0.0, pairs * ranks)
    rounds = np.maximum(served / ranks / fill, 1.0)
    return np.maximum(step, physics.host) * count * (rounds + 1.0) / 2.0


def disaggregated_point(
    architecture: Architecture,
    hardware: Hardware,
    prefill: Layout,
    decode: Layout,
    prefill_workers: Numbers,
    decode_workers: Numbers,
    isl: Numbers,
    osl: Numbers,
    concurrency: Numbers,
    *,
    engine: Engine = GENERIC,
    corrections: Corrections = NONE,
    rates: Rates = RATES,
    cached: Numbers = 0.0,
    accepted: Numbers = 0.0,
    burst: Numbers = 0.0,
) -> Point:
    """Steady state of pools that prefill and decode apart (DistServe, OSDI 2024).

    `concurrency` counts the requests in flight over both pools.  Waiting for prefill is that of
    a closed queue of `prefill_workers` servers; decoding runs without interference.
    """
    isl, osl, users = (np.asarray(x, dtype=float) for x in (isl, osl, concurrency))
    workers, pools = np.asarray(prefill_workers, float), np.asarray(decode_workers, float)
    first = _Physics(architecture, hardware, prefill, engine, corrections, rates)
    later = _Physics(architecture, hardware, decode, engine, corrections, rates)
    fresh = np.maximum(isl * (1.0 - np.asarray(cached)), 1.0)
    before, context = isl - fresh, isl + osl / 2.0
    servers = workers * prefill.data
    cold = np.asarray(engine.cold) * np.log2(np.maximum(users, 1.0))
    own = _wave(first, fresh, before, np.asarray(prefill.data, dtype=float))
    wave = _wave(first, fresh, before, users / workers)
    room = kv_capacity(architecture, hardware, decode, context, users / pools)
    most = np.maximum(np.floor(room / context), 1.0) * pools
    decoded = 1.0 + np.asarray(accepted)
    running = np.minimum(users * 0.9, most)
    entry = engine.request + np.asarray(engine.layer) * moe_layers(architecture)
    calm = tpot = life = own
    for _ in range(ROUNDS):
        each = running / pools
        tpot = later.seconds(each * decoded, each, each * context, 0.0) / decoded
        decoding = tpot * (osl - 1.0)
        crowd = np.maximum(users * own / servers - decoding - own, 0.0)
        load = np.minimum(users / (own + decoding) * own / servers, 0.98)
        queue = np.maximum(0.5 * load * own, crowd) * np.asarray(corrections.wait)
        calm = entry + own + queue
        life = calm + decoding
        running = 0.5 * (running + np.minimum(users * np.clip(decoding / life, 0.02, 1.0), most))
    full = np.maximum(users * tpot * (osl - 1.0) / most - life, 0.0)
    gpus = replica_gpus(prefill) * workers + replica_gpus(decode) * pools
    share = np.asarray(burst)
    ttft = (1.0 - share) * calm + share * np.maximum(entry + wave + cold, calm) + full
    fits = (room >= isl + osl) & (kv_capacity(architecture, hardware, prefill, isl) >= isl)
    return _made(gpus, ttft, tpot, osl, users / (life + full), running, fits)


def _made(gpus: Any, ttft: Any, tpot: Any, osl: Any, rate: Any, running: Any, fits: Any) -> Point:
    """Point from requests a second and its latencies."""
    ttft, tpot, output, gpus, running, fits = np.broadcast_arrays(
        ttft, tpot, rate * osl, gpus, running, fits
    )
    whole = ttft + tpot * (osl - 1.0)
    return Point(ttft, tpot, whole, output, output / gpus, 1.0 / tpot, running, fits)
