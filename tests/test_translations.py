"""English and Spanish are both complete: nothing is said in one that the other cannot say."""

import ast
import io
import json
import re
import string
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes
from pydantic import BaseModel, Field, ValidationError, field_validator
from sqlalchemy.dialects import sqlite

from app.db.base import Message, Messages
from app.http import i18n
from app.kit import paths
from app.kit.phrases import from_json, joined, packed, phrase, phrases, unpacked, verbatim
from app.kit.validation import message_of
from tests.support import extract

ROOT = Path(__file__).resolve().parent.parent
PO = paths.locale() / "es" / "LC_MESSAGES" / "filmroom.po"
# components.html shows every component with sample data to developers.
TEMPLATES = sorted(file for file in paths.templates().rglob("*.html") if file.name != "components.html")
SCRIPTS = sorted(file for file in (ROOT / "web" / "src").rglob("*.ts") if not file.name.endswith(".test.ts"))
CODE = sorted((ROOT / "app").rglob("*.py"))


@cache
def spanish() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file, locale="es", abort_invalid=True)


def messages() -> list[Entry]:
    return [message for message in spanish() if message.id]


def forms(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, tuple | list) else [str(value)]


@cache
def sources() -> frozenset[str]:
    """Every text that `make messages` finds, by the very configuration it uses."""
    from babel.messages.frontend import CommandLineInterface

    target = ROOT / "build" / "test-translations.pot"
    target.parent.mkdir(exist_ok=True)
    CommandLineInterface().run(
        ["pybabel", "-q", "extract", "-F", str(ROOT / "pyproject.toml"), "--no-location", "-o", str(target), str(ROOT)]
    )
    found = read_po(io.BytesIO(target.read_bytes()))
    return frozenset("\n".join(forms(message.id)) for message in found if message.id)


def test_the_catalogue_is_up_to_date_with_the_sources() -> None:
    kept = {"\n".join(forms(message.id)) for message in messages()}
    assert len(sources()) > 1000  # the three readers found their files
    assert sorted(sources() - kept) == [], "make messages, then translate"
    assert sorted(kept - sources()) == [], "make messages"


def test_nothing_is_untranslated_or_doubtful() -> None:
    for message in messages():
        wanted = spanish().num_plurals if isinstance(message.id, tuple | list) else 1
        said = forms(message.string)
        assert len(said) == wanted and all(one.strip() for one in said), message.id
        assert not message.fuzzy, message.id
    assert not spanish().obsolete


def _places(text: str) -> list[str]:
    return sorted(
        re.findall(r"%\(\w+\)[a-z]|%%", text)
        + re.findall(r"\{\w+(?:![rs])?(?::[^{}]*)?\}", text)
        + re.findall(r"\[(?:Page|Pages|Date|By)\]", text)
    )


def test_both_languages_put_the_same_values_in() -> None:
    for message in messages():
        for said, english in zip(forms(message.string), forms(message.id), strict=True):
            assert _places(said) == _places(english), message.id


def test_sentences_end_alike() -> None:
    """A full stop, colon or question that is lost in translation is a sentence that was cut off."""
    for message in messages():
        for said, english in zip(forms(message.string), forms(message.id), strict=True):
            if english[-1] in ".:?":
                assert said[-1] == english[-1], english
            # (* ?) is a pattern, no question
            assert ("¿" in said) == bool(re.search(r"[\w})]\?", said)), said


def test_spanish_is_not_english() -> None:
    same = [m.id for m in messages() if m.string == m.id and re.search(r"[a-z]{3}", str(m.id))]
    allowed = {
        "Abdomen", "CSV", "Color", "General", "Host", "Normal", "Zoom", "Vertical", "Error", "{field}: {message}",
        "%(series)s series, %(images)s", "Zoom {percent} %", "{n} series", "{field}: {words}", "{why}", "%(seconds)s s", "Proxy", "Token", "bytes", "Series", "No", "Original", "W {width}  L {center}", "Use {known}.", "min", "Manual", "manual", "{fps} fps",
    }  # fmt: skip
    assert [one for one in same if one not in allowed and not one.startswith("Use POST")] == []


# --- what is shown goes through the catalogue ---

_NAMES = {
    "Filmroom", "DICOM", "DICOMweb", "PACS", "PACS1", "EN", "ES", "English", "Español", "A4", "A3", "Letter", "PDF",
    "PDF/A-3b", "PDF/A", "HTTP", "TCP", "AE", "UID", "VR", "Enter", "Esc", "Tab", "Space", "Shift", "Ctrl", "Alt", "Home", "End",
    "PageUp", "PageDown", "Del", "px", "mm", "kB", "ms", "Patient", "M", "F", "O", "CT", "MR", "US", "TEST",
}  # fmt: skip
_SHOWN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "aria-description", "data-confirm", "data-hint")


class _Words(HTMLParser):
    """Text that stands in HTML, and attributes that people see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style", "code", "kbd")
        self.found += [value or "" for name, value in attrs if name in _SHOWN_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "code", "kbd")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(re.sub(r"[\w-]+=\"[^\"]*\"", "", data))  # attributes that a macro writes


def _bare(text: str) -> list[str]:
    """English words of a template that no catalogue sees. Expressions and blocks stand for nothing."""
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}", "", text, flags=re.DOTALL)
    reader = _Words()
    reader.feed(text)
    words = [word for part in reader.found for word in re.findall(r"[^\W\d_]{2,}[\w/-]*", part)]
    return [word for word in words if word not in _NAMES]


def test_the_lint_finds_bare_words() -> None:
    assert _bare('<p title="Close it">{{ _("Fine") }} bad {% trans %}Fine{% endtrans %}</p>') == ["Close", "it", "bad"]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(paths.templates())))
def test_no_template_has_bare_words(file: Path) -> None:
    assert _bare(file.read_text("utf-8")) == []


def test_no_macro_gets_bare_words() -> None:
    """ui.button("Send") would be English for everyone: every word that a component shows is given through _()."""
    environment = Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"])
    found = []
    for file in TEMPLATES:
        for call in environment.parse(file.read_text("utf-8")).find_all(nodes.Call):
            owner = call.node
            shown = isinstance(owner, nodes.Getattr) and isinstance(owner.node, nodes.Name) and owner.node.name == "ui"
            for said in call.args if shown else []:
                text = said.value if isinstance(said, nodes.Const) and isinstance(said.value, str) else ""
                if re.fullmatch(r"[A-Z][a-z]+( .*)?", text) and text not in _NAMES:
                    found.append(f"{file.name}: {text}")
    assert found == []


# What a script shows: the texts it puts into an element, an attribute or a toast.
_SHOWS = re.compile(
    r"(?:textContent|innerText|title|placeholder|ariaLabel|what|detail|label)\s*[=:]\s*(['\"`])([^'\"`\n]*[A-Za-z]{2} ?[^'\"`\n]*)\1"
    r"|setAttribute\('(?:title|aria-label|placeholder)',\s*(['\"`])([^'\"`\n]+)\3"
)


def test_scripts_say_everything_through_the_catalogue() -> None:
    found = []
    for file in SCRIPTS:
        for match in _SHOWS.finditer(file.read_text("utf-8")):
            said = re.sub(r"\$\{[^}]*\}", "", match[2] or match[4] or "")
            if re.search(r"[A-Z][a-z]+|[a-z]{3,} [a-z]{2,}", said) and said not in _NAMES:
                found.append(f"{file.name}: {said}")
    assert found == []


Calls = list[tuple[Path, str, ast.Call]]


@pytest.fixture(scope="module")
def calls() -> Calls:
    """Each call of a plain name in the application: its file, the name, the node. Parsed once for all tests."""
    return [
        (file, node.func.id, node)
        for file in CODE
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


def test_no_fault_is_an_f_string(calls: Calls) -> None:
    """Faults with values are phrase("... {name} ...", name=...): an f-string can be said in English only."""
    faults = extract.faults()
    found = [
        f"{file.name}:{node.lineno}"
        for file, name, node in calls
        if name in faults
        for one in [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "hint")]
        if isinstance(one, ast.JoinedStr)
    ]
    assert found == []


def test_no_stored_message_is_an_f_string(calls: Calls) -> None:
    """Columns of messages take a Phrase (mypy, app/db/base.py); none of what makes one is given a finished sentence."""
    found = [
        f"{file.name}:{node.lineno}"
        for file, name, node in calls
        if name in ("Phrase", "as_phrase", "verbatim") and any(isinstance(one, ast.JoinedStr) for one in node.args)
    ]
    assert found == []


def test_a_template_of_a_phrase_is_a_literal_with_named_places(calls: Calls) -> None:
    """What is not a literal is not collected, and positions cannot change their order in another language."""
    for file, name, node in calls:
        if name in ("phrase", "phrases"):
            given = {keyword.arg for keyword in node.keywords}
            for template in node.args:
                where = f"{file}:{node.lineno}"
                assert isinstance(template, ast.Constant) and isinstance(template.value, str), where
                places = {name for _, name, _, _ in string.Formatter().parse(template.value) if name is not None}
                assert places <= given, where


# --- what is said at run time ---


@pytest.fixture
def es() -> object:
    i18n.set_language("es")
    yield
    i18n.set_language("en")


@pytest.mark.usefixtures("es")
def test_a_phrase_is_said_with_its_values() -> None:
    made = phrase("The ZIP file contains more than {count} files.", count=9)
    assert made == "The ZIP file contains more than 9 files." and isinstance(made, str)
    assert i18n.translate(made) == "El archivo ZIP contiene más de 9 archivos."
    i18n.set_language("en")
    assert i18n.translate(made) == "The ZIP file contains more than 9 files."


@pytest.mark.usefixtures("es")
def test_a_stored_message_is_said_in_both_languages() -> None:
    """With messages within it, words of others as they are, and days and numbers as the language writes them."""
    made = joined((
        phrase("{peer} rejected the association: {words}.", peer="{Film} (pacs:104)", words=phrase("it gave no reason")),
        phrase("The certificate expired on {day}.", day=date(2026, 11, 20)),
        phrases("{count} answer could not be read", "{count:n} answers could not be read", count=12345),
        verbatim("Permission denied"),
    ))  # fmt: skip
    kept = from_json(json.loads(json.dumps(made.as_json())))
    assert i18n.translate(kept) == (
        "{Film} (pacs:104) rechazó la asociación: no dio ningún motivo. El certificado caducó el 20 nov 2026. "
        "No se pudieron leer 12.345 respuestas Permission denied"
    )
    assert i18n.translate(
        phrases("{count} answer could not be read", "{count:n} answers could not be read", count=1)
    ) == ("No se pudo leer 1 respuesta")
    i18n.set_language("en")
    assert i18n.translate(kept) == kept.replace("2026-11-20", "20 Nov 2026").replace("12345", "12,345")
    assert unpacked(json.loads(json.dumps(packed({"steps": [{"words": made}]})))) == {"steps": [{"words": kept}]}


@pytest.mark.usefixtures("es")
def test_a_text_of_before_is_shown_as_it_is() -> None:
    """The migration made it a template without values; braces in it are no places."""
    assert i18n.translate(from_json({"template": "{peer} said 5 objects {"})) == "{peer} said 5 objects {"
    assert (
        i18n.translate(from_json({"template": "Permission denied"}))
        == i18n.gettext("Permission denied")
        != "Permission denied"
    )


def test_a_column_of_messages_refuses_a_plain_string() -> None:
    """In statements that mypy cannot see; the JSON of a message holds what it was made from, cut to what may be stored."""
    dialect = sqlite.dialect()
    for column, value in ((Message(), "The node is off."), (Messages(), ["The node is off."])):
        with pytest.raises(TypeError, match="Phrase"):
            column.process_bind_param(value, dialect)  # type: ignore[arg-type]
    stored = Message().process_bind_param(phrase("{peer} broke off: {words}.", peer="PACS", words="x" * 5000), dialect)
    assert stored is not None and json.loads(stored)["template"] == "{peer} broke off: {words}." and len(stored) < 600


class _Form(BaseModel):
    count: int = Field(ge=1, le=9)
    name: str = Field(min_length=2, max_length=4)
    paper: Literal["A4"]

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "none":
            raise ValueError(phrase("known papers are {known}", known="A4"))
        return name


@pytest.mark.usefixtures("es")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"count": 0}, "Debe ser mayor o igual que 1"),
        ({"count": 10}, "Debe ser menor o igual que 9"),
        ({"name": "a"}, "El texto debe tener al menos 2 caracteres"),
        ({"name": "abcde"}, "El texto debe tener 4 caracteres como máximo"),
        ({"name": "none"}, "los papeles conocidos son A4"),
        ({"paper": "A5"}, "Debe ser 'A4'"),
    ],
)
def test_what_pydantic_finds_is_said_in_the_language(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        _Form.model_validate({"count": 1, "name": "ab", "paper": "A4"} | wrong)
    assert [i18n.translate(message_of(one)) for one in raised.value.errors()] == [said]
