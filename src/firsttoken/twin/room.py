"""What a room tells the rest of the house about itself.

A room is registered by one line in `firsttoken.chain.rooms`; nothing below knows its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firsttoken.twin.findings import Findings
from firsttoken.twin.schema import Declared

if TYPE_CHECKING:
    from firsttoken.twin.source import SourceMap
    from firsttoken.twin.tables import Table
    from firsttoken.twin.twin import Twin


@dataclass(frozen=True, slots=True)
class Room:
    """A room's entry points.

    Attributes
    ----------
    name : the top-level key in a twin file.
    model : class of one named instance under that key.
    check : (twin, instance name, findings) -> None; adds what is wrong with an instance beyond
        what its classes can say: references, sources, cycles.
    tables : (tables by name, findings) -> (plain data of an instance, where each part stands);
        None if the room reads no tables. Called for an instance with a `tables:` key.
    """

    name: str
    model: type[Declared]
    check: Callable[[Twin, str, Findings], None]
    tables: Callable[[Mapping[str, Table], Findings], tuple[dict[str, Any], SourceMap]] | None = (
        None
    )
