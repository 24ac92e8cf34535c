"""Run by MetricFlow's own interpreter: metrics to BigQuery's SQL, all in one process and of one manifest.

    python metricflow_compiler.py semantic_manifest.json < requests.json > sql.json

A request is ``{"metrics": […], "by": […]}``; ``by`` holds ``day`` or ``month`` for the metrics' time, and
dimensions without the entity before their names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.big_query import BigQuerySqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup


def main() -> None:
    """Answer the requests in their order."""
    manifest = parse_manifest_from_dbt_generated_manifest(Path(sys.argv[1]).read_text())
    # What MetricFlow asks of a warehouse when it is not to run anything.
    bigquery = SimpleNamespace(
        sql_engine_type=SqlEngine.BIGQUERY, sql_plan_renderer=BigQuerySqlPlanRenderer()
    )
    engine = MetricFlowEngine(SemanticManifestLookup(manifest), bigquery)
    dimensions = {
        metric.name: {each.dunder_name for each in metric.dimensions} for metric in engine.list_metrics()
    }

    def named(metric: str, wanted: str) -> str:
        if wanted in ("day", "month"):
            return f"metric_time__{wanted}"
        [found] = [name for name in dimensions[metric] if name.endswith(f"__{wanted}")]
        return found

    json.dump(
        [
            engine.explain(
                MetricFlowQueryRequest.create(
                    metric_names=request["metrics"],
                    group_by_names=[named(request["metrics"][0], each) for each in request["by"]],
                )
            ).sql_statement.sql
            for request in json.load(sys.stdin)
        ],
        sys.stdout,
    )


main()
