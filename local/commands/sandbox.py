"""``segue sandbox``: a lookup service with test accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.service.server import RunningService


def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any that is free.")
    ] = 8087,
    only_list: Annotated[bool, typer.Option("--list", help="Only list the test accounts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Serve one test account for each answer that a lookup can get, until Ctrl-C.

    For clients under development: a Bigtable emulator with nothing but these accounts, loaded as in
    production, and the lookup service before it. No warehouse, nothing to configure, loopback only.

    Exit code: 0 stopped as told, 1 the emulator could not be started, or the port is taken.
    """
    from local.sandbox.service import run_sandbox

    if only_list:
        _print(None, as_json=as_json)
    else:
        run_sandbox(port, lambda running: _print(running, as_json=as_json))


def _print(running: RunningService | None, *, as_json: bool) -> None:
    from local.sandbox.accounts import sandbox_accounts
    from local.sandbox.service import TOKENS
    from local.services.ports import LOOPBACK

    address = None if running is None else f"{LOOPBACK}:{running.port}"
    if as_json:
        accounts = [each.model_dump(mode="json", exclude_defaults=True) for each in sandbox_accounts()]
        print(json.dumps({"address": address, "tokens": TOKENS, "accounts": accounts}), flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if address is not None:
        console.print(
            f"The lookup service of the sandbox listens on {address}, without TLS.", highlight=False
        )
        for token, per_second in TOKENS.items():
            console.print(f"  token {token}: {per_second:,.0f} lookups a second", highlight=False)
    table = Table("account", "answer", "what it is", box=None)
    for each in sandbox_accounts():
        table.add_row(each.account_id, each.answer, each.about)
    console.print(table)
