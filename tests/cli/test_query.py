"""``segue query``: a person's question to the warehouse, and the exact bytes of the answer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from click.testing import Result
from typer.testing import CliRunner

import cli
from cli.query import NotConfirmedError, _confirm
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.queries import PlannedQuery
from segue.settings import Settings, get_settings
from tests.bigquery_proxy import Answer, BigQueryProxy, Request
from tests.runbook.steps import says, step

ANSWERS = "select * from marts.answers order by n"


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    """Two rows of every type, published under another name than the documentation's."""
    warehouse = warehouse_of(world("query", marts_dataset="published"))
    warehouse.ensure_dataset("published")
    warehouse.run(
        "create table published.answers as "
        "select 1 as n, 'Ana, \"A\"' as name, numeric '12.50' as mrr_usd, 0.5 as share, true as is_paid, "
        "date '2026-03-01' as day, timestamp '2026-03-01 10:00:00' as seen_at, ['a', 'b'] as tags "
        "union all select 2, null, null, null, null, null, null, []"
    )
    return warehouse


@pytest.fixture
def ask(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Types a command, with something on standard input or not."""
    settings = warehouse.settings
    monkeypatch.setenv("SEGUE_PROJECT_ID", settings.project_id)
    monkeypatch.setenv("SEGUE_BIGQUERY_ENDPOINT", str(settings.bigquery_endpoint))
    monkeypatch.setenv("SEGUE_MARTS_DATASET", settings.marts_dataset)
    get_settings.cache_clear()

    def run(*arguments: str | Path, stdin: str = "") -> Result:
        return CliRunner().invoke(cli.app, ["query", *map(str, arguments)], input=stdin)

    return run


def test_csv_is_what_a_pipe_gets(ask: Callable[..., Result]) -> None:
    answer = ask(ANSWERS)

    assert answer.stdout_bytes == (
        b"n,name,mrr_usd,share,is_paid,day,seen_at,tags\n"
        b'1,"Ana, ""A""",12.5,0.5,true,2026-03-01,2026-03-01T10:00:00Z,"[""a"",""b""]"\n'
        b"2,,,,,,,[]\n"
    )
    assert answer.stderr.startswith("2 rows, ")
    assert answer.exit_code == 0


def test_json_is_one_array(ask: Callable[..., Result]) -> None:
    assert ask(ANSWERS, "--format", "json").stdout_bytes == (
        b'[\n{"n":1,"name":"Ana, \\"A\\"","mrr_usd":12.5,"share":0.5,"is_paid":true,"day":"2026-03-01",'
        b'"seen_at":"2026-03-01T10:00:00Z","tags":["a","b"]},\n'
        b'{"n":2,"name":null,"mrr_usd":null,"share":null,"is_paid":null,"day":null,'
        b'"seen_at":null,"tags":[]}\n]\n'
    )
    assert ask("select 1 as n limit 0", "--format", "json").stdout_bytes == b"[]\n"


def test_ndjson_is_an_object_a_line(ask: Callable[..., Result]) -> None:
    assert ask("select n, mrr_usd from marts.answers order by n", "--format", "ndjson").stdout_bytes == (
        b'{"n":1,"mrr_usd":12.5}\n{"n":2,"mrr_usd":null}\n'
    )


def test_parquet_keeps_the_types(ask: Callable[..., Result], tmp_path: Path) -> None:
    answer = ask("select n, mrr_usd, day from marts.answers order by n", "--output", tmp_path / "a.parquet")

    assert answer.stdout_bytes == b""
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.schema.types == [pa.int64(), pa.decimal128(38, 9), pa.date32()]
    assert table.column("mrr_usd").to_pylist() == [Decimal("12.5"), None]
    piped = ask("select 1 as n limit 0", "--format", "parquet").stdout_bytes
    assert parquet.read_table(io.BytesIO(piped)).schema.names == ["n"]


def test_a_table_is_for_people(ask: Callable[..., Result]) -> None:
    answer = ask("select name, mrr_usd from marts.answers order by n", "--format", "table", "--limit", "1")

    header, line, row = (line for line in answer.stdout.splitlines() if line.strip())
    assert (header.split(), row.split()) == (["name", "mrr_usd"], ["Ana,", '"A"', "12.5"])
    assert header.rstrip().endswith("mrr_usd")
    assert len(header.rstrip()) == len(row.rstrip())
    assert set(line.strip()) == {"─"}
    assert answer.stderr.startswith("1 of 2 rows, ")


def test_a_row_that_is_wider_than_the_terminal_is_told_below_itself(
    ask: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = "select n, name, mrr_usd, 'x' as a_column_of_a_long_name, day, share from marts.answers order by n"
    monkeypatch.setenv("COLUMNS", "60")

    lines = [line.strip() for line in ask(wide, "--format", "table").stdout.splitlines()]

    assert [lines[0], lines[7]] == ["row 1", "row 2"]
    assert [line.split(maxsplit=1) for line in lines[1:7]] == [
        ["n", "1"], ["name", 'Ana, "A"'], ["mrr_usd", "12.5"], ["a_column_of_a_long_name", "x"],
        ["day", "2026-03-01"], ["share", "0.5"],
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "90")
    header = next(line for line in ask(wide, "--format", "table").stdout.splitlines() if line.strip())
    assert header.split() == ["n", "name", "mrr_usd", "a_column_of_a_long_name", "day", "share"]


def test_the_query_may_come_from_a_file_or_from_standard_input(
    ask: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "question.sql").write_text("-- the first\nselect min(n) as n from marts.answers\n;\n")

    assert ask("--file", tmp_path / "question.sql").stdout == "n\n1\n"
    assert ask(stdin="select max(n) as n from marts.answers").stdout == "n\n2\n"
    assert ask("-", stdin="select 3 as n").stdout == "n\n3\n"


def test_the_end_of_the_file_name_says_the_format(ask: Callable[..., Result], tmp_path: Path) -> None:
    assert ask("select 1 as n", "--output", tmp_path / "a.ndjson").stderr.startswith(
        f"1 row in {tmp_path / 'a.ndjson'}, "
    )
    assert (tmp_path / "a.ndjson").read_bytes() == b'{"n":1}\n'
    refused = ask("select 1 as n", "--output", tmp_path / "a.xlsx")
    assert "usage: --output is for .csv, .json, .ndjson, .parquet" in refused.stderr
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("delete from marts.answers where true", "delete"),
        ("insert into marts.answers (n) values (3)", "insert"),
        ("update marts.answers set n = 3 where true", "update"),
        ("truncate table marts.answers", "truncate table"),
        ("drop table marts.answers", "drop table"),
        ("create table marts.copy as select * from marts.answers", "create table as select"),
        ("alter table marts.answers add column more int64", "alter table"),
        ("select 1; drop table marts.answers", "several statements or a script"),
        ("begin delete from marts.answers where true; end", "several statements or a script"),
        ("declare n int64 default 1; select n", "several statements or a script"),
        ("export data options (uri = 'gs://b/*.csv', format = 'CSV') as select 1 as n", "export data"),
    ],
)
def test_what_is_no_query_is_refused_and_changes_nothing(
    ask: Callable[..., Result], warehouse: Warehouse, statement: str, kind: str
) -> None:
    answer = ask(statement)

    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"not_a_query: a query was expected, not {kind}\nhint: ")
    assert warehouse.table_names("published") == {"answers"}
    assert ask("select count(*) as n, sum(n) as s from marts.answers").stdout == "n,s\n2,3\n"


@pytest.mark.parametrize(
    "question",
    [
        "with a as (select 1 as n) select n from a",
        "(select 1 as n)",
        "select 1 as n union all select 1 where false",
        "select 1 as n -- drop table x;",
    ],
)
def test_every_kind_of_query_is_one(ask: Callable[..., Result], question: str) -> None:
    assert ask(question).stdout == "n\n1\n"


def test_an_error_is_shown_with_its_place(ask: Callable[..., Result]) -> None:
    answer = ask("select n,\n  nonsense\nfrom marts.answers")

    message, line, mark, hint, page = answer.stderr.splitlines()
    assert page == "see docs/runbook.md#query"
    assert (message, line, mark) == ("query: Unrecognized name: nonsense at [2:3]", "  nonsense", "  ^")
    question = hint.removeprefix("hint: ").replace("…", "answers")
    assert ask(question).stdout.splitlines()[:2] == ["column_name,description", "n,"]
    assert answer.stdout == ""
    assert answer.exit_code == 1


def test_a_table_that_is_missing_is_named(ask: Callable[..., Result]) -> None:
    answer = ask("select * from marts.nowhere")

    assert answer.exit_code == 1
    assert answer.stderr.startswith("query: Not found: Table ")
    assert "published.nowhere" in answer.stderr
    assert ask(answer.stderr.split("hint: ")[1].splitlines()[0]).stdout == "table_name\nanswers\n"
    assert "http" not in answer.stderr


def test_who_mistypes_a_table_or_a_dataset_is_told_what_was_meant(ask: Callable[..., Result]) -> None:
    assert "\nhint: did you mean answers?\n" in ask("select * from marts.answer").stderr
    assert (
        "\nhint: the datasets are raw, quarantine, history, marts, ops\n"
        in ask("select * from mart.answers").stderr
    )


def test_a_warehouse_that_is_away_is_no_fault_of_the_query(
    ask: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_BIGQUERY_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SEGUE_BIGQUERY_RETRY_SECONDS", "0.2")
    get_settings.cache_clear()

    answer = ask("select 1 as n")

    assert answer.stderr.startswith("service_unavailable: BigQuery is not there: ")
    assert "Traceback" not in answer.stderr
    assert answer.exit_code == 1


def test_only_names_of_tables_follow_the_settings(ask: Callable[..., Result]) -> None:
    """An alias may be called as a dataset; texts and comments are nobody's names."""
    answer = ask(
        "select marts.n, 'marts.answers' as said -- marts.answers\n"
        "from `marts.answers` as marts inner join `marts`.`answers` as other using (n) order by n"
    )

    assert answer.stdout == "n,said\n1,marts.answers\n2,marts.answers\n"


def test_a_dry_run_tells_the_columns_and_what_would_be_read(ask: Callable[..., Result]) -> None:
    answer = ask("select n, name from marts.answers", "--dry-run")

    assert (answer.stdout, answer.stderr) == ("n\nname\n", "reads 0 bytes\n")


def test_much_is_read_only_when_somebody_says_so() -> None:
    settings = Settings(_env_file=None, query_confirm_bytes=1_000_000)
    large = PlannedQuery("select 1", ("n",), 1_000_001)

    _confirm(large, settings, yes=True)
    _confirm(PlannedQuery("select 1", ("n",), 1_000_000), settings, yes=False)
    with pytest.raises(NotConfirmedError, match=r"this reads 1\.0 MB"):
        _confirm(large, settings, yes=False)


def answered(ask: Callable[..., Result], code: str, wrong: list[str], remedy: str) -> None:
    """What is refused leads to its entry, and is answered as that says."""
    refused = ask(*wrong)
    assert refused.stderr.startswith(f"{code}: ")
    assert refused.stderr.endswith(f"see docs/runbook.md#{code}\n")

    says(code, remedy)
    assert ask("select n from marts.answers order by n").stdout == "n\n1\n2\n"


def test_a_query_that_was_refused_is_mended(ask: Callable[..., Result]) -> None:
    answered(ask, "query", ["select nonsense from marts.answers"], "Mend the query")


def test_what_was_not_a_query_is_asked_as_one(ask: Callable[..., Result]) -> None:
    answered(ask, "not_a_query", ["update marts.answers set n = 3 where true"], "Ask with one SELECT")


def test_wrong_usage_is_put_right(ask: Callable[..., Result]) -> None:
    remedy = "Give one query, as an argument, with `--file`, or from standard input"
    answered(ask, "usage", [ANSWERS, "--file", __file__], remedy)


class LargeTables(BigQueryProxy):
    """Says of every query that it would read two terabytes: the emulator counts no bytes."""

    def answer(self, request: Request, what: str) -> Answer:
        found = super().answer(request, what)
        if b'"dryRun": true' not in request.body:
            return found
        job = json.loads(found.body)
        job["statistics"]["totalBytesProcessed"] = "2000000000000"
        job["statistics"].setdefault("query", {})["totalBytesProcessed"] = "2000000000000"
        return Answer.of(found.status, job)


def test_a_script_says_that_much_may_be_read(
    ask: Callable[..., Result], warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = LargeTables(str(warehouse.settings.bigquery_endpoint))
    monkeypatch.setenv("SEGUE_BIGQUERY_ENDPOINT", proxy.address)
    get_settings.cache_clear()

    refused = ask(ANSWERS)
    assert "\nnot_confirmed: this reads 2.0 TB\n" in refused.stderr
    assert refused.exit_code == 1

    assert ask(*step("not_confirmed", "segue query --dry-run")[1:], ANSWERS).stderr == "reads 2.0 TB\n"
    says("not_confirmed", "Or allow it, with `--yes` or `--max-bytes`")
    for allowed in (["--yes"], ["--max-bytes", "3000000000000"]):
        assert ask("select 3 as n", *allowed).stdout == "n\n3\n"
    proxy.close()


def test_a_limit_of_bytes_goes_to_bigquery_as_what_may_be_billed(
    ask: Callable[..., Result], warehouse: Warehouse
) -> None:
    assert ask("select 7 as n", "--max-bytes", "20000000").stdout == "n\n7\n"

    [job] = [job for job in warehouse.client.list_jobs(max_results=1) if job.query == "select 7 as n"]
    assert job.maximum_bytes_billed == 20_000_000
