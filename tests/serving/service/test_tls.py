"""TLS and mutual TLS with certificates made for the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from segue.settings import Settings
from segue_client.answer import Outcome
from segue_client.errors import UnavailableError
from serving.configured import open_service_client
from serving.service.server import ServiceConfigurationError
from tests.certificates import Authority
from tests.serving.service.conftest import Served, served


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(published: Settings, authority: Authority) -> Iterator[Served]:
    """A service that wants certificates of the authority."""
    certificate, key = authority.issue("service")
    with served(
        published,
        service_certificate_file=certificate,
        service_key_file=key,
        service_client_ca_file=authority.file,
    ) as running:
        yield running


def found_by(settings: Settings, **changes: object) -> Outcome:
    with open_service_client(settings.model_copy(update=changes)) as remote:
        return remote.lookup("found").outcome


def test_a_client_that_trusts_the_authority_is_answered_over_tls(
    published: Settings, authority: Authority
) -> None:
    certificate, key = authority.issue("tls-only")
    with served(published, service_certificate_file=certificate, service_key_file=key) as running:
        assert found_by(running.settings, service_ca_file=authority.file) is Outcome.FOUND
        with pytest.raises(UnavailableError):
            found_by(running.settings)


def test_mutual_tls_answers_those_with_a_certificate_only(
    mutual: Served, authority: Authority, tmp_path: Path
) -> None:
    known, known_key = authority.issue("client")
    stranger, stranger_key = Authority(tmp_path / "stranger").issue("client")
    trusting = {"service_ca_file": authority.file, "lookup_timeout_seconds": 5}
    assert (
        found_by(
            mutual.settings,
            **trusting,
            service_client_certificate_file=known,
            service_client_key_file=known_key,
        )
        is Outcome.FOUND
    )
    with pytest.raises(UnavailableError):
        found_by(mutual.settings, **trusting)
    with pytest.raises(UnavailableError):
        found_by(
            mutual.settings,
            **trusting,
            service_client_certificate_file=stranger,
            service_client_key_file=stranger_key,
        )


def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(
    published: Settings, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "service.pem", tmp_path / "service.key"

    def install(issued: tuple[Path, Path]) -> None:
        certificate.write_bytes(issued[0].read_bytes())
        key.write_bytes(issued[1].read_bytes())

    install(authority.issue("renewed"))
    other = Authority(tmp_path / "other")
    with served(published, service_certificate_file=certificate, service_key_file=key) as running:
        old, new = ({"service_ca_file": each.file} for each in (authority, other))
        assert found_by(running.settings, **old) is Outcome.FOUND
        install(other.issue("renewed"))
        assert found_by(running.settings, **new) is Outcome.FOUND
        with pytest.raises(UnavailableError):
            found_by(running.settings, **old)
        # half written, or the key of another
        certificate.write_bytes(authority.issue("third")[0].read_bytes())
        assert found_by(running.settings, **new) is Outcome.FOUND
        key.write_text("no key")
        assert found_by(running.settings, **new) is Outcome.FOUND


def test_half_a_configuration_is_refused(published: Settings, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("half")
    for changes, said in (
        ({"service_certificate_file": certificate}, "go together"),
        ({"service_client_ca_file": authority.file}, "needs a certificate"),
        ({"service_certificate_file": tmp_path / "none", "service_key_file": key}, "cannot read"),
        (
            {"service_certificate_file": certificate, "service_key_file": certificate},
            "no certificate and its key",
        ),
    ):
        with pytest.raises(ServiceConfigurationError, match=said), served(published, **changes):
            pass
