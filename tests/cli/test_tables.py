"""Tables on terminals: what a person copies from one is whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.panel import Panel

from cli.tables import side_by_side_or_below

HEADERS = ("offer", "rule", "priority")
ROWS = [("trial-30-days", "trial_for_engaged_free v1", "20"), ("stay-discount", "cancel_save v1", "9")]


def printed(width: int, *, in_panel: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    shown = side_by_side_or_below(HEADERS, ROWS, width - 4 * in_panel, numbers={2})
    console.print(Panel(shown, expand=False) if in_panel else shown)
    return [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]  # type: ignore[attr-defined]


def test_columns_stand_side_by_side_where_they_have_room() -> None:
    header, _, first, second = printed(60)

    assert header.split() == ["offer", "rule", "priority"]
    assert first == "trial-30-days   trial_for_engaged_free v1         20"
    assert second == "stay-discount   cancel_save v1                     9"


def test_a_row_without_room_is_told_below_itself() -> None:
    assert printed(39) == [
        "row 1", "offer     trial-30-days", "rule      trial_for_engaged_free v1", "priority  20",
        "row 2", "offer     stay-discount", "rule      cancel_save v1", "priority  9",
    ]  # fmt: skip


@pytest.mark.parametrize("in_panel", [False, True])
@pytest.mark.parametrize("width", range(24, 70, 3))
def test_names_of_columns_are_never_cut(width: int, in_panel: bool) -> None:
    text = "\n".join(printed(width, in_panel=in_panel))

    assert all(header in text for header in HEADERS)
    assert "…" not in text


def test_no_rows_are_a_header() -> None:
    console = Console(file=io.StringIO(), width=40)
    console.print(side_by_side_or_below(HEADERS, [], 40))

    assert console.file.getvalue().split()[:3] == list(HEADERS)  # type: ignore[attr-defined]
