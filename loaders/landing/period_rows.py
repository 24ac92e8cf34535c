"""Reading a billing export: its rows as typed periods and accounts, every other row refused with a reason."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from loaders.landing.contracts import Account, Plan, SubscriptionEvent
from loaders.landing.currencies import problem_of
from loaders.landing.errors import Refusal
from loaders.landing.export_text import read_rows, with_decimal_point
from loaders.landing.period_events import Period, Row, arrival_of, event_values, plan_values, spelled
from loaders.landing.period_map import AccountColumns, PeriodColumns, PeriodMap, Source
from loaders.landing.period_times import Moment, end_of_service, moment_of
from loaders.landing.reasons import of_column, of_problems, said, word_or_figure
from loaders.landing.rhythm import Rhythm, read_rhythm
from loaders.landing.row import LandingRow, OfCurrency
from loaders.landing.schema import columns_of

Contract = TypeVar("Contract", bound=LandingRow)


@dataclass
class PeriodsLanding:
    """What became of an export; in = out + refused for the accounts, and with superseded for the periods.

    Accounts that the periods' rows tell count once each, and are refused when none of their rows can be read.
    """

    periods_in: int = 0
    periods_out: int = 0
    superseded: int = 0
    """Periods of no length that another one follows at the same instant: they say nothing that lasts."""
    accounts_in: int = 0
    accounts_out: int = 0
    refused: list[Refusal] = field(default_factory=list)
    reasons_unmatched: int = 0
    withdrawn: int = 0
    """Subscriptions that the complete export before this one named and this one does not."""
    withdraws_nothing: bool = False
    """Whether a complete export is taken for a partial one, because rows of it were refused."""
    accounts_begin_anew: bool = False
    """Whether the latest periods alone tell when accounts began, which each export then tells anew."""
    files_removed: int = 0
    """Files of an earlier conversion that no longer come out."""
    rows_in: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    first_arrival: date | None = None
    last_arrival: date | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "refused": [asdict(refusal) for refusal in self.refused],
            "first_arrival": str(self.first_arrival),
            "last_arrival": str(self.last_arrival),
        }


class _RowRefusedError(Exception):
    """A row that cannot be read; becomes a Refusal with its file and number."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def _sources(columns: Any) -> Iterator[Source]:
    """Every source that a part of the map names."""
    for value in dict(columns).values():
        if isinstance(value, Source):
            yield value
        elif isinstance(value, dict):
            yield from value.values()


def _each(
    path: Path,
    period_map: PeriodMap,
    sources: Iterable[Source],
    result: PeriodsLanding,
    read: Callable[[int, Row], Any],
) -> tuple[int, list[Any]]:
    """The number of rows, and what ``read`` makes of each; a row it cannot read is refused and kept."""
    number, found = 0, []
    for number, row in read_rows(path, period_map, sources):
        try:
            if None in row or None in row.values():
                raise _RowRefusedError("", "does not have the header's columns")
            found.append(read(number, row))
        except _RowRefusedError as refused:
            _refuse(path.name, number, row, refused, result)
    result.rows_in[path.name] = number
    return number, found


def _refuse(file: str, number: int, row: Row, refused: _RowRefusedError, result: PeriodsLanding) -> None:
    payload = json.dumps({str(key): value for key, value in row.items()}, ensure_ascii=False)
    result.refused.append(Refusal(file, number, refused.column, refused.reason, payload))


def _refused(source: Source, text: str, reason: str) -> _RowRefusedError:
    """Words and figures are shown, other texts may be somebody's."""
    name = source.column or str(source.constant)
    return _RowRefusedError(name, said(name, word_or_figure(text), reason))


def _required(name: str, source: Source, row: Row) -> str:
    text = source.read(row)
    if text is None:
        raise _RowRefusedError(source.column or name, f"{source.column or name} is empty")
    return text


def _moment(period_map: PeriodMap, source: Source, text: str) -> Moment:
    try:
        return moment_of(period_map, text)
    except ValueError as error:
        raise _refused(source, text, str(error)) from None


def _end(period_map: PeriodMap, source: Source, text: str) -> Moment | None:
    try:
        return end_of_service(period_map, text)
    except ValueError as error:
        raise _refused(source, text, str(error)) from None


def _refuse_ahead(source: Source, what: str, happened: datetime, arrival_date: date | None) -> None:
    """What arrives on its own day cannot have arrived on a day that is still to come."""
    today = datetime.now(UTC).date()
    if arrival_date is None and happened.date() > today:
        raise _RowRefusedError(source.column or what, f"{what} on {spelled(happened)}, after today, {today}")


def _flag(period_map: PeriodMap, source: Source, text: str) -> bool:
    if text in period_map.true_values:
        return True
    if text in period_map.false_values:
        return False
    raise _refused(source, text, "is neither true nor false")


def read_reasons(export: Path, period_map: PeriodMap, result: PeriodsLanding) -> dict[tuple[str, date], str]:
    """(account, day of the end as it is written) → reason; empty without a reasons file in the map."""
    if period_map.reasons is None:
        return {}
    columns = period_map.reasons

    def read(_: int, row: Row) -> tuple[tuple[str, date], str]:
        account = _required("account_id", columns.account_id, row)
        ended = _moment(period_map, columns.ended, _required("ended", columns.ended, row))
        return (account, ended.written_day), _required("reason", columns.reason, row)

    _, found = _each(export.with_name(columns.file), period_map, _sources(columns), result, read)
    return dict(found)


def read_accounts(
    export: Path,
    period_map: PeriodMap,
    periods: list[Period],
    arrival_date: date | None,
    result: PeriodsLanding,
) -> list[LandingRow]:
    """The accounts that keep their contract, of their own file or of the periods; others are refused."""
    columns = period_map.accounts
    if columns.file is None or columns.are_in(export.name):
        return _accounts_of(export.name, period_map, periods, arrival_date, result)

    def read(_: int, row: Row) -> LandingRow:
        assert columns.account_id is not None, "the map has it for a file"
        assert columns.created is not None, "the map has it for a file"
        created = _moment(period_map, columns.created, _required("created", columns.created, row)).at
        account_id = _required("account_id", columns.account_id, row)
        _refuse_ahead(columns.created, "created", created, arrival_date)
        return _account(columns, account_id, created, arrival_of(created, arrival_date), row)

    path = export.with_name(columns.file)
    result.accounts_in, accounts = _each(path, period_map, _sources(columns), result, read)
    result.accounts_out = len(accounts)
    return accounts


def _accounts_of(
    file: str,
    period_map: PeriodMap,
    periods: list[Period],
    arrival_date: date | None,
    result: PeriodsLanding,
) -> list[LandingRow]:
    """An account for each that has a period, and another version where a later period tells otherwise."""
    columns = period_map.accounts
    versions: dict[str, list[Account]] = defaultdict(list)
    for period in sorted(periods, key=lambda period: (period.start, period.row)):
        told = versions[period.account_id]
        try:
            created = period.start
            if columns.created is not None:
                text = _required("created", columns.created, period.payload)
                created = _moment(period_map, columns.created, text).at
                _refuse_ahead(columns.created, "created", created, arrival_date)
            since = told[0].created_at if told else created
            arrival = arrival_of(created, arrival_date)
            account = _account(columns, period.account_id, since, arrival, period.payload)
        except _RowRefusedError as refused:
            _refuse(file, period.row, period.payload, refused, result)
            continue
        if not told or told[-1].model_copy(update={"ingested_at": account.ingested_at}) != account:
            told.append(account)
    result.accounts_in = len(versions)
    result.accounts_out = sum(bool(told) for told in versions.values())
    return [account for told in versions.values() for account in told]


def _account(
    columns: AccountColumns, account_id: str, created: datetime, arrival: datetime, row: Row
) -> Account:
    return _contract_row(
        Account,
        {
            "ingested_at": arrival,
            "account_id": account_id,
            "created_at": created,
            "market": _required("market", columns.market, row),
            "locale": _required("locale", columns.locale, row),
            "birth_year_band": columns.birth_year_band.read(row) if columns.birth_year_band else None,
            "is_test": False,
            "is_employee": False,
        },
    )


def _contract_row(contract: type[Contract], values: Mapping[str, Any]) -> Contract:
    columns = {each.name: each for each in columns_of(contract)}
    try:
        found = contract.model_validate(values)
    except ValidationError as error:
        column, reason = next(of_problems(columns, error))
        raise _RowRefusedError(column, reason) from None
    for rule in contract.rules:
        if isinstance(rule, OfCurrency):
            amount = values[rule.column]
            problem = problem_of(amount, values[rule.currency])
            if problem:
                raise _RowRefusedError(
                    rule.column, said(rule.column, of_column(columns[rule.column], amount), problem)
                )
    return found


def read_periods(
    export: Path,
    period_map: PeriodMap,
    reasons: dict[tuple[str, date], str],
    arrival_date: date | None,
    result: PeriodsLanding,
) -> list[Period]:
    """The periods that can be read and would keep the contracts; others are refused."""
    columns = period_map.periods
    used: set[tuple[str, date]] = set()

    def read(number: int, row: Row) -> Period:
        start = _moment(period_map, columns.start, _required("start", columns.start, row)).at
        end_text = columns.end.read(row)
        ended = _end(period_map, columns.end, end_text) if end_text else None
        end = ended.at if ended else None
        if end is not None and end < start:
            raise _RowRefusedError(
                columns.end.column or "end", f"ends on {spelled(end)}, before its start on {spelled(start)}"
            )
        if arrival_date is not None and start.date() > arrival_date:
            raise _RowRefusedError(
                columns.start.column or "start",
                f"starts on {spelled(start)}, after its arrival on {arrival_date}",
            )
        _refuse_ahead(columns.start, "starts", start, arrival_date)
        account = _required("account_id", columns.account_id, row)
        reason = columns.reason.read(row) if columns.reason else None
        if reason is None and ended is not None and (account, ended.written_day) in reasons:
            reason = reasons[account, ended.written_day]
            used.add((account, ended.written_day))
        rhythm = _rhythm(columns, row)
        period = Period(
            row=number,
            payload=row,
            subscription_id=_required("subscription_id", columns.subscription_id, row),
            account_id=account,
            start=start,
            end=end,
            plan=_required("plan", columns.plan, row),
            plan_kind=_required("plan_kind", columns.plan_kind, row),
            rhythm=rhythm,
            price=_price(period_map, rhythm, row),
            currency=_required("currency", columns.currency, row),
            is_trial=_flag(period_map, columns.is_trial, _required("is_trial", columns.is_trial, row)),
            auto_renew=_auto_renew(period_map, row),
            reason=reason,
        )
        if period.currency not in period_map.usd_rates:
            shown_currency = word_or_figure(period.currency)
            raise _RowRefusedError("currency", said("currency", shown_currency, "has no rate in usd_rates"))
        # Judged here, on the row it came from; the canonical rows are made once the whole life is known.
        _contract_row(Plan, plan_values(period, start))
        _contract_row(SubscriptionEvent, event_values(period, "started", start, None))
        return period

    sources = [*_sources(columns)]
    if period_map.accounts.are_in(export.name):
        sources += _sources(period_map.accounts)
    result.periods_in, periods = _each(export, period_map, sources, result, read)
    result.reasons_unmatched = len(reasons) - len(used)
    return periods


def _rhythm(columns: PeriodColumns, row: Row) -> Rhythm:
    text = _required("interval", columns.interval, row)
    try:
        rhythm = read_rhythm(text)
    except ValueError as error:
        column = columns.interval.column or "interval"
        raise _RowRefusedError(column, said(column, word_or_figure(text), str(error))) from None
    times = columns.interval_count.read(row) if columns.interval_count else None
    if times is None:
        return rhythm
    if not (times.isdecimal() and int(times)):
        column = (columns.interval_count and columns.interval_count.column) or "interval_count"
        raise _RowRefusedError(column, said(column, word_or_figure(times), "is no count"))
    return replace(rhythm, count=rhythm.count * int(times))


def _price(period_map: PeriodMap, rhythm: Rhythm, row: Row) -> Decimal:
    source: Any = period_map.periods.price
    if isinstance(source, dict):
        if rhythm not in source:
            every = rhythm.interval if rhythm.count == 1 else f"{rhythm.count} {rhythm.interval}s"
            raise _RowRefusedError("price", f"the map has no price for every {every}")
        source = source[rhythm]
    text = _required("price", source, row)
    point = with_decimal_point(text) if period_map.decimal_comma else text
    try:
        price = Decimal(point or "nan")
    except InvalidOperation:
        price = Decimal("nan")
    if not price.is_finite():
        raise _refused(source, text, "is no amount")
    return price


def _auto_renew(period_map: PeriodMap, row: Row) -> bool | None:
    source = period_map.periods.auto_renew
    text = source.read(row) if source else None
    return _flag(period_map, source, text) if source and text else None
