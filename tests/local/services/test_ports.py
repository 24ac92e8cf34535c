"""Ports stay the same from start to start, unless somebody else took them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from local.services.ports import LOOPBACK, Ports, is_free


def test_ports_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = Ports(path)
    rest, grpc = first.get("rest"), first.get("grpc")

    again = Ports(path)

    assert (again.get("rest"), again.get("grpc")) == (rest, grpc)
    assert rest != grpc
    assert json.loads(path.read_text()) == {"rest": rest, "grpc": grpc}


def test_a_taken_port_is_chosen_anew_and_the_others_stay(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    rest, grpc = ports.get("rest"), ports.get("grpc")
    with socket.socket() as somebody:
        somebody.bind((LOOPBACK, rest))
        somebody.listen()
        assert not is_free(rest)

        ports.replace_taken(["rest", "grpc"])

    assert ports.get("rest") != rest
    assert ports.get("grpc") == grpc
    assert Ports(tmp_path / "ports.json").get("rest") == ports.get("rest")


def test_a_broken_file_only_costs_the_memory(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"rest": ')

    assert is_free(Ports(tmp_path / "ports.json").get("rest"))
