"""``segue models try``: one command from a file and a map to a model and how good it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cli import app
from segue.settings import PROJECT_ROOT
from tests.html_page import HtmlPage
from tests.pages import typed
from tests.scoring.planted import customers, trial

DECILE = ["decile", "rows", "predicted", "treated", "control", "uplift"]


def tried_on_the_page() -> str:
    """The page from where it tells of a file."""
    page = (PROJECT_ROOT / "docs" / "models.md").read_text()
    return page.partition("## Try a model on a file")[2]


@pytest.fixture
def example(tmp_path: Path) -> list[str]:
    """The file and the map of the page's example, as arguments."""
    page = tried_on_the_page()
    shown = re.search(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert shown is not None
    (tmp_path / "customers.map.yml").write_text(shown[1])
    pa_csv.write_csv(customers(4_000).table, tmp_path / "customers.csv")
    here = {name: tmp_path / name for name in ("customers.csv", "customers.map.yml")}
    command = typed("docs/models.md", "segue models try customers.csv --map customers.map.yml", here)
    return [*command, "--out", str(tmp_path / "models")]


def test_the_pages_example_prints_what_the_page_shows(example: list[str]) -> None:
    page = tried_on_the_page()
    shown = re.search(r"^```console\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert shown is not None

    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, example)

    assert result.exit_code == 0, result.output
    # The last line is the model's folder: its digest changes with the libraries' versions.
    expected = [line.rstrip() for line in shown[1].splitlines()[1:-1]]
    assert [line.rstrip() for line in result.stdout.splitlines()[: len(expected)]] == expected


def test_json_has_the_keys_that_programs_know(example: list[str]) -> None:
    result = CliRunner().invoke(app, [*example, "--json"])

    found = json.loads(result.stdout)
    assert list(found) == [
        "rows", "prevalence", "auc", "average_precision", "log_loss", "calibration", "baselines", "uplift",
        "model",
    ]  # fmt: skip
    assert list(found["calibration"]) == ["slope", "intercept"]
    assert {name: list(each) for name, each in found["baselines"].items()} == {
        "prevalence": ["auc", "average_precision", "log_loss"],
        "logistic_regression": ["auc", "average_precision", "log_loss"],
    }
    assert (found["rows"], found["uplift"]) == (4_000, None)
    assert (Path(found["model"]) / "model.txt").exists()


def test_an_uplift_has_its_qini_with_an_interval_and_deciles(tmp_path: Path) -> None:
    pq.write_table(trial(4_000).table, tmp_path / "trial.parquet")
    outside = {
        "unit": "customer_id",
        "target": {"column": "bought", "positive": 1},
        "treatment": {"column": "arm", "control": "none", "treated": "email"},
        "holdout": {"fraction": 0.3, "seed": 1},
    }
    (tmp_path / "trial.map.yml").write_text(yaml.safe_dump(outside))
    command = ["models", "try", str(tmp_path / "trial.parquet"), "--map", str(tmp_path / "trial.map.yml")]

    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path), "--json"])

    uplift = json.loads(result.stdout)["uplift"]
    assert list(uplift) == ["qini", "interval", "by_decile"]
    low, high = uplift["interval"]
    assert low < uplift["qini"] < high
    assert [list(each) for each in uplift["by_decile"]] == [DECILE] * 10


def test_a_page_with_plots_is_written_beside_the_numbers(example: list[str], tmp_path: Path) -> None:
    out = tmp_path / "customers.html"

    result = CliRunner().invoke(app, [*example, "--html", str(out)])

    assert result.exit_code == 0, result.output
    found = HtmlPage(out.read_text())
    assert found.of("h1") == ["customers"]
    assert found.of("dd")[:2] == ["converted is Yes", "4,000, 27.62% positive; 1,200 held out"]
    assert found.outside_references() == []


def test_what_is_made_of_the_declarations_is_current() -> None:
    result = CliRunner().invoke(app, [*typed("docs/models.md", "segue models compile"), "--check"])

    assert result.exit_code == 0, result.output


def test_a_mistake_is_a_sentence_and_exit_code_2(example: list[str]) -> None:
    path = Path(example[2])
    path.write_text(path.read_text().replace('"No"', '"Never"', 1))

    result = CliRunner().invoke(app, example)

    assert result.exit_code == 2
    assert re.match(r"outside_file: customers.csv: row \d+: column converted: '", result.stderr)


def test_a_mistake_in_the_map_is_named_by_line_and_field(example: list[str]) -> None:
    path = Path(example[4])
    path.write_text(path.read_text().replace("seed: 1", "seeds: 1"))

    result = CliRunner().invoke(app, example)

    assert result.exit_code == 2
    assert "customers.map.yml:" in result.stderr
    assert "holdout.seeds: unknown field" in result.stderr
