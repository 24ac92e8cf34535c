"""The pages for those who look offers up say what is so: every example is run against the sandbox."""

from __future__ import annotations

import io
import json
import re
import shlex
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import app
from loaders.landing.contracts import OfferImpression
from segue.settings import PROJECT_ROOT, Settings
from segue_client import OfferServiceClient, Outcome, SegueClientError
from segue_client.__main__ import main as segue_client_command
from serving.service.refusals import REFUSALS
from tests.sandbox_fixture import Sandbox

DOCS = PROJECT_ROOT / "docs"
PAGE = (DOCS / "serving.md").read_text()
TABLE_PAGE = (DOCS / "serving-table.md").read_text()
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROTO = PROJECT_ROOT / "clients/python/segue_client/proto/segue/offers/v1/offers.proto"


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return FENCED.findall(page)


def examples(language: str) -> list[Any]:
    """Each example of a language with the output that stands after it, named after its section."""
    found = []
    for page in (PAGE, TABLE_PAGE):
        for section in page.split("\n## ")[1:]:
            fenced = blocks(section)
            title = re.sub(r"\W+", "-", section.partition("\n")[0].lower())
            for (kind, code), (after, output) in pairwise([*fenced, ("", "")]):
                if kind == language:
                    assert after == "text", f"an example in {title!r} says nothing of what it prints"
                    found.append(pytest.param(code, output, id=title))
    return found


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a section's first table, without its head."""
    table = re.search(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text + "\n", re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def here(code: str, sandbox: Sandbox) -> str:
    """An example with the addresses of this sandbox."""
    return code.replace("127.0.0.1:8087", sandbox.address).replace(
        "127.0.0.1:8086", sandbox.bigtable_emulator_host
    )


def run(code: str, sandbox: Sandbox) -> tuple[str, dict[str, Any]]:
    """What a Python example prints, and what it defines."""
    printed, defined = io.StringIO(), {"__name__": "__main__"}
    with redirect_stdout(printed):
        exec(compile(here(code, sandbox), "docs/serving.md", "exec"), defined)
    return printed.getvalue(), defined


@pytest.mark.parametrize(("code", "output"), examples("python"))
def test_a_python_example_prints_what_stands_after_it(code: str, output: str, sandbox: Sandbox) -> None:
    assert run(code, sandbox)[0] == output


def reflected(command: str, sandbox: Sandbox) -> str:
    """What ``grpcurl`` prints for a command, made of the service's reflection as grpcurl does it."""
    words = shlex.split(here(command, sandbox))
    headers, data = [], "{}"
    while words[0].startswith("-") or words[0] == "grpcurl":
        option = words.pop(0)
        if option == "-H":
            name, value = words.pop(0).split(": ")
            headers.append((name, value))
        elif option == "-d":
            data = words.pop(0)
        else:
            assert option in ("-plaintext", "grpcurl")
    address, asked = words

    class WithHeaders(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
        def intercept_unary_unary(self, call: Any, details: Any, request: Any) -> Any:
            return call(details._replace(metadata=headers), request)

        intercept_stream_stream = intercept_unary_unary

    with grpc.insecure_channel(address) as plain:
        channel = grpc.intercept_channel(plain, WithHeaders())
        database = ProtoReflectionDescriptorDatabase(channel)
        if asked == "list":
            return "".join(f"{name}\n" for name in sorted(database.get_services()))
        service, _, method = asked.partition("/")
        described = DescriptorPool(database).FindServiceByName(service).methods_by_name[method]
        call = channel.unary_unary(
            f"/{asked}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        response = call(ParseDict(json.loads(data), GetMessageClass(described.input_type)()), timeout=5)
        return json.dumps(MessageToDict(response), indent=2) + "\n"


def test_any_grpc_tool_gets_what_the_page_shows(sandbox: Sandbox) -> None:
    shown = [text for kind, text in blocks(PAGE) if kind == "console" and "$ grpcurl" in text]
    assert shown
    for text in shown:
        for command, output in re.findall(r"^\$ (grpcurl .*)\n((?:(?!\$ ).*\n)+)", text, re.MULTILINE):
            assert reflected(command, sandbox) == output


def test_segue_itself_asks_the_sandbox_as_the_page_says(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [command] = re.findall(r"^\$ SEGUE_SERVICE_TOKEN=(.*)$", PAGE, re.MULTILINE)
    token, uv, run_, *told = shlex.split(command)
    assert (uv, run_, told[0]) == ("uv", "run", "segue")
    assert Settings.model_fields["service_address"].default == "127.0.0.1:8087"
    settings = Settings(_env_file=None, service_address=sandbox.address, service_token=SecretStr(token))
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)

    result = CliRunner().invoke(app, told[1:])

    assert result.exit_code == 0
    assert "trial-30-days" in result.stdout


def test_the_sandbox_says_what_the_page_says_it_says(sandbox: Sandbox) -> None:
    [console] = [text for kind, text in blocks(PAGE) if kind == "console" and "make sandbox" in text]
    assert re.findall(r"token (\S+): ([\d,]+) lookups a second", console) == [
        (token, f"{per_second:,.0f}") for token, per_second in sandbox.tokens.items()
    ]
    assert "\nsandbox: " in (PROJECT_ROOT / "Makefile").read_text()
    told = rows(section("Try it in five minutes"))
    assert {names(row[0])[0]: names(row[1])[0] for row in told} == {
        account_id: each.get("outcome") or each["status"] for account_id, each in sandbox.accounts.items()
    }


def test_the_client_writes_the_contract_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [shown] = [text for kind, text in blocks(PAGE) if "$ python -m segue_client" in text]
    command, output = shown.split("\n", 1)
    monkeypatch.chdir(tmp_path)
    segue_client_command(shlex.split(command)[4:])
    assert capsys.readouterr().out == output
    assert (tmp_path / output.split()[0]).is_file()


def test_the_four_outcomes_are_those_that_there_are() -> None:
    assert {names(row[0])[0] for row in rows(PAGE.partition("\n## ")[0])} == set(Outcome)


STATUSES = {names(row[0])[0]: row for row in rows(section("When there is no answer"))}
PROVOKED = {
    "UNAVAILABLE": ("test-unavailable", "test-token"),
    "RESOURCE_EXHAUSTED": ("test-found", "test-token-5-per-second"),
    "DEADLINE_EXCEEDED": ("test-deadline", "test-token"),
    "UNAUTHENTICATED": ("test-found", "another-token"),
    "INVALID_ARGUMENT": ("", "test-token"),
    "FAILED_PRECONDITION": ("test-nothing-published", "test-token"),
    "DATA_LOSS": ("test-damaged", "test-token"),
}


def test_the_table_has_every_status_that_the_service_gives_and_no_other() -> None:
    assert set(STATUSES) == {each.status.name for each in REFUSALS}
    for status, row in STATUSES.items():
        told = {name for name in names(row[3]) if name.isupper()}
        assert told == {each.reason for each in REFUSALS if each.status.name == status}


def test_nothing_of_the_service_ends_a_call_but_by_a_declared_refusal() -> None:
    for path in (PROJECT_ROOT / "serving/service").glob("*.py"):
        named = set(re.findall(r"StatusCode\.(\w+)", path.read_text()))
        ends = "context.abort(" in path.read_text()
        if path.name == "refusals.py":
            assert named == set(STATUSES)
            assert ends
        else:
            # what is counted of a call that was answered, or that its caller gave up
            assert named <= {"OK", "CANCELLED"}, path.name
            assert not ends, path.name


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_raised_as_the_table_says(status: str, sandbox: Sandbox) -> None:
    account_id, token = PROVOKED[status]
    # a limit is reached by and by, and for who cannot wait there is no room
    calls, seconds = (20, 0.15) if status == "RESOURCE_EXHAUSTED" else (1, 2.0)
    with OfferServiceClient(sandbox.address, token=token, timeout_seconds=seconds) as client:
        failures = [failure_of(client, account_id) for _ in range(calls)]
    assert names(STATUSES[status][1])[0] in failures


def failure_of(client: OfferServiceClient, account_id: str) -> str:
    try:
        client.lookup(account_id)
    except SegueClientError as failure:
        return type(failure).__name__
    return ""


def test_the_service_configs_on_the_page_are_those_that_are_published() -> None:
    for title in ("Retries", "Deadlines and hedging"):
        [shown] = [text for kind, text in blocks(section(title)) if kind == "json"]
        [path] = re.findall(r"\((\.\./[^)]*\.json)\)", section(title))
        assert (DOCS / path).resolve().parent == PROTO.parent
        assert json.loads(shown) == json.loads((DOCS / path).read_text())


def test_an_impression_has_what_landing_wants(sandbox: Sandbox) -> None:
    [code] = [text for kind, text in blocks(PAGE) if kind == "python" and "def impressions" in text]
    defined = run(code, sandbox)[1]
    with OfferServiceClient(sandbox.address, token="test-token") as client:
        made = list(defined["impressions"](client.lookup("test-partly-held-back"), "home"))
    assert [row["is_shown"] for row in made] == [True, False]
    for row in made:
        assert set(row) == set(OfferImpression.model_fields) - {"ingested_at"}
        OfferImpression.model_validate_json(json.dumps(row | {"ingested_at": row["occurred_at"]}))


def test_the_page_for_operators_names_every_setting_of_the_service() -> None:
    page = (DOCS / "serving-operate.md").read_text()
    named = set(re.findall(r"`([A-Z_]+)`", page))
    declared = {name.upper() for name in Settings.model_fields if name.startswith("service_")}
    assert declared <= named
    assert {name.lower() for name in named if name.startswith("SERVICE_")} <= set(Settings.model_fields)
