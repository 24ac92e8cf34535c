"""docker-compose.yml holds to the Compose Specification, keeps no secrets, and says what ``local/`` says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from local import platform
from local.services import airflow
from local.services.service import StateFolder
from segue.settings import PROJECT_ROOT, Settings

COMPOSE = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = {name: service for name, service in SERVICES.items() if name.startswith("airflow-")}
VARIABLE = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")
SECRET = re.compile("PASSWORD|SECRET|SALT|FERNET|TOKEN|PRIVATE|SQL_ALCHEMY_CONN")


def dockerfiles() -> Iterator[Path]:
    for service in SERVICES.values():
        if "build" in service:
            yield PROJECT_ROOT / service["build"]["context"] / service["build"]["dockerfile"]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((PROJECT_ROOT / "tests" / "data" / "compose-spec.json").read_text())

    jsonschema.Draft202012Validator(schema).validate(COMPOSE)


def test_the_schema_refuses_what_is_not_compose() -> None:
    schema = json.loads((PROJECT_ROOT / "tests" / "data" / "compose-spec.json").read_text())

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"services": {"a": {"helthcheck": {}}}})


def test_the_whole_platform_is_there() -> None:
    assert set(SERVICES) == {
        "postgres",
        "bigquery",
        "bigtable",
        "airflow-init",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
        "offer-lookup",
        "lookup",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image(name: str) -> None:
    image = SERVICES[name]["image"]

    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", image), image


def test_dockerfiles_exist_start_from_pinned_images_and_end_as_an_ordinary_user() -> None:
    found = set(dockerfiles())
    assert len(found) == 3
    for dockerfile in found:
        lines = dockerfile.read_text().splitlines()
        for line in lines:
            if line.startswith("FROM "):
                assert re.match(r"FROM [\w./-]+:\d+\.\d+[\w.-]*( AS \w+)?$", line), line
        users = [line.split()[1] for line in lines if line.startswith("USER ")]
        assert users
        assert users[-1] not in ("root", "0")
        for line in lines:
            if line.startswith("COPY ") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert (PROJECT_ROOT / source).exists(), f"{dockerfile.name}: {line}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_an_ordinary_user(name: str) -> None:
    service = SERVICES[name]
    user = service.get("user")
    assert user not in ("root", "0", 0)
    # Our own images end with USER, which the test above holds them to.
    assert user or service["image"].startswith("segue")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_or_runs_once(name: str) -> None:
    service = SERVICES[name]

    assert "test" in service.get("healthcheck", {}) or service["restart"] == "no"


def test_services_start_after_what_they_need() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            once = SERVICES[needed]["restart"] == "no"
            wanted = "service_completed_successfully" if once else "service_healthy"
            assert how["condition"] == wanted, f"{name} after {needed}"


def test_ports_are_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_the_env_file_and_have_no_default() -> None:
    seen = 0
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                seen += 1
                variables = VARIABLE.findall(value)
                assert variables, f"{name} is written in the file"
                assert all(rule.startswith(":?") for _, rule in variables), f"{name} has a default"
    assert seen >= 5 * len(AIRFLOW) - 5


def test_the_example_names_every_variable_and_no_value() -> None:
    used = {name for name, _ in VARIABLE.findall((PROJECT_ROOT / "docker-compose.yml").read_text())}
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    named = {
        match[1]: match[2] for line in lines if (match := re.match(r"#?(SEGUE_COMPOSE_\w+)=(.*)$", line))
    }

    assert set(named) == used
    assert set(named.values()) == {""}


def test_an_env_file_is_never_committed() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=PROJECT_ROOT, check=False)

    assert ignored.returncode == 0


def test_settings_in_the_environment_are_real_settings() -> None:
    fields = {f"SEGUE_{name.upper()}" for name in Settings.model_fields}
    for name, service in SERVICES.items():
        unknown = {key for key in service.get("environment", {}) if key.startswith("SEGUE_")} - fields
        assert not unknown, name


def test_volumes_in_use_are_declared_and_the_code_is_not_mounted() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])


def test_airflow_is_set_as_on_a_machine_without_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("SEGUE_", "AIRFLOW_"))]:
        # An embedded Airflow inherits what its starter's shell says; a container does not.
        monkeypatch.delenv(name)
    state = StateFolder.open(tmp_path)
    embedded = airflow.environment(state, platform.variables(state), PROJECT_ROOT / "dags")
    same = {"SEGUE_PROJECT_ID", "SEGUE_LANDING_URI", "SEGUE_TASK_RETRIES", "SEGUE_TASK_RETRY_DELAY_SECONDS"}
    for name, service in AIRFLOW.items():
        here = service["environment"]
        assert set(here) == set(embedded), name
        for key in {*airflow.COMMON, *same}:
            assert here[key] == embedded[key], f"{name}: {key}"


def test_containers_and_local_start_the_same_components() -> None:
    for component in airflow.COMPONENTS:
        assert SERVICES[component]["command"] == ["airflow", *airflow.ARGUMENTS[component]]


@pytest.mark.parametrize(("status", "exit_code"), [("healthy", 0), ("unhealthy", 1)])
def test_the_health_check_follows_the_api_server(status: str, exit_code: int) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/v2/monitor/health"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"scheduler": {"status": status}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.handle_request, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/execution/"
    script = PROJECT_ROOT / "local" / "containers" / "health.py"
    done = subprocess.run(
        [sys.executable, str(script), "scheduler"],
        env={"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": url},
        timeout=30,
        check=False,
    )
    server.server_close()

    assert done.returncode == exit_code
