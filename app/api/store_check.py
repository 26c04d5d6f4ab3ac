"""GET /api/v1/store-check: what the last comparison of store and index found."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from app.archive import comparison
from app.http import ReadSession, allow
from app.security import Actor, Verb

router = APIRouter(tags=["store"])


@router.get("/store-check")
def store_check(actor: Annotated[Actor, Depends(allow(Verb.HEALTH_READ))], session: ReadSession) -> dict[str, Any]:
    """Returns the result of the last comparison of files and index: missing (an object without its file), differing (another size than stored), unindexed (a file
    without an object), damaged (found changed when it was read, since the installation was made). checked_at is null before
    the first comparison, which follows each start."""
    found = comparison.last_result(session)
    moment = found.pop("checked_at", None)
    counts = {name: found.get(name, 0) for name in ("missing", "differing", "unindexed", "damaged")}
    return {"checked_at": datetime.fromtimestamp(moment, UTC).isoformat() if moment else None} | counts
