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
from firsttoken.serving.perf_replica import Demand, Replica, demand
from firsttoken.serving.perf_weights import kv_bytes
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout, Numbers
from firsttoken.serving.tables import Tables

ROUNDS: Final = 24
"""Rounds of the fixed point; it halves its distance each round."""

STAGGERED: Final = 0.3
"""Share of its own prefill that a prompt waits for others in full load: in a closed loop prompts
come one by one, as other requests end (event simulations of the loop: 0.2-0.35)."""


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


class Before(NamedTuple):
    """GPUs of the workers that prefill, factors on the terms of their steps, measured operators."""

    hardware: Hardware
    corrections: Corrections
    tables: Tables | None = None


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
    drafted: Numbers = 0.0,
    burst: Numbers = 0.0,
    tables: Tables | None = None,
) -> Point:
    """Steady state of one replica that both prefills and decodes, arrays broadcast.

    Parameters
    ----------
    isl, osl : tokens of prompt and of output.
    concurrency : requests in flight at this replica.
    engine : how it schedules; corrections : factors on the terms; rates : of the operators.
    cached : share of the prompt that is found in the prefix cache.
    accepted : drafted tokens that are accepted in a step, and drafted, those that are verified
        (speculative decoding, multi-token prediction; see `perf_speculation`); 0: none.
    burst : share of the requests that begin all at once (the first wave of a benchmark that
        sends ten times its concurrency: 0.1; waves that stay in step: 1).
    tables : measured operators in place of the physics of a step; None: physics.
    """
    replica = Replica(architecture, hardware, layout, engine, corrections, rates, tables)
    ask, users = demand(isl, osl, cached, accepted, drafted), np.asarray(concurrency, dtype=float)
    room = kv_capacity(architecture, hardware, layout, ask.context, users)
    served = np.minimum(users, np.maximum(np.floor(room / ask.context), 1.0))
    served = np.minimum(served, np.asarray(engine.slots) * layout.data)
    steps, lanes = ask.following / (1.0 + ask.accepted), np.asarray(layout.pipeline, dtype=float)
    patience, share = np.asarray(corrections.wait), np.asarray(burst)
    first = replica.entry + (replica.wave(served, ask) + replica.cold(served)) * patience
    running = 0.9 * served
    ttft = tpot = life = first
    for _ in range(ROUNDS):
        plain, piece = replica.decode(running, ask), replica.piece(running, served, ask)
        extra = np.where(np.asarray(engine.mixed) > 0, piece.step - plain, piece.step)
        busy = served * piece.count * np.maximum(extra, 0.0) / piece.together / lanes
        own = (1.0 + (piece.count - 1.0) / lanes) * piece.step
        life = replica.entry + own + steps * plain + busy * (1.0 - 1.0 / served)
        queue = STAGGERED * np.minimum(busy / life, 0.98) * own * patience
        gathered = 0.5 * (piece.together - 1.0) * life / served
        calm = replica.entry + 0.5 * plain + own + queue + gathered
        ttft = (1.0 - share) * calm + share * np.maximum(first, calm)
        tpot = np.maximum(life - ttft, steps * plain) / ask.following
        life = ttft + tpot * (ask.output - 1.0)
        running = 0.5 * (running + served * np.clip(1.0 - calm / life, 0.02, 1.0))
    waiting, fits = life * (users - served) / served, room >= ask.prompt + ask.output
    return _made(replica_gpus(layout), ttft + waiting, tpot, ask, served / life, running, fits)


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
    drafted: Numbers = 0.0,
    burst: Numbers = 0.0,
    before: Before | None = None,
    tables: Tables | None = None,
) -> Point:
    """Steady state of pools that prefill and decode apart (DistServe, OSDI 2024).

    `concurrency` counts the requests in flight over both pools.  Waiting for prefill is that of
    a closed queue of `prefill_workers` servers; decoding runs without interference.
    `before`: GPUs, corrections and tables of the prefill workers; None: as those that decode.
    """
    ask, users = demand(isl, osl, cached, accepted, drafted), np.asarray(concurrency, dtype=float)
    workers, pools = np.asarray(prefill_workers, float), np.asarray(decode_workers, float)
    other = before or Before(hardware, corrections, tables)
    first, then = (other.hardware, prefill), (hardware, decode)
    early = Replica(architecture, *first, engine, other.corrections, rates, other.tables)
    after = Replica(architecture, *then, engine, corrections, rates, tables)
    ranks = np.asarray(prefill.data, dtype=float)
    own = early.wave(ranks, ask)
    servers = workers * ranks * prefill.pipeline
    wave = early.wave(users / workers, ask) + early.cold(users)
    room = kv_capacity(architecture, hardware, decode, ask.context, users / pools)
    most = np.maximum(np.floor(room / ask.context), 1.0) * pools
    apart = other.hardware is not hardware
    handover = handover_seconds(architecture, hardware, prefill, decode, ask.prompt, apart=apart)
    passed = early.entry + handover
    running = np.minimum(users * 0.9, most)
    calm = tpot = life = own
    for _ in range(ROUNDS):
        tpot = after.decode(running / pools, ask) / (1.0 + ask.accepted)
        decoding = tpot * ask.following
        crowd = np.maximum(users * own / servers - decoding - own, 0.0)
        load = np.minimum(users / (own + decoding) * own / servers, 0.98)
        queue = np.maximum(0.5 * load * own, crowd) * np.asarray(corrections.wait)
        calm = passed + own + queue
        life = calm + decoding
        running = 0.5 * (running + np.minimum(users * np.clip(decoding / life, 0.02, 1.0), most))
    full = np.maximum(users * tpot * ask.following / most - life, 0.0)
    gpus = replica_gpus(prefill) * workers + replica_gpus(decode) * pools
    share = np.asarray(burst)
    ttft = (1.0 - share) * calm + share * np.maximum(passed + wave, calm) + full
    fits = room >= ask.prompt + ask.output
    fits = fits & (kv_capacity(architecture, other.hardware, prefill, ask.prompt) >= ask.prompt)
    return _made(gpus, ttft, tpot, ask, users / (life + full), running, fits)


def handover_seconds(
    architecture: Architecture,
    hardware: Hardware,
    prefill: Layout,
    decode: Layout,
    tokens: Numbers,
    *,
    apart: bool = False,
) -> Floats:
    """Seconds in which the KV of `tokens` passes from a prefill to a decode worker, f8[n].

    The GPUs of a sequence send side by side, over NVLink where both workers lie in one domain,
    unless they are `apart`.
    """
    size = kv_bytes(architecture, decode.kv_bits, tokens) * tokens
    both = replica_gpus(prefill) + replica_gpus(decode)
    near = (both <= np.asarray(hardware.domain)) & (not apart)
    rate = np.maximum(np.where(near, hardware.link, hardware.network), 1.0)
    senders = np.minimum(
        prefill.tensor * np.asarray(prefill.pipeline), decode.tensor * np.asarray(decode.pipeline)
    )
    return np.asarray(size / (rate * senders))


def _made(
    gpus: Any, ttft: Any, tpot: Any, ask: Demand, rate: Any, running: Any, fits: Any
) -> Point:
    """Point from requests a second and its latencies."""
    ttft, tpot, output, gpus, running, fits = np.broadcast_arrays(
        ttft, tpot, rate * ask.output, gpus, running, fits
    )
    whole = ttft + tpot * (ask.output - 1.0)
    return Point(ttft, tpot, whole, output, output / gpus, 1.0 / tpot, running, fits)
