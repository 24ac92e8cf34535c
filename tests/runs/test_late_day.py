"""A day that is late, and is then built: its publication ends what was told of it."""

from __future__ import annotations

from datetime import UTC, datetime, time

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import IncidentTable
from runs.deadlines import missed
from tests.company_in_order import DAY, LAST_DAY, CompanyInOrder


def test_the_publication_of_a_late_day_ends_marts_late_and_the_fault_that_was_told_of(
    company_in_order: CompanyInOrder,
) -> None:
    settings = company_in_order.settings

    live = IncidentTable(warehouse_of(settings)).live()
    over = {each.incident.runbook: (each.incident.day, each.is_open) for each in live}
    assert over == {
        "marts_late": (LAST_DAY, False),
        "fault": (LAST_DAY, False),
        # Of the last day and of others, which are not published with it.
        "build_failed": (LAST_DAY, True),
    }
    assert all(str(each.closed_because).endswith("was published") for each in live if not each.is_open)
    due = datetime.combine(LAST_DAY + DAY, time(6), UTC)
    assert missed(settings, LAST_DAY, due, due, is_online=False) is None
