"""Schema upgrades: the models and the migrations say the same, and an upgrade keeps a copy of what was before."""

import multiprocessing
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app import config as boot
from app.config import Config
from app.db import Base, Database, migrate, open_database
from app.kit import paths


def _ours(name: str | None, kind: str, parent: dict[str, str | None]) -> bool:
    """Full-text tables and expression indexes belong to archive/search_ddl.py, which no model can say."""
    return not (name or "").startswith(("patient_words", "patient_parts", "ix_patient_fold_trgm"))


def test_the_models_and_the_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _ours, "compare_type": False})
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_revision_is_the_one_the_start_looks_for(sqlite_config: Config) -> None:
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(paths.migrations()))
    assert ScriptDirectory.from_config(settings).get_heads() == [migrate.HEAD]
    opened = open_database(sqlite_config)
    assert migrate.current(opened) == migrate.HEAD
    opened.dispose()


def test_an_upgrade_keeps_a_copy_of_the_database_before(sqlite_config: Config) -> None:
    opened = open_database(sqlite_config)
    with opened.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    config = sqlite_config
    migrate._copy_before(config, migrate.current(opened) or "")
    (copy,) = (config.data / "backup").glob("before-upgrade-from-0000-*.db")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.read_bytes() == config.sqlite_path.read_bytes()
    opened.dispose()


def _upgrade(folder: str) -> None:
    config = boot.load({"data": folder}, environ={})
    opened = open_database(config)
    migrate.upgrade(config, opened)
    opened.dispose()


def test_two_processes_may_start_on_a_new_folder_at_once(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn")
    both = [start.Process(target=_upgrade, args=(str(tmp_path),)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    opened = open_database(boot.load({"data": tmp_path}, environ={}))
    assert migrate.current(opened) == migrate.HEAD
    opened.dispose()
