"""The server drives the pace: rates follow its factors, within bounds, at most once a period."""

from __future__ import annotations

import base64

import pytest
from google.cloud.bigtable_v2.types import feature_flags

from loaders.bigtable.flow import FlowControl, features_metadata


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flow(clock: Clock) -> FlowControl:
    """Has sent 100 requests in 10 seconds without being asked for a pace."""
    flow = FlowControl(lambda: clock.now, clock.sleep)
    for _ in range(100):
        flow.acquire()
    clock.now = 10.0
    assert (flow.requests_per_second, clock.slept) == (None, [])
    return flow


def test_the_first_factor_applies_to_the_pace_so_far(flow: FlowControl) -> None:
    flow.answered(0.8, 5.0)
    assert flow.requests_per_second == pytest.approx(8.0)


@pytest.mark.parametrize(("factor", "rate"), [(0.0, 7.0), (0.9, 9.0), (1.2, 12.0), (50.0, 13.0)])
def test_a_factor_is_held_within_bounds(flow: FlowControl, factor: float, rate: float) -> None:
    flow.answered(factor, 5.0)
    assert flow.requests_per_second == pytest.approx(rate)


def test_the_rate_changes_at_most_once_a_period(flow: FlowControl, clock: Clock) -> None:
    flow.answered(0.8, 5.0)
    flow.answered(0.8, 5.0)
    assert flow.requests_per_second == pytest.approx(8.0)
    clock.now += 5.0
    flow.answered(1.25, 5.0)
    assert flow.requests_per_second == pytest.approx(10.0)


def test_requests_are_spaced_by_the_rate(flow: FlowControl, clock: Clock) -> None:
    flow.answered(1.0, 5.0)
    for _ in range(3):
        flow.acquire()
    assert clock.slept == [0.1, 0.1]


def test_an_overloaded_server_slows_a_paced_writer_only(flow: FlowControl, clock: Clock) -> None:
    flow.overloaded()
    assert flow.requests_per_second is None
    flow.answered(1.0, 5.0)
    clock.now += 5.0
    flow.overloaded()
    assert flow.requests_per_second == pytest.approx(7.0)


def test_the_server_is_told_that_its_pace_is_kept() -> None:
    name, value = features_metadata()
    flags = feature_flags.FeatureFlags.deserialize(base64.urlsafe_b64decode(value))
    assert (name, flags.mutate_rows_rate_limit, flags.mutate_rows_rate_limit2) == (
        "bigtable-features", True, True,
    )  # fmt: skip
