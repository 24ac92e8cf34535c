"""What is merged never changes; what is not may be edited as often as it takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from segue.declarations import DeclarationsError
from segue.version_lock import Versioned, lock_text, locked, merged_lock


class Thing(BaseModel):
    says: str


class Checkout:
    """A repository with a lock, and things that are declared in it."""

    def __init__(self, folder: Path) -> None:
        self.lock = folder / "versions.lock"
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=self.lock.parent, check=True, capture_output=True)

    def compile(self, **things: tuple[int, str]) -> list[str]:
        """Write the lock as the compile commands do; what it then has of versions."""
        items = [
            Versioned(f"{name}.yml", name, version, Thing(says=says))
            for name, (version, says) in things.items()
        ]
        text = lock_text("tests", locked(items, merged_lock(self.lock)))
        self.lock.write_text(text)
        return [" ".join(line.split()[:2]) for line in text.splitlines()[1:]]

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "…")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """On a branch; version 1 of one thing is merged."""
    found = Checkout(tmp_path)
    found.compile(one=(1, "merged"))
    found.commit()
    found.git("checkout", "--quiet", "-b", "work")
    return found


def test_a_second_edit_of_what_is_not_merged_needs_no_third_version(checkout: Checkout) -> None:
    checkout.compile(one=(2, "tried"))
    checkout.commit()
    first = checkout.lock.read_text()

    assert checkout.compile(one=(2, "tried again")) == ["one 1", "one 2"]
    assert checkout.lock.read_text() != first


def test_what_was_only_tried_leaves_nothing_behind(checkout: Checkout) -> None:
    checkout.compile(one=(3, "tried"), two=(1, "tried"))

    assert checkout.compile(one=(1, "merged")) == ["one 1"]


def test_what_is_merged_never_changes_whatever_the_working_copys_lock_says(checkout: Checkout) -> None:
    checkout.lock.write_text("")

    with pytest.raises(DeclarationsError, match=r"one.yml:1: version: version 1 was changed; allowed: 2"):
        checkout.compile(one=(1, "changed"))


def test_a_version_that_another_merged_meanwhile_is_taken(checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "main")
    checkout.compile(one=(2, "another's"))
    checkout.commit()
    checkout.git("checkout", "--quiet", "work")
    assert checkout.compile(one=(2, "mine")) == ["one 1", "one 2"]
    checkout.git("checkout", "--quiet", ".")
    checkout.git("rebase", "--quiet", "main")

    with pytest.raises(DeclarationsError, match="version 2 was changed; allowed: 3"):
        checkout.compile(one=(2, "mine"))


def test_on_the_main_branch_its_last_commit_is_merged(checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "main")
    checkout.compile(one=(2, "tried"))
    assert checkout.compile(one=(2, "tried again")) == ["one 1", "one 2"]
    checkout.commit()

    with pytest.raises(DeclarationsError, match="version 2 was changed; allowed: 3"):
        checkout.compile(one=(2, "once more"))


def test_what_was_removed_stays_in_the_lock(checkout: Checkout) -> None:
    assert checkout.compile(two=(1, "new")) == ["one 1", "two 1"]


@pytest.mark.parametrize("without", ["history", "main branch"])
def test_where_git_does_not_know_the_main_branch_all_that_is_locked_is_merged(
    tmp_path: Path, without: str
) -> None:
    if without == "main branch":
        Checkout(tmp_path).git("checkout", "--quiet", "-b", "work")
    found = Checkout.__new__(Checkout)
    found.lock = tmp_path / "versions.lock"
    found.compile(one=(1, "locked"))

    with pytest.raises(DeclarationsError, match="version 1 was changed; allowed: 2"):
        found.compile(one=(1, "changed"))
