"""Who may call: tokens that are kept as hashes only, limits that are fair, a command to keep the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from serving.service.callers import Callers, CallersFileError, TokenBucket, hash_token, read_callers
from tests.pages import typed

runner = CliRunner()


def test_a_bucket_lets_the_burst_through_at_once_and_then_the_rate() -> None:
    clock = 0.0
    bucket = TokenBucket(per_second=10, burst=3, monotonic=lambda: clock)
    assert [bucket.take(1) for _ in range(4)] == [0, 0, 0, pytest.approx(0.1)]
    clock = 0.1
    assert bucket.take(1) == 0
    assert bucket.take(1) > 0


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    clock = 0.0
    bucket = TokenBucket(per_second=10, burst=3, monotonic=lambda: clock)
    clock = 1_000.0
    assert [bucket.take(1) > 0 for _ in range(4)] == [False, False, False, True]


def test_a_batch_larger_than_the_burst_passes_once_and_is_paid_for_afterwards() -> None:
    clock = 0.0
    bucket = TokenBucket(per_second=10, burst=5, monotonic=lambda: clock)
    assert bucket.take(20) == 0
    assert bucket.take(1) == pytest.approx(1.6)
    clock = 1.6
    assert bucket.take(1) == 0


def test_who_is_refused_is_promised_a_time_of_its_own_and_finds_room_then() -> None:
    clock = 0.0
    bucket = TokenBucket(per_second=5, burst=5, monotonic=lambda: clock)
    told = [bucket.take(1) for _ in range(20)]
    assert told == [0] * 5 + [pytest.approx(0.2 * place) for place in range(1, 16)]
    for place in range(1, 16):
        clock = 0.2 * place + 0.001
        assert bucket.take(1) == 0


def test_nothing_is_promised_to_who_cannot_wait_so_long() -> None:
    bucket = TokenBucket(per_second=1, burst=1, monotonic=lambda: 0.0)
    bucket.take(1)
    assert [bucket.take(1, patience_seconds=1.5) for _ in range(3)] == [1, 2, 2]
    assert bucket.take(1, patience_seconds=2) == 2
    assert bucket.take(1) == 3


def test_promises_that_nobody_comes_for_are_forgotten() -> None:
    clock = 0.0
    bucket = TokenBucket(per_second=1, burst=1, monotonic=lambda: clock)
    for _ in range(5):
        bucket.take(1)
    clock = 10.0
    assert [bucket.take(1), bucket.take(1)] == [0, 1]


def test_the_command_admits_lists_and_removes(tmp_path: Path) -> None:
    path = tmp_path / "callers.yml"
    file = ["--file", str(path)]
    of_the_page = "segue callers add checkout --lookups-per-second 500 --burst 1000"
    added = runner.invoke(app, [*typed("docs/serving-operate.md", of_the_page), *file])
    again = runner.invoke(
        app, [*typed("docs/operate.md", "segue callers add NAME", {"NAME": "checkout"}), *file]
    )
    other = runner.invoke(app, ["callers", "add", "home", "--json", *file])
    listed = runner.invoke(app, [*typed("docs/runbook.md", "segue callers list"), "--json", *file])

    assert (added.exit_code, again.exit_code, other.exit_code) == (0, 2, 0)
    assert [each["name"] for each in json.loads(listed.stdout)] == ["checkout", "home"]
    token = added.stdout.strip()
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    callers = Callers(path)
    found = callers.identify(f"Bearer {token}")
    assert found is not None
    assert found.name == "checkout"
    assert callers.identify(f"Bearer {json.loads(other.stdout)['token']}x") is None
    assert callers.identify(hash_token(token)) is None

    remove = [*typed("docs/runbook.md", "segue callers remove NAME", {"NAME": "checkout"}), *file]
    assert runner.invoke(app, remove).exit_code == 0
    assert runner.invoke(app, remove).exit_code == 1
    assert callers.reload_if_changed()
    assert callers.identify(f"Bearer {token}") is None


def test_a_caller_keeps_what_it_used_when_the_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "callers.yml"
    entry = f"{{name: home, token_sha256: {hash_token('t')}, lookups_per_second: 1, burst: 1}}"
    path.write_text(f"callers: [{entry}]")
    callers = Callers(path, monotonic=lambda: 0.0)
    before = callers.identify("Bearer t")
    assert before is not None
    assert before.charge(1) == 0
    path.write_text(f"# a remark\ncallers: [{entry}]")
    assert callers.reload_if_changed()
    after = callers.identify("bearer t")
    assert after is not None
    assert after.charge(1) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("callers: [", "is no callers file"),
        ("- a", "is no callers file"),
        ("callers: [{name: a, token_sha256: abc, lookups_per_second: 1}]", "token_sha256"),
        (f"callers: [{{name: a, token_sha256: {'a' * 64}, lookups_per_second: 0}}]", "lookups_per_second"),
        (
            f"callers: [{{name: a, token_sha256: {'a' * 64}, lookups_per_second: 1}},"
            f" {{name: a, token_sha256: {'b' * 64}, lookups_per_second: 1}}]",
            "names a caller twice",
        ),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "callers.yml"
    path.write_text(text)
    with pytest.raises(CallersFileError, match=said):
        read_callers(path)


def test_a_missing_file_is_an_error_not_an_open_door(tmp_path: Path) -> None:
    missing = tmp_path / "callers.yml"
    with pytest.raises(CallersFileError, match="No such file"):
        Callers(missing)

    listed = runner.invoke(app, ["callers", "list", "--file", str(missing)])

    assert listed.exit_code == 1
    assert listed.stderr.startswith(f"callers_file: cannot read {missing}: No such file or directory")
