"""Every command that a page shows is one that the command line takes, option by option."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from cli import app
from segue.settings import PROJECT_ROOT
from tests.pages import PAGES, mentioned, plain, shown

SEGUE = re.compile(r"^(?:uv run )?segue (.*)$")


@cache
def command_line() -> Any:
    """What typer makes of the declarations, in a tenth of a second."""
    return typer.main.get_command(app)


def arguments(command: str) -> list[str] | None:
    """What is given to ``segue``, up to a pipe or a redirection; None for another program."""
    found = SEGUE.match(re.sub(r"^(?:[A-Z_]+=\S* )+", "", command))
    if found is None:
        return None
    words = shlex.split(found.group(1), comments=True)
    ends = [at for at, word in enumerate(words) if word in {"|", ">", "&", "&&", "<"}]
    return words[: min(ends)] if ends else words


def parse(words: list[str]) -> None:
    """Have the command line read the words, down to the command that would be run.

    Raises:
        UsageError: no such command or option, a value that cannot be, or something is missing.
    """
    command, parent = command_line(), None
    while isinstance(command, TyperGroup):
        parent = command.make_context("segue", list(words), parent=parent)
        _, found, words = command.resolve_command(parent, [*parent._protected_args, *parent.args])
        assert found is not None
        command = found
    command.make_context(command.name, list(words), parent=parent)


def unknown(words: list[str]) -> str | None:
    """What of a mentioned command, whose arguments may be placeholders, is no command or option."""
    command = command_line()
    while isinstance(command, TyperGroup):
        if not words or words[0].startswith(("-", "…")):
            return None
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return next((word for word in words if word.startswith("--") and word not in options), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_mentions_is_one(page: Path) -> None:
    for command in mentioned(page):
        words = plain(command).removeprefix("segue ").split()
        # `segue local up|down` stands for one command each.
        for alternative in words[1].split("|") if len(words) > 1 else [""]:
            assert unknown([words[0], alternative, *words[2:]]) is None, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_one(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in shown(page):
        words = arguments(command)
        if words is None or "--help" in words or "--version" in words:
            continue
        for word in words:
            # A file of the reader's own, which the command would look for.
            if re.fullmatch(r"[\w./-]+\.(csv|ya?ml|sql|json|lock)", word) and not Path(word).is_absolute():
                (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / word).touch()
        try:
            parse(words)
        except UsageError as error:
            pytest.fail(f"{command}: {error.format_message()}")


READ_FROM_THE_PAGE = {
    r"segue (run|land day) (\d{4}-|[A-Z]\b)": "runs/test_billing_only.py",
    r"segue query .*(select [^…]|--file|--format)": "dbt/test_queries.py",
    r"(SEGUE_SERVICE_TOKEN|grpcurl|python -m segue_client)": "serving/test_serving_page.py",
}
"""Commands that the test named runs as it finds them on their page."""

RUN_WHOLE = {"first-hour.md": "e2e/test_first_hour.py"}
"""Pages of which a test runs all that they show, in its order."""

IN_SENTENCES = {"README.md", "operate.md", "queries-by-mart.md"}
"""Pages whose sentences say what to type; others name commands that these or a console show."""

NOT_RUN = {
    r"dbt (debug|build$|test --selector|source freshness)": "what the suite's own builds do; seconds each",
    r"dbt build .*--vars|SEGUE_AUDIT_DATASET=marts|export SEGUE_DBT_DAY": "the same with other days or names",
    r"dbt docs serve": "never ends",
    r"set -a|cd dbt|\. \.venv": "how a shell is entered; test_practitioner.py makes its own",
    r"segue .*(…|\[RULE\]|FILE --map MAP\.yml|proto DIR|readout ID)": "stands for other words",
    r"(uv run )?segue bench (segments|sizes) ": "minutes to an hour; tests/bench measures less of the same",
    r"make |\./": "environments, the demo, all tests: what tests stand on; tests/e2e has the demo's steps",
    r"export ": "variables of the commands below them; test_google_cloud_page.py has them of its page",
    r"local/metricflow/mf ": "its start is ten seconds; tests/dbt/test_metricflow.py asks all metrics in one",
    r"gcloud ": "a project of Google Cloud",
    r"airflow ": "an Airflow with a day that failed; tests/e2e clears by the API, as the UI does",
    r"git ": "the reader's own repository and its remote",
    r"mvn |cd clients/node|uv build|pip install": "registries; tests/clients and test_packages.py build here",
}
"""Other commands, and why no test runs them as they stand."""

TESTS = PROJECT_ROOT / "tests"


@cache
def typed_by_tests() -> frozenset[str]:
    """Texts in tests that read pages: each fails where its page does not say the command any more."""
    files = [file for file in TESTS.rglob("test_*.py") if file != Path(__file__)]
    sources = [file.read_text() for file in files]
    readers = [text for text in sources if re.search(r"\b(typed|the_page_says|output_of)\(", text)]
    nodes = (node for text in readers for node in ast.walk(ast.parse(text)))
    return frozenset(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def is_name(command: str) -> bool:
    """Whether a sentence speaks of a command without giving it anything."""
    return all(re.fullmatch(r"[a-z-]+", word) for word in command.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_run_by_a_test_or_has_a_reason(page: Path) -> None:
    whole = {plain(command) for name in RUN_WHOLE for command in shown(PROJECT_ROOT / "docs" / name)}
    known = "|".join(f"({each})" for each in (*READ_FROM_THE_PAGE, *NOT_RUN))
    asked = set(map(plain, shown(page)))
    if page.name in IN_SENTENCES:
        asked |= {command for command in map(plain, mentioned(page)) if not is_name(command)}

    for command in sorted(asked - whole):
        is_run = re.match(known, command) or command in typed_by_tests()
        assert is_run, f"{page.name}: no test runs {command}"


def test_the_tests_that_run_commands_are_there() -> None:
    named = {*READ_FROM_THE_PAGE.values(), *RUN_WHOLE.values()}

    assert {each for each in named if not (TESTS / each).exists()} == set()


def test_the_check_finds_what_is_no_command_no_option_and_no_value() -> None:
    parse(arguments("uv run segue run 2026-11-20 2026-11-22   # three days") or [])
    for wrong in ("segue rum 2026-11-20", "segue run 2026-11-20 2026-11-22 --fast", "segue run monday today"):
        with pytest.raises(UsageError):
            parse(arguments(wrong) or [])


def test_every_make_target_that_a_page_shows_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT_ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    for page in PAGES:
        for target in re.findall(r"(?:^\$ |`)make ([a-z]+)", page.read_text(), flags=re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
