"""Settings of queries to other archives."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class QuerySettings(Group):
    """Group `query`."""

    group: ClassVar[str] = "query"
    title: ClassVar[str] = "Query/Retrieve"

    answers: int = Field(
        title="Answer limit", default=500, ge=1, le=5000, description="Maximum number of answers of each node."
    )
    silence: int = Field(
        title="Response timeout (s)",
        default=15,
        ge=1,
        le=300,
        description="Maximum time for the next answer of a node.",
    )
    seconds: int = Field(
        title="Query timeout (s)",
        default=60,
        ge=2,
        le=600,
        description="Maximum time for all answers of a node. The answers up to then are shown.",
    )
    retries: int = Field(
        title="Retrieval retries",
        default=3,
        ge=0,
        le=20,
        description="Number of retries of a failed retrieval, at growing intervals.",
    )
    keep_hours: int = Field(
        title="Query retention (hours)",
        default=24,
        ge=1,
        le=168,
        description="Queries and their answers are deleted after this time.",
    )
    keep_days: int = Field(
        title="Retrieval list retention (days)",
        default=30,
        ge=1,
        le=365,
        description="Ended retrievals are removed from the list after this time.",
    )
