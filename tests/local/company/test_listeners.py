"""The demo's company: as usual, but for listeners who start trials by a law that a model can find."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit

from local.company import CompanySpec, Manifest, generate
from local.company.listeners import YOUNG_DAYS, listening_rows, started_trials, steadily_grown, trial_log_odds
from local.company.lives import new_subscriptions
from local.company.people import account_rows, new_people
from local.company.planted_behaviour import FEATURE_DAYS, described
from local.company.spec import DAY_US
from local.company.trials import TRIED
from local.demo import SEED
from scoring.declaration import ModelDeclaration
from scoring.declared import load_models
from scoring.model import Model
from scoring.stability import blocking_reasons
from scoring.training import Judgement, Lesson
from segments.source import load_rules

END = date(2026, 4, 30)
DEMO = CompanySpec(3_000, 69, SEED, END, plants_trials=True)
AIRFLOW_DAYS = 2
HEARD_WITHIN_DAYS = 2
DAY = timedelta(days=1)
BOOK = load_rules()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("company")


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return generate(DEMO, folder)


def landed(folder: Path, table: str, *columns: str) -> pd.DataFrame:
    """Rows as they arrived, the redelivered ones included; null what the files of a day lack."""
    files = sorted((folder / "landing" / table).rglob("*.parquet"))
    assert files
    whole = pa.concat_tables([pq.read_table(each) for each in files], promote_options="permissive")
    return whole.select(columns).to_pandas()


def test_listeners_start_trials_by_the_law_and_the_young_accounts_most() -> None:
    spec = CompanySpec(20_000, 40, 7, END, plants_trials=True)
    people = steadily_grown(spec, 0, new_people(spec, spec.stream("people"), 0, spec.accounts))
    subs = new_subscriptions(
        spec, spec.stream("subscriptions"), people.created_at, people.market, people.affinity
    )
    never = np.full(spec.accounts, np.iinfo(np.int64).max)
    about = described(
        spec,
        people,
        account_rows(spec, spec.stream("accounts"), people),
        listening_rows(spec, 0, people, never),
    )

    found = started_trials(spec, 0, people, subs, np.zeros(0, np.int64))

    day = np.arange(spec.days - 1)
    tenure = day - (people.created_at // DAY_US - spec.start_us // DAY_US)[:, None]
    chance = expit(trial_log_odds(about, about.streams_28d[:, :-1], tenure))
    started = np.full(spec.accounts, spec.days)
    started[found.account] = (found.opened_at - spec.start_us) // DAY_US
    waits = ~np.isin(np.arange(spec.accounts), subs.account) & ~people.is_test & ~people.is_employee
    at_risk = waits[:, None] & (tenure >= 0) & (started[:, None] > day)
    shares = []
    for is_young in (False, True):
        of_part = at_risk & ((tenure < YOUNG_DAYS) == is_young)
        expected = chance[of_part].sum()
        happened = (of_part & (started[:, None] == day + 1)).sum()
        assert abs(happened - expected) < 4 * np.sqrt(expected)
        shares.append(happened / of_part.sum())
    assert shares[1] > 10 * shares[0]


def test_sums_of_four_weeks_are_whole_from_the_first_day_on(folder: Path, manifest: Manifest) -> None:
    rows = landed(folder, "engagement_daily", "day", "ingested_at")
    before = rows[rows.day < DEMO.first_day]

    assert manifest.rows["engagement_daily"] == len(rows)
    assert before.day.nunique() == FEATURE_DAYS
    assert set(before.ingested_at.dt.date) == {DEMO.first_day}


def test_its_experiments_do_what_they_do_elsewhere(manifest: Manifest) -> None:
    for each in TRIED:
        arms = manifest.experiments[each.id]
        if each.logged == 1:
            found = [arms[arm]["subscribing"] / arms[arm]["units"] for arm in ("control", "treatment")]
            assert found == pytest.approx(each.shares, abs=0.02)
        assert arms["control"]["units"] > 50


def test_the_model_that_it_trains_is_its_own(folder: Path, manifest: Manifest) -> None:
    assert manifest.rows["scores"]
    assert set(landed(folder, "scores", "model").model) == {
        "winback_propensity", "churn_risk", "household_size",
    }  # fmt: skip


def known(folder: Path, model: ModelDeclaration, as_of: date) -> pa.Table:
    """The model's examples as of a day, from the landing files and the lives that there truly were."""
    accounts = landed(folder, "accounts", "account_id", "created_at", "market", "birth_year_band", "is_test")
    accounts = accounts.drop_duplicates("account_id").set_index("account_id")
    members = landed(folder, "plan_members", "account_id").account_id
    accounts = accounts[~accounts.is_test & ~accounts.index.isin(members)]
    lives = pq.read_table(folder / "truth" / "subscription_intervals.parquet").to_pandas()
    opened = lives.groupby("account_id").from_at.min()
    tried = lives[lives.state == "trial"].groupby("account_id").from_at.min()
    listening = landed(
        folder, "engagement_daily", "account_id", "day", "streams", "ad_ms", "skips_blocked", "ingested_at"
    ).drop_duplicates(["account_id", "day"])
    training, within = model.training, model.target.within_days
    newest = as_of - (within + HEARD_WITHIN_DAYS) * DAY
    tables = []
    for age in range(0, (newest - DEMO.first_day).days + 1, training.every):
        is_held_back = age < training.holdout_days
        if not is_held_back and age < training.holdout_days + within:
            continue
        day = newest - age * DAY
        closes = datetime.combine(day + DAY, datetime.min.time(), UTC)
        recent = listening[
            (listening.day > day - FEATURE_DAYS * DAY)
            & (listening.day <= day)
            & (listening.ingested_at < closes)
        ].groupby("account_id")
        rows = accounts[accounts.created_at < closes].copy()
        first = opened.reindex(rows.index)
        rows = rows[first.isna() | (first >= closes)]
        rows["streams_28d"] = recent.streams.sum()
        rows["ad_ms_28d"] = recent.ad_ms.sum()
        rows["skips_blocked_28d"] = recent.skips_blocked.sum()
        rows["active_days_28d"] = recent.size()
        rows = rows.fillna({name: 0 for name in rows if name.endswith("_28d")})
        rows["tenure_days"] = [(day - each.date()).days for each in rows.created_at]
        rows["outcome"] = tried.reindex(rows.index) < closes + within * DAY
        rows = rows.assign(feature_date=day, is_held_back=is_held_back, weight=1.0).reset_index()
        tables.append(
            pa.Table.from_pandas(rows.drop(columns=["created_at", "is_test"]), preserve_index=False)
        )
    return pa.concat_tables(tables, promote_options="permissive")


Training = tuple[Lesson, Model, Judgement]


@pytest.fixture(scope="module")
def trainings(folder: Path, manifest: Manifest) -> list[Training]:
    """As the demo trains: at the end of its history less the days in shadow, and at its end."""
    assert manifest.rows
    declared = load_models()["trial_propensity"]
    found = []
    for before in (AIRFLOW_DAYS + declared.target.within_days, AIRFLOW_DAYS):
        lesson = Lesson(declared, known(folder, declared, END - before * DAY), BOOK.rules)
        model = lesson.train()
        found.append((lesson, model, lesson.judge(model, {})))
    return found


def test_the_declared_model_beats_its_baselines_on_later_days(trainings: list[Training]) -> None:
    for _, _, judged in trainings:
        assert judged.verdict.decision == "shadow"
        assert {each.against for each in judged.contests} == {
            "prevalence", "heuristic of trial_for_engaged_free",
        }  # fmt: skip
        assert judged.evaluation.quality.auc > 0.7


def test_after_its_days_in_shadow_it_is_promoted_by_days_that_have_come_since(
    trainings: list[Training],
) -> None:
    (_, model, first), (later, _, _) = trainings
    judged = later.after(first.days[1]).judge(model, {}, later.declared.target.within_days)

    assert judged.verdict.decision == "promoted"
    assert judged.days[0] == first.days[1] + later.declared.target.within_days * DAY
    assert blocking_reasons(later.matured(model)) == []


def test_most_of_whom_its_rule_is_for_keep_their_offer_when_the_model_is_used(
    trainings: list[Training],
) -> None:
    """All of them are above the heuristic's threshold."""
    [rule] = (each for each in BOOK.rules if each.id == "trial_for_engaged_free")
    assert rule.score.model is not None
    assert rule.score.model.threshold is not None
    lesson, model, _ = trainings[0]
    held_out = lesson.examples.held_out
    streams, tenure = (
        np.asarray(lesson._table[name].to_pylist())[held_out] for name in ("streams_28d", "tenure_days")
    )
    is_for = (streams >= 200) & (tenure >= 7)

    scores = model.scores(lesson.examples.matrix[held_out])[is_for]

    assert (scores >= float(rule.score.model.threshold)).mean() > 0.85
