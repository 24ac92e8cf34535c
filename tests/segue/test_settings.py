"""Settings that would quietly do nothing are refused."""

from __future__ import annotations

import pytest

from segue.errors import SettingsError
from segue.settings import get_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEGUE_RESTATEMENT_DAYS", "-1"),
        ("SEGUE_MAX_QUARANTINED_SHARE", "5"),
        ("SEGUE_CONTENT_MAX_DELETED_SHARE", "-0.1"),
        ("SEGUE_BIGTABLE_ROWS_PER_SHARD", "0"),
        ("SEGUE_MAX_DEAD_LETTER_SHARE", "2"),
        ("SEGUE_DBT_THREADS", "0"),
    ],
)
def test_an_impossible_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        with pytest.raises(SettingsError, match=name):
            get_settings()
    finally:
        get_settings.cache_clear()
