"""The pages of what dbt declares: marts with their columns, and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from local.site.markup import code, page, table

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import Metric, ModelNode

MARTS = """\
What analysts query, in the dataset `marts`. A day of a mart is published with all others of the day,
after the checks, or not at all. Dates are UTC days. The [queries](../queries-by-mart.md) ask them the
everyday questions, the [glossary](../glossary.md) has the words, [decisions](../decisions.md) the reasons."""

METRICS = """\
Named numbers over the marts, declared beside them in `dbt/models/marts`. A rate names its numerator and
its denominator, both of which are metrics."""


def marts_page(manifest: Manifest) -> str:
    """Every published mart by subject: what a row is, caveats, partitions, who reads it, its columns."""
    marts = sorted(_marts(manifest), key=lambda mart: (_subject(mart), mart.name))
    body = []
    for subject in dict.fromkeys(_subject(mart) for mart in marts):
        of_subject = [mart for mart in marts if _subject(mart) == subject]
        body.append(f"## {subject.capitalize()}")
        body.append("\n\n".join(_mart(mart, manifest) for mart in of_subject))
    return page("Marts and columns", MARTS, body)


def metrics_page(manifest: Manifest) -> str:
    """Every metric: what it is, and of what it is made."""
    rows = [
        [code(metric.name), metric.label, str(metric.type.value), metric.description, _made_of(metric)]
        for metric in sorted(manifest.metrics.values(), key=lambda metric: metric.name)
    ]
    return page("Metrics", METRICS, [table(["metric", "name", "kind", "what it is", "made of"], rows)])


def _marts(manifest: Manifest) -> Iterator[ModelNode]:
    for node in manifest.nodes.values():
        if node.resource_type == "model" and node.config.meta.get("published"):
            yield node


def _subject(mart: ModelNode) -> str:
    return str(mart.fqn[-2])


def _mart(mart: ModelNode, manifest: Manifest) -> str:
    columns = [[code(each.name), each.data_type or "", each.description] for each in mart.columns.values()]
    parts = [f"### {mart.name}", mart.description.strip(), *_facts(mart, manifest)]
    return "\n\n".join([*parts, table(["column", "type", "what it is"], columns)])


def _facts(mart: ModelNode, manifest: Manifest) -> Iterator[str]:
    extra = mart.config.extra
    partition = extra.get("partition_by")
    facts = [f"owner: {manifest.groups[f'group.segue.{mart.group}'].owner.name}"] if mart.group else []
    if partition:
        facts.append(f"partitioned by {code(partition['field'])}")
    if extra.get("cluster_by"):
        facts.append(f"clustered by {', '.join(map(code, extra['cluster_by']))}")
    if mart.config.meta.get("restates_days"):
        facts.append(f"restated for {mart.config.meta['restates_days']} days")
    readers = sorted(e.name for e in manifest.exposures.values() if mart.unique_id in e.depends_on.nodes)
    if readers:
        facts.append(f"read by {', '.join(map(code, readers))}")
    if facts:
        yield "*" + "; ".join(facts) + "*"


def _made_of(metric: Metric) -> str:
    parts = metric.type_params
    if parts.numerator and parts.denominator:
        return f"{code(parts.numerator.name)} / {code(parts.denominator.name)}"
    if parts.measure:
        return code(parts.measure.name)
    return ", ".join(code(each.name) for each in parts.metrics or [])
