"""A new rule's file from a few answers, conditions and score in one line each as somebody would say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from segments.features import FEATURES
from segments.predicate import ALL_OPERATORS, OPERATORS, RELATIVE_DATE, Predicate
from segments.rule import Ramp, Rule
from segue.errors import SegueError
from segue.nearest import nearest

HEAD: Final = "# yaml-language-server: $schema=../rule.schema.json\n"
_SIGNS: Final = {
    "=": "equals", "!=": "not_equals", "<": "less_than", "<=": "at_most", ">": "more_than", ">=": "at_least",
}  # fmt: skip
_LISTS: Final = ("between", "in", "not_in")


class AnswerError(SegueError):
    """An answer that nothing of a rule can be made of."""

    code = "answer"
    exit_code = 2


@dataclass(frozen=True)
class Answers:
    """What somebody has to say of a new rule; everything else has a default."""

    id: str
    owner: str
    description: str
    offer_id: str
    reason_code: str
    priority: int
    exclusivity_group: str | None
    entitlement: str
    conditions: Sequence[dict[str, Any]]
    ramp: dict[str, Any]
    entry: str
    fallback_locale: str
    status: str


def condition(text: str) -> dict[str, Any]:
    """A predicate from ``streams_28d between 50, 199``, ``not has_ever_paid`` or ``created_date > day - 30``.

    Raises:
        AnswerError: it names no feature, or asks of it what cannot be asked.
    """
    words = text.split()
    is_negated = words[:1] == ["not"]
    if is_negated:
        words = words[1:]
    feature, operator = (*words, "", "")[:2]
    if feature not in FEATURES:
        near = nearest(feature, FEATURES)
        raise AnswerError(
            f"{feature or 'nothing'} is no feature; "
            + (f"did you mean {near}?" if near else f"allowed: {', '.join(FEATURES)}")
        )
    if not operator and FEATURES[feature] == "flag":
        return {"feature": feature, "equals": not is_negated}
    operator = _SIGNS.get(operator, operator)
    if operator not in ALL_OPERATORS:
        allowed = ", ".join(OPERATORS[FEATURES[feature]])
        raise AnswerError(f"{feature} takes one of {allowed}; found {operator or 'none'}")
    values = [_value(part.strip()) for part in " ".join(words[2:]).split(",")]
    if operator not in _LISTS and len(values) != 1:
        raise AnswerError(f"{operator} takes one value; found {len(values)}")
    part = {"feature": feature, operator: values if operator in _LISTS else values[0]}
    found = {"not": part} if is_negated else part
    _hold(Predicate, found)
    return found


def ramp(text: str) -> dict[str, Any]:
    """The whole score from ``streams_28d 50 200``: 0 at the first number, 1 at the second.

    Raises:
        AnswerError: it is no number's name with two numbers that differ.
    """
    words = text.replace(",", " ").split()
    if len(words) != 3:
        raise AnswerError("a score is a feature and two numbers, such as streams_28d 0 1000")
    found = {"feature": words[0], "start": _value(words[1]), "end": _value(words[2]), "weight": 100}
    _hold(Ramp, found)
    return found


def field_value(name: str, text: str) -> Any:
    """An answer to a field of a rule as the field takes it.

    Raises:
        AnswerError: the field does not take it.
    """
    field = Rule.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return _hold(kind, text)


def rule_text(answers: Answers) -> str:
    """The rule's file.

    Raises:
        AnswerError: together the answers are no rule.
    """
    content: dict[str, Any] = {
        "id": answers.id,
        "version": 1,
        "owner": answers.owner,
        "status": answers.status,
        "description": answers.description,
        "offer_id": answers.offer_id,
        "reason_code": answers.reason_code,
        "priority": answers.priority,
        "exclusivity_group": answers.exclusivity_group,
        "entitlement": answers.entitlement,
        "audience": {"all": list(answers.conditions)},
        "score": {"heuristic": [answers.ramp]},
        "content": {"entry": answers.entry, "fallback_locale": answers.fallback_locale},
    }
    given = {name: value for name, value in content.items() if value is not None}
    _hold(Rule, given)
    dumped: str = yaml.dump(
        given, Dumper=_RuleDumper, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True
    )
    return HEAD + dumped


class _RuleDumper(yaml.SafeDumper):
    """Writes as the other rules are written: a comparison in one line, lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Also below a key."""
        super().increase_indent(flow, indentless=False)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """A comparison, however long its list of values is, and its negation stay in one line."""
        return super().represent_mapping(
            tag, mapping, {"feature", "not"} & set(mapping) != set() or flow_style
        )


def _value(text: str) -> bool | int | date | str:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise AnswerError(f"{text} is no date") from error
    found = RELATIVE_DATE.fullmatch(text)
    if found and found[1]:
        return f"day {found[1]} {found[2]}"
    return text


def _hold(kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise AnswerError("; ".join(found["msg"] for found in error.errors())) from error
