"""The commands of the page for newcomers do what it says, in its order, on the platform that is running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from local.platform import Platform
from segue.settings import PROJECT_ROOT
from tests.company_in_order import LAST_DAY
from tests.marts import mart_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

PAGE = PROJECT_ROOT / "docs" / "first-hour.md"
LAST_DAY_OF_THE_PAGE, FIRST_DAY_OF_THE_PAGE = "2026-11-26", "2026-11-23"
ACCOUNT_OF_THE_PAGE = "a000001484"


def commands() -> list[str]:
    """What the page has a newcomer type, but for starting and stopping everything."""
    consoles = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    typed = [line[2:] for console in consoles for line in console.splitlines() if line.startswith("$ ")]
    assert (typed[0], typed[-1]) == ("make demo", "make down")
    return typed[1:-1]


def run(command: str, platform: Platform, account: str) -> str:
    """What the command prints here: with this platform's folder, days and an account of its own."""
    here = {
        "uv run segue": f"{Path(sys.executable).parent}/segue",
        ".segue/": f"{platform.settings.state_dir}/",
        LAST_DAY_OF_THE_PAGE: str(LAST_DAY),
        FIRST_DAY_OF_THE_PAGE: str(LAST_DAY - timedelta(days=3)),
        ACCOUNT_OF_THE_PAGE: account,
    }
    for of_the_page, ours in here.items():
        command = command.replace(of_the_page, ours)
    environment = os.environ | {"SEGUE_ENV_FILE": str(platform.env_file), "COLUMNS": "100"}
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.mark.usefixtures("story")
def test_every_command_of_the_first_hour_does_what_the_page_says(platform: Platform) -> None:
    account = next(
        row["account_id"]
        for row in mart_rows(platform.settings, "offer_segments")
        if row["segment_date"] == LAST_DAY and row["offers"]
    )

    printed = [(command, run(command, platform, account)) for command in commands()]

    [(_, days), (_, why), (_, answer), (_, explained)] = printed[:4]
    assert days.splitlines()[0] == "snapshot_date,active,mrr_usd"
    assert len(days.splitlines()) == 1 + 4
    assert "\nnew," in why
    assert "found" in answer
    assert "SELECTED" in explained
    [(_, refused)] = [each for each in printed if "quarantine.engagement_daily" in each[0]]
    assert refused.splitlines()[1].startswith(f"engagement_daily/{LAST_DAY}/mine.csv,1,streams,")
