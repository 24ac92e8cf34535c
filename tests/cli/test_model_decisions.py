"""``segue models list|show|promote|retire|rollback``: what they print, and what their exit codes say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import app
from loaders.scoring.registry import record
from loaders.warehouse.client import warehouse_of
from scoring.registry import DecisionKind, ModelDecision
from segue.settings import Settings
from tests.pages import typed
from tests.runs.scored_days import scored_in_shadow

PAGE = "docs/models.md"
LIST = "segue models list"
SHOW = "segue models show trial_propensity"
PROMOTE = 'segue models promote trial_propensity 82397766c92e --reason "the campaign needs the newer days"'
RETIRE = 'segue models retire trial_propensity --reason "the offer is over"'
ROLLBACK = 'segue models rollback trial_propensity --reason "complaints since Tuesday"'
CHURN_RISK = {"trial_propensity": "churn_risk"}


def decided(day: int, kind: DecisionKind, artifact: str, reason: str) -> ModelDecision:
    return ModelDecision(
        model="churn_risk",
        version=1,
        artifact=artifact,
        artifact_uri=f"gs://models/churn_risk/{artifact}",
        decision=kind,
        reasons=(reason,),
        day=date(2026, 3, day),
        decided_at=datetime(2026, 3, day, 9, tzinfo=UTC),
        decided_by="train_models",
        metrics={"auc": 0.71},
        data_digest="cd" * 32,
    )


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    found = world("model_commands")
    history = [
        decided(1, "promoted", "ab" * 32, "is better than prevalence"),
        decided(8, "shadow", "cd" * 32, "is better than the model in use"),
        replace(decided(3, "promoted", "ef" * 32, "was the best"), model="winback"),
    ]
    record(warehouse_of(found), history)
    scored_in_shadow(found, history[1], date(2026, 3, 9), date(2026, 3, 10))
    return found


@pytest.fixture
def models(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)

    def invoke(*arguments: str) -> Result:
        return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(arguments))

    return invoke


def test_what_is_in_use_and_in_shadow_is_listed_as_of_a_day(models: Callable[..., Result]) -> None:
    rows: list[dict[str, Any]] = json.loads(
        models(*typed(PAGE, LIST), "--day", "2026-03-10", "--json").stdout
    )

    assert [each["name"] for each in rows] == [
        "churn_risk",
        "trial_offer_uplift",
        "trial_propensity",
        "winback",
    ]
    assert rows[0] == {
        "name": "churn_risk",
        "version": 2,
        "kind": "propensity",
        "owner": "retention",
        "predicts": "ceases to pay for anything within 30 days",
        "in_use": {
            "version": 1,
            "artifact": "ab" * 32,
            "uri": f"gs://models/churn_risk/{'ab' * 32}",
            "since": "2026-03-01",
        },
        "in_shadow": {
            "version": 1,
            "artifact": "cd" * 32,
            "uri": f"gs://models/churn_risk/{'cd' * 32}",
            "since": "2026-03-08",
        },
        "shadow_days": 2,
        "asked_shadow_days": 7,
    }
    assert (rows[1]["in_use"], rows[1]["shadow_days"]) == (None, None)
    shown = models(*typed(PAGE, LIST), "--day", "2026-03-10").stdout
    assert "abababababab v1" in shown
    assert "2 of 7 days" in shown


def test_decisions_are_shown_newest_first_with_their_reasons(models: Callable[..., Result]) -> None:
    show = [*typed(PAGE, SHOW, CHURN_RISK), "--day", "2026-03-10"]
    found = json.loads(models(*show, "--json").stdout)

    assert found["declared"]["target"] == {"event": "churned", "within_days": 30}
    assert [(each["day"], each["decision"]) for each in found["decisions"]] == [
        ("2026-03-08", "shadow"), ("2026-03-01", "promoted"),
    ]  # fmt: skip
    shown = models(*show).stdout
    assert shown.index("is better than the model in use") < shown.index("is better than prevalence")
    assert "nothing was decided about it yet" in models(*typed(PAGE, SHOW)).stdout


def test_what_scores_though_its_file_is_gone_is_listed_and_shown(models: Callable[..., Result]) -> None:
    day = ["--day", "2026-03-10"]
    *_, row = json.loads(models("models", "list", *day, "--json").stdout)
    shown = models("models", "show", "winback", *day)

    assert (row["name"], row["version"], row["in_use"]["artifact"]) == ("winback", None, "ef" * 32)
    assert "declared no more" in models("models", "list", *day).stdout
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("winback: declared no more")
    assert json.loads(models("models", "show", "winback", *day, "--json").stdout)["declared"] is None


def test_a_decision_says_what_is_in_use_from_then_on(models: Callable[..., Result]) -> None:
    retire = typed(PAGE, RETIRE, CHURN_RISK)
    result = models(*retire, "--day", "2026-03-12", "--by", "kim")

    assert result.exit_code == 0, result.output
    assert result.stdout == ("churn_risk abababababab is retired; in use from the end of 2026-03-12 on: –\n")
    newest = json.loads(models(*typed(PAGE, SHOW, CHURN_RISK), "--json").stdout)["decisions"][0]
    assert (newest["decision"], newest["reasons"], newest["decided_by"]) == (
        "retired", ["the offer is over"], "kim",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (typed(PAGE, SHOW, {"trial_propensity": "household_size"}), 3),
        (typed(PAGE, PROMOTE, CHURN_RISK), 3),
        ([*typed(PAGE, RETIRE, CHURN_RISK), "--day", "2026-03-02"], 2),
        (typed(PAGE, ROLLBACK), 3),
        (["models", "retire", "churn_risk"], 2),
    ],
)
def test_what_cannot_be_has_its_exit_code(
    models: Callable[..., Result], arguments: list[str], exit_code: int
) -> None:
    assert models(*arguments).exit_code == exit_code
