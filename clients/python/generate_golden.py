"""Regenerates ``clients/golden``: ``python clients/python/generate_golden.py [FOLDER]``.

Vectors are never changed, only added: a reader in another language is held to them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from segue_client.bigtable import schema
from segue_client.bigtable.read_rows import TableAddress, offers_request, with_keys
from segue_client.bigtable.row_key import row_key
from segue_client.decision_id import decision_id
from segue_client.wire.offers_pb2 import AccountOffers

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def generate(out: Path) -> list[Path]:
    """Writes every vector file under ``out`` from the inputs in the committed ones; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    row_keys = [_row_key(each["account_id"]) for each in _read("row_keys.json")]
    payloads = [_payload(each["name"], each["account"]) for each in _read("payloads.json")]
    generations = [_generation(each) for each in _read("generations.json")]
    decisions = [_decision(each) for each in _read("decision_ids.json")]
    return [
        _write(out / "row_keys.json", row_keys),
        _write(out / "payloads.json", payloads),
        _write(out / "generations.json", generations),
        _write(out / "decision_ids.json", decisions),
    ]


def _row_key(account_id: str) -> dict[str, Any]:
    return {"account_id": account_id, "row_key_hex": row_key(account_id).hex()}


def _payload(name: str, account: dict[str, Any] | None) -> dict[str, Any]:
    """A tombstone has no account: its cell is empty."""
    stored = (
        b"" if account is None else ParseDict(account, AccountOffers()).SerializeToString(deterministic=True)
    )
    return {"name": name, "account": account, "payload_hex": stored.hex()}


def _decision(vector: dict[str, Any]) -> dict[str, Any]:
    named = {name: vector[name] for name in ("account_id", "generation_ms", "rule_id")}
    return named | {"decision_id": decision_id(**named)}


def _generation(vector: dict[str, Any]) -> dict[str, Any]:
    """What a day and attempt become: number, timestamp, pointer value, the request that reads by it."""
    segment_date = schema.segment_date_of(vector["generation_ms"])
    generation = schema.generation_ms(segment_date, vector["attempt"])
    address = TableAddress("projects/p/instances/i/tables/offers", "default")
    request = with_keys(offers_request(address, generation), [row_key("acc-000001")])
    return {
        "segment_date": segment_date.isoformat(),
        "attempt": vector["attempt"],
        "generation_ms": generation,
        "cell_timestamp_micros": generation * 1000,
        "pointer_value_hex": schema.generation_value(generation).hex(),
        "read_rows_request_hex": request.hex(),
    }


def _read(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return vectors


def _write(path: Path, vectors: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(vectors, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN)
