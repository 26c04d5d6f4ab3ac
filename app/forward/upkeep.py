"""Deletes old finished transfers, a few in one transaction, so that other writers are not delayed."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.forward.models import Transfer, TransferInstance
from app.kit.ids import first_id

AT_ONCE = 10  # transfers; one may have thousands of objects
_ENDED = ("done", "cancelled")  # dead letters stay until a person decides


def prune(session: Session, older_than: datetime) -> int:
    """Forgets transfers that were made and ended before then, the oldest first; how many. AT_ONCE: there may be more."""
    expired = list(
        session.scalars(
            select(Transfer.id)
            .where(Transfer.state.in_(_ENDED), Transfer.id < first_id(older_than), Transfer.finished_at < older_than)
            .order_by(Transfer.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
    )
    session.execute(delete(TransferInstance).where(TransferInstance.transfer_id.in_(expired)))
    session.execute(delete(Transfer).where(Transfer.id.in_(expired)))
    return len(expired)
