"""An id is found in whatever way it is written, and never inside another."""

from __future__ import annotations

import html
import json
import re

import pytest

from loaders.erasure.files import Files
from loaders.erasure.mentions import mention_patterns
from segue.settings import Settings


def is_mentioned(text: str, account_id: str, *, quoted_is_enough: bool = False) -> bool:
    return any(
        re.search(each, text) for each in mention_patterns([account_id], quoted_is_enough=quoted_is_enough)
    )


ROW = {"account_id": "räk/leaver 7"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROW),
        json.dumps(ROW, ensure_ascii=False),
        json.dumps({"payload": json.dumps(ROW)}),
        json.dumps({"payload": json.dumps(ROW, ensure_ascii=False)}),
        json.dumps(ROW).replace("/", r"\/").replace("u00e4", "u00E4"),
        "<td>räk/leaver 7</td>",
        "account räk/leaver 7: no such row",
        json.dumps("failed:\nräk/leaver 7 is twice there", ensure_ascii=False),
        str([ROW]),
    ],
)
def test_however_it_is_written(text: str) -> None:
    assert is_mentioned(text, "räk/leaver 7")


def test_as_html_writes_it() -> None:
    assert is_mentioned(f"<td>{html.escape('leaver<&>7')}</td>", "leaver<&>7")


@pytest.mark.parametrize("text", ["leaver-70", "a-leaver-7", "leaver-7-b", "Leaver-7", "leaver"])
def test_another_id_is_no_mention(text: str) -> None:
    assert not is_mentioned(f'{{"account_id": "{text}"}}', "leaver-7")


def test_a_short_id_counts_where_an_id_stands() -> None:
    assert is_mentioned('{"account_id":"9","units":"1"}', "9")
    assert is_mentioned(r'{"payload":"{\"subscription_id\": \"9\"}"}', "9")
    assert not is_mentioned('{"account_id":"19","units":"9"}', "9")
    assert is_mentioned('["9"]', "9", quoted_is_enough=True)


def test_a_number_counts_where_it_is_quoted_or_an_id_stands() -> None:
    assert is_mentioned('{"account_id": 1234567}', "1234567")
    assert is_mentioned('{"anything": "1234567"}', "1234567")
    assert not is_mentioned('{"ms_played": 1234567}', "1234567")


def test_in_files_it_is_overwritten_and_everything_else_stays(
    bigtable_world: Settings, tmp_path: object
) -> None:
    settings = bigtable_world.model_copy(
        update={"state_dir": tmp_path, "landing_files_uri": f"file://{tmp_path}/landing"}
    )
    log = settings.state_dir / "logs" / "task.log"
    log.parent.mkdir()
    log.write_text("leaver-7 leaver-7 leaver-70 stayer-7\n")
    files = Files(settings, ["leaver-7"])

    assert files.count() == {"logs/task.log": 2}
    files.remove()

    assert log.read_text() == "******** ******** leaver-70 stayer-7\n"
    assert files.count() == {}
