"""``segue segments``: compile the rules, see what they would change, explain an account's offers."""

from __future__ import annotations

import json
from datetime import date, datetime
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from cli import new_rule
from cli.compiling import CheckOption, MergedOption, make_files
from cli.linting import linted

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True, help="Offer segments: rules, their plan, their reasons.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app.command("new")(new_rule.new)

DayOption = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], help="UTC day; by default the newest published one."),
]
EXIT_UNKNOWN = 3


@app.command("compile")
def compile_(
    check: CheckOption = False,
    merged: MergedOption = None,
) -> None:
    """Make the dbt macros, the JSON Schema and the versions' lock from segments/rules.

    Lints the rules first (`segue segments lint`): with errors nothing is made. A merged version of a rule
    cannot be changed any more; one that is not merged yet may be, and keeps its number.

    Exit code: 0 current, 1 with --check: something is not current, 2 mistakes in the rule files.
    """
    from segments.artifacts import artifacts

    found = linted()
    for remark in found.warnings:
        typer.echo(str(remark), err=True)
    book = found.accepted()
    make_files(artifacts(book, merged), check=check, command="segue segments compile")
    typer.echo(f"{len(book.active)} of {len(book.rules)} rules are active")


@app.command()
def lint(
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with the rules, or may not be meant, by file, line and field.

    Errors are wrong whatever the accounts are; a warning may be meant. `segue segments plan` says what only
    the data can tell: content that is missing, values that nobody has.

    Exit code: 0 no errors, 1 with --strict: warnings, 2 errors.
    """
    found = linted()
    if as_json:
        print(json.dumps([remark.to_dict() for remark in found.remarks], indent=2))
    else:
        for remark in found.remarks:
            typer.echo(str(remark))
        typer.echo(f"{_counted(len(found.errors), 'error')}, {_counted(len(found.warnings), 'warning')}")
    raise typer.Exit(2 if found.errors else 1 if strict and found.warnings else 0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@app.command()
def plan(
    day: DayOption = None,
    as_json: JsonOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a comment on a pull request.")
    ] = False,
) -> None:
    """Judge the rules on yesterday's published features: who would gain and lose which offer."""
    from cli import plan_report
    from runs import segment_plan as planning
    from segments.source import load_rules
    from segue.settings import get_settings

    book = load_rules()
    found = planning.plan(get_settings(), book, _date(day))
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    elif as_markdown:
        print(plan_report.markdown(found), end="")
    else:
        for line in plan_report.lines(found, get_terminal_size().columns):
            print(line)


@app.command()
def explain(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account to explain.")],
    day: DayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say for every rule what became of it for ACCOUNT, and by which values; and what its scores are made of.

    Exit code: 0 explained, 3 the account is not among the day's published features.
    """
    from runs.account_explanation import AccountExplanation, explain_account
    from segments.source import load_rules
    from segue.settings import get_settings

    found = explain_account(get_settings(), load_rules(), account_id, _date(day))
    if not isinstance(found, AccountExplanation):
        typer.echo(f"{account_id} is not among the features of {found}", err=True)
        raise typer.Exit(EXIT_UNKNOWN)
    if as_json:
        answer = {
            "account_id": account_id,
            "day": found.day.isoformat(),
            "suppressed_reason": found.suppressed_reason,
            "rules": [
                item.to_dict() | {"published_reason_code": found.published.get(item.rule.id)}
                for item in found.rules
            ],
            "scores": [each.to_dict() for each in found.scores],
        }
        print(json.dumps(answer, indent=2, default=str))
        return
    from cli.explain_report import lines, score_lines

    width = get_terminal_size().columns
    for line in lines(found.title, found.rules, found.published, width):
        print(line)
    for line in score_lines(found.scores, width):
        print(line)


def _date(day: datetime | None) -> date | None:
    return day.date() if day else None
