"""The payload as one GoogleSQL expression: the bytes of ``loaders.bigtable.payload``, built by BigQuery.

Generated from the message's descriptor like the column-wise encoder, so that a new field needs a line in the
``.proto`` and a column in the mart. Functions are those that GoogleSQL has everywhere: no JavaScript, no
remote function.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from google.cloud import bigquery
from google.protobuf.descriptor import FieldDescriptor

from loaders.bigtable import columns as col
from loaders.bigtable.payload import Descriptor, UnknownColumnError, column_of, fields_of, is_repeated

Columns = Sequence[bigquery.SchemaField]

_FIXED: Final = {
    FieldDescriptor.TYPE_FIXED32: 4,
    FieldDescriptor.TYPE_SFIXED32: 4,
    FieldDescriptor.TYPE_FIXED64: 8,
    FieldDescriptor.TYPE_SFIXED64: 8,
}
_EMPTY: Final = "b''"


def payload_sql(
    descriptor: Descriptor, columns: Columns, skip: Collection[str] = (), within: str = ""
) -> str:
    """An expression of type BYTES: the message made of a row's ``columns``.

    ``within`` is the name of the struct that holds them; without it they are columns of the table.

    Raises:
        UnknownColumnError: a field has no column that fits, or a type that is not supported.
    """
    by_name = {column.name: column for column in columns}
    parts = []
    for field in fields_of(descriptor, skip):
        column = by_name[column_of(field, by_name)]
        value = f"{within}.{column.name}" if within else column.name
        parts.append(_field_sql(field, column, value))
    return "concat(" + ",\n".join(parts) + ")"


def _field_sql(field: FieldDescriptor, column: bigquery.SchemaField, value: str) -> str:
    if is_repeated(field):
        return _repeated(field, column, value)
    return _scalar(field)(field, column, value)


def _scalar(field: FieldDescriptor) -> Callable[[FieldDescriptor, bigquery.SchemaField, str], str]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _bool
    if field.type in _FIXED:
        return _fixed
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _double
    raise UnknownColumnError(f"{field.full_name}: a type that SQL does not write")


def _repeated(field: FieldDescriptor, column: bigquery.SchemaField, value: str) -> str:
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        raise UnknownColumnError(f"{field.full_name}: only lists of messages are supported")
    item = f"{column.name}_item"
    message = payload_sql(field.message_type, column.fields, within=item)
    tag = _literal(col.tag(field.number, col.DELIMITED))
    return (
        f"coalesce((select string_agg(concat({tag}, {varint_sql('length(message)')}, message), b'' "
        f"order by place) from (select {message} as message, place "
        f"from unnest({value}) as {item} with offset as place)), {_EMPTY})"
    )


def _text(field: FieldDescriptor, _column: bigquery.SchemaField, value: str) -> str:
    tag = _literal(col.tag(field.number, col.DELIMITED))
    absent = f"{value} is null" if field.has_presence else f"coalesce({value}, '') = ''"
    size = varint_sql(f"byte_length({value})")
    return f"if({absent}, {_EMPTY}, concat({tag}, {size}, cast({value} as bytes)))"


def _bool(field: FieldDescriptor, _column: bigquery.SchemaField, value: str) -> str:
    return (
        f"if(coalesce({value}, false), {_literal(col.tag(field.number, col.VARINT) + bytes([1]))}, {_EMPTY})"
    )


def _fixed(field: FieldDescriptor, column: bigquery.SchemaField, value: str) -> str:
    width = _FIXED[field.type]
    wire = col.FIXED32 if width == 4 else col.FIXED64
    number = f"unix_millis({value})" if column.field_type == "TIMESTAMP" else value
    tag = _literal(col.tag(field.number, wire))
    absent = f"{number} is null" if field.has_presence else f"coalesce({number}, 0) = 0"
    return f"if({absent}, {_EMPTY}, concat({tag}, {little_endian_sql(number, width)}))"


def _double(field: FieldDescriptor, _column: bigquery.SchemaField, value: str) -> str:
    if not field.has_presence:
        raise UnknownColumnError(f"{field.full_name}: a double that is not optional is not supported")
    tag = _literal(col.tag(field.number, col.FIXED64))
    return f"if({value} is null, {_EMPTY}, concat({tag}, {double_sql(value)}))"


def varint_sql(number: str) -> str:
    """The varint of a non-negative INT64 expression below 2^35: lengths of what fits a cell."""
    cases = []
    for size in range(1, 6):
        parts = [
            f"(({number}) >> {7 * place}) & 127" + (" | 128" if place < size - 1 else "")
            for place in range(size)
        ]
        bytes_ = f"code_points_to_bytes([{', '.join(parts)}])"
        cases.append(f"when {number} < {1 << (7 * size)} then {bytes_}" if size < 5 else f"else {bytes_}")
    return f"case {' '.join(cases)} end"


def little_endian_sql(number: str, width: int) -> str:
    """The low ``width`` bytes of an INT64 expression, least first."""
    parts = ", ".join(f"(({number}) >> {8 * place}) & 255" for place in range(width))
    return f"code_points_to_bytes([{parts}])"


def double_sql(value: str) -> str:
    """The eight bytes of a finite FLOAT64 expression, which GoogleSQL has no function for.

    A double is sign, exponent and 52 bits of mantissa. The exponent comes from a logarithm, which may be one
    off next to a power of two, and is put right by comparing; multiplying by a power of two is exact. Powers
    are taken in halves, because 2^1074 is no double. One expression without subqueries, so that an engine
    need not correlate anything for each offer.
    """
    size = f"nullif(abs({value}), 0.0)"
    guess = f"cast(floor(ln({size}) / ln(2.0)) as int64)"
    off_by = (
        f"case when {size} >= pow(2.0, {guess} + 1) then 1 when {size} < pow(2.0, {guess}) then -1 else 0 end"
    )
    exponent = f"greatest({guess} + {off_by}, -1022)"
    half = f"div(52 - {exponent}, 2)"
    mantissa = f"cast({size} * pow(2.0, {half}) * pow(2.0, 52 - {exponent} - {half}) as int64)"
    # a subnormal number has no leading bit and the exponent field 0
    field = f"if({mantissa} < (1 << 52), 0, {exponent} + 1023)"
    sign = f"if({value} < 0 or ({value} = 0 and starts_with(cast({value} as string), '-')), 128, 0)"
    low = [f"coalesce(({mantissa} >> {8 * place}) & 255, 0)" for place in range(6)]
    middle = f"coalesce((({mantissa} >> 48) & 15) | (({field} & 15) << 4), 0)"
    high = f"{sign} | coalesce({field} >> 4, 0)"
    return f"code_points_to_bytes([{', '.join([*low, middle, high])}])"


def _literal(value: bytes) -> str:
    return "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"
