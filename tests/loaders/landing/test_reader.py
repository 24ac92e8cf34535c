"""A process that reads landing files: where it can be started, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import billiard
import psutil
import pytest

from loaders.landing.errors import LandingError, ReaderKilledError
from loaders.landing.listing import landing_store, table_days
from loaders.landing.read_file import FileOfDay
from loaders.landing.reader import Reader
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings

DAY = date(2026, 3, 29)
CONTENT = "day,currency,usd_rate,ingested_at\n2026-03-29,JPY,0.0065,2026-03-29T01:00:00Z\n2026-03-29,JPY,,\n"


def settings_of(landing: Path) -> Settings:
    return Settings(_env_file=None, landing_files_uri=landing.as_uri())  # type: ignore[call-arg]


def file_of(landing: Path) -> FileOfDay:
    [stored] = table_days(landing_store(settings_of(landing)), "fx_rates", [DAY])[DAY].files
    return FileOfDay("fx_rates", DAY, stored)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """A day of exchange rates: a row that is right and one that is not."""
    folder = tmp_path / "landing" / "fx_rates" / str(DAY)
    folder.mkdir(parents=True)
    (folder / "rates.csv").write_text(CONTENT)
    return tmp_path / "landing"


def start(landing: Path) -> Reader:
    return Reader(settings_of(landing), ErasedSubjects(settings_of(landing), {}), "1f")


def read_in_it(landing: Path) -> tuple[int, int, list[str]]:
    reader = start(landing)
    try:
        found, names = reader.read(7, file_of(landing))
    finally:
        reader.end()
    return found.rows_out, found.rows_quarantined, sorted(names)


def test_a_task_of_a_celery_worker_may_have_readers(landing: Path) -> None:
    """Celery's are daemonic processes of billiard's, which the standard library lets have no children."""
    with billiard.Pool(1) as pool:
        read = pool.apply(read_in_it, (landing,))

    assert read == (1, 1, ["fx_rates", "refused_fx_rates"])
    assert sorted(path.name for path in (landing / "_scratch").iterdir()) == [
        "1f.fx_rates.7.parquet",
        "1f.refused_fx_rates.7.parquet",
    ]


def test_a_file_that_cannot_land_is_refused_in_its_words_and_the_next_one_is_read(landing: Path) -> None:
    right = file_of(landing)
    (landing / "fx_rates" / str(DAY) / "rates.csv").write_text("day,currency\n2026-03-29,JPY\n")
    torn = file_of(landing)
    reader = start(landing)
    try:
        with pytest.raises(LandingError, match=r"fx_rates/2026-03-29/rates.csv"):
            reader.read(1, torn)
        (landing / "fx_rates" / str(DAY) / "rates.csv").write_text(CONTENT)
        assert reader.read(2, file_of(landing))[0].rows_in == 2
        assert right.stored.name == torn.stored.name
    finally:
        reader.end()


def test_a_reader_is_not_misled_by_files_where_the_task_stands(
    landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)

    assert read_in_it(landing)[:2] == (1, 1)


def test_a_reader_that_is_killed_is_noticed(landing: Path) -> None:
    reader = start(landing)
    try:
        [process] = [
            each
            for each in psutil.Process().children()
            # What other tests have killed has no command line any more.
            if each.status() != psutil.STATUS_ZOMBIE and "loaders.landing.reader" in str(each.cmdline())
        ]
        process.kill()
        process.wait()
        with pytest.raises(ReaderKilledError):
            reader.read(1, file_of(landing))
    finally:
        reader.end()


def test_a_reader_ends_with_who_started_it_however_that_ends(landing: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.loaders.landing.test_reader import start; "
        "start(Path(sys.argv[1])); print('started', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(landing)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"started\n"
    [reader] = psutil.Process(starter.pid).children()

    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()

    gone, _ = psutil.wait_procs([reader], timeout=30)
    assert gone == [reader]
