"""What a twin consists of: its file, the files it imports, its parts and its tables.

All are merged into one plain mapping and one map of places before any class reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firsttoken.twin.findings import Finding, Findings
from firsttoken.twin.library import FactError, Library
from firsttoken.twin.room import Room
from firsttoken.twin.source import SourceMap, read_yaml
from firsttoken.twin.tables import read_tables

_PART = re.compile(r"part\(\s*([^()\s]+)\s*\)")


def read_with_imports(file: Path, findings: Findings) -> tuple[dict[str, Any], SourceMap]:
    """Read a twin file with all that it imports; names are relative to the importing file."""
    data, sources = read_yaml(file, findings)
    read = {file.resolve()}
    _import(data, sources, file, (file.resolve(),), read, findings)
    return data, sources


def _import(
    data: dict[str, Any],
    sources: SourceMap,
    file: Path,
    trail: tuple[Path, ...],
    read: set[Path],
    findings: Findings,
) -> None:
    """Merge the imports of `file`, whose content is `data`, into it."""
    names = data.get("imports") or []
    if not isinstance(names, list):
        return  # reported by the header's class
    for index, name in enumerate(list(names)):
        place = sources.place(("imports", index))
        path = file.parent / str(name)
        resolved = path.resolve()
        if resolved in trail:
            what = f"{name} imports itself" if resolved == trail[-1] else f"{name} closes a circle"
            why = "imports must not be circular"
            findings.add(Finding(what, why, code="import-cycle", path="imports", place=place))
            continue
        if resolved in read:
            continue
        read.add(resolved)
        if not path.is_file():
            what = f"imported file {name} does not exist"
            hint = f"file names are relative to {file.name}"
            findings.add(Finding(what, "", hint, "imports", "file", place=place))
            continue
        other, places = read_yaml(path, findings)
        _import(other, places, path, (*trail, resolved), read, findings)
        other.pop("imports", None)
        _merge(data, other, (), sources, places, findings)


def _merge(
    into: dict[str, Any],
    other: Mapping[str, Any],
    path: tuple[str, ...],
    sources: SourceMap,
    places: SourceMap,
    findings: Findings,
) -> None:
    """Merge `other` (with `places`) into `into`: mappings deeply, lists at the top by appending."""
    for key, item in other.items():
        at = (*path, key)
        if key not in into:
            into[key] = item
            _graft(sources, places, at)
        elif isinstance(into[key], dict) and isinstance(item, Mapping):
            into[key] = dict(into[key])
            _merge(into[key], item, at, sources, places, findings)
        elif not path and isinstance(into[key], list) and isinstance(item, list):
            for index, element in enumerate(item):
                if key == "library" and element in into[key]:
                    continue
                into[key] = [*into[key], element]
                _graft(sources, places, at, str(len(into[key]) - 1), str(index))
        else:
            findings.add(
                Finding(
                    f"{'.'.join(at)} is given twice",
                    f"it also stands at {sources.place(at)}",
                    "keep one of them; scenarios can override it",
                    ".".join(at),
                    "import-conflict",
                    place=places.place(at),
                )
            )


def _graft(
    sources: SourceMap, places: SourceMap, at: tuple[str, ...], to: str = "", index: str = ""
) -> None:
    if to:
        sources.graft((*at, to), places.at((*at, index)))
    else:
        sources.graft(at, places.at(at))


def expand_parts(
    data: dict[str, Any],
    path: tuple[str, ...],
    library: Library,
    sources: SourceMap,
    findings: Findings,
) -> dict[str, Any]:
    """The data with every `part(id)` replaced by the part's bill of materials."""
    return {
        key: expanded(item, (*path, key), library, sources, findings) for key, item in data.items()
    }


def expanded(
    item: object,
    path: tuple[str, ...],
    library: Library,
    sources: SourceMap,
    findings: Findings,
) -> object:
    """A value, or a mapping below it, with every `part(id)` replaced."""
    if isinstance(item, dict):
        return expand_parts(item, path, library, sources, findings)
    if not isinstance(item, str) or not item.startswith("part("):
        return item
    match = _PART.fullmatch(item)
    try:
        if match is None:
            raise FactError(f"{item!r} is not a part", "write part(gb300_nvl72)")
        part = library.part(match[1])
        if not part.bom:
            raise FactError(f"part({part.id}) has no bill of materials", "give it a 'bom'")
        return dict(part.bom)
    except FactError as error:
        findings.add(
            Finding(str(error), "", error.hint, ".".join(path), "part", place=sources.place(path))
        )
        return {}


def read_room_tables(
    instances: Mapping[str, Any],
    room: Room,
    folder: Path,
    sources: SourceMap,
    findings: Findings,
) -> dict[str, Any]:
    """The instances of a room with the content of their tables merged in."""
    merged = dict(instances)
    for name, instance in instances.items():
        if not isinstance(instance, Mapping) or "tables" not in instance:
            continue
        path = (room.name, name)
        given = instance["tables"]
        own = {key: item for key, item in instance.items() if key != "tables"}
        merged[name] = own
        place = sources.place((*path, "tables"))
        if room.tables is None or not isinstance(given, str):
            what = (
                f"room {room.name!r} reads no tables"
                if room.tables is None
                else "tables: is not the name of a folder or workbook"
            )
            findings.add(Finding(what, path=".".join((*path, "tables")), place=place, code="table"))
            continue
        location = folder / given
        if not location.exists():
            what = f"tables: {given} does not exist"
            hint = "name a folder of CSV files, a workbook or a schedule beside the twin"
            at = ".".join((*path, "tables"))
            findings.add(Finding(what, "", hint, at, "file", place=place))
            continue
        content, places = room.tables(read_tables(location, findings), findings)
        _merge(own, content, path, sources, _below(places, path), findings)
    return merged


def _below(places: SourceMap, path: tuple[str, ...]) -> SourceMap:
    """The same places, one path further down."""
    moved = SourceMap()
    moved.graft(path, places)
    return moved
