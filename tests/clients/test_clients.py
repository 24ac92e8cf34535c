"""The clients of every language answer and refuse alike, read the same bytes, and their pages say so."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from segue_client import (
    AsyncOfferServiceClient,
    Lookup,
    LookupFailedError,
    LookupTimeoutError,
    OfferServiceClient,
    RateLimitedError,
    SegueClientError,
    UnavailableError,
    __version__,
    decision_id,
)
from tests.clients.conftest import JAVA, NODE, PYTHON, Run, declared_scenarios
from tests.clients.forgotten_connections import Forgotten, forgotten_connections
from tests.sandbox_fixture import Sandbox
from tests.serving.test_serving_page import examples, here
from tests.serving.test_serving_page import run as run_python

RETRYABLE = (UnavailableError, RateLimitedError, LookupTimeoutError)
STATUSES = {"InvalidRequestError": "INVALID_ARGUMENT", "NothingPublishedError": "FAILED_PRECONDITION",
            "UnreadableOffersError": "DATA_LOSS"}  # fmt: skip
"""Of the errors that do not name their status themselves."""

PRINTED = """\
test-partly-held-back is {found}
show annual-switch, log decision {shown}
do not show trial-30-days, log decision {held_back}
"""


def told(answer: Lookup) -> dict[str, Any]:
    for each in (*answer.offers, *answer.held_back):
        assert each.decision_id == decision_id(answer.account_id, answer.generation_ms, each.rule_id)
    return {
        "account_id": answer.account_id,
        "outcome": answer.outcome.value,
        "offers": [each.offer_id for each in answer.offers],
        "held_back": [each.offer_id for each in answer.held_back],
        "suppressed_reason": (answer.account and answer.account.suppressed_reason) or None,
    }


def refusal(error: SegueClientError) -> dict[str, Any]:
    status = error.status.name if isinstance(error, LookupFailedError) else STATUSES[type(error).__name__]
    # of a refusal for longer than the timeout this client does not say for how long
    is_told_when = isinstance(error, RateLimitedError)
    return {
        "status": status,
        "is_retryable": isinstance(error, RETRYABLE),
        "is_told_when": is_told_when,
    }


def outcome_of(ask: Callable[[], Iterable[Lookup]]) -> Any:
    try:
        return [told(answer) for answer in ask()]
    except SegueClientError as error:
        return refusal(error)


def asked(client: OfferServiceClient, scenario: dict[str, Any]) -> list[Lookup]:
    ids = scenario["account_ids"]
    return client.lookup_many(ids) if scenario["is_batch"] else [client.lookup(each) for each in ids]


async def awaited(connection: dict[str, Any], scenario: dict[str, Any]) -> list[Lookup]:
    ids = scenario["account_ids"]
    async with AsyncOfferServiceClient(**connection) as client:
        return (
            await client.lookup_many(ids) if scenario["is_batch"] else [await client.lookup(i) for i in ids]
        )


@pytest.fixture(scope="module", autouse=True)
def forgotten(
    run_java: Run,  # noqa: ARG001 - built
    run_node: Run,  # noqa: ARG001 - built
    sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Forgotten]]:
    """Begun before the other tests and asked after them: for most of a minute they wait."""
    with forgotten_connections(sandbox.address, tmp_path_factory.mktemp("forgotten")) as found:
        yield found


# gRPC hedges in Java and Node only
PLAYED = [each["name"] for each in declared_scenarios() if each["service_config"] is None]
CONNECTION = ("address", "token", "timeout_seconds", "ca_file", "client_certificate_file", "client_key_file")


@pytest.mark.parametrize("name", PLAYED)
def test_python(name: str, scenarios: Path) -> None:
    [scenario] = [each for each in json.loads(scenarios.read_text()) if each["name"] == name]
    expected = scenario["answers"] if scenario["refusal"] is None else scenario["refusal"]
    connection = {key: scenario[key] for key in CONNECTION}
    with OfferServiceClient(**connection) as client:
        for time in range(scenario["times"]):
            if time % 2 == 0:
                assert outcome_of(lambda: asked(client, scenario)) == expected
            else:
                assert outcome_of(lambda: asyncio.run(awaited(connection, scenario))) == expected


def test_java(run_java: Run, scenarios: Path) -> None:
    printed = run_java("./build.sh", "test", SEGUE_SCENARIOS=str(scenarios))
    assert all(f"{each['name']} ✔" in printed for each in declared_scenarios())


def test_node(run_node: Run, scenarios: Path) -> None:
    printed = run_node("npm", "test", SEGUE_SCENARIOS=str(scenarios))
    assert all(f"✔ {each['name']} (" in printed for each in declared_scenarios())


def example(folder: Path, language: str, sandbox: Sandbox) -> str:
    """The example of a client's README, with the address of this sandbox."""
    [code] = re.findall(
        rf"^```{language}\n(.*?)^```$", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert "127.0.0.1:8087" in code
    return str(code).replace("127.0.0.1:8087", sandbox.address)


def test_the_example_of_each_readme_runs(
    run_java: Run, run_node: Run, scenarios: Path, sandbox: Sandbox
) -> None:
    with OfferServiceClient(sandbox.address, token="test-token") as client:
        answer = client.lookup("test-partly-held-back")
    decisions = {
        "shown": answer.offers[0].decision_id,
        "held_back": answer.held_back[0].decision_id,
    }
    printed, _ = run_python(example(PYTHON, "python", sandbox), sandbox)
    assert printed == PRINTED.format(found="found", **decisions)

    source = scenarios.with_name("Example.java")
    source.write_text(example(JAVA, "java", sandbox))
    assert run_java("./build.sh", "run", str(source)) == PRINTED.format(found="FOUND", **decisions)

    assert run_in_node(example(NODE, "js", sandbox), run_node) == PRINTED.format(found="found", **decisions)


@pytest.mark.parametrize(("code", "output"), examples("java"))
def test_the_java_examples_of_the_serving_page_run(
    code: str, output: str, run_java: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    source = tmp_path / "Example.java"
    source.write_text(here(code, sandbox))
    assert run_java("./build.sh", "run", str(source)) == output


@pytest.mark.parametrize(("code", "output"), examples("javascript"))
def test_the_node_examples_of_the_serving_page_run(
    code: str, output: str, run_node: Run, sandbox: Sandbox
) -> None:
    assert run_in_node(here(code, sandbox), run_node) == output


def run_in_node(script: str, run_node: Run) -> str:
    """What a script prints that is inside the package, whose own name it may import."""
    path = NODE / f"dist/{hashlib.sha256(script.encode()).hexdigest()[:12]}.mjs"
    path.write_text(script)
    try:
        return run_node("node", str(path))
    finally:
        path.unlink()


@pytest.mark.parametrize(("language", "printed"), [("java", "FOUND"), ("node", "found")])
def test_a_connection_that_a_router_has_forgotten_is_replaced_by_another(
    language: str, printed: str, forgotten: dict[str, Forgotten]
) -> None:
    assert forgotten[language].answers() == (printed, 2)


def test_java_and_node_are_formatted(run_node: Run) -> None:
    run_node("npm", "run", "lint")


def test_maven_builds_from_the_same_contract() -> None:
    pom = ElementTree.parse(JAVA / "pom.xml")
    maven = {"": "http://maven.apache.org/POM/4.0.0"}
    told = {each.tag.rpartition("}")[2]: str(each.text) for each in pom.findall("properties/*", maven)}
    assert {each.text for each in pom.findall(".//sourceDirectory", maven)} == {"${segue.contract}"}
    contract = JAVA / told["segue.contract"].removeprefix("${project.basedir}/")
    for name in pom.findall(".//include", maven):
        assert (contract / str(name.text)).is_file()
    assert (JAVA / told["segue.golden"].removeprefix("${project.basedir}/") / "payloads.json").is_file()
    assert told["maven.compiler.release"] == "17"


def test_the_clients_are_released_together() -> None:
    pom = ElementTree.parse(JAVA / "pom.xml").findtext("{http://maven.apache.org/POM/4.0.0}version")
    for name in ("package.json", "package-lock.json"):
        assert json.loads((NODE / name).read_text())["version"] == pom == __version__


def test_the_lock_file_names_no_registry_of_ones_own() -> None:
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    addresses = [package["resolved"] for package in packages.values() if "resolved" in package]
    assert len(packages) > 100
    assert all(address.startswith("https://registry.npmjs.org/") for address in addresses)
