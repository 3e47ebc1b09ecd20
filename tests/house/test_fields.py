"""House rule: no silent drop. Every field that can be declared is read by some engine."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module

import pytest
from tests.house.sources import PACKAGE, ROOMS, tree

from firsttoken.twin.schema import Declared

# Said for whoever reads the file; an engine has no use for it.
FOR_READERS = {"description"}


def declared(room: str) -> list[type[Declared]]:
    """The classes that a room's model declares."""
    module = import_module(f"firsttoken.{room}.model")
    classes = inspect.getmembers(module, inspect.isclass)
    return [
        item
        for _, item in classes
        if issubclass(item, Declared) and item.__module__ == module.__name__
    ]


def read_names(room: str) -> set[str]:
    """Attributes that a room's modules read, and names that they pass to a function as text.

    Modules that read tables do not count: they fill fields.
    """
    found: set[str] = set()
    for path in sorted((PACKAGE / room).rglob("*.py")):
        if path.name == "model.py" or path.name.startswith("table"):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Call):
                texts = [part for part in node.args if isinstance(part, ast.Constant)]
                found |= {str(part.value) for part in texts}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_every_declared_field_is_read(room: str) -> None:
    read = read_names(room)
    unread = sorted(
        f"{model.__name__}.{field}"
        for model in declared(room)
        for field in model.__annotations__
        if field in model.model_fields and field not in read | FOR_READERS
    )
    assert not unread, f"declared in {room}/model.py but read by no engine: {unread}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_field_is_described(room: str) -> None:
    silent = [
        f"{model.__name__}.{field}"
        for model in declared(room)
        for field, info in model.model_fields.items()
        if not info.description
    ]
    assert not silent
