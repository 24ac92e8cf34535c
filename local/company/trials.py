"""The experiments that the company runs on its surfaces, with what each arm does planted in who subscribes.

One wins, one changes nothing, one does harm, one loses units on the way, and one looks good to who peeks.
Every account is in one of them at most. Who has not subscribed sees it when coming by, and subscribes because
of it, if at all, within days. The effects are exact, so that no seed hides them.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from experiments.declaration import Baseline, Experiment, MetricUse, Variant
from experiments.registry import EXPERIMENTS_DIR, METRICS_FOLDER
from local.company.assignments import arm
from local.company.catalogue import OFFERS, PLAN_IDS, SURFACES
from local.company.columns import Ints, arrivals, identifiers
from local.company.lives import Subscriptions
from local.company.people import SECOND_US, People
from local.company.spec import DAY_US, CompanySpec
from local.company.touches import Decided, Mask, Touches, Visits
from segments.evaluator import bucket
from segments.rule import BASIS_POINTS

METRIC: Final = "subscribed_14d"
WINDOW_DAYS: Final = 14
FEWEST_DAYS: Final = 18
"""A shorter window has no room for exposures and what follows them."""
ARMS: Final = ("control", "treatment")
_LAYER: Final = "experiments-of-surfaces"
_SEES: Final = 0.5
"""How often a visit comes by the experiment."""
_SETTLED_DAYS: Final = 12
_FIRST_MINUTES: Final = 10


@dataclass(frozen=True)
class Planted:
    """What an experiment does.

    ``shares``: of control's and treatment's units that subscribe in the window. ``early_z``: by how many
    standard errors treatment is ahead among those that the first look sees. ``logged``: share of treatment's
    units whose surface reports it.
    """

    id: str
    surface: str
    hypothesis: str
    shares: tuple[float, float]
    early_z: float | None = None
    logged: float = 1.0


TRIED: Final = (
    Planted(
        "paywall-yearly-price", "paywall",
        "Who sees at once what a year costs less subscribes more often.", (0.15, 0.35),
    ),
    Planted(
        "home-quieter-banner", "home",
        "A banner without a picture brings as many subscriptions, or more.", (0.2, 0.2),
    ),
    Planted(
        "checkout-address-first", "checkout",
        "Asking for the address before the card brings more subscriptions, with better tax data.", (0.3, 0.1),
    ),
    Planted(
        "email-animated-header", "email",
        "A moving header is clicked more often, and brings more subscriptions.", (0.2, 0.2), logged=0.4,
    ),
    Planted(
        "paywall-countdown", "paywall",
        "A clock that runs down makes more listeners subscribe.", (0.2, 0.2), early_z=2.5,
    ),
)  # fmt: skip
"""The winning, the neutral, the harmful, the broken one, and the one that is peeked at."""
PLANTED_OFFER: Final = Planted(
    "paywall-free-month", "paywall",
    "A free month on the paywall starts more trials: of the young, and of nobody else.", (0.1, 0.1),
)  # fmt: skip
"""What a company with planted behaviour tries; what it does to whom is in ``planted_behaviour``."""


def tried(spec: CompanySpec) -> tuple[Planted, ...]:
    """What the company tries."""
    return (PLANTED_OFFER,) if spec.plants_behaviour else TRIED


def declared(spec: CompanySpec) -> dict[str, Experiment]:
    """Their declarations by id, with exposures and looks within the company's window; none in a short one."""
    if spec.days < FEWEST_DAYS:
        return {}
    start, end = exposure_days(spec)
    span = (end - start).days + 1
    # Units count when their windows are over.
    looks = sorted({WINDOW_DAYS + max(1, span * part // 4) for part in (1, 2, 4)})
    return {
        each.id: Experiment(
            id=each.id,
            version=1,
            owner="growth",
            hypothesis=each.hypothesis,
            surface=each.surface,
            salt=each.id,
            variants=[Variant(name=name, percent=50) for name in ARMS],
            control="control",
            metrics=[
                MetricUse(
                    metric=METRIC, role="success", minimum_effect=0.5, baseline=Baseline(mean=each.shares[0])
                )
            ],
            looks=looks,
            start=start,
            end=end,
        )
        for each in tried(spec)
    }


def write_declarations(spec: CompanySpec, folder: Path) -> None:
    """The code's declarations, and those of the company, as files that ``experiments.registry`` loads."""
    shutil.copytree(EXPERIMENTS_DIR, folder, ignore=_no_declaration, dirs_exist_ok=True)
    for each in (*TRIED, PLANTED_OFFER):
        (folder / f"{each.id}.yml").unlink(missing_ok=True)
    for name, experiment in declared(spec).items():
        content = experiment.model_dump(mode="json", exclude_unset=True)
        (folder / f"{name}.yml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _no_declaration(_: str, names: list[str]) -> list[str]:
    kept = (name for name in names if name.endswith(".yml") or name == METRICS_FOLDER)
    return sorted(set(names) - set(kept))


def exposure_days(spec: CompanySpec) -> tuple[date, date]:
    """First and last day of exposures: a ninth of the window before and after, and room for what follows."""
    margin = max(1, spec.days // 9)
    start = spec.first_day + timedelta(days=margin)
    end = spec.end_date - timedelta(days=WINDOW_DAYS + margin)
    return start, max(start, end)


@dataclass
class Trials:
    """Who saw which experiment, and who subscribes because of it; indices into the chunk's accounts.

    One element per unit, by its first exposure.
    """

    experiment: Ints
    """Place in ``tried``."""
    who: Ints
    variant: Ints
    exposed_at: Ints
    is_logged: Mask
    starts_at: Ints
    """Of the subscription that the experiment brings; −1: none."""
    tried: tuple[Planted, ...] = TRIED


def no_trials() -> Trials:
    """Of a company that tries nothing."""
    nobody = np.zeros(0, np.int64)
    return Trials(nobody, nobody, nobody, nobody, nobody.astype(bool), nobody)


def run_trials(
    spec: CompanySpec,
    random: np.random.Generator,
    people: People,
    visits: Visits,
    opened_at: Ints,
    members: Ints,
) -> Trials:
    """Accounts with a plan already, their own or another's, see nothing; nor do test accounts.

    ``opened_at``: each account's first subscription without any experiment; ``members``: who shares a plan.
    """
    experiments = list(declared(spec).values())
    if not experiments:
        return no_trials()
    start, end = _instant(experiments[0].start), _instant(experiments[0].end + timedelta(days=1))
    apart = people.is_test | people.is_employee
    apart[members] = True
    sees = random.random(visits.who.size) < _SEES
    if spec.plants_trials:
        # An experiment reaches one account after the other, and none in its first days: what it brings would
        # else come all at once, and new accounts start more trials by themselves than an arm has.
        reached_at = start + random.random(opened_at.size) * (end - start) / 2
        sees = visits.at >= np.maximum(reached_at, people.created_at + _SETTLED_DAYS * DAY_US)[visits.who]
    sees &= (visits.at >= start) & (visits.at < end)
    sees &= ~apart[visits.who] & (visits.at < opened_at[visits.who])
    # By time: the first of an account's visits is its exposure.
    order = np.nonzero(sees)[0][np.argsort(visits.at[sees], kind="stable")]
    who, first = np.unique(visits.who[order], return_index=True)
    exposed_at = visits.at[order][first]
    accounts = identifiers("a", people.number[who]).to_pylist()
    layer = np.array([bucket(each, _LAYER) for each in accounts], np.int64) * len(TRIED) // BASIS_POINTS
    variant = np.array(
        [arm(experiments[place], each) for place, each in zip(layer.tolist(), accounts, strict=True)],
        np.int64,
    )
    logged = np.array([each.logged for each in TRIED])
    found = Trials(
        experiment=layer,
        who=who,
        variant=variant,
        exposed_at=exposed_at,
        is_logged=(variant == 0) | (random.random(who.size) < logged[layer]),
        starts_at=np.full(who.size, -1),
    )
    first_look = experiments[0].looks[0]
    early = exposed_at < start + (first_look - WINDOW_DAYS) * DAY_US
    subscribes = opened_at[who] < window_end(exposed_at)
    for place, planted in enumerate(TRIED):
        of_arms = [(layer == place) & (variant == each) for each in range(len(ARMS))]
        for chosen in _chosen(random, planted, of_arms, early, subscribes):
            minutes = random.integers(_FIRST_MINUTES, 5 * 24 * 60, chosen.size)
            found.starts_at[chosen] = exposed_at[chosen] + minutes * 60 * SECOND_US
    found.starts_at[found.starts_at >= spec.end_us] = -1
    return found


def _chosen(
    random: np.random.Generator, planted: Planted, of_arms: list[Mask], early: Mask, subscribes: Mask
) -> Iterable[Ints]:
    """Who subscribes because of an experiment: as many as are missing to its share, early units first."""
    share = planted.shares[0]
    for place, units in enumerate(of_arms):
        wanted = round(planted.shares[place] * units.sum())
        parts = [(units, wanted)]
        if planted.early_z is not None:
            first, later = units & early, units & ~early
            sizes = [int((each & early).sum()) for each in of_arms]
            spread = math.sqrt(share * (1 - share) * sum(1 / size for size in sizes if size))
            ahead = planted.early_z * spread * (1 if place else -1) / 2
            soon = round((share + ahead) * first.sum())
            parts = [(first, soon), (later, max(0, wanted - soon))]
        for among, number in parts:
            missing = max(0, number - int((among & subscribes).sum()))
            yield random.permutation(np.nonzero(among & ~subscribes)[0])[:missing]


def brought_subscriptions(people: People, trials: Trials) -> Subscriptions:
    """The subscriptions that experiments bring."""
    chosen = trials.starts_at >= 0
    return opened_trials(people, trials.who[chosen], trials.starts_at[chosen])


def opened_trials(people: People, account: Ints, opened_at: Ints) -> Subscriptions:
    """Subscriptions that begin with a trial of the plan for one."""
    zeros = np.zeros(account.size, np.int64)
    plan = np.full(account.size, PLAN_IDS.index("individual-month"))
    market = people.market[account]
    return Subscriptions(
        account=account,
        market=market,
        currency_market=market.copy(),
        first_plan=plan,
        plan=plan.copy(),
        price=zeros,
        period_start=zeros.copy(),
        period_end=zeros.copy(),
        affinity=people.affinity[account],
        started_with_trial=np.ones(account.size, bool),
        opened_at=opened_at,
    )


def exposures(
    spec: CompanySpec, random: np.random.Generator, trials: Trials, first_sub: int
) -> tuple[Touches, Ints]:
    """The impressions that surfaces report, and the offer of each subscription that was brought (−1: none).

    Whoever subscribes does it from there: with a click and a checkout. ``first_sub``: place of the first of
    ``brought_subscriptions`` among all.
    """
    shown = np.nonzero(trials.is_logged)[0]
    starts = trials.starts_at[shown]
    subscribes = starts >= 0
    sub = np.full(trials.who.size, -1)
    sub[trials.starts_at >= 0] = first_sub + np.arange(int((trials.starts_at >= 0).sum()))
    at = trials.exposed_at[shown]
    checkout_at = np.where(subscribes, starts - random.integers(2, 50, shown.size) * SECOND_US, -1)
    click_at = np.where(subscribes, checkout_at - random.integers(20, 400, shown.size) * SECOND_US, -1)
    places = np.array([SURFACES.index(each.surface) for each in trials.tried])
    touches = Touches(
        who=trials.who[shown],
        at=at,
        arrived=arrivals(spec, random, at),
        click_at=click_at,
        click_arrived=arrivals(spec, random, np.maximum(click_at, 0)),
        checkout_at=checkout_at,
        checkout_arrived=arrivals(spec, random, np.maximum(checkout_at, 0)),
        offer=np.full(shown.size, OFFERS.index("trial-30-days")),
        surface=places[trials.experiment[shown]],
        clicked=subscribes,
        checked_out=subscribes,
        result=np.where(subscribes, 0, -1),
        sub=sub[shown],
        decided=[
            Decided("trial-30-days", experiment_id=trials.tried[experiment].id, variant=ARMS[variant])
            for experiment, variant in zip(
                trials.experiment[shown].tolist(), trials.variant[shown].tolist(), strict=True
            )
        ],
    )
    brought = np.where(trials.is_logged, OFFERS.index("trial-30-days"), -1)[trials.starts_at >= 0]
    return touches, brought


def window_end(exposed_at: Ints) -> Ints:
    """The midnight that ends the two weeks after the day of exposure."""
    return (exposed_at // DAY_US + 1 + WINDOW_DAYS) * DAY_US


def _instant(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US
