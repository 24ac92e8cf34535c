"""docs/google-cloud.md, followed line by line against servers on loopback, with rights on objects only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from loaders.objects.store import open_store
from loaders.warehouse.client import warehouse_of
from local.company import CompanySpec, generate
from segue.settings import PROJECT_ROOT, Settings
from tests.conftest import BigQueryEmulator
from tests.gcs_fixture import Gcs
from tests.pages import typed

PAGE = (PROJECT_ROOT / "docs" / "google-cloud.md").read_text()
COMMANDS = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
LAST = date(2026, 3, 3)
SPEC = CompanySpec(accounts=30, days=2, seed=5, end_date=LAST)


def exported(folder: Path) -> dict[str, str]:
    """The page's variables, with folders of this test in the place of the machine's."""
    pairs = [
        word.partition("=") for line in COMMANDS if line.startswith("export ") for word in line.split()[1:]
    ]
    return {name: re.sub(r"^/(var/lib|opt)/", f"{folder}/", value) for name, _, value in pairs}


@pytest.fixture(scope="module")
def variables(
    bigquery_emulator: BigQueryEmulator,
    bigtable_emulator: str,
    gcs: Gcs,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """What the page exports, and the endpoints, which are all that differs from Google Cloud."""
    page = exported(tmp_path_factory.mktemp("machine"))
    for uri in (page["SEGUE_LANDING_URI"], page["SEGUE_RESULTS_URI"]):
        folder = bigquery_emulator.gcs_root / uri.removeprefix("gs://")
        folder.mkdir()
        gcs.bucket_of(Settings(landing_uri=uri, landing_files_uri=folder.as_uri()))
    return page | {
        "SEGUE_BIGQUERY_ENDPOINT": bigquery_emulator.rest_endpoint,
        "SEGUE_BIGQUERY_STORAGE_ENDPOINT": bigquery_emulator.storage_endpoint,
        "SEGUE_BIGTABLE_EMULATOR_HOST": bigtable_emulator,
        "SEGUE_STORAGE_ENDPOINT": gcs.endpoint,
        "SEGUE_LANDING_QUIET_MINUTES": "0",
    }


def segue(variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("segue")), *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_variable_of_the_page_is_a_setting() -> None:
    known = {f"SEGUE_{name.upper()}" for name in Settings.model_fields} | {"SEGUE_ENV_FILE"}

    assert set(exported(Path("/tmp"))) <= known


def test_a_day_is_built_and_loaded_with_what_the_page_says(
    variables: dict[str, str], gcs: Gcs, tmp_path: Path
) -> None:
    values = {name.removeprefix("SEGUE_").lower(): value for name, value in variables.items()}
    settings = Settings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]
    generate(SPEC, tmp_path / "company", landing=tmp_path / "landing")
    for path in sorted(path for path in (tmp_path / "landing").rglob("*") if path.is_file()):
        gcs.put(settings, path.relative_to(tmp_path / "landing").as_posix(), path.read_bytes())
    gcs.refused.clear()

    segue(variables, *typed("docs/google-cloud.md", "segue parse"))
    segue(variables, "run", str(SPEC.first_day), str(LAST))

    [published] = warehouse_of(settings).run(
        "select count(distinct mart) as marts, count(distinct attempt) as attempts from ops.publications"
    )
    assert (published.marts > 15, published.attempts) == (True, 1)
    kept = [stored.name for stored in open_store(settings, settings.results_root).objects("data_docs/")]
    assert [name for name in kept if name.endswith("/index.html")] == kept[:1]
    assert f'"{LAST}"' in segue(variables, "generations", "list", "--json")
    assert gcs.refused == []
    # Nothing but logs and what dbt compiled is on the machine, and the parsed project lies beside the code.
    assert not (settings.state_dir / "dbt_target").exists()
    assert settings.dbt_manifest.is_relative_to(Path(variables["SEGUE_DBT_PARSED_DIR"]))
