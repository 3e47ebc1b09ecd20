"""What limits a service, and what a tenth more of one thing would bring.

The performance model is asked again with one field of the hardware, the engine or the goals
changed; what a replica serves is the largest load at which all goals hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from firsttoken.serving import deployment as to
from firsttoken.serving.case import goals_of
from firsttoken.serving.laws import speed_of
from firsttoken.serving.perf_efficiency import Engine
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_point import Point, aggregated_point
from firsttoken.serving.perf_step import Terms, step_terms
from firsttoken.serving.physics import architecture_of, engine_of, hardware_of, mean_lengths
from firsttoken.serving.system import Architecture, Hardware, Layout

STEP: Final = 1.1
"""Factor by which each thing is changed."""

FULL: Final = 0.98
"""Share of the most tokens at which a replica counts as full."""

WAITS: Final = 0.85
"""Share of the requests in flight from which on more would only wait, if that is enough."""

LOADS: Final = np.unique(np.round(2.0 ** np.arange(0.0, 17.01, 0.25)))
"""Requests in flight of a replica that are looked at."""

HARDWARE: Final[dict[str, tuple[str, ...]]] = {
    "arithmetic": ("bf16", "fp8", "fp4"),
    "bandwidth": ("bandwidth",),
    "memory": ("memory",),
    "link": ("link",),
    "network": ("network",),
}
"""Fields of the hardware by the name of the lever."""


class Setting(NamedTuple):
    """A replica, what is asked of it, and its goals (s; infinite: none)."""

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


class Served(NamedTuple):
    """What one replica serves within the goals.

    Attributes
    ----------
    tokens : output tokens/s; flight : requests in flight.
    bound : what ends it: `ttft`, `tpot`, `e2e`, `memory`, `sequences`, or `speed` where more
        requests in flight would only wait.
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


def setting_of(system: to.System, service: to.Service, layout: Layout, drawn: to.Floats) -> Setting:
    """One replica of a service, every parameter as drawn."""
    prompt, output, cached = mean_lengths(service, drawn)
    return Setting(
        architecture_of(service, drawn),
        hardware_of(system.accelerators[service.pool.on], drawn),
        layout,
        engine_of(service.engine),
        prompt,
        max(output, 2.0),
        cached,
        float(service.engine.sequences * np.asarray(layout.data)),
        speed_of(service, drawn),
        *goals_of(service, drawn),
    )


def point_of(setting: Setting, flight: to.Floats) -> Point:
    """Steady states at loads, latencies and tokens at the software's speed."""
    found = aggregated_point(
        setting.architecture,
        setting.hardware,
        setting.layout,
        setting.prompt,
        setting.output,
        flight,
        engine=setting.engine,
        cached=setting.cached,
    )
    faster = {name: getattr(found, name) / setting.speed for name in ("ttft", "tpot", "e2e")}
    return found._replace(tokens=found.tokens * setting.speed, **faster)


def served(setting: Setting) -> Served:
    """The most tokens/s within the goals, in straight lines between the loads looked at."""
    loads = np.append(LOADS[setting.sequences > LOADS], setting.sequences)
    point = point_of(setting, loads)
    most, bound = float(loads[-1]), "sequences"
    context = setting.prompt + setting.output / 2.0
    room = float(kv_capacity(setting.architecture, setting.hardware, setting.layout, context, most))
    if room / context < most:
        most, bound = max(room / context, 0.0), "memory"
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
    enough = float(np.interp(FULL * tokens, made, loads))
    if enough < WAITS * most and bound in ("sequences", "memory"):
        return Served(tokens, enough, "speed")
    return Served(tokens, most, bound)


def levers(setting: Setting, flight: float) -> Iterator[Lever]:
    """What a tenth more of each thing brings, at a load for the pace."""
    at = np.array([max(flight, 1.0)])
    base, pace = served(setting), float(point_of(setting, at).tpot[0])
    for name, changed in _changes(setting):
        more = served(changed)
        gain = more.tokens / base.tokens - 1.0 if base.tokens > 0 else float(more.tokens > 0)
        yield Lever(name, gain, float(point_of(changed, at).tpot[0]) / pace - 1.0)


def _changes(setting: Setting) -> Iterator[tuple[str, Setting]]:
    for name, fields in HARDWARE.items():
        more = {field: getattr(setting.hardware, field) * STEP for field in fields}
        yield name, setting._replace(hardware=setting.hardware._replace(**more))
    less = setting.engine._replace(overhead=np.asarray(setting.engine.overhead) / STEP)
    yield "overhead", setting._replace(engine=less)
    yield "speed", setting._replace(speed=setting.speed * STEP)
    yield "sequences", setting._replace(sequences=setting.sequences * STEP)
    for goal in ("ttft", "tpot", "e2e"):
        value = getattr(setting, goal)
        if np.isfinite(value):
            yield f"{goal}_goal", setting._replace(**{goal: value * STEP})


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
