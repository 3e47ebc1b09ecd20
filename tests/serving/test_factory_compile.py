"""Factories that cannot be are named before anything runs."""

from __future__ import annotations

import numpy as np
import pytest
from tests.serving.fluid_services import always, straight

from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_system import Class, Inputs, Lengths, Pool, Service, System
from firsttoken.twin.findings import TwinError


def compiled(service: Service, **changes: np.ndarray) -> System:
    """The factory of one service, with changed inputs."""
    ones = np.ones((1, 10))
    inputs = Inputs(ones, ones, ones, np.inf * ones, 0.0 * ones)
    return compile_factory([service], inputs._replace(**changes))


GOOD = Service("chat", (Class("all", always(10.0, 10.0)),), Pool(straight(), 100.0, 10.0))


def test_rows_are_in_the_order_of_priority() -> None:
    kinds = (Class("late", always(1.0, 2.0), 0), Class("soon", always(3.0, 4.0), 7))
    ones = np.ones((2, 5))
    one = np.ones((1, 5))
    system = compile_factory(
        [GOOD._replace(classes=kinds)], Inputs(ones, one, one, np.inf * one, 0.0 * one)
    )
    assert system.class_names == ("chat.soon", "chat.late")
    assert system.factory.classes.mean_prompt.tolist() == [3.0, 1.0]


def test_pools_that_prefill_stand_behind_the_others() -> None:
    other = GOOD._replace(name="plain")
    apart = GOOD._replace(prefill=Pool(straight(step=0.5), 200.0, 20.0))
    ones, three = np.ones((2, 5)), np.ones((3, 5))
    inputs = Inputs(ones, three, three, np.inf * three, 0.0 * three)
    factory = compile_factory([apart, other], inputs).factory
    assert factory.services.decode.tolist() == [0, 1]
    assert factory.services.prefill.tolist() == [2, 1]
    assert factory.pools.overhead.tolist() == [0.01, 0.01, 0.5]


def test_requests_that_fit_nowhere() -> None:
    small = GOOD._replace(pool=Pool(straight(memory=15.0), 100.0, 10.0))
    with pytest.raises(TwinError, match=r"requests of 20 tokens.*holds 15.*fewer bits"):
        compiled(small)


def test_chunks_without_room() -> None:
    with pytest.raises(TwinError, match=r"a step holds 1 tokens.*raise `chunk`"):
        compiled(GOOD._replace(pool=Pool(straight(), 1.0, 10.0)))


@pytest.mark.parametrize(
    ("field", "value"), [("prompt", np.nan), ("output", -5.0), ("share", np.inf)]
)
def test_lengths_that_are_no_numbers(field: str, value: float) -> None:
    lengths = always(10.0, 10.0)._replace(**{field: np.array([value])})
    with pytest.raises(TwinError, match="lengths of requests are missing, negative or not numbers"):
        compiled(GOOD._replace(classes=(Class("all", lengths),)))


def test_classes_without_lengths() -> None:
    none = np.empty(0)
    lengths = Lengths(none, none, none, none, np.empty((0, 3)))
    with pytest.raises(TwinError, match=r"serving\.chat\.all.*lengths of requests"):
        compiled(GOOD._replace(classes=(Class("all", lengths),)))


def test_answers_of_nothing() -> None:
    with pytest.raises(TwinError, match="answers of less than one token"):
        compiled(GOOD._replace(classes=(Class("all", always(10.0, 0.5)),)))


def test_series_that_are_wrong_are_all_told() -> None:
    rate = np.ones((1, 10))
    rate[0, 4] = np.nan
    with pytest.raises(TwinError) as found:
        compiled(GOOD, rate=rate, cap=np.ones((1, 7)), speed=-np.ones((1, 10)))
    text = str(found.value)
    assert "`rate` is negative or not a number in tick 4" in text
    assert "`cap` has shape (1, 7), not (1, 10)" in text
    assert "`speed` is negative or not a number in tick 0" in text
