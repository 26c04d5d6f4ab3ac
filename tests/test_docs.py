"""What we promise is written down, and what is written down is true of the code.

Every option, command, setting and REST route explains itself; tables, paths, ids and anchors of the documents resolve."""

import ast
import dataclasses
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from fastapi.routing import iter_route_contexts

import app
from app import cli, settings
from app.config import Config
from app.db.models import load_all
from app.kit.errors import AppError
from app.security.verbs import Verb
from app.settings import Group
from app.worker import LANES
from tests.bench import table as bench
from tests.support import doctables
from tests.support.client import all_routers

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SOURCES = ("app", "tests", "templates", "web/src", "deploy", "migrations", "docs")
KINDS = frozenset((".py", ".md", ".ts", ".css", ".html", ".sh", ".ps1", ".json", ".in"))
SINGLE = ("Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "pyproject.toml")
ID = re.compile(r"\b(?:PRN|NET|FWD|ARC|VIEW|META|ANON|SEC|UI|SET|REP|WEB|INT|OPS|SCOPE)-\d+\b")
DESIGN = re.compile(r"\bDESIGN (?:part )?(\d(?:\.\d)?)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(
    r"(?<![\w/.*-])((?:app|tests|docs|templates|deploy|migrations|web/src)/[\w./-]*\w\.(?:py|md|ts|html|sh|css|json|ps1))\b"
)
BANNED = re.compile(
    r"\b(?:houses?|rooms?|doors?|floors?|stands|told|so many|nobody|for ever)\b|(?<!there )\b(?:is|are) no (?!longer\b)",
    re.IGNORECASE,
)
TABLE = re.compile(r"<!-- table ([a-z-]+) -->.*?<!-- end \1 -->", re.DOTALL)


def files() -> Iterator[Path]:
    """Every text of the repository that may refer to another one."""
    for name in SOURCES:
        for path in sorted((ROOT / name).rglob("*")):
            if path.suffix in KINDS and path.is_file() and "node_modules" not in path.parts:
                yield path
    yield from (ROOT / name for name in SINGLE)


TEXTS = {path.relative_to(ROOT): path.read_text("utf-8") for path in files() if path != Path(__file__)}
DOCUMENTS = {path: text for path, text in TEXTS.items() if path.suffix == ".md" and "tests" not in path.parts}


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("item", dataclasses.fields(Config), ids=lambda item: item.name)
def test_every_boot_option_has_a_help_text(item: dataclasses.Field[object]) -> None:
    assert len(item.metadata.get("help", "")) > 10


def test_every_command_has_a_help_text() -> None:
    for action in cli._parser()._subparsers._group_actions:  # type: ignore[union-attr]
        for choice in action._choices_actions:  # type: ignore[attr-defined]
            assert choice.help


@pytest.mark.parametrize("command", ["serve", "web", "dicom", "worker", "status", "stop", "verify-audit", "config"])
def test_every_command_prints_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "2 %, from 32 to 256" in " ".join(capsys.readouterr().out.split())


def test_every_setting_has_a_help_text() -> None:
    load_all()
    all_routers()
    groups = Group.__subclasses__()
    assert groups
    missing = [
        f"{g.__name__}.{name}" for g in groups for name, field in g.model_fields.items() if not field.description
    ]
    assert not missing


def test_every_rest_route_says_what_it_does() -> None:
    routes = [route for router in all_routers() for route in iter_route_contexts(router.routes)]
    public = [route for route in routes if getattr(route, "include_in_schema", True) and route.path.startswith("/api/")]
    assert len(public) > 20, "the walk finds the routes"
    silent = [route.path for route in public if not (route.endpoint.__doc__ or "").strip()]
    assert not silent, f"no docstring: {silent}"


@pytest.mark.parametrize("path", doctables.documents(), ids=lambda path: path.stem)
def test_the_tables_of_the_documents_are_the_code(path: Path) -> None:
    load_all()
    text = path.read_text("utf-8")
    assert doctables.written(text) == text, "run `make docs`"


def test_every_table_is_in_a_document() -> None:
    assert sorted(name for names in doctables.documents().values() for name in names) == sorted(doctables.TABLES)


def test_every_requirement_is_explained() -> None:
    known = set(re.findall(r"^\| (\S+-\d+) \|", TEXTS[Path("docs/dev/requirements.md")], re.MULTILINE))
    assert len(known) > 90
    unknown = [f"{path}: {one}" for path, text in TEXTS.items() for one in ID.findall(text) if one not in known]
    assert unknown == []


def test_every_section_of_the_design_is_there() -> None:
    text = TEXTS[Path("docs/dev/architecture.md")]
    known = set(re.findall(r"^#+ (\d(?:\.\d)?)", text, re.MULTILINE))
    assert known >= {"1", "2", "3"}
    used = {(one, path) for path, text in TEXTS.items() for one in DESIGN.findall(text)}
    assert len(used) > 10
    assert [f"{path}: DESIGN {one}" for one, path in used if one not in known] == []


def test_nothing_refers_to_documents_outside_of_the_repository() -> None:
    outside = re.compile(r"\bSTYLE \d|\bUI\.md\b|REQUIREMENTS|WORDING\.md|\bissue \d")
    found = [f"{path}: {one}" for path, text in TEXTS.items() for one in outside.findall(text)]
    assert found == []


def test_every_path_that_is_named_exists() -> None:
    gone = {
        f"{path}: {named}"
        for path, text in TEXTS.items()
        if path.name != "CHANGELOG.md"  # names what was moved
        for named in PATH.findall(text)
        if "/_bundled/" not in named  # within a built wheel
        if not (ROOT / named).exists() and not (ROOT / path).parent.joinpath(named).exists()
    }
    assert gone == set()


def test_every_link_leads_somewhere() -> None:
    broken = []
    for path, text in DOCUMENTS.items():
        for target in (first or second for first, second in LINK.findall(text)):
            if re.match(r"https?:", target):
                continue
            name, _, anchor = target.partition("#")
            there = (ROOT / path.parent / name).resolve() if name else ROOT / path
            if not there.exists():
                broken.append(f"{path}: {target}")
            elif anchor and anchor not in anchors(there.read_text("utf-8")):
                broken.append(f"{path}: {target} (no such heading)")
    assert broken == []


def mentions(pattern: str) -> set[tuple[str, Path]]:
    """What the documents mention, with where."""
    return {(one, path) for path, text in DOCUMENTS.items() for one in re.findall(pattern, text)}


def test_every_variable_that_is_mentioned_exists() -> None:
    names = {f"FILMROOM_{item.name.upper()}" for item in dataclasses.fields(Config)}
    names |= {f"{name}_FILE" for name in names}
    # The first start, the tests, and the examples.
    names |= {"FILMROOM_ADMIN_PASSWORD", "FILMROOM_TEST_DATA", "FILMROOM_CHAOS_FAULTS"}
    names |= {"FILMROOM_URL", "FILMROOM_USER", "FILMROOM_PASSWORD"}
    used = mentions(r"\b(FILMROOM_[A-Z_]*[A-Z])\b(?!\^)")
    assert len(used) > 20
    assert sorted(f"{path}: {one}" for one, path in used if one not in names) == []


def test_every_setting_that_is_mentioned_exists() -> None:
    known = {f"{name}.{key}" for name, group in settings.groups().items() for key in group.model_fields}
    groups = "|".join(map(re.escape, settings.groups()))
    used = mentions(rf"`((?:{groups})\.(?!py`)[a-z_]+)`")
    assert len(used) > 8
    topics_and_jobs = topics() | {str(kind) for _, kinds in LANES.values() for kind in kinds} | set(map(str, Verb))
    assert sorted(f"{path}: {one}" for one, path in used if one not in known | topics_and_jobs) == []


def test_every_address_that_is_mentioned_exists() -> None:
    routes = [route for router in all_routers() for route in iter_route_contexts(router.routes)]
    paths = [re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(route.path)) for route in routes]
    known = re.compile("|".join([*paths, "/api/v1/openapi.json"]))
    used = mentions(r"(/(?:api/v1|dicom-web)/[a-zA-Z0-9{}_/.-]*[a-zA-Z0-9}])")
    assert len(used) > 50
    assert sorted(f"{path}: {one}" for one, path in used if not known.fullmatch(one)) == []


def test_the_manuals_name_labels_as_the_pages_do() -> None:
    """Words in italics that begin with a capital are labels; parts of a path are separated by commas."""
    with (ROOT / "app/locale/es/LC_MESSAGES/filmroom.po").open("rb") as file:
        catalog = read_po(file)
    labels = {one for message in catalog for one in (message.id if isinstance(message.id, tuple) else (message.id,))}
    found, wrong = 0, []
    for path, text in DOCUMENTS.items():
        if path.parts[:2] in (("docs", "user"), ("docs", "admin"), ("docs", "install.md")) or path.name == "README.md":
            plain = re.sub(r"```.*?```|\*\*.*?\*\*", "", text, flags=re.DOTALL)
            for written in re.findall(r"(?<![\w*])\*([A-Z][^*\n]+)\*(?!\*)", plain):
                found += 1
                parts = [written] if written in labels else written.split(", ")
                wrong += [f"{path}: {one}" for one in parts if one not in labels]
    assert found > 40
    assert wrong == [], "write the label as the page has it (app/locale/es/LC_MESSAGES/filmroom.po)"


def test_every_document_is_in_the_list_of_documents() -> None:
    listed = {(DOCS / one).resolve() for one, _ in LINK.findall(TEXTS[Path("docs/README.md")]) if "#" not in one}
    missing = [
        path
        for path in DOCUMENTS
        if path.parts[0] == "docs" and path.name != "README.md" and "decisions" not in path.parts
        if (ROOT / path).resolve() not in listed
    ]
    assert missing == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 6 * 1024


def test_decisions_have_context_decision_and_evidence() -> None:
    paths = [path for path in DOCUMENTS if "decisions" in path.parts]
    assert len(paths) > 30
    for path in paths:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z0-9-]+", path.stem), path
        parts = re.findall(r"^\W*(Context|Decision|Evidence)\b", TEXTS[path], re.MULTILINE)
        assert set(parts) == {"Context", "Decision", "Evidence"}, path


def test_documents_use_plain_words() -> None:
    found = []
    for path, text in DOCUMENTS.items():
        if path.parts[0] in ("docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
            found += [f"{path}: {one}" for one in BANNED.findall(TABLE.sub("", text))]
    assert found == []


def test_the_packages_of_the_architecture_are_the_layers() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    wanted = [
        (str(number), name.strip())
        for number, layer in enumerate(layers, 1)
        for name in layer.replace(":", "|").split("|")
        if not re.fullmatch(r"\(.*\)", name.strip()) or (ROOT / "app" / name.strip(" ()")).exists()
    ]
    wanted = [(number, name.strip("()")) for number, name in wanted]
    found = re.findall(r"^\| (\d+) \| `(\w+)` \|", TEXTS[Path("docs/dev/architecture.md")], re.MULTILINE)
    assert sorted(found) == sorted(wanted)


def errors() -> dict[str, tuple[int, int]]:
    """Every code of a problem with its HTTP and DIMSE status."""
    for one in pkgutil.walk_packages(app.__path__, "app."):
        importlib.import_module(one.name)
    found, kinds = {}, [AppError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if "code" in vars(kind):
            found[kind.code] = (kind.status, kind.dimse)
    return found


def test_the_catalogue_of_errors_is_complete() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\d{3}) \| ([0-9A-F]{4}) \|", TEXTS[Path("docs/integrator/rest.md")], re.MULTILINE
    )
    documented = {code: (int(status), int(dimse, 16)) for code, status, dimse in rows}
    assert documented == errors()


def topics() -> set[str]:
    """The topics of the events that the code appends: the literal arguments of events.append and add_event, and TOPIC."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TOPIC":
                found.add(ast.literal_eval(node.value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of_events = isinstance(node.func.value, ast.Name) and node.func.value.id == "events"
                if node.func.attr == "add_event" or (node.func.attr == "append" and of_events):
                    found |= {one.value for one in node.args[:2] if isinstance(one, ast.Constant)}
    return {one for one in found if isinstance(one, str)}


def test_the_topics_of_events_are_complete() -> None:
    text = TEXTS[Path("docs/integrator/rest.md")]
    part = text[text.index("| Topic |") : text.index("## Retention")]
    assert set(re.findall(r"^\| `([a-z.]+)` \|", part, re.MULTILINE)) == topics()


def test_the_manual_has_every_key_of_the_viewer() -> None:
    source = (ROOT / "web/src/viewer/actions.ts").read_text("utf-8")
    keys = set(re.findall(r"^    '?([\w?+-]+)'?: \(\) =>", source[source.index("function keysOf") :], re.MULTILINE))
    assert "n <= 9" in source, "the keys 1 to 9 are made in a loop"
    wanted = {_key(key) for key in keys} | {str(n) for n in range(1, 10)}
    text = TEXTS[Path("docs/user/radiologist.md")]
    part = text[text.index("## Keys of the viewer") : text.index("## Measurements")]
    rows = re.findall(r"^\| ((?:`[^`]+` ?)+)\|", part, re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`([^`]+)`", row)} == wanted


def _key(name: str) -> str:
    """A key of keysOf as the manual writes it."""
    if name.startswith("Ctrl+"):
        return f"Ctrl+{name[5:].upper()}"
    return {"Escape": "Esc"}.get(name, name.upper() if len(name) == 1 else name.removeprefix("Arrow"))


def test_a_bench_takes_the_place_of_the_one_before() -> None:
    rows = [bench.Row("find", "answers", 90_494, "/s", "Orthanc", 10_378)]
    text = bench.in_document(bench.DOC.read_text("utf-8"), rows, "bench", "2027-01-02", "two cores")
    part = text[text.index("<!-- bench:") : text.index("<!-- end of bench -->")]
    assert "2027-01-02, two cores." in part
    assert part.count("| find: answers | 90,494 /s | Orthanc 10,378 | 8.72 |") == 1
    assert "ingest" not in part
    assert "1,000,000 studies" in text, "the other table stays"
    with pytest.raises(ValueError, match="has no place"):
        bench.in_document("", rows, "bench", "", "")
