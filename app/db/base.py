"""Base of all tables."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.kit.phrases import Phrase, from_json, packed, unpacked

# SQLite gives a table its own rowid only for INTEGER; PostgreSQL wants BIGINT for what may pass two thousand million.
BigKey = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. Naive values are refused: a time without a zone is a bug."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def _message(stored: str) -> Phrase:
    """Lists show the same messages again and again; a Phrase does not change."""
    return from_json(json.loads(stored))


class Message(TypeDecorator[Phrase]):
    """A message as the JSON text of its template and values. A plain string is refused: it could not be translated."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Phrase | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Phrase):
            raise TypeError("a message is stored as a Phrase (app/kit/phrases.py)")
        return json.dumps(value.as_json(), ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Phrase | None:
        return None if value is None else _message(value)


class Messages(TypeDecorator[list[Phrase]]):
    """A list of messages as JSON."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: list[Phrase] | None, dialect: Dialect) -> list[Any] | None:
        if value and not all(isinstance(one, Phrase) for one in value):
            raise TypeError("a message is stored as a Phrase (app/kit/phrases.py)")
        return [one.as_json() for one in value] if value else value

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> list[Phrase] | None:
        return [from_json(one) for one in value] if value else value


class JsonWithMessages(TypeDecorator[Any]):
    """JSON that may hold messages at any depth."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return packed(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return unpacked(value)


class Base(DeclarativeBase):
    """Relations are avoided: every select is in a package's queries.py."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        Phrase: Message(),
        list[Phrase]: Messages(),
    }
