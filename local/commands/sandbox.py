"""``segue sandbox``: a lookup service with test accounts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from local.sandbox.service import Addresses


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
        run_sandbox(port, lambda addresses: _print(addresses, as_json=as_json))


def _print(addresses: Addresses | None, *, as_json: bool) -> None:
    from local.sandbox.accounts import sandbox_accounts
    from local.sandbox.service import PROJECT_ID, TOKENS

    if as_json:
        accounts = [each.model_dump(mode="json", exclude_defaults=True) for each in sandbox_accounts()]
        found = {} if addresses is None else asdict(addresses)
        print(json.dumps(found | {"tokens": TOKENS, "accounts": accounts}), flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if addresses is not None:
        lines = [f"The lookup service of the sandbox listens on {addresses.service}, without TLS."]
        lines += [
            f"  token {token}: {per_second:,.0f} lookups a second" for token, per_second in TOKENS.items()
        ]
        lines += [f"Its table: Bigtable emulator {addresses.bigtable_emulator}, project {PROJECT_ID}."]
        console.print("\n".join(lines), soft_wrap=True)
    table = Table("account", "answer", "what it is", box=None)
    for each in sandbox_accounts():
        table.add_row(each.account_id, each.answer, each.about)
    console.print(table)
