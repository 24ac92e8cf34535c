"""MetricFlow gives for every metric what SQL by hand gives: by day, plan, market and provider, by month."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import PROJECT_ROOT, Settings
from tests.company_in_order import CompanyInOrder
from tests.dbt.metrics import Metrics

COMPILER = Path(__file__).with_name("metricflow_compiler.py")
PYTHON = PROJECT_ROOT / ".segue/metricflow-env/bin/python"


@dataclass(frozen=True)
class ByHand:
    """The simple metrics of a semantic model, as somebody would write them who has the mart only."""

    mart: str
    day: str
    dimensions: Sequence[str]
    metrics: Mapping[str, str]

    @property
    def sql(self) -> str:
        dimensions = [f"coalesce({name}, 'none') as {name}" for name in self.dimensions]
        keys = [f"{self.day} as day", *dimensions]
        metrics = [f"{expression} as {name}" for name, expression in self.metrics.items()]
        grouped = ", ".join(str(place + 1) for place in range(len(keys)))
        return f"select {', '.join([*keys, *metrics])} from marts.{self.mart} group by {grouped}"


def sums(*columns: str, suffix: str = "") -> dict[str, str]:
    """Metrics that are called as their columns."""
    return {column: f"sum({column}{suffix})" for column in columns}


def upgrades(horizon: int, column: str = "accounts", also: str = "true") -> str:
    return f"sum(if(move = 'upgrade' and horizon_days = {horizon} and {also}, {column}, 0))"


def outcomes(column: str) -> str:
    return f"sum(if(regexp_contains(metric, '^(exposures|excluded)'), 0, {column}))"


ALL = ("plan_kind", "market", "provider")
BY_HAND = {
    "subscriber_days": ByHand("fct_subscriber_daily", "snapshot_date", ("plan_kind", "market"), {
        "active_subscribers": "countif(was_active_at_day_end)",
        "churned_payers": "countif(movement = 'churn')",
        "opening_payers": "countif(was_paying_at_day_start)",
    }),
    "subscriptions_daily": ByHand(
        "agg_subscribers_daily", "snapshot_date", ALL, sums("mrr_usd", "net_mrr_usd", suffix="_amount")
    ),
    "subscription_days": ByHand("fct_subscription_daily", "snapshot_date", ALL, {
        "renewals_due_14d": "countif(is_renewal_due_14d)",
        "renewals_at_risk_14d": "countif(renewal_risk is not null)",
        "renewing_mrr_usd": "sum(if(is_renewal_due_14d, mrr_usd_amount, 0))",
    }),
    "trial_outcomes": ByHand("fct_trial", "trial_date", (*ALL, "offer_id"), {
        "trials_started": "count(*)",
        "trials_pending": "countif(outcome = 'pending')",
        "mature_trials_started": "countif(is_mature)",
        "mature_trials_converted": "countif(is_mature and is_converted)",
    }),
    "retention_cohorts": ByHand(
        "agg_retention_cohorts", "activity_month", ALL, sums("cohort_accounts", "retained_accounts")
    ),
    "retention_days": ByHand("agg_retention_days", "measured_date", ALL, {
        "day_cohort_accounts": "sum(cohort_accounts)",
        "day_retained_accounts": "sum(retained_accounts)",
    }),
    "churns": ByHand("fct_churn", "churn_date", ("market", "churn_reason"), {
        "mature_churns": "countif(is_mature)",
        "mature_recoveries_14d": "countif(is_mature and is_recovered_14d)",
    }),
    "plan_moves": ByHand("agg_upsell_daily", "measured_date", ("market", "to_plan_kind", "offer_id"), {
        "upgraded_accounts": upgrades(0),
        "offer_touched_upgraded_accounts": upgrades(0, also="is_offer_touched"),
        "upgraded_accounts_30d_ago": upgrades(30),
        "upgraded_accounts_retained_30d": upgrades(30, "retained_accounts"),
        "upgraded_accounts_90d_ago": upgrades(90),
        "upgraded_accounts_retained_90d": upgrades(90, "retained_accounts"),
    }),
    "revenue_days": ByHand("agg_revenue_daily", "revenue_date", ALL, {
        "gross_revenue_usd": "sum(gross_usd_amount)",
        "refunds_usd": "sum(refunds_usd_amount)",
        "disputes_usd": "sum(disputes_usd_amount)",
        "net_revenue_usd": "sum(net_usd_amount)",
        "accrued_revenue_usd": "sum(accrued_usd_amount)",
        "payments_without_rate": "sum(payments_without_rate)",
    }),
    "offer_conversions": ByHand("agg_conversions_daily", "journey_date", ("market", "offer_id", "surface"), {
        **sums("mature_journeys", "mature_clicked_journeys", "mature_checkout_journeys"),
        **sums("mature_conversions", "closed_journeys", "closed_clicked_journeys", "closed_clicked_paid"),
        **sums("closed_trials", "closed_trials_paid", "closed_paid", "closed_refunded"),
        **sums("closed_charged_back"),
        **sums("closed_revenue_usd", suffix="_amount"),
    }),
    "orphan_touches": ByHand("agg_orphan_touches_daily", "touch_date", ("touch", "surface"), {
        **sums("touches", "early_touches"),
        "orphan_touches":
            "sum(missing_orphans + not_shown_orphans + too_early_orphans + too_late_orphans)",
    }),
    "experiment_exposures": ByHand("fct_experiment_exposure", "exposure_date", ("experiment_id", "variant"), {
        "exposed_accounts": "count(*)",
        "experiment_units": "countif(not is_excluded)",
        "variant_mismatches": "countif(is_variant_mismatch)",
    }),
    "experiment_sums": ByHand("agg_experiment_daily", "metric_date", ("experiment_id", "variant", "metric"), {
        "experiment_outcome_units": outcomes("units"),
        "experiment_outcome_sum": outcomes("sum_y"),
    }),
}  # fmt: skip
"""By semantic model."""

OF_THE_LAST_DAY = {
    "active_subscribers", "mrr_usd", "net_mrr_usd",
    "renewals_due_14d", "renewals_at_risk_14d", "renewing_mrr_usd",
}  # fmt: skip
OF_THE_FIRST_DAY = {"opening_payers"}
"""What does not add up over days, and tells a period by one of them."""

WITHOUT_DAYS = {"retention_cohorts"}


@dataclass(frozen=True)
class Cells:
    """What was counted by hand, in the finest cells."""

    rows: Sequence[Mapping[str, Any]]
    dimensions: Sequence[str]
    metrics: Sequence[str]

    def by(self, names: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Sums by these; of what does not add up those of a period's last day, or of its first."""
        days: dict[date, set[date]] = defaultdict(set)
        for row in self.rows:
            days[_period(row["day"], names)].add(row["day"])
        found: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(self.metrics))
        for row in self.rows:
            period = days[_period(row["day"], names)]
            key = tuple(
                _period(row["day"], names) if name in ("day", "month") else row[name] for name in names
            )
            for metric in self.metrics:
                if metric in OF_THE_LAST_DAY and row["day"] != max(period):
                    continue
                if metric in OF_THE_FIRST_DAY and row["day"] != min(period):
                    continue
                found[key][metric] = (found[key][metric] or 0) + row[metric]
        return found


def _period(day: date, names: Sequence[str]) -> date:
    if "day" in names:
        return day
    return day.replace(day=1) if "month" in names else date.min


@pytest.fixture(scope="module")
def metrics(parsed_project: Path) -> Metrics:
    return Metrics(parsed_project.parent / "semantic_manifest.json")


@pytest.fixture(scope="module")
def by_hand(company_in_order: CompanyInOrder) -> dict[str, Cells]:
    """One statement a semantic model."""
    run = warehouse_of(company_in_order.settings).run
    return {
        model: Cells([dict(row) for row in run(hand.sql)], hand.dimensions, list(hand.metrics))
        for model, hand in BY_HAND.items()
    }


@pytest.fixture(scope="module")
def compile_metrics(
    company_in_order: CompanyInOrder, parsed_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[Mapping[str, Any]]], list[str]]:
    """MetricFlow's SQL over the company's published marts, of many requests at once."""
    if not PYTHON.exists():
        pytest.fail(f"no MetricFlow at {PYTHON}: run `make metrics` once", pytrace=False)
    manifest = json.loads((parsed_project.parent / "semantic_manifest.json").read_text())
    _publish(manifest, company_in_order.settings)
    file = tmp_path_factory.mktemp("metricflow") / "semantic_manifest.json"
    file.write_text(json.dumps(manifest))

    def compiled(requests: Sequence[Mapping[str, Any]]) -> list[str]:
        done = subprocess.run(
            [PYTHON, COMPILER, file], input=json.dumps(requests), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        answers: list[str] = json.loads(done.stdout)
        return answers

    return compiled


def _publish(manifest: Any, settings: Settings) -> None:
    """The models' tables as dbt names them when it is told that they are published ones."""
    spines = manifest["project_configuration"]["time_spines"]
    for holder in [*manifest["semantic_models"], *spines]:
        table = holder["node_relation"]
        table["relation_name"] = f"`{settings.project_id}`.`{settings.marts_dataset}`.`{table['alias']}`"


def test_every_metric_is_counted_by_hand(metrics: Metrics, by_hand: dict[str, Cells]) -> None:
    counted = {name for cells in by_hand.values() for name in cells.metrics}

    assert metrics.names == counted | metrics.ratios.keys()
    assert {part for parts in metrics.ratios.values() for part in parts} <= counted


def test_metricflow_gives_what_sql_gives(
    company_in_order: CompanyInOrder,
    metrics: Metrics,
    by_hand: dict[str, Cells],
    compile_metrics: Callable[[Sequence[Mapping[str, Any]]], list[str]],
) -> None:
    """All metrics of a semantic model in one statement: one a way to group, none a metric."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for model, cells in by_hand.items():
        ratios = [name for name, (part, _) in metrics.ratios.items() if part in cells.metrics]
        finest = "month" if model in WITHOUT_DAYS else "day"
        asked += [
            (model, {"metrics": [*cells.metrics, *ratios], "by": by})
            for by in ([finest], [finest, *cells.dimensions], ["month", *cells.dimensions[:1]], [])
        ]
    statements = compile_metrics([request for _, request in asked])

    run = warehouse_of(company_in_order.settings).run
    for (model, request), sql in zip(asked, statements, strict=True):
        expected = by_hand[model].by(request["by"])
        for values in expected.values():
            for ratio in set(request["metrics"]) - set(by_hand[model].metrics):
                values[ratio] = _divided(*(values[part] for part in metrics.ratios[ratio]))
        found = {}
        for row in run(sql):
            values = dict(row)
            key = tuple(_read(values, name) for name in request["by"])
            assert key not in found, (model, request["by"], key)
            found[key] = {name: values[name] for name in request["metrics"]}
        assert found.keys() == expected.keys(), (model, request["by"])
        for key, values in found.items():
            assert _floats(values.values()) == pytest.approx(
                _floats(expected[key][name] for name in values), rel=1e-9
            ), (model, request["by"], key)


def _read(row: Mapping[str, Any], name: str) -> Any:
    [value] = [value for column, value in row.items() if column.endswith(f"__{name}")]
    return value.date() if name in ("day", "month") else value


def _divided(numerator: Any, denominator: Any) -> float | None:
    return None if numerator is None or not denominator else float(numerator) / float(denominator)


def _floats(values: Iterable[Any]) -> list[float]:
    return [float("-inf") if value is None else float(value) for value in values]


def test_trials_without_an_offer_are_a_group_of_their_own(by_hand: dict[str, Cells]) -> None:
    """So that what is compared above has both parts of a rate in one row."""
    assert {row["offer_id"] for row in by_hand["trial_outcomes"].rows} > {"none"}
