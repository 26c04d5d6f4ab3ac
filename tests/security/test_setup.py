"""The first start."""

from pathlib import Path

from app.config import Config
from app.db import Database
from app.security import passwords, queries, setup
from app.security.models import Role
from app.security.secrets import Secrets
from app.security.verbs import DEFAULT_ROLES

GOOD = "Winter-coat-7-buttons"


def test_a_password_in_the_environment_makes_the_administrator(config: Config, database: Database) -> None:
    first = setup.prepare(database, Secrets(config), {"FILMROOM_ADMIN_PASSWORD": GOOD})
    assert (first.created, first.code) == ("admin", "")
    with database.read() as session:
        user = queries.user_named(session, "ADMIN")
        assert user is not None and user.role == "administrator" and not user.must_change_password
        assert GOOD not in user.password_hash and passwords.verify_password(user.password_hash, GOOD)


def test_it_comes_from_a_file_too(config: Config, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(GOOD + "\n")
    assert setup.prepare(database, Secrets(config), {"FILMROOM_ADMIN_PASSWORD_FILE": str(file)}).created == "admin"


def test_a_weak_password_is_refused_and_the_link_given(config: Config, database: Database) -> None:
    first = setup.prepare(database, Secrets(config), {"FILMROOM_ADMIN_PASSWORD": "admin"})
    assert first.created == "" and first.code
    lines = first.lines("http://127.0.0.1:8000")
    assert "at least 12" in lines[0] and f"/setup?code={first.code}" in lines[1]
    with database.read() as session:
        assert not queries.has_users(session)


def test_a_second_start_changes_nothing(config: Config, database: Database) -> None:
    secrets = Secrets(config)
    setup.prepare(database, secrets, {"FILMROOM_ADMIN_PASSWORD": GOOD})
    again = setup.prepare(database, secrets, {"FILMROOM_ADMIN_PASSWORD": "Another-one-8-words"})
    assert again == setup.FirstStart() and again.lines("x") == []
    with database.read() as session:
        user = queries.user_named(session, "admin")
        assert user is not None and passwords.verify_password(user.password_hash, GOOD)


def test_the_code_is_this_installations_own(config: Config, database: Database) -> None:
    secrets = Secrets(config)
    first = setup.prepare(database, secrets, {})
    assert setup.is_setup_code(secrets, first.code)
    assert not setup.is_setup_code(secrets, first.code[:-1] + ("0" if first.code[-1] != "0" else "1"))
    assert not setup.is_setup_code(secrets, "")


def test_every_start_brings_missing_roles_back_and_leaves_changed_ones(config: Config, database: Database) -> None:
    secrets = Secrets(config)
    setup.prepare(database, secrets, {})
    with database.write() as session:
        technician, administrator = session.get(Role, "technician"), session.get(Role, "administrator")
        assert technician is not None and administrator is not None
        technician.verbs, administrator.verbs = ["self"], ["self"]
    setup.prepare(database, secrets, {})
    with database.read() as session:
        technician, administrator = session.get(Role, "technician"), session.get(Role, "administrator")
        assert technician is not None and technician.verbs == ["self"]
        assert administrator is not None and set(administrator.verbs) == set(
            map(str, DEFAULT_ROLES["administrator"][0])
        )
