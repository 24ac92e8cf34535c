"""Where people find a day's page and the runbook: alerts and messages lead there."""

from __future__ import annotations

from datetime import date

from segue.errors import runbook_entry
from segue.settings import Settings

DAY_PAGE = "/segue/days/{day}"
"""Path of a day's page in the Airflow UI, with the day as YYYY-MM-DD."""


def day_page(settings: Settings, day: date) -> str:
    """Address of the page of what happened to a day; its path, where the UI's address is not set."""
    return f"{(settings.ui_url or '').rstrip('/')}{DAY_PAGE.format(day=day)}"


def runbook_page(settings: Settings, code: str) -> str:
    """Address of the runbook's entry; the file with its anchor, where no published pages are set."""
    if settings.docs_url is None:
        return runbook_entry(code)
    return f"{settings.docs_url.rstrip('/')}/runbook/#{code}"
