"""A model's trees as GoogleSQL: BigQuery scores any number of accounts where they are, and moves none.

Conditions and sums are LightGBM's own, in 64 bits, so that both sides give the same probabilities. An import
would first make it another model: BigQuery ML reads no format of LightGBM's, and ONNX, which it reads, keeps
the thresholds of trees in 32 bits (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from scoring.calibration import SMALLEST, Curve, IsotonicCurve
from scoring.columns import Feature
from scoring.model import Model, Trees
from segments.features import FEATURES
from segments.sql import text
from segue.errors import SegueError

LONGEST: Final = 1_000_000
"""Characters of a statement: BigQuery takes 1 MB (https://cloud.google.com/bigquery/quotas#query_jobs)."""


class TreesTooLargeError(SegueError):
    """A model has more trees than a statement can hold; workers score by it all the same."""

    code = "trees_too_large"
    hint = "set SEGUE_SCORE_IN=workers, or bound the model (algorithm: num_iterations, num_leaves)"
    is_final = True


def shares_query(model: Model, source: str, where: str) -> str:
    """A query of ``account_id`` and ``share``, the score as the rules have it, of a table's rows.

    ``source`` is a full name, of a table with feature_date, account_id and the features as columns of
    ``fct_account_features``.

    Raises:
        TreesTooLargeError: the query would be longer than BigQuery takes.
    """
    sums = ", ".join(f"{_sum_of(trees, model.features)} as {name}" for name, trees in model.trees.items())
    probabilities = ", ".join(f"1 / (1 + exp(-{name})) as {name}_probability" for name in model.trees)
    curves = ", ".join(
        f"{_curved(trees.curve, f'{name}_probability')} as {name}_probability"
        for name, trees in model.trees.items()
    )
    share = "(1 + treated_probability - control_probability) / 2" if model.is_uplift else "model_probability"
    query = (
        f"with sums as (\nselect account_id, {sums}\nfrom `{source}` where {where}\n"
        f"), probabilities as (\nselect account_id, {probabilities} from sums\n"
        f"), calibrated as (\nselect account_id, {curves} from probabilities\n"
        f")\nselect account_id, {share} as share from calibrated"
    )
    if len(query) > LONGEST:
        raise TreesTooLargeError(f"the trees are {len(query):,} characters of SQL, {LONGEST:,} are taken")
    return query


def _sum_of(trees: Trees, features: Sequence[Feature]) -> str:
    return _added([_node(tree["tree_structure"], features) for tree in trees.dumped()["tree_info"]])


def _added(terms: Sequence[str]) -> str:
    """Half and half again: a thousand terms in a row would be an expression a thousand deep."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({_added(terms[:middle])} + {_added(terms[middle:])})"


def _node(node: Mapping[str, Any], features: Sequence[Feature]) -> str:
    if "leaf_value" in node:
        return repr(float(node["leaf_value"]))
    left, right = (_node(node[side], features) for side in ("left_child", "right_child"))
    return f"if({_goes_left(node, features[node['split_feature']])}, {left}, {right})"


def _goes_left(node: Mapping[str, Any], feature: Feature) -> str:
    """LightGBM's decision; null, which is missing, is no comparison and goes right."""
    column = _column(feature)
    if node["decision_type"] == "==":
        codes = sorted(int(code) for code in str(node["threshold"]).split("||"))
        named = [text(feature.categories[code]) for code in codes if code < len(feature.categories)]
        return f"{column} in ({', '.join(named)})" if named else "false"
    threshold = float(node["threshold"])
    # Where none was missing among what it learned from, LightGBM takes a missing value for 0.
    goes_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    missing = f" or {column} is null" if goes_left else ""
    return f"{column} <= {threshold!r}{missing}"


def _column(feature: Feature) -> str:
    match FEATURES[feature.name]:
        case "flag":
            return f"cast({feature.name} as int64)"
        case "date":
            return f"date_diff(feature_date, {feature.name}, day)"
    return feature.name


def _curved(curve: Curve | None, probability: str) -> str:
    if curve is None:
        return probability
    if isinstance(curve, IsotonicCurve):
        return _between(curve, probability)
    kept = f"least(greatest({probability}, {SMALLEST!r}), {1 - SMALLEST!r})"
    return f"1 / (1 + exp(-({curve.intercept!r} + {curve.slope!r} * ln({kept} / (1 - {kept})))))"


def _between(curve: IsotonicCurve, probability: str) -> str:
    points = list(zip(curve.scores, curve.probabilities, strict=True))
    pieces = "".join(
        f" when {probability} <= {after!r} then {low!r} + ({probability} - {before!r}) * "
        f"{(high - low) / (after - before)!r}"
        for (before, low), (after, high) in pairwise(points)
        if after > before
    )
    first, last = points[0], points[-1]
    return f"case when {probability} <= {first[0]!r} then {first[1]!r}{pieces} else {last[1]!r} end"
