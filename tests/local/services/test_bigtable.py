"""The Bigtable emulator is found, or built from Debian's packages, or its absence is explained."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from local.services import bigtable
from local.services.errors import ServiceError
from local.services.service import StateFolder, ensure
from segue.settings import Settings


def test_the_emulator_built_from_debian_packages_serves_the_data_client(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0 and bigtable._go() is None:
        pytest.skip("Debian's Go packages are missing and only root may install them")
    monkeypatch.setenv(bigtable.CHOICE_VARIABLE, "debian")
    state = StateFolder.open(state_dir)
    state.path.mkdir()

    assert ensure(state, bigtable.specify, lambda: bigtable.prepare(state.path))

    assert not bigtable.binary(state.path).is_symlink()
    host = f"127.0.0.1:{state.ports.get(bigtable.PORT)}"
    assert _written_and_read(Settings(_env_file=None, bigtable_emulator_host=host)) == b"written"


def test_without_any_way_the_error_names_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bigtable.CHOICE_VARIABLE, raising=False)
    monkeypatch.setattr(bigtable, "_USUAL_SDK_ROOTS", ())
    monkeypatch.setattr(bigtable, "_DEBIAN_GO_PATH", tmp_path / "no-go-here")
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(ServiceError) as raised:
        bigtable.prepare(tmp_path)

    for way in ("gcloud components install bigtable", "apt-get install golang-go", "docker compose up"):
        assert way in str(raised.value)


def test_an_emulator_named_by_hand_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "my-emulator"
    mine.touch()
    monkeypatch.setenv(bigtable.CHOICE_VARIABLE, str(mine))

    bigtable.prepare(tmp_path)

    assert bigtable.binary(tmp_path).resolve() == mine


def test_an_emulator_named_by_hand_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bigtable.CHOICE_VARIABLE, str(tmp_path / "gone"))

    with pytest.raises(ServiceError, match="gone, which does not exist"):
        bigtable.prepare(tmp_path)


def _written_and_read(settings: Settings) -> bytes:
    from google.cloud.bigtable.data import SetCell

    from loaders.bigtable.connection import open_table
    from loaders.bigtable.table import ensure_table
    from segue_client.bigtable.schema import OFFERS_FAMILY

    ensure_table(settings)
    with open_table(settings) as table:
        table.mutate_row(b"account", SetCell(OFFERS_FAMILY, b"q", b"written", timestamp_micros=1_000_000))
        row = table.read_row(b"account")
    return row.cells[0].value  # type: ignore[no-any-return]
