"""``segue erase``: remove accounts everywhere and prove it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def erase(
    account_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ACCOUNT]...", help="Accounts to erase.")
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A file with an account a line; - is standard input."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: there is no way back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was removed as JSON lines.")] = False,
) -> None:
    """Erase accounts, and those merged into them, from Bigtable, BigQuery and disk; needs SEGUE_ERASURE_SALT.

    However many there are, every table is read and changed once (for each 500 of them). What is left
    afterwards is salted hashes and the proof in ops.erasures; later files, runs that are under way and loads
    leave the accounts out. Run it where the runs write their results and logs (SEGUE_STATE_DIR).
    Exit code: 0 erased and proved, 1 not (erase again), 2 wrong usage.
    """
    from loaders.erasure import erase as erase_accounts
    from loaders.erasure import in_batches
    from segue.logs import new_run_id
    from segue.settings import get_settings
    from segue.telemetry import step_of_run

    text = "" if listed is None else sys.stdin.read() if str(listed) == "-" else listed.read_text()
    wanted = [*(account_ids or []), *filter(None, text.splitlines())]
    if not wanted:
        raise typer.BadParameter("name an account, or a file with --from")
    if not yes:
        which = "the account, and those merged into it," if len(wanted) == 1 else f"{len(wanted)} accounts"
        typer.confirm(f"Erase {which} everywhere? There is no way back.", abort=True, err=True)
    settings, run_id, today = get_settings(), new_run_id(), datetime.now(UTC).date()
    for batch in in_batches(wanted):
        with step_of_run(settings, run_id, today, "erase"):
            erasure = erase_accounts(settings, *batch)
        if as_json:
            print(json.dumps(erasure.to_dict()), flush=True)
            continue
        rows = sum(erasure.rows_removed.values())
        typer.echo(
            f"erased and proved: {len(erasure.subject_hashes):,} accounts, and {erasure.merged_accounts:,} "
            f"merged into them, {erasure.cells_removed:,} cells, {rows:,} rows in "
            f"{len(erasure.rows_removed)} tables, mentions in {len(erasure.files_overwritten)} files; "
            f"ops.erasures has the proof {erasure.erasure_id}"
        )
