"""``segue lookup``: what one account should be offered now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.panel import Panel

    from segue_client.answer import Lookup

EXIT_CODES: Final = {"found": 0, "unknown": 3, "suppressed": 4, "expired": 5}
_FRAME: Final = 4
"""Characters of a panel's two sides."""


def lookup(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account to look up.")],
    service: Annotated[
        bool, typer.Option("--service/--table", help="Ask the lookup service, or read the table itself.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Look up what ACCOUNT should be offered now.

    Exit code: 0 found, 3 unknown account, 4 suppressed, 5 expired, 6 nothing published yet, 1 no answer,
    2 wrong usage.
    """
    from segue.settings import get_settings
    from serving.configured import open_reader, open_service_client

    opened = open_service_client if service else open_reader
    with opened(get_settings()) as lookups:
        answer = lookups.lookup(account_id)
    if as_json:
        print(json.dumps(answer.to_dict(), ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        console = Console()
        console.print(_panel(answer, console.width - _FRAME))
    raise typer.Exit(EXIT_CODES[answer.outcome.value])


def _panel(answer: Lookup, width: int) -> Panel:
    from rich.console import Group
    from rich.markup import escape
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    from cli.tables import side_by_side_or_below

    values = answer.to_dict()
    colour = {"found": "green", "suppressed": "yellow", "expired": "yellow"}.get(values["outcome"], "red")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("outcome", Text(values["outcome"], style=f"bold {colour}"))
    for name in ("suppressed_reason", "market", "segment_date", "valid_until_at"):
        if values.get(name):
            facts.add_row(name, Text(str(values[name])))
    facts.add_row("generation", Text(str(values["generation_ms"])))
    if not values["offers"] and not values["held_back"]:
        return Panel(facts, title=escape(answer.account_id), border_style=colour, expand=False)
    rows = []
    for offer in [*values["offers"], *values["held_back"]]:
        content = f"{offer['content_id']} v{offer['content_version']} {offer['content_locale'] or ''}"
        rows.append((
            offer["offer_id"] + (" (held back: log, do not show)" if offer["is_control"] else ""),
            f"{offer['rule_id']} v{offer['rule_version']}",
            str(offer["priority"]),
            "–" if offer["score"] is None else f"{offer['score']:.3f}",
            offer["reason_code"],
            content if offer["content_id"] else "–",
            offer["valid_until_at"] or "–",
        ))  # fmt: skip
    headers = ("offer", "rule", "priority", "score", "reason", "content", "valid until")
    offers = side_by_side_or_below(headers, rows, width)
    return Panel(Group(facts, offers), title=escape(answer.account_id), border_style=colour, expand=False)
