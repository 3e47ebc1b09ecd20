"""The wheel holds all that the package needs: libraries, templates, examples."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.house.sources import PACKAGE, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_file_of_the_package(site: Path) -> None:
    here = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {
        path.relative_to(site / "firsttoken")
        for path in site.rglob("*")
        if path.is_file()
        if path.is_relative_to(site / "firsttoken")
    }
    assert not here - there


def test_an_installed_package_checks_its_bundled_example(site: Path, tmp_path: Path) -> None:
    script = (
        "import sys, firsttoken\n"
        "from firsttoken.cli import app\n"
        "assert firsttoken.__file__.startswith(sys.argv[1]), firsttoken.__file__\n"
        "app(['check', 'us-ai-supercomputers'], prog_name='firsttoken')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(site)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
