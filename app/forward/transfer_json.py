"""Transfers and their objects as REST shows them."""

from typing import Any

from app.forward.claims import QUEUED
from app.forward.models import Transfer, TransferInstance


def transfer_json(transfer: Transfer, node_name: str) -> dict[str, Any]:
    """A transfer as REST shows it (DESIGN part 2: long work)."""
    done = transfer.sent + transfer.warned + transfer.failed + transfer.there
    return {
        "id": transfer.id,
        "state": transfer.state,
        "progress": {"done": done, "total": transfer.total},
        "error": transfer.error,
        "study_instance_uid": transfer.study_instance_uid,
        "node": node_name,
        "priority": transfer.priority,
        "source": transfer.source,
        "sent": transfer.sent,
        "warned": transfer.warned,
        "failed": transfer.failed,
        "there": transfer.there,
        "committed": transfer.committed,
        "committing": transfer.committing,
        "waiting": transfer.total - done,
        "attempts": transfer.attempts,
        "waits_for_node": transfer.state == QUEUED and transfer.unreached,
        "next_try_at": transfer.run_after.isoformat() if transfer.state == QUEUED and transfer.faults else None,
        "created_by": transfer.created_by,
        "created_at": transfer.created_at.isoformat(),
        "finished_at": transfer.finished_at and transfer.finished_at.isoformat(),
    }


def instance_json(row: TransferInstance) -> dict[str, Any]:
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "state": row.state,
        "committed": row.committed,
        "status": None if row.status is None else f"{row.status:04X}",
        "message": row.message,
    }
