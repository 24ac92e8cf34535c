"""Examples of models: features as known on the day, outcomes of the days after it, nobody who must not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import app
from loaders.scoring.examples import kept, read_examples
from loaders.scoring.registry import decisions
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.erasures import record_erased, subject_hash
from runs import training_examples as building
from runs.training_examples import training_examples
from scoring.compiler import declared_values
from segments.evaluator import bucket
from segments.features import FEATURES
from segue.settings import Settings
from tests.dbt.reference.training_examples import Example, examples
from tests.dbt.training_rows import AS_OF, MODELS, both, publish, until
from tests.fast_clock import FastClock
from tests.pages import typed

EARLIER = date(2026, 4, 29)
"""A training's as-of day before the last published one."""


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    """A world in which only marts are published."""
    settings = dbt_world("training-examples", erasure_salt=SecretStr("salt"))
    publish(settings, both())
    return settings


def trained_on(settings: Settings, day: date) -> dict[str, pa.Table]:
    """Each model's examples as they come from the warehouse, in one table with the accounts."""
    warehouse = warehouse_of(settings)
    with training_examples(settings, day, MODELS) as table:
        found = {
            name: pa.Table.from_batches(list(read_examples(warehouse, table, declared)))
            for name, declared in MODELS.items()
        }
    assert not [name for name in warehouse.datasets() if name.startswith("audit")]
    return found


@pytest.fixture(scope="module")
def built(settings: Settings) -> dict[str, pa.Table]:
    """Of the last published day."""
    return trained_on(settings, AS_OF)


def told(found: dict[str, pa.Table]) -> set[Example]:
    """The rows, without the features."""
    return {
        Example(
            name, row["feature_date"], row["account_id"], row["outcome"], row["is_treated"],
            row["is_held_back"], row["weight"],
        )
        for name, table in found.items()
        for row in table.to_pylist()
    }  # fmt: skip


def of(built: dict[str, pa.Table], name: str, account: str) -> list[tuple[int, bool]]:
    """(day of April, outcome) of an account's examples."""
    rows = [row for row in built[name].to_pylist() if row["account_id"] == account]
    return sorted((row["feature_date"].day, row["outcome"]) for row in rows)


def test_every_example_is_the_one_that_was_worked_out_without_sql(built: dict[str, pa.Table]) -> None:
    expected = set(examples(list(MODELS.values()), both(), AS_OF))

    assert told(built) == expected
    # Every kind of row is among them.
    for name in MODELS:
        of_model = [each for each in expected if each.model == name]
        assert {each.outcome for each in of_model} == {True, False}, name
        assert {each.is_held_back for each in of_model} == {True, False}, name


def test_an_outcome_is_what_happens_on_the_days_after_the_feature_day(built: dict[str, pa.Table]) -> None:
    # A trial of 26 April, three days; learned from 12 to 20 April, held back from 24 to 27. Whoever starts it
    # on the day or the one before is no example: features may not know it yet. The outcomes of 14, 15 and 16
    # April need the 17th, which was never published.
    assert of(built, "starts", "a_starts") == [
        *((day, False) for day in (12, 13, 18, 19, 20)),
        (24, True),
        (25, True),
    ]
    assert of(built, "starts", "a_quiet") == [(day, False) for day in (12, 13, 18, 19, 20, 24, 25, 26, 27)]


def test_features_are_those_of_the_feature_day(built: dict[str, pa.Table]) -> None:
    rows = [row for row in built["starts"].to_pylist() if row["account_id"] == "a_starts"]

    assert {(row["feature_date"].day, row["streams_28d"], row["market"]) for row in rows} == {
        (day, day, "SE") for day in (12, 13, 18, 19, 20, 24, 25)
    }


@pytest.mark.parametrize("account", ["a_merged", "a_asked", "a_silent", "a_tester"])
def test_who_is_gone_or_set_apart_since_is_in_no_example(built: dict[str, pa.Table], account: str) -> None:
    assert [of(built, name, account) for name in MODELS] == [[]] * len(MODELS)


def test_an_earlier_day_is_trained_on_as_it_was_then_and_without_who_is_being_erased(
    settings: Settings, built: dict[str, pa.Table]
) -> None:
    known = until(both(), EARLIER)
    expected = set(examples(list(MODELS.values()), known, EARLIER))
    # The marts still have its rows: the erasure has begun, and has not come to them.
    leaver = ("account", subject_hash(settings, "a_quiet"))
    record_erased(warehouse_of(settings), "an-erasure", [leaver], "begun", {})

    found = told(trained_on(settings, EARLIER))

    assert found == {each for each in expected if each.account != "a_quiet"}
    assert {each.account for each in expected} > {each.account for each in found}
    assert found != told(built)


@pytest.mark.usefixtures("built")
def test_who_is_erased_while_examples_are_built_is_in_none_whatever_the_clock_of_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse, build = warehouse_of(settings), building.build

    def erased_meanwhile(*arguments: Any, **variables: Any) -> None:
        build(*arguments, **variables)
        leaver = ("account", subject_hash(settings, "a_starts"))
        record_erased(warehouse, "meanwhile", [leaver], "proved", {})

    monkeypatch.setattr(building, "build", erased_meanwhile)
    monkeypatch.setattr("segue.window.datetime", FastClock)
    try:
        accounts = {each.account for each in told(trained_on(settings, AS_OF))}
    finally:
        warehouse.run("delete from ops.erasures where erasure_id = 'meanwhile'")

    assert "a_survivor" in accounts
    assert "a_starts" not in accounts


def test_what_others_did_before_they_became_an_account_is_no_outcome_of_its_own(
    built: dict[str, pa.Table],
) -> None:
    # The other one joined on 28 April, which lies in the days after the 25th, 26th and 27th.
    assert of(built, "starts", "a_survivor") == [(day, False) for day in (12, 13, 18, 19, 20)] + [(24, True)]


def test_the_examples_of_an_uplift_are_its_units_on_the_day_before_the_offer(
    built: dict[str, pa.Table],
) -> None:
    rows = [row for row in built["offered"].to_pylist() if row["account_id"].startswith("a_")]

    # Neither who was converted before, nor who saw two arms, another arm or another experiment.
    assert sorted(
        (row["account_id"], row["feature_date"].day, row["is_treated"], row["outcome"]) for row in rows
    ) == [("a_control", 24, False, True), ("a_shown", 24, True, True)]


def test_of_negatives_a_share_is_kept_that_stands_for_all(built: dict[str, pa.Table]) -> None:
    rows = built["sampled"].to_pylist()
    whole = [row for row in built["starts"].to_pylist() if (27 - row["feature_date"].day) % 3 == 0]

    learned = [row for row in rows if not row["is_held_back"]]
    assert {(row["outcome"], row["weight"]) for row in learned} == {(True, 1.0), (False, 2.5)}
    assert all(
        row["outcome"] or bucket(row["account_id"], f"sampled:{row['feature_date']}") < 4_000
        for row in learned
    )
    # Judged is whole, and no event is lost.
    assert sum(row["is_held_back"] for row in rows) == sum(row["is_held_back"] for row in whole)
    assert sum(row["outcome"] for row in rows) == sum(row["outcome"] for row in whole)


def test_of_too_many_examples_those_of_a_share_of_the_accounts_are_kept_whole(
    built: dict[str, pa.Table],
) -> None:
    whole, rows = built["starts"].to_pylist(), built["capped"].to_pylist()
    drawn = {row["account_id"] for row in rows}

    # Held-back days are drawn as the others are, and nobody weighs more.
    assert [(row["feature_date"], row["account_id"]) for row in by_key(rows)] == [
        (row["feature_date"], row["account_id"]) for row in by_key(whole) if row["account_id"] in drawn
    ]
    assert (len(whole), len({row["account_id"] for row in whole})) == (257, 44)
    assert (len(rows), len(drawn)) == (117, 19)
    assert {row["weight"] for row in rows} == {1.0}


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["feature_date"], row["account_id"]))


def test_kept_examples_have_codes_for_texts_and_are_the_same_rows(built: dict[str, pa.Table]) -> None:
    batches = built["starts"].to_batches(max_chunksize=7)

    table = kept(batches)

    assert table.to_pylist() == built["starts"].to_pylist()
    assert pa.types.is_dictionary(table.schema.field("market").type)
    assert table.schema.field("account_id").type == pa.string()
    assert kept([]).column_names[:3] == ["feature_date", "account_id", "outcome"]


def test_examples_have_every_feature_that_an_earlier_version_may_have_gone_by(
    built: dict[str, pa.Table],
) -> None:
    for table in built.values():
        assert set(table.column_names) == {
            "feature_date", "account_id", "outcome", "is_treated", "is_held_back", "weight", *FEATURES,
        }  # fmt: skip


def test_the_declared_models_are_what_dbt_was_compiled_with() -> None:
    [each] = [each for each in declared_values(MODELS)["declared_models"] if each["name"] == "leaves"]

    assert each["population"] == "(is_paid and last_ended_date <= date_sub(feature_date, interval 1 day))"
    assert each["negative_buckets"] == 10_000


def test_a_training_by_hand_decides_about_the_models_that_are_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("starts", "pays"):
        text = MODELS[name].model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
        (tmp_path / f"{name}.yml").write_text(text)
    told = settings.model_copy(update={"models_dir": tmp_path})
    monkeypatch.setattr("segue.settings.get_settings", lambda: told)

    of_the_page = "segue models train trial_propensity"
    words = typed("docs/models.md", of_the_page, {"trial_propensity": "starts"})
    result = CliRunner().invoke(app, [*words, "--by", "kim", "--json"])

    assert result.exit_code == 0, result.output
    (decision,) = json.loads(result.stdout)
    assert (decision["model"], decision["decision"], decision["day"]) == ("starts", "refused", str(AS_OF))
    assert decision["decided_by"] == "kim"
    assert decisions(warehouse_of(told), AS_OF, "pays") == []
