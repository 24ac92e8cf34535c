"""What ends a failure of a load or a lookup, of an experiment, a model or a rule, or of a question."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pyarrow.csv as pa_csv
import pytest
import yaml
from typer.testing import CliRunner

import cli
from experiments.registry import EXPERIMENTS_DIR, load
from segments.rule import Rule
from segments.source import RULES_DIR, parse
from segue.settings import Settings
from serving.service.callers import Callers
from serving.service.certificates import server_credentials
from tests.certificates import Authority
from tests.cli.test_experiments import MAP, campaign
from tests.cli.test_new_rule import OPTIONS
from tests.runbook.drills import Drill, Trial
from tests.runbook.steps import says, segue, step
from tests.scoring.planted import customers
from tests.scoring.test_artifact import NoRuntime
from tests.segments.test_source import RULE
from tests.serving.service.conftest import served, write_callers_file

SECTIONS = ["Load", "Serve", "Experiments", "Models", "Offer rules", "Ask"]


def declarations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    declared = folder / "experiments"
    shutil.copytree(EXPERIMENTS_DIR, declared, ignore=shutil.ignore_patterns("*.py*"))
    file = declared / "trial-length-2026.yml"
    right = file.read_text()
    file.write_text(right.replace("hypothesis:", "hypotheses:"))
    # the command compiles the checkout's folder, and no other
    monkeypatch.setattr(load, "__defaults__", (declared,))
    settings = Settings(_env_file=None, experiments_dir=declared)

    def compiled_and_listed() -> None:
        segue(settings, step("declarations", "segue experiments compile"))
        assert "trial-length-2026" in segue(settings, step("declarations", "segue experiments list"))

    return compiled_and_listed, lambda: file.write_text(right)


def outside_file(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    file, map_file = folder / "campaign.csv", folder / "campaign.map.yml"
    file.write_text(campaign().replace("0-0,No E-Mail,1,", "0-0,No E-Mail,perhaps,"))
    map_file.write_text(MAP)

    def read() -> None:
        assert "ship" in segue(None, ["experiments", "read", str(file), "--map", str(map_file)])

    def mend() -> None:
        says("outside_file", "Mend the file or the map")
        file.write_text(campaign())

    return read, mend


def outside_file__the_map(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    """YAML takes the word for a truth value, and no row of the file has one."""
    file, map_file = folder / "customers.csv", folder / "customers.map.yml"
    pa_csv.write_csv(customers(1_000).table, file)
    told = "unit: customer_id\ntarget: {column: converted, positive: %s}\nholdout: {fraction: 0.3, seed: 1}\n"
    map_file.write_text(told % "Yes")

    def attempt() -> None:
        arguments = ["models", "try", str(file), "--map", str(map_file), "--out", str(folder)]
        assert "AUC" in segue(None, arguments)

    def mend() -> None:
        says("outside_file", "YAML reads `yes` and `no` without quotes as true and false")
        map_file.write_text(told % '"Yes"')

    return attempt, mend


def tree_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """The system's package cannot be taken away and installed here: the loader of modules stands for it."""
    file, map_file = folder / "customers.csv", folder / "customers.map.yml"
    pa_csv.write_csv(customers(1_000).table, file)
    told = {"unit": "customer_id", "target": {"column": "converted", "positive": "Yes"}}
    map_file.write_text(yaml.safe_dump(told | {"holdout": {"fraction": 0.3, "seed": 1}}))
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    absent = NoRuntime()
    monkeypatch.setattr(sys, "meta_path", [absent, *sys.meta_path])

    def attempt() -> None:
        arguments = ["models", "try", str(file), "--map", str(map_file), "--out", str(folder)]
        assert "AUC" in segue(None, arguments)

    def install() -> None:
        says("tree_library", "`make openmp`")
        sys.meta_path.remove(absent)  # type: ignore[arg-type]

    return attempt, install


def copied_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's rules, which the command line takes for the checkout's, and what it makes."""
    rules = folder / "rules"
    shutil.copytree(RULES_DIR, rules)
    (rules / "weekend_listener.yml").unlink(missing_ok=True)
    monkeypatch.setattr("segments.source.RULES_DIR", rules)
    for made in ("MACROS_FILE", "SCHEMA_FILE", "LOCK_FILE"):
        monkeypatch.setattr(f"segments.artifacts.{made}", folder / made)
    return rules


def rule_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    file = copied_rules(folder, monkeypatch) / "winback.yml"
    file.write_text(RULE.replace("has_ever_paid", "has_ever_payed"))

    def mend() -> None:
        file.write_text(RULE)
        assert parse(file, Rule).id == "winback"
        segue(None, step("rule_files", "segue segments lint"))

    return lambda: segue(None, step("rule_files", "segue segments compile")), mend


def rules_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """As long as thousands of rules, and read as fast as one."""
    file = copied_rules(folder, monkeypatch) / "winback.yml"
    audience = "{feature: locale, equals: %s}" % ("x" * 1_000_000)
    file.write_text(RULE.replace("{feature: has_ever_paid, equals: true}", audience))

    def pause() -> None:
        says("rules_too_many", "`status: paused`")
        file.write_text(file.read_text().replace("status: active", "status: paused"))

    return lambda: segue(None, step("rules_too_many", "segue segments compile")), pause


def answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    rules = copied_rules(folder, monkeypatch)
    given = ["not has_ever_payed" if each == "not has_ever_paid" else each for each in OPTIONS]

    def make() -> None:
        segue(None, ["segments", "new", *given, "--no-input"])
        assert (rules / "weekend_listener.yml").exists()

    def answer_as_told() -> None:
        says("answer", "Answer as the message says")
        given[given.index("not has_ever_payed")] = "not has_ever_paid"

    return make, answer_as_told


def callers_file(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    path = folder / "callers.yml"
    add = ["callers", "add", "checkout", "--file", str(path)]
    assert CliRunner().invoke(cli.app, add).exit_code == 0
    running, right = Callers(path), path.read_text()
    path.write_text("callers: [")

    def read_and_list() -> None:
        running.reload_if_changed()
        assert "checkout" in segue(None, [*step("callers_file", "segue callers list"), "--file", str(path)])

    def put_the_copy_back() -> None:
        says("callers_file", "put the copy before in its place")
        path.write_text(right + "\n")

    return read_and_list, put_the_copy_back


def service_configuration(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    certificate, key = Authority(folder).issue("service")
    right = certificate.read_bytes()
    certificate.write_text("no certificate")
    settings = Settings(_env_file=None, service_certificate_file=certificate, service_key_file=key)
    return lambda: server_credentials(settings), lambda: certificate.write_bytes(right)


def service_configuration__a_port_that_is_taken(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    another = socket.create_server(("127.0.0.1", 0))
    settings = Settings(_env_file=None, bigtable_emulator_host="127.0.0.1:1")

    def start() -> None:
        with served(settings, service_address=f"127.0.0.1:{port}"):
            pass

    def stop_what_holds_it() -> None:
        says("service_configuration", "*cannot listen on*: stop what holds the port")
        another.close()

    port = another.getsockname()[1]
    return start, stop_what_holds_it


def service_configuration__open_to_all(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    settings = Settings(_env_file=None, bigtable_emulator_host="127.0.0.1:1")
    given: dict[str, object] = {"service_address": "0.0.0.0:0"}

    def start() -> None:
        with served(settings, **given):
            pass

    def give_what_the_message_names() -> None:
        says("service_configuration", "*is not loopback*: give it what the message names")
        certificate, key = Authority(folder).issue("service")
        callers = {"service_callers_file": write_callers_file(folder / "callers.yml")}
        given.update(callers, service_certificate_file=certificate, service_key_file=key)

    return start, give_what_the_message_names


DRILLS: list[Drill] = [
    declarations, outside_file, outside_file__the_map, tree_library, rule_files, rules_too_many, answer,
    callers_file, service_configuration, service_configuration__a_port_that_is_taken,
    service_configuration__open_to_all,
]  # fmt: skip

_LOAD, _FROM_BIGQUERY = (
    "runbook/test_load_remedies.py::test_",
    "runbook/test_load_remedies_from_bigquery.py::test_",
)
_LOOKUPS, _MODELS = "serving/service/test_lookup_remedies.py::test_", "runbook/test_model_remedies.py::test_"
_READOUTS, _SCORES = "runs/test_experiment_readouts.py::test_", "runs/test_scores.py::test_"
_QUERY = "cli/test_query.py::test_"

ENDED_ELSEWHERE: dict[str, list[str]] = {
    "no_table": [
        f"{_LOAD}no_table_in_an_instance_that_is_not_the_loads",
        f"{_LOAD}no_table_for_an_identity_without_its_role",
    ],
    "not_published": [f"{_FROM_BIGQUERY}not_published"],
    "empty_partition": [
        f"{_LOAD}empty_partition_that_was_a_mistake",
        f"{_LOAD}empty_partition_that_is_meant",
    ],
    "invalid_row": [f"{_FROM_BIGQUERY}invalid_row"],
    "source": [
        f"{_FROM_BIGQUERY}source_that_was_never_published",
        f"{_FROM_BIGQUERY}source_whose_staged_rows_have_expired",
        f"{_FROM_BIGQUERY}source_while_bigquery_is_away",
    ],
    "changed": [f"{_LOAD}changed"],
    "refused": [f"{_FROM_BIGQUERY}refused", f"{_LOAD}refused_for_want_of_a_role"],
    "unacknowledged": [f"{_LOAD}unacknowledged"],
    "overtaken": [f"{_LOAD}overtaken_by_a_newer_day", f"{_LOAD}overtaken_by_an_older_day"],
    "incomplete": [f"{_LOAD}incomplete"],
    "not_verified": [
        f"{_LOAD}not_verified_while_it_is_loaded",
        f"{_LOAD}not_verified_once_it_is_online",
    ],
    "not_replicated": [
        "loaders/bigtable/test_replication.py::test_while_a_cluster_is_cut_off_nothing_is_published"
    ],
    "not_retained": [f"{_LOAD}not_retained"],
    "moved": [f"{_LOAD}moved"],
    "ledger": [
        f"{_FROM_BIGQUERY}ledger_of_a_generation_that_is_online",
        f"{_FROM_BIGQUERY}ledger_of_rows_that_were_refused",
    ],
    "worker_died": [
        "serving/service/test_workers.py::test_when_a_worker_dies_the_others_end_too_and_it_is_said"
    ],
    "nothing_published": [
        "segue_client/test_reader.py::test_nothing_published_and_no_table_are_errors_not_unknown_accounts"
    ],
    "unreadable_offers": [f"{_LOOKUPS}unreadable_offers"],
    "invalid_request": [f"{_LOOKUPS}invalid_request"],
    "invalid_account_id": [f"{_LOOKUPS}invalid_account_id"],
    "lookup_failed": [f"{_LOOKUPS}lookup_failed_for_want_of_a_table"],
    "unavailable": [
        f"{_LOOKUPS}unavailable_because_nobody_is_there",
        f"{_LOOKUPS}lookup_failed_for_want_of_a_table",
    ],
    "timeout": [
        f"{_LOOKUPS}timeout_of_a_slow_store",
        f"{_LOOKUPS}timeout_of_an_impatient_caller",
    ],
    "not_authenticated": [f"{_LOOKUPS}not_authenticated"],
    "rate_limited": [f"{_LOOKUPS}rate_limited"],
    "nothing_to_read": [f"{_READOUTS}nothing_is_read_before_anything_is_published"],
    "experiment_must_stop": [f"{_READOUTS}an_experiment_that_was_ended_needs_no_stopping_any_more"],
    "training": [f"{_MODELS}training"],
    "unknown_model": [f"{_MODELS}unknown_model"],
    "model_decision": [
        f"{_MODELS}model_decision",
        "runs/test_model_watch.py::test_a_person_who_puts_it_into_use_all_the_same_says_so_and_it_is_kept",
    ],
    "model_artifact": [f"{_MODELS}model_artifact"],
    "scoring": [f"{_SCORES}nothing_is_begun_when_no_time_is_left"],
    "trees_too_large": [f"{_SCORES}trees_that_bigquery_does_not_take_are_scored_by_workers"],
    "model_drift": [
        "runs/test_model_watch.py::test_drift_is_over_when_the_day_is_built_again_of_a_mended_feed"
    ],
    "query": [f"{_QUERY}a_query_that_was_refused_is_mended"],
    "not_a_query": [f"{_QUERY}what_was_not_a_query_is_asked_as_one"],
    "not_confirmed": [f"{_QUERY}a_script_says_that_much_may_be_read"],
    "usage": [f"{_QUERY}wrong_usage_is_put_right"],
}
"""Tests that cause a failure in a world of an emulator, and do what the entry says until it is over;
several where several steps of the entry are followed."""
