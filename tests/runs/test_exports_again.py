"""A company whose billing systems export what they know: one once for all, one every night, one every week.

Typed as docs/exports.md shows it. A week is published; then each of the three says something else of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from typer.testing import Result

from loaders.warehouse.client import warehouse_of
from segue.settings import PROJECT_ROOT, Settings
from segue.window import RunWindow
from tests.pages import typed
from tests.runs.test_billing_only import Company, segue

EXAMPLES = PROJECT_ROOT / "docs" / "examples"
FIRST, SEVENTH, EIGHTH = (date(2026, 3, day) for day in (1, 7, 8))

ONCE = "subscription,customer,paid_from,paid_until,product,amount\n"
NIGHTLY = "subscription,customer,paid_from,paid_until,product,amount,why\n"
WEEKLY = "sub,acct,since,begins,ends,price,trial\n"


class Exports:
    """The company, its exports in a folder, and what was published of the first week."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.company = Company(settings)
        self.folder = folder
        self.window: RunWindow | None = None

    def convert(self, name: str, text: str, map_: str, arrival: date | None = None) -> Result:
        export = self.folder / f"{name}.csv"
        export.write_text(text)
        of_the_page = (
            "segue land periods billing.csv --map docs/examples/daily.map.yml --arrival-date 2026-03-08"
        )
        here = {
            "billing.csv": export,
            "docs/examples/daily.map.yml": EXAMPLES / f"{map_}.map.yml",
            "2026-03-08": arrival,
        }
        words = typed("docs/exports.md", of_the_page, here)
        return segue(*(words if arrival else words[:-2]))

    def published(self) -> dict[str, list[str]]:
        """Subscription → ``day price`` of the days of March at whose close it was active."""
        found = warehouse_of(self.company.settings).run(
            "select subscription_id, extract(day from snapshot_date) as day, mrr_amount "
            f"from marts.fct_subscription_daily where was_active_at_day_end and snapshot_date >= '{FIRST}' "
            "order by 1, 2"
        )
        days: dict[str, list[str]] = {}
        for row in found:
            days.setdefault(row.subscription_id, []).append(f"{row.day} {row.mrr_amount:.0f}")
        return days


def days(first: int, last: int, amount: int = 99) -> list[str]:
    return [f"{day} {amount}" for day in range(first, last + 1)]


@pytest.fixture(scope="module")
def exports(
    world: Callable[..., Settings], parsed_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exports]:
    """1 to 7 March as they were published."""
    settings = world("exports-again", history_start_date=date(2026, 1, 1))
    shutil.copytree(parsed_project.parent, settings.dbt_target_dir)
    exports = Exports(settings, tmp_path_factory.mktemp("exports"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        told = [
            exports.convert(
                "old", f"{ONCE}o1,a1,2026-03-01,2026-03-05,Solo,99\no2,a2,2026-03-03,,Solo,99\n", "one-file"
            ),
            exports.convert(
                "billing",
                f"{NIGHTLY}n1,b1,2026-03-01,,Solo,99,\nn2,b2,2026-03-01,,Solo,99,\n"
                "n3,b3,2026-03-02,,Solo,99,\nn4,b4,2026-03-01,2026-03-04,Solo,99,voluntary\n",
                "daily",
                SEVENTH,
            ),
            exports.convert(
                "store",
                f"{WEEKLY}w1,c1,2025-06-01T00:00:00+0000,2026-01-31T23:30:00-0800,2026-03-02T23:59:59-0800,10,false\n",
                "weekly",
                FIRST,
            ),
        ]
        assert [each.exit_code for each in told] == [0, 0, 0], [each.output for each in told]
        exports.window = exports.company.run_again(FIRST, SEVENTH)
        yield exports


def test_a_week_is_published_as_the_exports_tell_it(exports: Exports) -> None:
    assert exports.published() == {
        # The first day without service.
        "o1": days(1, 4),
        "o2": days(3, 7),
        # Days of Stockholm: the first of March begins at 23:00 UTC the day before.
        "n1": days(1, 7),
        "n2": days(1, 7),
        "n3": days(1, 7),
        # The last day with service.
        "n4": days(1, 3),
        # Its period has passed, and until the next export nobody has heard that it was not renewed.
        "w1": days(1, 7, 10),
    }


def test_what_is_learned_later_restates_the_week(exports: Exports) -> None:
    nightly = exports.convert(
        "billing",
        # Ended three days ago, named no longer, cheaper from the beginning, and the same.
        f"{NIGHTLY}n1,b1,2026-03-01,2026-03-04,Solo,99,payment_failure\n"
        "n3,b3,2026-03-02,,Solo,89,\nn4,b4,2026-03-01,2026-03-04,Solo,99,voluntary\n",
        "daily",
        EIGHTH,
    )
    assert "1 subscriptions that the export before named are withdrawn" in nightly.output
    weekly = exports.convert(
        "store",
        # The next period alone.
        f"{WEEKLY}w1,c1,2025-06-01T00:00:00+0000,2026-03-03T00:00:00-0800,2026-04-02T23:59:59-0800,12,false\n",
        "weekly",
        EIGHTH,
    )
    assert weekly.exit_code == 0, weekly.output
    changed = f"{ONCE}o1,a1,2026-03-01,2026-03-03,Solo,99\no2,a2,2026-03-03,,Solo,99\n"
    refused = exports.convert("old", changed, "one-file")
    assert refused.exit_code != 0
    assert "have landed; convert it with --arrival-date" in " ".join(refused.output.split())
    assert exports.convert("old", changed, "one-file", EIGHTH).exit_code == 0

    window = exports.company.run_again(EIGHTH)

    assert (window.start_date, window.end_date) == (date(2026, 2, 22), EIGHTH)
    assert exports.published() == {
        "o1": days(1, 2),
        "o2": days(3, 8),
        "n1": days(1, 3),
        "n3": days(1, 8, 89),
        "n4": days(1, 3),
        # Its period before this one stays.
        "w1": [*days(1, 2, 10), *days(3, 8, 12)],
    }
