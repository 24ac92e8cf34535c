"""What a change of rules comes to on one day's accounts, each effect with its sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from runs.rule_unknowns import Unknown
from segments.steps import Reason

_TAKEN: Final = (Reason.LOST_EXCLUSIVITY, Reason.ACCOUNT_CAP_REACHED)
"""Reasons for which another offer has the place."""
_FLAWS: Final[dict[str, str]] = {
    Reason.CONTENT_MISSING: "missing",
    Reason.CONTENT_UNPUBLISHED: "not published",
    Reason.CONTENT_EXPIRED: "expired, or not valid yet",
    Reason.CONTENT_OUTDATED: "older than the rule wants",
}


OVERLAPS_SHOWN: Final = 15
"""Of pairs of rules, those that most accounts qualify for."""
COLUMNS: Final = ("version", "qualify", "now", "control", "before", "gained", "lost")
"""What ``RulePlan.cells`` are."""


@dataclass(frozen=True)
class RulePlan:
    """One rule on the day. ``before`` are accounts with its offer as published, of whatever version.

    ``qualifying`` accounts passed everything but exclusivity and caps. ``content_refusals`` would be judged
    further if the rule's content were fit to be shown. ``remark`` says why a rule cannot win, if it cannot.
    """

    rule_id: str
    version: int | None
    version_before: int | None
    qualifying: int
    now: int
    control: int
    before: int
    gained: int
    lost: int
    content_refusals: dict[str, int]
    remark: str | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The rule in a table with ``COLUMNS``."""
        was, now = self.version_before, self.version
        version = f"{was} → {now or '–'}" if was is not None and was != now else f"{now or '–'}"
        counts = (self.qualifying, self.now, self.control, self.before, self.gained, self.lost)
        return (version, *(f"{count:,}" for count in counts))

    @property
    def remarks(self) -> str:
        """Why it cannot win, and what refuses it for its content."""
        refusals = (f"{count:,} {reason}" for reason, count in self.content_refusals.items())
        return "; ".join([*([self.remark] if self.remark else []), *refusals])


@dataclass(frozen=True)
class Overlap:
    """Accounts that qualify for both rules; of one group only one of the two wins."""

    rule_id: str
    other_rule_id: str
    accounts: int
    is_exclusive: bool

    def __str__(self) -> str:
        outcome = "one of them wins" if self.is_exclusive else "both can be offered"
        qualify = "qualifies" if self.accounts == 1 else "qualify"
        return f"{_counted(self.accounts)} {qualify} for {self.rule_id} and {self.other_rule_id}: {outcome}"


def _counted(accounts: int) -> str:
    return "1 account" if accounts == 1 else f"{accounts:,} accounts"


@dataclass(frozen=True)
class Taking:
    """Accounts whose place the rule takes from another one and shows nothing in it.

    ``because``: ``control`` (the no-shows of an experiment's control arm) or ``cap`` (the rule had enough
    accounts, of higher scores, after it had won the place).
    """

    rule_id: str
    from_rule_id: str
    accounts: int
    because: str

    def __str__(self) -> str:
        why = "control arm" if self.because == "control" else "its cap is reached"
        taken = f"{_counted(self.accounts)} from {self.from_rule_id}"
        return f"{self.rule_id} takes {taken} and shows nothing ({why})"


@dataclass(frozen=True)
class Yielding:
    """Accounts that a rule leaves to another one of its group because its content cannot be shown."""

    rule_id: str
    to_rule_id: str
    accounts: int

    def __str__(self) -> str:
        left = f"{_counted(self.accounts)} to {self.to_rule_id}"
        return f"{self.rule_id} leaves {left}: its content cannot be shown"


@dataclass(frozen=True)
class Move:
    """Accounts that lose a rule's offer, and what they get instead.

    ``because`` is what now refuses them the offer; None: the rule is not active any more. ``to_rule_id`` is
    None where they get nothing; ``is_shown`` is false in a control arm.
    """

    rule_id: str
    offer_id: str
    because: str | None
    to_rule_id: str | None
    to_offer_id: str | None
    is_shown: bool
    accounts: int

    def __str__(self) -> str:
        counted, lost = _counted(self.accounts), f"instead of {self.offer_id}"
        got = "nothing" if self.to_rule_id is None else str(self.to_offer_id)
        if self.to_rule_id is not None and not self.is_shown:
            got = "nothing (control arm)"
        elif self.to_offer_id == self.offer_id:
            lost = "as before"
        if self.because in _TAKEN and self.to_rule_id is not None:
            return f"{self.to_rule_id} takes {counted} from {self.rule_id}: they get {got} {lost}"
        why = "it is not active" if self.because is None else self.because
        of_rule = "" if self.to_rule_id is None else f" of {self.to_rule_id}"
        return f"{self.rule_id} loses {counted} ({why}): they get {got}{of_rule} {lost}"


@dataclass(frozen=True)
class ContentFlaw:
    """An entry that a rule refers to and that is missing or not to be shown in its fallback locale."""

    rule_id: str
    entry: str
    locale: str
    flaw: str

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.entry} in {self.locale} is {_FLAWS[self.flaw]}"


@dataclass(frozen=True)
class Plan:
    """The effect of the rules on one day's accounts."""

    day: date
    accounts: int
    with_offers: int
    with_offers_before: int
    rules: tuple[RulePlan, ...]
    overlaps: tuple[Overlap, ...]
    moves: tuple[Move, ...]
    takings: tuple[Taking, ...]
    yieldings: tuple[Yielding, ...]
    contents: tuple[ContentFlaw, ...]
    unknowns: tuple[Unknown, ...]

    @property
    def title(self) -> str:
        """The day, and how many accounts have offers by the rules, and had before."""
        return (
            f"{self.day}: {self.with_offers:,} of {self.accounts:,} accounts with offers, "
            f"{self.with_offers_before:,} before"
        )

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """Headings with what stands below them; those that have nothing to say are left out."""
        overlaps = [str(overlap) for overlap in self.overlaps[:OVERLAPS_SHOWN]]
        if len(self.overlaps) > OVERLAPS_SHOWN:
            overlaps.append(f"and {len(self.overlaps) - OVERLAPS_SHOWN:,} pairs more, all in --json")
        sections = (
            ("What accounts get instead", self.moves),
            ("Places that are taken and shown nothing in, or left", (*self.takings, *self.yieldings)),
            ("Who qualifies for two rules", overlaps),
            ("Content that cannot be shown", self.contents),
            ("What nobody else knows", self.unknowns),
        )
        for heading, told in sections:
            if told:
                yield heading, [str(each) for each in told]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"day": self.day.isoformat()}
