"""The embedded Bigtable: Google's emulator, from the Google Cloud CLI or built from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from local.services.errors import ServiceError
from local.services.ports import LOOPBACK
from local.services.service import Service, StateFolder, ensure
from segue.settings import PROJECT_ROOT

NAME = "bigtable"
PORT = "bigtable"
SOURCE = PROJECT_ROOT / "local" / "bigtable_emulator" / "main.go"
CHOICE_VARIABLE = "SEGUE_BIGTABLE_EMULATOR"
"""A path to use this executable; ``debian`` to build it although the Google Cloud CLI is there."""

_IN_SDK = Path("platform", "bigtable-emulator", "cbtemulator")
_USUAL_SDK_ROOTS = (Path("/usr/lib/google-cloud-sdk"), Path.home() / "google-cloud-sdk")
_DEBIAN_GO_PATH = Path("/usr/share/gocode")
_DEBIAN_PACKAGES = ("golang-go", "golang-google-cloud-dev")
_CHECK_SECONDS = 5.0

THREE_WAYS = """no Bigtable emulator on this machine. Any one of these helps:
  1. the Google Cloud CLI with its component: gcloud components install bigtable
     (Debian: apt-get install google-cloud-cli-bigtable-emulator)
  2. Debian's Go packages, from which it is built: apt-get install golang-go golang-google-cloud-dev
  3. Docker: docker compose up -d bigtable, and SEGUE_BIGTABLE_EMULATOR_HOST set to its address"""


def specify(state: StateFolder) -> Service:
    """The emulator; everything it holds is in memory."""
    port = state.ports.get(PORT)
    return Service(
        name=NAME,
        command=(str(binary(state.path)), "-host", LOOPBACK, "-port", str(port)),
        port_names=(PORT,),
        check=lambda _: _check(port),
        address=f"{LOOPBACK}:{port}",
        stop_seconds=3,
    )


@dataclass(frozen=True)
class Emulator:
    """A running emulator: where it answers (host:port), and its process."""

    host: str
    pid: int


@contextmanager
def running_alone(executable_of: Path, environment: Mapping[str, str] | None = None) -> Iterator[Emulator]:
    """An empty emulator without the rest of the platform, which ends with the block.

    Its executable is that of the state folder ``executable_of``, where it is found or built when need be.

    Raises:
        ServiceError: there is no emulator on this machine, or it did not start.
    """
    prepare(executable_of)
    with TemporaryDirectory() as folder:
        state = StateFolder.open(Path(folder))

        def specify_alone(opened: StateFolder) -> Service:
            specified = specify(opened)
            executable = str(binary(executable_of.expanduser().resolve()))
            return replace(
                specified,
                command=(executable, *specified.command[1:]),
                environment=environment or {},
            )

        ensure(state, specify_alone)
        try:
            process = state.files.find(NAME)
            if process is None:
                raise ServiceError("the Bigtable emulator ended as soon as it had started")
            yield Emulator(f"{LOOPBACK}:{state.ports.get(PORT)}", process.pid)
        finally:
            service = specify(state)
            state.files.stop(NAME, service.stop_signal, service.stop_seconds)


def binary(state_dir: Path) -> Path:
    """Where the emulator is kept once it was found (a link) or built."""
    built = "cbtemulator-debian" if os.environ.get(CHOICE_VARIABLE) == "debian" else "cbtemulator"
    return state_dir / "bin" / built


def prepare(state_dir: Path) -> None:
    """Find or build the emulator, once for a state folder.

    Raises:
        ServiceError: there is none and none can be built; the message names the ways to get one.
    """
    target = binary(state_dir)
    choice = os.environ.get(CHOICE_VARIABLE, "")
    target.parent.mkdir(parents=True, exist_ok=True)
    if choice not in ("", "debian"):
        _link(target, Path(choice))
    elif not target.exists():
        found = None if choice == "debian" else find_in_cloud_cli()
        if found:
            _link(target, found)
        else:
            build_from_debian(state_dir, target)


def find_in_cloud_cli() -> Path | None:
    """The emulator of an installed Google Cloud CLI, or None."""
    roots = list(_USUAL_SDK_ROOTS)
    gcloud = shutil.which("gcloud")
    if gcloud and not any((root / _IN_SDK).exists() for root in roots):
        # Asked last: it takes more than a second to answer.
        asked = subprocess.run(
            [gcloud, "info", "--format=value(installation.sdk_root)"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if asked.returncode == 0 and asked.stdout.strip():
            roots.append(Path(asked.stdout.strip()))
    return next((root / _IN_SDK for root in roots if (root / _IN_SDK).exists()), None)


def build_from_debian(state_dir: Path, target: Path) -> None:
    """Build the emulator from the source in Debian's packages, installing them when we may.

    Raises:
        ServiceError: the packages are missing and cannot be installed, or the build failed.
    """
    if not (_go() and (_DEBIAN_GO_PATH / "src/cloud.google.com/go/bigtable/bttest").is_dir()):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise ServiceError(THREE_WAYS)
        _install_debian_packages()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    go_home = state_dir / "go"
    environment = {
        "GO111MODULE": "off",
        "GOPATH": f"{go_home}:{_DEBIAN_GO_PATH}",
        "GOCACHE": os.environ.get("GOCACHE") or str(Path.home() / ".cache" / "go-build"),
        "GOFLAGS": "",
    }
    built = subprocess.run(
        [_go() or "go", "build", "-o", str(draft), str(SOURCE)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise ServiceError(f"building the Bigtable emulator failed:\n{built.stderr[-1500:]}\n{THREE_WAYS}")
    draft.replace(target)


def _go() -> str | None:
    """Debian's own compiler: another one may be too new for the sources that Debian ships."""
    debian = Path("/usr/lib/go/bin/go")
    return str(debian) if debian.exists() else shutil.which("go")


def _install_debian_packages() -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *_DEBIAN_PACKAGES],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{' '.join(command)} failed:\n{done.stderr[-1500:]}\n{THREE_WAYS}")


def _link(link: Path, target: Path) -> None:
    if not target.exists():
        raise ServiceError(f"{CHOICE_VARIABLE} names {target}, which does not exist")
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _check(port: int) -> str | None:
    """Ask for the tables of an instance: the smallest question that the emulator answers by itself."""
    import grpc

    parent = b"projects/segue/instances/segue"
    request = b"\n" + bytes([len(parent)]) + parent  # ListTablesRequest: field 1 is the parent
    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        list_tables = channel.unary_unary("/google.bigtable.admin.v2.BigtableTableAdmin/ListTables")
        try:
            list_tables(request, timeout=_CHECK_SECONDS)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return None
