"""House rules on the files: nothing of one machine in them, and every room furnished."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.house.sources import PACKAGE, ROOMS, ROOT, text, tracked

# Written in pieces so that this file does not break its own rule.
MACHINE = re.compile(
    "|".join(
        (
            "/" + "root/",
            "/" + "home/[a-z]",
            "/" + "work/",
            "/" + "Users/[a-z]",
            "/" + r"tmp/[a-z]",
            r"C:\\" + "Users",
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "registry" + r"\.npmjs",
            "deb" + r"\.debian\.org",
            "--" + "index-url",
            "--" + "extra-index-url",
            "--" + "find-links",
        )
    )
)
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
CORE_PACKAGES = 25
FURNITURE = ("__init__.py", "model.py", "compile.py", "system.py", "kpi.py")
ENGINES = ("simulate.py", "plan.py", "schedule.py")


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_of_one_machine_is_written_down() -> None:
    # Set-up translates pip's settings by name; it names options, never an index.
    assert not [line for line in found(MACHINE) if not line.startswith("tests/house/test_files")]


def test_nothing_is_left_for_later() -> None:
    assert not found(UNFINISHED)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_same_furniture(room: str) -> None:
    files = {path.name for path in (PACKAGE / room).iterdir()}
    assert not set(FURNITURE) - files
    assert set(ENGINES) & files, f"{room} has no engine: one of {ENGINES}"
    assert (ROOT / "tests" / room).is_dir(), f"{room} has no tests"


@pytest.mark.parametrize("room", ROOMS)
def test_models_declare_and_do_nothing(room: str) -> None:
    source = (PACKAGE / room / "model.py").read_text(encoding="utf-8")
    assert "import numpy" not in source
    assert "def " not in source, f"{room}/model.py has behaviour"


def locked(file: str) -> dict[str, str]:
    """Package name -> version of the locked requirements for the platforms we support."""
    lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
    pins = [line.split(" ", 1) for line in lines if re.match(r"[a-z0-9]", line)]
    kept = [pin for pin, rest in pins if "win32" not in rest]
    return dict(pin.split("==") for pin in kept)


def test_the_core_is_at_most_25_packages() -> None:
    assert 10 < len(locked("core.txt")) <= CORE_PACKAGES


def test_every_locked_package_has_hashes() -> None:
    for file in ("core.txt", "dev.txt", "uv.txt"):
        entries = re.split(r"\n(?=[a-z0-9])", text(ROOT / "requirements" / file))
        assert all("--hash=sha256:" in entry for entry in entries), file


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))
    named = {
        re.split(r"[\[<>=! ]", requirement, maxsplit=1)[0].lower()
        for requirement in project["project"]["dependencies"]
    }
    assert named <= set(locked("core.txt"))
    developed = {
        re.split(r"[\[<>=! ]", requirement, maxsplit=1)[0].lower()
        for requirement in project["dependency-groups"]["dev"]
    }
    assert named | developed <= set(locked("dev.txt"))
    core, dev = locked("core.txt"), locked("dev.txt")
    assert {name: dev[name] for name in core} == core, "tests run on other versions than users"


@pytest.mark.parametrize(
    "file", ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
)
def test_the_project_has_its_papers(file: str) -> None:
    assert len(text(ROOT / file)) > 200


def test_versions_agree() -> None:
    version = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", text(ROOT / "CITATION.cff"), re.M)
    assert re.search(
        rf"^## \[({re.escape(version)}|Unreleased)\]", text(ROOT / "CHANGELOG.md"), re.M
    )


def test_scripts_can_be_executed() -> None:
    for script in (*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"):
        first = text(script).splitlines()[0] if Path(script).is_file() else ""
        assert first == "#!/usr/bin/env bash", script
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
