"""What the roles that Airflow comes with may see, told by its own auth manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segue.settings import PROJECT_ROOT

# Runs in a process of its own: importing Airflow decides its home folder for the whole process.
ASK = """
import json, os, sys
from fastapi import HTTPException
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow import plugins_manager

plugins = plugins_manager._get_plugins()
ours = sorted(name for name in sys.modules if name.startswith(("ui.", "google.cloud.", "jinja2")))
[plugin] = [each for each in plugins[0] if each.name == "segue_ui"]

create_auth_manager()
from ui.access import login_address, visitor_of

told = {}
for role in ("VIEWER", "USER", "OP", "ADMIN", None):
    try:
        visitor = visitor_of(SimpleAuthManagerUser(username=f"a {role}", role=role))
        told[str(role)] = [visitor.name, visitor.sees_accounts]
    except HTTPException as error:
        told[str(role)] = error.status_code
answer = {
    "roles": told, "errors": plugins[1], "loaded": ours,
    "views": plugin.external_views, "login": login_address("http://here/segue/days"),
    "mounted": [(each["url_prefix"], type(each["app"]).__name__) for each in plugin.fastapi_apps],
}
print("JSON" + json.dumps(answer))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__BASE_URL": "https://airflow.example/of-a-team",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment,
        cwd=Path(environment["AIRFLOW_HOME"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.split("JSON")[-1])
    return answer


def test_viewers_see_pages_operators_and_administrators_also_accounts(told: dict[str, Any]) -> None:
    assert told["roles"] == {
        "VIEWER": ["a VIEWER", False],
        "USER": ["a USER", False],
        "OP": ["a OP", True],
        "ADMIN": ["a ADMIN", True],
        "None": 403,
    }


def test_airflow_finds_the_plugin_and_loads_the_pages_when_somebody_looks(told: dict[str, Any]) -> None:
    assert told["errors"] == {}
    assert [name for name in told["loaded"] if name.startswith("ui.")] == ["ui.plugin"]
    assert not [name for name in told["loaded"] if name.startswith("google.cloud.bigquery")]
    assert told["mounted"] == [["/segue", "PagesWhenAsked"]]


def test_the_ui_leads_to_pages_from_the_menu_a_dag_a_run_and_a_task(told: dict[str, Any]) -> None:
    views = {view["destination"]: view["href"] for view in told["views"] if view["destination"] != "nav"}

    # Below the path that this Airflow is reached under.
    assert views == {
        "dag": "/of-a-team/segue/dags/{DAG_ID}",
        "dag_run": "/of-a-team/segue/dags/{DAG_ID}/runs/{RUN_ID}",
        "task": "/of-a-team/segue/dags/{DAG_ID}/tasks/{TASK_ID}",
        "task_instance": "/of-a-team/segue/dags/{DAG_ID}/runs/{RUN_ID}/tasks/{TASK_ID}",
    }
    routes = [view["url_route"] for view in told["views"]]
    assert len(set(routes)) == len(routes)


def test_who_is_not_logged_in_comes_back_to_the_page(told: dict[str, Any]) -> None:
    assert told["login"].endswith("login?next=http%3A%2F%2Fhere%2Fsegue%2Fdays")
