"""``segue experiments``: one command from a file to a verdict."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pytest
from scipy import stats
from typer.testing import CliRunner

from cli import app
from tests.pages import typed

MAP = """\
unit: customer_id
variant: {column: segment, control: "No E-Mail"}
allocation: {"No E-Mail": 1, "Mens E-Mail": 1, "Womens E-Mail": 1}
metrics:
  visit: {column: visit, role: success}
  spend: {column: spend, role: success, covariate: history}
  pages_per_visit: {numerator: pages, denominator: visits, role: guardrail, worse: lower, margin: 0.02}
"""


def campaign() -> str:
    """900 customers: 30 of 300 visit without mail, 60 after one kind, 33 after the other."""
    rows = ["customer_id,segment,visit,spend,history,pages,visits"]
    visits = {"No E-Mail": 30, "Mens E-Mail": 60, "Womens E-Mail": 33}
    for arm, (name, visitors) in enumerate(visits.items()):
        for each in range(300):
            visit = int(each < visitors)
            history = 20 + each * 7 % 100
            rows.append(
                f"{arm}-{each},{name},{visit},{visit * history / 4},{history},{40 + each % 3},{10 + each % 2}"
            )
    return "\n".join(rows) + "\n"


PAGE = "docs/experiments.md"
READ = "segue experiments read campaign.csv --map campaign.map.yml"
READ_JSON = "segue experiments read campaign.csv --map campaign.map.yml --json"
READ_HTML = "segue experiments read campaign.csv --map campaign.map.yml --html campaign.html"
READ_DETAILS = "segue experiments read campaign.csv --map campaign.map.yml --json --details"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "campaign.csv").write_text(campaign())
    (tmp_path / "campaign.map.yml").write_text(MAP)
    return str(tmp_path / "campaign.csv"), str(tmp_path / "campaign.map.yml")


def here(files: tuple[str, str]) -> dict[str, object]:
    """The files in the place of the page's."""
    return {"campaign.csv": files[0], "campaign.map.yml": files[1]}


def test_an_outside_experiment_is_read_from_a_file_and_a_map(files: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, typed(PAGE, READ_JSON, here(files)))

    found = json.loads(result.stdout)
    assert list(found) == ["units", "sample_ratio", "arms", "verdict", "reasons"]
    assert (found["units"], found["sample_ratio"]) == (900, {"p_value": 1.0, "verdict": "ok"})
    assert list(found["arms"]) == ["Mens E-Mail", "Womens E-Mail"]
    mens = found["arms"]["Mens E-Mail"]
    assert (mens["units"], list(mens["metrics"])) == (300, ["visit", "spend", "pages_per_visit"])
    visit = mens["metrics"]["visit"]
    welch = stats.ttest_ind([1] * 60 + [0] * 240, [1] * 30 + [0] * 270, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert list(visit) == [
        "control", "treatment", "difference", "interval", "p_value", "relative", "variance_reduction",
    ]  # fmt: skip
    assert (visit["control"], visit["treatment"], visit["variance_reduction"]) == (0.1, 0.2, None)
    assert visit["difference"] == pytest.approx(0.1)
    assert visit["relative"] == pytest.approx(1.0)
    assert visit["p_value"] == pytest.approx(welch.pvalue, rel=1e-9)
    assert visit["interval"] == pytest.approx([interval.low, interval.high], rel=1e-9)
    assert 0 < mens["metrics"]["spend"]["variance_reduction"] < 1
    assert mens["metrics"]["pages_per_visit"]["difference"] == 0
    assert found["verdict"] == "ship"
    assert found["reasons"][0].startswith("Mens E-Mail: visit improved: +100.00%")
    assert found["reasons"][3].startswith("Womens E-Mail: visit is not shown to have improved: +10.00%")


def test_a_person_gets_a_table_and_the_reasons(files: tuple[str, str]) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, typed(PAGE, READ, here(files)))

    assert "900 units, 300 in No E-Mail; sample ratio ok (p = 1.0000)" in result.stdout
    assert "ship:" in result.stdout
    assert "Mens E-Mail: visit improved" in result.stdout


def test_the_same_readout_is_written_as_a_page(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "campaign.html"

    command = typed(
        PAGE,
        "segue experiments read campaign.csv --map campaign.map.yml --html campaign.html",
        here(files) | {"campaign.html": str(out)},
    )
    result = CliRunner().invoke(app, [*command, "--json"])

    text = out.read_text()
    assert "<h1>campaign</h1>" in text
    assert "<caption>Womens E-Mail against No E-Mail</caption>" in text
    assert all(escape(reason, quote=False) in text for reason in json.loads(result.stdout)["reasons"])


def test_the_units_that_a_minimum_effect_needs_are_told(files: tuple[str, str]) -> None:
    Path(files[1]).write_text(
        MAP.replace("visit, role: success", "visit, role: success, minimum_effect: 0.5")
    )

    result = CliRunner().invoke(
        app, ["experiments", "read", files[0], "--map", files[1], "--json", "--details"]
    )

    found = json.loads(result.stdout)
    units = found["arms"]["Womens E-Mail"]["metrics"]["visit"]["required_units"]
    assert found["required_units"] == max(
        arm["metrics"]["visit"]["required_units"] for arm in found["arms"].values()
    )
    assert f"an effect of 50% needs {units:,} units" in found["reasons"][3]
    # A share of 0.1 and 0.05 more at 5% / 4 tests: 1,005 an arm.
    assert 3 * 950 < units < 3 * 1_150


def test_details_tell_all_that_is_known_of_a_metric(files: tuple[str, str]) -> None:
    result = CliRunner().invoke(
        app,
        typed(
            PAGE, "segue experiments read campaign.csv --map campaign.map.yml --json --details", here(files)
        ),
    )

    visit = json.loads(result.stdout)["arms"]["Mens E-Mail"]["metrics"]["visit"]
    # Four tests: two success metrics of two arms.
    assert visit["p_value_adjusted"] == pytest.approx(4 * visit["p_value"])
    assert (visit["status"], visit["role"]) == ("improved", "success")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("role: success}", "role: sucess}", "map.yml:5: metrics.visit.role: input should be 'success'"),
        ("covariate: history", "cuped: history", "map.yml:6: metrics.spend.cuped: unknown field; allowed"),
        ("column: visit,", "", "campaign.map.yml:5: metrics.visit: a metric takes column, or numerator and"),
        ('"No E-Mail": 1, ', "", "campaign.map.yml:1: allocation has no No E-Mail, which is control"),
        ("unit: customer_id", "", "campaign.map.yml:2: unit: is missing"),
        ("role: success, covariate", "role: success, margin: 0.1, covariate", "margin is of a guardrail"),
        ("worse: lower", "minimum_effect: 0.1", "minimum_effect is of a success metric"),
        ("column: spend", "column: spent", "campaign.csv: column spent is in the map but not in the file"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_map_is_named_by_its_line(
    files: tuple[str, str], before: str, after: str, message: str
) -> None:
    assert before in MAP
    Path(files[1]).write_text(MAP.replace(before, after, 1))

    result = CliRunner().invoke(app, ["experiments", "read", files[0], "--map", files[1]])

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_cell_that_cannot_be_read_is_named_by_row_and_column(files: tuple[str, str]) -> None:
    Path(files[0]).write_text(campaign().replace("0-1,No E-Mail,1", "0-1,No E-Mail,often"))

    result = CliRunner().invoke(app, ["experiments", "read", files[0], "--map", files[1], "--json"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "campaign.csv: row 2: column visit: 'often' is no number" in result.stderr


def test_the_declared_experiments_are_listed_and_planned() -> None:
    listed = CliRunner().invoke(app, [*typed(PAGE, "segue experiments list"), "--json"])
    planned = CliRunner().invoke(app, [*typed(PAGE, "segue experiments plan trial-length-2026"), "--json"])
    unknown = CliRunner().invoke(app, ["experiments", "plan", "nothing"])

    assert "trial-length-2026" in [each["id"] for each in json.loads(listed.stdout)]
    assert json.loads(planned.stdout)["units"] > 0
    assert unknown.exit_code == 3
    assert "nothing is not declared; there are annual-discount-2026" in unknown.stderr
    for command in (typed(PAGE, "segue experiments list"), ["experiments", "plan", "annual-discount-2026"]):
        assert CliRunner().invoke(app, command).exit_code == 0
    checked = [*typed(PAGE, "segue experiments compile"), "--check"]
    assert CliRunner().invoke(app, checked).exit_code == 0
