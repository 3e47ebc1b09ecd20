"""Small services for tests of the fluid mode, with laws of straight lines."""

from __future__ import annotations

import numpy as np

from firsttoken.serving import factory_state as columns
from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_simulate import FactoryResult, simulate, snapshot
from firsttoken.serving.factory_system import Class, Inputs, Lengths, Pool, Service, System
from firsttoken.serving.system import StepLaw


def straight(
    step: float = 0.01,
    token: float = 0.0,
    kv: float = 0.0,
    pair: float = 0.0,
    memory: float = 1e12,
    joules: float = 1.0,
) -> StepLaw:
    """A law in which a step takes `step` s and `token` s a token, and `joules` J."""
    tokens = np.array([0.0, 1e6])
    return StepLaw(
        tokens=tokens,
        seconds=token * tokens,
        joules=0.0 * tokens,
        overhead=step,
        kv_second=kv,
        pair_second=pair,
        energy_step=joules,
        kv_joule=0.0,
        pair_joule=0.0,
        idle=100.0,
        limit=700.0,
        gpus=1.0,
        kv_tokens=memory,
        kv_bytes=1e5,
        link=1e11,
    )


def always(prompt: float, output: float) -> Lengths:
    """Requests that are all alike."""
    one = np.ones(1)
    rows = np.array([[prompt, 0.0, output]])
    return Lengths(prompt * one, 0.0 * one, output * one, one, rows)


def steady(services: list[Service], rates: list[float], replicas: float, ticks: int) -> System:
    """A factory at steady rates (of each class) with as many replicas in each pool."""
    pools = len(services) + sum(service.prefill is not None for service in services)
    ones = np.ones((pools, ticks))
    rate = np.array(rates)[:, None] * np.ones(ticks)
    inputs = Inputs(rate, replicas * ones, ones, np.inf * ones, 0.0 * ones)
    return compile_factory(services, inputs)


def settled(system: System, warm: int) -> tuple[FactoryResult, np.ndarray]:
    """Results after a warm-up, and the mean row of the first service."""
    result = simulate(system, 1, 1, initial_state=snapshot(system, 1, 0, warm), threads=1)
    return result, result.rows[0, 0].mean(axis=0)


def service(pool: Pool, *lengths: Lengths, **rest: object) -> Service:
    """A service with a class for each of `lengths`."""
    classes = tuple(Class(f"c{i}", part) for i, part in enumerate(lengths))
    return Service("s", classes, pool, **rest)  # type: ignore[arg-type]


TPOT = columns.BY_TPOT
