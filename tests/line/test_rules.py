"""Dispatch rules of one's own: what is accepted, what is refused, and how engines call them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from firsttoken.kernel.compiled import config
from firsttoken.line import rules
from firsttoken.line.rules import (
    ARGUMENTS,
    RuleError,
    load_rule,
    own_rule,
    rule_address,
    try_rule,
)

HEAD = f"def rule({', '.join(ARGUMENTS)}):\n"


def written(folder: Path, body: str, head: str = HEAD) -> Path:
    """A file with one rule."""
    file = folder / "rules.py"
    file.write_text(head + "".join(f"    {line}\n" for line in body.splitlines()))
    return file


def native(rule: Any) -> Any:
    """The compiled rule, as an engine would call it."""
    return getattr(rule, "ctypes", rule)


@pytest.fixture(params=[False, True], ids=["compiled", "python"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways in which rules are used."""
    monkeypatch.setattr(config, "DISABLE_JIT", request.param)
    rules._loaded.cache_clear()
    return bool(request.param)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules.py:slack", ("rules.py", "slack")),
        (" own/rules.py:_f2 ", ("own/rules.py", "_f2")),
        ("fifo", None),
        ("rules.py", None),
        ("rules.txt:slack", None),
        ("rules.py:a b", None),
    ],
)
def test_the_name_of_an_own_rule(text: str, expected: tuple[str, str] | None) -> None:
    assert own_rule(text) == expected


def test_a_rule_is_called_with_the_arguments_in_order(tmp_path: Path, mode: bool) -> None:
    weights = " + ".join(f"{10**i} * {name}" for i, name in enumerate(ARGUMENTS))
    rule = load_rule(written(tmp_path, f"return {weights}"), "rule")
    assert native(rule)(*map(float, range(1, 10))) == 987654321.0


def test_math_and_branches_are_allowed(tmp_path: Path, mode: bool) -> None:
    body = "if math.isinf(due):\n    return 1e9\nreturn int(max((due - now) / work_left, 0.0))"
    rule = load_rule(written(tmp_path, body, "import math\n" + HEAD), "rule")
    assert native(rule)(0.0, 1.0, 0.0, 7.0, 0.0, 1.0, 2.0, 0.0, 1.0) == 3.0
    try_rule(rule, due=False)


REFUSED = {
    "syntax": ("return (", HEAD, "rules.py:2:"),
    "another name": ("return now", HEAD.replace("rule", "role"), "has no function 'rule', it has"),
    "no function": ("x = 1", "if True:\n", "it has no function"),
    "too few": ("return now", "def rule(now):\n", "rules.py:1: 'rule' takes other arguments"),
    "another order": (
        "return now",
        HEAD.replace("now, priority", "priority, now"),
        "takes other arguments",
    ),
    "any number": ("return 1.0", "def rule(*now):\n", "takes other arguments"),
    "raises": ("raise ValueError", HEAD, "rules.py:2: a rule cannot raise"),
    "asserts": ("assert now\nreturn now", HEAD, "a rule cannot assert"),
    "nan": ("return now * (due * 1e300 * 1e300 - due * 1e300 * 1e300)", HEAD, "returns nan"),
    "no such module": ("return now", "import no_such_module\n" + HEAD, "ModuleNotFoundError"),
    "a wrapped function": (
        "return now",
        "import functools\n@functools.partial\n" + HEAD,
        "is not a plain function",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_rule_is_refused_with_a_reason(name: str, tmp_path: Path, mode: bool) -> None:
    body, head, words = REFUSED[name]
    with pytest.raises(RuleError) as refused:
        load_rule(written(tmp_path, body, head), "rule")
    assert words in str(refused.value)


def test_what_cannot_be_compiled_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    with pytest.raises(RuleError, match=r"'rule' cannot be compiled, .*upper") as refused:
        load_rule(written(tmp_path, "return now.upper()"), "rule")
    assert "numbers" in refused.value.hint


def test_what_fails_is_refused_in_python_mode(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", True)
    rules._loaded.cache_clear()
    with pytest.raises(RuleError, match="the rule fails: AttributeError"):
        load_rule(written(tmp_path, "return now.upper()"), "rule")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"cannot read the rule's file 'none.py'") as refused:
        load_rule(tmp_path / "none.py", "rule")
    assert "relative to the twin's folder" in refused.value.hint


def test_lots_without_a_due_date_are_tried(tmp_path: Path, mode: bool) -> None:
    rule = load_rule(written(tmp_path, "return (due - now) / due"), "rule")
    with pytest.raises(RuleError, match="nan") as refused:
        try_rule(rule, due=False)
    assert "due = inf" in refused.value.hint


def test_nothing_is_written_beside_the_rule(tmp_path: Path) -> None:
    load_rule(written(tmp_path, "return arrived + 1"), "rule")
    assert [path.name for path in tmp_path.iterdir()] == ["rules.py"]


def test_a_changed_file_is_read_again(tmp_path: Path, mode: bool) -> None:
    first = load_rule(written(tmp_path, "return 1.0"), "rule")
    assert load_rule(written(tmp_path, "return 1.0"), "rule") is first
    second = load_rule(written(tmp_path, "return 2.0"), "rule")
    nine = [0.0] * len(ARGUMENTS)
    assert (native(first)(*nine), native(second)(*nine)) == (1.0, 2.0)


def test_engines_call_rules_by_address(tmp_path: Path, mode: bool) -> None:
    file = written(tmp_path, "return due - now")
    address = rule_address((str(file), "rule"))
    if not mode:
        kind = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * len(ARGUMENTS))
        address = kind(address)
    assert address(2.0, 1.0, 0.0, 7.0, 0.0, 1.0, 2.0, 0.0, 1.0) == 5.0
    assert rule_address(None) is None
