"""What the gate has judged, by content: publication takes exactly that, whatever was run in which order.

Tasks can be cleared, repeated and marked successful by hand, and somebody may write into an audit dataset. So
a verdict names the attempt and says of every model how many rows were judged and which; publication compares
in its own transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import append_rows, literal, ops_table, this_run
from runs.published import PublishedMart
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import RunWindow


class NotBuiltError(SegueError):
    """What a run needs has not been built, or is there no more."""

    code = "not_built"
    hint = "clear `build` with the tasks after it (or start the run again): it builds the days anew"
    is_final = True


class UnjudgedError(SegueError):
    """What is in audit is not what the gate has passed."""

    code = "unjudged"
    hint = (
        "clear `validate`, or `build` if the rows are wrong; to publish against the gate, start a run of the "
        "days with override_reason"
    )
    is_final = True


@dataclass(frozen=True)
class JudgedTable:
    """What a model's partitions hold: the number of rows, and a digest of them whatever their order."""

    model: str
    row_count: int
    content_digest: int


def contents_query(settings: Settings, window: RunWindow, marts: Sequence[PublishedMart]) -> str:
    """A query of what the run's audit tables hold now: (model, row_count, content_digest).

    60 bits of each row's MD5, combined by XOR: no order and no overflow. MD5 because every engine has it.
    """
    return "\nunion all\n".join(
        f"select {literal(mart.name)} as model, count(*) as row_count, coalesce(bit_xor(cast(concat('0x', "
        "substr(to_hex(md5(to_json_string(row_of))), 1, 15)) as int64)), 0) as content_digest "
        f"from {window.table(mart.name)} as row_of where {mart.filter(mart.days(settings, window))}"
        for mart in marts
    )


def read_contents(
    warehouse: Warehouse, window: RunWindow, marts: Sequence[PublishedMart]
) -> list[JudgedTable]:
    """What the run's audit tables hold now.

    Raises:
        NotBuiltError: a mart has no table in the audit dataset.
        WarehouseError: the query failed.
    """
    missing = {mart.name for mart in marts} - warehouse.table_names(window.audit_dataset)
    if missing:
        raise NotBuiltError(
            f"{min(missing)} was not built for {window.end_date}: no table in {window.audit_dataset}"
        )
    rows = warehouse.run(contents_query(warehouse.settings, window, marts))
    return [JudgedTable(row.model, int(row.row_count), int(row.content_digest)) for row in rows]


def record_verdict(
    warehouse: Warehouse, window: RunWindow, judged: Sequence[JudgedTable], failures: int
) -> None:
    """Keep what the gate has judged and how many critical expectations failed, in ``ops.verdicts``.

    Raises:
        WarehouseError: BigQuery did not take it.
    """
    common = {
        "run_date": window.end_date,
        "attempt": window.audit_dataset,
        "failures": failures,
        "judged_at": ledger_time(warehouse),
    }
    append_rows(warehouse, "verdicts", [common | asdict(table) for table in judged])


def last_verdict_query(settings: Settings, window: RunWindow) -> str:
    """A query of the last verdict on the attempt: (model, row_count, content_digest, failures, judged_at)."""
    return (
        "select model, row_count, content_digest, failures, judged_at from ("
        "select *, row_number() over (partition by model order by judged_at desc) as newest "
        f"from `{ops_table(settings, 'verdicts')}` where run_date = {literal(window.end_date)} "
        f"and attempt = {literal(window.audit_dataset)}) where newest = 1"
    )


def unjudged_count(settings: Settings, window: RunWindow, marts: Sequence[PublishedMart]) -> str:
    """An expression: how many of the marts are not what was judged, or were not let through."""
    let_through = "true" if window.override_reason else "verdict.failures = 0"
    return (
        f"(select {len(marts)} - count(*) from ({contents_query(settings, window, marts)}) as found "
        f"inner join ({last_verdict_query(settings, window)}) as verdict on verdict.model = found.model "
        "and verdict.row_count = found.row_count and verdict.content_digest = found.content_digest "
        f"where {let_through})"
    )


def refuse_unjudged(warehouse: Warehouse, window: RunWindow) -> None:
    """Say so before anything is prepared when the gate has not let the attempt through.

    Raises:
        UnjudgedError: there is no verdict, or it refuses and nobody overrides it.
        WarehouseError: the verdict cannot be read.
    """
    verdicts = list(warehouse.run(last_verdict_query(warehouse.settings, window)))
    failures = max((int(row.failures) for row in verdicts), default=0)
    if not verdicts:
        raise UnjudgedError(f"{_nothing(window)}: the gate has not judged it")
    if failures and not window.override_reason:
        raise UnjudgedError(
            f"{_nothing(window)}: the gate refused it, {failures} critical expectation(s) failed"
        )


def difference(warehouse: Warehouse, window: RunWindow, marts: Sequence[PublishedMart]) -> UnjudgedError:
    """The error that says, by mart, what is not as it was judged.

    Raises:
        NotBuiltError: a mart is not there at all.
        WarehouseError: a query failed.
    """
    verdicts = {row.model: row for row in warehouse.run(last_verdict_query(warehouse.settings, window))}
    lines = []
    for found in read_contents(warehouse, window, marts):
        verdict = verdicts.get(found.model)
        if verdict is None:
            lines.append(f"{found.model} was not judged")
        elif verdict.row_count != found.row_count:
            lines.append(f"{found.model} has {found.row_count} rows, {verdict.row_count} were judged")
        elif verdict.content_digest != found.content_digest:
            lines.append(f"{found.model} has other rows than were judged")
    return UnjudgedError(f"{_nothing(window)}: {'; '.join(lines) or 'it changed while it was looked at'}")


def _nothing(window: RunWindow) -> str:
    return f"nothing was published of {window} from {window.audit_dataset}"


def judged_again(settings: Settings, window: RunWindow, mart: PublishedMart) -> str:
    """The statement that has a mart's verdict speak of what the table holds now.

    For what publication itself takes out.
    """
    return (
        f"insert into `{ops_table(settings, 'verdicts')}` "
        "(run_date, attempt, model, row_count, content_digest, failures, judged_at, run_id)\n"
        f"select {literal(window.end_date)}, {literal(window.audit_dataset)}, found.model, found.row_count, "
        "found.content_digest, verdict.failures, "
        "greatest(current_timestamp(), timestamp_add(verdict.judged_at, interval 1 microsecond)), "
        f"{this_run()}\n"
        f"from ({contents_query(settings, window, [mart])}) as found\n"
        f"inner join ({last_verdict_query(settings, window)}) as verdict on verdict.model = found.model"
    )
