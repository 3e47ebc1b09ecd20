"""The rooms of the house: adding one is adding a line here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module

from firsttoken.twin.room import Room

MODULES: tuple[str, ...] = (
    "firsttoken.line.room",
    "firsttoken.supply.room",
    "firsttoken.build.room",
    "firsttoken.facility.room",
    "firsttoken.serving.room",
)
"""Modules that hold a `ROOM`, in the order of the chain from wafer to token."""


@functools.cache
def rooms() -> Mapping[str, Room]:
    """Every room by its name, the top-level key of a twin file."""
    found: list[Room] = [import_module(module).ROOM for module in MODULES]
    return {room.name: room for room in found}
