"""Compiles all active rules to the macros that the dbt model ``offer_decisions`` is written with.

In an account's row the outcomes of all rules are one array of INT64, expressions beside each other: the
steps that look at nothing but the account, and the score. What passed, a few offers an account, becomes rows
and competes for exclusivity and caps where its content can be shown, which is judged once for each rule and
language. What was refused stays in the account's row and is put into words there, last of all. So neither
bytes read nor joins depend on the number of rules, and until the last step an account and a rule are eight
bytes.

BigQuery's limit: a statement may have 1 MB of text before references are resolved. A rule adds an array
element and a row of constants, under a kilobyte, and no subquery, join or column: 300 rules are a quarter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from jinja2 import Environment, StrictUndefined

from segments import sql
from segments.content import arm_entries, shown_entry
from segments.rule import TRACE_SALT, Rule
from segments.source import RuleBook
from segments.steps import POINTS, Reason, bit
from segue.errors import SegueError
from segue.shipped import DBT_PROJECT_DIR

MODEL_FILE: Final = DBT_PROJECT_DIR / "models/marts/segments/offer_decisions.sql"
MAX_STATEMENT_BYTES: Final = 1_000_000
"""BigQuery's limit of an unresolved standard SQL query (1 MB)."""

_RULE_TYPE: Final = (
    "array<struct<rule_number int64, rule_id string, rule_version int64, offer_id string, "
    "offer_reason string, priority int64, exclusivity_group string, holdout_buckets int64, "
    "holdout_salt string, "
    "experiment_id string, experiment_salt string, variants array<struct<name string, first_bucket int64, "
    "last_bucket int64, is_control bool, content_id string>>, frequency_days int64, "
    "max_impressions int64, cool_down string, cool_down_days int64, rule_cap int64, content_id string, "
    "arm_entries array<string>, min_content_version int64, "
    "fallback_locale string, to_date date>>"
)


class StatementTooLongError(SegueError):
    """The rules do not fit into one BigQuery statement."""

    code = "rules_too_many"
    exit_code = 2


def compile_statement(book: RuleBook, features: str, contents: str, days: str) -> str:
    """The model as a statement over two tables, of whose ``feature_date`` the condition ``days`` is true.

    Its columns are those of the mart ``offer_decisions``.

    Raises:
        StatementTooLongError: over BigQuery's limit of a statement's text.
    """
    tables = {"fct_account_features": features, "offer_contents": contents}
    # What the model asks of dbt.
    of_dbt = {
        "config": lambda **_: "",
        "ref": tables.__getitem__,
        "known_rebuilt_days": lambda _: days,
    }
    model = Environment(undefined=StrictUndefined).from_string(
        compile_macros(book) + MODEL_FILE.read_text(), globals=of_dbt
    )
    statement = model.render().strip()
    if len(statement.encode()) > MAX_STATEMENT_BYTES:
        raise StatementTooLongError(
            f"{len(book.active)} rules make a statement of {len(statement.encode()):,} bytes; "
            f"BigQuery takes {MAX_STATEMENT_BYTES:,}"
        )
    return statement


def compile_macros(book: RuleBook) -> str:
    """The macros, one after the other; each gives the text of an expression, or of columns."""
    return "\n".join(
        f"{{% macro {signature} -%}}\n{body}\n{{%- endmacro %}}\n" for signature, body in _macros(book)
    )


def _macros(book: RuleBook) -> Iterator[tuple[str, str]]:
    program = book.program
    # Numbers are in the order of the ids, which is that of rules that nothing else tells apart.
    rules = tuple(sorted(book.active, key=lambda rule: rule.id))
    constants = (_constants(number, rule) for number, rule in enumerate(rules, 1))
    outcomes = (f"-- {rule.id}\n    {sql.outcome(number, rule)}" for number, rule in enumerate(rules, 1))
    # What comes from the rules' own texts is no Jinja.
    yield "offer_rules()", _plain(_array(constants, _RULE_TYPE))
    yield "account_facts()", _plain(_columns(_account_facts(book)))
    yield "shared_by_rules()", _plain(_columns(_shared_by_rules(rules)))
    yield "rule_outcomes()", _plain(_array(outcomes))

    outcome = "{{ outcome }}"
    yield "rule_number(outcome)", sql.rule_number(outcome)
    yield "score_points(outcome)", sql.score_points(outcome)
    yield "failed_bits(outcome)", sql.failed_bits(outcome)
    yield "reason_code(outcome)", sql.first_failed_step(outcome)
    yield "failed_steps(outcome)", sql.failed_steps(outcome)
    bits = {step.value: bit(step) for step in Reason if step is not Reason.SELECTED}
    codes = {step.value: sql.text(step) for step in Reason}
    yield "step_bit(step)", f"{{{{ {bits}[step] }}}}"
    yield "step_code(step)", f"{{{{ {codes}[step] }}}}"
    yield "score_of(points)", f"{{{{ points }}}} / {POINTS}"
    yield "account_bucket(salt)", sql.bucket("{{ salt }}")
    yield "served_until()", sql.served_until()
    yield "max_offers_per_account()", str(program.max_offers_per_account)
    respecting = ", ".join(sql.text(rule.id) for rule in rules if rule.holdout.respects_global)
    yield "rules_of_global_holdout()", f"array<string>[{respecting}]"
    yield "standing_holdouts()", f"{{{{ return({json.dumps(_standing_holdouts(book, rules))}) }}}}"


def _standing_holdouts(book: RuleBook, rules: tuple[Rule, ...]) -> list[dict[str, str | int]]:
    """What is drawn for each holdout; the program's is of no rule, which is an empty text."""
    program = book.program
    found: list[dict[str, str | int]] = [
        {
            "id": "holdout-global",
            "rule": "",
            "salt": program.global_holdout.salt,
            "buckets": program.global_holdout.buckets,
        }
    ]
    found += [
        {
            "id": f"holdout-{rule.id}",
            "rule": rule.id,
            "salt": rule.holdout_salt,
            "buckets": rule.holdout.local_buckets,
        }
        for rule in rules
        if rule.holdout.local_buckets
    ]
    return [each for each in found if each["buckets"]]


def _plain(text: str) -> str:
    return text.replace("{", '{{ "{" }}')


def _array(elements: Iterable[str], kind: str = "") -> str:
    return f"{kind}[\n    " + ",\n    ".join(elements) + "\n]"


def _columns(columns: Iterable[tuple[str, str]]) -> str:
    return ",\n".join(f"{expression} as {name}" for name, expression in columns)


def _account_facts(book: RuleBook) -> Iterator[tuple[str, str]]:
    """Columns of the account itself, whatever the rules say; and of models, as few as any rule asks for."""
    program = book.program
    yield "is_traced", f"{sql.bucket(sql.text(TRACE_SALT))} < {program.traced_buckets}"
    holdout = program.global_holdout
    yield "is_globally_held_out", f"{sql.bucket(sql.text(holdout.salt))} < {holdout.buckets}"
    yield "barred_bits", sql.barred_bits(program)
    models = [rule.score.model for rule in book.active if rule.score.model]
    yield from sorted({sql.model_column(model): sql.model_points(model) for model in models}.items())


def _shared_by_rules(rules: tuple[Rule, ...]) -> Iterator[tuple[str, str]]:
    """What several rules, or several steps of one, have in common: written once."""
    yield from sorted({sql.common_column(rule): sql.common_bits(rule) for rule in rules}.items())
    for rule in rules:
        if rule.score.has_threshold:
            yield sql.score_column(rule), sql.points(rule)


def _constants(number: int, rule: Rule) -> str:
    """The rule's row of constants, in the order of ``_RULE_TYPE``."""
    experiment, frequency, cool_down = rule.experiment, rule.frequency, rule.cool_down
    variants, first = [], 0
    for variant in experiment.variants if experiment else ():
        last = first + int(variant.percent * 100) - 1
        shown = sql.text(shown_entry(rule, variant))
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
        f"[{', '.join(sql.text(entry) for entry in arm_entries(rule))}]",
        str(rule.content.min_version),
        sql.text(rule.content.fallback_locale),
        f"date '{rule.validity.to_date}'" if rule.validity.to_date else "null",
    ]
    return f"({', '.join(values)})"
