"""Corrections of the fluid mode from runs of the request mode at some loads, and how far it is off.

A run of the request mode at a steady load says how long sequences really decode, and how TPOT and
TTFT of single requests spread.  The fluid law runs with the same arrivals and lengths; what it
misses is kept by load (see `factory_system.Corrections`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.factory_compile import by_priority, compile_factory, delay_ratios
from firsttoken.serving.factory_simulate import FactoryResult, simulate, snapshot
from firsttoken.serving.factory_state import (
    ANSWERED,
    BY_TPOT,
    BY_TTFT,
    DECODED,
    DECODING,
    KV,
    LOAD,
    PLAIN,
    POWER,
    STARTED,
    TOOK,
)
from firsttoken.serving.factory_system import (
    GROUPS,
    NONE,
    Corrections,
    Floats,
    Inputs,
    Pool,
    Service,
    System,
)
from firsttoken.serving.factory_tables import (
    WEIGHTS,
    cut_lengths,
    own_seconds,
)

LOADS: Final = (0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.82, 0.9, 0.95, 0.99)
"""Loads of the runs, as shares of what can be served."""

FEW: Final = (0.3, 0.7, 0.95)
"""Those of them that are kept if a run takes more than LARGE requests."""

LARGE: Final = 60_000

OVERLOAD: Final = 1.2
"""Load of the run that says what can be served, over what the fluid law says."""

REQUESTS: Final = 10_000
"""Requests of a run that count."""

LIVES: Final = 3.0
"""Mean lives of a request that a run goes on before requests count."""

SPAN, MOST = 10.0, 40_000.0
"""Mean lives of a request that a run at full load counts, as long as its requests are not more."""

FEWEST: Final = 40
"""Requests of a group that make a distribution of their own."""

SHORTEST, LONGEST = 60.0, 900.0
"""Least s that count in a run, most s of warm-up."""

ROUNDS: Final = 8
"""Most rounds in which paces are found."""

CLOSE: Final = 0.004
"""Relative error of decoding times at which paces are found."""

FARTHEST: Final = 2.0
"""Largest correction of a pace."""

POOR: Final = 0.05
"""Error of decoding times with which a point is left out."""

APART: Final = 1.02
"""Least ratio of the loads of two points."""

GROWN: Final = 50.0
"""Times the law's TTFT that are no spread any more."""


class Sample(NamedTuple):
    """What the request mode saw of single requests, in order of arrival.

    Attributes
    ----------
    arrival : f8[n], s; kind : f8[n], row of the class by `factory_compile.by_priority`.
    prompt, cached, output : f8[n], tokens, of the prompt all of them and those that were known.
    ttft, decode : f8[n], s to the first token, and from it to the last; NaN: not reached.
    made : f8[T], output tokens of all replicas by second; power : f8[T], W of all replicas.
    """

    arrival: Floats
    kind: Floats
    prompt: Floats
    cached: Floats
    output: Floats
    ttft: Floats
    decode: Floats
    made: Floats
    power: Floats


Sampler = Callable[[float, float, int], Sample]
"""Runs the request mode of a service: requests/s, s, seed; the replicas are the sampler's."""


class Deviation(NamedTuple):
    """How far the fluid mode is from the request mode, relative to it.

    Attributes
    ----------
    tokens : of output tokens; tpot, p95 : of mean and 95th percentile of TPOT; power : of energy.
    """

    tokens: float
    tpot: float
    p95: float
    power: float


def capacity(service: Service, ticks: int = 0) -> float:
    """Requests/s that one replica of each pool can serve for long, by the fluid law.

    All classes as they come: with priorities an overload would serve the high ones only.
    """
    service = plain(service)
    count = ticks or int(min(max(300.0, 12.0 * longest_life(service)), 6000.0))
    pools = [service.pool] if service.prefill is None else [service.pool, service.prefill]
    prompt = float(np.mean([kind.lengths.share @ kind.lengths.prompt for kind in service.classes]))
    first = service.prefill or service.pool
    full = first.law.overhead + float(np.interp(first.chunk, first.law.tokens, first.law.seconds))
    rate = 1.5 * first.chunk / full / max(prompt, 1.0) / len(service.classes)
    ones = np.ones((len(pools), count))
    rates = np.full((len(service.classes), count), rate)
    system = compile_factory([service], Inputs(rates, ones, ones, ones * np.inf, ones * 0.0))
    started = simulate(system, 1, 1, spreads=False, threads=1).rows[0, 0, :, STARTED]
    return float(started[-int(0.6 * count) :].mean())


def longest_life(service: Service) -> float:
    """Mean s of decoding in a full replica."""
    law, batch = service.pool.law, min(service.pool.sequences, service.pool.chunk)
    output = float(np.mean([kind.lengths.share @ kind.lengths.output for kind in service.classes]))
    read = min(law.kv_tokens, 1e12)
    step = law.overhead + float(np.interp(batch, law.tokens, law.seconds)) + law.kv_second * read
    return output * step / service.pool.progress


def calibrate(
    service: Service,
    sampler: Sampler,
    replicas: float,
    *,
    loads: Sequence[float] = LOADS,
    requests: int = REQUESTS,
    seed: int = 1,
) -> Corrections:
    """Corrections of a service.

    The first run is overloaded: it says what can be served, and what a full pool holds.  The
    others are at `loads` of that.  Priorities do not count: an overload would otherwise serve
    another mix of classes.

    Parameters
    ----------
    service : its own corrections are not read.
    sampler : the request mode with `replicas` replicas (of each pool).
    loads : of the runs, shares of the capacity; requests : that count in each.
    """
    service = plain(service)
    life = longest_life(service)
    warm = float(np.ceil(min(LIVES * life + 5.0, LONGEST)))
    guess = capacity(service) * replicas

    def run(rate: float, number: int) -> Run | None:
        # The nearer to saturation, the slower batches forget what they were.
        span = max(LIVES * life, min(SPAN * life * rate / most, MOST / rate), SHORTEST)
        end = float(np.ceil(warm + max(requests / rate, span)))
        return _prepare(service, sampler(rate, end, seed + number), replicas, warm, end)

    most = guess
    full = run(OVERLOAD * guess, 0)
    if full is None:
        return NONE
    most = guess * full.tokens / max(full.fluid_tokens(), 1e-9)
    if len(full.found.arrival) > LARGE:
        # So many sequences together hardly vary: the law needs few corrections.
        loads = [load for load in loads if load in FEW] or loads
    runs = [run(load * most, i + 1) for i, load in enumerate(loads)]
    fix = _fit(service, [part for part in runs if part is not None], full, replicas)
    return fix._replace(served=most / replicas)


def plain(service: Service) -> Service:
    """The service with all its replicas, whatever the load, and its classes in turn."""
    prefill = service.prefill and service.prefill._replace(scaling=None)
    classes = tuple(kind._replace(priority=0) for kind in by_priority(service))
    pool = service.pool._replace(scaling=None)
    return service._replace(classes=classes, pool=pool, prefill=prefill)


class Run(NamedTuple):
    """A run of the request mode, and the fluid mode with its arrivals and lengths.

    Attributes
    ----------
    found, warm, end : the sample, s at which counting begins and ends.
    system, state : the fluid mode at tick 0.
    step : s of decoding a token, mean over the tokens of the requests that ended.
    tokens : output tokens that were made.
    """

    found: Sample
    warm: float
    end: float
    system: System
    step: float
    tokens: float

    def follow(self, corrections: Corrections, *, spreads: bool = False) -> FactoryResult:
        """The fluid mode with corrections, from the end of the warm-up on."""
        return _follow(corrected(self.system, corrections), self.warm, spreads)

    def fluid_tokens(self) -> float:
        """Output tokens that the fluid mode makes without corrections."""
        return float(self.follow(NONE).rows[0, 0, :, DECODED].sum())


def _prepare(
    service: Service, found: Sample, replicas: float, warm: float, end: float
) -> Run | None:
    ended = _ended(found, warm)
    if ended.sum() < FEWEST:
        return None
    system = followed(realised(service, found), found, replicas, end)
    step = float(found.decode[ended].sum() / (found.output[ended] - 1.0).sum())
    tokens = float(found.made[int(warm) : int(end)].sum())
    return Run(found, warm, end, system, step, tokens)


def _fit(service: Service, runs: list[Run], full: Run, replicas: float) -> Corrections:
    """Find the paces, load by load, and the room with which the fluid mode does as the runs do."""
    last, room = _fit_full(service, full, replicas)
    load, pace = np.empty(0), np.empty(0)
    used: list[Run] = []
    for run in runs:
        found = _fit_pace(run, load, pace, room)
        if found is None or (len(load) and found[0] < load[-1] * APART):
            continue
        load, pace = np.append(load, found[0]), np.append(pace, found[1])
        used.append(run)
    below = load * APART < last[0]
    load, pace = np.append(load[below], last[0]), np.append(pace[below], last[1])
    used = [run for run, kept in zip(used, below, strict=True) if kept] + [full]
    fix = _corrections(load, pace, room)
    spreads = _spreads(service, used, [run.follow(fix, spreads=True) for run in used], replicas)
    return fix._replace(tpot=spreads[0], ttft=spreads[1], outputs=spreads[2], prompts=spreads[3])


def _fit_full(service: Service, full: Run, replicas: float) -> tuple[tuple[float, float], float]:
    """Load and pace of a service that is overloaded, and the room of its pool.

    Tokens are in inverse proportion to the pace, whether prefill or what is held limits them.
    """
    pace, room, load = 1.0, 1.0, 1.0
    for _ in range(ROUNDS):
        fix = _corrections(np.ones(1), np.array([pace]), room)
        row = full.follow(fix).rows[0, 0]
        load = _load(row)
        made = float(row[:, DECODED].sum()) / full.tokens
        longer = full.step * float(row[:, ANSWERED].sum() / row[:, TOOK].sum())
        if _is_full(service, row, replicas, room):
            # Sequences in decoding are tokens a second times seconds a token (Little).
            held = longer / made
            room = min(max(room * held, 0.5), 1.5)
            pace *= longer
            error = max(abs(held - 1.0), abs(longer - 1.0))
        elif service.prefill is not None:
            pace *= longer  # what is served is the matter of the other pool
            error = abs(longer - 1.0)
        else:
            pace *= made
            error = abs(made - 1.0)
        pace = min(max(pace, 1.0 / FARTHEST), FARTHEST)
        if error < CLOSE:
            break
    return (load, pace), room


def _is_full(service: Service, row: Floats, replicas: float, room: float) -> bool:
    """Whether seats or memory keep requests from starting in most of a run."""
    batch = float(row[:, DECODING].mean()) / (replicas * room)
    return batch > 0.9 * service.pool.sequences or float(row[:, KV].mean()) > 0.9 * room


def _fit_pace(run: Run, load: Floats, pace: Floats, room: float) -> tuple[float, float] | None:
    """Load and pace of a run, given those of lower loads; None if no pace does it."""

    def miss(log_pace: float) -> tuple[float, float]:
        """Logarithm of the fluid mode's decoding time over the real one, and the load."""
        here = math.exp(log_pace)
        fix = _corrections(np.append(load, at), np.append(pace, here), room)
        row = run.follow(fix).rows[0, 0]
        took = float(row[:, TOOK].sum() / max(row[:, ANSWERED].sum(), 1e-9))
        return math.log(took / run.step), _load(row)

    at = load[-1] * APART if len(load) else 1.0
    low, high = -math.log(FARTHEST), math.log(FARTHEST)
    x = 0.0
    error, where = miss(x)
    left, right = (low, x) if error > 0.0 else (x, high)
    slope = max(where, 1.0)
    for _ in range(ROUNDS):
        if abs(error) < CLOSE:
            return where, math.exp(x)
        step = x - error / slope
        new = step if left < step < right else 0.5 * (left + right)
        after, where = miss(new)
        if new != x and (after - error) / (new - x) > 0.1:
            slope = (after - error) / (new - x)
        x, error = new, after
        left, right = (left, x) if error > 0.0 else (x, right)
    return (where, math.exp(x)) if abs(error) < POOR else None


def _load(row: Floats) -> float:
    """Mean load of a fluid run, over the tokens that it makes."""
    weight = np.maximum(row[:, DECODED], 1e-9)
    return float(row[:, LOAD] @ weight / weight.sum())


def _corrections(load: Floats, pace: Floats, room: float) -> Corrections:
    """Corrections of pace and room alone."""
    nothing = np.full((len(load), *NONE.tpot.shape[1:]), np.nan)
    return NONE._replace(load=load, pace=pace, room=room, tpot=nothing, ttft=nothing)


def _spreads(
    service: Service, runs: list[Run], results: list[FactoryResult], replicas: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Spreads of TPOT and of TTFT by run, and the tokens at which their groups end."""
    last = runs[-1].found
    outputs, prompts = _cuts(last.output), _cuts(last.prompt - last.cached)
    tpot: list[Floats] = []
    ttft: list[Floats] = []
    for run, result in zip(runs, results, strict=True):
        tpot.append(_tpot(run, result, outputs))
        found = _ttft(service, run, result, replicas, prompts)
        # A queue that grows is the flow's, not a spread about it.
        ttft.append(ttft[-1] if ttft and found[:, -1].max() > GROWN else found)
    return np.array(tpot), np.array(ttft), outputs, prompts


def corrected(system: System, corrections: Corrections) -> System:
    """A factory of one service with other corrections (their groups stay as compiled)."""
    services = system.factory.services._replace(
        room=np.array([corrections.room]),
        correction=np.array([0, len(corrections.load)]),
        load=corrections.load,
        pace=corrections.pace,
        tpot=corrections.tpot,
        ttft=corrections.ttft,
    )
    kinds = system.factory.classes
    rest, own = delay_ratios(
        corrections.ttft, kinds.first, kinds.share, kinds.prompt, kinds.prompt_group
    )
    kinds = kinds._replace(rest_ratio=rest, own_ratio=own)
    return system._replace(factory=system.factory._replace(services=services, classes=kinds))


def _cuts(tokens: Floats) -> Floats:
    """Tokens at which groups of about equal size end."""
    return np.quantile(tokens, np.arange(1, GROUPS) / GROUPS)


def realised(service: Service, found: Sample) -> Service:
    """The service with the lengths of a sample."""
    kinds = []
    for row, kind in enumerate(by_priority(service)):
        mine = found.kind == row
        if not mine.any():
            kinds.append(kind)
            continue
        lengths = cut_lengths(found.prompt[mine], found.output[mine], found.cached[mine])
        kinds.append(kind._replace(lengths=lengths, dispersion=0.0))
    return service._replace(classes=tuple(kinds))


def followed(service: Service, found: Sample, replicas: float, end: float) -> System:
    """The fluid mode of a service with the arrivals of a sample, second by second."""
    ticks = int(end)
    rates = np.zeros((len(service.classes), ticks))
    for row in range(len(rates)):
        arrival = found.arrival[(found.kind == row) & (found.arrival < ticks)]
        rates[row] = np.bincount(arrival.astype(int), minlength=ticks)[:ticks]
    pools = 1 if service.prefill is None else 2
    ones = np.ones((pools, ticks))
    inputs = Inputs(rates, ones * replicas, ones, ones * np.inf, ones * 0.0)
    return compile_factory([service], inputs)


def _follow(system: System, warm: float, spreads: bool = True) -> FactoryResult:
    state = snapshot(system, 1, 0, max(int(warm), 1), spreads=spreads)
    return simulate(system, 1, 1, initial_state=state, spreads=spreads, threads=1)


def _tpot(run: Run, result: FactoryResult, outputs: Floats) -> Floats:
    """Spread of TPOT over the mean step of the flow, by group of outputs."""
    found, ended = run.found, _ended(run.found, run.warm)
    rows = result.rows[0, 0]
    step = float(rows[:, TOOK].sum() / max(rows[:, ANSWERED].sum(), 1e-9))
    each = found.decode[ended] / (found.output[ended] - 1.0)
    return _groups(each / step, found.output[ended], outputs)


def _ttft(
    service: Service, run: Run, result: FactoryResult, replicas: float, prompts: Floats
) -> Floats:
    """Spread of TTFT over the law's mean for such a prompt, by group of prompts."""
    found = run.found
    pool: Pool = service.prefill or service.pool
    row = result.rows[0, 0].mean(axis=0)
    batch = 0.0 if service.prefill is not None else row[DECODING] / replicas
    first = np.isfinite(found.ttft) & (found.arrival >= run.warm)
    known = found.cached[first]
    computed = found.prompt[first] - known
    beside = pool.width * batch
    own = own_seconds(pool.law, pool.chunk, beside, computed, known, row[PLAIN])
    rest = float(result.mean(BY_TTFT)[0]) - float(own.mean())
    return _groups(found.ttft[first] / (own + max(rest, 0.0)), computed, prompts)


def _groups(ratio: Floats, tokens: Floats, cuts: Floats) -> Floats:
    """Quantiles of a ratio by group, [GROUPS, QUANTS]."""
    edges = np.concatenate([[0.0], np.cumsum(WEIGHTS)])
    middle = 0.5 * (edges[:-1] + edges[1:])
    group = np.searchsorted(cuts, tokens)
    found = np.empty((GROUPS, len(WEIGHTS)))
    for g in range(GROUPS):
        mine = ratio[group == g]
        mine = mine if len(mine) >= FEWEST else ratio
        found[g] = np.quantile(mine, middle)
    return found


def deviation(
    service: Service, found: Sample, replicas: float, warm: float, end: float
) -> Deviation:
    """How far the fluid mode, corrected as the service says, is from a run of the request mode."""
    result = _follow(followed(realised(service, found), found, replicas, end), warm)
    late = _ended(found, warm)
    real = found.decode[late] / (found.output[late] - 1.0)
    tokens = float(result.rows[0, 0, :, DECODED].sum())
    return Deviation(
        tokens / float(found.made[int(warm) : int(end)].sum()) - 1.0,
        float(result.mean(BY_TPOT)[0]) / float(real.mean()) - 1.0,
        float(result.quantile(BY_TPOT, 0.95)[0]) / float(np.quantile(real, 0.95)) - 1.0,
        float(result.rows[0, 0, :, POWER].sum()) / float(found.power[int(warm) : int(end)].sum())
        - 1.0,
    )


def _ended(found: Sample, warm: float) -> NDArray[np.bool_]:
    """Which requests of more than one token ended after the warm-up."""
    with np.errstate(invalid="ignore"):
        late = found.arrival + found.ttft + found.decode >= warm
    return np.isfinite(found.decode) & (found.output >= 2.0) & late
