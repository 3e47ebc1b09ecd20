"""Whether GPUs can be slowed as far as a cap on power or cooling asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving import deployment as to
from firsttoken.serving.physics import hardware_of
from firsttoken.serving.requests_system import LOWEST_SPEED, POWER_EXPONENT

if TYPE_CHECKING:
    from firsttoken.serving.check import View
    from firsttoken.serving.training_simulate import TrainingSystem

CLOCK = f"GPUs go no slower than {LOWEST_SPEED:g} of their speed, the lowest clock"


def check_power(view: View, compiled: to.System, jobs: Sequence[TrainingSystem]) -> None:
    """Warn of a power cap that is not kept at the lowest clock, and of cooling that asks for less.

    A cap below what GPUs and hosts take without work is an error of its own.
    """
    drawn = fixed_parameters(compiled.parameters)
    throttle = _levels(compiled, drawn, compiled.throttle)
    if float(throttle.min()) < LOWEST_SPEED and compiled.services:
        what = f"a throttle of {float(throttle.min()):g} acts as {LOWEST_SPEED:g} on services"
        hint = "close GPUs that are to stop: `disruptions: [{close: ..., from: ..., for: ...}]`"
        view.say("throttle", what, CLOCK, hint, "power", warning=True)
    if compiled.power_cap == to.NONE or "ModelPort" in repr(view.factory.power_cap):
        return
    cap, idle, needed = _needed(view, compiled, jobs, drawn)
    short = (cap >= idle) & (cap < needed * (1.0 - 1e-9))
    if short.any():
        at = int(np.argmax(np.where(short, needed - cap, -np.inf)))
        what = f"a cap of {cap[at] / 1e3:,.3f} kW is not kept at the lowest clock"
        why = f"it needs at least {needed[at] / 1e3:,.3f} kW: {CLOCK}, `throttle: 0` too"
        if jobs:
            why += ", and jobs that restart take their share"
        hint = "raise it, or close GPUs for that time"
        view.say("power_cap", what, why, hint, "power", warning=True)


def lowest_power(idle: float, limit: float) -> float:
    """W that a GPU at work takes at most at its lowest clock.

    The law of the engines: power above idle goes with the speed to a power.
    """
    return idle + (limit - idle) * float(LOWEST_SPEED**POWER_EXPONENT)


def _levels(compiled: to.System, drawn: to.Floats, series: int) -> to.Floats:
    """Values of a series at its knots."""
    table = compiled.series
    knots = table.knot_value[table.start[series] : table.start[series + 1]]
    return np.asarray(drawn[knots])


def _needed(
    view: View, compiled: to.System, jobs: Sequence[TrainingSystem], drawn: to.Floats
) -> tuple[to.Floats, to.Floats, to.Floats]:
    """W by time, between all changes: the cap, without any work, and at the lowest clock."""
    from firsttoken.serving.plan import layouts_of
    from firsttoken.serving.timeline import Course, Held, timeline
    from firsttoken.twin.findings import InfeasibleError

    table = compiled.series
    changes = drawn[table.knot_time]
    inside = changes[(changes > 0.0) & (changes < compiled.horizon)]
    edges = np.unique(np.concatenate([[0.0, compiled.horizon], inside]))
    spans = len(edges) - 1
    cap = Course(compiled, drawn, edges, view.twin.seed, 0)((compiled.power_cap,))[0]
    try:
        layouts = layouts_of(compiled)
    except InfeasibleError:  # told beside the service
        return cap, np.zeros(spans), np.zeros(spans)
    held = np.zeros((len(compiled.accelerators), spans))
    training = np.zeros(spans)
    for job in jobs:
        held[job.own] += job.held
        training += _standing(job)
    found = timeline(
        *(compiled, drawn, layouts, Held(held, np.zeros(spans)), edges, view.twin.seed, 0)
    )
    gpus = [hardware_of(pool, drawn) for pool in compiled.accelerators]
    idle = np.zeros(spans)
    for there, gpu in zip(found.available, gpus, strict=True):
        idle += there * (gpu.idle + gpu.host)
    needed = idle + training
    for group in found.groups:
        gpu = gpus[group.on]
        above = lowest_power(float(gpu.idle), float(gpu.tgp)) - gpu.idle
        needed += group.count * group.gpus * above
    return cap, idle, needed


def _standing(job: TrainingSystem) -> float:
    """W above idle that a cap cannot take from a job: at the lowest clock, or while it stands.

    A job that fails holds its GPUs while it restarts, at a power that clocks do not change.
    """
    drawn, rows = fixed_parameters(job.parameters), job.rows
    base, train = float(drawn[rows.base]), float(drawn[rows.train])
    least = lowest_power(base, train) - base
    if job.kinds:
        least = max(least, float(drawn[rows.still]) - base)
    return job.replica * job.replicas * least
