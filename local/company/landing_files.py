"""Writes a company's landing files, its manifest and its truth, chunk by chunk in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.contracts import CONTRACTS
from local.company.catalogue import (
    CURRENCIES,
    MARKETS,
    PLANS,
    RHYTHMS,
    price_cents,
    price_change_us,
    usd_rates_micro,
)
from local.company.chunk import chunk_tables
from local.company.columns import amounts, dates, instants, picked
from local.company.content import content_table
from local.company.dirt import Tables
from local.company.known_features import incomplete_day
from local.company.notifications import landing_rows
from local.company.planted import planted_tables
from local.company.spec import DAY_US, CompanySpec, Manifest, day_label
from local.company.trials import write_declarations
from local.company.truth import Truth

CHUNK_ACCOUNTS = 100_000


def generate(
    spec: CompanySpec,
    out: Path,
    *,
    landing: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Manifest:
    """Write landing files (to ``landing``, by default ``out/landing``), ``truth/`` and ``manifest.json``.

    ``experiments/`` declares what is tried, beside what the code declares: SEGUE_EXPERIMENTS_DIR may name it.

    ``on_progress`` is called with the accounts done and to do. ``spec.json`` is written last: a company
    without it is incomplete. An earlier company in the folders is replaced.
    """
    landing = landing or out / "landing"
    (out / "spec.json").unlink(missing_ok=True)
    for folder in (landing, out / "truth"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    write_declarations(spec, out / "experiments")
    manifest, truth = Manifest(), Truth(spec, out / "truth")
    _write(spec, landing, _catalogue_tables(spec), 0, manifest)
    for chunk, first in enumerate(range(0, spec.accounts, CHUNK_ACCOUNTS)):
        count = min(CHUNK_ACCOUNTS, spec.accounts - first)
        if spec.plants_behaviour:
            tables = planted_tables(spec, chunk, first, count, out / "truth")
        else:
            tables = chunk_tables(spec, chunk, first, count, manifest, truth)
        _write(spec, landing, tables, chunk, manifest)
        on_progress(first + count, spec.accounts)
    truth.close()
    (out / "manifest.json").write_text(manifest.to_json(spec))
    (out / "spec.json").write_text(spec.to_json())
    return manifest


def _catalogue_tables(spec: CompanySpec) -> Tables:
    """Plans and prices arrive on the first day, a changed price on its day, rates every day."""
    morning = spec.start_us + 600_000_000
    plans = np.arange(len(PLANS))
    plan, market = (axis.ravel() for axis in np.meshgrid(plans, np.arange(len(MARKETS)), indexing="ij"))
    change = price_change_us(spec)
    beginning = (datetime(2020, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    plan = np.append(plan, 0)
    market = np.append(market, 0)
    cents = np.append(price_cents(False).ravel(), price_cents(True)[0, 0])
    valid_from = np.full(plan.size, beginning)
    valid_from[-1] = change // DAY_US
    arrived = np.full(plan.size, morning)
    arrived[-1] = change + 60_000_000
    currency, day = (
        axis.ravel() for axis in np.meshgrid(np.arange(len(CURRENCIES)), np.arange(spec.days), indexing="ij")
    )
    return {
        "content_entries": content_table(spec),
        "plans": pa.table(
            {
                "plan_id": [p.plan_id for p in PLANS],
                "kind": [p.kind for p in PLANS],
                "interval": [RHYTHMS[p.rhythm][0] for p in PLANS],
                "interval_count": [RHYTHMS[p.rhythm][1] for p in PLANS],
                "trial_days": [p.trial_days for p in PLANS],
                "seats": [p.seats for p in PLANS],
                "ingested_at": instants(np.full(plans.size, morning)),
            }
        ),
        "plan_prices": pa.table(
            {
                "plan_id": picked([p.plan_id for p in PLANS], plan),
                "market": picked([m.code for m in MARKETS], market),
                "currency": picked([m.currency for m in MARKETS], market),
                "valid_from": dates(valid_from),
                "price_amount": amounts(cents),
                "tax_inclusive": pa.array(market != 0),
                "ingested_at": instants(arrived),
            }
        ),
        "fx_rates": pa.table(
            {
                "day": dates(spec.start_us // DAY_US + day),
                "currency": picked(CURRENCIES, currency),
                "usd_rate": amounts(usd_rates_micro(spec).ravel(), places=6),
                "ingested_at": instants(spec.start_us + day * DAY_US + 600_000_000),
            }
        ),
    }


def _write(spec: CompanySpec, landing: Path, tables: Tables, chunk: int, manifest: Manifest) -> None:
    """Each table's rows by arrival day; a day without rows gets an empty file if its contract wants one."""
    for name, table in sorted(tables.items()):
        contract = CONTRACTS[name]
        table = landing_rows(name, table.sort_by("ingested_at")).select(list(contract.model_fields))
        arrived = table["ingested_at"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
        edges = np.searchsorted(arrived, spec.start_us + np.arange(spec.days + 1) * DAY_US)
        for day in range(spec.days):
            rows = table.slice(edges[day], edges[day + 1] - edges[day])
            if not rows.num_rows and contract.may_be_absent:
                continue
            label = day_label(spec.start_us // DAY_US + day)
            if name == "engagement_daily" and chunk == 0 and day == incomplete_day(spec):
                rows = rows.drop_columns(["skips_blocked"])
                number = np.array([spec.start_us // DAY_US + day])
                manifest.count_dirt("files_without_a_column", name, number)
            folder = landing / name / label
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows, folder / f"part-{chunk:05d}.parquet")
            manifest.rows[name] += rows.num_rows
            manifest.rows_by_day[name][label] += rows.num_rows
