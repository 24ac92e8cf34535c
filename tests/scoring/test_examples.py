"""What a file has to be before anything is learned from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scoring.columns import encoded, feature_of, without_words_for_missing
from scoring.examples import examples_of
from segue.outside_file import OutsideFileError
from tests.scoring.planted import customers, propensity_map, trial, uplift_map

ALL = np.ones(4, bool)


def column(*cells: Any) -> pa.Table:
    return pa.table({"x": pa.array(list(cells))})


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", " 2.5 ", "", "NA"], "number", [1, 2.5, None, None]),
        ([1, None, 3, 4], "number", [1, None, 3, 4]),
        ([True, False, None, True], "number", [1, 0, None, 1]),
        (["1970-01-02", "1970-01-01T12:00:00Z", "", "1970-01-03"], "day", [1, 0.5, None, 2]),
        (["b", "a", " b", "?"], "category", [1, 0, 1, None]),
    ],
)
def test_a_column_is_what_its_cells_are(cells: list[Any], kind: str, values: list[float | None]) -> None:
    table = without_words_for_missing(column(*cells))

    feature, _ = feature_of(table, "x", ALL, "file.csv")

    assert feature.kind == kind
    found = encoded(table, [feature], "file.csv")[:, 0]
    assert [None if np.isnan(each) else each for each in found] == values


def test_a_category_that_was_not_learned_from_is_missing() -> None:
    feature, _ = feature_of(column("a", "b", "c", "a"), "x", np.array([True, True, False, False]), "file.csv")

    assert feature.categories == ("a", "b")
    assert np.isnan(encoded(column("c"), [feature], "file.csv")[0, 0])


def test_a_few_texts_among_numbers_are_told() -> None:
    table = column(*[str(each) for each in range(99)], "about 5")

    feature, warnings = feature_of(table, "x", np.ones(100, bool), "file.csv")

    assert feature.kind == "category"
    assert warnings == [
        "column x: 1 of 100 values are no numbers (row 100: 'about 5'), so all of them are categories"
    ]


def refused(table: pa.Table, outside: Any) -> str:
    with pytest.raises(OutsideFileError) as error:
        examples_of(table, outside, "file.csv")
    return str(error.value).splitlines()[0]


def changed(name: str, row: int, value: Any, table: pa.Table | None = None) -> pa.Table:
    table = customers(400).table if table is None else table
    cells = table.column(name).to_pylist()
    cells[row - 1] = value
    return table.set_column(table.column_names.index(name), name, pa.array(cells))


def test_mistakes_are_named_by_row_and_column() -> None:
    plain = propensity_map()

    assert refused(changed("converted", 7, ""), plain) == "file.csv: row 7: column converted: is empty"
    assert refused(changed("converted", 9, "Maybe"), plain).startswith(
        "file.csv: row 9: column converted: 'Maybe' is a third value, after 'Yes' and 'No'"
    )
    assert refused(changed("customer_id", 3, "c0"), plain) == (
        "file.csv: row 3: column customer_id: 'c0' came before"
    )
    assert refused(changed("arm", 5, "sms", trial(400).table), uplift_map()) == (
        "file.csv: row 5: column arm: 'sms' is neither control (none), treated (email) nor in leave_out"
    )


def test_what_the_map_names_has_to_be_there() -> None:
    table = customers(400).table

    assert refused(table, propensity_map(target={"column": "left", "positive": "Yes"})).startswith(
        "file.csv: column left is in the map but not in the file (it has customer_id, visits"
    )
    assert refused(table, propensity_map(target={"column": "converted", "positive": "1"})) == (
        "file.csv: column converted has no 1, which is positive (it has No, Yes)"
    )
    assert refused(table, propensity_map(target={"column": "converted", "positive": True})) == (
        "file.csv: column converted has no true, which is positive (it has No, Yes); "
        "No, Yes in the map need quotes"
    )
    assert refused(table, propensity_map(features={"include": ["customer_id"]})) == (
        "file.csv: column customer_id has another part in the map and cannot be a feature"
    )
    assert refused(table, propensity_map(holdout={"column": "plan", "from": "2026-01-01"})).startswith(
        "file.csv: row 1: column plan: "
    )


def test_a_feature_that_is_the_target_is_refused() -> None:
    table = customers(400).table
    converted = table.column("converted")
    is_yes = [each == "Yes" for each in converted.to_pylist()]
    leaks = {
        "copied": converted,
        "scaled": pa.array([3.5 if each else 1.25 for each in is_yes]),
        "only_then": pa.array([17 if each else None for each in is_yes]),
        "reason": pa.array(
            [("price", "other")[row % 2] if each else None for row, each in enumerate(is_yes)]
        ),
    }

    for name, cells in leaks.items():
        assert refused(table.append_column(name, cells), propensity_map()) == (
            f"file.csv: column {name} gives the target of every row away; exclude it, or what it leaks from"
        )


def test_a_feature_with_values_that_only_rows_with_the_event_have_is_a_warning() -> None:
    table = customers(400).table
    is_yes = [each == "Yes" for each in table.column("converted").to_pylist()]
    third = [row % 3 == 0 for row in range(400)]
    some = [yes and drawn for yes, drawn in zip(is_yes, third, strict=True)]
    rows = sum(some)
    columns = {
        "spent": pa.array([9.5 + row % 7 if each else 0 for row, each in enumerate(some)]),
        "owing": pa.array([-3 if each else row % 5 for row, each in enumerate(some)]),
        "receipt": pa.array([20 if each else None for each in some]),
        "thanked_by": pa.array(
            ["letter" if each else ("web", "app")[row % 2] for row, each in enumerate(some)]
        ),
        "visits_before": pa.array([row % 11 for row in range(400)]),
    }
    for name, cells in columns.items():
        table = table.append_column(name, cells)

    found = examples_of(table, propensity_map(), "file.csv").warnings

    assert list(found) == [
        f"column {name} has values that only rows with the event have ({rows} of them): "
        "was it known before the target?"
        for name in ("spent", "owing", "receipt", "thanked_by")
    ]


def test_arms_that_are_left_out_are_not_read() -> None:
    table = trial(2_000).table
    arms = ["sms" if row % 4 == 0 else arm for row, arm in enumerate(table.column("arm").to_pylist())]
    table = table.set_column(3, "arm", pa.array(arms))
    treatment = {"column": "arm", "control": "none", "treated": ["email"], "leave_out": "sms"}

    found = examples_of(table, uplift_map(treatment=treatment), "file.csv")

    assert len(found.outcomes) == 1_500


def test_too_few_rows_of_an_outcome_are_refused() -> None:
    assert refused(customers(60).table, propensity_map()).startswith("file.csv: the ")
