"""``segue segments new``: a rule's file from questions, or from options where nobody can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.linting import linted

if TYPE_CHECKING:
    from segments.source import RuleBook

_NEXT_PRIORITY = 10
"""How far behind the last rule of its group a new one stands, if nobody says otherwise."""


class _Questions:
    """Gives what an option said, else asks for it, else takes the default."""

    def __init__(self, *, may_ask: bool) -> None:
        self.may_ask = may_ask

    def answer(
        self,
        given: str | None,
        name: str,
        question: str,
        read: Callable[[str], Any],
        default: str | None = None,
    ) -> Any:
        """What ``read`` makes of the answer; a wrong one is asked for again, a wrong option fails."""
        from segments.new_rule import AnswerError

        if given is not None:
            return read(given)
        if not self.may_ask:
            if default is None:
                raise AnswerError(f"{name} is missing")
            return read(default)

        def proc(text: str) -> Any:
            try:
                return read(text.strip())
            except AnswerError as error:
                raise typer.BadParameter(str(error)) from error

        return typer.prompt(question, default=default, value_proc=proc, show_default=bool(default))


def new(
    rule_id: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="The rule's id and file name.", show_default=False)
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Team that answers for it.")] = None,
    description: Annotated[str | None, typer.Option(help="Who gets it and why, in a sentence.")] = None,
    offer: Annotated[str | None, typer.Option(help="offer_id that services show.")] = None,
    entitlement: Annotated[str | None, typer.Option(help="entitled, not_entitled or any.")] = None,
    who: Annotated[
        list[str] | None,
        typer.Option(help="A condition, such as 'streams_28d between 50, 199'; all of them have to hold."),
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="Who comes first: a feature and its range: 'streams_28d 50 200'.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="exclusivity_group; an empty text: competes with nobody.")
    ] = None,
    priority: Annotated[
        str | None, typer.Option(help="Lower comes first; by default the group's last.")
    ] = None,
    reason_code: Annotated[str | None, typer.Option(help="By default the id in capitals.")] = None,
    content: Annotated[str | None, typer.Option(help="Content entry; by default the offer's id.")] = None,
    locale: Annotated[str | None, typer.Option(help="Locale that stands in for a missing one.")] = None,
    status: Annotated[str, typer.Option(help="draft, active or paused.")] = "active",
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Ask nothing: what has no option has its default, or fails.")
    ] = False,
) -> None:
    """Write a rule from questions; every question has an option that answers it beforehand.

    Exit code: 0 written and without errors, 2 an answer is wrong or missing, or the lint refuses the rule.
    """
    from segments.features import FEATURES
    from segments.new_rule import AnswerError, Answers, condition, field_value, ramp, rule_text
    from segments.source import RULES_DIR, load_rules
    from segue.declarations import shown_path

    book = load_rules(RULES_DIR)
    ask = _Questions(may_ask=not no_input).answer

    def field(name: str) -> Callable[[str], Any]:
        return lambda text: field_value(name, text)

    def unused(text: str) -> str:
        if (RULES_DIR / f"{text}.yml").exists():
            raise AnswerError(f"there is a rule {text} already")
        return str(field_value("id", text))

    def features(text: str, read: Callable[[str], Any]) -> Any:
        if text == "?":
            raise AnswerError("; ".join(f"{name} ({kind})" for name, kind in FEATURES.items()))
        return read(text)

    name = ask(rule_id, "RULE", "Id of the rule, such as weekend_listener", unused)
    team = ask(owner, "--owner", "Team that owns it", field("owner"))
    said = ask(description, "--description", "Who gets it and why, in a sentence", field("description"))
    offer_id = ask(offer, "--offer", "Offer (offer_id), named as its content entry", field("offer_id"))
    entitled = ask(entitlement, "--entitlement", "entitled, not_entitled or any", field("entitlement"), "any")
    conditions = [condition(each) for each in who or []]
    if not conditions:
        conditions = [
            ask(None, "--who", "Who? such as streams_28d between 50, 199 (?: all features)",
                lambda text: features(text, condition))
        ]  # fmt: skip
        while more := ask(None, "--who", "And what else? (empty: nothing more)",
                          lambda text: features(text, condition) if text else None, ""):  # fmt: skip
            conditions.append(more)
    score = ask(
        first, "--first", "Who comes first? a feature and its range, such as streams_28d 50 200",
        lambda text: features(text, ramp),
    )  # fmt: skip
    groups = ", ".join(sorted({rule.exclusivity_group for rule in book.rules if rule.exclusivity_group}))
    competing = ask(
        group, "--group", f"Group of which an account gets one offer ({groups}; empty: none)",
        lambda text: field_value("exclusivity_group", text) if text else None, "",
    )  # fmt: skip
    place = ask(
        priority, "--priority", "Priority, lower comes first", field("priority"), _last_of(book, competing)
    )
    code = ask(reason_code, "--reason-code", "Reason code for services", field("reason_code"), name.upper())
    entry = ask(content, "--content", "Content entry", field("offer_id"), offer_id)
    fallback = ask(locale, "--locale", "Locale that stands in for a missing one", str, "en-US")
    path = RULES_DIR / f"{name}.yml"
    path.write_text(
        rule_text(
            Answers(
                id=name, owner=team, description=said, offer_id=offer_id, reason_code=code, priority=place,
                exclusivity_group=competing, entitlement=entitled, conditions=conditions, ramp=score,
                entry=entry, fallback_locale=fallback, status=status,
            )
        )
    )  # fmt: skip
    typer.echo(f"wrote {shown_path(path)}")
    _lint(shown_path(path))


def _last_of(book: RuleBook, group: str | None) -> str:
    taken = [rule.priority for rule in book.rules if rule.exclusivity_group == group]
    return str(min(max(taken, default=0) + _NEXT_PRIORITY, 1_000))


def _lint(file: str) -> None:
    remarks = [remark for remark in linted().remarks if remark.problem.file == file]
    for remark in remarks:
        typer.echo(str(remark))
    if any(remark.severity == "error" for remark in remarks):
        raise typer.Exit(2)
    typer.echo("next: segue segments compile, then segue segments plan")
