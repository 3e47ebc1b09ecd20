"""States of a site in a file: what follows from one is what would have followed anyway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.facility.sites import COOLED

from firsttoken import api
from firsttoken.cli import main
from firsttoken.twin.findings import TwinError, UsageError

SITE: dict[str, Any] = {
    **COOLED,
    "ups": {"a": {"from": "main", "efficiency": 0.95, "mtbf": "60 hour", "mttr": "6 hour"}},
    "report": "day",
}


def twin(folder: Path, site: dict[str, Any] = SITE, horizon: str = "10 day") -> Path:
    data = {
        "twin": "t", "start": "2026-01-05", "horizon": horizon, "replications": 1, "seed": 5,
        "facility": {"x": site},
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def days(run: api.Run) -> dict[tuple[str, str], float]:
    """Median of each figure and day."""
    with run.results as results:
        found = results.sql("select period, metric, p50 from facility_period")
    return {
        (period, metric): value
        for period, metric, value in zip(
            found["period"], found["metric"], found["p50"], strict=True
        )
        if value == value
    }


def test_the_same_replication_goes_on_as_if_not_stopped(tmp_path: Path) -> None:
    folder = twin(tmp_path / "twin")
    whole = days(api.run(folder, engines=("simulate",), out=tmp_path / "a", report=False))
    api.save_state(folder, tmp_path / "s.npz", "2026-01-10")
    rest = days(api.forecast(folder, tmp_path / "s.npz", out=tmp_path / "b", report=False))
    assert {period for period, _ in rest} == {f"2026-01-{day:02d}" for day in range(10, 15)}
    assert rest == {key: value for key, value in whole.items() if key[0] >= "2026-01-10"}
    assert len({value for (_, metric), value in rest.items() if metric == "power"}) > 1


def test_a_forecast_ends_when_it_is_told(tmp_path: Path) -> None:
    folder = twin(tmp_path / "twin")
    whole = days(api.run(folder, engines=("simulate",), out=tmp_path / "a", report=False))
    api.save_state(folder, tmp_path / "s.npz", "2026-01-10")
    done = api.forecast(
        folder, tmp_path / "s.npz", until="2026-01-12", out=tmp_path / "b", report=False
    )
    rest = days(done)
    assert {period for period, _ in rest} == {"2026-01-10", "2026-01-11"}
    assert all(whole[key] == value for key, value in rest.items())


def test_futures_differ_from_the_state_on(tmp_path: Path) -> None:
    folder = twin(tmp_path / "twin")
    api.save_state(folder, tmp_path / "s.npz", "2026-01-10")
    run = api.forecast(folder, tmp_path / "s.npz", replications=20, out=tmp_path / "b")
    with run.results as results:
        found = results.sql(
            "select p10, p90 from facility_period where metric = 'power' and period > '2026-01-10'"
        )
    assert any(low < high for low, high in zip(found["p10"], found["p90"], strict=True))


def test_another_site_is_refused(tmp_path: Path) -> None:
    api.save_state(twin(tmp_path / "one"), tmp_path / "s.npz", "2026-01-10")
    other = twin(tmp_path / "two", {**SITE, "step": "30 minute"})
    with pytest.raises(TwinError, match="racks, power chain, cooling plant, jobs or step"):
        api.forecast(other, tmp_path / "s.npz", out=tmp_path / "b")


def test_a_forecast_needs_time(tmp_path: Path) -> None:
    folder = twin(tmp_path / "twin")
    api.save_state(folder, tmp_path / "s.npz", "2026-01-10")
    with pytest.raises(UsageError, match="must end after"):
        api.forecast(folder, tmp_path / "s.npz", until="2026-01-10", out=tmp_path / "b")


def test_the_command_line_tells_of_sites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = twin(tmp_path / "twin")
    state = str(tmp_path / "s.npz")
    for words in (
        ["--until", "2026-01-10", "--save", state],
        ["--from", state, "--out", str(tmp_path / "run"), "-n", "3"],
    ):
        monkeypatch.setattr("sys.argv", ["firsttoken", "simulate", str(folder), *words])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "x: 3 futures" in printed
    assert "PUE" in printed
