"""Compiles all active rules to one BigQuery statement that scans the feature mart once.

Per account the rules' outcomes are an array of INT64, built in the scan: predicates, scores and everything
else that looks at one row. The array is unfolded once, what was refused is folded together again at once, and
only what passed (a few offers an account) competes for exclusivity, caps and content. So bytes read do not
depend on the number of rules, and neither do the joins.

BigQuery's limits: a statement may have 1 MB of text before references are resolved, and its plan must not be
too complex. A rule adds one array element and one row of constants, about 1.4 kB, and no subquery, join or
column: 300 rules are under half of the text, with the plan of three.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segments import sql
from segments.rule import TRACE_SALT, Rule
from segments.source import RuleBook
from segments.steps import PREDICATE_STEPS
from segue.errors import SegueError

TEMPLATE: Final = Path(__file__).parent / "decisions.sql"
MAX_STATEMENT_BYTES: Final = 1_000_000
"""BigQuery's limit of an unresolved standard SQL query (1 MB)."""

_RULE_TYPE: Final = (
    "array<struct<rule_number int64, rule_id string, rule_version int64, offer_id string, "
    "offer_reason string, priority int64, exclusivity_group string, holdout_buckets int64, "
    "holdout_salt string, "
    "experiment_id string, experiment_salt string, variants array<struct<name string, first_bucket int64, "
    "last_bucket int64, is_control bool, content_id string>>, frequency_days int64, "
    "max_impressions int64, cool_down string, cool_down_days int64, rule_cap int64, content_id string, "
    "min_content_version int64, "
    "fallback_locale string, to_date date>>"
)


class StatementTooLongError(SegueError):
    """The rules do not fit into one BigQuery statement."""

    code = "rules_too_many"
    exit_code = 2


def compile_statement(book: RuleBook, features: str, contents: str, days: str) -> str:
    """The statement; ``features`` and ``contents`` name the tables, ``days`` filters ``feature_date``.

    Its columns are those of the mart ``offer_decisions``.

    Raises:
        StatementTooLongError: over BigQuery's limit of a statement's text.
    """
    rules = book.active
    program = book.program
    parts = {
        "features": features,
        "contents": contents,
        "days": days,
        "rule_type": _RULE_TYPE,
        "rules": ",\n                ".join(_constants(number, rule) for number, rule in enumerate(rules)),
        "models": _models(rules),
        "account_bits": sql.account_bits(program),
        "global_holdout": f"{sql.bucket(sql.text(program.global_holdout.salt))}"
        f" < {program.global_holdout.buckets}",
        "is_traced": f"{sql.bucket(sql.text(TRACE_SALT))} < {program.traced_buckets}",
        "outcomes": ",\n            ".join(
            f"-- {rule.id}\n            {sql.outcome(rule)}" for rule in rules
        ),
        "first_reason": _first_reason(),
        "failed_steps": _failed_steps(),
        "served_until": sql.served_until(),
        "max_offers": str(program.max_offers_per_account),
        "local_holdout": f"{sql.bucket('holdout_salt')} < holdout_buckets",
        "experiment_bucket": sql.bucket("experiment_salt"),
    }
    statement = TEMPLATE.read_text()
    for name, part in parts.items():
        statement = statement.replace(f"[[{name}]]", part)
    if len(statement.encode()) > MAX_STATEMENT_BYTES:
        raise StatementTooLongError(
            f"{len(rules)} rules make a statement of {len(statement.encode()):,} bytes; "
            f"BigQuery takes {MAX_STATEMENT_BYTES:,}"
        )
    return statement


def _constants(number: int, rule: Rule) -> str:
    """The rule's row of constants, in the order of ``_RULE_TYPE``."""
    experiment, frequency, cool_down = rule.experiment, rule.frequency, rule.cool_down
    variants, first = [], 0
    for variant in experiment.variants if experiment else ():
        last = first + int(variant.percent * 100) - 1
        shown = sql.text(variant.content or rule.content.entry)
        control = str(variant.is_control).lower()
        variants.append(f"({sql.text(variant.name)}, {first}, {last}, {control}, {shown})")
        first = last + 1
    values = [
        str(number),
        sql.text(rule.id),
        str(rule.version),
        sql.text(rule.offer_id),
        sql.text(rule.reason_code),
        str(rule.priority),
        sql.text(rule.group),
        str(rule.holdout.local_buckets),
        sql.text(rule.holdout_salt),
        sql.text(experiment.id) if experiment else "null",
        sql.text(experiment.salt) if experiment else "null",
        f"[{', '.join(variants)}]",
        str(frequency.within_days) if frequency else "null",
        str(frequency.max_impressions) if frequency else "null",
        sql.text(cool_down.after) if cool_down else "null",
        str(cool_down.days) if cool_down else "null",
        str(rule.cap) if rule.cap else "null",
        sql.text(rule.content.entry),
        str(rule.content.min_version),
        sql.text(rule.content.fallback_locale),
        f"date '{rule.validity.to_date}'" if rule.validity.to_date else "null",
    ]
    return f"({', '.join(values)})"


def _models(rules: tuple[Rule, ...]) -> str:
    """Two columns for each model that any rule asks for: a few, however many rules there are."""
    names = sorted({rule.score.model.name for rule in rules if rule.score.model})
    columns = []
    for name in names:
        for field, column in (
            ("score_points", sql.model_column(name)),
            ("scored_date", sql.model_date_column(name)),
        ):
            columns.append(
                f"(select max(given.{field}) from unnest(model_scores) as given "
                f"where given.model = {sql.text(name)}) as {column},"
            )
    return "\n            ".join(columns)


def _first_reason() -> str:
    cases = " ".join(
        f"when (failed_bits & {1 << place}) != 0 then '{step}'" for place, step in enumerate(PREDICATE_STEPS)
    )
    return f"case {cases} end"


def _failed_steps() -> str:
    listed = ", ".join(
        f"if((failed_bits & {1 << place}) != 0, '{step}', null)" for place, step in enumerate(PREDICATE_STEPS)
    )
    return f"coalesce(array_to_string([{listed}], ','), '')"
