"""Expectations whose rows are counted by one query, as its columns.

Great Expectations asks two queries for each custom query and two for each compound key, before it knows
whether anything is wrong. Here both are columns of the query that counts the model's rows. What does not hold
is then asked in detail, as Great Expectations does it.
"""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
from great_expectations.compatibility.sqlalchemy import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.query_metric_provider import QueryMetricProvider
from great_expectations.expectations.registry import get_metric_kwargs
from great_expectations.validator.metric_configuration import MetricConfiguration

_METRIC = "rows_of_query.count"
_ROWS = "table.row_count"


class RowsOfQuery(QueryMetricProvider):
    """How many rows a query selects; ``{batch}`` stands for the validated rows."""

    metric_name = _METRIC
    value_keys = ("query",)

    @metric_partial(
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls,  # noqa: N805 - a class method to Great Expectations
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002
        runtime_configuration: dict[str, Any],  # noqa: ARG002
    ) -> Any:
        batch, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, MetricDomainTypes.TABLE)
        query = cls._get_substituted_batch_subquery_from_query_and_batch_selectable(
            query=metric_value_kwargs["query"], batch_selectable=batch, execution_engine=execution_engine
        )
        return sa.literal_column(f"(select count(*) from ({query}))"), metric_domain_kwargs, {}


def _need_count(needed: Any, expectation: Any, runtime_configuration: Any, name: str, query: str) -> None:
    """Ask for the number of rows of ``query``, to be found under ``name``."""
    domain = get_metric_kwargs(_ROWS, expectation.configuration, runtime_configuration)[
        "metric_domain_kwargs"
    ]
    needed.set_metric_configuration(name, MetricConfiguration(_METRIC, domain, {"query": query}))
    # An aggregate beside it makes the query's result one row.
    needed.set_metric_configuration("aggregate", MetricConfiguration(_ROWS, domain))


class _Counted(Expectation):
    """Asks for one number while only booleans are wanted."""

    def offenders(self) -> str:
        """The query that selects the offending rows, or one row for several of them."""
        raise NotImplementedError

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: dict[str, Any] | None = None
    ) -> Any:
        needed = Expectation.get_validation_dependencies(self, execution_engine, runtime_configuration)
        if needed.result_format["result_format"] != "BOOLEAN_ONLY":
            return super().get_validation_dependencies(execution_engine, runtime_configuration)
        _need_count(needed, self, runtime_configuration, _METRIC, self.offenders())
        return needed

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> Any:
        if _METRIC in metrics:
            return {"success": not metrics[_METRIC]}
        return super()._validate(metrics, runtime_configuration, execution_engine)


class NoRows(_Counted, gxe.UnexpectedRowsExpectation):
    """A query selects no rows; a summary shows some: they hold the keys by which the others are found."""

    def offenders(self) -> str:
        return str(self.unexpected_rows_query)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> Any:
        found = super()._validate(metrics, runtime_configuration, execution_engine)
        if "result" in found:
            found["result"]["details"] = {"unexpected_rows": metrics["unexpected_rows_query.table"]}
        return found


class UniqueTogether(_Counted, gxe.ExpectCompoundColumnsToBeUnique):
    """No two rows share these columns."""

    def offenders(self) -> str:
        columns = ", ".join(self.column_list)
        return f"select {columns} from {{batch}} group by {columns} having count(*) > 1"


class RowsBetween(gxe.ExpectTableRowCountToBeBetween):
    """The number of rows that a query selects, whatever the batch is, lies between two numbers."""

    model: str
    query: str

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: dict[str, Any] | None = None
    ) -> Any:
        needed = Expectation.get_validation_dependencies(self, execution_engine, runtime_configuration)
        _need_count(needed, self, runtime_configuration, _ROWS, self.query)
        return needed


STANDS_FOR = {
    "rows_between": gxe.ExpectTableRowCountToBeBetween.expectation_type,
    "no_rows": gxe.UnexpectedRowsExpectation.expectation_type,
    "unique_together": gxe.ExpectCompoundColumnsToBeUnique.expectation_type,
}
"""The stock expectation that each of ours is, by type: results are recorded under its name."""
