"""The twin language as a JSON Schema for editors, and as a reference page a class.

Both are generated from the declared classes, so that they cannot disagree with what the
loader reads.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticUndefined

from firsttoken.twin.grammar import DATE
from firsttoken.twin.room import Room
from firsttoken.twin.scenario import KINDS, Scenario
from firsttoken.twin.schema import Declared, Quantity
from firsttoken.twin.slots import annotation_of, fields, strip
from firsttoken.twin.twin import Header

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def twin_schema(rooms: Mapping[str, Room]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a whole twin file.

    Parameters
    ----------
    rooms : the rooms that a twin may have.

    Returns
    -------
    A schema whose properties are the header's keys and the rooms; `x-unit` of a value's
    schema is the SI unit of its slot.
    """
    models: list[type[BaseModel]] = [Header, *(room.model for room in rooms.values())]
    references, generated = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    definitions = dict(generated.get("$defs", {}))
    for definition in definitions.values():
        _allow_parts(definition)
    header = definitions.pop(_name(references[Header, "validation"]))
    properties = dict(header["properties"])
    for room in rooms.values():
        reference = references[room.model, "validation"]
        if room.tables is not None:
            _allow_tables(definitions[_name(reference)])
        properties[room.name] = {
            "type": "object",
            "description": (room.model.__doc__ or "").strip(),
            "additionalProperties": reference,
        }
    return {
        "$schema": DRAFT,
        "title": "firsttoken twin",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        # An imported file is a twin file without a header, so nothing is required here.
        "$defs": definitions,
    }


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _allow_parts(schema: dict[str, Any]) -> None:
    """Where a mapping of amounts stands, `part(id)` may stand for the part's bill."""
    for name, slot in schema.get("properties", {}).items():
        amounts = slot.get("additionalProperties")
        if isinstance(amounts, dict) and "x-unit" in amounts:
            text = {"type": "string", "pattern": r"^part\([^()]+\)$"}
            kept = {key: slot[key] for key in ("description", "default") if key in slot}
            schema["properties"][name] = {"anyOf": [slot, text], **kept}


def _allow_tables(schema: dict[str, Any]) -> None:
    """An instance may take its content from tables; then nothing of it is required."""
    schema["properties"] = {
        **schema["properties"],
        "tables": {
            "type": "string",
            "description": "Folder of CSV tables, XLSX workbook or schedule with the content.",
        },
    }
    schema.pop("required", None)


def reference_markdown(rooms: Mapping[str, Room]) -> dict[str, str]:
    """The reference of the language as Markdown pages.

    Returns
    -------
    text by page name: `twin` for the header, `scenarios`, and one page a room.
    """
    pages = {
        "twin": _page(
            "The twin file",
            "The top-level keys of a twin file, beside its rooms "
            f"({', '.join(f'`{name}`' for name in rooms)}).",
            [Header],
        ).replace("](#", "](scenarios.md#"),
        "scenarios": _page(
            "Scenarios and disruptions",
            "A scenario stands under `scenarios:`; its disruptions each have exactly one of the "
            f"kinds {', '.join(f'`{kind}`' for kind in KINDS)}.",
            [Scenario, *KINDS.values()],
        ),
    }
    for room in rooms.values():
        introduction = f"What may stand under `{room.name}:` and the name of an instance."
        pages[room.name] = _page(f"Room `{room.name}`", introduction, list(_classes(room.model)))
    return pages


def _classes(model: type[BaseModel]) -> Iterator[type[Declared]]:
    """The class and all that it holds, each once, in the order of their first use."""
    seen: dict[type[Declared], None] = {}

    def visit(annotation: Any) -> None:
        bare, quantity = strip(annotation)
        if quantity is not None:
            return
        if isinstance(bare, type) and issubclass(bare, Declared):
            if bare not in seen:
                seen[bare] = None
                for info in fields(bare).values():
                    visit(annotation_of(info))
            return
        for argument in get_args(bare):
            visit(argument)

    visit(model)
    return iter(seen)


def _page(title: str, introduction: str, models: list[type[Declared]]) -> str:
    return "\n".join([f"# {title}", "", introduction, *(_section(model) for model in models), ""])


def _section(model: type[Declared]) -> str:
    lines = [
        "",
        f"## {model.__name__}",
        "",
        (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "),
        "",
        "| attribute | type | unit | default | drawn | description |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(name, info) for name, info in fields(model).items()]
    return "\n".join(lines)


def _line(name: str, info: FieldInfo) -> str:
    annotation = annotation_of(info)
    quantity = _quantity(annotation)
    cells = [
        f"`{name}`",
        type_words(annotation),
        unit_words(quantity),
        _default(info),
        quantity.drawn if quantity is not None and quantity.unit != DATE else "",
        info.description or "",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _quantity(annotation: Any) -> Quantity | None:
    """The quantity of a slot, or of the items of a mapping or list."""
    bare, quantity = strip(annotation)
    if quantity is not None:
        return quantity
    if get_origin(bare) in (dict, list):
        return _quantity(get_args(bare)[-1])
    return None


def type_words(annotation: Any) -> str:
    """A type in words: `mapping of Item`, `list of text`, `quantity or series`."""
    bare, quantity = strip(annotation)
    if quantity is not None:
        base = "date" if quantity.unit == DATE else "quantity"
        return f"{base} or series" if quantity.series else base
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is dict:
        return f"mapping of {type_words(arguments[1])}"
    if origin is list:
        return f"list of {type_words(arguments[0])}"
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, types.UnionType):
        words = [type_words(part) for part in arguments if part is not type(None)]
        return " or ".join(dict.fromkeys(words))
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "value"}
    if bare in names:
        return names[bare]
    return f"[{bare.__name__}](#{bare.__name__.lower()})"


def unit_words(quantity: Quantity | None) -> str:
    """The SI unit (or units) of a slot and its bounds: `s, >= 0`."""
    if quantity is None or quantity.unit == DATE:
        return ""
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in (
            (">=", quantity.at_least),
            (">", quantity.above),
            ("<=", quantity.at_most),
        )
        if bound is not None
    ]
    return ", ".join([" or ".join(quantity.choices) or "1", *bounds])


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default is PydanticUndefined:
        return "its defaults"
    default = info.default
    if default is None or default == "":
        return "none"
    text = default if isinstance(default, str) else json.dumps(default, default=str)
    return f"`{text}`"
