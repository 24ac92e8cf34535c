"""A past day can be had as it was known, and an increment gives what a rebuild gives."""

from __future__ import annotations

import pytest

from runs.as_of import build_as_of
from runs.dbt import build
from runs.history_models import HistoryModel, checkpoint_day, history_models
from segue.window import DAY, ImpossibleDaysError, RunWindow
from tests.company_in_order import LAST_DAY, SINGLE_DAYS, SPEC, CompanyInOrder
from tests.marts import fingerprints, table_fingerprints


def test_a_past_day_rebuilt_as_known_then_gives_its_first_rows(company_in_order: CompanyInOrder) -> None:
    settings, day = company_in_order.settings, SINGLE_DAYS[0]
    first, today = company_in_order.after[day], company_in_order.after[LAST_DAY]
    changed_since = {mart for mart, of in first if of == str(day) and first[mart, of] != today[mart, of]}
    # Otherwise the day's present rows would do.
    assert changed_since

    dataset = build_as_of(settings, day, day, day)

    again = fingerprints(settings, dataset)
    assert ("fct_subscription_daily", str(day)) in again
    assert again == {key: first.get(key) for key in again}
    assert fingerprints(settings) == today


def test_what_was_known_on_a_day_whose_arrivals_have_not_landed_cannot_be_said(
    company_in_order: CompanyInOrder,
) -> None:
    settings, tomorrow = company_in_order.settings, LAST_DAY + DAY

    with pytest.raises(ImpossibleDaysError, match=f"the arrivals of {tomorrow} have not landed"):
        build_as_of(settings, LAST_DAY, LAST_DAY, tomorrow)


def test_increments_give_the_rows_of_a_rebuild_from_raw(company_in_order: CompanyInOrder) -> None:
    """The history of the month, and every mart of every day: nothing is known in one way only."""
    settings = company_in_order.settings
    whole = RunWindow.whole(settings, SPEC.first_day, LAST_DAY)
    build(settings, whole.model_copy(update={"audit_dataset": "rebuilt"}))

    def history(dataset: str, table: HistoryModel) -> dict[str, tuple[int, str]]:
        of_month = table.partitions != "arrival_days"
        since = str(checkpoint_day(settings, LAST_DAY) if of_month else SPEC.first_day)
        found = table_fingerprints(settings, dataset, table.name, table.model.day_column)
        return {day: rows for day, rows in found.items() if day >= since}

    for table in history_models(settings.dbt_manifest):
        incremental = history(settings.history_dataset, table)
        # Nothing may have arrived yet by the first of the month.
        assert incremental or table.partitions == "checkpoint"
        assert history("rebuilt", table) == incremental, table.name
    assert fingerprints(settings, "rebuilt") == company_in_order.after[LAST_DAY]
