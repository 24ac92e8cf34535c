"""Regenerates ``segue_client/wire`` from the proto: ``python clients/python/generate_wire.py [FOLDER]``.

Needs grpcio-tools. The proto is mapped to ``segue_client/wire/`` because ``segue`` is
already a Python package, so the generated import path cannot be ``segue.offers.v1``.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent


def generate(out: Path) -> list[Path]:
    """Writes the generated modules under ``out``/segue_client/wire and returns their paths.

    Raises:
        RuntimeError: protoc refused the proto file.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    (out / "segue_client" / "wire").mkdir(parents=True, exist_ok=True)
    code = protoc.main(
        [
            "protoc",
            f"--proto_path=segue_client/wire={_ROOT / 'segue_client/proto/segue/offers/v1'}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            "segue_client/wire/offers.proto",
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc failed with exit code {code}")
    return sorted((out / "segue_client" / "wire").glob("offers_pb2*"))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else _ROOT)
