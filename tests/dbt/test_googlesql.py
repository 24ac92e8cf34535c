"""It is BigQuery's SQL: Google's own analyzer resolves every model, and Google's reference implementation of
GoogleSQL gives the rows that the embedded BigQuery gave."""

from __future__ import annotations

import json
import re
from dataclasses import InitVar, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import pytest
from zetasql.core import local_service
from zetasql.types import ProtoModel, parse_proto

from loaders.experiments.readouts import MART, SCHEMA
from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import bigquery_schema
from local.answers.page import PAGE, questions
from local.bench.segments import repeated
from runs.training_examples import EXAMPLES
from scoring.compiler import declared_values
from segments.compiler import compile_statement
from segments.places import moves
from segments.source import load_rules
from segue.settings import Settings
from segue.window import HistoryWindow, RunWindow
from tests.dbt.compiled_project import CompiledProject, built_project, compile_project
from tests.dbt.conftest import Row, Warehouse
from tests.dbt.googlesql import (
    GoogleSql,
    Scan,
    columns_of,
    comparable,
    declared,
    literal,
    scan_counts,
    scans_of,
    unnestings_of,
    written,
)
from tests.dbt.reference.training_examples import Example, examples
from tests.dbt.training_rows import AS_OF, MODELS
from tests.dbt.training_rows import literal as literal_marts
from tests.segments.test_evaluator import rule

HOLDS = "a row says what holds until another one says otherwise"
READS_EVERYTHING: dict[str, str] = {
    "stg_identity__accounts": HOLDS,
    "stg_identity__provider_accounts": HOLDS,
    "stg_identity__consents": HOLDS,
    "stg_identity__deletion_requests": "a wish to be forgotten holds for good",
    "stg_billing__plans": HOLDS,
    "stg_billing__plan_versions": HOLDS,
    "stg_billing__plan_prices": HOLDS,
    "stg_billing__plan_price_versions": HOLDS,
    "stg_billing__plan_members": HOLDS,
    "stg_billing__plan_member_versions": HOLDS,
    "stg_billing__fx_rates": "a rate holds until the next one, however long the feed is silent",
    "stg_content__entries": HOLDS,
    "stg_merchandising__experiment_assignments": "the first assignment of an account holds for good",
    "int_subscription_lives": "a life that is touched is told anew from all its events",
}
"""Model → why it reads a feed or its history since the first arrival day."""


def full_name(node: Row) -> str:
    return f"{node['database']}.{node['schema']}.{node.get('alias') or node['identifier']}"


@dataclass
class Project:
    """The compiled project of the March build, with what Google's analyzer makes of it."""

    warehouse: Warehouse
    built: InitVar[CompiledProject]

    def __post_init__(self, built: CompiledProject) -> None:
        self.models = built.models
        self.nodes: Row = built.manifest["nodes"] | built.sources
        self.google = GoogleSql()
        self._read: dict[str, list[Row]] = {}
        self._of_days: dict[str, Any] = {}
        self.partition_columns: dict[str, str] = {}
        for source in built.sources.values():
            if source["source_name"] in ("history", "published"):
                # What earlier runs published has the columns of its model's contract.
                model = self.nodes[f"model.segue.{source['name']}"]
                kinds = {name: column["data_type"] for name, column in model["columns"].items()}
                if partition := model["config"].get("partition_by"):
                    self.partition_columns[full_name(source)] = partition["field"]
            else:
                fields = bigquery_schema(CONTRACTS[source["name"]])
                kinds = {field.name: field.field_type for field in fields}
                self.partition_columns[full_name(source)] = "arrival_date"
            self.google.declare(full_name(source), kinds)
        for seed in built.seeds.values():
            self.google.declare(full_name(seed), seed["config"]["column_types"])
        for model in self.models.values():
            if partition := model["config"].get("partition_by"):
                self.partition_columns[full_name(model)] = partition["field"]

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The resolved statement of every model; each is declared for those that read it."""
        statements, rest = {}, {model["unique_id"]: model for model in self.models.values()}
        while rest:
            # All at once that read no other of the rest: each declaration is a new catalog.
            ready = [m for m in rest.values() if not rest.keys() & set(m["depends_on"]["nodes"])]
            for model in ready:
                statements[model["name"]] = self.google.resolve(model["compiled_code"])
            for model in ready:
                self.google.tables[full_name(model)] = columns_of(statements[model["name"]])
                del rest[model["unique_id"]]
        return statements

    def resolve(self, sql: str) -> Any:
        """A statement over the models, resolved once: most are of many runs."""
        assert self.resolved
        if sql not in self._of_days:
            self._of_days[sql] = self.google.resolve(sql)
        return self._of_days[sql]

    def rows(self, table: str) -> list[Row]:
        """What the embedded BigQuery holds in a table or view."""
        if table not in self._read:
            self._read[table] = [dict(row) for row in self.warehouse.query(f"select * from `{table}`")]
        return self._read[table]

    def inputs(self, model: Row) -> dict[str, list[Row]]:
        """The rows of all that a model reads in this run, which reads no published history."""
        read = (self.nodes[key] for key in model["depends_on"]["nodes"])
        return {
            full_name(node): self.rows(full_name(node))
            for node in read
            if node["relation_name"] in model["compiled_code"]
        }


@pytest.fixture(scope="module")
def project(march: Warehouse) -> Project:
    return Project(march, built_project(march.settings, "audit_20260305"))


def of_one_day(
    project: Project, settings: Settings, as_of: date = date(2026, 3, 10), goes_on_from: date | None = None
) -> dict[str, Any]:
    """The models that read feeds or their history, resolved for a run of one day upon what was published: of
    the first of a month with the checkpoint that goes on from another's, else without."""
    of_history = [
        name for name, m in project.models.items() if m["config"]["meta"].get("published") == "arrivals"
    ]
    checkpoints = ("int_offer_journey_states", "int_offer_journey_trials")
    history = HistoryWindow(
        first_days=dict.fromkeys(of_history, as_of)
        | dict.fromkeys(checkpoints, as_of if goes_on_from else as_of + timedelta(days=1)),
        raw_read_at=datetime.now(UTC),
        code_version="",
        goes_on_from=goes_on_from,
    )
    window = RunWindow.whole(settings, as_of, as_of).model_copy(
        update={"history": history, "audit_dataset": "audit_20260305"}
    )
    reading = [
        name
        for name, model in project.models.items()
        if any(key.startswith("source.") for key in model["depends_on"]["nodes"])
    ]
    return {
        name: project.resolve(model["compiled_code"])
        for name, model in compile_project(settings, window, reading).models.items()
    }


@pytest.fixture(scope="module")
def incremental(project: Project) -> dict[str, Any]:
    return of_one_day(project, project.warehouse.settings)


def feed_scans(project: Project, statements: dict[str, Any]) -> list[tuple[str, Scan]]:
    """Which model reads which days of raw and of the history."""
    return [
        (name, scan)
        for name, statement in statements.items()
        for scan in scans_of(statement, project.partition_columns)
        if scan.table.split(".")[1] in ("raw", "history")
    ]


def test_every_model_resolves_to_the_types_of_its_contract(project: Project) -> None:
    for name, model in project.models.items():
        actual = {column: written(kind) for column, kind in columns_of(project.resolved[name])}
        if model["config"]["contract"]["enforced"]:
            assert actual == {
                column: declared(described["data_type"]) for column, described in model["columns"].items()
            }, name


def test_a_recursion_is_at_the_top_of_its_statement(project: Project) -> None:
    """BigQuery refuses ``with recursive`` anywhere else, and dbt puts a select around what is under contract:
    https://github.com/dbt-labs/dbt-adapters/issues/582."""
    recursive = {name for name, model in project.models.items() if "with recursive" in model["compiled_code"]}

    assert recursive == {
        "int_account_versions", "int_checkpoint_accounts", "int_checkpoint_journeys", "int_offer_journeys",
    }  # fmt: skip
    for name in recursive:
        model = project.models[name]
        assert model["compiled_code"].strip().startswith("with recursive"), name
        assert model["compiled_code"].count("with recursive") == 1, name
        assert not model["config"]["contract"]["enforced"], name


def test_every_scan_of_a_partitioned_table_has_a_constant_filter(project: Project) -> None:
    unpruned = {
        (name, scan.table)
        for name, statement in project.resolved.items()
        for scan in scans_of(statement, project.partition_columns)
        if not scan.is_pruned
    }

    assert unpruned == set()
    assert len(project.resolved) > 50


def test_every_scan_of_a_feed_is_bounded_by_a_window(project: Project, incremental: dict[str, Any]) -> None:
    """A run that builds one day reads no feed from its first arrival day on; what does is listed with the
    reason."""
    first = project.warehouse.settings.history_start_date
    scans = feed_scans(project, incremental)

    assert {name for name, scan in scans if scan.since is None or scan.since <= first} == set(
        READS_EVERYTHING
    )
    # A journey's longest life and the window without a touch before what the checkpoint tells, however long
    # the history is.
    assert {scan.since for name, scan in scans if name == "stg_merchandising__offer_impressions"} == {
        date(2025, 12, 22)
    }
    assert {scan.table.split(".")[2] for _, scan in scans} >= {
        "offer_impressions", "int_offer_journey_states", "int_offer_journey_trials",
        "int_subscription_versions",
    }  # fmt: skip


def scans_by_years(project: Project, *run: date) -> list[set[tuple[str, Scan]]]:
    """What a run reads of a history of one year and of ten, but for what reads everything."""
    settings = project.warehouse.settings
    return [
        {
            (name, scan)
            for name, scan in feed_scans(
                project,
                of_one_day(
                    project,
                    settings.model_copy(update={"history_start_date": date(2026 - years, 3, 10)}),
                    *run,
                ),
            )
            if name not in READS_EVERYTHING
        }
        for years in (1, 10)
    ]


def test_a_run_of_one_day_reads_the_same_days_of_ten_times_the_history(project: Project) -> None:
    """Journeys, payments, trials: of a history of ten years what of one of a single year."""
    few, many = scans_by_years(project)

    assert many == few
    assert {scan.table.split(".")[2] for _, scan in many} >= {
        "offer_impressions", "offer_clicks", "checkouts", "payments", "int_notified_payments",
        "int_offer_journey_states", "int_offer_journey_trials", "int_subscription_versions",
    }  # fmt: skip


def test_the_first_of_a_month_reads_the_same_days_of_ten_times_the_history(project: Project) -> None:
    """The checkpoint of the journeys goes on from the month before."""
    march, april = date(2026, 3, 1), date(2026, 4, 1)
    few, many = scans_by_years(project, april, march)

    assert many == few
    # March has told what happened before 31 December; a click after it may be on an impression before it.
    for table in ("impressions", "clicks"):
        assert {scan.since for name, scan in many if name == f"stg_merchandising__past_{table}"} == {
            date(2025, 12, 22)
        }
    assert {
        (name, scan.since) for name, scan in many if scan.table.split(".")[2].startswith("int_offer_journey_")
    } == {
        ("int_checkpoint_journeys", march), ("int_offer_journey_states", march),
        ("int_offer_journey_trials", march),
    }  # fmt: skip


def test_googles_reference_implementation_gives_the_same_rows(project: Project) -> None:
    """Each model over what the embedded BigQuery holds of its inputs: a difference is the model's own."""
    assert project.resolved
    differing = {}
    for name, model in project.models.items():
        expected = _sorted(project.rows(full_name(model)))
        actual = _sorted(project.google.execute(model["compiled_code"], project.inputs(model)))
        if actual != expected:
            differing[name] = (
                [row for row in expected if row not in actual][:1],
                [row for row in actual if row not in expected][:1],
            )

    assert differing == {}


def test_the_examples_of_models_are_bigquery_sql(project: Project) -> None:
    """Those of the code's declarations read the partitions that constants name; those of a test's give the
    rows of the independent model."""
    settings = project.warehouse.settings
    window = RunWindow.whole(settings, AS_OF, AS_OF)

    def compiled(**variables: Any) -> str:
        return str(compile_project(settings, window, [EXAMPLES], variables).models[EXAMPLES]["compiled_code"])

    # No daily run builds it.
    assert EXAMPLES not in project.models
    own = project.google.resolve(compiled())
    scans = scans_of(own, project.partition_columns)
    assert {scan.table.split(".")[2] for scan in scans} >= {
        "fct_account_features", "fct_trial", "fct_churn", "fct_experiment_exposure",
    }  # fmt: skip
    assert {scan.table.split(".")[2] for scan in scans if not scan.is_pruned} <= {"dim_account"}
    kinds = {name: written(kind) for name, kind in columns_of(own)}
    described = project.nodes[f"model.segue.{EXAMPLES}"]["columns"]
    assert {name: kinds[name] for name in described} == {
        name: declared(column["data_type"]) for name, column in described.items()
    }

    published = literal_marts()
    rows: dict[str, list[Row]] = {
        "fct_account_features": published.features,
        "fct_trial": published.trials,
        "fct_churn": published.churns,
        "fct_subscriber_daily": published.movements,
        "fct_experiment_exposure": published.exposures,
        "dim_account": published.versions,
        "agg_subscribers_daily": [{"snapshot_date": day} for day in published.days],
    }
    marts = f"{settings.project_id}.{settings.marts_dataset}"
    found = project.google.execute(
        compiled(**declared_values(MODELS)), {f"{marts}.{table}": each for table, each in rows.items()}
    )

    assert {
        Example(
            row["model_name"], date.fromisoformat(row["feature_date"]), row["account_id"], row["outcome"],
            row.get("is_treated"), row["is_held_back"], row["weight"],
        )
        for row in found
    } == set(examples(list(MODELS.values()), published, AS_OF))  # fmt: skip


IN_ROW = frozenset({"ArrayScan", "FilterScan", "ProjectScan"})


def test_no_row_is_made_for_an_account_and_a_rule_that_refused_it(project: Project) -> None:
    """So nothing is joined, sorted or grouped for it: only what has passed leaves its account's row."""
    unnestings = unnestings_of(project.resolved["offer_decisions"])

    assert [each.array for each in unnestings if each.within_row is None] == ["", "arm_entries", "passed"]
    in_row = {(each.array, each.within_row) for each in unnestings if each.within_row is not None}
    assert {(array, scans) for array, scans in in_row if array != "model_scores"} == {
        ("outcomes", IN_ROW),
        ("outcomes", IN_ROW - {"FilterScan"}),
        ("offer_exposures", IN_ROW),
        ("variants", IN_ROW),
    }


def test_more_rules_are_decided_with_the_same_scans_joins_and_aggregations(project: Project) -> None:
    assert project.resolved
    features, contents = (
        f"`{full_name(project.models[n])}`" for n in ("fct_account_features", "offer_contents")
    )
    few, many = (
        scan_counts(
            project.google.resolve(
                compile_statement(
                    repeated(load_rules(), rules), features, contents, "feature_date is not null"
                )
            )
        )
        for rules in (12, 18)
    )

    assert few == many
    assert few["JoinScan"] > 0


def _sorted(rows: list[Row]) -> list[str]:
    return sorted(json.dumps(comparable(row), sort_keys=True) for row in rows)


# What the proofs above would not let through.


@pytest.fixture(scope="module")
def small() -> GoogleSql:
    google = GoogleSql()
    google.declare("p.d.t", {"day": "date", "id": "string", "amount": "numeric(38, 9)"})
    return google


def test_who_loses_an_offer_to_whom_is_told_by_googles_reference_implementation() -> None:
    """Of one day's decisions as published and as the rules of a checkout would make them."""
    google = GoogleSql()
    offers = "array<struct<rule_id string, offer_id string, is_control bool>>"
    decisions = "array<struct<rule_id string, reason_code string>>"
    for name in ("planned", "published"):
        google.declare(f"p.d.{name}", {"account_id": "string", "offers": offers, "decisions": decisions})
    old, new = (rule(name, exclusivity_group="one", offer_id=f"offer-{name}") for name in ("old", "new"))
    had = {"rule_id": "old", "offer_id": "offer-old", "is_control": False}
    gets = {"rule_id": "new", "offer_id": "offer-new", "is_control": False}
    lost = {"rule_id": "old", "reason_code": "LOST_EXCLUSIVITY"}

    found = google.execute(
        moves([old, new], "`p.d.planned`", "`p.d.published`"),
        {
            "p.d.planned": [{"account_id": "a1", "offers": [gets], "decisions": [lost]}],
            "p.d.published": [{"account_id": "a1", "offers": [had], "decisions": []}],
        },
    )

    assert found == [
        {
            "rule_id": "old", "offer_id": "offer-old", "because": "LOST_EXCLUSIVITY",
            "to_rule_id": "new", "to_offer_id": "offer-new", "is_control": False, "accounts": 1,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select idd from `p`.`d`.`t`", "Unrecognized name: idd"),
        ("select id from `p`.`d`.`u`", "Table not found: `p.d.u`"),
        ("select id + amount from `p`.`d`.`t`", "No matching signature for operator +"),
        ("select id from `p`.`d`.`t` where day = amount", "No matching signature for operator ="),
        ("select if(id = 'a', day, amount) from `p`.`d`.`t`", "No matching signature for function IF"),
        ("select id, sum(amount) from `p`.`d`.`t`", "neither grouped nor aggregated"),
        ("select list_sort([1, 2])", "Function not found: list_sort"),
    ],
)
def test_what_is_not_googlesql_does_not_resolve(small: GoogleSql, sql: str, reason: str) -> None:
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as error:
        small.resolve(sql)

    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("where", "is_pruned"),
    [
        ("where day = date '2026-03-01'", True),
        ("where day between date '2026-03-01' and date_add(date '2026-03-01', interval 3 day)", True),
        ("where day in (date '2026-03-01', date '2026-03-02') and id = 'a'", True),
        ("where date '2026-03-01' <= day", True),
        ("", False),
        ("where id = 'a'", False),
        ("where day = date '2026-03-01' or id = 'a'", False),
        ("where date_add(day, interval 1 day) = date '2026-03-01'", False),
        ("where day = (select max(day) from `p.d.t` where day = date '2026-03-01')", False),
        ("where day = date(id)", False),
    ],
)
def test_only_a_comparison_of_the_partition_column_with_constants_prunes(
    small: GoogleSql, where: str, is_pruned: bool
) -> None:
    scans = scans_of(small.resolve(f"select id from `p`.`d`.`t` {where}"), {"p.d.t": "day"})

    assert is_pruned in {scan.is_pruned for scan in scans if scan.table == "p.d.t"}


@pytest.mark.parametrize(
    ("where", "since"),
    [
        ("day = date '2026-03-01'", date(2026, 3, 1)),
        ("day between date '2020-01-01' and date '2026-03-01'", date(2020, 1, 1)),
        ("day >= date '2026-03-01' and day >= date '2026-02-01'", date(2026, 3, 1)),
        ("date '2026-03-01' < day", date(2026, 3, 1)),
        ("day <= date '2026-03-01'", None),
        ("date '2026-03-01' >= day", None),
    ],
)
def test_a_scan_begins_with_the_least_day_that_its_constants_allow(
    small: GoogleSql, where: str, since: date | None
) -> None:
    scans = scans_of(small.resolve(f"select id from `p`.`d`.`t` where {where}"), {"p.d.t": "day"})

    assert scans == [Scan("p.d.t", True, since)]


def test_the_condition_of_an_outer_join_does_not_prune_the_side_that_it_keeps(small: GoogleSql) -> None:
    joined = """select 1 from `p.d.t` as kept left join `p.d.t` as other
        on kept.id = other.id and {0}.day = date '2026-03-01' where {1}.day = date '2026-03-01'"""

    def pruned(on: str, where: str) -> list[bool]:
        scans = scans_of(small.resolve(joined.format(on, where)), {"p.d.t": "day"})
        return [scan.is_pruned for scan in scans]

    assert pruned("other", "kept") == [True, True]
    assert pruned("kept", "other") == [False, True]


def test_a_resolved_statement_is_read_as_the_package_reads_it(
    small: GoogleSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an eighth of the time, by ``tests/compiled_zetasql.py``."""
    ours, answers = local_service.parse_proto, []
    monkeypatch.setattr(local_service, "parse_proto", lambda answer: answers.append(answer) or ours(answer))
    small.resolve("""
        with kept as (select id, day, sum(amount) over (partition by id order by day) as amount from `p.d.t`)
        select kept.id, array_agg(struct(kept.amount, other.day)) as days, array(select 1 union all select 2)
        from kept left join `p.d.t` as other on kept.id = other.id and other.day = date '2026-03-01'
        where exists (select 1 from unnest([1, 2]) as n where n = 1)
            and kept.day between other.day and '2026-03-02'
        group by 1 having count(*) > 1 order by 1 limit 3
    """)

    assert _parts(ours(answers[-1])) == _parts(parse_proto(answers[-1]))


def _parts(node: Any) -> Any:
    """A node with all that is below it, whatever keeps it."""
    if isinstance(node, ProtoModel):
        return type(node).__name__, {name: _parts(part) for name, part in vars(node).items()}
    if isinstance(node, str | bytes | int | float | None):
        return node
    return [_parts(part) for part in node]


def test_arrays_and_structs_are_compared_field_by_field(small: GoogleSql) -> None:
    [(_, kind)] = columns_of(
        small.resolve("select array_agg(struct(id as offer_id, amount)) as a from `p.d.t`")
    )

    assert written(kind) == "ARRAY<STRUCT<offer_id STRING, amount NUMERIC>>"
    assert declared("array<struct<offer_id string, amount numeric(38, 9)>>") == written(kind)
    assert declared("array<struct<offer_id string, amount int64>>") != written(kind)


def test_rows_of_every_type_reach_the_reference_implementation(small: GoogleSql) -> None:
    google = GoogleSql()
    kinds = "array<struct<name string, score float64>>[]"
    google.tables["p.d.u"] = columns_of(
        small.resolve(
            f"select id, day, amount, true as flag, 1 as n, timestamp(day) as moment, {kinds} as parts, "
            "json '{}' as document from `p.d.t`"
        )
    )
    row = {
        "id": "a'\"\\", "day": "2026-03-01", "amount": "1.50", "flag": True, "n": 7,
        "moment": "2026-03-01 10:00:00+00:00", "parts": [{"name": "x", "score": 0.5}], "document": {"k": [1]},
    }  # fmt: skip

    found = google.execute("select * from `p`.`d`.`u`", {"p.d.u": [row, {}]})

    assert [comparable(each) for each in found] == [
        {
            "id": "a'\"\\", "day": "2026-03-01", "amount": "1.5", "flag": True, "n": "7",
            "moment": "2026-03-01T10:00:00Z", "parts": [{"name": "x", "score": "0.5"}],
            "document": {"k": ["1"]},
        },
        dict.fromkeys(("id", "day", "amount", "flag", "n", "moment", "document")) | {"parts": []},
    ]  # fmt: skip
    assert literal(None, google.tables["p.d.u"][0][1]) == "null"


def test_the_questions_of_the_page_are_bigquery_sql(project: Project) -> None:
    assert project.resolved
    dataset = f"{project.warehouse.settings.project_id}.audit_20260305"
    arrays = {field.name: f"ARRAY<{field.field_type}>" for field in SCHEMA if field.mode == "REPEATED"}
    project.google.declare(f"{dataset}.{MART}", {field.name: field.field_type for field in SCHEMA} | arrays)

    for question in questions(PAGE.read_text(encoding="utf-8")):
        assert question.answer is not None
        sql = re.sub(r"marts\.(\w+)", rf"`{dataset}.\1`", question.sql)
        columns = columns_of(project.google.resolve(sql))
        assert [name for name, _ in columns] == question.answer.columns, question.name
