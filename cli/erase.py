"""``segue erase``: remove an account everywhere and prove it."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def erase(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: there is no way back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was removed as JSON.")] = False,
) -> None:
    """Erase ACCOUNT, and who was merged into it, from Bigtable, BigQuery and disk; needs SEGUE_ERASURE_SALT.

    What is left afterwards is salted hashes and the proof in ops.erasures; later files, runs that are under
    way and loads leave the account out. Run it where the runs write their results and logs (SEGUE_STATE_DIR).
    Exit code: 0 erased and proved, 1 not (erase again), 2 wrong usage.
    """
    from loaders.erasure import erase as erase_account
    from segue.settings import get_settings

    if not yes:
        question = "Erase the account, and those merged into it, everywhere? There is no way back."
        typer.confirm(question, abort=True, err=True)
    erasure = erase_account(get_settings(), account_id)
    if as_json:
        print(json.dumps(erasure.to_dict(), indent=2))
        return
    rows = sum(erasure.rows_removed.values())
    typer.echo(
        f"erased and proved: {erasure.cells_removed} cells, {rows:,} rows in {len(erasure.rows_removed)} "
        f"tables, mentions in {len(erasure.files_overwritten)} files, {erasure.merged_accounts} merged "
        f"accounts with it; ops.erasures has the proof {erasure.erasure_id}"
    )
