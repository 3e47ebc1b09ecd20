"""One replication of a programme: forward pass, backward pass, what drives it; and its books.

Dates: the critical-path method (Kelley and Walker, Critical-path planning and scheduling, Eastern
Joint Computer Conference 1959, 160-173) with the four links of the precedence diagram (Fondahl,
1961) in dated calendars. Criticality is told by what drives each start, backwards from the target
(the "longest path" of the scheduling trade): float is no measure where calendars differ.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.clock import Clock, ending, latest, opening, worked
from firsttoken.build.engine_place import (
    CLOSE,
    EARLY,
    FAR,
    NEVER,
    Timelines,
    balanced,
    first_fit,
    later,
    place,
    take,
)
from firsttoken.build.system import FF, FIRST, FS, LAST, SS, Network
from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.kernel.random import uniform
from firsttoken.kernel.sampling import draw, table_quantile
from firsttoken.kernel.streams import DISRUPTION, PARAMETER

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DONE: Final = 0
LINK_BROKEN: Final = 1
CREW_EXCEEDED: Final = 2
_TRIES: Final = 256
_LATE: Final = 1e-3


class Change(NamedTuple):
    """What is changed against the programme as declared, to see what it is worth.

    Attributes
    ----------
    cut : working time in s by which each task is shorter, [T].
    extra : how many more there are of each crew, [C].
    risks, drivers : whether each can happen at all, [K] and [D].
    """

    cut: Floats
    extra: Floats
    risks: NDArray[np.bool_]
    drivers: NDArray[np.bool_]


class Plan(NamedTuple):
    """One replication's schedule, [T] each; times in s from the twin's start.

    Attributes
    ----------
    work : working time; factor, added: of the drivers and the risks, for drawing it again.
    start, finish : as scheduled; resumed: start of what is left of a task begun before.
    late_start, late_finish : latest that do not move the end of all.
    total, free : float in working time.
    shift : how much later than what it waits for a task begins by disruptions.
    by_crew : whether its crews, not its links, decide when it begins.
    arc_before, arc_after : tasks that another waits for by its crew; arcs: their number.
    critical : whether a task drives each target, [2, T].
    """

    work: Floats
    factor: Floats
    added: Floats
    start: Floats
    resumed: Floats
    finish: Floats
    late_start: Floats
    late_finish: Floats
    total: Floats
    free: Floats
    shift: Floats
    by_crew: NDArray[np.bool_]
    arc_before: Integers
    arc_after: Integers
    arcs: Integers
    critical: NDArray[np.bool_]


@compiled_inner
def durations(
    network: Network, change: Change, values: Floats, seed: int, replication: int, plan: Plan
) -> None:
    """Fill the work of every task; replication -1 takes the means of what may happen."""
    tasks, hazards = network.tasks, network.hazards
    for i in range(len(tasks.order)):
        factor = 1.0
        for k in range(hazards.driver_start[i], hazards.driver_start[i + 1]):
            d = hazards.driver[k]
            if change.drivers[d]:
                chance = values[hazards.driver_probability[d]]
                times = max(values[hazards.driver_factor[d]], 0.0)
                if replication < 0:
                    factor *= 1.0 + chance * (times - 1.0)
                elif uniform(seed, replication, hazards.driver_key[d], DISRUPTION, 0) < chance:
                    factor *= times
        added = 0.0
        for k in range(hazards.risk_start[i], hazards.risk_start[i + 1]):
            if change.risks[k]:
                chance = values[hazards.probability[k]]
                delay = max(values[hazards.delay[k]], 0.0)
                if replication < 0:
                    added += chance * delay
                elif uniform(seed, replication, hazards.key[k], DISRUPTION, 0) < chance:
                    added += delay
        plan.factor[i], plan.added[i] = factor, added
        base = max(values[tasks.duration[i]], 0.0)
        plan.work[i] = max(base * factor + added - change.cut[i], 0.0)


@compiled_inner
def open_timelines(
    network: Network,
    series: SeriesTable,
    values: Floats,
    change: Change,
    lines: Timelines,
) -> None:
    """Begin every crew's timeline with how many there are at what time."""
    crews = network.crews
    for c in range(len(lines.first)):
        first = lines.first[c]
        lines.used[c] = 0.0
        lines.held[c] = 0
        count = 1
        lines.moment[first] = EARLY
        s = crews.level[c]
        low, high = series.start[s], series.start[s + 1]
        # Of knots out of order the later listed wins: it moves those before it forward.
        for knot in range(low, high):
            moment = values[series.knot_time[knot]]
            while count > 1 and lines.moment[first + count - 1] >= moment:
                count -= 1
            if knot > low:
                lines.moment[first + count] = moment
                count += 1
            lines.level[first + count - 1] = values[series.knot_value[knot]]
        lines.entries[c] = count
        for k in range(first, first + count):
            lines.level[k] = max(lines.level[k] + change.extra[c], 0.0)
            lines.free[k] = lines.level[k]


@compiled_inner
def link_bound(network: Network, clock: Clock, values: Floats, plan: Plan, k: int) -> float:
    """Return the moment that link `k` allows: of the start (FS, SS) or the finish (FF, SF)."""
    links = network.links
    kind, before = links.kind[k], links.before[k]
    moment = plan.finish[before] if kind in (FS, FF) else plan.start[before]
    return later(clock, links.calendar[k], moment, values[links.lag[k]])


@compiled_inner
def _draw(parameters: ParameterTable, p: int, seed: int, replication: int, index: int) -> float:
    """Return a fresh draw of a parameter that is a distribution; index 0 is the usual one."""
    code, key = parameters.code[p], int(parameters.entity[p])
    a, b = parameters.args[p, 0], parameters.args[p, 1]
    purpose = int(np.int64(PARAMETER))
    if code in (codes.DISCRETE, codes.EMPIRICAL):
        u = uniform(seed, replication, key, purpose, index)
        return float(table_quantile(code, parameters.table, int(a), int(b), u))
    c, d = parameters.args[p, 2], parameters.args[p, 3]
    return float(draw(code, a, b, c, d, seed, replication, key, purpose, index))


@compiled_inner
def left_to_do(
    network: Network,
    clock: Clock,
    parameters: ParameterTable,
    values: Floats,
    seed: int,
    replication: int,
    plan: Plan,
    change: Change,
    i: int,
) -> float:
    """Return the work left at the day of the status of a task that was begun.

    Without a word on it, it is what its duration says of one that is not done by then: durations
    are drawn until one is long enough.
    """
    tasks = network.tasks
    if tasks.remaining[i] >= 0:
        return float(max(values[tasks.remaining[i]] - change.cut[i], 0.0))
    c = tasks.calendar[i]
    begun = values[tasks.started[i]]
    done = (
        network.status - begun
        if c < 0
        else worked(clock, c, network.status) - worked(clock, c, begun)
    )
    work = plan.work[i] + change.cut[i]
    if replication >= 0 and work <= done:
        for attempt in range(1, _TRIES):
            again = _draw(parameters, tasks.duration[i], seed, replication, attempt)
            work = max(again, 0.0) * plan.factor[i] + plan.added[i]
            if work > done:
                break
    plan.work[i] = max(work, done)
    return float(max(work - done - change.cut[i], 0.0))


@compiled_inner
def forward(
    network: Network,
    clock: Clock,
    parameters: ParameterTable,
    values: Floats,
    seed: int,
    replication: int,
    change: Change,
    lines: Timelines,
    plan: Plan,
) -> None:
    """Schedule every task as early as its links, its calendar, its dates and its crews allow."""
    tasks, links, shocks = network.tasks, network.links, network.shocks
    earliest = max(values[network.begin], network.status)
    plan.arcs[0] = 0
    for i in tasks.order:
        c = tasks.calendar[i]
        plan.by_crew[i] = False
        plan.shift[i] = 0.0
        if tasks.finished[i] >= 0:
            _recorded(network, clock, values, plan, i)
            continue
        bound, least = earliest, EARLY
        for k in range(links.start[i], links.start[i + 1]):
            moment = link_bound(network, clock, values, plan, k)
            if links.kind[k] in (FS, SS):
                bound = max(bound, moment)
            else:
                least = max(least, moment)
        own = bound
        if tasks.earliest[i] >= 0:
            own = max(bound, values[tasks.earliest[i]])
        for k in range(shocks.slip_start[i], shocks.slip_start[i + 1]):
            if own >= shocks.slip_since[k]:
                own += values[shocks.slip[k]]
        own = max(own, bound)
        if shocks.slip_start[i + 1] > shocks.slip_start[i]:
            plan.shift[i] = own - bound
        work = plan.work[i]
        if tasks.started[i] >= 0:
            work = left_to_do(
                network, clock, parameters, values, seed, replication, plan, change, i
            )
        start, finish, done = _staffed(network, clock, c, own, least, work, values, lines, plan, i)
        plan.resumed[i], plan.finish[i] = start, finish
        plan.start[i] = values[tasks.started[i]] if tasks.started[i] >= 0 else start
        plan.work[i] += done - work


@compiled_inner
def _recorded(network: Network, clock: Clock, values: Floats, plan: Plan, i: int) -> None:
    """Take the dates of a task that is done as they are known."""
    tasks = network.tasks
    c = tasks.calendar[i]
    finish = values[tasks.finished[i]]
    if tasks.started[i] >= 0:
        start = min(values[tasks.started[i]], finish)
    elif c < 0:
        start = finish - plan.work[i]
    else:
        start = min(latest(clock, c, worked(clock, c, finish) - plan.work[i]), finish)
    plan.start[i] = plan.resumed[i] = start
    plan.finish[i] = finish


@compiled_inner
def _staffed(
    network: Network,
    clock: Clock,
    c: int,
    bound: float,
    least: float,
    work: float,
    values: Floats,
    lines: Timelines,
    plan: Plan,
    i: int,
) -> tuple[float, float, float]:
    """Return start, finish and work of task `i` where all its crews are free, and take them."""
    crews, shocks = network.crews, network.shocks
    start, finish, done = place(clock, c, bound, least, work, shocks, values, i)
    low, high = crews.need_start[i], crews.need_start[i + 1]
    if len(lines.first) == 0 or low == high:
        return start, finish, done
    moment, waits_for = EARLY, -1
    settled = False
    while not settled and start < FAR:
        settled = True
        for k in range(low, high):
            crew, need = crews.need_crew[k], values[crews.need_count[k]]
            fit = first_fit(lines, crew, start, finish, need)
            if fit > start:
                settled = False
                moment, waits_for = fit, crew
                start, finish, done = place(clock, c, fit, least, work, shocks, values, i)
                break
    if start >= FAR or finish >= FAR:
        return min(start, NEVER), NEVER, done
    for k in range(low, high):
        crew = crews.need_crew[k]
        take(lines, crew, start, finish, values[crews.need_count[k]])
        lines.holder[lines.first[crew] + lines.held[crew]] = i
        lines.held[crew] += 1
    if waits_for >= 0:
        plan.by_crew[i] = True
        _wait(lines, plan, waits_for, moment, i)
    return start, finish, done


@compiled_inner
def _wait(lines: Timelines, plan: Plan, crew: int, moment: float, i: int) -> None:
    """Note the tasks at whose end a crew that task `i` waited for became free."""
    first = lines.first[crew]
    for k in range(first, first + lines.held[crew]):
        j = lines.holder[k]
        if abs(plan.finish[j] - moment) < CLOSE and j != i and plan.arcs[0] < len(plan.arc_before):
            plan.arc_before[plan.arcs[0]] = j
            plan.arc_after[plan.arcs[0]] = i
            plan.arcs[0] += 1


@compiled_inner
def backward(network: Network, clock: Clock, values: Floats, plan: Plan) -> None:
    """Fill the latest dates that keep the end of all, and both floats.

    What waits for a crew counts as waiting for the task that had it.
    """
    tasks, links = network.tasks, network.links
    end = EARLY
    for i in range(len(tasks.order)):
        if plan.finish[i] < FAR:
            end = max(end, plan.finish[i])
    for i in range(len(tasks.order)):
        plan.late_finish[i] = end
        plan.free[i] = NEVER
    arc = plan.arcs[0] - 1
    for position in range(len(tasks.order) - 1, -1, -1):
        i = tasks.order[position]
        late, free_to, start_to = plan.late_finish[i], plan.free[i], NEVER
        for p in range(links.out_start[i], links.out_start[i + 1]):
            k = links.out[p]
            j, lag = links.after[k], -values[links.lag[k]]
            kind = links.kind[k]
            to_start = kind in (FS, SS)
            target = plan.late_start[j] if to_start else plan.late_finish[j]
            now = plan.resumed[j] if to_start else plan.finish[j]
            target = later(clock, links.calendar[k], target - plan.shift[j], lag)
            now = later(clock, links.calendar[k], now - plan.shift[j], lag)
            if kind in (FS, FF):
                late, free_to = min(late, target), min(free_to, now)
            else:
                start_to = min(start_to, target)
        _allow(clock, plan, i, tasks.calendar[i], late, free_to, start_to)
        while arc >= 0 and plan.arc_after[arc] == i:
            j = plan.arc_before[arc]
            plan.late_finish[j] = min(plan.late_finish[j], plan.late_start[i])
            plan.free[j] = min(plan.free[j], plan.resumed[i])
            arc -= 1


@compiled_inner
def _allow(
    clock: Clock,
    plan: Plan,
    i: int,
    c: int,
    late: float,
    free_to: float,
    start_to: float,
) -> None:
    """Fill the latest dates and the floats of a task from what comes after it."""
    start, finish = plan.resumed[i], plan.finish[i]
    if finish >= FAR:
        plan.late_start[i], plan.late_finish[i] = start, finish
        plan.total[i] = plan.free[i] = 0.0
        return
    done_start, done_finish = start, finish
    if c >= 0:
        done_start, done_finish = worked(clock, c, start), worked(clock, c, finish)
    allowed = late if c < 0 else worked(clock, c, late)
    slack = allowed - done_finish
    if start_to < NEVER:
        slack = min(slack, (start_to if c < 0 else worked(clock, c, start_to)) - done_start)
    slack = max(slack, 0.0)
    plan.total[i] = slack
    plan.free[i] = slack
    if free_to < NEVER:
        free = (free_to if c < 0 else worked(clock, c, free_to)) - done_finish
        plan.free[i] = min(max(free, 0.0), slack)
    if c < 0:
        plan.late_start[i], plan.late_finish[i] = start + slack, finish + slack
    else:
        plan.late_start[i] = max(latest(clock, c, done_start + slack), start)
        plan.late_finish[i] = max(ending(clock, c, done_finish + slack), finish)


@compiled_inner
def drivers_of(network: Network, clock: Clock, values: Floats, plan: Plan, target: int) -> None:
    """Mark the tasks that drive a target, by all links and crews that decide when work begins."""
    tasks, links = network.tasks, network.links
    critical = plan.critical[target]
    arc = plan.arcs[0] - 1
    for position in range(len(tasks.order) - 1, -1, -1):
        i = tasks.order[position]
        while arc >= 0 and plan.arc_after[arc] == i:
            if critical[i] and plan.by_crew[i]:
                critical[plan.arc_before[arc]] = True
            arc -= 1
        if not critical[i] or tasks.finished[i] >= 0:
            critical[i] = False
            continue
        c = tasks.calendar[i]
        for k in range(links.start[i], links.start[i + 1]):
            moment = link_bound(network, clock, values, plan, k)
            to_start = links.kind[k] in (FS, SS)
            if to_start and not plan.by_crew[i]:
                moment += plan.shift[i]
                if plan.work[i] > 0.0:
                    moment = opening(clock, c, moment)
                drives = moment >= plan.resumed[i] - CLOSE
            elif to_start:
                drives = False
            else:
                drives = moment >= plan.finish[i] - CLOSE or (
                    c >= 0 and worked(clock, c, moment) >= worked(clock, c, plan.finish[i]) - CLOSE
                )
            if drives:
                critical[links.before[k]] = True


@compiled_inner
def mark_targets(network: Network, plan: Plan) -> tuple[float, float]:
    """Mark the ends of both targets; return the first phase's date and the last task's."""
    for i in range(len(plan.finish)):
        plan.critical[FIRST, i] = False
        plan.critical[LAST, i] = False
    first, last = NEVER, EARLY
    for p in range(len(network.ready)):
        if network.counts[p]:
            first = min(first, plan.finish[network.ready[p]])
    for i in range(len(plan.finish)):
        last = max(last, plan.finish[i])
    for p in range(len(network.ready)):
        if network.counts[p] and plan.finish[network.ready[p]] <= first + CLOSE:
            plan.critical[FIRST, network.ready[p]] = True
    for i in range(len(plan.finish)):
        if plan.finish[i] >= last - CLOSE:
            plan.critical[LAST, i] = True
    if len(network.ready) == 0:
        first = last
        for i in range(len(plan.finish)):
            plan.critical[FIRST, i] = plan.critical[LAST, i]
    return first, last


@compiled_inner
def books(network: Network, clock: Clock, values: Floats, lines: Timelines, plan: Plan) -> int:
    """Check that no task breaks a link, and no crew is exceeded; returns a status."""
    tasks, links = network.tasks, network.links
    for k in range(len(links.before)):
        i = links.after[k]
        if tasks.finished[i] >= 0:
            continue
        moment = link_bound(network, clock, values, plan, k)
        to_start = links.kind[k] in (FS, SS)
        mine = plan.resumed[i] if to_start else plan.finish[i]
        if mine < moment - _LATE and mine < FAR:
            return LINK_BROKEN
    for i in range(len(tasks.order)):
        if plan.finish[i] < plan.start[i] - _LATE:
            return LINK_BROKEN
    for crew in range(len(lines.first)):
        if not balanced(lines, crew):
            return CREW_EXCEEDED
    return DONE


def new_plan(tasks: int) -> Plan:
    """Return an empty schedule of so many tasks."""
    numbers = {name: np.zeros(tasks) for name in Plan._fields[:11]}
    return Plan(
        **numbers,
        by_crew=np.zeros(tasks, dtype=np.bool_),
        arc_before=np.zeros(4 * tasks + 4, dtype=np.int64),
        arc_after=np.zeros(4 * tasks + 4, dtype=np.int64),
        arcs=np.zeros(1, dtype=np.int64),
        critical=np.zeros((2, tasks), dtype=np.bool_),
    )


def new_timelines(network: Network) -> Timelines:
    """Return empty timelines of the crews."""
    crews = len(network.crews.level)
    room = int(network.crews.room[crews])
    return Timelines(
        moment=np.zeros(room),
        free=np.zeros(room),
        level=np.zeros(room),
        first=network.crews.room[:crews].copy(),
        entries=np.zeros(crews, dtype=np.int64),
        used=np.zeros(crews),
        holder=np.zeros(room, dtype=np.int64),
        held=np.zeros(crews, dtype=np.int64),
    )


@compiled_inner
def schedule(
    network: Network,
    clock: Clock,
    parameters: ParameterTable,
    series: SeriesTable,
    change: Change,
    values: Floats,
    seed: int,
    replication: int,
    lines: Timelines,
    plan: Plan,
) -> int:
    """Fill a plan with the schedule of one replication; returns a status.

    Parameters
    ----------
    values : parameters of the replication, [P].
    replication : at which what may happen is drawn; -1: all at their means.
    lines, plan : room, from `new_timelines` and `new_plan`.
    """
    durations(network, change, values, seed, replication, plan)
    open_timelines(network, series, values, change, lines)
    forward(network, clock, parameters, values, seed, replication, change, lines, plan)
    return books(network, clock, values, lines, plan)
