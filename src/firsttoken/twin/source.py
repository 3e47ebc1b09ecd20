"""YAML to plain data, with a place for every node.

Reads the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `no` is
text and so is 2026-07-01. Every key is text. The file is read event by event, so that a
hostile one is given up early: its size, its depth and the number of its nodes (aliases
counted as often as they stand) are limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firsttoken.twin.findings import Finding, Findings, Place

SIZE_LIMIT = 64 * 2**20
NODE_LIMIT = 2_000_000
DEPTH_LIMIT = 64

_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_BOOLEAN = {"true": True, "True": True, "TRUE": True}
_BOOLEAN |= {"false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DIGITS_LIMIT = 300
_TAGS = frozenset(
    [None, "!"]
    + [f"tag:yaml.org,2002:{tag}" for tag in ("str", "int", "float", "bool", "null", "map", "seq")]
)


class _Node:
    """One node of the tree of places."""

    __slots__ = ("children", "column", "file", "line")

    def __init__(self, file: str = "", line: int = 0, column: int = 0) -> None:
        self.file, self.line, self.column = file, line, column
        self.children: dict[str, _Node] | None = None


class SourceMap:
    """Where each part of the data stands: a tree of places along the data's keys."""

    def __init__(self) -> None:
        self._root = _Node()

    def place(self, path: Sequence[object]) -> Place:
        """Place of `path`, or of its nearest ancestor that has one."""
        node, best = self._root, self._root
        for key in path:
            found = node.children.get(str(key)) if node.children else None
            if found is None:
                break
            node = found
            if node.file:
                best = node
        return Place(best.file, best.line, best.column)

    def add(self, path: Sequence[object], place: Place) -> None:
        """Set the place of `path`."""
        node = self._at(path)
        node.file, node.line, node.column = place.file, place.line, place.column

    def add_line(self, path: Sequence[object], file: str, line: int) -> None:
        """Set the line of `path`: the row of a table."""
        node = self._at(path)
        node.file, node.line = file, line

    def add_rows(
        self, path: Sequence[object], names: Iterable[str], file: str, lines: Iterable[int]
    ) -> None:
        """Set the places of many children of `path` at once: the rows of a table."""
        parent = self._at(path)
        if parent.children is None:
            parent.children = {}
        parent.children.update(
            {name: _Node(file, line) for name, line in zip(names, lines, strict=True)}
        )

    def graft(self, path: Sequence[object], other: SourceMap) -> None:
        """Add all places of `other` below `path`; where both have a place, `other` wins."""
        _merge(self._at(path), other._root)

    def at(self, path: Sequence[object]) -> SourceMap:
        """The places below `path`, as a map of its own."""
        found = SourceMap()
        node: _Node | None = self._root
        for key in path:
            node = node.children.get(str(key)) if node is not None and node.children else None
        if node is not None:
            found._root = node
        return found

    def replace(self, path: Sequence[object], other: SourceMap) -> None:
        """Put `other` at `path`, in place of all that was there."""
        node = self._at(path)
        node.children = None
        _merge(node, other._root)

    def copy(self) -> SourceMap:
        """A map that can be changed without changing this one."""
        copied = SourceMap()
        _merge(copied._root, self._root, share=False)
        return copied

    def _at(self, path: Sequence[object]) -> _Node:
        node = self._root
        for key in path:
            children = node.children
            if children is None:
                children = node.children = {}
            name = key if type(key) is str else str(key)
            found = children.get(name)
            if found is None:
                found = children[name] = _Node()
            node = found
        return node


def _merge(into: _Node, other: _Node, *, share: bool = True) -> None:
    if other.file:
        into.file, into.line, into.column = other.file, other.line, other.column
    if not other.children:
        return
    if into.children is None:
        into.children = dict(other.children) if share else {}
        if share:
            return
    for key, node in other.children.items():
        found = into.children.get(key)
        if found is None:
            found = into.children[key] = _Node()
        elif share:
            # The node may be shared with another map: change a copy of it.
            into.children[key] = fresh = _Node(found.file, found.line, found.column)
            fresh.children = dict(found.children) if found.children is not None else None
            found = fresh
        _merge(found, node, share=share)


class _GivenUpError(Exception):
    """The file cannot be read further; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def read_yaml(path: Path, findings: Findings) -> tuple[dict[str, Any], SourceMap]:
    """Read a YAML file whose root is a mapping.

    Parameters
    ----------
    path : the file; its text as given is what findings call it.
    findings : gets everything that is wrong with the file.

    Returns
    -------
    plain data (dict, list, str, int, float, bool, None) and the place of each node; both
    are empty if the file cannot be read.
    """
    text = _read_text(path, findings)
    if text is None:
        return {}, SourceMap()
    return read_yaml_text(text, str(path), findings)


def read_yaml_text(text: str, file: str, findings: Findings) -> tuple[dict[str, Any], SourceMap]:
    """Read YAML text as `read_yaml` does; `file` is what findings call it."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(iter(yaml.parse(text, Loader=loader)), file, findings)
    try:
        data, node = builder.document()
    except _GivenUpError as error:
        findings.add(error.finding)
        return {}, SourceMap()
    except yaml.YAMLError as error:
        findings.add(_syntax(error, text, file))
        return {}, SourceMap()
    sources = SourceMap()
    if not isinstance(data, dict):
        have = "is empty" if data is None else f"holds a {_kind(data)}"
        findings.add(
            Finding(
                f"the file {have}",
                "its top level must be a mapping",
                "write 'key: value' lines",
                code="yaml-structure",
                place=Place(file, 1),
            )
        )
        return {}, sources
    node.file, node.line, node.column = file, 1, 1
    sources._root = node
    return data, sources


def _kind(data: object) -> str:
    return "list" if isinstance(data, list) else "single value"


def _read_text(path: Path, findings: Findings) -> str | None:
    place = Place(str(path))
    try:
        if not path.is_file():
            why = "it is a folder" if path.is_dir() else "it does not exist"
            findings.add(
                Finding(f"cannot read {path.name}", why, "check the name", code="file", place=place)
            )
            return None
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            findings.add(
                Finding(
                    f"the file has {size / 2**20:.0f} MiB",
                    f"a YAML file may have {SIZE_LIMIT // 2**20} MiB",
                    "put large tables into CSV or XLSX files and name them with 'tables:'",
                    code="file-size",
                    place=place,
                )
            )
            return None
        raw = path.read_bytes()
    except OSError as error:
        findings.add(
            Finding(f"cannot read {path.name}", error.strerror or "", code="file", place=place)
        )
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        findings.add(
            Finding(
                f"byte 0x{raw[error.start]:02x} is not UTF-8",
                "files are read as UTF-8",
                "save the file as UTF-8",
                code="encoding",
                place=Place(str(path), line),
            )
        )
        return None


_HINTS = (
    ("\\t", "indent with spaces, not tabs"),
    ("mapping values are not allowed", "put text that holds ': ' in quotes; check indentation"),
    ("could not find expected ':'", "write 'key: value'"),
    ("did not find expected key", "check the indentation, and that quotes and brackets close"),
    ("found undefined alias", "define the anchor (&name) before its alias (*name)"),
    ("cannot start any token", "put the text in quotes"),
    ("unexpected end of stream", "close the quotes or brackets"),
)


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Finding:
    line = column = 0
    problem = str(error).splitlines()[0]
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            line, column = mark.line + 1, mark.column + 1
        problem = error.problem or problem
    else:
        position = getattr(error, "position", None)
        if isinstance(position, int):
            # libyaml counts bytes, the Python reader characters.
            line = text.encode()[:position].count(b"\n") + 1
        reason = getattr(error, "reason", problem)
        problem = reason.decode() if isinstance(reason, bytes) else str(reason)
    hint = next((hint for part, hint in _HINTS if part in problem), "")
    return Finding(problem, "", hint, code="yaml-syntax", place=Place(file, line, column))


@dataclass(frozen=True, slots=True)
class _Anchored:
    data: Any
    node: _Node
    size: int


class _Builder:
    """Builds data and places from the parser's events."""

    def __init__(self, events: Iterator[Any], file: str, findings: Findings) -> None:
        self.events, self.file, self.findings = events, file, findings
        self.anchors: dict[str, _Anchored | None] = {}
        self.count = 0

    def document(self) -> tuple[Any, _Node]:
        data: Any = None
        node = _Node()
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.report(
                        event.start_mark,
                        "a second document starts here",
                        "a file holds one document",
                        "remove the '---' line",
                        code="yaml-structure",
                    )
                    break
                data, node = self.value(next(self.events), 1)
        return data, node

    def value(self, event: Any, depth: int) -> tuple[Any, _Node]:
        self.spend(1, event)
        mark: Any = event.start_mark
        node = _Node(self.file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, node)
        if depth > DEPTH_LIMIT:
            raise _GivenUpError(
                self.finding(
                    mark, f"nested deeper than {DEPTH_LIMIT} levels", "", "flatten it", "yaml-depth"
                )
            )
        anchor, before = event.anchor, self.count
        if anchor is not None:
            self.anchors[anchor] = None
        tag = event.tag
        if tag not in _TAGS:
            self.report(mark, f"tag {tag} is unknown", "only plain data is read", "remove it")
        data: Any
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] or (tag is not None and not tag.endswith(":str"))
            data = resolve_scalar(event.value) if plain else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self.sequence(node, depth)
            if event.flow_style:
                self.rejoin_items(data, node)
        else:
            data = self.mapping(node, depth)
            if event.flow_style:
                self.rejoin_keys(data, node)
        if anchor is not None:
            self.anchors[anchor] = _Anchored(data, node, self.count - before + 1)
        return data, node

    def alias(self, event: Any, node: _Node) -> tuple[Any, _Node]:
        if event.anchor not in self.anchors:
            raise _GivenUpError(
                self.finding(
                    event.start_mark, f"alias *{event.anchor} has no anchor", "", "", "yaml-alias"
                )
            )
        anchored = self.anchors[event.anchor]
        if anchored is None:
            raise _GivenUpError(
                self.finding(
                    event.start_mark,
                    f"alias *{event.anchor} contains itself",
                    "data cannot be endless",
                    "",
                    "yaml-alias",
                )
            )
        self.spend(anchored.size, event)
        node.children = anchored.node.children
        return anchored.data, node

    def sequence(self, node: _Node, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item, child = self.value(event, depth + 1)
            if node.children is None:
                node.children = {}
            node.children[str(len(items))] = child
            items.append(item)
        return items

    def mapping(self, node: _Node, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        node.children = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise _GivenUpError(
                    self.finding(event.start_mark, "a key must be text", "", "", "yaml-structure")
                )
            key = event.value
            item, child = self.value(next(self.events), depth + 1)
            mark: Any = event.start_mark  # the key is where a reader looks first
            child.line, child.column = mark.line + 1, mark.column + 1
            if key in items:
                first = node.children[key].line
                self.report(
                    event.start_mark,
                    f"key {key!r} stands twice",
                    f"it already stands in line {first}",
                    "remove or rename one",
                    code="duplicate-key",
                )
                continue
            items[key], node.children[key] = item, child
        return items

    def rejoin_keys(self, items: dict[str, Any], node: _Node) -> None:
        """Report calls that the commas of a { } have cut into keys, and join them again."""
        if not any(isinstance(item, str) and "(" in item for item in items.values()):
            return
        keys = list(items)
        for index, key in enumerate(keys):
            following = keys[index + 1 : index + 1 + _MOST_PIECES]
            pieces = _cut_call(items.get(key), [(k, items.get(k) is None) for k in following])
            if pieces:
                items[key] = self.rejoined(pieces, key, node)
                for piece in keys[index + 1 : index + len(pieces)]:
                    del items[piece]

    def rejoin_items(self, items: list[Any], node: _Node) -> None:
        """The same for a [ ]."""
        if not any(isinstance(item, str) and "(" in item for item in items):
            return
        index = 0
        while index < len(items):
            following = items[index + 1 : index + 1 + _MOST_PIECES]
            rest = [(str(item), not isinstance(item, dict | list)) for item in following]
            pieces = _cut_call(items[index], rest)
            if pieces:
                items[index] = self.rejoined(pieces, str(index), node)
                del items[index + 1 : index + len(pieces)]
            index += 1

    def rejoined(self, pieces: list[str], key: str, node: _Node) -> str:
        text = ", ".join(pieces)
        place = node.children[key] if node.children else node
        self.findings.add(
            Finding(
                f"the commas of {text} end it",
                "inside { } and [ ] a comma separates",
                f'put it in quotes: "{text}"',
                code="yaml-quote",
                place=Place(self.file, place.line, place.column),
            )
        )
        return text

    def spend(self, nodes: int, event: Any) -> None:
        self.count += nodes
        if self.count > NODE_LIMIT:
            raise _GivenUpError(
                self.finding(
                    event.start_mark,
                    f"more than {NODE_LIMIT:,} values, aliases counted as often as they stand",
                    "the file is too large or an alias bomb",
                    "put large tables into CSV or XLSX files and name them with 'tables:'",
                    "yaml-size",
                )
            )

    def finding(self, mark: Any, what: str, why: str, hint: str, code: str) -> Finding:
        place = Place(self.file, mark.line + 1, mark.column + 1)
        return Finding(what, why, hint, code=code, place=place)

    def report(
        self, mark: Any, what: str, why: str, hint: str, code: str = "yaml-structure"
    ) -> None:
        self.findings.add(self.finding(mark, what, why, hint, code))


_CUT_CALL = re.compile(r"[a-z_]+\([^()]*")
_MOST_PIECES = 50


def _cut_call(first: object, rest: list[tuple[str, bool]]) -> list[str]:
    """The pieces of a call such as `triangular(1` `2` `3) week`; none if `first` is no such.

    `rest` holds what follows: its text, and whether it can be a piece.
    """
    if not isinstance(first, str) or not _CUT_CALL.fullmatch(first):
        return []
    pieces = [first]
    for text, possible in rest:
        if not possible:
            return []
        pieces.append(text)
        if ")" in text:
            return pieces
    return []


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """A plain scalar as the YAML 1.2 core schema reads it; dates and `yes` stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if len(text) > _DIGITS_LIMIT:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special is not None:
        if special[1] is None:
            return float("nan")
        return float(f"{special[1]}inf")
    return text
