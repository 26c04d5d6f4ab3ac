"""Settings of queries to other archives."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class QuerySettings(Group):
    """Group `query`."""

    group: ClassVar[str] = "query"
    title: ClassVar[str] = "Query/Retrieve"

    answers: int = Field(
        title="Most answers", default=500, ge=1, le=5000, description="Answers that are taken from each node"
    )
    silence: int = Field(
        title="Seconds to answer", default=15, ge=1, le=300, description="Seconds a node may take for its next answer"
    )
    seconds: int = Field(
        title="Seconds altogether",
        default=60,
        ge=2,
        le=600,
        description="Seconds a node may take for all its answers; then what came is shown",
    )
    retries: int = Field(
        title="Tries of a retrieval",
        default=3,
        ge=0,
        le=20,
        description="How often a failed retrieval is tried again, with growing pauses",
    )
    keep_hours: int = Field(
        title="Hours answers are kept", default=24, ge=1, le=168, description="After that a query and its answers go"
    )
    keep_days: int = Field(
        title="Days retrievals are listed",
        default=30,
        ge=1,
        le=365,
        description="After that an ended retrieval leaves the queue's list",
    )
