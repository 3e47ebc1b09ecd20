"""Reading a twin: files, imports, tables, parts, classes, facts, scenarios.

All problems of all files are found in one pass; only what cannot be judged because
something before it failed is left for the next.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from firsttoken.twin.families import base_folder, read_files
from firsttoken.twin.findings import Finding, Findings, UsageError
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.imports import (
    expand_parts,
    expanded,
    read_room_tables,
    read_with_imports,
)
from firsttoken.twin.library import read_libraries
from firsttoken.twin.room import Room
from firsttoken.twin.scenario import Disruption, Scenario, lineage
from firsttoken.twin.schema import Declared
from firsttoken.twin.slots import annotation_of, fields, known_keys, nearest, slot_at
from firsttoken.twin.source import SourceMap
from firsttoken.twin.twin import Header, Twin, child, split_path
from firsttoken.twin.validation import check_facts, constant, validate, validate_slot

TWIN_FILE = "twin.yaml"

_SETTINGS = ("start", "end", "horizon", "as_of", "seed", "replications")


def load_twin(path: Path | str, rooms: Mapping[str, Room], findings: Findings) -> Twin | None:
    """Read a twin from a YAML file, or from a folder that holds `twin.yaml`.

    Parameters
    ----------
    path : file or folder.
    rooms : the rooms that a twin may have, by name.
    findings : gets everything that is wrong.

    Returns
    -------
    The twin, or None if the findings include an error.

    Raises
    ------
    MissingExtraError
        If a table is a workbook and its reader is not installed.
    """
    file = Path(path)
    if file.is_dir():
        file = file / TWIN_FILE
    before = len(findings.errors)
    data, sources = read_with_imports(file, findings)
    if not data and len(findings.errors) > before:
        return None
    token, files = base_folder.set(file.parent), read_files.set({})
    collecting = gc.isenabled()
    gc.disable()  # large tables make many objects and no garbage: an eighth of the time
    try:
        twin = _build(data, sources, file.parent, rooms, findings)
    finally:
        base_folder.reset(token)
        read_files.reset(files)
        if collecting:
            gc.enable()
    return twin if len(findings.errors) == before else None


def _build(
    data: dict[str, Any],
    sources: SourceMap,
    folder: Path,
    rooms: Mapping[str, Room],
    findings: Findings,
) -> Twin:
    _check_top_level(data, rooms, sources, findings)
    header = _header(data, sources, findings) or _sound_header(data)
    names = data.get("library") if isinstance(data.get("library"), list) else []
    places = [(str(name), sources.place(("library", i))) for i, name in enumerate(names or [])]
    library = read_libraries(places, folder, findings)
    data = expand_parts(data, (), library, sources, findings)
    for room in rooms.values():
        if isinstance(data.get(room.name), dict):
            data[room.name] = read_room_tables(data[room.name], room, folder, sources, findings)
    built = _rooms(data, rooms, sources, findings)
    start, end = _span(header, sources, findings)
    as_of = constant(header.as_of)
    if as_of is None:
        last = library.last_known()
        as_of = max(start, last) if last is not None else start
    twin = Twin(
        name=header.twin,
        title=header.title or header.twin,
        description=header.description,
        start=start,
        end=end,
        as_of=as_of,
        seed=header.seed,
        replications=header.replications,
        folder=folder,
        rooms=built,
        scenarios=header.scenarios,
        disruptions=tuple(header.disruptions),
        library=library,
        data=data,
        sources=sources,
        registry=dict(rooms),
        files=read_files.get() or {},
    )
    _check_facts(twin, twin.data, findings)
    _check_targets(twin, header.disruptions, ("disruptions",), findings)
    for name in header.scenarios:
        _check_scenario(twin, name, findings)
    return twin


# Classes.


def _check_top_level(
    data: Mapping[str, Any], rooms: Mapping[str, Room], sources: SourceMap, findings: Findings
) -> None:
    known = [*fields(Header), *rooms]
    for key in data:
        if key not in known:
            findings.add(
                Finding(
                    f"unknown key {key!r}",
                    "the top level holds the twin's header and its rooms",
                    nearest(key, known),
                    key,
                    "unknown-key",
                    place=sources.place((key,)),
                )
            )


def _header(data: Mapping[str, Any], sources: SourceMap, findings: Findings) -> Header | None:
    own = {key: data[key] for key in fields(Header) if key in data}
    return validate(Header, own, (), sources, findings)


def _sound_header(data: Mapping[str, Any]) -> Header:
    """A header of those of its parts that are sound, so that the rest can be checked."""
    sound: dict[str, Any] = {"twin": "unnamed", "start": "1970-01-01", "horizon": "1 day"}
    for key in fields(Header):
        given = data.get(key)
        for part in [given] if not isinstance(given, dict | list) else _parts(given):
            if not _is_sound({**sound, key: part}):
                part = _without_disruptions(part) if key == "scenarios" else None
                if part is None or not _is_sound({**sound, key: part}):
                    continue
            if isinstance(part, dict) and key in sound:
                sound[key] = {**sound[key], **part}
            elif isinstance(part, list) and key in sound:
                sound[key] = [*sound[key], *part]
            elif given is not None:
                sound[key] = part
    if "end" in sound:
        del sound["horizon"]
    return Header.model_validate(sound)


def _is_sound(header: Mapping[str, Any]) -> bool:
    try:
        Header.model_validate(header)
    except ValidationError:
        return False
    return True


def _without_disruptions(scenarios: Any) -> dict[str, Any] | None:
    """Scenarios without their disruptions, so that their overrides can be checked."""
    if not isinstance(scenarios, dict) or not all(isinstance(s, dict) for s in scenarios.values()):
        return None
    return {name: {**scenario, "disruptions": []} for name, scenario in scenarios.items()}


def _parts(given: dict[str, Any] | list[Any]) -> list[Any]:
    """A mapping or list as one of a single item for each of its items."""
    if isinstance(given, dict):
        return [{key: item} for key, item in given.items()]
    return [[item] for item in given]


def _span(header: Header, sources: SourceMap, findings: Findings) -> tuple[float, float]:
    """First and last instant, in seconds from 1970-01-01."""

    def report(key: str, what: str, hint: str, code: str = "value") -> None:
        findings.add(Finding(what, "", hint, key, code, place=sources.place((key,))))

    start = constant(header.start)
    if start is None:
        report("start", "start is not one date", "write a date such as 2026-07-01")
        start = 0.0
    if (header.horizon is None) == (header.end is None):
        what = "the end of the twin is given twice" if header.end else "the twin has no end"
        report("horizon", what, "give either 'horizon: 4 year' or 'end: 2030-01-01'")
        return start, start
    key = "end" if header.end is not None else "horizon"
    length = constant(header.end if header.end is not None else header.horizon)
    if length is None:
        report(key, f"{key} is not one value", "write a single date or duration")
        return start, start
    end = length if header.end is not None else start + length
    if end <= start:
        report("end", "end is not after start", "reverse the dates", "dates-reversed")
    return start, end


def _rooms(
    data: Mapping[str, Any], rooms: Mapping[str, Room], sources: SourceMap, findings: Findings
) -> dict[str, dict[str, Declared]]:
    built: dict[str, dict[str, Declared]] = {}
    for room in rooms.values():
        if room.name not in data:
            continue
        instances = data[room.name]
        if not isinstance(instances, Mapping):
            findings.add(
                Finding(
                    f"{room.name} holds no named instances",
                    "",
                    f"write '{room.name}:' and below it a name, such as 'main:'",
                    room.name,
                    "type",
                    place=sources.place((room.name,)),
                )
            )
            continue
        built[room.name] = {}
        for name, instance in instances.items():
            path = (room.name, name)
            declared = validate(room.model, instance, path, sources, findings)
            if declared is not None:
                built[room.name][name] = declared
    return built


def _check_facts(twin: Twin, data: Mapping[str, Any], findings: Findings) -> None:
    for room in twin.registry:
        instances = data.get(room)
        for name, instance in instances.items() if isinstance(instances, Mapping) else ():
            check_facts(
                instance,
                twin.registry[room].model,
                (room, name),
                twin.library,
                twin.as_of,
                twin.sources,
                findings,
            )


# Scenarios.


def _check_scenario(twin: Twin, name: str, findings: Findings) -> None:
    path = ("scenarios", name)
    scenario = twin.scenarios[name]
    try:
        lineage(name, twin.scenarios)
    except ValueSyntaxError as error:
        at = (*path, "extends")
        place = twin.sources.place(at)
        findings.add(Finding(str(error), "", error.hint, ".".join(at), "extends", place=place))
    for target, value in scenario.overrides.items():
        _check_override(twin, (*path, "overrides", target), target, value, findings)
    _check_targets(twin, scenario.disruptions, (*path, "disruptions"), findings)


def _check_override(
    twin: Twin, at: tuple[str, ...], target: str, value: object, findings: Findings
) -> None:
    keys = split_path(twin.data, target)
    annotation = _annotation(twin, keys)
    place = twin.sources.place(at)
    if annotation is None:
        hint = _nearest_path(twin, keys)
        what = f"override of unknown path {target!r}"
        findings.add(Finding(what, "", hint, ".".join(at), "path-unknown", place=place))
        return
    given = expanded(value, at, twin.library, twin.sources, findings)
    if not validate_slot(annotation, given, at, twin.sources, findings):
        return
    check_facts(given, annotation, at, twin.library, twin.as_of, twin.sources, findings)


def _annotation(twin: Twin, keys: tuple[str, ...]) -> Any | None:
    """The type of what an override may set at `keys`; None if there is no such parameter."""
    if len(keys) == 1 and keys[0] in _SETTINGS:
        return annotation_of(fields(Header)[keys[0]])
    if len(keys) < 3 or keys[0] not in twin.registry:
        return None
    holder: object = twin.data
    for key in keys[:-1]:
        holder = child(holder, key)
    if not isinstance(holder, Mapping | list):
        return None
    model = twin.registry[keys[0]].model
    slot = slot_at(model, keys[2:])
    if slot is None:
        return None
    if child(holder, keys[-1]) is None and keys[-1] not in known_keys(model, keys[2:-1]):
        return None
    return slot.annotation


def _nearest_path(twin: Twin, keys: tuple[str, ...]) -> str:
    """A hint that names the nearest key at the level where a path leaves the twin."""
    node: object = twin.data
    for depth, key in enumerate(keys):
        below = child(node, key)
        if below is None:
            names = [str(name) for name in node] if isinstance(node, Mapping) else []
            if depth == 0:
                names = [*twin.registry, *_SETTINGS]
            elif depth >= 2 and keys[0] in twin.registry:
                names += known_keys(twin.registry[keys[0]].model, keys[2:depth])
            prefix = ".".join(keys[:depth])
            hint = nearest(key, list(dict.fromkeys(names)))
            return f"{hint} below {prefix}" if prefix and hint else hint
        node = below
    return ""


def _check_targets(
    twin: Twin,
    disruptions: list[Any],
    at: tuple[str, ...],
    findings: Findings,
) -> None:
    for index, disruption in enumerate(disruptions):
        path = (*at, str(index), disruption.kind)
        place = twin.sources.place(path)
        node: object = twin.data
        keys = split_path(twin.data, disruption.target)
        for key in keys:
            node = child(node, key)
        if node is None or keys[0] not in twin.registry or len(keys) < 2:
            findings.add(
                Finding(
                    f"{disruption.kind}: unknown target {disruption.target!r}",
                    "",
                    _nearest_path(twin, keys),
                    ".".join(path),
                    "path-unknown",
                    place=place,
                )
            )


def apply_scenario(twin: Twin, name: str) -> Twin:
    """The twin under a scenario (see `Twin.with_scenario`)."""
    if twin.scenario:
        raise UsageError(f"scenario {twin.scenario!r} is applied already; start from the base twin")
    order: dict[str, None] = {}
    for part in name.split("+"):
        try:
            order.update(dict.fromkeys(lineage(part.strip(), twin.scenarios)))
        except ValueSyntaxError as error:
            raise UsageError(f"{error}; {error.hint}" if error.hint else str(error)) from None
    token, files = base_folder.set(twin.folder), read_files.set(dict(twin.files))
    findings = Findings()
    try:
        changed = _applied(twin, name, [(n, twin.scenarios[n]) for n in order], findings)
    finally:
        base_folder.reset(token)
        read_files.reset(files)
    findings.raise_if_errors()
    return changed


def _applied(
    twin: Twin, name: str, scenarios: list[tuple[str, Scenario]], findings: Findings
) -> Twin:
    data: dict[str, Any] = dict(twin.data)
    sources = twin.sources.copy() if any(s.overrides for _, s in scenarios) else twin.sources
    touched: dict[tuple[str, str], None] = {}
    disruptions: list[Disruption] = list(twin.disruptions)
    as_of, seed = twin.as_of, twin.seed
    for own, scenario in scenarios:
        for target, value in scenario.overrides.items():
            at = ("scenarios", own, "overrides", target)
            keys = split_path(data, target)
            given = expanded(value, at, twin.library, sources, findings)
            data = _with_item(data, keys, given)
            sources.replace(keys, sources.at(at))
            if len(keys) > 1:
                touched[keys[0], keys[1]] = None
        disruptions.extend(scenario.disruptions)
        known = constant(scenario.as_of)
        as_of = as_of if known is None else known
        seed = seed if scenario.seed is None else scenario.seed
    rooms = {room: dict(instances) for room, instances in twin.rooms.items()}
    for room, instance in touched:
        path = (room, instance)
        model = twin.registry[room].model
        declared = validate(model, data[room][instance], path, sources, findings)
        if declared is not None:
            rooms[room][instance] = declared
    changed = replace(
        twin,
        data=data,
        sources=sources,
        rooms=rooms,
        disruptions=tuple(disruptions),
        as_of=as_of,
        seed=seed,
        scenario=name,
        files=read_files.get() or {},
    )
    if any(key in scenario.overrides for _, scenario in scenarios for key in _SETTINGS):
        changed = _with_header(changed, scenarios, findings)
    if not findings.errors and (touched or changed.as_of != twin.as_of):
        _check_facts(changed, data, findings)
    return changed


def _with_header(twin: Twin, scenarios: list[tuple[str, Scenario]], findings: Findings) -> Twin:
    """The twin with the settings that its scenarios' overrides give."""
    header = _header(twin.data, twin.sources, findings)
    if header is None:
        return twin
    given = {key for _, scenario in scenarios for key in scenario.overrides if key in _SETTINGS}
    start, end = _span(header, twin.sources, findings)
    as_of = constant(header.as_of) if "as_of" in given else None
    return replace(
        twin,
        start=start,
        end=end,
        as_of=twin.as_of if as_of is None else as_of,
        seed=header.seed if "seed" in given else twin.seed,
        replications=header.replications,
    )


def _with_item(data: Any, keys: tuple[str, ...], value: object) -> Any:
    """A copy of plain data with `value` at `keys`; parts off the path are shared."""
    if not keys:
        return value
    if isinstance(data, list):
        copied = list(data)
        copied[int(keys[0])] = _with_item(data[int(keys[0])], keys[1:], value)
        return copied
    below = data.get(keys[0]) if isinstance(data, Mapping) else None
    return {**(data or {}), keys[0]: _with_item(below, keys[1:], value)}
