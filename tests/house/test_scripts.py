"""`scripts/setup` asks for what pip is configured to use, and only when something changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.sources import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for bash")

FAKE_UV = """#!/usr/bin/env bash
# Stands in for uv: writes down what it was asked, and makes an environment with this Python.
{ echo "uv $*"; env | grep ^UV_ | sort; } >>"$UV_LOG"
case "$1" in
  cache) echo "$UV_LOG.cache" ;;
  venv) "$REAL_PYTHON" -m venv --without-pip --symlinks "${@: -1}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what set-up reads, with a uv that only writes down what it is asked."""
    folder = (tmp_path / "a checkout").resolve()
    for part in ("scripts", "requirements"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text(FAKE_UV, encoding="utf-8")
    uv.chmod(0o755)
    return folder


def set_up(checkout: Path, **environment: str) -> tuple[str, str]:
    """Run set-up from another folder; what it said and what it asked uv."""
    log = checkout.parent / "asked"
    log.unlink(missing_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_"))}
    base = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [str(checkout / "scripts" / "setup")],
        cwd=checkout.parent,
        env={
            **kept,
            "PATH": f"{checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHON": base,
            "REAL_PYTHON": base,
            "UV_LOG": str(log),
            "PIP_CONFIG_FILE": os.devnull,
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, log.read_text(encoding="utf-8") if log.exists() else ""


def test_the_second_run_does_nothing_until_something_changes(checkout: Path) -> None:
    said, asked = set_up(checkout)
    assert "Setting up .venv" in said
    assert "pip sync" in asked
    assert "--require-hashes requirements/dev.txt" in asked
    assert "--no-build-isolation --editable ." in asked
    assert set_up(checkout) == ("", "")
    with (checkout / "requirements" / "dev.txt").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert "pip sync" in set_up(checkout)[1]


def test_uv_is_told_what_pip_would_use(checkout: Path) -> None:
    asked = set_up(
        checkout,
        PIP_INDEX_URL="https://index.example/simple",
        PIP_EXTRA_INDEX_URL="https://one.example/simple https://two.example/simple",
        PIP_FIND_LINKS="/some/wheels",
    )[1]
    assert "UV_DEFAULT_INDEX=https://index.example/simple\n" in asked
    assert "UV_INDEX=https://one.example/simple https://two.example/simple\n" in asked
    assert "UV_INDEX_STRATEGY=unsafe-best-match\n" in asked
    assert "UV_FIND_LINKS=/some/wheels\n" in asked


def test_what_is_set_for_uv_itself_wins(checkout: Path) -> None:
    asked = set_up(
        checkout,
        PIP_INDEX_URL="https://index.example/simple",
        UV_DEFAULT_INDEX="https://own.example/simple",
    )[1]
    assert "UV_DEFAULT_INDEX=https://own.example/simple\n" in asked


def test_an_old_python_is_refused_with_the_status_for_the_environment(
    checkout: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for tool in ("bash", "env", "dirname"):
        (empty / tool).symlink_to(shutil.which(tool) or "")
    done = subprocess.run(
        [str(checkout / "scripts" / "setup")],
        env={"PATH": str(empty)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "needs Python 3.11" in done.stderr
