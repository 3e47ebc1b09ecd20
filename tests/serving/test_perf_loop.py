"""The steady state in closed form against an event simulation of the same closed loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import GENERIC
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.perf_point import aggregated_point
from firsttoken.serving.system import Layout, StepLaw

WAVES = 10
MODEL = library_architecture("llama3_1_70b")
H100 = library_hardware("h100_sxm")
EIGHT = Layout(8, 1, 1, 8, 1, 8, 8, 8, 8)


class Measured(NamedTuple):
    ttft: float
    tpot: float
    later_ttft: float
    later_tpot: float
    tokens: float


def seconds(law: StepLaw, tokens: float, kv: float, pairs: float) -> float:
    table = float(np.interp(tokens, law.tokens, law.seconds))
    return law.overhead + table + law.kv_second * kv + law.pair_second * pairs


class Loop:
    """Continuous batching with chunked prefill, first come, first served; lengths within 20 %."""

    def __init__(self, law: StepLaw, isl: int, osl: int, users: int, mixed: bool) -> None:
        rng = np.random.default_rng(1)
        self.law, self.users, self.mixed = law, users, mixed
        self.prompt = rng.integers(4 * isl // 5, 6 * isl // 5 + 1, users * WAVES)
        self.output = rng.integers(4 * osl // 5, 6 * osl // 5 + 1, users * WAVES)
        self.now, self.next = 0.0, users
        self.queue, self.running = list(range(users)), list[int]()
        self.context, self.left = self.prompt.copy(), self.output - 1
        self.prefilled = np.zeros_like(self.prompt)
        self.came, self.first, self.end = np.zeros((3, users * WAVES))

    def step(self, budget: int = 8192) -> None:
        """One step: chunks of the first prompts, and all that decode unless they are held up."""
        budget -= len(self.running) if self.mixed else 0
        tokens, pairs, ready = 0, 0.0, []
        while self.queue and budget > 0:
            one = self.queue[0]
            chunk = min(budget, self.prompt[one] - self.prefilled[one])
            pairs += chunk * (self.prefilled[one] + chunk / 2)
            tokens, budget = tokens + chunk, budget - chunk
            self.prefilled[one] += chunk
            if self.prefilled[one] < self.prompt[one]:
                break
            ready.append(self.queue.pop(0))
        decoding = self.running if self.mixed or not tokens else []
        kv = float(self.context[decoding].sum()) if decoding else 0.0
        self.now += seconds(self.law, tokens + len(decoding), kv, pairs)
        self.context[decoding] += 1
        self.left[decoding] -= 1
        for one in [one for one in decoding if self.left[one] <= 0]:
            self.running.remove(one)
            self.end[one] = self.now
            if self.next < len(self.prompt):
                self.came[self.next] = self.now
                self.queue.append(self.next)
                self.next += 1
        self.first[ready] = self.now
        self.running += ready

    def measured(self) -> Measured:
        while self.queue or self.running:
            self.step()
        ttft = self.first - self.came
        tpot = (self.end - self.first) / (self.output - 1)
        later = slice(self.users, -self.users)
        return Measured(
            float(ttft.mean()),
            float(tpot.mean()),
            float(ttft[later].mean()),
            float(tpot[later].mean()),
            float(self.output.sum() / self.now),
        )


@pytest.mark.parametrize("mixed", [True, False], ids=["mixed", "apart"])
@pytest.mark.parametrize(
    ("isl", "osl", "users"), [(1000, 300, 16), (1000, 300, 64), (4000, 300, 32), (8000, 200, 16)]
)
def test_closed_loop(mixed: bool, isl: int, osl: int, users: int) -> None:
    engine = GENERIC._replace(mixed=float(mixed), request=0.0, layer=0.0, cold=0.0, host=0.0)
    law = step_law(MODEL, H100, EIGHT, engine=engine, context=isl + osl / 2)
    found = Loop(law, isl, osl, users, mixed).measured()
    calm = aggregated_point(MODEL, H100, EIGHT, isl, osl, users, engine=engine)
    whole = aggregated_point(MODEL, H100, EIGHT, isl, osl, users, engine=engine, burst=1 / WAVES)
    assert float(calm.tpot) == pytest.approx(found.later_tpot, rel=0.05)
    assert float(calm.ttft) == pytest.approx(found.later_ttft, rel=0.15)
    assert float(whole.tpot) == pytest.approx(found.tpot, rel=0.05)
    assert float(whole.ttft) == pytest.approx(found.ttft, rel=0.06)
    # the last requests run in ever emptier batches: a run of ten waves gives less than a steady one
    assert found.tokens == pytest.approx(float(calm.tokens), rel=0.06)
