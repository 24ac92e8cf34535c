"""Translations that another emulator has made are found, and those of other code are not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from local.services.bigquery import PROJECT


@pytest.fixture
def kept() -> ModuleType:
    """The module, which lives in the emulator's environment and needs nothing of it."""
    spec = importlib.util.spec_from_file_location("kept_translations", PROJECT / "kept_translations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_one_process_keeps_another_finds(kept: ModuleType, tmp_path: Path) -> None:
    one, other = kept.open_kept(tmp_path), kept.open_kept(tmp_path)

    one.keep("key", "select 1")
    other.keep("key", "select 2")

    assert [each.find("key") for each in (one, other, kept.open_kept(tmp_path))] == ["select 1"] * 3
    assert one.find("another") is None


def test_what_other_code_kept_is_removed(
    kept: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.open_kept(tmp_path).keep("key", "select 1")

    monkeypatch.setattr(kept, "_state", lambda: "of-other-code")

    assert kept.open_kept(tmp_path).find("key") is None
    assert {file.name.split(".")[0] for file in tmp_path.iterdir()} == {"of-other-code"}


def test_where_nothing_can_be_written_nothing_is_kept(kept: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert kept.open_kept(tmp_path / "file") is None


def test_a_file_that_has_grown_too_large_begins_anew(
    kept: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.open_kept(tmp_path).keep("key", "select 1")

    monkeypatch.setattr(kept, "_LARGEST", 1)

    assert kept.open_kept(tmp_path).find("key") is None
