"""What a page of results shows of the data is text, whatever somebody has brought into a feed."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer import ValidationResultsPageRenderer

from expectations.escaped_pages import EscapedPageView

BROUGHT = "<img src=x onerror=alert(1)>"


def page(kind: str, found: dict[str, Any], **arguments: Any) -> str:
    asked = ExpectationConfiguration(type=kind, kwargs={"column": "market", "batch_id": "b", **arguments})
    result = ExpectationValidationResult(success=False, expectation_config=asked, result=found)
    results = ExpectationSuiteValidationResult(
        success=False,
        suite_name="dim_account",
        results=[result],
        statistics={
            "evaluated_expectations": 1,
            "successful_expectations": 0,
            "unsuccessful_expectations": 1,
            "success_percent": 0.0,
        },
        suite_parameters={},
        meta={"run_id": {"run_name": "r", "run_time": "2026-03-02T00:00:00+00:00"}},
    )
    rendered = ValidationResultsPageRenderer(run_info_at_end=True).render(results)
    return str(EscapedPageView().render(rendered))


def test_a_sampled_value_is_text() -> None:
    counts = {
        "element_count": 9, "unexpected_count": 2, "unexpected_percent": 22.2, "missing_count": 0,
        "partial_unexpected_list": [BROUGHT], "partial_unexpected_counts": [{"value": BROUGHT, "count": 2}],
    }  # fmt: skip
    found = page("expect_column_values_to_be_in_set", counts, value_set=["SE"])

    assert (BROUGHT in found, "&lt;img src=x onerror=alert(1)&gt;" in found) == (False, True)


def test_an_observed_value_is_text_and_its_page_still_a_page() -> None:
    found = page("expect_column_min_to_be_between", {"observed_value": BROUGHT}, min_value=1)

    assert (BROUGHT in found, "&lt;img src=x onerror=alert(1)&gt;" in found) == (False, True)
    assert "<table" in found
    assert "&lt;span" not in found
    assert "&amp;lt;" not in found
