"""Schema upgrades: the models and the migrations say the same, and an upgrade keeps a copy of what was before."""

import json
import multiprocessing
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app import config as boot
from app.config import Config, ConfigError
from app.db import Base, Database, migrate, open_database
from app.jobs.models import Job
from app.kit import paths
from app.kit.phrases import phrase
from app.printing.models import PrintRequest


def _ours(name: str | None, kind: str, parent: dict[str, str | None]) -> bool:
    """Full-text tables and expression indexes are in the migrations only, which no model can say."""
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


def _step_back(opened: Database, to: str = "-1") -> str:
    """The schema as the last version had it, or as of a revision; its revision."""
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(paths.migrations()))
    with opened.engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, to)
        connection.commit()
    return migrate.current(opened) or ""


def test_an_upgrade_keeps_a_copy_of_the_database_before(sqlite_config: Config) -> None:
    opened = open_database(sqlite_config)
    older = _step_back(opened)
    said = migrate.upgrade(sqlite_config, opened)
    assert migrate.current(opened) == migrate.HEAD > older
    assert migrate.upgrade(sqlite_config, opened) == "", "nothing more to do"
    opened.dispose()
    (copy,) = (sqlite_config.data / "backup").glob(f"before-upgrade-from-{older}-*.db")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert f"from {older} to {migrate.HEAD}" in said and str(copy) in said, "the console tells it"
    # the way back: the copy in the place of the database, and the version before
    for file in sqlite_config.sqlite_path.parent.iterdir():
        file.unlink()
    shutil.copy2(copy, sqlite_config.sqlite_path)
    opened = open_database(sqlite_config)
    assert migrate.current(opened) == older
    opened.dispose()


BEFORE = {  # what a version before 0019 kept as English
    "job": {
        "id": "j1", "kind": "k", "state": "failed", "priority": 5, "payload": "{}", "attempts": 1, "max_attempts": 1,
        "result": '{"steps": [{"words": "It has {braces} too."}]}', "progress_done": 0, "progress_total": 0,
        "error": 'It has {braces}, "quotes" and ñ.', "created_at": "2026-11-20 10:00:00", "created_by": "x",
        "run_after": "2026-11-20 10:00:00", "correlation_id": "",
    },
    "print_request": {
        "id": "p1", "job_id": "j1", "state": "done", "items": "[]", "options": "{}", "password": "", "pages": 1,
        "file": "", "bytes": 0, "notices": '["First {", "Second"]', "study_instance_uid": "1", "patient_name": "",
        "modality": "CT", "created_by": "x", "created_at": "2026-11-20 10:00:00",
    },
}  # fmt: skip


def test_texts_of_before_become_messages_and_texts_again(config: Config, database: Database) -> None:
    _step_back(database, "0018")
    with database.write() as session:
        for table, row in BEFORE.items():
            names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)
    migrate.upgrade(config, database)
    with database.write() as session:
        job, made = session.get_one(Job, "j1"), session.get_one(PrintRequest, "p1")
        assert job.error == BEFORE["job"]["error"] and job.error.template == job.error and not job.error.values
        assert [one.template for one in made.notices] == ["First {", "Second"]
        assert job.result["steps"][0]["words"].startswith("It has {braces}")
        made.notices = [phrase("{count} pages", count=2), *made.notices]
        job.error = phrase("It takes {seconds:.1f} s.", seconds=1.25)
    _step_back(database, "0018")
    with database.read() as session:
        assert session.scalar(text("SELECT error FROM job")) == "It takes 1.2 s."
        kept = session.scalar(text("SELECT CAST(notices AS TEXT) FROM print_request"))
        assert json.loads(kept) == ["2 pages", "First {", "Second"]


def test_priorities_are_turned_and_turned_back(config: Config, database: Database) -> None:
    before = BEFORE["print_request"] | {"options": '{"paper": "A4", "priority": 7, "dpi": 300}', "notices": "[]"}
    with database.write() as session:
        for table, row in (("job", BEFORE["job"] | {"priority": 8, "error": None}), ("print_request", before)):
            names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)
    _step_back(database, "0019")
    with database.read() as session:
        assert session.scalar(text("SELECT priority FROM job")) == 2
    migrate.upgrade(config, database)
    with database.read() as session:
        assert session.get_one(Job, "j1").priority == 8
        assert session.get_one(PrintRequest, "p1").options == {"paper": "A4", "priority": 7, "dpi": 300}


def test_data_of_a_newer_version_are_left_alone_and_the_reason_is_told(config: Config, database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="upgraded by a newer Filmroom"):
        migrate.upgrade(config, database)
    assert migrate.current(database) == "9999" and not (config.data / "backup").exists()


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
