"""House rule: no silent drop. Every field that can be declared is read by some engine."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from importlib import import_module

import pytest
from tests.house.sources import PACKAGE, ROOMS, tree

from firsttoken.twin.schema import Declared

# Said for whoever reads the file; an engine has no use for it.
FOR_READERS = {"description"}
OUTSIDE_THE_ENGINES = ("model", "check", "table", "autosched")
"""Beginnings of the names of modules that declare, check or fill fields."""


def declared(room: str) -> list[type[Declared]]:
    """The classes that a room's `model.py` and `model_*.py` declare."""
    found: list[type[Declared]] = []
    for path in sorted((PACKAGE / room).glob("model*.py")):
        module = import_module(f"firsttoken.{room}.{path.stem}")
        classes = inspect.getmembers(module, inspect.isclass)
        found += [
            item
            for _, item in classes
            if issubclass(item, Declared) and item.__module__ == module.__name__
        ]
    return found


def read_names(room: str) -> set[str]:
    """Attributes that a room's modules read, and names that they hand on as text.

    Modules that read tables do not count: they fill fields.  Nor do those that check: a field that
    is only checked changes no result.
    """
    found: set[str] = set()
    for path in sorted((PACKAGE / room).rglob("*.py")):
        if path.name.startswith(OUTSIDE_THE_ENGINES):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Call):
                found |= _texts(node.args)
            elif isinstance(node, ast.Tuple):
                found |= _texts(node.elts)  # for side in ("consumes", "produces")
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                found |= _texts([node.slice])  # field["cable.length"]
            elif isinstance(node, ast.Dict):
                found |= _texts(key for key in node.keys if key is not None)
    return found


def _texts(nodes: Iterable[ast.expr]) -> set[str]:
    texts = [str(node.value) for node in nodes if isinstance(node, ast.Constant)]
    return {part for text in texts for part in text.split(".")}


@pytest.mark.parametrize("room", ROOMS)
def test_every_declared_field_is_read(room: str) -> None:
    read = read_names(room)
    unread = sorted(
        f"{model.__name__}.{field}"
        for model in declared(room)
        for field in model.__annotations__
        if field in model.model_fields and field not in read | FOR_READERS
    )
    assert not unread, f"declared in {room} but read by no engine: {unread}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_field_is_described(room: str) -> None:
    silent = [
        f"{model.__name__}.{field}"
        for model in declared(room)
        for field, info in model.model_fields.items()
        if not info.description
    ]
    assert not silent
