"""Everything about one chunk of accounts: who they are, what they do, and what is landed of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiments import registry as experiments
from local.company.assignments import assignment_rows
from local.company.billing import event_rows, is_opening, member_rows, payment_rows, sorted_events
from local.company.columns import Ints, arrivals, identifiers
from local.company.content import content_table
from local.company.dirt import Dirt, Tables
from local.company.known_features import KnownFeatures
from local.company.lives import CODE, Life, Subscriptions, new_subscriptions
from local.company.natural_dirt import count_currency_changes, count_natural_dirt
from local.company.people import (
    People,
    account_rows,
    consent_rows,
    deletion_rows,
    engagement_rows,
    new_people,
)
from local.company.providers import EVENT_TABLE, by_landing_table
from local.company.scores import score_rows
from local.company.spec import CompanySpec, Manifest
from local.company.surfaces import Surfaces
from local.company.touches import (
    Openings,
    Touches,
    casual_touches,
    leading_touches,
    new_visits,
    touch_rows,
)
from local.company.truth import Truth

NUMBERS_PER_CHUNK = 1_000_000_000
"""Identifiers of chunks do not meet: each counts within its own range."""
REPORTING_SHARE = 0.6
MOST_REPORTING = 3_000
"""Deciding for an account takes a millisecond a visit, which millions of accounts have no time for."""
ASSIGNED_EXPERIMENT = "trial-length-2026"
_NEVER = np.iinfo(np.int64).max


def chunk_tables(
    spec: CompanySpec, chunk: int, first: int, count: int, manifest: Manifest, truth: Truth
) -> Tables:
    """All tables of one chunk of accounts; its random numbers depend on the seed and the chunk only."""
    people = new_people(spec, spec.stream("people", chunk), first, count)
    subs = new_subscriptions(
        spec, spec.stream("subscriptions", chunk), people.created_at, people.market, people.affinity
    )
    ids = identifiers("s", chunk * NUMBERS_PER_CHUNK + np.arange(subs.account.size), 12)
    if chunk == 0:
        _set_two_payers_apart(people, subs)
    events = _lived(spec, chunk, people, subs, ids, truth)
    tables = _tables(spec, chunk, people, subs, ids, events)
    features = KnownFeatures(spec, people, subs, events, tables, _reporting_accounts(spec, chunk, people))
    openings, place = _openings(subs, events)
    touches, offers = _touches(spec, chunk, people, features, openings, manifest, truth)
    number = chunk * NUMBERS_PER_CHUNK
    for of_kind in touches:
        for table, rows in touch_rows(people, of_kind, number, ids).items():
            tables[table] = pa.concat_tables([tables[table], rows]) if table in tables else rows
        number += of_kind.size
    offer_of_event = np.full(events["sub"].size, -1)
    offer_of_event[place] = offers
    # Until they are written, the events of every provider stay canonical.
    tables |= by_landing_table(event_rows(people, subs, ids, events, offer_of_event))
    for table in EVENT_TABLE.values():
        count_currency_changes(tables[table], table, manifest)
    # A small company has one of each kind; a small rest of a large one need not.
    amount = max(count // 1_000, int(chunk == 0))
    spared = identifiers("a", people.number[features.accounts])
    Dirt(spec, spec.stream("dirt", chunk), tables, manifest, amount, spared).add()
    count_natural_dirt(spec, tables, manifest)
    truth.add_events({table: tables[table] for table in EVENT_TABLE.values()})
    return tables


def _set_two_payers_apart(people: People, subs: Subscriptions) -> None:
    """Even a small company has a test account and an employee who subscribe."""
    payers = np.unique(subs.account)
    if payers.size > 2:
        people.is_test[payers[0]] = True
        people.is_employee[payers[1]] = True


def _lived(
    spec: CompanySpec, chunk: int, people: People, subs: Subscriptions, ids: pa.Array, truth: Truth
) -> dict[str, Ints]:
    """Events of all subscriptions, each with its arrival."""
    ordinary = ~(people.is_test | people.is_employee)[subs.account]
    exemplary = ordinary if chunk == 0 else np.zeros_like(ordinary)
    life = Life(spec, spec.stream("lives", chunk), subs, exemplary)
    life.run()
    truth.add(people, subs, ids, life.intervals.columns())
    events = sorted_events(life.events.columns(), chunk * NUMBERS_PER_CHUNK)
    return events | {"arrived": arrivals(spec, spec.stream("arrivals of events", chunk), events["at"])}


def _tables(
    spec: CompanySpec,
    chunk: int,
    people: People,
    subs: Subscriptions,
    ids: pa.Array,
    events: dict[str, Ints],
) -> Tables:
    """What does not depend on any offer."""
    pays_since = np.full(people.number.size, _NEVER)
    np.minimum.at(pays_since, subs.account, subs.opened_at)
    assigned = experiments.load().experiments[ASSIGNED_EXPERIMENT]
    accounts = account_rows(spec, spec.stream("accounts", chunk), people)
    return {
        "payments": payment_rows(spec, spec.stream("payments", chunk), ids, events),
        "plan_members": member_rows(spec, spec.stream("members", chunk), people, subs, ids),
        "engagement_daily": engagement_rows(spec, spec.stream("listening", chunk), people, pays_since),
        **consent_rows(spec, spec.stream("consents", chunk), people),
        **assignment_rows(spec, spec.stream("assignments", chunk), people, assigned),
        **score_rows(spec, spec.stream("scores", chunk), people),
        **deletion_rows(spec, spec.stream("deletions", chunk), people, accounts),
    }


def _openings(subs: Subscriptions, events: dict[str, Ints]) -> tuple[Openings, Ints]:
    """What opens a trial or a paid life, and its places among the events."""
    place = np.nonzero(is_opening(events))[0]
    sub, kind = events["sub"][place], events["kind"][place]
    openings = Openings(
        account=subs.account[sub],
        sub=sub,
        at=events["at"][place],
        is_trial=kind == CODE["trial_started"],
        is_return=kind == CODE["reactivated"],
    )
    return openings, place


def _reporting_accounts(spec: CompanySpec, chunk: int, people: People) -> Ints:
    """Whose surfaces ask what was decided, and report it; of a large company only some of the first chunk.

    The others' surfaces show offers as they like, as old clients do.
    """
    if chunk:
        return np.zeros(0, np.int64)
    reports = spec.stream("reporting accounts").random(people.number.size) < REPORTING_SHARE
    reports &= ~(people.is_test | people.is_employee)
    return np.nonzero(reports)[0][:MOST_REPORTING]


def _touches(
    spec: CompanySpec,
    chunk: int,
    people: People,
    features: KnownFeatures,
    openings: Openings,
    manifest: Manifest,
    truth: Truth,
) -> tuple[list[Touches], Ints]:
    """What surfaces of all kinds show, and the offer of every opening (−1: none)."""
    visits = new_visits(spec, spec.stream("visits", chunk), people)
    reports = np.zeros(people.number.size, bool)
    reports[features.accounts] = True
    leading, offers = leading_touches(spec, spec.stream("led openings", chunk), people, openings, reports)
    unasked = visits.of(~reports[visits.who])
    casual = casual_touches(spec, spec.stream("casual touches", chunk), people, unasked)
    if chunk:
        return [leading, casual], offers
    # One mistake of each kind, and one more for every 500 accounts.
    owed = 1 + people.number.size // 500
    surfaces = Surfaces(
        spec, spec.stream("surfaces"), people, features, content_table(spec).to_pylist(), owed
    )
    reported, reported_offers, mistakes = surfaces.run(visits, openings)
    manifest.count_mistakes(mistakes)
    truth.add_mistakes(identifiers("i", np.arange(reported.size), 12), mistakes)
    # The reported ones come first: the truth knows them by their numbers.
    return [reported, leading, casual], np.where(reported_offers >= 0, reported_offers, offers)
