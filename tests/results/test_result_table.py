from __future__ import annotations

import numpy as np
import pytest

from firsttoken.twin.result_table import ResultTable, concatenate


def table(**columns: list) -> ResultTable:
    return ResultTable("room_table", columns)


def test_columns_become_arrays_of_one_kind() -> None:
    made = table(
        text=["a", None], number=[1.5, None], whole=[1, None], count=[1, 2], yes=[True, False]
    )
    kinds = {name: made.array(name).dtype.kind for name in made.columns}
    assert kinds == {"text": "O", "number": "f", "whole": "f", "count": "i", "yes": "b"}
    assert made.array("text").tolist() == ["a", ""]
    assert np.isnan(made.array("number")[1])
    assert len(made) == 2


def test_arrays_are_taken_as_they_are() -> None:
    made = table(a=np.array([1, 2], dtype=np.int32), b=np.array(["x", "y"]))
    assert made.array("a").dtype == np.int64
    assert made.array("b").tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "Supply Summary", "columns": {"a": [1]}}, "not a table's name"),
        ({"name": "../x", "columns": {"a": [1]}}, "not a table's name"),
        ({"name": "t", "columns": {}}, "no columns"),
        ({"name": "t", "columns": {"a": [1], "b": [1, 2]}}, "differ in length"),
        ({"name": "t", "columns": {"a": [1]}, "units": {"b": "USD"}}, "no column 'b'"),
        ({"name": "t", "columns": {"a": [1]}, "keys": ("b",)}, "no column 'b'"),
    ],
)
def test_a_wrong_table_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResultTable(**arguments)


def test_mixed_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="mixes kinds: float, str"):
        table(a=["x", 1.0]).array("a")


def test_tables_are_put_under_each_other() -> None:
    joined = concatenate([table(a=["x"], b=[1.0]), table(a=[], b=[]), table(a=["y"], b=[2.0])])
    assert joined.array("a").tolist() == ["x", "y"]
    assert joined.array("b").tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "no tables"),
        ([table(a=[1]), table(b=[1])], "differ in name or columns"),
        (
            [ResultTable("t", {"a": [1]}, {"a": "USD"}), ResultTable("t", {"a": [1]})],
            "differ in units",
        ),
    ],
)
def test_different_tables_are_not_joined(tables: list[ResultTable], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        concatenate(tables)
