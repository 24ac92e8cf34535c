"""The file of an outside experiment: every value that a file has is read, or named by row and column."""

from __future__ import annotations

import gzip
import json
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.outside_map import OutsideMap
from experiments.statistics.sums import Sums
from loaders.experiments.units import OutsideUnits, notes_of, read_units
from loaders.outside import tables
from segue.outside_file import OutsideFileError

EMAILS = """\
customer,segment,visit,spend,history,pages
1,No E-Mail,0,0,142.44,3
2,Mens E-Mail,1,29.99,329.08,5
3,Mens E-Mail,0,0,180.65,1
4,No E-Mail,1,0,675.83,9
5,Mens E-Mail,1,0,45.34,4
6,No E-Mail,0,0,134.83,2
"""

MAP: dict[str, Any] = {
    "unit": "customer",
    "variant": {"column": "segment", "control": "No E-Mail"},
    "metrics": {
        "visit": {"column": "visit", "role": "success"},
        "spend": {"column": "spend", "role": "success", "covariate": "history"},
        "pages_per_visit": {"numerator": "pages", "denominator": "visit", "role": "guardrail", "margin": 0.1},
    },
}
VISITS_ONLY: dict[str, Any] = MAP | {"metrics": {"visit": MAP["metrics"]["visit"]}}


def read(path: Path, content: str | bytes, **changes: Any) -> OutsideUnits:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_units(path, OutsideMap.model_validate(MAP | changes))


def refused(path: Path, content: str | bytes, **changes: Any) -> list[str]:
    with pytest.raises(OutsideFileError) as error:
        read(path, content, **changes)
    return str(error.value).splitlines()


def test_rows_become_exact_sums_of_their_arms(tmp_path: Path) -> None:
    found = read(tmp_path / "emails.csv", EMAILS)

    assert found.units == {"Mens E-Mail": 3, "No E-Mail": 3}
    assert found.sums["No E-Mail"]["visit"] == Sums.of(3, sum_y=1, sum_y2=1)
    assert found.sums["No E-Mail"]["pages_per_visit"] == Sums.of(
        3, sum_y=14, sum_y2=94, sum_d=1, sum_d2=1, sum_yd=9
    )
    spend = found.sums["Mens E-Mail"]["spend"]
    # The double that is nearest to 29.99, squared without another rounding.
    assert (spend.sum_y, spend.sum_y2) == (Fraction(29.99), Fraction(29.99) ** 2)
    assert spend.has_covariate
    assert notes_of(found) == []


def as_parquet(path: Path, **changes: pa.Array) -> None:
    lines = [line.split(",") for line in EMAILS.splitlines()]
    columns: dict[str, Any] = dict(zip(lines[0], map(pa.array, zip(*lines[1:], strict=True)), strict=True))
    columns["spend"] = columns["spend"].cast(pa.float64())
    columns["history"] = columns["history"].cast(pa.float64())
    columns["pages"] = columns["pages"].cast(pa.int16())
    columns["visit"] = columns["visit"].cast(pa.int64()).cast(pa.bool_())
    columns["segment"] = columns["segment"].dictionary_encode()
    pq.write_table(pa.table(columns | changes), path)


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    expected = read(tmp_path / "emails.csv", EMAILS)
    header, *lines = EMAILS.splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    typed = [
        row | {"visit": row["visit"] == "1", "spend": float(row["spend"]), "pages": int(row["pages"])}
        for row in rows
    ]
    as_parquet(tmp_path / "emails.parquet")
    (tmp_path / "emails.csv.gz").write_bytes(gzip.compress(EMAILS.encode()))
    ours = OutsideMap.model_validate(MAP)

    assert read(tmp_path / "emails.ndjson", "\n".join(json.dumps(row) for row in typed)) == expected
    assert read(tmp_path / "emails.tsv", EMAILS.replace(",", "\t")) == expected
    assert read(tmp_path / "semicolons.csv", EMAILS.replace(",", ";")) == expected
    assert read(tmp_path / "marked.csv", "\ufeff" + EMAILS) == expected
    assert read(tmp_path / "windows.csv", EMAILS.replace("\n", "\r\n")) == expected
    assert (
        read(tmp_path / "spelled.csv", EMAILS.replace(",1,", ",TRUE,").replace("29.99", " +2.999e1 "))
        == expected
    )
    assert read_units(tmp_path / "emails.parquet", ours) == expected
    assert read_units(tmp_path / "emails.csv.gz", ours) == expected


def test_no_order_and_no_split_of_the_rows_changes_a_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amounts whose sum in doubles depends on the order: read in one batch, in pairs, and shuffled."""
    draw = random.Random(3)
    rows = [
        f"{number},{draw.choice(['a', 'b'])},{draw.lognormvariate(0, 6):.9g},{draw.gauss(1e6, 1):.12g}"
        for number in range(400)
    ]
    shuffled = draw.sample(rows, len(rows))
    metrics = {"spend": {"column": "spend", "role": "success", "covariate": "history"}}
    changes = {"variant": {"column": "segment", "control": "a"}, "metrics": metrics}
    heading = "customer,segment,spend,history\n"

    whole = read(tmp_path / "one.csv", heading + "\n".join(rows), **changes)
    monkeypatch.setattr(tables, "_BATCH_BYTES", 256)
    in_pieces = read(tmp_path / "two.csv", heading + "\n".join(shuffled), **changes)

    assert whole == in_pieces
    assert list(whole.units) == list(in_pieces.units) == ["a", "b"]


def test_two_files_of_different_units_add_up_to_both_in_one(tmp_path: Path) -> None:
    header, *rows = EMAILS.splitlines()
    first, second = (
        read(tmp_path / f"{place}.csv", "\n".join([header, *rows[place::2]])) for place in (0, 1)
    )
    whole = read(tmp_path / "whole.csv", EMAILS)

    assert {
        arm: {name: first.sums[arm][name] + second.sums[arm][name] for name in metrics}
        for arm, metrics in whole.sums.items()
    } == whole.sums


def test_rows_are_counted_through_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note of several lines is one row; so is none of the empty lines."""
    monkeypatch.setattr(tables, "_BATCH_BYTES", 256)
    rows = [f'{number},{"ab"[number % 2]},"so\n""so"", la la",{number % 3}' for number in range(1, 201)]
    content = "customer,segment,note,visit\n\n" + "\n".join(rows) + "\n\n"
    changes = VISITS_ONLY | {"variant": {"column": "segment", "control": "a"}}

    assert read(tmp_path / "notes.csv", content, **changes).units == {"a": 100, "b": 100}
    broken = content.replace('150,a,"so\n""so"", la la",0', '150,a,"so\n""so"", la la",none')
    assert refused(tmp_path / "notes.csv", broken, **changes) == [
        "notes.csv: row 150: column visit: 'none' is no number"
    ]
    uneven = content.replace('150,a,"so\n""so"", la la",0', "150,a,0")
    assert refused(tmp_path / "notes.csv", uneven, **changes) == [
        "notes.csv: row 150: has 3 values, the header 4"
    ]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("29.99", "$29.99", "row 2: column spend: '$29.99' is no number"),
        ("29.99", "nan", "row 2: column spend: 'nan' is no number"),
        ("29.99", "1e999", "row 2: column spend: '1e999' is no number"),
        ("29.99", "", "row 2: column spend: is empty"),
        ("29.99", "2,9", "row 2: has 7 values, the header 6"),
        ("5,Mens E-Mail", "5,", "row 5: column segment: is empty"),
        ("6,No E-Mail", ",No E-Mail", "row 6: column customer: is empty"),
        ("6,No", "4,No", "row 6: column customer: '4' is the unit of row 4 already"),
        ("spend", "spent", "column spend is in the map but not in the file (it has customer, "),
        ("pages", "visit", "column visit is in the header twice"),
        ("No E-Mail", "no mail", "column segment has no No E-Mail (control); it has no mail, Mens E-Mail"),
        ("Mens E-Mail", "No E-Mail", "column segment has one variant, so there is nothing to compare"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_by_row_and_column(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert refused(tmp_path / "emails.csv", EMAILS.replace(before, after))[0].startswith(
        f"emails.csv: {message}"
    )


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    broken = EMAILS.replace("675.83", "much").replace("1,No E-Mail,0", "1,No E-Mail,maybe")

    assert refused(tmp_path / "emails.csv", broken) == [
        "emails.csv: row 1: column visit: 'maybe' is no number",
        "emails.csv: row 4: column history: 'much' is no number",
    ]


def test_a_variant_that_was_allotted_nothing_is_a_mistake(tmp_path: Path) -> None:
    only = {"No E-Mail": 1, "Womens E-Mail": 1}

    assert refused(tmp_path / "emails.csv", EMAILS, allocation=only)[0] == (
        "emails.csv: row 2: column segment: 'Mens E-Mail' is no variant of the allocation"
    )
    assert refused(tmp_path / "emails.csv", EMAILS, allocation=only | {"Mens E-Mail": 1}) == [
        "emails.csv: column segment has no Womens E-Mail; it has No E-Mail, Mens E-Mail"
    ]


def test_files_of_other_kinds_are_refused_in_a_sentence(tmp_path: Path) -> None:
    assert refused(tmp_path / "emails.xlsx", EMAILS) == [
        "emails.xlsx: unknown format, expected .csv, .tsv, .ndjson or .parquet"
    ]
    assert "cannot be read" in refused(tmp_path / "emails.parquet", EMAILS)[0]
    assert (
        "cannot be read"
        in refused(tmp_path / "emails.csv", EMAILS.replace("Mens", "M\u00e9ns").encode("latin-1"))[0]
    )
    assert refused(tmp_path / "emails.csv", EMAILS.splitlines()[0] + "\n") == ["emails.csv: has no rows"]
    assert "it has none" in refused(tmp_path / "empty.csv", "")[0]
    assert refused(tmp_path / "emails.ndjson", '{"customer": 1}\nno\n')[0].startswith(
        "emails.ndjson: row 2: is not JSON"
    )
    assert refused(tmp_path / "emails.ndjson", '{"customer": 1}\n')[0] == (
        "emails.ndjson: row 1: column segment: is not there"
    )


def test_a_unit_in_two_variants_is_in_none(tmp_path: Path) -> None:
    moved = EMAILS + "4,Mens E-Mail,1,99,675.83,9\n4,No E-Mail,1,7,675.83,2\n"

    found = read(tmp_path / "emails.csv", moved)
    without = read(tmp_path / "without.csv", "".join(
        line for line in EMAILS.splitlines(keepends=True) if not line.startswith("4,")
    ))  # fmt: skip

    assert (found.units, found.sums) == (without.units, without.sums)
    assert notes_of(found) == ["1 units were seen in more than one variant and are in none"]


def test_rows_may_be_units_of_their_own(tmp_path: Path) -> None:
    twice = EMAILS.replace("6,No", "4,No")

    assert read(tmp_path / "emails.csv", twice, unit="row").units == {"Mens E-Mail": 3, "No E-Mail": 3}


def test_an_empty_covariate_counts_as_nothing_and_is_told(tmp_path: Path) -> None:
    found = read(tmp_path / "emails.csv", EMAILS.replace("675.83", ""))
    zero = read(tmp_path / "zero.csv", EMAILS.replace("675.83", "0"))

    assert found.sums == zero.sums
    assert notes_of(found) == ["1 units have no history: it counts as 0 for them"]


def test_variants_may_be_numbers_or_flags(tmp_path: Path) -> None:
    flags = EMAILS.replace("No E-Mail", "False").replace("Mens E-Mail", "True")
    variant = {"column": "segment", "control": False}

    assert read(tmp_path / "flags.csv", flags, variant=variant).units == {"false": 3, "true": 3}
    as_parquet(tmp_path / "numbers.parquet", segment=pa.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]))
    numbers = OutsideMap.model_validate(
        MAP | {"variant": {"column": "segment", "control": 0}, "allocation": {0: 1, 1: 2}}
    )
    assert read_units(tmp_path / "numbers.parquet", numbers).units == {"0": 3, "1": 3}


def test_what_parquet_cannot_mean_as_a_number_is_named(tmp_path: Path) -> None:
    as_parquet(tmp_path / "emails.parquet", spend=pa.array([1.0, None, 0, 0, 0, float("inf")]))

    with pytest.raises(OutsideFileError) as error:
        read_units(tmp_path / "emails.parquet", OutsideMap.model_validate(MAP))

    assert str(error.value).splitlines() == [
        "emails.parquet: row 2: column spend: is empty",
        "emails.parquet: row 6: column spend: inf is no number",
    ]
    as_parquet(tmp_path / "decimals.parquet", spend=pa.array([Decimal("0.50")] * 6))
    found = read_units(tmp_path / "decimals.parquet", OutsideMap.model_validate(MAP))
    assert found.sums["No E-Mail"]["spend"].sum_y == Fraction(3, 2)


def test_a_column_of_ids_is_not_taken_for_the_variant(tmp_path: Path) -> None:
    rows = "customer,visit\n" + "".join(f"{number},1\n" for number in range(60))

    assert refused(
        tmp_path / "emails.csv",
        rows,
        **VISITS_ONLY | {"variant": {"column": "customer", "control": "1"}, "unit": "row"},
    ) == ["emails.csv: column customer has more than 50 values: is it the variant?"]
