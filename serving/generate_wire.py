"""Regenerates ``serving/wire`` from the proto file: ``python -m serving.generate_wire [FOLDER]``.

Needs grpcio-tools (development only). The proto is mapped to ``serving/wire/`` because ``segue`` is
already a Python package, so the generated import path cannot be ``segue.offers.v1``.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def generate(out: Path) -> list[Path]:
    """Writes the generated modules under ``out``/serving/wire and returns their paths.

    Raises:
        RuntimeError: protoc refused the proto file.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    (out / "serving" / "wire").mkdir(parents=True, exist_ok=True)
    code = protoc.main(
        [
            "protoc",
            f"--proto_path=serving/wire={_ROOT / 'serving/proto/segue/offers/v1'}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            "serving/wire/offers.proto",
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc failed with exit code {code}")
    return sorted((out / "serving" / "wire").glob("offers_pb2*"))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else _ROOT)
