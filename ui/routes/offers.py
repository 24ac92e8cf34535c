"""Pages of offers: what the rules of this code would change, and why one account has what it has."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from typing import Any, Final

import structlog
from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse

from loaders.warehouse.client import WarehouseError
from loaders.warehouse.erasures import subject_hash
from loaders.warehouse.ops import literal
from runs.account_explanation import AccountExplanation, explain_account
from runs.plan_effects import COLUMNS, Plan
from runs.segment_plan import FEATURES_TABLE, newest_features, plan
from segments.source import load_rules
from segue.settings import Settings
from ui.answers import message, page, reading_of, settings_of
from ui.reading import Reading
from ui.visitor import Visitor

log = structlog.get_logger(__name__)

_NO_SALT: Final = "not told"
_ONE_PLAN: Final = Lock()


def offers_router(looking: Any) -> APIRouter:
    """``looking`` is the dependency that says who looks."""
    router = APIRouter()

    @router.get("/offers")
    def offers(request: Request, visitor: Visitor = looking) -> HTMLResponse:
        return page(request, "offers", title="Offers", rules=load_rules().rules, visitor=visitor)

    @router.post("/offers/plan")
    def offers_plan(request: Request, visitor: Visitor = looking) -> HTMLResponse:
        # It reads a day of every account several times, and writes them into a table for that long.
        _refuse_who_may_not_see_accounts(visitor)
        settings = settings_of(request)
        rules, day, published_at = load_rules(), *_newest(reading_of(request))
        # Who asks for the same meanwhile waits for it: the cache alone would have it judged beside.
        with _ONE_PLAN:
            planned = _planned(settings, sha256(repr(rules).encode()).hexdigest(), day, published_at)
        return page(request, "plan", title="What the rules would change", plan=planned, columns=COLUMNS)

    # The account is in the body: addresses are logged, and stay in histories.
    @router.post("/offers/explain")
    def explanation(
        request: Request, account_id: str = Form(max_length=200), visitor: Visitor = looking
    ) -> HTMLResponse:
        _refuse_who_may_not_see_accounts(visitor)
        account_id = account_id.strip()
        settings = settings_of(request)
        log.info("account_explained", asked_by=visitor.name, account_hash=_hash(settings, account_id))
        found = explain_account(settings, load_rules(), account_id)
        if not isinstance(found, AccountExplanation):
            return message(request, "No such account", f"It is not among the accounts of {found}.")
        return page(request, "explanation", title=found.title, explanation=found)

    return router


def _refuse_who_may_not_see_accounts(visitor: Visitor) -> None:
    if not visitor.sees_accounts:
        raise HTTPException(403, "your role may not see accounts")


def _newest(reading: Reading) -> tuple[date, datetime | None]:
    """The newest day with features, and when it was published last."""
    day = newest_features(reading.warehouse)
    rows = reading.ops(
        f"select max(published_at) as published_at from {{publications}} where run_date >= {literal(day)} "
        f"and partition_date = {literal(day)} and mart = {literal(FEATURES_TABLE)}",
        "publications",
    )
    return day, rows[0]["published_at"] if rows else None


@lru_cache(maxsize=4)
def _planned(settings: Settings, rules: str, day: date, published_at: datetime | None) -> Plan:  # noqa: ARG001
    """Judged once for the same rules and the same publication, however often it is asked for."""
    return plan(settings, load_rules(), day)


def _hash(settings: Settings, account_id: str) -> str:
    try:
        return subject_hash(settings, account_id)
    except WarehouseError:
        return _NO_SALT
