"""Power chains that a plan may choose: line-ups, their losses, their cost, their availability."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.model_design import Design
from firsttoken.facility.plan_numbers import Numbers, Unit
from firsttoken.facility.plan_reliability import Lineups, enough, lineups_of, powered

Floats = NDArray[np.float64]

MAIN_SPARES = (0, 1, 2)
LINES_PER_BOARD = 6
"""Line-ups on one medium-voltage board."""


@dataclass(frozen=True)
class Fixed:
    """Parts that every chain has."""

    circuit: Unit
    mv_board: Unit
    lv_board: Unit
    busway: Unit
    switch: Unit


@dataclass(frozen=True)
class Chain:
    """One choice of topology and units.

    Attributes
    ----------
    lineups : redundancy.
    ups_units : UPS of a line-up.
    capacity : IT power that one line-up can carry, W.
    spares : spare main transformers.
    """

    topology: str
    lineups: Lineups
    transformer: Unit
    ups: Unit | None
    generator: Unit | None
    main: Unit | None
    spares: int
    circuits: int
    fixed: Fixed
    ups_units: int
    capacity: float

    def loss(self, load: float) -> float:
        """Loss in W for a watt at the racks, with the racks at a share of their full load."""
        share = load * self.lineups.needed / self.lineups.total
        factor = 1.0 + self.fixed.busway.loss(share)
        if self.lineups.switch:
            factor *= 1.0 + self.fixed.switch.loss(share)
        if self.ups is not None:
            factor *= 1.0 + self.ups.loss(share)
        return factor * self.supply_loss(share) - 1.0

    def supply_loss(self, share: float) -> float:
        """Input over output of boards and transformers, at a share of their rating."""
        factor = (1.0 + self.fixed.lv_board.loss(share)) * (1.0 + self.transformer.loss(share))
        factor *= 1.0 + self.fixed.mv_board.loss(share)
        return factor * (1.0 + (self.main.loss(min(share, 0.8)) if self.main else 0.0))

    def counts(self, it: Floats, motors: Floats, peak: Floats) -> dict[str, Floats]:
        """Units for IT power `it`, cooling motors `motors` and site peak `peak`, W, by part."""
        blocks = np.ceil(it / (self.lineups.needed * self.capacity) - 1e-9)
        lines = blocks * self.lineups.total
        least = self.transformer.rating
        if self.generator is not None:
            least = min(least, self.generator.rating)
        others = np.ceil(motors / least) + 1
        all_lines = lines + others
        ways = 2 if self.lineups.two_ways else 1
        found = {
            self.transformer.part: all_lines,
            self.fixed.lv_board.part: (all_lines + lines) * self.boards,
            self.fixed.mv_board.part: np.ceil(all_lines / LINES_PER_BOARD) + 1,
            self.fixed.busway.part: np.ceil(it / self.fixed.busway.rating) * ways,
            self.fixed.circuit.part: np.full(len(it), float(self.circuits)),
        }
        if self.ups is not None:
            found[self.ups.part] = lines * self.ups_units
        if self.generator is not None:
            found[self.generator.part] = all_lines
        if self.lineups.switch:
            found[self.fixed.switch.part] = np.ceil(it / self.fixed.switch.rating)
        if self.main is not None:
            found[self.main.part] = np.ceil(peak / self.main.rating) + self.spares
        return found

    def units(self) -> list[Unit]:
        """Its parts."""
        fixed = self.fixed
        chosen = [fixed.circuit, self.main, fixed.mv_board, self.transformer, self.generator]
        chosen += [fixed.lv_board, self.ups, fixed.switch, fixed.busway]
        return [unit for unit in chosen if unit is not None]

    def availability(self, peak: float) -> dict[str, float]:
        """Share of the time in which a rack has power, and what each element loses of it."""
        fixed, lineups = self.fixed, self.lineups
        source = 1.0 - (1.0 - fixed.circuit.up) ** self.circuits
        if self.main is not None:
            needed = math.ceil(peak / self.main.rating)
            source *= float(enough(needed, self.spares, self.main.up))
        line = self.transformer.up * fixed.lv_board.up ** (2 * self.boards)
        line *= 1.0 - (1.0 - fixed.mv_board.up) ** 2
        if self.ups is not None:
            line *= self.ups.up**self.ups_units
        backup = 0.0
        if self.generator is not None:
            backup = self.generator.up * self.generator.facts.get("success", 1.0)
        shared = fixed.lv_board.up if lineups.bus else 1.0
        shared *= fixed.switch.up if lineups.switch else 1.0
        full = powered(source, backup, line, lineups, fixed.busway.up, shared)
        perfect = {
            "the utility and main transformers": (1.0, backup, line, fixed.busway.up, shared),
            "the generators": (source, 1.0, line, fixed.busway.up, shared),
            "the line-ups": (source, backup, 1.0, fixed.busway.up, shared),
            "the busways": (source, backup, line, 1.0, shared),
            "the common bus or static switch": (source, backup, line, fixed.busway.up, 1.0),
        }
        gains = {
            name: powered(a, b, c, lineups, way, rest) - full
            for name, (a, b, c, way, rest) in perfect.items()
        }
        return {"power": full, **gains}

    @property
    def boards(self) -> int:
        """Boards side by side before the UPS of a line-up, and again behind it."""
        return math.ceil(self.capacity / self.fixed.lv_board.rating - 1e-9)

    @property
    def name(self) -> str:
        """What a reader sees: `2N, 1 x ups_2500kw, generator_3mw`."""
        parts = [self.topology]
        if self.ups is not None:
            parts.append(f"{self.ups_units} x {self.ups.part}")
        if self.generator is not None:
            parts.append(self.generator.part)
        if self.main is not None:
            parts.append(f"{self.main.part} with {self.spares} spare")
        return ", ".join(parts)


def chains(numbers: Numbers, design: Design) -> Iterator[Chain]:
    """Every choice of topology, transformers, UPS and generators."""
    fixed = Fixed(
        numbers.unit("utility_feed_345kv", "mtbf", "mttr"),
        numbers.unit("mv_board", "efficiency"),
        numbers.unit("lv_board", "rating"),
        numbers.unit("busway_1000a", "rating"),
        numbers.unit("static_switch_800kw", "rating"),
    )
    transformers = [numbers.unit(part, "rating", "load_loss") for part in design.transformers]
    ups: list[Unit | None] = [numbers.unit(part, "rating") for part in design.ups]
    generators: list[Unit | None] = [numbers.unit(part, "rating") for part in design.generators]
    mains: list[Unit | None] = [numbers.unit(part, "rating") for part in design.main_transformers]
    for topology, transformer, battery, generator, main, spares in product(
        design.topologies,
        transformers,
        ups or [None],
        generators or [None],
        mains or [None],
        MAIN_SPARES,
    ):
        if main is None and spares:
            continue
        lineups = lineups_of(topology, design.block)
        input_ = transformer.rating
        if generator is not None:
            input_ = min(input_, generator.rating)
        last = fixed.lv_board.curve(1.0) * fixed.busway.curve(1.0)
        count, capacity = 0, input_ * last
        if battery is not None:
            count = max(1, math.floor(input_ * battery.curve(1.0) / battery.rating + 1e-9))
            capacity = min(count * battery.rating, input_ * battery.curve(1.0)) * last
        yield Chain(
            topology,
            lineups,
            transformer,
            battery,
            generator,
            main,
            spares,
            design.circuits,
            fixed,
            count,
            capacity,
        )
