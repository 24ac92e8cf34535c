"""Code says which it is: a commit where nothing was changed since, else a digest of what it is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from segue.source_version import commit_of, digest_of, source_version


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a module, a model and a page, all of them committed."""
    for name, text in {
        "scoring/trees.py": "DEPTH = 3\n", "dbt/models/marts/a.sql": "select 1\n", "docs/page.md": "Trees.\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    commit(tmp_path, "first")
    return tmp_path


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", message)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def digest(folder: Path) -> str:
    return digest_of(folder, folder / "dbt")


def test_what_was_committed_is_told_by_its_commit(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "docs/page.md").write_text("Pages train nothing.\n")
    assert commit_of(checkout) == first

    commit(checkout, "pages")
    assert commit_of(checkout) == first

    (checkout / "scoring/trees.py").write_text("DEPTH = 4\n")
    commit(checkout, "deeper")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD") != first


@pytest.mark.parametrize("name", ["scoring/trees.py", "scoring/new.py", "dbt/models/marts/a.sql"])
def test_a_change_since_is_other_code_and_has_another_digest(checkout: Path, name: str) -> None:
    before = digest(checkout)
    (checkout / name).write_text("DEPTH = 4\n")

    assert commit_of(checkout) is None
    assert digest(checkout) != before


def test_the_digest_is_the_same_wherever_the_code_lies(checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "site-packages"
    (elsewhere / "segue/shipped/dags").mkdir(parents=True)
    (elsewhere / "segue/shipped/dags/daily.py").write_text("")
    (checkout / "scoring").rename(elsewhere / "scoring")
    shipped = (checkout / "dbt").rename(elsewhere / "segue/shipped/dbt")
    moved = digest_of(elsewhere, shipped)
    (elsewhere / "numpy").mkdir()
    (elsewhere / "numpy/other.py").write_text("")

    assert digest_of(elsewhere, shipped) == moved
    (elsewhere / "scoring").rename(checkout / "scoring")
    shipped.rename(checkout / "dbt")
    assert digest(checkout) == moved


def test_no_folder_but_a_checkout_has_a_commit(tmp_path: Path) -> None:
    assert commit_of(None) is None
    assert commit_of(tmp_path) is None
    assert re.fullmatch("[0-9a-f]{40}|sha256:[0-9a-f]{64}", source_version())
