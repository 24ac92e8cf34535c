"""Who may see what: the UI's own login, and the rights that its auth manager gives.

Whoever may see the runs of ``daily_marts`` may see pages. Single accounts (sample keys, an account's offers)
are shown to those who may read Airflow's connections, the credentials by which the warehouse is reached: in
the roles that Airflow comes with, operators and administrators. Such a user could ask the warehouse itself.
"""

from __future__ import annotations

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import HTTPException

from ui.visitor import MARTS_DAG, Visitor


def visitor_of(user: GetUserDep) -> Visitor:
    """The user as a visitor of pages.

    Raises:
        HTTPException: 401 without a login, 403 when the user may not see the runs.
    """
    manager = get_auth_manager()
    details = DagDetails(id=MARTS_DAG, team_name=_team())
    if not manager.is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
    ):
        raise HTTPException(403, f"your role may not see the runs of {MARTS_DAG}")
    return Visitor(user.get_name(), manager.is_authorized_connection(method="GET", user=user))


def login_address(wanted: str) -> str:
    """Where one logs in to come back to what one ``wanted``."""
    return str(get_auth_manager().get_url_login(next_url=wanted))


def _team() -> str | None:
    """The team that the DAG belongs to; asked of Airflow's database only where there are teams."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    team: str | None = DagModel.get_team_name(MARTS_DAG)
    return team
