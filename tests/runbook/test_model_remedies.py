"""Models that cannot be trained, decided about or read: what the entries say until they can."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from loaders.scoring.registry import record
from loaders.warehouse.client import warehouse_of
from runs.training import train_each, train_on
from scoring.registry import ModelDecision
from segue.settings import Settings
from tests.runbook.steps import failing, says, segue, step
from tests.runs.published_features import features, publish_features
from tests.scoring.planted_examples import AS_OF, listeners, propensity

LIST, SHOW = "segue models list", "segue models show NAME"
NEXT = AS_OF + timedelta(days=1)
BY = "train_models"


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    found = world("runbook-models", models_uri=str(tmp_path_factory.mktemp("models")))
    publish_features(found, features(AS_OF))
    return found


def used(settings: Settings, name: str) -> ModelDecision:
    """A model that is in use from the end of ``AS_OF`` on."""
    [_, promoted] = train_on(settings, AS_OF, propensity(name=name, shadow_days=0), listeners(600).table, BY)
    assert promoted.decision == "promoted", promoted.reasons
    return promoted


def listed(settings: Settings, code: str, day: date = NEXT) -> dict[str, dict[str, Any]]:
    """What the entry of ``code`` has listed, by name."""
    shown = segue(settings, [*step(code, LIST), "--day", str(day), "--json"])
    return {each["name"]: each for each in json.loads(shown)}


def test_unknown_model(settings: Settings) -> None:
    with failing("unknown_model"):
        segue(settings, step("unknown_model", SHOW, {"NAME": "household_size"}))

    name, *_ = listed(settings, "unknown_model")
    segue(settings, step("unknown_model", SHOW, {"NAME": name}))


def test_model_decision(settings: Settings) -> None:
    used(settings, "decided")

    def decide(what: str, day: date) -> None:
        segue(settings, ["models", what, "decided", "--reason", "complaints", "--day", str(day)])

    with failing("model_decision"):
        decide("rollback", NEXT)
    assert listed(settings, "model_decision")["decided"]["in_use"]["since"] == str(AS_OF)
    says("model_decision", "`retire` where there is nothing to go back to")
    with failing("model_decision"):
        decide("retire", AS_OF - timedelta(days=1))

    says("model_decision", "Decide for the day that the message allows, with `--day`")
    decide("retire", NEXT)
    assert "decided" not in listed(settings, "model_decision")


def test_model_artifact(settings: Settings, tmp_path: Path) -> None:
    model = used(settings, "kept")
    folder, copy = Path(urlparse(model.artifact_uri).path), tmp_path / "copy"
    shutil.move(folder, copy)
    # a worker that has no copy of the model
    elsewhere = settings.model_copy(update={"state_dir": tmp_path / "state"})
    reason = ["--reason", "it is what we had", "--day", str(NEXT)]
    segue(settings, ["models", "retire", "kept", *reason])

    def promote() -> None:
        segue(elsewhere, ["models", "promote", "kept", model.artifact[:12], *reason])

    with failing("model_artifact"):
        promote()

    says("model_artifact", "Copy the whole folder again from where it was written, under its own name")
    shutil.copytree(copy, folder)
    promote()


def test_training(settings: Settings) -> None:
    """By what `segue models train` calls: its examples are made by dbt, of days that were published."""
    lost = ModelDecision(
        model="lost", version=1, artifact="ff" * 32, artifact_uri=f"{settings.models_uri}/lost/{'ff' * 32}",
        decision="promoted", reasons=("was the best",), day=AS_OF - timedelta(days=7),
        decided_at=datetime(2026, 3, 25, tzinfo=UTC), decided_by=BY,
    )  # fmt: skip
    record(warehouse_of(settings), [lost])
    models, table = [propensity(name="lost"), propensity(name="whole")], listeners(600).table

    def train() -> list[str]:
        found = train_each(settings, AS_OF, models, lambda _: table, BY)
        return [f"{each.model} {each.decision}" for each in found]

    with failing("training"):
        train()

    retire = step("training", "segue models retire NAME --reason …", {"NAME": "lost", "…": "it is lost"})
    segue(settings, [*retire, "--day", str(AS_OF)])
    says("training", "then `segue models train NAME`")
    assert train() == ["lost trained", "lost shadow"]
    assert train() == []
    shown = json.loads(segue(settings, [*step("training", SHOW, {"NAME": "lost"}), "--json"]))
    assert {each["day"] for each in shown["decisions"][:3]} == {str(AS_OF)}
