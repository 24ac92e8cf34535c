"""Models in use are measured against their training, say why accounts have their scores, and have a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import app
from loaders.scoring.artifacts import fetched, keep
from loaders.scoring.measures import newest_measures, replace_measures
from loaders.scoring.registry import record, states_on
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.erasures import record_erased, subject_hash
from loaders.warehouse.incidents import Incident, IncidentTable
from loaders.warehouse.ops import append_rows
from runs import model_watch
from runs.model_decisions import ModelDecisionError, promote
from runs.model_drift import measure_drift
from runs.model_pages import model_page
from runs.model_watch import is_over, watch
from runs.score_reasons import ScoreReasons, score_reasons
from runs.training import UnknownModelError, train_on
from scoring import artifact as artifacts
from scoring.artifact import ArtifactError
from scoring.columns import encoded
from scoring.declaration import ModelDeclaration
from scoring.registry import ModelDecision
from scoring.stability import Measure, blocking_reasons
from segments.steps import POINTS
from segue.settings import Settings
from tests.fast_clock import FastClock
from tests.html_page import HtmlPage, pictures
from tests.runbook.steps import says, segue, step
from tests.runs.published_features import features, publish_features
from tests.runs.scored_days import scored, scored_in_shadow
from tests.scoring.planted_examples import AS_OF, listeners, propensity

QUIET, LOUD = AS_OF + timedelta(days=1), AS_OF + timedelta(days=2)
"""A day like those of training, and one on which accounts stream half as much again."""


def in_use(warehouse: Warehouse, day: date) -> ModelDecision:
    used = states_on(warehouse, day)["trial_propensity"].in_use
    assert used is not None
    return used


def as_another(settings: Settings, used: ModelDecision, name: str, day: date) -> ModelDecision:
    """The model in use, declared and kept by another name."""
    found = fetched(settings, used)
    told = found.description
    folder = artifacts.write(
        settings.state_dir / "renamed", found.model, told.declared | {"name": name}, told.rows,
        told.data_digest, told.metrics, told.distribution, told.insights, told.window,
    )  # fmt: skip
    uri = keep(settings, folder, name)
    return replace(used, model=name, artifact=folder.name, artifact_uri=uri, day=day)


def declared() -> ModelDeclaration:
    """In use as soon as it is found good."""
    return propensity(shadow_days=0)


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A model in use since the day that it was trained on, and the features of two days after it."""
    found = world("watch", models_uri=tmp_path_factory.mktemp("models").as_uri())
    publish_features(found, features(AS_OF), features(QUIET), features(LOUD, more_streams=50))
    decided = train_on(found, AS_OF, declared(), listeners(400).table, "test")
    assert [each.decision for each in decided] == ["trained", "promoted"], decided
    for day in (QUIET, LOUD):
        scored(found, "trial_propensity", decided[1].artifact, day)
    return found


def publication_of(day: date) -> dict[str, Any]:
    of_day = {"run_date": day, "partition_date": day, "published_at": datetime.now(UTC)}
    return of_day | {"publication_id": "p", "mart": "fct_account_features", "row_count": 1}


@pytest.fixture(scope="module")
def warehouse(settings: Settings) -> Warehouse:
    return warehouse_of(settings)


@pytest.fixture(scope="module")
def watched(settings: Settings) -> dict[date, dict[tuple[str, str], str]]:
    """By day what is not as it should be."""
    return {
        day: {
            (each.measure, each.subject): each.level
            for found in watch(settings, day)
            for each in found.measures
            if each.level != "ok"
        }
        for day in (QUIET, LOUD)
    }


def test_drift_that_is_planted_in_a_feature_is_found_in_it_and_in_the_scores_it_decides(
    watched: dict[date, dict[tuple[str, str], str]],
) -> None:
    assert watched[QUIET] == {}
    assert watched[LOUD] == {
        ("population_stability", "streams_28d"): "critical",
        ("population_stability", "score"): "critical",
    }


@pytest.mark.usefixtures("watched")
def test_what_is_critical_is_on_record_as_a_failed_expectation(warehouse: Warehouse) -> None:
    rows = warehouse.run(
        "select run_date, severity, sample from ops.validation_results "
        "where model = 'model_measures' and not success order by run_date, severity"
    )

    found = [(row.run_date, row.severity) for row in rows]
    assert found == [(LOUD, "critical"), (LOUD, "warning")]


@pytest.mark.usefixtures("watched")
def test_what_is_critical_is_one_incident_of_the_model_until_it_is_over(
    settings: Settings, warehouse: Warehouse
) -> None:
    [told] = IncidentTable(warehouse).live()
    assert (told.incident.day, told.incident.cause) == (LOUD, "model_drift:trial_propensity:v1")
    assert "population stability of streams_28d: " in told.incident.what
    assert told.is_open

    append_rows(warehouse, "publications", [publication_of(LOUD)])
    watch(settings, QUIET)
    [told] = IncidentTable(warehouse).live()
    # A day that is built again says nothing about the newest one.
    assert told.is_open

    warehouse.run(f"delete from ops.publications where run_date = date '{LOUD}'")
    watch(settings, QUIET)
    [told] = IncidentTable(warehouse).live()
    assert not told.is_open


@pytest.mark.usefixtures("watched")
def test_drift_is_over_when_the_day_is_built_again_of_a_mended_feed(
    settings: Settings, warehouse: Warehouse, tmp_path: Path
) -> None:
    day, cause = LOUD + timedelta(days=1), "model_drift:trial_propensity:v1"

    def is_open() -> bool:
        live = [each for each in IncidentTable(warehouse).live() if each.incident.cause == cause]
        return any(each.is_open for each in live)

    publish_features(settings, features(day, more_streams=50))
    append_rows(warehouse, "publications", [publication_of(day)])
    watch(settings, day)
    assert is_open()

    page = step("model_drift", "segue models page NAME", {"NAME": "trial_propensity"})
    segue(settings, [*page, "--out", str(tmp_path / "page.html")])
    says("model_drift", "is a feed that broke: mend it and build the days again")
    warehouse.run(f"delete from marts.fct_account_features where feature_date = date '{day}'")
    publish_features(settings, features(day))
    watch(settings, day)
    assert not is_open()
    warehouse.run(f"delete from ops.publications where run_date = date '{day}'")


def test_a_model_is_told_of_whose_training_is_so_old_that_today_would_learn_from_none_of_its_days(
    settings: Settings, warehouse: Warehouse
) -> None:
    """It learned from sixty days."""
    last, too_old = AS_OF + timedelta(days=59), AS_OF + timedelta(days=60)
    cause = "model_drift:trial_propensity:v1"

    watch(settings, last)
    assert cause not in {each.incident.cause for each in IncidentTable(warehouse).live() if each.is_open}

    shown = segue(settings, ["models", "watch", "--day", str(too_old)])
    [told] = [each for each in IncidentTable(warehouse).live() if each.is_open]
    says(
        "model_drift",
        "A training that is too old: `segue models show NAME` says why each candidate since was refused",
    )
    assert (told.incident.cause, told.incident.day) == (cause, too_old)
    assert told.incident.what == (
        f"its training of {AS_OF} learned from days up to 2026-02-17: one of today would learn from none of "
        "them"
    )

    assert f"    {told.incident.what}\n" in shown

    watch(settings, QUIET)
    assert not [each for each in IncidentTable(warehouse).live() if each.is_open]


@pytest.mark.parametrize(
    ("spans_days", "day", "is_newest", "over"),
    [
        (True, LOUD, True, True),
        (True, LOUD, False, False),
        (False, LOUD, True, True),
        (False, LOUD, False, True),
        (False, QUIET, True, False),
    ],
)
def test_drift_ends_on_the_newest_day_and_a_failed_look_on_its_own_or_a_later_one(
    spans_days: bool, day: date, is_newest: bool, over: bool
) -> None:
    incident = Incident(
        LOUD, "model_drift:m:v1", "…", datetime.now(UTC), "measured", "…", "…", spans_days=spans_days
    )

    assert is_over(incident, day, (), is_newest=is_newest) == over
    assert not (spans_days and is_over(incident, day, {"model_drift:m:v1"}, is_newest=is_newest))


@pytest.mark.usefixtures("watched")
def test_only_the_drifted_day_blocks_a_promotion(warehouse: Warehouse) -> None:
    artifact = in_use(warehouse, AS_OF).artifact

    assert blocking_reasons(newest_measures(warehouse, artifact, QUIET)) == []
    reasons = blocking_reasons(newest_measures(warehouse, artifact, LOUD))
    assert {reason.split(":")[0] for reason in reasons} == {
        "population stability of streams_28d", "population stability of score",
    }  # fmt: skip


@pytest.mark.usefixtures("watched")
def test_contributions_of_a_sample_add_up_to_raw_scores(warehouse: Warehouse) -> None:
    [row] = warehouse.run(
        """with account as (
            select account_id, any_value(raw_score) as raw_score,
                any_value(base) + sum(contribution) as total, count(*) as parts
            from ops.score_contributions where run_date = date '2026-04-01' group by account_id
        )
        select count(*) as accounts, max(abs(raw_score - total)) as worst, max(parts) as parts,
            count(distinct raw_score) as differing
        from account"""
    )

    assert (row.accounts, row.parts) == (500, 6)
    assert row.worst < 1e-9
    assert row.differing > 400


@pytest.mark.usefixtures("watched")
def test_who_is_erased_while_a_model_is_looked_at_is_in_no_sample_whatever_the_clock_of_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    salted = settings.model_copy(update={"erasure_salt": SecretStr("salt")})
    warehouse = warehouse_of(salted)

    def sampled() -> set[str]:
        rows = warehouse.run(
            f"select distinct account_id from ops.score_contributions where run_date = date '{QUIET}'"
        )
        return {row.account_id for row in rows}

    def erased_meanwhile(*arguments: Any) -> Any:
        seen = measure_drift(*arguments)
        record_erased(warehouse, "e1", [("account", subject_hash(salted, leaver))], "proved", {})
        return seen

    leaver = min(sampled())
    monkeypatch.setattr(model_watch, "datetime", FastClock)
    monkeypatch.setattr(model_watch, "measure_drift", erased_meanwhile)
    try:
        watch(salted, QUIET)

        assert leaver not in sampled()
    finally:
        # Other tests have no salt, and the sample whole.
        warehouse.run("delete from ops.erasures where true")
        monkeypatch.undo()
        watch(settings, QUIET)
    assert leaver in sampled()


def points_of(settings: Settings, account: dict[str, Any]) -> int:
    """What the model in use gives an account."""
    import pyarrow as pa

    model = fetched(settings, in_use(warehouse_of(settings), QUIET)).model
    [score] = model.shares(encoded(pa.Table.from_pylist([account]), model.features, "an account"))
    return round(float(score) * POINTS)


def reasons(settings: Settings, account: dict[str, Any], points: int, model: str) -> ScoreReasons:
    scores = [{"model": model, "score_points": points, "scored_date": QUIET}]
    [found] = score_reasons(settings, account | {"model_scores": scores})
    return found


def test_an_account_is_told_what_its_score_is_made_of(settings: Settings) -> None:
    account = next(features(QUIET))
    points = points_of(settings, account)

    found = reasons(settings, account, points, "trial_propensity")

    assert (found.version, found.score) == (1, points / POINTS)
    assert found.reasons is not None
    values = {each.feature: each.value for each in found.reasons.top}
    assert values == {name: account[name] for name in declared().features}
    total = found.reasons.base + sum(each.contribution for each in found.reasons.top) + found.reasons.rest
    assert total == pytest.approx(found.reasons.raw_score, abs=1e-9)


@pytest.mark.parametrize(
    ("account", "wrong", "model", "version"),
    [
        # A score that is not the model's own, one of a model that nobody trained, of whom no model scores.
        (0, 300, "trial_propensity", 1),
        (0, 0, "winback_propensity", None),
        (9, 0, "trial_propensity", 1),
    ],
)
def test_a_score_from_elsewhere_has_no_reasons(
    settings: Settings, account: int, wrong: int, model: str, version: int | None
) -> None:
    row = list(features(QUIET))[account]

    found = reasons(settings, row, points_of(settings, row) + wrong, model)

    assert (found.version, found.reasons) == (version, None)
    assert found.why_not == "it is not of the model that scored on that day: no reasons are known"


@pytest.mark.usefixtures("watched")
def test_a_models_page_has_what_was_decided_and_measured(settings: Settings) -> None:
    found = model_page(settings, "trial_propensity", day=LOUD)

    assert (found.name, found.version) == ("trial_propensity", 1)
    shown = HtmlPage(found.html)
    facts = dict(zip(shown.of("dt"), shown.of("dd"), strict=True))
    assert facts["owner"] == "growth"
    assert facts["state"] == f"in use, promoted on {AS_OF} by test"
    assert {"market: DE", "age band: 1990-1999", "age band: unknown", "tenure: 31 to 90 days"} <= set(
        shown.of("th")
    )
    assert re.fullmatch("[0-9a-f]{40}|sha256:[0-9a-f]{64}", facts["code"])
    assert shown.of("h2")[-1] == f"Whether it still holds, on {LOUD}"
    titles = [picture.findtext("title") for picture in pictures(found.html)]
    assert titles[-2:] == [
        f"Population stability index against training, on {LOUD}",
        "Population stability index of the scores against training",
    ]
    assert shown.outside_references() == []


def test_the_page_of_a_version_that_nobody_trained_is_refused(settings: Settings) -> None:
    with pytest.raises(UnknownModelError, match="trial_propensity v7"):
        model_page(settings, "trial_propensity", version=7, day=LOUD)


def test_what_the_model_in_use_said_is_held_against_what_happened_when_the_next_is_trained(
    settings: Settings, warehouse: Warehouse
) -> None:
    used, later = in_use(warehouse, LOUD), LOUD + timedelta(days=7)

    train_on(settings, later, declared(), listeners(400, seed=6).table, "test")

    rows = warehouse.run(
        "select measure, level, accounts from ops.model_measures "
        f"where run_date = date '{later}' and artifact = '{used.artifact}' order by measure"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("calibration_bias", "ok", 800), ("calibration_slope", "ok", 800),
    ]  # fmt: skip


def stability(subject: str, value: float) -> Measure:
    return Measure(
        measure="population_stability", subject=subject, value=value, warn_above=0.1, critical_above=0.25,
        rows=1_350,
    )  # fmt: skip


def test_a_candidate_is_not_used_while_its_drift_is_critical(
    settings: Settings, warehouse: Warehouse
) -> None:
    model, begun = propensity(name="drifting", shadow_days=7), LOUD + timedelta(days=30)
    held, freed = begun + timedelta(days=14), begun + timedelta(days=21)
    _, shadow = train_on(settings, begun, model, listeners(400, as_of=begun).table, "test")
    scored_in_shadow(settings, shadow, begun + timedelta(days=1), freed)
    replace_measures(warehouse, shadow, held, [stability("streams_28d", 0.4), stability("score", 0.02)])

    later = listeners(400, seed=6, as_of=held).table
    kept, *_ = train_on(settings, held, model, later, "test")
    again = train_on(settings, held, model, later, "test")
    replace_measures(warehouse, shadow, freed, [stability("streams_28d", 0.02), stability("score", 0.02)])
    used, *_ = train_on(settings, freed, model, listeners(400, seed=7, as_of=freed).table, "test")

    assert (kept.decision, kept.artifact, again) == ("shadow", shadow.artifact, [])
    assert kept.reasons[-1] == (
        "is not used while population stability of streams_28d: 0.400, above 0.250 (1,350 rows)"
    )
    assert (used.decision, used.artifact) == ("promoted", shadow.artifact)


def test_a_candidate_whose_drift_nobody_has_measured_is_measured_before_it_is_used(
    settings: Settings, warehouse: Warehouse
) -> None:
    """On a day of which nobody has features it cannot be; one on which all stream more speaks against it."""
    day, loud = LOUD + timedelta(days=100), LOUD + timedelta(days=101)
    publish_features(settings, features(loud, more_streams=50))
    model = propensity(name="unmeasured", shadow_days=0)

    _, blind = train_on(settings, day, model, listeners(400, as_of=day).table, "test")
    measured = propensity(name="measured_late", shadow_days=0)
    _, held = train_on(settings, loud, measured, listeners(400, as_of=loud).table, "test")

    assert (blind.decision, blind.reasons[-1]) == (
        "shadow",
        "is not used while its drift is not known: nobody of its population has published features of "
        f"{day - timedelta(days=6)} to {day} that it was measured on",
    )
    assert held.decision == "shadow"
    assert held.reasons[-1].startswith("is not used while population stability of ")
    assert newest_measures(warehouse, held.artifact, loud) != []


def test_a_person_who_puts_it_into_use_all_the_same_says_so_and_it_is_kept(
    settings: Settings, warehouse: Warehouse
) -> None:
    day = LOUD + timedelta(days=200)
    model = propensity(name="wanted", shadow_days=0)
    _, shadow = train_on(settings, day, model, listeners(400, as_of=day).table, "test")

    with pytest.raises(ModelDecisionError, match="is not put into use while its drift is not known") as error:
        promote(settings, "wanted", shadow.artifact, day, "the campaign", "kim")
    assert "--despite-drift" in str(error.value)
    says("model_decision", "Who wants the model all the same adds `--despite-drift`")
    assert states_on(warehouse, day)["wanted"].in_use is None

    promote(settings, "wanted", shadow.artifact, day, "the campaign", "kim", despite_drift=True)

    used = states_on(warehouse, day)["wanted"].in_use
    assert used is not None
    assert used.reasons[0] == "the campaign"
    assert used.reasons[1].startswith("was put into use although its drift is not known: nobody of its pop")


@pytest.mark.usefixtures("watched")
def test_commands_measure_a_day_and_write_the_page(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    out = tmp_path / "model.html"

    measured = CliRunner().invoke(app, ["models", "watch", "--day", str(LOUD)])
    written = CliRunner().invoke(app, ["models", "page", "trial_propensity", "--out", str(out)])

    assert measured.exit_code == 0, measured.output
    lines = measured.stdout.splitlines()
    assert lines[0].startswith("trial_propensity v1: 11 measures, 0 warn, 2 critical")
    assert lines[1].startswith("    critical: population stability of streams_28d: ")
    assert written.exit_code == 0, written.output
    assert HtmlPage(out.read_text()).of("h1") == ["trial_propensity v1"]


def test_a_score_of_a_candidate_in_shadow_has_its_reasons_too(
    settings: Settings, warehouse: Warehouse
) -> None:
    used = in_use(warehouse, AS_OF)
    candidate = replace(as_another(settings, used, "winback", AS_OF), decision="shadow")
    record(warehouse, [candidate])
    scored(settings, "winback__shadow", candidate.artifact, QUIET)
    account = next(features(QUIET))

    found = reasons(settings, account, points_of(settings, account), "winback__shadow")

    assert (found.version, found.why_not) == (1, None)


def test_a_decision_that_counts_for_a_day_that_was_scored_already_changes_no_reasons(
    settings: Settings, warehouse: Warehouse
) -> None:
    """Monday's decisions count for Sunday, whose scores were given on Monday's morning, before them."""
    used = in_use(warehouse, AS_OF)
    first = as_another(settings, used, "upsell", AS_OF)
    record(warehouse, [first])
    scored(settings, "upsell", first.artifact, QUIET)
    account = next(features(QUIET))
    later = {"day": QUIET, "decided_at": datetime.now(UTC)}
    second = replace(first, version=2, artifact="another", artifact_uri="file:///nowhere/another", **later)

    for decision in (second, replace(first, decision="retired", **later)):
        record(warehouse, [decision])
        found = reasons(settings, account, points_of(settings, account), "upsell")
        assert (found.version, found.why_not) == (1, None)


def test_a_model_that_failed_on_a_day_gave_none_of_its_scores(
    settings: Settings, warehouse: Warehouse
) -> None:
    used = in_use(warehouse, AS_OF)
    failed = as_another(settings, used, "lapse", AS_OF)
    record(warehouse, [failed])
    scored(settings, "lapse", failed.artifact, QUIET, failed="no number")
    account = next(features(QUIET))

    found = reasons(settings, account, points_of(settings, account), "lapse")

    assert (found.version, found.reasons) == (None, None)


@pytest.mark.usefixtures("watched")
def test_only_of_a_model_that_scored_the_day_it_is_kept_why(settings: Settings, warehouse: Warehouse) -> None:
    """Watched again after a promotion that counts for the day: the newcomer is measured, no more."""
    model, examples = propensity(name="newcomer", shadow_days=0), listeners(400, seed=9).table
    _, promoted = train_on(settings, AS_OF, model, examples, "test")
    assert promoted.decision == "promoted", promoted.reasons

    watch(settings, QUIET)

    def rows(table: str) -> int:
        [row] = warehouse.run(
            f"select count(*) as found from ops.{table} where run_date = date '{QUIET}' "
            f"and artifact = '{promoted.artifact}'"
        )
        return int(row.found)

    assert rows("model_measures") > 0
    assert rows("score_contributions") == 0


def test_a_model_that_cannot_be_read_keeps_no_other_from_being_measured(
    settings: Settings, warehouse: Warehouse
) -> None:
    used = in_use(warehouse, AS_OF)
    read = as_another(settings, used, "a_first_one", AS_OF - timedelta(days=1))
    digest = "ff" * 32
    nowhere = f"{settings.models_uri}/gone/{digest}"
    gone = replace(read, artifact=digest, artifact_uri=nowhere, decided_at=datetime.now(UTC))
    record(warehouse, [read])
    watch(settings, LOUD)
    record(warehouse, [gone])
    begun = datetime.now(UTC)

    with pytest.raises(ArtifactError, match="ff: there is no model"):
        watch(settings, LOUD)

    (measured,) = warehouse.run(
        "select max(measured_at) as at from ops.model_measures "
        f"where run_date = date '{LOUD}' and artifact = '{used.artifact}'"
    )
    assert measured.at > begun
    still_open = [each.incident.cause for each in IncidentTable(warehouse).live() if each.is_open]
    assert "model_drift:a_first_one:v1" in still_open
