"""Every form of every template: a secret never travels in an address, and no form is sent by a way nobody chose."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.kit import paths

# A field is secret by its type or by its name; `code` is the second factor's.
_SECRET = re.compile(r"""type=["']password["']|["'](?:\w*password\w*|\w*secret\w*|\w*token|code|passphrase)["']""")
_FORM = re.compile(r"<form\b(?P<start>[^>]*)>(?P<inside>.*?)</form>", re.DOTALL)


@dataclass(frozen=True)
class Form:
    """A form of a template. inside: its source, with the calls that make its fields."""

    template: str
    attributes: dict[str, str]
    inside: str

    @property
    def secret(self) -> bool:
        return _SECRET.search(self.inside) is not None


class _Start(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found = {name: value or "" for name, value in attrs}


def _attributes(start: str) -> dict[str, str]:
    parser = _Start()
    # Expressions of the template stay values; their quotes would end the attribute.
    parser.feed(f"<form {re.sub(r'{[{%].*?[}%]}', 'x', start)}>")
    return parser.found


def _forms() -> list[Form]:
    found = []
    for path in sorted(Path(paths.templates()).rglob("*.html")):
        text = re.sub(r"{#.*?#}", "", path.read_text("utf-8"), flags=re.DOTALL)
        name = str(path.relative_to(paths.templates()))
        found += [Form(name, _attributes(m["start"]), m["inside"]) for m in _FORM.finditer(text)]
    return found


FORMS = _forms()


def test_the_forms_are_found() -> None:
    names = {form.template for form in FORMS if form.secret}
    assert {"security/login.html", "printing/composer.html", "security/password.html"} <= names


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.template}-{FORMS.index(form)}")
def test_no_form_sends_a_secret_in_an_address(form: Form) -> None:
    """A form without a method is sent by GET: so each says its own, and what holds a secret posts."""
    method = form.attributes.get("method")
    assert method in ("get", "post", "dialog"), "the form names its method"
    assert not (form.secret and method == "get"), "a secret would be in the address, the history and the logs"
    assert "hx-get" not in form.attributes or not form.secret


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.template}-{FORMS.index(form)}")
def test_a_form_that_a_script_sends_is_not_boosted(form: Form) -> None:
    """hx-boost is inherited (shell/base.html): it would send such a form to the page's own address."""
    sent_by_script = "action" not in form.attributes and form.attributes.get("method") != "dialog"
    assert not sent_by_script or form.attributes.get("hx-boost") == "false"
