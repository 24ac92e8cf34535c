"""The rows on the page *How to report what you showed* land as they stand."""

from __future__ import annotations

import json
import re

from loaders.landing.contracts import OfferImpression
from segue.settings import PROJECT_ROOT
from segue_client.decision_id import decision_id

PAGE = (PROJECT_ROOT / "docs/serving.md").read_text()
SECTION = PAGE.split("## How to report what you showed")[1].split("\n## ")[0]
SHOWN, NO_SHOW = (json.loads(row) for row in re.findall(r"```json\n(.*)\n```", SECTION))


def test_a_showing_and_a_no_show_fill_every_column_of_the_contract() -> None:
    for row in (SHOWN, NO_SHOW):
        assert set(row) == set(OfferImpression.model_fields)
        OfferImpression.model_validate_json(json.dumps(row))
    assert [row["is_shown"] for row in (SHOWN, NO_SHOW)] == [True, False]


def test_the_decisions_have_the_names_that_the_lookup_gives_them() -> None:
    for row in (SHOWN, NO_SHOW):
        assert row["decision_id"] == decision_id(row["account_id"], row["generation"], row["rule_id"])


def test_the_page_tells_of_every_column() -> None:
    table = [line for line in SECTION.splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == set(OfferImpression.model_fields)
