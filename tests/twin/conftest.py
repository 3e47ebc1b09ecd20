"""A small sound twin, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firsttoken.supply.room import ROOM
from firsttoken.twin.findings import Findings
from firsttoken.twin.loading import load_twin
from firsttoken.twin.twin import Twin

SOUND = """\
twin: demo
start: 2026-01-01
horizon: 1 year
library: [own]
supply:
  main:
    locations:
      hsinchu: {country: TW}
      houston: {country: US}
    items:
      die: {value: 100 USD}
      rack: {value: fact(rack.price)}
    suppliers: {foundry: {country: TW}}
    purchases:
      dies: {supplier: foundry, item: die, location: hsinchu, lead_time: 12 week}
    resources:
      line:
        at: hsinchu
        capacity: 10 rack/week
    operations:
      assemble:
        at: hsinchu
        consumes: {die: 72}
        produces: {rack: 1}
        yield: 0.95
        uses: {line: 1}
    lanes:
      air: {items: [rack], origin: hsinchu, destination: houston, lead_time: 1 week}
    tariffs:
      us: {items: [rack], origins: [TW], destination: US, rate: 0 %}
    demands:
      order: {item: rack, location: houston, quantity: 100, due: 2026-09-01}
"""

FACTS = """\
id,low,value,high,unit,valid_from,known_from,confidence,source
rack.price,3.0,3.5,4.0,MUSD,,2025-01-01,B,an analyst
rack.price,3.4,3.7,3.9,MUSD,,2026-03-01,A,the maker
line.rate,,10,,rack/week,2026-01-01,2025-01-01,A,the maker
line.rate,,20,,rack/week,2026-07-01,2025-01-01,A,the maker
line.ready,2026-02-01,2026-03-01,2026-05-01,date,,2025-01-01,C,the press
"""


class Bench:
    """A folder with a twin that tests may write to and load."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings = Findings()
        self.write("twin.yaml", SOUND)
        self.write("own/facts.csv", FACTS)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def edit(self, old: str, new: str) -> None:
        """Replace a text of the twin that stands in it exactly once."""
        text = (self.folder / "twin.yaml").read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        self.write("twin.yaml", text.replace(old, new))

    def append(self, text: str) -> None:
        self.write("twin.yaml", (self.folder / "twin.yaml").read_text() + text)

    def load(self, path: str = "") -> Twin | None:
        self.findings = Findings()
        return load_twin(self.folder / path, {"supply": ROOM}, self.findings)

    def sound(self) -> Twin:
        twin = self.load()
        assert twin is not None, self.findings.as_text()
        assert not self.findings.errors
        return twin

    def errors(self) -> list[str]:
        """Load a twin that must fail; its errors as `name:line: what ...` lines."""
        assert self.load() is None
        prefix = f"{self.folder}/"
        return [str(f).removeprefix(prefix) for f in self.findings.sorted().errors]

    def error(self) -> str:
        """Load a twin that must fail with exactly one error."""
        errors = self.errors()
        assert len(errors) == 1, errors
        return errors[0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[[str], Bench]:
    def make(name: str) -> Bench:
        folder = tmp_path / name
        folder.mkdir()
        return Bench(folder)

    return make
