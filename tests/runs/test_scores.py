"""A model in use scores a run's days when their features are built, before scores decide anything."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import numpy as np
import pytest

from loaders.objects.folder import FolderStore
from loaders.objects.store import ObjectStoreError
from loaders.scoring.registry import record
from loaders.scoring.scored import ScoredDay, scored_until
from loaders.warehouse.client import warehouse_of
from runs.building import build, score
from runs.dbt import build as build_models
from runs.outcome import StepOutcome
from runs.publish import publish
from runs.published import published_marts
from runs.scores import Plan, awaits_scores, score_days
from runs.steps import asked, land
from scoring.model import Model
from scoring.registry import DecisionKind, ModelDecision
from segue.settings import Settings
from segue.window import DAY, RunWindow
from tests.judged import let_through
from tests.runbook.steps import says, segue, step
from tests.scoring.made_up import declaration, trained

FAILED = (
    "segue query \"select run_date, table_name, detail from ops.run_ledger where step = 'score' "
    "and json_value(detail, '$.failed') is not null order by run_date desc\""
)
FIRST, SECOND, THIRD, FOURTH, FIFTH = (date(2026, 3, day) for day in (1, 2, 3, 4, 5))
TENURE = {"young": 20, "old": 300, "tested": 20, "erases": 20, "withdrawn": 20}
"""Days since each account was created, on the second day."""


@dataclass(frozen=True)
class Company:
    """Five accounts without subscriptions; the model is in use from the second day on."""

    settings: Settings
    model: Model
    artifact: Path
    second: StepOutcome
    """What the step said of the first two days."""
    window: RunWindow
    before: set[str]
    """What was built before the step."""

    def points(self, account: str, day: date) -> int:
        tenure = TENURE[account] + (day - SECOND).days
        return round(float(self.model.scores(np.array([[float(tenure)]]))[0]) * 10_000)

    def scores(self, day: date, dataset: str = "marts") -> list[tuple[str, list[tuple[str, int, date]]]]:
        """Accounts that have scores on a day, and which."""
        rows = warehouse_of(self.settings).run(
            f"select account_id, model_scores from {dataset}.fct_account_features "
            f"where feature_date = date '{day}' and array_length(model_scores) > 0 order by account_id"
        )
        return [
            (
                row.account_id,
                [(each["model"], each["score_points"], each["scored_date"]) for each in row.model_scores],
            )
            for row in rows
        ]

    def of_ledger(self, day: date) -> list[tuple[str, int, object]]:
        rows = warehouse_of(self.settings).run(
            "select table_name, rows_out, detail from ops.run_ledger where step = 'score' "
            f"and run_date = date '{day}' order by finished_at"
        )
        return [(row.table_name, row.rows_out, json.loads(row.detail).get("failed")) for row in rows]

    def features_built(self, day: date) -> RunWindow:
        window = land(self.settings, asked(self.settings, day, day)).window.new_attempt(self.settings, "")
        build_models(self.settings, window, ["+int_account_features", "stg_scoring__scores"])
        return window

    def published(self, window: RunWindow) -> None:
        build_models(self.settings, window, ["int_account_scores", "fct_account_features"])
        wanted = [
            each
            for each in published_marts(self.settings.dbt_manifest)
            if each.kind == "arrivals" or each.name == "fct_account_features"
        ]
        build_models(self.settings, window, [f"+{each.name}" for each in wanted if each.kind == "arrivals"])
        let_through(self.settings, window, wanted)
        publish(self.settings, window, wanted)


def deliver(settings: Settings, table: str, day: date, *rows: dict[str, object]) -> None:
    folder = Path(urlparse(settings.landing_files_root).path) / table / str(day)
    folder.mkdir(parents=True, exist_ok=True)
    arrived = {"ingested_at": f"{day}T13:00:00Z"}
    (folder / "rows.ndjson").write_text("".join(json.dumps(arrived | row) + "\n" for row in rows))


def account(name: str) -> dict[str, object]:
    return {
        "account_id": name, "created_at": f"{SECOND - DAY * TENURE[name]}T00:00:00Z", "market": "SE",
        "locale": "sv", "is_test": name == "tested", "is_employee": False,
    }  # fmt: skip


@pytest.fixture(scope="module")
def company(dbt_world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Company:
    settings = dbt_world("scores", models_uri=str(tmp_path_factory.mktemp("models")))
    deliver(settings, "accounts", FIRST, *map(account, TENURE))
    deliver(
        settings, "consents", FIRST,
        {"account_id": "withdrawn", "purpose": "personalisation", "granted": False,
         "occurred_at": f"{FIRST}T12:00:00Z"},
    )  # fmt: skip
    deliver(settings, "scores", SECOND, {
        "model": "winback_propensity", "account_id": "old", "score": 0.25, "scored_at": f"{SECOND}T03:00:00Z",
    })  # fmt: skip
    (Path(urlparse(settings.landing_files_root).path) / "scores" / str(SECOND) / "_manifest.json").write_text(
        manifest(settings)
    )
    for day in (THIRD, FOURTH, FIFTH):
        deliver(settings, "accounts", day)
    deliver(settings, "scores", FOURTH, {
        "model": "trial_propensity", "account_id": "a stranger", "score": 0.5,
        "scored_at": f"{FOURTH}T03:00:00Z",
    })  # fmt: skip
    gone = {"request_id": "r1", "account_id": "erases", "requested_at": f"{FOURTH}T09:00:00Z"}
    deliver(settings, "deletion_requests", FOURTH, gone)
    model, path = trained(Path(settings.models_root), declaration())
    record(warehouse_of(settings), [decided(path, "promoted", SECOND)])
    landed = land(settings, asked(settings, FIRST, SECOND)).window
    built = build(settings, landed)
    before = warehouse_of(settings).table_names(built.window.audit_dataset)
    scored = score(settings, built.window)
    let_through(settings, scored.window)
    publish(settings, scored.window)
    return Company(settings, model, path, scored, built.window, before)


def decided(artifact: Path, decision: DecisionKind, day: date, hour: int = 6) -> ModelDecision:
    """A decision about the model, of the morning after the day."""
    return ModelDecision(
        model="trial_propensity", version=3, artifact=artifact.name, artifact_uri=artifact.as_uri(),
        decision=decision, reasons=("because",), day=day,
        decided_at=datetime.combine(day + DAY, time(hour), UTC), decided_by="a test",
    )  # fmt: skip


def manifest(settings: Settings) -> str:
    file = Path(urlparse(settings.landing_files_root).path) / "scores" / str(SECOND) / "rows.ndjson"
    content = file.read_bytes()
    return json.dumps(
        {"files": [{"name": file.name, "rows": 1, "sha256": hashlib.sha256(content).hexdigest()}]}
    )


def test_the_population_has_scores_of_the_day_and_nobody_else_has(company: Company) -> None:
    assert company.second.lines() == ["trial_propensity 3: 3 scores of 1 day(s)"]
    assert company.scores(FIRST) == []
    assert company.scores(SECOND) == [
        ("erases", [("trial_propensity", company.points("erases", SECOND), SECOND)]),
        (
            "old",
            [
                ("trial_propensity", company.points("old", SECOND), SECOND),
                ("winback_propensity", 2_500, SECOND),
            ],
        ),
        ("young", [("trial_propensity", company.points("young", SECOND), SECOND)]),
    ]
    assert company.points("young", SECOND) > 5_000 > company.points("old", SECOND)


def test_rows_land_by_the_contract_with_the_version_that_scored(company: Company) -> None:
    rows = warehouse_of(company.settings).run(
        "select account_id, model_version, scored_at, ingested_at from raw.scores "
        "where model = 'trial_propensity' order by account_id"
    )
    end = datetime(2026, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC)
    assert [tuple(row.values()) for row in rows] == [
        (name, 3, end, end) for name in ("erases", "old", "young")
    ]
    assert company.of_ledger(SECOND) == [("trial_propensity", 3, None)]


def test_the_ledger_says_for_how_many_days_scores_may_decide(company: Company) -> None:
    assert scored_until(warehouse_of(company.settings), SECOND, since=SECOND) == {
        "trial_propensity": {SECOND: ScoredDay(company.artifact.name, max_age_days=14)}
    }


def test_what_reads_scores_is_built_after_them(company: Company) -> None:
    assert company.window.awaits_scores
    assert "int_account_features" in company.before
    assert company.before.isdisjoint(
        {"int_account_scores", "fct_account_features", "offer_decisions", "offer_segments"}
    )


def test_days_that_could_not_be_scored_keep_earlier_scores_and_it_is_told(
    company: Company, tmp_path: Path
) -> None:
    """When the model is back it scores the day, and whoever has left its population has no score."""
    window = company.features_built(THIRD)
    kept = company.artifact.with_name("elsewhere")
    shutil.move(company.artifact, kept)
    # A worker that has no copy of the model.
    elsewhere = {"state_dir": tmp_path, "dbt_parsed_dir": company.settings.dbt_target_dir}
    told = score_days(company.settings.model_copy(update=elsewhere), window)
    shutil.move(kept, company.artifact)
    company.published(window)

    [warning] = told.warnings
    assert warning.startswith("trial_propensity 3 did not score 2026-03-03..2026-03-03")
    assert company.of_ledger(THIRD)[0][:2] == ("trial_propensity", 0)
    assert company.scores(THIRD) == company.scores(SECOND)

    # Published is published: it is not scored later, whatever comes.
    assert not awaits_scores(company.settings, window)

    window = company.features_built(FOURTH)
    assert [each.days for each in Plan.read(company.settings, window).scorings] == [(FOURTH,)]
    [warning] = score_days(company.settings, window).warnings
    # Somebody delivers scores by the same name.
    assert warning == (
        "trial_propensity is scored by a model of the platform's and delivered by others too, in "
        f"scores/{FOURTH}/rows.ndjson: of an account's two scores the newer counts. Theirs need another name"
    )
    company.published(window)
    found = dict(company.scores(FOURTH))
    assert found.keys() == {"old", "young"}
    assert found["young"] == [("trial_propensity", company.points("young", FOURTH), FOURTH)]


def test_a_day_that_is_built_again_has_the_scores_that_it_had(company: Company) -> None:
    before = company.scores(SECOND)
    window = company.features_built(SECOND)

    assert not awaits_scores(company.settings, window)
    company.published(window)
    assert company.scores(SECOND) == before


@pytest.fixture(scope="module")
def fifth(company: Company) -> RunWindow:
    return company.features_built(FIFTH)


def test_nothing_is_begun_when_no_time_is_left(company: Company, fifth: RunWindow) -> None:
    told = score_days(company.settings.model_copy(update={"score_deadline_seconds": 0.000_001}), fifth)

    [warning] = told.warnings
    assert warning.endswith("scoring: trial_propensity 3: not done within 0 s")
    assert "scoring_trial_propensity" not in warehouse_of(company.settings).table_names(fifth.audit_dataset)

    newest, *_ = json.loads(segue(company.settings, [*step("scoring", FAILED), "--format", "json"]))
    assert (newest["run_date"], newest["table_name"]) == (str(FIFTH), "trial_propensity")
    says("scoring", "Not done within so many seconds: raise `SEGUE_SCORE_DEADLINE_SECONDS`")
    assert score_days(company.settings, fifth).lines == ("trial_propensity 3: 2 scores of 1 day(s)",)


def test_trees_that_bigquery_does_not_take_are_scored_by_workers(
    company: Company, fifth: RunWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.sql.LONGEST", 500)
    told = score_days(company.settings.model_copy(update={"score_in": "bigquery"}), fifth)

    [warning] = told.warnings
    assert "trees_too_large: " in warning
    assert str(company.of_ledger(FIFTH)[-1][2]).startswith("trees_too_large: ")

    says("trees_too_large", "Set `SEGUE_SCORE_IN=workers`")
    workers = company.settings.model_copy(update={"score_in": "workers"})
    assert score_days(workers, fifth).lines == ("trial_propensity 3: 2 scores of 1 day(s)",)


def test_nothing_lands_of_a_model_that_failed_beside_one_that_did_not(
    company: Company, fifth: RunWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was there when the write failed: half of a day's scores would take the others' place."""
    record(warehouse_of(company.settings), [decided(company.artifact, "shadow", FIFTH)])
    folder = Path(urlparse(company.settings.landing_files_root).path) / "scores" / str(FIFTH)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "segue_of_a_try_that_died.0000.parquet").write_bytes(b"")
    write = FolderStore.write

    def answer_lost(store: FolderStore, name: str, content: bytes | IO[bytes], **more: Any) -> int:
        generation = write(store, name, content, **more)
        if "__shadow" in name:
            raise ObjectStoreError(f"{name}: no answer")
        return generation

    monkeypatch.setattr(FolderStore, "write", answer_lost)
    told = score_days(company.settings, fifth)
    monkeypatch.undo()

    assert told.lines == ("trial_propensity 3: 2 scores of 1 day(s)",)
    [warning] = told.warnings
    assert warning.startswith("trial_propensity__shadow 3 did not score 2026-03-05..2026-03-05")
    assert [path.name for path in sorted(folder.iterdir())] == ["segue_trial_propensity.0000.parquet"]
    rows = warehouse_of(company.settings).run(
        f"select model, count(*) as n from raw.scores where arrival_date = date '{FIFTH}' group by model"
    )
    assert [tuple(row.values()) for row in rows] == [("trial_propensity", 2)]


def test_scores_of_a_model_that_was_retired_decide_nothing_any_more(
    company: Company, fifth: RunWindow
) -> None:
    """Not even where the day was scored, this morning, before somebody decided."""
    before = company.scores(FOURTH)
    record(warehouse_of(company.settings), [decided(company.artifact, "retired", FIFTH, hour=7)])
    assert awaits_scores(company.settings, fifth)

    told = score_days(company.settings, fifth)
    company.published(fifth)

    assert told.lines == ("trial_propensity 3: its scores end on 2026-03-05",)
    assert company.scores(FIFTH) == [("old", [("winback_propensity", 2_500, SECOND)])]
    assert company.scores(FOURTH) == before
    assert not awaits_scores(company.settings, fifth)
