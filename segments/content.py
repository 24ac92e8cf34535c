"""What an account would be shown of an offer: its entries, in the account's own language or the fallback's.

Content is judged before an account's arm counts: every arm's entry has to be fit to be shown, or the offer is
nobody's there. So an offer that cannot be shown takes no other's place, and arms stay comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from segments.rule import Rule, Variant
from segments.steps import CONTENT_STEPS, Reason

Content = Mapping[str, Any]
"""A row of ``offer_contents``."""
Contents = Mapping[tuple[str, str], Content]
"""By entry and locale."""


class Text(NamedTuple):
    """What would be shown of an entry, or else the flaw because of which nothing is."""

    content: Content | None
    flaw: Reason | None


def by_entry(contents: Iterable[Content]) -> Contents:
    """Rows of one day of ``offer_contents`` by entry and locale."""
    return {(row["entry_id"], row["locale"]): row for row in contents}


def shown_entry(rule: Rule, variant: Variant | None) -> str:
    """The entry that an arm shows; a control arm's is the one that its account does not get to see."""
    if variant is not None and variant.content is not None:
        return variant.content
    return rule.content.entry


def arm_entries(rule: Rule) -> tuple[str, ...]:
    """The entries of all arms that any account can be in, sorted; without an experiment the rule's own."""
    variants = rule.experiment.variants if rule.experiment else ()
    return tuple(sorted({shown_entry(rule, variant) for variant in variants if variant.percent})) or (
        rule.content.entry,
    )


def content_flaw(content: Content, min_version: int, judged: date) -> Reason | None:
    """What is wrong with a text that is to be shown from the day after ``judged`` on; None: nothing."""
    if not content["is_published"]:
        return Reason.CONTENT_UNPUBLISHED
    shown_from = datetime.combine(judged + timedelta(days=1), time(), UTC)
    first, last = content["valid_from_at"], content["valid_until_at"]
    if (first is not None and first > shown_from) or (last is not None and last <= shown_from):
        return Reason.CONTENT_EXPIRED
    if content["content_version"] < min_version:
        return Reason.CONTENT_OUTDATED
    return None


def text_of(entry: str, rule: Rule, locale: str | None, judged: date, contents: Contents) -> Text:
    """The entry in ``locale``, else in the rule's fallback. Of two flaws that of the own locale is told."""
    flaws = []
    for language in (locale, rule.content.fallback_locale):
        found = contents.get((entry, language)) if language is not None else None
        if found is None:
            continue
        flaw = content_flaw(found, rule.content.min_version, judged)
        if flaw is None:
            return Text(found, None)
        flaws.append(flaw)
    return Text(None, flaws[0] if flaws else Reason.CONTENT_MISSING)


def content_flaws(
    rule: Rule, variant: Variant | None, locale: str | None, judged: date, contents: Contents
) -> tuple[Reason, ...]:
    """Why the offer cannot be shown to a reader of ``locale``; none: it can.

    The flaw of the arm's own entry, or else those of the other arms', in the order of the steps.
    """
    own = text_of(shown_entry(rule, variant), rule, locale, judged, contents).flaw
    if own is not None:
        return (own,)
    flaws = {text_of(entry, rule, locale, judged, contents).flaw for entry in arm_entries(rule)}
    return tuple(step for step in CONTENT_STEPS if step in flaws)
