"""Expectations on the sums that experiments are read from."""

from __future__ import annotations

from expectations.suites.suite import MartSuite, at_least, no_rows, not_null, unique_key

_KEY = ("metric_date", "experiment_id", "variant", "metric")
_PAIRS = (("x", "y"), ("y", "d"), ("x", "d"))


def experiment_sum_suites() -> list[MartSuite]:
    """The suite of ``agg_experiment_daily``."""
    return [_sums()]


def _sums() -> MartSuite:
    of_one = " or ".join(f"{_squared(name)} > units * {_float(f'sum_{name}{name}')}" for name in "yxd")
    of_two = " or ".join(
        f"{_squared(left + right)} > {_float(f'sum_{left}{left}')} * {_float(f'sum_{right}{right}')}"
        for left, right in _PAIRS
    )
    return MartSuite(
        model="agg_experiment_daily",
        key=_KEY,
        watch_row_count=False,
        expectations=(
            unique_key(*_KEY),
            *not_null("experiment_id", "variant", "metric", "units", "sum_y", "sum_yy"),
            at_least("units", 1),
            no_rows(
                f"select {', '.join(_KEY)} from {{batch}} where {of_one} or {of_two}",
                "the sums are those of some accounts: no product of sums is above the sum of the squares",
            ),
            no_rows(
                f"select {', '.join(_KEY)} from {{batch}} "
                "where (sum_x is null) <> (sum_xy is null) or (sum_d is null) <> (sum_yd is null) "
                "or (sum_xd is not null and (sum_x is null or sum_d is null))",
                "covariate and denominator come with their products",
            ),
        ),
    )


def _float(column: str) -> str:
    # By a hair more than exact arithmetic allows, for what a double rounds.
    return f"cast({column} as float64) * 1.000000001"


def _squared(names: str) -> str:
    return f"power(cast(sum_{names} as float64), 2)"
