"""What limits a service, and what a tenth more of one thing would bring.

The performance model is asked again with one field of the hardware, the engine or the goals
changed; what a replica serves is the largest load at which all goals hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving.calibrated_pools import corrections_of
from firsttoken.serving.case import goals_of
from firsttoken.serving.laws import speed_of
from firsttoken.serving.levers_speed import Draw, Slowdown, draw_of, pace_of
from firsttoken.serving.perf_efficiency import RATES, Engine
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_point import Before, Point, aggregated_point, disaggregated_point
from firsttoken.serving.perf_replica import Replica, demand
from firsttoken.serving.perf_speculation import accepted_tokens
from firsttoken.serving.perf_step import Terms, step_terms
from firsttoken.serving.physics import architecture_of, engine_of, hardware_of, mean_lengths
from firsttoken.serving.plan import Layouts
from firsttoken.serving.search_point import Load
from firsttoken.serving.system import Architecture, Hardware, Layout

STEP: Final = 1.1
"""Factor by which each thing is changed."""

FULL: Final = 0.98
"""Share of the most tokens at which a replica counts as full."""

WAITS: Final = 0.85
"""Share of the requests in flight from which on more would only wait, if that is enough."""

LOADS: Final = np.unique(np.round(2.0 ** np.arange(0.0, 17.01, 0.25)))
"""Requests in flight of a replica that are looked at."""

LITTLE: Final = 1e-6
"""Output tokens/s, or share of its speed, below which a replica stands."""

HARDWARE: Final[dict[str, tuple[str, ...]]] = {
    "arithmetic": ("bf16", "fp8", "fp4"),
    "bandwidth": ("bandwidth",),
    "memory": ("memory",),
    "link": ("link",),
    "network": ("network",),
}
"""Fields of the hardware by the name of the lever."""


class Prefill(NamedTuple):
    """Replicas that only prefill, beside one that decodes: how many, how fast, what slows them."""

    hardware: Hardware
    layout: Layout
    replicas: float
    speed: float
    slowed: Slowdown | None = None


class Setting(NamedTuple):
    """A replica, what is asked of it, and its goals (s; infinite: none).

    Attributes
    ----------
    accepted, drafted : drafts of a step, and those that are right.
    replicas : how many there are; 1, but for what more of them would bring.
    prefill : replicas that prefill, where this one only decodes; None: it does both.
    slowed : what cooling and a cap on power leave of its speed; None: all.
    """

    architecture: Architecture
    hardware: Hardware
    layout: Layout
    engine: Engine
    prompt: float
    output: float
    cached: float
    sequences: float
    speed: float
    ttft: float
    tpot: float
    e2e: float
    accepted: float = 0.0
    drafted: float = 0.0
    replicas: float = 1.0
    prefill: Prefill | None = None
    slowed: Slowdown | None = None


class Served(NamedTuple):
    """What one replica serves within the goals.

    Attributes
    ----------
    tokens : output tokens/s; flight : requests in flight.
    bound : what ends it: `ttft`, `tpot`, `e2e`, `memory`, `sequences`; where more requests in
        flight would only wait: `prefill` if for the replicas that prefill, else `speed`.
    """

    tokens: float
    flight: float
    bound: str


class Lever(NamedTuple):
    """What a tenth more of one thing brings.

    Attributes
    ----------
    name : the thing; served : tokens within the goals over those without the change, less 1.
    pace : time per output token at the load looked at, over that without the change, less 1.
    """

    name: str
    served: float
    pace: float


def setting_of(
    system: to.System,
    service: to.Service,
    layouts: Layouts,
    drawn: to.Floats,
    early: float = 1.0,
    slowed: tuple[Slowdown | None, Slowdown | None] = (None, None),
) -> Setting:
    """One replica of a service, every parameter as drawn.

    Parameters
    ----------
    layouts : of the replicas that serve or decode, and of those that prefill.
    early : replicas that prefill for each that decodes.
    slowed : what cooling and a cap on power leave to one of each.
    """
    own, other = layouts
    prompt, output, cached = mean_lengths(service, drawn)
    hardware = hardware_of(system.accelerators[service.pool.on], drawn)
    engine, before, accepted = service.engine, None, 0.0
    if other is not None and service.prefill is not None:
        on = service.prefill.on
        first = hardware if on == service.pool.on else hardware_of(system.accelerators[on], drawn)
        before = Prefill(first, other, early, speed_of(service, drawn, "prefill"), slowed[1])
    if engine.drafted:
        accepted = float(accepted_tokens(engine.drafted, drawn[engine.acceptance]))
    return Setting(
        architecture_of(service, drawn),
        hardware,
        own,
        engine_of(engine),
        prompt,
        max(output, 2.0),
        cached,
        float(engine.sequences * np.asarray(own.data)),
        speed_of(service, drawn),
        *goals_of(service, drawn),
        accepted=accepted,
        drafted=float(engine.drafted),
        prefill=before,
        slowed=slowed[0],
    )


def point_of(setting: Setting, flight: to.Floats) -> Point:
    """Steady states at loads, latencies and tokens at the speed of the software and the GPUs."""
    if setting.prefill is not None:
        found = _apart(setting, flight, 1.0, 1.0)
        if setting.slowed is None:
            return found
        return _apart(setting, flight, pace(setting, found), prefill_pace(setting))
    found = _together(setting, flight)
    speed = setting.speed * np.maximum(pace(setting, found), LITTLE * LITTLE)
    faster = {name: getattr(found, name) / speed for name in ("ttft", "tpot", "e2e")}
    return found._replace(tokens=found.tokens * speed, **faster)


def _together(setting: Setting, flight: to.Floats) -> Point:
    """Replicas that prefill and decode, at the speed of the physics."""
    return aggregated_point(
        *(setting.architecture, setting.hardware, setting.layout),
        *(setting.prompt, setting.output, flight),
        engine=setting.engine,
        cached=setting.cached,
        accepted=setting.accepted,
        drafted=setting.drafted,
    )


def _apart(setting: Setting, flight: to.Floats, then: to.Floats | float, first: float) -> Point:
    """Replicas apart, those that decode and those that prefill at shares of their speed."""
    early = setting.prefill
    assert early is not None
    then, first = np.maximum(then, LITTLE * LITTLE), max(first, LITTLE * LITTLE)
    return disaggregated_point(
        *(setting.architecture, setting.hardware, early.layout, setting.layout),
        *(early.replicas, setting.replicas, setting.prompt, setting.output, flight),
        engine=setting.engine,
        corrections=corrections_of(1.0 / (setting.speed * then)),
        cached=setting.cached,
        before=Before(early.hardware, corrections_of(1.0 / (early.speed * first))),
        accepted=setting.accepted,
        drafted=setting.drafted,
    )


def pace(setting: Setting, found: Point) -> to.Floats:
    """Share of its speed that a replica keeps at operating points, f8[n].

    `found`: as without any slowing; of replicas that do both, at the speed of the physics.
    """
    if setting.slowed is None:
        return np.ones(np.shape(found.tokens))
    tokens = found.tokens if setting.prefill is None else 0.0
    load, running = _load_of(setting), found.running / setting.replicas
    return pace_of(setting.slowed, draw_of(load, setting.layout, running, tokens, setting.speed))


def prefill_pace(setting: Setting) -> float:
    """Share of their speed that replicas which only prefill keep while they work."""
    early = setting.prefill
    if early is None or early.slowed is None:
        return 1.0
    load = _load_of(setting._replace(hardware=early.hardware))
    draw: Draw = draw_of(load, early.layout, 1.0, np.inf, early.speed)
    return float(pace_of(early.slowed, draw)[0])


def pace_at(setting: Setting, flight: float) -> float:
    """Share of its speed that a replica keeps with so many requests in flight."""
    at = np.array([max(flight, 1.0)])
    if setting.prefill is None:
        return float(pace(setting, _together(setting, at))[0])
    return float(pace(setting, _apart(setting, at, 1.0, 1.0))[0])


def _load_of(setting: Setting) -> Load:
    return Load(
        *(setting.architecture, setting.hardware, setting.prompt, setting.output),
        cached=setting.cached,
        accepted=setting.accepted,
        drafted=setting.drafted,
        engine=setting.engine,
    )


def served(setting: Setting) -> Served:
    """The most tokens/s within the goals, in straight lines between the loads looked at."""
    sequences = setting.sequences * setting.replicas
    # of a pool that decodes as many again may be with those that prefill
    last = sequences if setting.prefill is None else 2.0 * sequences
    loads = np.append(LOADS[last > LOADS], last)
    point = point_of(setting, loads)
    most, bound = float(loads[-1]), "sequences"
    context = setting.prompt + setting.output / 2.0
    room = setting.replicas * float(
        kv_capacity(
            *(setting.architecture, setting.hardware, setting.layout, context),
            most / setting.replicas,
        )
    )
    if setting.prefill is not None:
        most = _reach(point.running, loads, sequences)
        held = _reach(point.running, loads, 0.999 * room / context)
    else:
        held = room / context
    if held < most:
        most, bound = max(held, 0.0), "memory"
    for name in ("ttft", "tpot", "e2e"):
        latency = np.maximum.accumulate(np.asarray(getattr(point, name), np.float64))
        goal = getattr(setting, name)
        if latency[-1] <= goal:
            continue
        reach = float(np.interp(goal, latency, loads)) if latency[0] <= goal else 0.0
        if reach < most:
            most, bound = reach, name
    if most <= 0:
        return Served(0.0, 0.0, bound)
    made = np.maximum.accumulate(np.asarray(point.tokens, np.float64))
    tokens = float(np.interp(most, loads, made))
    if tokens <= LITTLE:
        return Served(0.0, 0.0, "speed")
    enough = float(np.interp(FULL * tokens, made, loads))
    if enough < WAITS * most and bound in ("sequences", "memory"):
        full = busy(setting, tokens) > FULL - 0.05
        return Served(tokens, enough, "prefill" if full else "speed")
    return Served(tokens, most, bound)


def _reach(running: to.Floats, loads: to.Floats, limit: float) -> float:
    """Requests in flight at which so many decode; the last load if they never do."""
    rising = np.maximum.accumulate(np.asarray(running, np.float64))
    if rising[-1] < limit:
        return float(loads[-1])
    return float(np.interp(limit, rising, loads))


def busy(setting: Setting, tokens: float) -> float:
    """Share of the time for which replicas that prefill work at output tokens/s; 0: there are none.

    A prompt occupies one data rank of one stage for as long as it takes alone.
    """
    early = setting.prefill
    if early is None:
        return 0.0
    factor = corrections_of(1.0 / (early.speed * max(prefill_pace(setting), LITTLE)))
    replica = Replica(
        setting.architecture, early.hardware, early.layout, setting.engine, factor, RATES
    )
    ask = demand(setting.prompt, setting.output, setting.cached, 0.0, 0.0)
    ranks = np.asarray(early.layout.data, np.float64)
    places = float(ranks * np.asarray(early.layout.pipeline)) * early.replicas
    return tokens / setting.output * float(replica.wave(ranks, ask)) / places


def levers(setting: Setting, flight: float) -> Iterator[Lever]:
    """What a tenth more of each thing brings, at a load for the pace."""
    at = np.array([max(flight, 1.0)])
    base, tpot = served(setting), float(point_of(setting, at).tpot[0])
    for name, changed in _changes(setting):
        more = served(changed)
        gain = more.tokens / base.tokens - 1.0 if base.tokens > 0 else float(more.tokens > 0)
        yield Lever(name, gain, float(point_of(changed, at).tpot[0]) / tpot - 1.0)


def _changes(setting: Setting) -> Iterator[tuple[str, Setting]]:
    early = setting.prefill
    for name, fields in HARDWARE.items():
        gpu = _more(setting.hardware, fields)
        first = early and early._replace(
            hardware=gpu if early.hardware is setting.hardware else _more(early.hardware, fields)
        )
        yield name, setting._replace(hardware=gpu, prefill=first)
    less = setting.engine._replace(overhead=np.asarray(setting.engine.overhead) / STEP)
    yield "overhead", setting._replace(engine=less)
    quick = early and early._replace(speed=early.speed * STEP)
    yield "speed", setting._replace(speed=setting.speed * STEP, prefill=quick)
    yield "sequences", setting._replace(sequences=setting.sequences * STEP)
    if early is not None:
        yield "prefill", setting._replace(prefill=early._replace(replicas=early.replicas * STEP))
        yield "decode", setting._replace(replicas=setting.replicas * STEP)
    if setting.slowed is not None:
        if (setting.slowed.throttle < 1.0).any():
            yield "cooling", eased(setting, Slowdown.cooled)
        if np.isfinite(setting.slowed.room).any():
            yield "power_cap", eased(setting, Slowdown.raised)
    for goal in ("ttft", "tpot", "e2e"):
        value = getattr(setting, goal)
        if np.isfinite(value):
            yield f"{goal}_goal", setting._replace(**{goal: value * STEP})


def eased(setting: Setting, change: Callable[[Slowdown], Slowdown]) -> Setting:
    """The setting with a change of what slows its replicas."""
    early = setting.prefill
    if early is not None and early.slowed is not None:
        early = early._replace(slowed=change(early.slowed))
    slowed = setting.slowed and change(setting.slowed)
    return setting._replace(slowed=slowed, prefill=early)


def _more(hardware: Hardware, fields: tuple[str, ...]) -> Hardware:
    return hardware._replace(**{field: getattr(hardware, field) * STEP for field in fields})


def shares(setting: Setting, flight: float) -> dict[str, float]:
    """Shares of the operators in a decoding step at a load; largest first."""
    running = max(flight, 1.0)
    context = setting.prompt + setting.output / 2.0
    terms = step_terms(
        setting.architecture,
        setting.hardware,
        setting.layout,
        running,
        running,
        running * context,
        0.0,
        overhead=setting.engine.overhead,
    )
    seconds = {
        name: float(np.asarray(part)) for name, part in zip(Terms._fields, terms, strict=True)
    }
    total = sum(seconds.values())
    ordered = sorted(seconds, key=lambda name: -seconds[name])
    return {name: seconds[name] / total for name in ordered if seconds[name] > 0}
