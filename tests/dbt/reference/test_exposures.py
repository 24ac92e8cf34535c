"""Exposures of random histories: the model and a walk without SQL find the same units.

Only the model itself is built, over literal rows of what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from experiments.compiler import BUCKETS
from experiments.registry import load
from loaders.warehouse.client import warehouse_of
from segments.source import load_rules
from segue.settings import Settings
from segue.window import RunWindow
from tests.dbt.compiled_project import CompiledProject, compile_project
from tests.dbt.reference.exposures import DAY, Arms, Log, exposures

START, END, AS_OF = date(2026, 10, 10), date(2026, 10, 12), date(2026, 10, 13)
BATCHES, ACCOUNTS, SHOWN = 6, 60, 3

Row = dict[str, Any]


def _declared() -> list[Arms]:
    found = []
    for each in load().experiments.values():
        upto, end = {}, 0
        for variant in each.variants:
            end += round(variant.percent * BUCKETS / 100)
            upto[variant.name] = end
        if each.start <= END and each.end >= START - 90 * DAY:
            found.append(
                Arms(each.id, each.version, each.salt, each.control, upto, each.start, each.end, each.rule)
            )
    return found


def _standing() -> list[Arms]:
    book, term = load_rules(), load().holdouts
    assert term is not None
    program = book.program.global_holdout
    drawn: list[tuple[str | None, str, int]] = [(None, program.salt, program.buckets)]
    drawn += [(rule.id, rule.holdout_salt, rule.holdout.local_buckets) for rule in book.active]
    return [
        Arms(
            f"holdout-{rule or 'global'}",
            term.version,
            salt,
            "held_out",
            {"held_out": buckets, "served": BUCKETS},
            term.start,
            term.end,
            rule,
        )
        for rule, salt, buckets in drawn
        if buckets
    ]


EXPERIMENTS = [*_declared(), *_standing()]
IDS = [each.id for each in EXPERIMENTS]
OFFERS = ("offer-a", "offer-b")

TIMES = st.builds(
    lambda day, minute: (
        datetime.combine(date(2026, 8, 25) + day * DAY, time(), UTC) + timedelta(minutes=minute)
    ),
    st.integers(0, 50),
    # Few minutes, so that two things happen at once.
    st.sampled_from([0, 1, 719, 1439]),
)


@st.composite
def histories(draw: st.DrawFn, logs_controls: bool, prefix: str) -> tuple[list[Row], list[Row], list[Row]]:
    """What happens to one account, which may belong to one experiment or none: seen, decided, taken."""
    experiment = draw(st.sampled_from(EXPERIMENTS))
    arms = [*experiment.upto, "mistake", None]
    # Most of the time the arm that was drawn, so that most accounts are clean.
    drawn = experiment.drawn(prefix)
    arm = st.one_of(st.just(drawn), st.just(drawn), st.sampled_from(arms))
    impressions = []
    for place, at in enumerate(draw(st.lists(TIMES, max_size=4))):
        variant = draw(arm)
        is_control = variant == experiment.control
        if is_control and not logs_controls:
            continue
        row = {
            "arrival_date": at.date() + draw(st.integers(0, 2)) * DAY,
            "impression_id": f"{prefix}-{place}", "experiment_id": experiment.id, "variant": variant,
            "account_id": prefix, "offer_id": draw(st.sampled_from(OFFERS)), "surface": "home",
            "rule_id": experiment.rule, "decision_id": f"d-{prefix}-{place}", "generation": 7 + place,
            "is_shown": not is_control, "occurred_at": at,
        }  # fmt: skip
        impressions += [row] * (1 if draw(st.integers(0, 4)) else 2)
    days = draw(st.lists(st.integers(0, 60), max_size=4, unique=True))
    decisions = []
    for day in days:
        variant = draw(arm) or drawn
        decisions.append({
            "decision_date": date(2026, 8, 20) + day * DAY, "experiment_id": experiment.id,
            "account_id": prefix, "variant": variant, "is_held_back": variant == experiment.control,
            "rule_id": experiment.rule, "offer_id": draw(st.sampled_from(OFFERS)), "market": "SE",
        })  # fmt: skip
    takings = [
        {"account_id": prefix, "offer_id": draw(st.sampled_from(OFFERS)), "occurred_at": at,
         "event_type": draw(st.sampled_from(["checkout", "trial_started", "started"]))}
        for at in draw(st.lists(TIMES, max_size=1))
    ]  # fmt: skip
    return impressions, decisions, takings


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Some accounts: known, unknown, set apart, and merged into the one before."""
    numbers = range(ACCOUNTS)
    logs_controls = draw(st.booleans())
    parts = [draw(histories(logs_controls=logs_controls, prefix=f"a{number}")) for number in numbers]
    kinds = [draw(st.sampled_from(["plain"] * 6 + ["test", "unknown", "merged"])) for _ in numbers]
    names = [f"a{number}" for number in numbers]
    survivors = {
        name: names[place - 1]
        for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
        if kind == "merged" and place and kinds[place - 1] == "plain"
    }
    # Decisions are of known accounts that nobody has merged away.
    decides = {
        name
        for name, kind in zip(names, kinds, strict=True)
        if kind in ("plain", "merged") and name not in survivors
    }
    return Log(
        impressions=[row for part in parts for row in part[0] if row["arrival_date"] <= AS_OF],
        decisions=[
            row
            for part in parts
            for row in part[1]
            if row["account_id"] in decides and row["decision_date"] <= AS_OF
        ],
        takings=[row for part in parts for row in part[2] if row["occurred_at"].date() <= AS_OF],
        survivors=survivors,
        set_apart=frozenset(name for name, kind in zip(names, kinds, strict=True) if kind == "test"),
        markets={name: "SE" for name, kind in zip(names, kinds, strict=True) if kind != "unknown"},
    )


SCHEMAS: dict[str, list[tuple[str, pa.DataType]]] = {
    "int_experiment_impressions": [
        ("arrival_date", pa.date32()), ("impression_id", pa.string()), ("experiment_id", pa.string()),
        ("variant", pa.string()), ("account_id", pa.string()), ("offer_id", pa.string()),
        ("surface", pa.string()), ("rule_id", pa.string()), ("decision_id", pa.string()),
        ("generation", pa.int64()), ("is_shown", pa.bool_()),
        ("occurred_at", pa.timestamp("us", tz="UTC")),
    ],
    "fct_experiment_decision": [
        ("decision_date", pa.date32()), ("experiment_id", pa.string()), ("account_id", pa.string()),
        ("variant", pa.string()), ("is_held_back", pa.bool_()), ("rule_id", pa.string()),
        ("offer_id", pa.string()), ("market", pa.string()),
    ],
    "int_account_versions": [
        ("account_id", pa.string()), ("resolved_account_id", pa.string()), ("resolved_market", pa.string()),
        ("is_resolved_test_account", pa.bool_()), ("valid_from_date", pa.date32()),
        ("valid_to_date", pa.date32()),
    ],
    "int_subscription_events": [
        ("arrival_date", pa.date32()), ("account_id", pa.string()), ("offer_id", pa.string()),
        ("event_type", pa.string()), ("occurred_at", pa.timestamp("us", tz="UTC")),
    ],
    "stg_merchandising__completed_checkouts": [
        ("account_id", pa.string()), ("offer_id", pa.string()),
        ("occurred_at", pa.timestamp("us", tz="UTC")),
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The compiled model, run over literal rows of what it reads."""

    project: CompiledProject
    numbers: Any

    def __repr__(self) -> str:
        return "the model"

    def rows(self, log: Log) -> list[Row]:
        """What it makes of a log."""
        warehouse = warehouse_of(self.project.settings)
        dataset = f"exposures_{next(self.numbers)}"
        warehouse.ensure_dataset(dataset)
        for table, rows in _tables(log).items():
            self._write(f"{warehouse.settings.project_id}.{dataset}.{table}", rows, SCHEMAS[table])
        code = self.project.models["int_experiment_exposures"]["compiled_code"]
        code = code.replace(f"`.`{self.project.audit_dataset}`.`", f"`.`{dataset}`.`")
        # All days are in both: each has to be read from one.
        code = code.replace(f"`.`{warehouse.settings.marts_dataset}`.`", f"`.`{dataset}`.`")
        found = [dict(row) for row in warehouse.run(code)]
        warehouse.drop_dataset(dataset)
        return found

    def _write(self, table_id: str, rows: Sequence[Row], columns: list[tuple[str, pa.DataType]]) -> None:
        warehouse = warehouse_of(self.project.settings)
        schema = pa.schema(columns)
        kinds = {pa.string(): "STRING", pa.date32(): "DATE", pa.bool_(): "BOOL", pa.int64(): "INT64"}
        fields = [bigquery.SchemaField(name, kinds.get(kind, "TIMESTAMP")) for name, kind in columns]
        warehouse.ensure_table(table_id, fields)
        if not rows:
            return
        table = pa.table({name: [row.get(name) for row in rows] for name in schema.names}, schema=schema)
        file = f"{table_id.rsplit('.', 2)[1]}_{table_id.rsplit('.', 1)[1]}.parquet"
        pq.write_table(table, Path(self.project.settings.landing_files_root) / file)
        warehouse.client.load_table_from_uri(
            f"{self.project.settings.landing_uri}/{file}",
            table_id,
            job_config=bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.PARQUET, write_disposition="WRITE_APPEND"
            ),
        ).result()


def _tables(log: Log) -> dict[str, list[Row]]:
    openings = [row for row in log.takings if row["event_type"] != "checkout"]
    return {
        "int_experiment_impressions": list(log.impressions),
        "fct_experiment_decision": list(log.decisions),
        "int_account_versions": [
            {
                "account_id": name,
                "resolved_account_id": log.survivors.get(name, name),
                "resolved_market": market,
                "is_resolved_test_account": log.survivors.get(name, name) in log.set_apart,
                "valid_from_date": date(1, 1, 1),
                "valid_to_date": date(9999, 12, 31),
            }
            for name, market in log.markets.items()
        ],
        "int_subscription_events": [row | {"arrival_date": row["occurred_at"].date()} for row in openings],
        "stg_merchandising__completed_checkouts": [row for row in log.takings if row not in openings],
    }


@pytest.fixture(scope="module")
def model(dbt_world: Callable[..., Settings]) -> Model:
    world = dbt_world("exposures", history_start_date=date(2026, 1, 1))
    window = RunWindow.whole(world, START, END, AS_OF)
    earlier = window.history.model_copy(update={"published_marts": ("fct_experiment_decision",)})
    return Model(compile_project(world, window.model_copy(update={"history": earlier})), count())


def by_unit(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    units = {(row["experiment_id"], row["account_id"]): row for row in rows}
    assert len(units) == len(rows)
    return units


@settings(
    max_examples=BATCHES,
    deadline=None,
    # An example is a whole log, of which a difference names the account.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(log=logs())
def test_the_model_finds_the_units_that_a_walk_over_each_account_finds(model: Model, log: Log) -> None:
    expected, found = by_unit(exposures(EXPERIMENTS, log, AS_OF)), by_unit(model.rows(log))
    differing = {
        unit: (found.get(unit), expected.get(unit))
        for unit in found.keys() | expected.keys()
        if found.get(unit) != expected.get(unit)
    }
    assert not differing, "\n".join(map(repr, list(differing.items())[:SHOWN]))


def seen(account_id: str, experiment: Arms, variant: str, at: str, **other: Any) -> Row:
    occurred_at = datetime.fromisoformat(at).replace(tzinfo=UTC)
    row = {
        "arrival_date": occurred_at.date(), "impression_id": f"{account_id} {at}",
        "experiment_id": experiment.id, "variant": variant, "account_id": account_id, "offer_id": "offer-a",
        "surface": "home", "rule_id": experiment.rule, "is_shown": True, "occurred_at": occurred_at,
    }  # fmt: skip
    return row | other


def test_without_no_shows_all_exposures_of_an_experiment_are_by_decision(model: Model) -> None:
    experiment = next(each for each in _declared() if each.rule)
    treatment = next(arm for arm in experiment.upto if arm != experiment.control)
    decisions = [
        {"decision_date": START, "experiment_id": experiment.id, "account_id": name, "variant": variant,
         "is_held_back": variant == experiment.control, "rule_id": experiment.rule, "offer_id": "offer-a",
         "market": "SE"}
        for name, variant in (("a1", treatment), ("a2", experiment.control), ("a3", treatment))
    ]  # fmt: skip
    shown = seen("a1", experiment, treatment, "2026-10-11 08:00")
    no_show = seen("a2", experiment, experiment.control, "2026-10-11 09:00", is_shown=False)
    markets = dict.fromkeys(("a1", "a2", "a3"), "SE")

    def units(*impressions: Row) -> list[tuple[str, str, str, str]]:
        rows = model.rows(Log(impressions=impressions, decisions=decisions, markets=markets))
        return sorted(
            (row["account_id"], row["variant"], row["exposure_source"], f"{row['exposed_at']:%d %H:%M}")
            for row in rows
        )

    assert units(shown) == [
        ("a1", treatment, "decision", "11 00:00"),
        ("a2", experiment.control, "decision", "11 00:00"),
        ("a3", treatment, "decision", "11 00:00"),
    ]
    # Now the surfaces log both arms: who was decided for and never came is no unit.
    assert units(shown, no_show) == [
        ("a1", treatment, "surface", "11 08:00"),
        ("a2", experiment.control, "surface", "11 09:00"),
    ]
