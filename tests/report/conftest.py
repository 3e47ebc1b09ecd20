from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.report.synthetic_run import write_synthetic

from firsttoken.report.report import render
from firsttoken.results.store import Results


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with write_synthetic(tmp_path_factory.mktemp("made-up") / "run") as results:
        yield results


@pytest.fixture(scope="session")
def page(made_up: Results) -> str:
    return render(made_up)


@pytest.fixture(scope="session")
def page_file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
