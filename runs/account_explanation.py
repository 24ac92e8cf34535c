"""Why one account has the offers that it has: every rule on a published day, beside what was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from loaders.warehouse.client import warehouse_of
from runs.score_reasons import ScoreReasons, score_reasons
from runs.segment_plan import account_features, known_contents, newest_features, published_reasons
from segments.explain import Explanation, explain
from segments.source import RuleBook
from segue.settings import Settings


@dataclass(frozen=True)
class AccountExplanation:
    """Every rule's outcome for the account, and what its scores are made of.

    ``published`` are reason codes by rule.
    """

    account_id: str
    day: date
    suppressed_reason: str | None
    rules: tuple[Explanation, ...]
    published: Mapping[str, str]
    scores: tuple[ScoreReasons, ...]

    @property
    def title(self) -> str:
        """The account, the day, and why it is suppressed, if it is."""
        suppressed = f": {self.suppressed_reason}" if self.suppressed_reason else ""
        return f"{self.account_id} on {self.day}{suppressed}"


def explain_account(
    settings: Settings, book: RuleBook, account_id: str, day: date | None = None
) -> AccountExplanation | date:
    """The account by the rules of ``book``, by default on the newest published day.

    Returns the day alone when the account is not among its features.

    Raises:
        NothingToPlanError: no features are published.
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    on = day or newest_features(warehouse)
    row = account_features(warehouse, on, account_id)
    if row is None:
        return on
    account, rules = explain(book, row, known_contents(warehouse, on))
    published = published_reasons(warehouse, on, account_id)
    scores = tuple(score_reasons(settings, row))
    return AccountExplanation(account_id, on, account.suppressed_reason, tuple(rules), published, scores)
