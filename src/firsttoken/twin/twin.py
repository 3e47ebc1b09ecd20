"""The twin: one declarative model, read and checked, ready for its rooms."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from firsttoken.twin.findings import Place
from firsttoken.twin.library import FactError, Library
from firsttoken.twin.scenario import AnyDisruption, Disruption, Scenario
from firsttoken.twin.schema import Declared, Quantity, Value
from firsttoken.twin.source import SourceMap

if TYPE_CHECKING:
    from firsttoken.twin.room import Room

_FACT = re.compile(r"fact\(\s*([^()\s]+)\s*\)")
_EMPIRICAL = re.compile(r"empirical\(\s*([^(),]+?)\s*,")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_FILE = re.compile(r"(.{1,250}\.[A-Za-z]\w{0,9})(?::\w+)?")


class Header(Declared):
    """What a twin file says about itself, beside its rooms."""

    twin: str = Field(description="Name of the twin, in small letters.", min_length=1)
    title: str = Field("", description="Name in reports.")
    description: str = Field("", description="What it models, and for whom.")
    start: Annotated[Value, Quantity("date", series=False)] = Field(description="First day.")
    horizon: Annotated[Value, Quantity("s", above=0, series=False)] | None = Field(
        None, description="How long it runs; or give `end`."
    )
    end: Annotated[Value, Quantity("date", series=False)] | None = Field(
        None, description="First day after; or give `horizon`."
    )
    as_of: Annotated[Value, Quantity("date", series=False)] | None = Field(
        None,
        description="Day of knowledge: facts that were known later do not count. None: all that "
        "the libraries know.",
    )
    seed: int = Field(1, ge=0, description="Seed of all random streams.")
    replications: int = Field(1000, ge=1, description="Replications of a simulation.")
    library: list[str] = Field(
        [], description="Libraries of parts and facts: folders beside the twin, or shipped ones."
    )
    imports: list[str] = Field([], description="Twin files that are merged into this one.")
    scenarios: dict[str, Scenario] = Field({}, description="Named changes.")
    disruptions: list[AnyDisruption] = Field(
        [], description="Disruptions that happen in every scenario."
    )


@dataclass(frozen=True)
class Twin:
    """A twin under one scenario.

    Attributes
    ----------
    start, end, as_of : seconds from 1970-01-01.
    folder : what file names in the twin are relative to.
    rooms : declared instances by room and name.
    scenarios : all that can be applied.
    disruptions : those that happen under `scenario`, bases first.
    scenario : name of the applied scenario, empty for none.
    data : the merged plain data, overrides included, before any class has read it.
    sources : where each part of `data` stands.
    registry : the rooms' entry points.
    files : SHA-256 of the files that empirical distributions read, by name.
    """

    name: str
    title: str
    description: str
    start: float
    end: float
    as_of: float
    seed: int
    replications: int
    folder: Path
    rooms: Mapping[str, Mapping[str, Declared]]
    scenarios: Mapping[str, Scenario]
    disruptions: tuple[Disruption, ...]
    library: Library
    data: Mapping[str, Any]
    sources: SourceMap
    registry: Mapping[str, Room]
    scenario: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: str | tuple[object, ...]) -> Place:
        """Where a path (`supply.network.items.die`, or its keys) stands in the files."""
        keys = split_path(self.data, path) if isinstance(path, str) else path
        return self.sources.place(keys)

    def with_scenario(self, name: str) -> Twin:
        """Apply a scenario; `a+b` applies b on top of a.

        Raises
        ------
        UsageError
            If there is no such scenario, or one is applied already.
        TwinError
            If the scenario's values do not fit.
        """
        from firsttoken.twin.loading import apply_scenario

        return apply_scenario(self, name)

    def with_settings(
        self,
        *,
        seed: int | None = None,
        replications: int | None = None,
    ) -> Twin:
        """The twin with another seed or number of replications."""
        return replace(
            self,
            seed=self.seed if seed is None else seed,
            replications=self.replications if replications is None else replications,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that a result can depend on, in hex.

        That is the data with the scenario's overrides, its disruptions, the facts and parts
        that the twin names as known at `as_of`, and the files that it names: samples, traces,
        weather, prices, rules.
        """
        body = {key: self.data[key] for key in self.data if key in self.registry}
        settings = [self.name, self.start, self.end, self.seed, self.replications]
        text = json.dumps([settings, body, self.disruptions], default=_plain)
        digest = hashlib.sha256(text.encode())
        texts = {json.loads(quoted) for quoted in set(_TEXT.findall(text))}
        facts = {
            f"{part.id}.{name}" for part in self.library.within(texts) for name in part.attributes
        }
        for fact_id in sorted(facts.union(_FACT.findall(text))):
            try:
                rows = self.library.known(fact_id, self.as_of)
            except FactError:
                continue
            for row in rows:
                known = [row.id, row.low, row.value, row.high, row.unit, row.valid_from]
                digest.update(json.dumps([*known, row.interpolate]).encode())
        for file in sorted(set(_EMPIRICAL.findall(text))):
            digest.update(self.files.get(file, "").encode())
        for found in filter(None, map(_FILE.fullmatch, sorted(texts))):
            file = self.folder / found[1]
            if file.is_file():
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Disruption):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {"kind": value.kind, **fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: asdict(value)}
    return str(value)


def split_path(data: object, text: str) -> tuple[str, ...]:
    """The keys of a dotted path; names in `data` that hold dots themselves stay whole."""
    parts = text.split(".")
    keys: list[str] = []
    node = data
    while parts:
        size = 1
        if isinstance(node, Mapping):
            for count in range(len(parts), 0, -1):
                if ".".join(parts[:count]) in node:
                    size = count
                    break
        key = ".".join(parts[:size])
        keys.append(key)
        parts = parts[size:]
        node = child(node, key)
    return tuple(keys)


def child(node: object, key: str) -> object:
    """What stands under `key` of plain data; None if nothing does."""
    if isinstance(node, Mapping):
        return node.get(key)
    if isinstance(node, list) and key.isdigit() and int(key) < len(node):
        return node[int(key)]
    return None
