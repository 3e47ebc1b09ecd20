"""What a path below a declared class leads to: a class, a quantity's slot, or nothing.

The loader, scenarios and the reference ask the same question of the `Declared` classes:
which class or `Quantity` stands at `resources.cowos.capacity`?
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from firsttoken.twin.schema import Declared, Quantity


@dataclass(frozen=True)
class Slot:
    """What stands at a path.

    Attributes
    ----------
    annotation : the type expression, `Annotated` metadata included.
    model : the declared class, if it is one.
    quantity : the unit and bounds, if it is a parameter.
    """

    annotation: Any
    model: type[Declared] | None = None
    quantity: Quantity | None = None


@cache
def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields of a class by the name that stands in files."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def annotation_of(info: FieldInfo) -> Any:
    """The full type expression of a field."""
    annotation: Any = info.annotation
    for extra in info.metadata:
        annotation = Annotated[annotation, extra]
    return annotation


def strip(annotation: Any) -> tuple[Any, Quantity | None]:
    """The bare type without `Annotated` and `| None`, and its quantity if it has one."""
    while True:
        if get_origin(annotation) is Annotated:
            for extra in annotation.__metadata__:
                if isinstance(extra, Quantity):
                    return annotation, extra
            annotation = annotation.__origin__
            continue
        if get_origin(annotation) in (Union, types.UnionType):
            rest = [part for part in get_args(annotation) if part is not type(None)]
            if len(rest) == 1:
                annotation = rest[0]
                continue
        return annotation, None


def describe_slot(annotation: Any) -> Slot:
    """The slot of a type expression."""
    bare, quantity = strip(annotation)
    if isinstance(bare, type) and issubclass(bare, Declared):
        return Slot(annotation, bare)
    return Slot(annotation, None, quantity)


def step(annotation: Any, key: object) -> Any | None:
    """The type expression one key further down; None if there is no such key."""
    bare, quantity = strip(annotation)
    if quantity is not None:
        return None
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        info = fields(bare).get(str(key))
        return None if info is None else annotation_of(info)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is dict:
        return arguments[1]
    if origin in (list, tuple):
        return arguments[0] if str(key).isdigit() else None
    if origin in (Union, types.UnionType):
        for part in arguments:
            if any(isinstance(m, Tag) and m.tag == key for m in getattr(part, "__metadata__", ())):
                return part
    return None


def is_tagged(annotation: Any) -> bool:
    """Whether the type is a union of classes told apart by a tag."""
    bare, quantity = strip(annotation)
    return quantity is None and get_origin(bare) in (Union, types.UnionType)


def slot_at(model: type[Declared], path: Sequence[object]) -> Slot | None:
    """The slot at `path` below `model`; None if no such path can be declared."""
    annotation: Any = model
    for key in path:
        annotation = step(annotation, key)
        if annotation is None:
            return None
    return describe_slot(annotation)


def known_keys(model: type[Declared], path: Sequence[object]) -> list[str]:
    """Keys that may be declared at `path` below `model`; empty for free mappings."""
    slot = slot_at(model, path)
    return list(fields(slot.model)) if slot is not None and slot.model is not None else []


def nearest(word: str, known: Sequence[str] | Iterator[str]) -> str:
    """A hint that names the nearest known word, or the first few of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        folded = {name.casefold(): name for name in names}
        close = [folded[word.casefold()]] if word.casefold() in folded else []
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:8])
    return f"one of {shown}{', ...' if len(names) > 8 else ''}"
