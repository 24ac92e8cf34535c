"""A thread that is busy most of the time is short of CPU, one that waits is not."""

from __future__ import annotations

import pytest

from segue_client.bigtable.cpu_shortage import CpuShortage


class Clocks:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.used = 7.0

    def run(self, seconds: float, share: float) -> None:
        self.passed += seconds
        self.used += seconds * share


@pytest.mark.parametrize(("share", "shortage"), [(0.0, 0.0), (0.6, 0.0), (0.7, 0.5), (0.8, 1.0), (1.0, 1.0)])
def test_the_shortage_grows_with_the_share_of_a_core_that_is_used(share: float, shortage: float) -> None:
    clocks = Clocks()
    ask = CpuShortage(lambda: clocks.passed, lambda: clocks.used)
    clocks.run(0.05, share)
    assert ask() == pytest.approx(shortage)


def test_it_is_about_the_time_since_the_last_look_and_looks_are_not_too_close() -> None:
    clocks = Clocks()
    ask = CpuShortage(lambda: clocks.passed, lambda: clocks.used)
    clocks.run(0.05, 1.0)
    assert ask() == 1.0
    clocks.run(0.01, 0.0)
    assert ask() == 1.0
    clocks.run(0.01, 0.0)
    assert ask() == 0.0


def test_a_thread_that_sleeps_is_not_short_of_cpu() -> None:
    import time

    ask = CpuShortage()
    time.sleep(0.05)
    assert ask() == 0.0
