"""Continuous batching written down step by step, without any of the engine's short cuts.

One replica, or several that get requests in turn: nothing is skipped, every block of every
sequence is counted anew in every step.  Laws made by `exact_law` have numbers whose sums are exact
in floating point, so that both must agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from firsttoken.serving.requests_system import Pool
from firsttoken.serving.system import StepLaw


def exact_law(**changes: Any) -> StepLaw:
    """A law whose times and energies are multiples of 2^-20: sums of them have no rounding."""
    tokens = np.array([0.0, 64.0, 8192.0])
    law = StepLaw(
        tokens=tokens,
        seconds=tokens * 2.0**-14,
        joules=tokens * 2.0**-6,
        overhead=2.0**-6,
        kv_second=2.0**-18,
        pair_second=2.0**-19,
        energy_step=0.5,
        kv_joule=2.0**-10,
        pair_joule=2.0**-12,
        idle=100.0,
        limit=1e6,
        gpus=1.0,
        kv_tokens=4096.0,
        kv_bytes=1024.0,
        link=2.0**24,
    )
    return law._replace(**changes)


@dataclass
class Sequence:
    """A request on its way."""

    number: int
    prompt: int
    output: int
    level: int
    made: int = 0
    done: int = 0
    order: int = 0
    chunk: int = 0
    reads: bool = True
    first: float = -1.0
    tokens: int = 0  # of KV

    @property
    def need(self) -> int:
        return self.prompt + self.made


@dataclass
class Replica:
    """One replica and what has become of its requests."""

    pool: Pool
    law: StepLaw
    waiting: list[Sequence] = field(default_factory=list)
    running: list[Sequence] = field(default_factory=list)
    order: int = 0
    preempted: int = 0
    steps: int = 0
    joules: float = 0.0
    end: dict[int, tuple[float, float]] = field(default_factory=dict)

    def blocks(self, tokens: int) -> int:
        return -(-tokens // self.pool.block)

    def free(self) -> int:
        used = sum(self.blocks(s.need if s.reads else s.tokens) for s in self.running)
        return int(self.law.kv_tokens // self.pool.block) - used

    def new(self) -> int:
        """Blocks that the next token of each decoding sequence takes."""
        return sum(s.tokens % self.pool.block == 0 for s in self.running if not s.reads)

    def preempt(self) -> None:
        victim = max(self.running, key=lambda s: (s.level, s.order))
        self.running.remove(victim)
        victim.reads, victim.done, victim.chunk = True, 0, 0
        self.preempted += 1
        level = [i for i, s in enumerate(self.waiting) if s.level >= victim.level]
        self.waiting.insert(level[0] if level else len(self.waiting), victim)

    def compose(self) -> None:
        """Who takes part in the next step, and with how many tokens."""
        preempted = False
        while self.new() > self.free():
            self.preempt()
            preempted = True
        left = self.pool.chunk - sum(not s.reads for s in self.running)
        for s in sorted(self.running, key=lambda s: s.order):
            if s.reads:
                s.chunk = min(left, s.need - s.done)
                left -= s.chunk
        while self.waiting and left > 0 and not preempted:
            s = self.waiting[0]
            room = self.free() - self.new()
            if len(self.running) >= self.pool.sequences or self.blocks(s.need) > room:
                break
            self.waiting.pop(0)
            s.order, self.order = self.order, self.order + 1
            s.chunk = min(left, s.need)
            left -= s.chunk
            self.running.append(s)

    def step(self, now: float) -> float:
        """Take one step; return when it ends."""
        law = self.law
        reads = [s for s in self.running if s.reads and s.chunk > 0]
        decodes = [s for s in self.running if not s.reads]
        tokens = len(decodes) + sum(s.chunk for s in reads)
        kv = sum(s.tokens for s in decodes)
        pairs = sum(s.chunk * (s.done + s.chunk / 2) for s in reads)
        second = law.overhead + float(np.interp(tokens, law.tokens, law.seconds))
        now += second + law.kv_second * kv + law.pair_second * pairs
        joule = law.energy_step + float(np.interp(tokens, law.tokens, law.joules))
        self.joules += joule + law.kv_joule * kv + law.pair_joule * pairs
        self.steps += 1
        for s in decodes:
            s.tokens += 1
            s.made += 1
        for s in reads:
            s.done += s.chunk
            s.chunk = 0
            if s.done == s.need:
                s.tokens, s.reads = s.need, False
                s.made += 1
                s.first = now if s.first < 0 else s.first
        for s in [s for s in self.running if not s.reads and s.made == s.output]:
            self.running.remove(s)
            self.end[s.number] = (s.first, now)
        return now

    def arrive(self, s: Sequence) -> None:
        level = [i for i, other in enumerate(self.waiting) if other.level > s.level]
        self.waiting.insert(level[0] if level else len(self.waiting), s)


def play(pool: Pool, arrival: Any, prompt: Any, output: Any, level: Any) -> list[Replica]:
    """Play all requests on the pool's replicas, in turn, to the end of the last one."""
    found = []
    for r in range(pool.replicas):
        replica = Replica(pool, pool.law)
        mine = [
            (float(arrival[i]), Sequence(i, int(prompt[i]), int(output[i]), int(level[i])))
            for i in range(r, len(arrival), pool.replicas)
        ]
        now = 0.0
        while mine or replica.waiting or replica.running:
            if not replica.waiting and not replica.running:
                now = max(now, mine[0][0])
            while mine and mine[0][0] <= now:
                replica.arrive(mine.pop(0)[1])
            replica.compose()
            now = replica.step(now)
        found.append(replica)
    return found
