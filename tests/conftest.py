"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of large reference data beside the checkout; the package never needs it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the reference data beside the checkout is not here")
    return folder
