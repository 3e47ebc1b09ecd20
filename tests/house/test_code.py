"""House rules on the text of the code: no prints, no stubs, docstrings on what is public."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.house.sources import Function, functions, modules, name, tree


@pytest.mark.parametrize("path", modules(), ids=name)
def test_only_the_command_line_prints(path: Path) -> None:
    if path.name.startswith("cli"):
        return
    prints = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not prints, f"{name(path)} prints at lines {prints}"


def _is_stub(function: Function) -> bool:
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:] or [ast.Pass()]
    if len(body) > 1:
        return False
    only = body[0]
    if isinstance(only, ast.Raise):
        raised = only.exc.func if isinstance(only.exc, ast.Call) else only.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    ellipsis = isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
    return isinstance(only, ast.Pass) or ellipsis


def _stubs_allowed(path: Path) -> set[int]:
    """Lines of functions that have no body by design: protocol members and overloads."""
    allowed = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.dump(b) for b in node.bases):
            allowed |= {part.lineno for part in node.body if isinstance(part, Function)}
        if isinstance(node, Function) and any(
            "overload" in ast.dump(d) or "abstractmethod" in ast.dump(d)
            for d in node.decorator_list
        ):
            allowed.add(node.lineno)
    return allowed


@pytest.mark.parametrize("path", modules(), ids=name)
def test_no_stubs(path: Path) -> None:
    allowed = _stubs_allowed(path)
    stubs = [f.name for f in functions(path) if _is_stub(f) and f.lineno not in allowed]
    assert not stubs, f"{name(path)} has functions without a body: {stubs}"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_public_names_have_docstrings(path: Path) -> None:
    missing = [] if ast.get_docstring(tree(path)) else ["the module itself"]
    public: list[ast.AST] = [tree(path)]
    while public:
        for node in ast.iter_child_nodes(public.pop()):
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    missing.append(node.name)
                if isinstance(node, ast.ClassDef):
                    public.append(node)
    assert not missing, f"no docstring in {name(path)}: {missing}"
