"""The payload in GoogleSQL: the bytes of ``loaders.bigtable.payload``, built by BigQuery.

Generated from the message's descriptor like the column-wise encoder, so that a new field needs a line in the
``.proto`` and a column in the mart. Functions are those that GoogleSQL has everywhere, in common table
expressions with one idea each: no correlated subqueries, no JavaScript, no remote function. On the way bytes
are hex digits, because text is what every engine concatenates and aggregates alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from google.cloud import bigquery
from google.protobuf.descriptor import FieldDescriptor

from loaders.bigtable import columns as col
from loaders.bigtable.payload import Descriptor, UnknownColumnError, column_of, fields_of, is_repeated

Columns = Sequence[bigquery.SchemaField]
Step = tuple[str, str]
"""Name and query of a common table expression."""

_FIXED: Final = {
    FieldDescriptor.TYPE_FIXED32: 4,
    FieldDescriptor.TYPE_SFIXED32: 4,
    FieldDescriptor.TYPE_FIXED64: 8,
    FieldDescriptor.TYPE_SFIXED64: 8,
}
_EMPTY: Final = "''"


def payload_steps(
    descriptor: Descriptor,
    columns: Columns,
    source: str,
    keys: Sequence[str],
    name: str,
    skip: Collection[str] = (),
) -> list[Step]:
    """Common table expressions; the last, ``name``, has ``keys`` and each row's ``message`` in hex.

    ``source`` is what the rows come from, with ``columns`` and ``keys``, which are unique.

    Raises:
        UnknownColumnError: a field has no column that fits, or a type that is not supported.
    """
    by_name = {column.name: column for column in columns}
    steps: list[Step] = []
    parts, joins, doubles = [], [], []
    for field in fields_of(descriptor, skip):
        column = by_name[column_of(field, by_name)]
        if is_repeated(field):
            joined = f"{name}_{column.name}"
            steps += _list_steps(field, column, source, keys, joined)
            joins.append(joined)
            parts.append(f"coalesce({joined}.joined, {_EMPTY})")
        else:
            if field.type == FieldDescriptor.TYPE_DOUBLE:
                doubles.append(column.name)
            parts.append(_scalar_sql(field, column, f"each_row.{column.name}"))
    if doubles:
        steps += double_steps(doubles, source, name)
        source = steps[-1][0]
    selected = ", ".join(f"each_row.{key}" for key in keys)
    matched = "".join(
        f"\nleft join {joined} on " + " and ".join(f"each_row.{key} = {joined}.{key}" for key in keys)
        for joined in joins
    )
    message = "concat(\n" + ",\n".join(parts) + "\n)"
    steps.append((name, f"select {selected}, {message} as message from {source} as each_row{matched}"))
    return steps


def _list_steps(
    field: FieldDescriptor, column: bigquery.SchemaField, source: str, keys: Sequence[str], name: str
) -> list[Step]:
    """A list of messages: its items as rows, the message of each, and these joined again in their order."""
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        raise UnknownColumnError(f"{field.full_name}: only lists of messages are supported")
    place = f"{column.name}_place"
    listed = ", ".join(keys)
    members = ", ".join(f"item.{part.name}" for part in column.fields)
    items = (
        f"{name}_items",
        f"select {', '.join(f'each_row.{key}' for key in keys)}, item_offset as {place}, {members} "
        f"from {source} as each_row, unnest({column.name}) as item with offset as item_offset",
    )
    messages = payload_steps(field.message_type, column.fields, items[0], [*keys, place], f"{name}_messages")
    tag = hex_sql(col.tag(field.number, col.DELIMITED))
    framed = f"concat({tag}, {varint_sql('div(length(message), 2)')}, message)"
    joined = (
        name,
        f"select {listed}, string_agg({framed}, {_EMPTY} order by {place}) as joined "
        f"from {name}_messages group by {listed}",
    )
    return [items, *messages, joined]


def _scalar_sql(field: FieldDescriptor, column: bigquery.SchemaField, value: str) -> str:
    if field.type == FieldDescriptor.TYPE_STRING:
        present = f"{value} is not null" if field.has_presence else f"coalesce({value}, '') <> ''"
        tag, size = hex_sql(col.tag(field.number, col.DELIMITED)), varint_sql(f"byte_length({value})")
        encoded = f"concat({tag}, {size}, to_hex(cast({value} as bytes)))"
    elif field.type == FieldDescriptor.TYPE_BOOL and not field.has_presence:
        present, encoded = f"coalesce({value}, false)", hex_sql(col.tag(field.number, col.VARINT) + b"\x01")
    elif field.type in _FIXED:
        width = _FIXED[field.type]
        number = f"unix_millis({value})" if column.field_type == "TIMESTAMP" else value
        tag = hex_sql(col.tag(field.number, col.FIXED32 if width == 4 else col.FIXED64))
        present = f"{number} is not null" if field.has_presence else f"coalesce({number}, 0) <> 0"
        encoded = f"concat({tag}, {little_endian_sql(number, width)})"
    elif field.type == FieldDescriptor.TYPE_DOUBLE and field.has_presence:
        tag = hex_sql(col.tag(field.number, col.FIXED64))
        present, encoded = f"{value} is not null", f"concat({tag}, {double_sql(value)})"
    else:
        raise UnknownColumnError(f"{field.full_name}: a type that SQL does not write")
    return f"if({present}, {encoded}, {_EMPTY})"


def varint_sql(number: str) -> str:
    """Hex of the varint of a non-negative INT64 expression below 2^35: lengths of what fits a cell."""
    cases = []
    for size in range(1, 6):
        groups = [f"(({number}) >> {7 * place}) & 127" for place in range(size)]
        groups = [f"({group}) | 128" for group in groups[:-1]] + groups[-1:]
        encoded = f"to_hex(code_points_to_bytes([{', '.join(groups)}]))"
        cases.append(f"when {number} < {1 << (7 * size)} then {encoded}" if size < 5 else f"else {encoded}")
    return f"case {' '.join(cases)} end"


def little_endian_sql(number: str, width: int) -> str:
    """Hex of the low ``width`` bytes of an INT64 expression, least first."""
    groups = ", ".join(f"(({number}) >> {8 * place}) & 255" for place in range(width))
    return f"to_hex(code_points_to_bytes([{groups}]))"


def double_steps(columns: Sequence[str], source: str, name: str) -> list[Step]:
    """Adds exponent and mantissa of FLOAT64 columns to the rows of ``source``, for ``double_sql``.

    A double is sign, exponent and 52 bits of mantissa, and GoogleSQL has no function for them. The exponent
    comes from a logarithm, which may be one off next to a power of two, and is put right by comparing;
    multiplying by a power of two is exact. It is done in halves, because 2^1074 is no double.
    """
    guesses, exponents, mantissas = [], [], []
    for each in columns:
        size = f"nullif(abs({each}), 0.0)"
        guesses.append(f"cast(floor(ln({size}) / ln(2.0)) as int64) as {each}_guess")
        exponents.append(
            f"greatest({each}_guess + case when {size} >= pow(2.0, {each}_guess + 1) then 1 "
            f"when {size} < pow(2.0, {each}_guess) then -1 else 0 end, -1022) as {each}_exponent"
        )
        half = f"div((52 - {each}_exponent), 2)"
        mantissas.append(
            f"cast({size} * pow(2.0, {half}) * pow(2.0, 52 - {each}_exponent - {half}) as int64) "
            f"as {each}_mantissa"
        )
    return [
        (f"{name}_guessed", f"select *, {', '.join(guesses)} from {source}"),
        (f"{name}_exponents", f"select *, {', '.join(exponents)} from {name}_guessed"),
        (f"{name}_doubles", f"select *, {', '.join(mantissas)} from {name}_exponents"),
    ]


def double_sql(value: str) -> str:
    """Hex of the eight bytes of a finite FLOAT64 column of rows that went through ``double_steps``."""
    mantissa = f"coalesce({value}_mantissa, 0)"
    # a subnormal number has no leading bit and the exponent field 0
    field = f"if({mantissa} < {1 << 52}, 0, {value}_exponent + 1023)"
    sign = f"if({value} < 0 or ({value} = 0 and starts_with(cast({value} as string), '-')), 128, 0)"
    low = [f"({mantissa} >> {8 * place}) & 255" for place in range(6)]
    middle = f"(({mantissa} >> 48) & 15) | (({field} & 15) << 4)"
    return f"to_hex(code_points_to_bytes([{', '.join(low)}, {middle}, {sign} | ({field} >> 4)]))"


def hex_sql(value: bytes) -> str:
    """A literal of the hex digits of some bytes."""
    return f"'{value.hex()}'"
