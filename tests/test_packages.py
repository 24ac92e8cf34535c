"""What is installed is what was built: wheels that need no checkout, and a client that pulls nothing in.

The client is installed with its own dependencies, at the versions of the lock file. The platform's wheel is
installed for itself; what it needs, a gigabyte, is lent by the environment of the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from local.services.bigquery import uv
from segue.settings import PROJECT_ROOT
from segue_client.version import __version__

MEGABYTE = 1_000_000
ROOMS = (
    "segue",
    "segments",
    "experiments",
    "scoring",
    "serving",
    "loaders",
    "expectations",
    "runs",
    "cli",
    "ui",
    "local",
)


def run(command: list[str], folder: Path) -> str:
    """What a command prints, in this folder and with nothing of ours in its environment."""
    ours = ("SEGUE_", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Environment:
    """A virtual environment, and an empty folder to work in."""

    root: Path
    folder: Path

    @property
    def packages(self) -> Path:
        return self.root / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"

    def python(self, *arguments: str) -> str:
        return run([str(self.root / "bin/python"), *arguments], self.folder)

    def segue(self, *arguments: str) -> str:
        return run([str(self.root / "bin/segue"), *arguments], self.folder)

    def install(self, *what: str) -> None:
        into = ["--python", str(self.root / "bin/python"), "--compile-bytecode", "--quiet"]
        run([uv(), "pip", "install", *into, *what], PROJECT_ROOT)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels by their package, each built from the source distribution that the checkout gives."""
    folder = tmp_path_factory.mktemp("dist")
    run([uv(), "build", "--quiet", "--all-packages", "--out-dir", str(folder)], PROJECT_ROOT)
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


def environment(folder: Path) -> Environment:
    run([uv(), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], PROJECT_ROOT)
    (folder / "empty").mkdir()
    return Environment(folder / "venv", folder / "empty")


@pytest.fixture(scope="module")
def client(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the client and what it needs."""
    made = environment(tmp_path_factory.mktemp("client"))
    pinned = made.root.parent / "pinned.txt"
    locked = ["export", "--quiet", "--locked", "--no-dev", "--no-hashes", "--no-emit-workspace"]
    run([uv(), *locked, "--package", "segue-client", "--output-file", str(pinned)], PROJECT_ROOT)
    made.install("--constraint", str(pinned), str(wheels["segue_client"]))
    return made


@pytest.fixture(scope="module")
def platform(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheels of the platform and of the client; other packages are the tests'."""
    made = environment(tmp_path_factory.mktemp("platform"))
    made.install("--no-deps", *map(str, wheels.values()))
    # This lends a folder's packages, but not what its own .pth files name: the checkout.
    (made.packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return made


def test_there_is_a_wheel_for_each_package_of_one_version(wheels: dict[str, Path]) -> None:
    assert {name: path.name for name, path in wheels.items()} == {
        name: f"{name}-{__version__}-py3-none-any.whl" for name in ("segue", "segue_client")
    }


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (PROJECT_ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == __version__


def test_the_client_is_small(client: Environment) -> None:
    installed = {path.name.partition("-")[0] for path in client.packages.glob("*.dist-info")}
    size = sum(path.stat().st_size for path in client.packages.rglob("*") if path.is_file())
    assert installed == {"grpcio", "protobuf", "segue_client", "typing_extensions"}
    assert size <= 40 * MEGABYTE


def test_importing_the_client_imports_grpc_protobuf_and_little_of_its_own(client: Environment) -> None:
    listed = client.python("-c", "import segue_client, sys, json; print(json.dumps(sorted(sys.modules)))")
    modules = json.loads(listed)
    own = {name for name in modules if name.partition(".")[0] == "segue_client"}
    assert not {name for name in own if name.startswith("segue_client.bigtable")}
    assert len(own) <= 12
    others = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names} - own
    # Cython's modules have names of their own.
    others = {name for name in others if not name.startswith(("_", "cython"))}
    assert {".".join(name.split(".")[:2]) for name in others if name.startswith("google.")} == {
        "google._upb",
        "google.protobuf",
    }
    assert {name.partition(".")[0] for name in others} == {"google", "grpc", "typing_extensions"}


def test_the_client_alone_gives_the_proto(client: Environment) -> None:
    assert client.python("-m", "segue_client", "--version") == f"segue-client {__version__}\n"
    printed = client.python("-m", "segue_client", "proto", "protos")
    assert "protos/segue/offers/v1/offers.proto\n" in printed
    written = (client.folder / "protos/segue/offers/v1/offers.proto").read_text()
    assert written.startswith(f"// Segue {__version__}\n// What one account")
    assert "service OfferLookup {" in written


def test_the_platforms_wheel_has_every_file_of_the_rooms_of_dbt_and_of_the_dags(
    wheels: dict[str, Path],
) -> None:
    listed = run(["git", "ls-files", *ROOMS, "dbt", "dags"], PROJECT_ROOT).splitlines()
    needed = {
        f"segue/shipped/{path}" if path.startswith(("dbt/", "dags/")) else path
        for path in listed
        if (PROJECT_ROOT / path).exists()
    }
    with ZipFile(wheels["segue"]) as wheel:
        assert needed - set(wheel.namelist()) == set()
    assert wheels["segue"].stat().st_size <= 3 * MEGABYTE


def test_the_platform_runs_without_its_checkout(platform: Environment) -> None:
    assert platform.segue("--version") == f"segue {__version__}\n"
    assert "segue/offers/v1/offers.proto\n" in platform.python("-m", "segue", "proto", ".")
    platform.segue("segments", "compile", "--check")
    assert "trial-length-2026" in platform.segue("experiments", "list", "--json")


def test_it_finds_its_code_in_its_environment_and_writes_elsewhere(platform: Environment) -> None:
    asked = (
        "import json, cli, segue_client, segue.shipped; from segue.settings import Settings;"
        "project = Settings().dbt_project_dir / 'dbt_project.yml';"
        "code = [cli.__file__, segue_client.__file__, segue.shipped.DAGS_DIR, project];"
        "print(json.dumps([list(map(str, code)), str(Settings().state_dir)]))"
    )
    code, written = json.loads(platform.python("-c", asked))
    assert all(Path(each).is_relative_to(platform.packages) and Path(each).exists() for each in code)
    assert written == str(platform.folder / ".segue")


def test_the_command_line_starts_without_what_single_commands_need(platform: Environment) -> None:
    listed = platform.python("-c", "import cli, sys; print(*sys.modules)").split()
    heavy = {"airflow", "dbt", "google.api_core", "great_expectations", "grpc", "numpy", "pandas", "pyarrow"}
    assert heavy.isdisjoint(listed)


def test_the_clients_of_other_languages_have_this_version_too() -> None:
    clients = PROJECT_ROOT / "clients"
    node = json.loads((clients / "node/package.json").read_text())["version"]
    java = re.search(r"<version>(.*?)</version>", (clients / "java/pom.xml").read_text())
    assert java is not None
    assert {node, java[1]} == {__version__}
