"""Finds code in `app` that nothing uses: `python deploy/dead_code.py`, part of `make lint`.

vulture reads Python only. Names in templates, in `module:function` strings and in the migrations count as used too; what
else is used from outside is in ALLOWED with the reason. A name that only tests use is dead."""

import re
import sys
from pathlib import Path

import vulture

ROOT = Path(__file__).parents[1]
DECORATORS = ["@router.*", "@event.listens_for", "@field_validator", "@model_validator", "@atexit.register"]
KEYWORD = re.compile(
    r"[A-Z][A-Za-z]*[a-z][A-Za-z]*|[A-Z]{1,2}"
)  # attributes of pydicom's data sets and of PDF dictionaries
ALLOWED: dict[str, str] = {
    "pydantic reads them": "model_config",
    "SQLAlchemy calls or reads them": "impl cache_ok load_dialect_impl process_bind_param process_result_value "
    "type_annotation_map",
    "columns that SQL statements name as text": "description_fold referring_fold deleted_at",
    "the tests of routes read these marks": "__filmroom_public__ __filmroom_asks__",
    "the interpreter and logging call or read them": "trace __contains__ converter exc_text",
    "pynetdicom calls or reads them": "maximum_pdu_size maximum_length implementation_class_uid "
    "implementation_version_name address_info supported_contexts requested_contexts server_response acse_timeout "
    "dimse_timeout _bind_defaults _shutdown_socket LOG_REQUEST_IDENTIFIERS LOG_RESPONSE_IDENTIFIERS",
    "interface of the pynetdicom side for the services to come (docs/dev/decisions/2026-11-30-pynetdicom-hand-over.md)": "accepts",
    "httpcore, NumPy, Pillow and re2 read them": "_network_backend writeable reduce case_sensitive log_errors max_mem",
    "members of an enumeration of the standard or of a column, named as a whole": "NO_REASON USER_REJECTED FAILURE "
    "MAXIMUM_LENGTH IMPLEMENTATION_CLASS IMPLEMENTATION_NAME COMMON_EXTENDED KERBEROS SAML JWT",
    "permissions that roles can hold; their names are values in the database": "TAG_EDIT PROFILE_EDIT MASK_EDIT",
    "gathers role names for the catalogues": "BUILT_IN",
    "fields that are read by name (getattr, model_dump)": "film",
}
"""Reason -> names."""


def names_in_templates() -> set[str]:
    """Every word within the tags of the templates."""
    found: set[str] = set()
    for path in (ROOT / "templates").rglob("*"):
        if path.is_file():
            for tag in re.findall(r"\{[{%](.*?)[%}]\}", path.read_text(), re.S):
                found.update(re.findall(r"[A-Za-z_]\w+", tag))
    return found


def names_in_strings() -> set[str]:
    """Functions that are named as `module:function`: the job table and the commands."""
    found: set[str] = set()
    for path in (*(ROOT / "app").rglob("*.py"), ROOT / "pyproject.toml"):
        found.update(re.findall(r'"[a-z_.0-9]+:([A-Za-z_]\w*)"', path.read_text()))
    return found


def main() -> int:
    names = [name for some in ALLOWED.values() for name in some.split()]
    finder = vulture.Vulture(ignore_decorators=DECORATORS, ignore_names=names)
    finder.scavenge([str(ROOT / one) for one in ("app", "migrations", "deploy/hatch_build.py")])
    finder.used_names.update(names_in_templates() | names_in_strings())
    unused = [
        one
        for one in finder.get_unused_code(min_confidence=60)
        if ROOT / "app" in Path(one.filename).parents and not (one.typ == "attribute" and KEYWORD.fullmatch(one.name))
    ]
    for one in unused:
        sys.stdout.write(f"{Path(one.filename).relative_to(ROOT)}:{one.first_lineno}: unused {one.typ} {one.name}\n")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
