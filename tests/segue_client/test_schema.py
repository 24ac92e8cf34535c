"""Generations order by day and attempt; instants convert without loss."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue_client.bigtable import schema
from segue_client.instants import instant, milliseconds

DAYS = st.dates(date(1970, 1, 1), date(2400, 1, 1))
ATTEMPTS = st.integers(1, 86_399_999)


def test_a_generation_is_the_day_in_milliseconds_plus_the_attempt() -> None:
    assert schema.generation_ms(date(2026, 1, 31), 1) == 1_769_817_600_001


@given(DAYS, ATTEMPTS)
def test_a_generation_gives_its_day_and_attempt_back(day: date, attempt: int) -> None:
    generation = schema.generation_ms(day, attempt)
    assert (schema.segment_date_of(generation), schema.attempt_of(generation)) == (day, attempt)


@given(st.tuples(DAYS, ATTEMPTS), st.tuples(DAYS, ATTEMPTS))
def test_numbers_values_and_manifest_keys_have_one_order(
    one: tuple[date, int], other: tuple[date, int]
) -> None:
    first, second = schema.generation_ms(*one), schema.generation_ms(*other)
    assert (one < other) == (first < second)
    assert (one < other) == (schema.generation_value(first) < schema.generation_value(second))
    assert (one < other) == (schema.manifest_row_key(first) < schema.manifest_row_key(second))


@pytest.mark.parametrize(("day", "attempt"), [(date(2026, 1, 1), 0), (date(2026, 1, 1), 86_400_000)])
def test_an_attempt_never_reaches_into_another_day(day: date, attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        schema.generation_ms(day, attempt)


@given(st.integers(0, 10**16))
def test_instants_are_whole_milliseconds_rounded_down(microseconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    back = instant(milliseconds(at))
    assert back == at.replace(microsecond=at.microsecond // 1000 * 1000)
