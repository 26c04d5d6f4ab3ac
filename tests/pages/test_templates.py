"""Every page's context and its template agree: nothing asked for that is not given, nothing given that is not asked for."""

import re
from dataclasses import fields
from typing import Any

import pytest
from jinja2 import meta, nodes

from app.http.templates import environment
from app.kit import paths
from app.pages import (
    audit,
    certificates,
    conflicts,
    deid,
    forwarder,
    incoming,
    proxy,
    query,
    shell,
    storage,
    transfers,
)

# What render_text gives every template, and what a page may set for the shell.
SHARED = {
    "identity", "actor", "csrf_token", "language", "theme", "aet", "dicom_port", "path", "correlation_id", "htmx",
    "utc_offset",
    "tab", "scope", "section", "notices", "listing", "asked", "hits",
}  # fmt: skip

PAGES: list[tuple[str, Any]] = [
    ("archive/storage.html", storage.StoragePage),
    ("archive/_live.html", storage.LiveStudyRows),
    ("archive/_more.html", storage.StorageRows),
    ("archive/_series.html", storage.StudySeriesPart),
    ("archive/_panel.html", storage.PanelPart),
    ("incoming/page.html", incoming.IncomingPage),
    ("incoming/_live.html", incoming.ArrivalRows),
    ("incoming/_transfers.html", incoming.TransfersPart),
    ("query/page.html", query.QueryPage),
    ("query/_live.html", query.LiveQueryRows),
    ("query/_more.html", query.QueryRows),
    ("query/_series.html", query.QuerySeriesPart),
    ("query/_images.html", query.ImagesPart),
    ("query/_queue_live.html", query.RetrievalQueuePart),
    ("conflicts/page.html", conflicts.ConflictsPage),
    ("deid/copy.html", deid.CopyPage),
    ("deid/copies.html", deid.CopiesPage),
    ("transfers/page.html", transfers.TransfersPage),
    ("transfers/_live.html", transfers.TransferRows),
    ("transfers/transfer.html", transfers.TransferPage),
    ("settings/audit.html", audit.AuditPage),
    ("settings/certificates.html", certificates.CertificatesPage),
    ("settings/proxy.html", proxy.ProxyPage),
    ("settings/forwarder.html", forwarder.ForwarderPage),
    ("shell/about.html", shell.AboutPage),
]


def asked(template: str, seen: set[str] | None = None) -> set[str]:
    """The names a template takes from its context, with what it extends, includes and imports."""
    seen = set() if seen is None else seen
    if template in seen:
        return set()
    seen.add(template)
    env = environment()
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, template)[0])
    found = meta.find_undeclared_variables(tree)
    given = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    imported = {node.target for node in tree.find_all(nodes.Import)}
    imported |= {node.name for node in tree.find_all(nodes.Macro)}  # those of its own
    for other in meta.find_referenced_templates(tree):
        assert other is not None, f"{template} names a template by a variable"
        found |= asked(other, seen) - given
    return found - imported - set(env.globals)


@pytest.mark.parametrize(("template", "page"), PAGES, ids=[name for name, _ in PAGES])
def test_template_and_dataclass_agree(template: str, page: Any) -> None:
    names = {field.name for field in fields(page)}
    wanted = asked(template) - (SHARED - names)
    assert wanted - names == set(), "the template asks for what the page does not give"
    # Rows that a page includes read fewer fields than the page hands on to its own parts.
    spare = {"rows_url", "more", "show"} if "/_" in template else set()
    assert names - wanted - spare == set(), "the page gives what no template asks for"


def sources() -> list[tuple[str, str]]:
    root = paths.templates()
    return [(str(path.relative_to(root)), path.read_text("utf-8")) for path in sorted(root.rglob("*.html"))]


def test_no_template_breaks_the_content_security_policy() -> None:
    """style attributes, inline handlers and inline scripts would be refused by the browser."""
    broken = []
    for name, text in sources():
        if name.startswith("printing/sheet"):
            continue  # typeset into a PDF, never sent to a browser
        for match in re.finditer(r"\sstyle\s*=\s*[\"']|\son[a-z]+\s*=\s*[\"']|<style\b|javascript:|hx-on|js:", text):
            broken.append(f"{name}: {match.group().strip()}")
        for match in re.finditer(r"<script\b([^>]*)>", text):
            if "src=" not in match.group(1) and "application/json" not in match.group(1):
                broken.append(f"{name}: inline script")
    assert broken == []


def test_every_icon_of_the_templates_is_in_the_sprite() -> None:
    """The build collects them; a name it cannot see would be an empty square."""
    from app.http.assets import manifest

    file = manifest().get("icons.svg", {}).get("file")
    assert file, "build the bundle first (make setup)"
    there = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (paths.web_dist() / file).read_text("utf-8")))
    named = {(name, icon) for name, text in sources() for icon in re.findall(r"\bicon\([\"']([a-z0-9-]+)[\"']", text)}
    assert named
    assert {pair for pair in named if pair[1] not in there} == set()
