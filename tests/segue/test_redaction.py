"""Texts of errors keep what is the code's and lose what stands in rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.redaction import redacted

WORDS = st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=6, max_size=20)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Bad int64 value: anna@example.com", "Bad int64 value: …"),
        ("Bad double value: a-17 at [3:5]", "Bad double value: …"),
        ("Invalid NUMERIC value: twelve", "Invalid NUMERIC value: …"),
        ("Invalid timestamp: 'a-17'", "Invalid timestamp: …"),
        ('Failed to parse input string "Anna Berg"', 'Failed to parse input string "…"'),
        ("Could not convert string 'Anna' to INT64", "Could not convert string '…' to INT64"),
        (
            "Error while mutating the row '1f3a#a-17' (projects/p)",
            "Error while mutating the row '…' (projects/p)",
        ),
        ("observed ['a-17', 'SE', '2026-03-02']", "observed ['…', 'SE', '2026-03-02']"),
        ("nothing of anna@example.com, or her", "nothing of …, or her"),
        ("It's Anna's: 'a-17'", "It's Anna's: '…'"),
        ("Invalid value: O'Neil", "Invalid value: …"),
        (
            "Could not convert value to integer. Field: age; Value: a 17",
            ("Could not convert value to integer. Field: age; Value: …"),
        ),
        ("Duplicate key acc_17 violates primary key", "Duplicate key … violates primary key"),
    ],
)
def test_what_stands_in_a_row_is_left_out(said: str, told: str) -> None:
    assert redacted(said) == told


@pytest.mark.parametrize(
    "said",
    [
        "Unrecognized name: starts at [3:5]",
        "Not found: Table p:audit_20260302.fct_daily was not found in location EU",
        'Table "fct_daily" must be qualified with a dataset (e.g. dataset.table)',
        'Referenced column "starts" not found in FROM clause!',
        "the new column starts must be nullable",
        "Division by zero: 5 / 0",
        "User loader@p.iam.gserviceaccount.com does not have bigquery.tables.get",
        "raw.payments: expected 3 rows after landing",
        "dbt build: 1 node(s) failed\nmodel fct_daily: error: it doesn't compile and can't",
    ],
)
def test_what_is_the_codes_stays(said: str) -> None:
    assert redacted(said) == said


@given(WORDS, WORDS)
def test_no_quoted_value_is_told_however_many_there_are(one: str, other: str) -> None:
    told = redacted(f"cannot make '{one}' of \"{other}\", nor '{one}{other}'")
    assert told == "cannot make '…' of \"…\", nor '…'"
