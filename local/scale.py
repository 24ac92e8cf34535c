"""A day's bytes, dollars and minutes at any number of accounts: the arithmetic of docs/scale.md.

``uv run python -m local.scale`` prints the page's tables; a test holds the page to them. Nothing here was
measured on Google Cloud: sizes are a generated company's (``segue bench sizes``), times on one machine are
from docs/measured.md, and the rest are prices and rates that ``Assumed`` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

ACCOUNTS: Final = (1_000_000, 50_000_000, 750_000_000)
_TIB: Final = 2**40


@dataclass(frozen=True)
class Measured:
    """Logical bytes an account, of 20,000 accounts after 45 days (``segue bench sizes``, 2026-11-26)."""

    landing_file_bytes: float = 18.5
    """Parquet files of one day."""
    landing_rows: float = 0.54
    """Rows of one day; 62% of them are listening days, 27% impressions, 1.2% notifications."""
    raw_day: float = 77.5
    events_day: float = 1.9
    events_backlog: float = 484
    """Canonical events that had happened before the history began, and in it."""
    versions_month: float = 287
    accounts_all: float = 106
    impressions_day: float = 24.2
    touches_day: float = 3.2
    """Clicks and checkouts."""
    listening_day: float = 41.3
    scores_day: float = 8.5
    subscriber_marts_day: float = 68
    conversion_marts_day: float = 12.9
    features_day: float = 641
    decisions_day: float = 1_335
    segments_day: float = 103
    segment_rows: float = 0.376
    """Accounts with an offer, or with a reason to have none."""


@dataclass(frozen=True)
class Assumed:
    """Public list prices of US regions and rates as known on 2026-11-26; none was verified with a project."""

    usd_per_tib_scanned: float = 6.25
    usd_per_tib_read: float = 1.1
    """Storage Read API."""
    usd_per_slot_hour: float = 0.06
    """Enterprise edition, without commitment."""
    usd_per_node_hour: float = 0.65
    """Bigtable, SSD."""
    usd_per_core_hour: float = 0.05
    """A general-purpose virtual machine."""
    slots: int = 2_000
    """What a project on demand may use."""
    slot_seconds_per_core_second: float = 2.0
    """A slot against a core of ours: shuffles go over a network there."""
    history_years: float = 3
    days_built: int = 15
    """Days that late events reach, of the subscriber and conversion marts; of as-known marts only one."""
    statement_seconds: float = 120
    """Sixty statements in fifteen levels, dbt's start included: what no amount of data changes."""
    landing_cores: int = 4
    landing_us_per_row: float = 10
    """Parquet; NDJSON takes about three times as long."""
    build_core_seconds: Mapping[str, float] = field(
        default_factory=lambda: {"subscribers": 115, "conversions": 20, "segments": 50}
    )
    """A million accounts: 58 s on two cores for 15 days; a guess; 12 rules at 1.3 µs, and the features."""
    node_writes: float = 14_000
    node_reads: float = 17_000
    node_scan_bytes: float = 220e6
    share_of_a_node: float = 0.6
    changed_share: float = 0.186
    written_bytes: float = 240
    lookups_per_account: float = 4
    peak_to_mean: float = 3
    lookups_per_core: float = 5_100


@dataclass(frozen=True)
class Step:
    """One step of a day: bytes that it reads, minutes, dollars, and what limits it."""

    name: str
    bytes: float
    minutes: float
    usd: float
    bottleneck: str


def bytes_read(measured: Measured, assumed: Assumed) -> dict[str, float]:
    """Bytes an account that the statements of a day scan, by group of marts and step."""
    m, days = measured, assumed.days_built
    events = m.events_backlog + m.events_day * 365 * assumed.history_years
    marts_built = (m.subscriber_marts_day + m.conversion_marts_day) * days + (
        m.features_day + m.decisions_day + m.segments_day
    )
    return {
        # The touched subscriptions' events are looked for in all of them, twice; the rest is the day's raw.
        "history": 2 * events + m.raw_day + m.versions_month,
        # Periods, accounts and days go through six statements each.
        "subscribers": 6 * (m.versions_month + m.accounts_all) + 3 * m.subscriber_marts_day * days,
        # What was shown since the checkpoint's instant and a week before it, 69 to 99 days as the month goes;
        # journeys of 45 days.
        "conversions": 84 * (m.impressions_day + m.touches_day) + 45 * m.conversion_marts_day,
        # Windows of 28 days; features and decisions are read once more by what follows them.
        "segments": 28 * (m.listening_day + m.impressions_day + m.touches_day + m.scores_day)
        + 2 * m.features_day
        + m.decisions_day,
        # Two expectations' worth of each column that is built.
        "validate": 2 * marts_built,
        "publish": marts_built + m.accounts_all,
        "load": 3 * m.segments_day,
    }


def day_of(accounts: int, measured: Measured | None = None, assumed: Assumed | None = None) -> list[Step]:
    """Every step of a day, in order."""
    measured, assumed = measured or Measured(), assumed or Assumed()
    read = bytes_read(measured, assumed)
    steps = [_landing(accounts, measured, assumed)]
    for group, bottleneck in (
        ("history", "bytes: all events are scanned for the touched"),
        ("subscribers", "slots: windows over the restated days"),
        ("conversions", "bytes: 84 days of impressions"),
        ("segments", "slots: accounts × rules; bytes of 28 days"),
    ):
        core_seconds = assumed.build_core_seconds.get(group, 30) * accounts / 1e6
        steps.append(_bigquery(f"build: {group}", accounts * read[group], core_seconds, assumed, bottleneck))
    steps.append(
        _bigquery("validate", accounts * read["validate"], 0, assumed, "statements, one after another")
    )
    steps.append(
        _bigquery("publish", accounts * read["publish"], 0, assumed, "one transaction copies the days")
    )
    steps.append(_load(accounts, read["load"], measured, assumed))
    steps.append(_lookups(accounts, assumed))
    return steps


def _landing(accounts: int, measured: Measured, assumed: Assumed) -> Step:
    rows = accounts * measured.landing_rows
    core_seconds = rows * assumed.landing_us_per_row / 1e6
    scanned = accounts * measured.raw_day
    usd = core_seconds / 3600 * assumed.usd_per_core_hour + scanned / _TIB * assumed.usd_per_tib_scanned
    minutes = (core_seconds / assumed.landing_cores + 60) / 60
    return Step("land", scanned, minutes, usd, f"cores: {rows / 1e6:,.1f}M rows on {assumed.landing_cores}")


def _bigquery(name: str, scanned: float, core_seconds: float, assumed: Assumed, bottleneck: str) -> Step:
    """Scanned bytes at the price on demand; time is statements, slots, or 50 MB a slot and second."""
    slot_seconds = max(core_seconds * assumed.slot_seconds_per_core_second, scanned / 50e6)
    share = 0.25 if name.startswith("build") else 0.5
    minutes = (assumed.statement_seconds * share + slot_seconds / assumed.slots) / 60
    return Step(name, scanned, minutes, scanned / _TIB * assumed.usd_per_tib_scanned, bottleneck)


def nodes(accounts: int, assumed: Assumed) -> int:
    """Bigtable nodes that answer the lookups at their peak and finish a delta within two hours."""
    lookups = accounts * assumed.lookups_per_account / 86_400 * assumed.peak_to_mean
    readers = lookups / (assumed.node_reads * assumed.share_of_a_node)
    writers = accounts * assumed.changed_share / 7_200 / (assumed.node_writes * assumed.share_of_a_node)
    return max(1, -int(-max(readers, writers) // 1))


def _load(accounts: int, scanned_each: float, measured: Measured, assumed: Assumed) -> Step:
    rows = accounts * measured.segment_rows
    share, count = assumed.share_of_a_node, nodes(accounts, assumed)
    scan = rows * assumed.written_bytes / (assumed.node_scan_bytes * share * count)
    write = rows * assumed.changed_share / (assumed.node_writes * share * count)
    scanned = accounts * scanned_each
    usd = scanned / _TIB * assumed.usd_per_tib_scanned
    usd += accounts * measured.segments_day / _TIB * assumed.usd_per_tib_read
    return Step("load online", scanned, (scan + write + 60) / 60, usd, "Bigtable: writes of what changed")


def _lookups(accounts: int, assumed: Assumed) -> Step:
    peak = accounts * assumed.lookups_per_account / 86_400 * assumed.peak_to_mean
    cores = max(1, -int(-peak // assumed.lookups_per_core))
    count = nodes(accounts, assumed)
    usd = 24 * (count * assumed.usd_per_node_hour + cores * assumed.usd_per_core_hour)
    bottleneck = f"{peak:,.0f} a second at the peak: {count} nodes, {cores} cores"
    return Step("lookups", 0, 0, usd, bottleneck)


def landing_limit(minutes: float, us_per_row: float, rows_per_account: float, cores: int) -> float:
    """Accounts whose day lands within so many minutes on so many cores."""
    return minutes * 60 * cores / (us_per_row / 1e6) / rows_per_account


def table(accounts: int, steps: Iterable[Step]) -> str:
    """The steps as Markdown."""
    lines = [
        f"| {accounts / 1e6:,.0f}M accounts | GB read | minutes | dollars | bottleneck |",
        "|---|---|---|---|---|",
    ]
    listed = list(steps)
    for each in listed:
        minutes = f"{each.minutes:,.1f}" if each.minutes else "–"
        lines.append(
            f"| {each.name} | {each.bytes / 1e9:,.1f} | {minutes} | {each.usd:,.2f} | {each.bottleneck} |"
        )
    total = [sum(getattr(each, name) for each in listed) for name in ("bytes", "minutes", "usd")]
    lines.append(f"| **day** | {total[0] / 1e9:,.1f} | {total[1]:,.0f} | {total[2]:,.2f} | |")
    return "\n".join(lines)


def slots_table() -> str:
    """On demand against an edition, for the statements of a day."""
    assumed = Assumed()
    lines = ["| accounts | scanned, on demand | slot-hours | in an edition |", "|---|---|---|---|"]
    for accounts in ACCOUNTS:
        scanned = accounts * sum(bytes_read(Measured(), assumed).values())
        core_seconds = (sum(assumed.build_core_seconds.values()) + 30) * accounts / 1e6
        hours = max(core_seconds * assumed.slot_seconds_per_core_second, scanned / 50e6) / 3600
        lines.append(
            f"| {accounts / 1e6:,.0f}M | ${scanned / _TIB * assumed.usd_per_tib_scanned:,.2f} "
            f"| {hours:,.1f} | "
            f"${hours * assumed.usd_per_slot_hour:,.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables of the page."""
    for accounts in ACCOUNTS:
        print(table(accounts, day_of(accounts)), end="\n\n")
    print(slots_table())


if __name__ == "__main__":
    main()
