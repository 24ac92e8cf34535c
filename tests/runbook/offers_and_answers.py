"""What ends a failure of a load or a lookup, of an experiment, a model or a rule, or of a question."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from segments.rule import Rule
from segments.source import parse
from segue.settings import Settings
from serving.service.callers import Callers
from serving.service.certificates import server_credentials
from tests.certificates import Authority
from tests.runbook.drills import Drill, Trial
from tests.segments.test_source import RULE

SECTIONS = ["Load", "Serve", "Experiments", "Models", "Offer rules", "Ask"]


def rule_files(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    file = folder / "winback.yml"
    file.write_text(RULE.replace("has_ever_paid", "has_ever_payed"))
    return lambda: parse(file, Rule), lambda: file.write_text(RULE)


def callers_file(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    path = folder / "callers.yml"
    add = ["callers", "add", "checkout", "--file", str(path)]
    assert CliRunner().invoke(cli.app, add).exit_code == 0
    running, right = Callers(path), path.read_text()
    path.write_text("callers: [")
    return running.reload_if_changed, lambda: path.write_text(right + "\n")


def service_configuration(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    certificate, key = Authority(folder).issue("service")
    right = certificate.read_bytes()
    certificate.write_text("no certificate")
    settings = Settings(_env_file=None, service_certificate_file=certificate, service_key_file=key)
    return lambda: server_credentials(settings), lambda: certificate.write_bytes(right)


DRILLS: list[Drill] = [rule_files, callers_file, service_configuration]

ENDED_ELSEWHERE: dict[str, list[str]] = {
    "nothing_published": [
        "segue_client/test_reader.py::test_nothing_published_and_no_table_are_errors_not_unknown_accounts"
    ],
}
"""Tests that cause a failure in a world of an emulator, and do what the entry says until it is over;
several where several steps of the entry are followed."""

CAUSED_ELSEWHERE: dict[str, str] = {
    "no_table": "loaders/bigtable/test_generations.py",
    "not_published": "loaders/bigtable/test_segments.py",
    "empty_partition": "loaders/bigtable/test_load.py",
    "invalid_row": "loaders/bigtable/test_load.py",
    "source": "loaders/bigtable/test_segments.py",
    "changed": "loaders/bigtable/test_load.py",
    "refused": "loaders/bigtable/test_load.py",
    "unacknowledged": "loaders/bigtable/test_writer.py",
    "overtaken": "loaders/bigtable/test_load.py",
    "incomplete": "loaders/bigtable/test_load.py",
    "not_verified": "loaders/bigtable/test_load.py",
    "not_replicated": "loaders/bigtable/test_replication.py",
    "not_retained": "loaders/bigtable/test_generations.py",
    "worker_died": "serving/service/test_workers.py",
    "invalid_account_id": "segue_client/test_row_key.py",
    "invalid_request": "serving/service/test_service.py",
    "lookup_failed": "segue_client/test_remote.py",
    "unavailable": "segue_client/test_remote.py",
    "timeout": "segue_client/test_remote.py",
    "not_authenticated": "serving/service/test_service.py",
    "rate_limited": "serving/service/test_service.py",
    "unreadable_offers": "serving/service/test_messages.py",
    "declarations": "experiments/test_declarations.py",
    "outside_file": "loaders/experiments/test_read_units.py",
    "model_artifact": "scoring/test_artifact.py",
    "model_decision": "runs/test_model_decisions.py",
    "training": "runs/test_model_decisions.py",
    "unknown_model": "runs/test_model_decisions.py",
    "tree_library": "scoring/test_artifact.py",
    "scoring": "loaders/scoring/test_scores.py",
    "trees_too_large": "scoring/test_sql.py",
    "nothing_to_read": "runs/test_experiment_readouts.py",
    "experiment_must_stop": "runs/test_experiment_readouts.py",
    "model_drift": "runs/test_model_watch.py",
    "rules_too_many": "segments/test_statement.py",
    "answer": "cli/test_new_rule.py",
    "query": "cli/test_query.py",
    "not_a_query": "cli/test_query.py",
    "not_confirmed": "cli/test_query.py",
    "usage": "cli/test_query.py",
}
"""Modules whose tests cause a failure and see that it is refused."""

CAUSED_NOWHERE = {"ledger", "moved"}
"""Failures that no test causes yet."""
