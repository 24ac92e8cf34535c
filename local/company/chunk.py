"""Everything about one chunk of accounts: who they are, what they do, and what is landed of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiments import registry as experiments
from local.company.assignments import assignment_rows
from local.company.billing import event_rows, is_opening, member_rows, payment_rows, sorted_events
from local.company.columns import Ints, account_numbers, arrivals, identifiers
from local.company.content import content_table
from local.company.dirt import Dirt, Tables
from local.company.known_features import KnownFeatures
from local.company.listeners import listening_rows, started_trials, steadily_grown
from local.company.lives import CODE, Life, Record, Subscriptions, first_openings, joined, new_subscriptions
from local.company.natural_dirt import count_currency_changes, count_natural_dirt
from local.company.people import (
    People,
    account_rows,
    consent_rows,
    deletion_rows,
    new_people,
)
from local.company.providers import EVENT_TABLE, by_landing_table
from local.company.scores import score_rows
from local.company.spec import CompanySpec, Manifest
from local.company.surfaces import Surfaces
from local.company.touches import (
    Openings,
    Touches,
    Visits,
    casual_touches,
    leading_touches,
    new_visits,
    touch_rows,
)
from local.company.trials import Trials, brought_subscriptions, exposures, no_trials, run_trials
from local.company.truth import Truth

NUMBERS_PER_CHUNK = 1_000_000_000
"""Identifiers of chunks do not meet: each counts within its own range."""
REPORTING_SHARE = 0.6
MOST_REPORTING = 3_000
"""Deciding for an account takes a millisecond a visit, which millions of accounts have no time for."""
ASSIGNED_EXPERIMENT = "trial-length-2026"


def chunk_tables(
    spec: CompanySpec, chunk: int, first: int, count: int, manifest: Manifest, truth: Truth
) -> Tables:
    """All tables of one chunk of accounts; its random numbers depend on the seed and the chunk only."""
    people = new_people(spec, spec.stream("people", chunk), first, count)
    if spec.plants_trials:
        people = steadily_grown(spec, chunk, people)
    visits = new_visits(spec, spec.stream("visits", chunk), people)
    untried = new_subscriptions(
        spec, spec.stream("subscriptions", chunk), people.created_at, people.market, people.affinity
    )
    if chunk == 0:
        _set_two_payers_apart(people, untried)
    if spec.plants_trials:
        members = _members(spec, chunk, people, untried)
        untried = joined(untried, started_trials(spec, chunk, people, untried, members))
    trials = _trials(spec, chunk, people, visits, untried)
    subs = joined(untried, brought_subscriptions(people, trials))
    ids = identifiers("s", chunk * NUMBERS_PER_CHUNK + np.arange(subs.account.size), 12)
    if chunk == 0:
        manifest.experiments = truth.add_trials(people, subs, trials)
    events = _lived(spec, chunk, people, subs, untried.account.size, ids, truth)
    tables = _tables(spec, chunk, people, subs, ids, events)
    features = KnownFeatures(spec, people, subs, events, tables, _reporting_accounts(spec, chunk, people))
    openings, place = _openings(subs, events)
    tried, brought_offers = exposures(spec, spec.stream("exposures", chunk), trials, untried.account.size)
    features.saw(tried)
    is_brought = (openings.sub >= untried.account.size) & ~openings.is_return
    touches, led_offers = _touches(
        spec, chunk, people, visits, features, openings.of(~is_brought), manifest, truth
    )
    touches.append(tried)
    offers = np.full(openings.at.size, -1)
    offers[~is_brought] = led_offers
    offers[is_brought] = brought_offers[openings.sub[is_brought] - untried.account.size]
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
    spared = identifiers("a", people.number[np.union1d(features.accounts, trials.who)])
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
    spec: CompanySpec,
    chunk: int,
    people: People,
    subs: Subscriptions,
    first_brought: int,
    ids: pa.Array,
    truth: Truth,
) -> dict[str, Ints]:
    """Events of all subscriptions, each with its arrival.

    What experiments bring comes last, from ``first_brought`` on, and lives by random numbers of its own.
    """
    every = np.arange(subs.account.size)
    ordinary = ~(people.is_test | people.is_employee)[subs.account]
    exemplary = ordinary & (every < first_brought) & (chunk == 0)
    lived, intervals = Record(), Record()
    for subject, some in (("lives", every < first_brought), ("brought lives", every >= first_brought)):
        life = Life(spec, spec.stream(subject, chunk), subs.of(some), exemplary[some])
        life.run()
        for record, of_life in ((lived, life.events), (intervals, life.intervals)):
            columns = of_life.columns()
            record.add(**columns | {"sub": every[some][columns["sub"]]})
    truth.add(people, subs, ids, intervals.columns())
    events = sorted_events(lived.columns(), chunk * NUMBERS_PER_CHUNK)
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
    pays_since = first_openings(subs, people.number.size)
    assigned = experiments.load().experiments[ASSIGNED_EXPERIMENT]
    accounts = account_rows(spec, spec.stream("accounts", chunk), people)
    return {
        "payments": payment_rows(spec, spec.stream("payments", chunk), ids, events),
        "plan_members": member_rows(spec, spec.stream("members", chunk), people, subs, ids),
        "engagement_daily": listening_rows(spec, chunk, people, pays_since),
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


def _trials(spec: CompanySpec, chunk: int, people: People, visits: Visits, subs: Subscriptions) -> Trials:
    """Of the first chunk; whoever is a member of somebody's plan is no unit."""
    if chunk:
        return no_trials()
    members, opened_at = _members(spec, chunk, people, subs), first_openings(subs, people.number.size)
    return run_trials(spec, spec.stream("trials"), people, visits, opened_at, members)


def _members(spec: CompanySpec, chunk: int, people: People, subs: Subscriptions) -> Ints:
    """Who shares a plan, its payer included."""
    ids = identifiers("s", np.arange(subs.account.size))
    shared = member_rows(spec, spec.stream("members", chunk), people, subs, ids)
    return np.asarray(account_numbers(shared) - people.number[0], np.int64)


def _touches(
    spec: CompanySpec,
    chunk: int,
    people: People,
    visits: Visits,
    features: KnownFeatures,
    openings: Openings,
    manifest: Manifest,
    truth: Truth,
) -> tuple[list[Touches], Ints]:
    """What surfaces of all kinds show, and the offer of every opening (−1: none)."""
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
