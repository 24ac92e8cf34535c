"""The schema of a rule file, and of ``program.yml``, which holds what all rules share."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from segments.features import FEATURES, FeatureName
from segments.predicate import Predicate
from segments.steps import POINTS
from segue.vocabulary import Interval, PlanKind

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
OfferId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Salt = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Market = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)]
Share = Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)]
Whole = Annotated[int, Field(ge=0, le=1_000_000_000)]
Days = Annotated[int, Field(ge=1, le=28, description="The feature mart looks back 28 days.")]

BASIS_POINTS: Final = 10_000
"""Buckets of a hash: a percentage with two decimals is a whole number of them."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounds(_Part):
    """Both ends inclusive; an end that is left out is open."""

    at_least: Whole | None = None
    at_most: Whole | None = None


class Eligibility(_Part):
    """Who may have the offer at all; what is left out does not matter."""

    markets: list[Market] | None = None
    plan_kinds: list[PlanKind] | None = Field(
        default=None, description="Of the plan that the account is on; an account without a plan has none."
    )
    billing_intervals: list[Interval] | None = Field(
        default=None,
        description="However many of them are paid at once; the feature billing_interval_count tells.",
    )
    past_trial: Literal["any", "never", "required"] = "any"
    tenure_days: Bounds = Field(default=Bounds(), description="Days since the account was created.")
    age_bands: list[str] | None = Field(default=None, description="Bands of birth years, such as 2000-2010.")


class Ramp(_Part):
    """Part of a heuristic score: 0 at ``start``, ``weight`` at ``end``, in between proportionally.

    ``end`` below ``start`` makes a ramp that falls. A missing value counts 0.
    """

    feature: FeatureName
    start: int
    end: int
    weight: Annotated[int, Field(ge=1, le=100, description="Percent of the whole score.")]

    @model_validator(mode="after")
    def _is_number(self) -> Ramp:
        if FEATURES[self.feature] != "number":
            numbers = ", ".join(name for name, kind in FEATURES.items() if kind == "number")
            raise PydanticCustomError(
                "ramp",
                "{feature} is no number; allowed: {numbers}",
                {"feature": self.feature, "numbers": numbers},
            )
        if self.start == self.end:
            raise PydanticCustomError("ramp", "start and end must differ")
        return self


class ModelScore(_Part):
    """A model's score, as it landed in ``scores``; what to do where there is none that is young enough."""

    name: Name
    max_age_days: Days
    missing: Literal["heuristic", "exclude"] = Field(
        description="heuristic: the heuristic score counts instead; exclude: no offer (NO_SCORE)."
    )
    threshold: Share | None = Field(
        default=None,
        description="Of the model's own scores, such as a probability below which the offer is not worth "
        "showing; left out, they are held against the rule's threshold like a heuristic score.",
    )


class Score(_Part):
    """In [0, 1]; decides between offers of one priority, and who is below the threshold.

    A heuristic is on a scale of its own. A model that is put into use, or replaced, changes what the scores
    are, so that each of the two can have its own threshold.
    """

    heuristic: Annotated[list[Ramp], Field(min_length=1, max_length=10)]
    model: ModelScore | None = None
    threshold: Share = Decimal(0)

    @model_validator(mode="after")
    def _is_a_share(self) -> Score:
        if (total := sum(ramp.weight for ramp in self.heuristic)) != 100:
            raise PydanticCustomError(
                "score", "the weights of heuristic add up to 100; found {total}", {"total": total}
            )
        return self

    @property
    def threshold_points(self) -> int:
        """The threshold of the heuristic in ten-thousandths."""
        return int(self.threshold * POINTS)

    @property
    def model_threshold_points(self) -> int:
        """The threshold of the model's scores in ten-thousandths."""
        own = None if self.model is None else self.model.threshold
        return self.threshold_points if own is None else int(own * POINTS)

    @property
    def has_threshold(self) -> bool:
        """Whether anybody can be below."""
        return self.threshold_points > 0 or self.model_threshold_points > 0


class Variant(_Part):
    """An arm of an experiment; another ``content`` than the rule's may be what is tried."""

    name: Name
    percent: Percent
    is_control: bool = Field(default=False, description="Wins like the others, but nothing is shown.")
    content: OfferId | None = Field(default=None, description="Entry that this arm shows instead.")


class Experiment(_Part):
    """Accounts are spread over the variants by a hash of account and salt."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    salt: Salt
    variants: Annotated[list[Variant], Field(min_length=2, max_length=10)]

    @model_validator(mode="after")
    def _covers_everyone(self) -> Experiment:
        if (total := sum(variant.percent for variant in self.variants)) != 100:
            raise PydanticCustomError(
                "experiment", "the variants' percent add up to 100; found {total}", {"total": str(total)}
            )
        if len({variant.name for variant in self.variants}) != len(self.variants):
            raise PydanticCustomError("experiment", "two variants have one name")
        return self


class Holdout(_Part):
    """Who is left out to see what the offer changes."""

    respects_global: bool = Field(
        default=True, description="false: a service message, which nobody is held out of."
    )
    local_percent: Percent = Decimal(0)

    @property
    def local_buckets(self) -> int:
        """The local share in hash buckets of ``BASIS_POINTS``."""
        return int(self.local_percent * 100)


class Frequency(_Part):
    """At most so often shown within the trailing days, the judged day included."""

    max_impressions: Annotated[int, Field(ge=1, le=1_000)]
    within_days: Literal[7, 28]


class CoolDown(_Part):
    """Not again for so many days after the offer was last shown, clicked or bought."""

    after: Literal["shown", "clicked", "converted"]
    days: Days


class Content(_Part):
    """The entry of the content system that is shown."""

    entry: OfferId
    min_version: Annotated[int, Field(ge=1)] = 1
    fallback_locale: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Validity(_Part):
    """Days on which the offer may be shown, both inclusive; it is judged the day before."""

    from_date: date | None = None
    to_date: date | None = None


class Rule(_Part):
    """One offer and who gets it."""

    id: Name
    version: Annotated[int, Field(ge=1, description="Raised with every change of what the rule decides.")]
    owner: Annotated[str, Field(min_length=1, description="Team that answers for the rule.")]
    status: Literal["draft", "active", "paused"] = Field(description="Only active rules are judged.")
    description: Annotated[str, Field(min_length=1)]
    offer_id: OfferId
    reason_code: Annotated[Code, Field(description="Why an account has the offer, for services and logs.")]
    priority: Annotated[int, Field(ge=1, le=1_000, description="Lower comes first.")]
    exclusivity_group: Name | None = Field(
        default=None, description="An account gets at most one offer of a group; none: competes with nobody."
    )
    consent: Literal["marketing", "personalisation", "none"] = Field(
        default="marketing", description="Purpose that must not be withdrawn; none: a service message."
    )
    entitlement: Literal["any", "entitled", "not_entitled"] = "any"
    eligibility: Eligibility = Eligibility()
    audience: Predicate
    score: Score
    experiment: Experiment | None = None
    holdout: Holdout = Holdout()
    frequency: Frequency | None = None
    cool_down: CoolDown | None = None
    cap: Annotated[int, Field(ge=1, description="At most so many accounts a day, by score.")] | None = None
    content: Content
    validity: Validity = Validity()

    @property
    def group(self) -> str:
        """The exclusivity group; a rule without one has a group of its own."""
        return self.exclusivity_group or f"rule:{self.id}"

    @property
    def holdout_salt(self) -> str:
        """Salt of the local holdout: of the rule, not of its version, so that who is held out stays so."""
        return f"holdout:{self.id}"


class GlobalHoldout(_Part):
    """Accounts that get no offer of any rule that respects it."""

    percent: Percent
    salt: Salt

    @property
    def buckets(self) -> int:
        """The share in hash buckets of ``BASIS_POINTS``."""
        return int(self.percent * 100)


class Program(_Part):
    """What all rules share."""

    version: Annotated[int, Field(ge=1)]
    global_holdout: GlobalHoldout
    max_offers_per_account: Annotated[int, Field(ge=1, le=50)]
    legal_blocked_markets: list[Market] = Field(description="Markets in which nothing may be offered.")
    traced_percent: Percent = Field(description="Accounts of which every failing step is kept.")

    @property
    def traced_buckets(self) -> int:
        """The traced share in hash buckets of ``BASIS_POINTS``."""
        return int(self.traced_percent * 100)


TRACE_SALT: Final = "trace"

SERVED_DAYS: Final = 4
"""A decision is served from the day after it for at least three days, in which a late run may replace it."""
SERVED_PERIOD_DAYS: Final = 7
SERVING_SALT: Final = "served-until"
"""Spreads the ends of decisions over the weekdays: an account keeps its weekday, so that its row in Bigtable
changes once a week for that reason, and not every day."""
