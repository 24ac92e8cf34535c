"""One pull: changes since the cursor become a landing file, then the cursor moves.

The order of the writes makes a pull safe to kill anywhere: first the state with the decided rows beside it
(``pending``), then the landing file, then the state without them. The next pull first finishes what it finds
pending, under the same name with the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from loaders.cms.contract import Changes, ContentError, ContentSource, CursorExpiredError
from loaders.cms.rows import Plan, plan_rows, unexplained
from loaders.cms.state import TABLE, Landing, Pending, PullState
from loaders.objects.store import open_store
from segue.settings import Settings

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

_FEW_DELETIONS = 10
"""So many entries may always vanish at once."""


@dataclass(frozen=True)
class PullResult:
    """What one pull landed. ``file`` is below the landing root, None when nothing had changed.

    ``is_full`` says that everything was read, not only changes; ``recovered_rows`` are those of an earlier
    pull that had been killed before they were in their file.
    """

    source: str
    is_full: bool
    upserts: int
    tombstones: int
    file: str | None
    recovered_rows: int

    def to_dict(self) -> dict[str, object]:
        """For JSON and XCom."""
        return asdict(self)

    def summary(self) -> str:
        """One line for a person."""
        what = f"{self.upserts} new or changed, {self.tombstones} gone" if self.file else "nothing changed"
        where = f", in {self.file}" if self.file else ""
        recovered = f", {self.recovered_rows} rows of an interrupted pull" if self.recovered_rows else ""
        return f"{self.source}: {what}{recovered}{where}"


def _now() -> datetime:
    return datetime.now(UTC)


def pull_content(
    settings: Settings, source: ContentSource, *, allow_deletions: bool = False, clock: Clock = _now
) -> PullResult:
    """Land what changed in ``source`` since the last pull; again after any failure gives the same content.

    Of two pulls at once, wherever they run, one lands what changed and the other is refused. A cursor that
    the system does not accept any more, or that belongs to another body of content, is given up for a full
    pull: what is known and not there any more becomes tombstones.

    Raises:
        ContentError: the system cannot be read, or more than ``content_max_deleted_share`` of the known
            entries would vanish and ``allow_deletions`` does not say that this is meant. Nothing is landed
            and the cursor stays.
        ObjectConflictError: another pull of the source was faster; what changed since is for the next one.
        ObjectStoreError: the landing cannot be read or written.
    """
    landing = Landing(open_store(settings, settings.landing_files_root))
    state = landing.read_state(source.name)
    recovered = 0
    if state.pending:
        recovered = len(state.pending.rows)
        state = _land_pending(landing, source.name, state, clock)
    changes, is_full = _changes(source, state)
    plan = plan_rows(source.name, state.known, changes)
    if not allow_deletions:
        _refuse_mass_deletion(settings, source.name, state, plan)
    state, file = _commit(landing, source, state, changes, plan, clock)
    result = PullResult(
        source=source.name,
        is_full=is_full,
        upserts=len(plan.rows) - plan.tombstones,
        tombstones=plan.tombstones,
        file=file,
        recovered_rows=recovered,
    )
    log.info("pulled content", **result.to_dict())
    return result


def _changes(source: ContentSource, state: PullState) -> tuple[Changes, bool]:
    """Changes since the cursor, or everything when there is none that counts; and which of the two it is."""
    cursor = state.cursor if state.origin == source.origin else None
    if cursor is not None:
        try:
            changes = source.pull(cursor)
        except CursorExpiredError as error:
            log.warning("the cursor is not accepted any more: pulling everything", reason=str(error))
        else:
            if not unexplained(state.known, changes):
                return changes, False
            log.warning("entries appeared without having changed: pulling everything", source=source.name)
    return source.pull(None), True


def _refuse_mass_deletion(settings: Settings, source: str, state: PullState, plan: Plan) -> None:
    """A token that lost a right, or a wrong environment, looks like a system in which all was deleted."""
    vanished = len(state.known.keys() - plan.known.keys())
    if vanished > max(_FEW_DELETIONS, settings.content_max_deleted_share * len(state.known)):
        raise ContentError(
            f"{source}: {vanished} of {len(state.known)} entries have vanished at once, more than "
            f"{settings.content_max_deleted_share:.0%}: check the token's rights and the environment, or "
            "pull with --allow-deletions if this is meant"
        )


def _commit(
    landing: Landing, source: ContentSource, state: PullState, changes: Changes, plan: Plan, clock: Clock
) -> tuple[PullState, str | None]:
    """Land the plan's rows, then keep the cursor."""
    after = replace(state, origin=source.origin, cursor=changes.next_cursor, known=plan.known)
    if not plan.rows:
        if after != state:
            landing.write_state(source.name, after)
        return after, None
    sequence = state.sequence + 1
    step = hashlib.sha256(f"{state.cursor}\n{changes.next_cursor}".encode()).hexdigest()[:12]
    after = replace(
        after,
        sequence=sequence,
        pending=Pending(f"{source.name}-{sequence:08d}-{step}.ndjson", "", plan.rows),
    )
    after = _stamped(after, clock)
    landing.write_state(source.name, after)
    path = _pending_path(after)
    return _land_pending(landing, source.name, after, clock), path


def _land_pending(landing: Landing, source: str, state: PullState, clock: Clock) -> PullState:
    """Write the pending file unless it is there, then the state without it.

    A file that never came to be arrives now, not when it was first meant to: its day may have been landed.
    """
    assert state.pending
    if not landing.exists(_pending_path(state)):
        arrived_on = clock().date().isoformat()
        if not state.pending.ingested_at.startswith(arrived_on):
            state = _stamped(state, clock)
            landing.write_state(source, state)
        assert state.pending
        lines = [
            json.dumps(row | {"ingested_at": state.pending.ingested_at}, ensure_ascii=False) + "\n"
            for row in state.pending.rows
        ]
        landing.write(_pending_path(state), "".join(lines))
    state = state.landed()
    landing.write_state(source, state)
    return state


def _stamped(state: PullState, clock: Clock) -> PullState:
    """The pending rows arrive now, and after all earlier ones even if the clock was set back."""
    assert state.pending
    moment = clock()
    if state.last_ingested_at:
        moment = max(moment, datetime.fromisoformat(state.last_ingested_at) + timedelta(microseconds=1))
    stamp = moment.isoformat(timespec="microseconds")
    return replace(state, pending=replace(state.pending, ingested_at=stamp), last_ingested_at=stamp)


def _pending_path(state: PullState) -> str:
    assert state.pending
    return f"{TABLE}/{state.pending.ingested_at[:10]}/{state.pending.file}"
