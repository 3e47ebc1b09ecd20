"""The simulation of a line: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.replicate import replicate
from firsttoken.line import engine, engine_serial
from firsttoken.line.collect import Collector
from firsttoken.line.engine_serial_lines import is_serial
from firsttoken.line.engine_serial_machine import SerialMachine
from firsttoken.line.machine import Machine
from firsttoken.line.result import LineResult, Snapshot
from firsttoken.line.rules import rule_address
from firsttoken.line.state import DEADLOCK, DONE, DYNAMIC
from firsttoken.line.system import System
from firsttoken.twin.findings import Finding, TwinError

_FREE = ("level", "factor", "wip", "tasks")
"""Tables that a state does not refer to: a line with other rows there may go on from it."""


class DeadlockError(TwinError):
    """Lots block each other for ever; the finding names the stations."""


def simulate(
    system: System,
    replications: int,
    seed: int,
    *,
    initial_state: Snapshot | None = None,
    horizon: float | None = None,
    redraw: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
    trace: int = 0,
    by_events: bool = False,
) -> LineResult:
    """Simulate a line: a plain serial one by a recursion, every other event by event.

    Parameters
    ----------
    system
        The compiled line.
    replications, seed
        Replication r draws its numbers at (seed, r); results do not depend on the threads.
    initial_state
        State from which all replications go on; None: the line's own start.
    horizon
        End in s from the start of the twin; None: the system's.
    redraw
        Of a state: draw what nobody knows at its moment anew, such as when work in hand will end.
    threads
        Threads; None: all cores.
    progress, cancel
        As in :func:`firsttoken.kernel.replicate.replicate`.
    trace
        Events a replication 0 keeps at a time; > 0 fills `LineResult.trace`.
    by_events
        Event by event whatever the line, as with a trace or a state to go on from.  Moments and
        counts are the same to the bit, other results up to rounding.

    Returns
    -------
    LineResult
        With statistics from the end of the warm-up (or the snapshot) on.

    Raises
    ------
    DeadlockError
        If lots block each other for ever.
    ValueError
        If the horizon is later than the system's, or not after the warm-up.
    TwinError
        If the snapshot belongs to another line, or events go on without time passing.
    BalanceError
        If lots or pieces do not balance: a defect of the engine.
    """
    end = system.horizon if horizon is None else horizon
    if end > system.horizon:
        raise ValueError(f"the end at {end:g} s lies after the horizon at {system.horizon:g} s")
    since = system.warmup if initial_state is None else initial_state.time
    if end <= since:
        raise ValueError(f"the end at {end:g} s leaves nothing after the warm-up of {since:g} s")
    if initial_state is not None:
        check_snapshot(system, initial_state, end)
    rule = rule_address(system.user_rule)
    collector = Collector(system, replications, initial_state.time if initial_state else None, end)
    local = threading.local()
    traces: dict[str, npt.NDArray[Any]] = {}
    plain = initial_state is None and not trace and not by_events
    serial = plain and is_serial(system)

    def task(low: int, high: int) -> None:
        machine: Machine | None = getattr(local, "machine", None)
        if machine is None:
            machine = SerialMachine(system) if serial else Machine(system, rule)
            local.machine = machine
        for replication in range(low, high):
            used = machine
            if trace and replication == 0:
                used = Machine(system, rule, trace)
            _run(used, system, seed, replication, end, initial_state, redraw)
            collector.take(used, replication)
            if used is not machine:
                traces.update(_columns(used.trace))

    block = max(1, min(64, replications // 64))
    replicate(task, replications, block=block, threads=threads, progress=progress, cancel=cancel)
    return replace(collector.result(), trace=traces)


def must_compile(system: System) -> bool:
    """Tell whether the first simulation of a line has to wait for the compiler."""
    return engine_serial.must_compile() if is_serial(system) else engine.must_compile()


def snapshot(system: System, seed: int, replication: int, at: float) -> Snapshot:
    """Run one replication to a moment and return its complete state.

    Parameters
    ----------
    at
        Moment in s from the start of the twin.
    """
    machine = Machine(system, rule_address(system.user_rule))
    _run(machine, system, seed, replication, at, None)
    return machine.snapshot(identity(system))


def identity(system: System) -> str:
    """Return a hash of the structure of a line: snapshots restore into the same structure only."""
    digest = blake2b(digest_size=16)
    digest.update(repr(system.names).encode())
    for name, table in zip(system.tables._fields, system.tables, strict=True):
        if name not in _FREE:
            digest.update(f"{name} {table.dtype.str} {len(table)}".encode())
    for field in ("server", "servers", "failures", "maintenances", "families"):
        digest.update(system.tables.station[field].tobytes())
    for field in ("station", "product", "mark", "tool_put"):
        digest.update(system.tables.step[field].tobytes())
    digest.update(system.edges.tobytes())
    digest.update(system.order_lots.tobytes())
    digest.update(f"{system.servers},{system.marks},{system.tools}".encode())
    return digest.hexdigest()


def check_snapshot(system: System, state: Snapshot, end: float) -> None:
    """Raise `TwinError` if a state belongs to another line or lies behind the end."""
    if state.identity != identity(system):
        raise TwinError(
            Finding(
                "the snapshot is of another line",
                "its stations, steps, pools or lot classes differ from those of the twin",
                "take the snapshot from the same twin file",
                f"line.{system.names.line}",
                "snapshot",
            )
        )
    if state.time >= end:
        raise TwinError(
            Finding(
                f"the snapshot is at {state.time:g} s, after the end at {end:g} s",
                "",
                "choose a later end",
                f"line.{system.names.line}",
                "snapshot",
            )
        )


def _run(
    machine: Machine,
    system: System,
    seed: int,
    replication: int,
    end: float,
    initial_state: Snapshot | None,
    redraw: bool = False,
) -> None:
    if initial_state is None:
        machine.begin(seed, replication, end)
    else:
        machine.restore(initial_state, seed, replication, end, redraw=redraw)
    status = machine.run()
    if status == DONE:
        return
    if status == DEADLOCK:
        raise _deadlock(machine, system)
    raise TwinError(
        Finding(
            f"time stands still at {machine.now:g} s",
            "lots go round a loop of steps that take no time",
            "give a step of the loop a time",
            f"line.{system.names.line}",
            "endless",
        )
    )


def _deadlock(machine: Machine, system: System) -> DeadlockError:
    """Name the stations of a deadlock in the order in which they wait for each other."""
    places = machine.memory[DYNAMIC["place"]]
    lots = machine.memory[DYNAMIC["lot"]]
    step_station = system.tables.step["station"]
    waits: dict[int, int] = {}
    for station in np.flatnonzero(places["blocked"][: len(system.names.stations)]):
        row = int(places["blocked_head"][station])
        while row >= 0:
            if lots["server"][row] >= 0:
                waits.setdefault(int(step_station[lots["step"][row]]), int(station))
            row = int(lots["wait"][row])
    at = int(machine.memory[DYNAMIC["line"]]["stuck"][0])
    if at not in waits:
        return _held_up(machine, system)
    circle: list[int] = []
    while at in waits and at not in circle:
        circle.append(at)
        at = waits[at]
    circle = circle[circle.index(at) :] if at in circle else circle
    names = [system.names.stations[s] for s in (*circle, at)]
    line = system.names.line
    return DeadlockError(
        Finding(
            f"deadlock after {machine.now / 3600:.4g} h: {' -> '.join(names)}",
            "every server of each of these stations holds a lot that waits for room at the next",
            "give one of their buffers more room, or send rework to a station outside the circle",
            f"line.{line}.stations.{names[0]}.buffer",
            "deadlock",
        )
    )


def _held_up(machine: Machine, system: System) -> DeadlockError:
    """Say which stations wait for which pools, whose units waiting lots hold."""
    names, line = system.names, system.names.line
    places = machine.memory[DYNAMIC["place"]][: len(names.stations)]
    waiting = [int(s) for s in np.flatnonzero(places["queued"])]
    told = [f"{names.stations[s]} for {names.pools[int(places['short'][s])]}" for s in waiting]
    return DeadlockError(
        Finding(
            f"deadlock: nothing moves any more; {', '.join(told)}",
            "the lots that wait there hold, until a later step, what others of them wait for",
            "let all products seize what they hold in one order, or limit the lots in the line",
            f"line.{line}.stations.{names.stations[waiting[0]]}",
            "deadlock",
        )
    )


def _columns(parts: list[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    if not parts:
        return {}
    whole = np.concatenate(parts)
    return {name: np.ascontiguousarray(whole[name]) for name in whole.dtype.names or ()}
