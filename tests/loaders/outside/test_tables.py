"""A file of others is read whole, whatever its kind."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.outside.tables import read_table
from segue.outside_file import OutsideFileError


def test_every_kind_of_file_gives_its_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;name\n1;one\n2;\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,name\n1,one\n2,\n"))
    (tmp_path / "a.ndjson").write_text('{"id": 1, "name": "one"}\n{"id": 2, "name": null}\n')

    for name in ("a.csv", "a.csv.gz", "a.ndjson"):
        assert read_table(tmp_path / name).to_pydict() == {"id": ["1", "2"], "name": ["one", ""]}

    pq.write_table(pa.table({"id": [1, 2], "name": ["one", None]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_pydict() == {"id": [1, 2], "name": ["one", None]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,name\n1,one\n2\n", "a.csv: row 2: has 1 values, the header 2"),
        ("a.csv", "id,id\n1,one\n", "a.csv: column id is in the header twice"),
        ("a.csv", "id,name\n", "a.csv: has no rows"),
        ("a.ndjson", '{"id": 1}\n{"name": 2}\n', "a.ndjson: row 2: column id: is not there"),
        ("a.xlsx", "", "a.xlsx: unknown format, expected .csv, .tsv, .ndjson or .parquet"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(OutsideFileError) as error:
        read_table(tmp_path / name)

    assert str(error.value) == message
