"""Alembic runs here, with the connection that app.db.migrate opened. Every package's tables are known through models."""

from alembic import context

from app.db.base import Base
from app.db.models import load_all

load_all()
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
