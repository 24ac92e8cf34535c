"""Which tests need an emulator, and which go to the same worker: both follow from the fixtures they use.

Workers take groups in the order below, so that what lasts longest starts first and short files fill the end.
"""

from __future__ import annotations

import pytest

STARTS_SERVICES = {"bigquery_emulator", "bigtable_emulator", "state_dir", "run_java", "run_node", "sandbox"}
"""Who asks for one of these, through any other fixture, talks to a process beside this one."""

SHARED = {
    "company_in_order": "company",
    "march": "march",
    "scenarios": "clients",
    "run_java": "clients",
    "run_node": "clients",
}
"""Session fixtures that take long to make, and the group of their tests; every other file is a group."""

LONGEST_FIRST = (
    "e2e",
    "company",
    "march",
    "test_ravenstack",
    "dbt/reference/test_reference",
    "expectations/test_gate",
    "bench/test_lookup",
    "loaders/cms/test_directus",
)
"""Groups by the time they take; the rest follows in the order of its files."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks by fixtures, and the order of the groups; within a group tests stay as they are written."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    groups: dict[str, str] = {}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        group = item.nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")
        if item.get_closest_marker("e2e"):
            item.add_marker("emulator")
            group = "e2e"
        else:
            if fixtures & STARTS_SERVICES:
                item.add_marker("emulator")
            group = next((name for fixture, name in SHARED.items() if fixture in fixtures), group)
        groups[item.nodeid] = group
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: places.get(groups[item.nodeid], len(places)))
