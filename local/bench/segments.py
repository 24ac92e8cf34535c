"""What a day's decisions cost with few and with many rules, over the same accounts.

The rules are the project's own, repeated under other names; the accounts are made up. The floor of a
statement is the same statement over one account: the engine's time to read its text. It grows with the rules
(on an emulator that is written in Python, much, if the text is new to it), but not with the accounts; what is
above it is the cost of deciding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from statistics import median
from typing import Any, Final

from loaders.warehouse.client import Warehouse, warehouse_of
from local.bench.bigquery import bigquery_pid, empty_bigquery
from local.bench.memory import peak_memory
from segments.compiler import compile_statement
from segments.features import FEATURES
from segments.predicate import Predicate
from segments.rule import Rule
from segments.source import RuleBook, load_rules
from segue.settings import Settings

DAY: Final = date(2026, 1, 31)
_TEXTS: Final = {
    "market": ("SE", "DE", "US", "JP"),
    "locale": ("sv-SE", "de-DE", "en-US", "ja-JP"),
    "birth_year_band": ("1980-1990", "1990-2000", "2000-2010"),
    "plan_kind": ("free", "individual", "duo", "family", "student"),
    "billing_interval": ("month", "year"),
    "last_end_reason": ("voluntary", "involuntary"),
}
_FLAGS: Final = (
    "is_test_account", "is_deletion_requested", "is_marketing_withdrawn", "is_personalisation_withdrawn",
)  # fmt: skip


@dataclass(frozen=True)
class Decided:
    """One number of rules; seconds are medians."""

    rules: int
    statement_kb: float
    seconds: float
    floor_seconds: float
    new_floor_seconds: float
    """The floor of a statement that the engine has not read before."""
    us_per_account_and_rule: float
    """What is above the floor, for each account and rule."""
    peak_mb: float | None
    """The engine's memory, at most; None where the system does not say."""

    @property
    def seconds_above_floor(self) -> float:
        """The cost of deciding."""
        return self.seconds - self.floor_seconds


@dataclass(frozen=True)
class SegmentsReport:
    """The cost by number of rules."""

    accounts: int
    decided: list[Decided]

    @property
    def most_to_fewest(self) -> float | None:
        """How many times as long the most rules take as the fewest, above the floor.

        None of one number of rules, and where the fewest cost nothing that could be measured.
        """
        by_rules = sorted(self.decided, key=lambda each: each.rules)
        fewest, most = by_rules[0], by_rules[-1]
        if fewest is most or fewest.seconds_above_floor <= 0:
            return None
        return round(most.seconds_above_floor / fewest.seconds_above_floor, 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"most_to_fewest": self.most_to_fewest}


@dataclass
class _Rounds:
    """What was measured of one number of rules."""

    new_floor_seconds: float
    seconds: list[float] = field(default_factory=list)
    floor_seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)


def bench_segments(
    settings: Settings,
    accounts: int = 100_000,
    rules: Sequence[int] = (3, 30, 300),
    rounds: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> SegmentsReport:
    """Measure on an emulator of its own; sizes take turns, so that a slow moment meets all of them."""
    with empty_bigquery(settings) as world:
        warehouse = warehouse_of(world)
        for dataset in ("many", "one"):
            warehouse.ensure_dataset(dataset)
        _make_accounts(warehouse, world, "many", accounts)
        _make_accounts(warehouse, world, "one", 1)
        say(f"{accounts:,} accounts made")
        engine = bigquery_pid(world)
        books = {count: repeated(load_rules(), count) for count in rules}
        measured = {
            count: _Rounds(new_floor_seconds=_decide(warehouse, world, book, "one"))
            for count, book in books.items()
        }
        for number in range(rounds + 1):
            for count, book in books.items():
                found = measured[count]
                floor = _decide(warehouse, world, book, "one")
                with peak_memory(engine) as peak:
                    seconds = _decide(warehouse, world, book, "many")
                    found.peak_mb += [megabytes] if (megabytes := peak()) is not None else []
                # In the first round the engine has not read the statement over many accounts before.
                if number:
                    found.floor_seconds.append(floor)
                    found.seconds.append(seconds)
                say(f"{count} rules: {seconds:.1f} s")
    return SegmentsReport(accounts, [_decided(accounts, books[count], measured[count]) for count in rules])


def repeated(book: RuleBook, count: int) -> RuleBook:
    """``count`` rules of which each is one of ``book``, under a name and an offer of its own.

    Scores and audiences differ a little: an engine computes what several rules have in common only once.
    """
    own = book.active
    return RuleBook(tuple(_another(own[n % len(own)], n) for n in range(count)), book.program)


def _another(rule: Rule, number: int) -> Rule:
    ramps = [
        ramp.model_copy(update={"start": ramp.start + number, "end": ramp.end + number})
        for ramp in rule.score.heuristic
    ]
    audience = {"all": [rule.audience, {"feature": "streams_28d", "at_most": 100_000 + number}]}
    return rule.model_copy(
        update={
            "id": f"{rule.id}_{number}",
            "offer_id": f"offer-{number}",
            "audience": Predicate.model_validate(audience),
            "score": rule.score.model_copy(update={"heuristic": ramps}),
        }
    )


def _decided(accounts: int, book: RuleBook, found: _Rounds) -> Decided:
    seconds, floor, count = median(found.seconds), median(found.floor_seconds), len(book.rules)
    return Decided(
        count,
        round(len(_statement(book, "t", "t").encode()) / 1_000, 1),
        round(seconds, 2),
        round(floor, 2),
        round(found.new_floor_seconds, 2),
        round((seconds - floor) / accounts / count * 1e6, 2),
        # The least of the rounds: what other statements have left behind is not this one's.
        round(min(found.peak_mb)) if found.peak_mb else None,
    )


def _statement(book: RuleBook, features: str, contents: str) -> str:
    return compile_statement(book, features, contents, f"feature_date = date '{DAY}'")


def _decide(warehouse: Warehouse, world: Settings, book: RuleBook, dataset: str) -> float:
    name = f"{world.project_id}.{dataset}"
    statement = _statement(book, f"`{name}.features`", f"`{name}.contents`")
    started = time.perf_counter()
    warehouse.run(f"create table `{name}.decisions` as\n{statement}")
    took = time.perf_counter() - started
    # So that the next one need not clear up.
    warehouse.run(f"drop table `{name}.decisions`")
    return took


def _make_accounts(warehouse: Warehouse, world: Settings, dataset: str, accounts: int) -> None:
    """Features without pattern, and a text in the fallback language for every entry that a rule shows."""
    columns = [f"{_made_up(name, kind)} as {name}" for name, kind in FEATURES.items()]
    columns += [f"false as {name}" for name in _FLAGS]
    exposure = (
        "offer_id string, impressions_7d int64, impressions_28d int64, last_shown_date date, "
        "last_clicked_date date, last_converted_date date"
    )
    columns += [
        f"cast([] as array<struct<{exposure}>>) as offer_exposures",
        "cast([] as array<struct<model string, score_points int64, scored_date date>>) as model_scores",
    ]
    entries = sorted({rule.content.entry for rule in load_rules().active})
    listed = ", ".join(f"'{entry}'" for entry in entries)
    warehouse.run(
        f"""create table `{world.project_id}.{dataset}.features` as
        select date '{DAY}' as feature_date, format('account-%09d', number) as account_id,
            {", ".join(columns)}
        from unnest(generate_array(1, {accounts})) as number;
        create table `{world.project_id}.{dataset}.contents` as
        select date '{DAY}' as feature_date, entry_id, 'en-US' as locale, 1 as content_version,
            true as is_published, cast(null as timestamp) as valid_from_at,
            cast(null as timestamp) as valid_until_at
        from unnest([{listed}]) as entry_id""",
    )


def _made_up(name: str, kind: str) -> str:
    """A value that depends on nothing but column and account."""
    drawn = f"mod(abs(farm_fingerprint(concat('{name}', cast(number as string)))), {{}})"
    if kind == "text":
        values = ", ".join(f"'{value}'" for value in _TEXTS[name])
        return f"[{values}][ordinal(1 + {drawn.format(len(_TEXTS[name]))})]"
    if kind == "flag":
        return f"{drawn.format(2)} = 0"
    if kind == "date":
        return f"date_sub(date '{DAY}', interval {drawn.format(400)} day)"
    return drawn.format(1_000)
