"""What a room tells the rest of the house about itself.

A room is registered by one line in `firsttoken.chain.rooms`; nothing below knows its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firsttoken.twin.findings import Findings
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.schema import Declared
from firsttoken.twin.values import Value

if TYPE_CHECKING:
    import threading

    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.snapshots import Finder, State
    from firsttoken.twin.source import SourceMap
    from firsttoken.twin.tables import Table
    from firsttoken.twin.twin import Twin


Progress = Callable[[str, int, int], None]
"""(what is being done, steps done, steps in all)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a twin is to be executed.

    Attributes
    ----------
    engines : verbs to run, in order: `plan`, `simulate`; a room skips those it does not have.
    threads : worker threads; None: all cores.
    cancel : set by somebody who no longer wants the result.
    """

    engines: tuple[str, ...] = ("plan", "simulate")
    threads: int | None = None
    progress: Progress | None = None
    cancel: threading.Event | None = None

    def say(self, what: str, done: int, total: int) -> None:
        """Report progress if anybody listens."""
        if self.progress is not None:
            self.progress(what, done, total)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one instance of a room gives back.

    Attributes
    ----------
    tables : named results, `scenario` first in each.
    ports : values for other rooms, by port name: `model(<room>.<instance>.<port>)`.
    """

    tables: tuple[ResultTable, ...]
    ports: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """A room's entry points.

    Attributes
    ----------
    name : the top-level key in a twin file.
    model : class of one named instance under that key.
    check : (twin, instance name, findings) -> None; adds what is wrong with an instance beyond
        what its classes can say: references, sources, cycles.
    execute : (twin, instance name, resolve, settings) -> outcome; compiles the instance, runs
        the engines asked for and names their results.
    ports : (instance) -> names of the ports that `execute` will fill.
    tables : (tables by name, findings) -> (plain data of an instance, where each part stands);
        None if the room reads no tables. Called for an instance with a `tables:` key.
    save : (twin, instance name, resolve, moment in s, settings) -> state of replication 0 then;
        None if the room has no states.
    forecast : (twin, instance name, resolve, finder of the state, end in s or None, settings) ->
        results of all replications from the state on.
    """

    name: str
    model: type[Declared]
    check: Callable[[Twin, str, Findings], None]
    execute: Callable[[Twin, str, Resolve, Settings], Outcome]
    ports: Callable[[Declared], tuple[str, ...]]
    tables: Callable[[Mapping[str, Table], Findings], tuple[dict[str, Any], SourceMap]] | None = (
        None
    )
    save: Callable[[Twin, str, Resolve, float, Settings], State] | None = None
    forecast: (
        Callable[[Twin, str, Resolve, Finder, float | None, Settings], list[ResultTable]] | None
    ) = None
