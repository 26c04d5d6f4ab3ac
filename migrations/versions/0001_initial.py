"""The first schema."""

from alembic import op

from app.db.base import Base

revision, down_revision = "0001", None


def upgrade() -> None:
    # Until the first release this follows the models; `make freeze-schema` writes it out.
    bind = op.get_bind()
    Base.metadata.create_all(bind)
    from app.archive import search_ddl

    for statement in search_ddl.statements(bind.dialect.name):
        op.execute(statement)


def downgrade() -> None:
    bind = op.get_bind()
    Base.metadata.drop_all(bind)
