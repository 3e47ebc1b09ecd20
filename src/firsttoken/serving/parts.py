"""Language models and accelerators of the library, as the numbers that engines work with.

A part of kind `model` has attributes named like the fields of `Architecture`, a part of kind
`accelerator` like those of `Hardware`. A sheet leaves out what is 0; a missing `kv_heads` is
`heads`, a missing `value_size` is `head_size`, a missing `gated` is 1. A rack names its
accelerator. Parts are known by their id and by the published names in their attribute `names`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from firsttoken.serving.system import Architecture, Hardware
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import FactError, Library, Part, Vintage, read_libraries
from firsttoken.twin.slots import nearest
from firsttoken.twin.units import parse_unit

MODELS: Final = "ai-models"
"""Shipped library of language models."""

HARDWARE: Final = "ai-hardware"
"""Shipped library of accelerators and racks."""

HARDWARE_UNITS: Final[Mapping[str, str]] = {
    "bf16": "FLOP/s",
    "fp8": "FLOP/s",
    "fp4": "FLOP/s",
    "memory": "byte",
    "bandwidth": "byte/s",
    "tgp": "W",
    "idle": "W",
    "host": "W",
    "domain": "gpu",
    "link": "byte/s",
    "network": "byte/s",
}
"""Unit in which engines hold each field of `Hardware`."""

_KIND = {"model": "language model", "accelerator": "accelerator"}
_TWIN_HINT = {
    "model": f"library: [{MODELS}]",
    "accelerator": f"library: [{HARDWARE}]",
}


def architecture(library: Library, name: str, as_of: float | None = None) -> Architecture:
    """A model of the library by its part id or a published name.

    Parameters
    ----------
    as_of : day from which facts are looked at, in seconds from 1970-01-01; None: the latest.

    Raises
    ------
    FactError
        If there is no such model, its sheet lacks a field, or it was not known yet.
    """
    part = find_model(library, name)
    values = {
        field: _number(library, part, field, "", as_of)
        for field in Architecture._fields
        if field in library.parts[part].attributes
    }
    for field in ("layers", "hidden", "vocabulary", "heads", "head_size"):
        if field not in values:
            raise FactError(f"part({part}) has no attribute {field!r}", "a language model needs it")
    values.setdefault("kv_heads", values["heads"])
    values.setdefault("value_size", values["head_size"])
    values.setdefault("gated", 1.0)
    return Architecture(**{field: values.get(field, 0.0) for field in Architecture._fields})


def hardware(library: Library, name: str, as_of: float | None = None) -> Hardware:
    """An accelerator of the library by the id or a published name of it or of its rack.

    Raises
    ------
    FactError
        If there is no such accelerator, its sheet lacks a field, or it was not known yet.
    """
    part = find_accelerator(library, name)
    values = {}
    for field, unit in HARDWARE_UNITS.items():
        if field in library.parts[part].attributes:
            values[field] = _number(library, part, field, unit, as_of)
        elif field in ("fp8", "fp4"):
            values[field] = 0.0
        else:
            raise FactError(f"part({part}) has no attribute {field!r}", "an accelerator needs it")
    return Hardware(**values)


def find_model(library: Library, name: str) -> str:
    """Part id of a language model by its id or a published name, small or capital letters alike.

    Raises
    ------
    FactError
        If there is none.
    """
    return _find(library, name, "model")


def find_accelerator(library: Library, name: str) -> str:
    """Part id of an accelerator by the id or a published name of it or of its rack.

    Raises
    ------
    FactError
        If there is none.
    """
    part = library.parts.get(name)
    if part is not None and part.kind == "rack" and "accelerator" in part.attributes:
        return _text(library, part, "accelerator")
    return _find(library, name, "accelerator")


def library_architecture(name: str) -> Architecture:
    """A model of the shipped library: `library_architecture("deepseek_v3")`, without a twin."""
    return architecture(shipped(), name)


def library_hardware(name: str) -> Hardware:
    """An accelerator of the shipped library: `library_hardware("gb200")`, without a twin."""
    return hardware(shipped(), name)


def library_model(name: str) -> str:
    """Part id of a model of the shipped library by a published name."""
    return find_model(shipped(), name)


def library_accelerator(name: str) -> str:
    """Part id of an accelerator of the shipped library by a published name."""
    return find_accelerator(shipped(), name)


@functools.cache
def shipped() -> Library:
    """The shipped libraries of models and hardware."""
    findings = Findings()
    place = Place("library", 1)
    found = read_libraries([(MODELS, place), (HARDWARE, place)], Path(__file__).parent, findings)
    assert not list(findings), list(findings)
    return found


def _find(library: Library, name: str, kind: str) -> str:
    part = library.parts.get(name)
    if part is not None and part.kind == kind:
        return name
    names = _names(library, kind)
    found = names.get(name.strip().lower())
    if found is None:
        hint = nearest(name, sorted({*names.values(), *names})) if names else ""
        raise FactError(
            f"{name!r} is no {_KIND[kind]} of the library",
            hint or f"name a library that has it: {_TWIN_HINT[kind]}",
        )
    return found


def _names(library: Library, kind: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for part in library.parts.values():
        if part.kind != kind:
            continue
        names[part.id.lower()] = part.id
        if "names" in part.attributes:
            for alias in _text(library, part, "names").split(";"):
                names.setdefault(alias.strip().lower(), part.id)
    return names


def _text(library: Library, part: Part, name: str) -> str:
    return library.facts[f"{part.id}.{name}"][-1].text


def _number(library: Library, part: str, field: str, unit: str, as_of: float | None) -> float:
    vintage = _vintage(library, f"{part}.{field}", as_of)
    have = parse_unit(vintage.unit)
    want = parse_unit(unit)
    if have.dimension != want.dimension:
        text = vintage.unit or "a bare number"
        raise FactError(f"fact({vintage.id}) is in {text}, not in {unit or 'pure numbers'}")
    return vintage.value * have.factor / want.factor


def _vintage(library: Library, fact: str, as_of: float | None) -> Vintage:
    if as_of is not None:
        return library.known(fact, as_of)[-1]
    return library.superseded(fact)[-1]
