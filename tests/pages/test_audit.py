"""The audit page: in words, by patient, deed and period, and one study alone."""

import ast
import re
from datetime import UTC, datetime

import pytest

from app import audit
from app.http import i18n
from app.kit import paths
from app.pages import audit as page
from app.pages import deeds
from app.security import Verb
from tests.support.client import Web

_RECORDING = {"_record", "_record_many", "_trace", "_notify", "_changed", "_run_detail", "record", "Deed"}
_OTHERS = {
    "study",
    "conflict",
    "list",
    "failed",
    "denied",
    "anonymous",
    "verb",
    "scp",
}  # kinds, outcomes, keys of details


def written_verbs() -> set[str]:
    """Every verb that some code writes into the trail: literals handed to what records."""
    found = {str(verb) for verb in Verb}
    for file in (paths.templates().parent / "app").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            values = [word.value for word in call.keywords if word.arg == "verb"]
            values += [one for one in call.args if not isinstance(one, ast.Dict)] if name in _RECORDING else []
            for value in values:
                for one in ast.walk(value):
                    if (
                        isinstance(one, ast.Constant)
                        and isinstance(one.value, str)
                        and re.fullmatch(r"[a-z-]+\.[a-z-]+", one.value)
                    ):
                        found.add(one.value)
    return found


def test_every_verb_has_words_in_both_languages() -> None:
    verbs = written_verbs() | {"login", "metrics", "node.test"}
    assert len(verbs) > 70
    assert [verb for verb in sorted(verbs) if deeds.verb_words(verb) == verb] == []
    english = {verb: deeds.verb_words(verb) for verb in verbs}
    assert len(set(english.values())) == len(verbs) - 1, "metrics is metrics.read; no others share words"
    i18n.set_language("es")
    assert [verb for verb in sorted(verbs) if deeds.verb_words(verb) == english[verb]] == []


def rows(html: str) -> list[str]:
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>") if row.strip()]


def test_it_says_who_did_what_to_whom_in_words(filled: Web) -> None:
    filled.bob.get("/storage/studies/1.2.3.1/panel")
    filled.bob.get("/storage/studies/1.2.3.2/panel")
    with filled.database.write() as session:
        for uid in ("1.2.3.1", "1.2.3.2"):
            audit.by(session, audit.Named("bob"), "study.print", "study", uid, detail={"pages": 3})

    def shown(**query: str) -> list[str]:
        answer = filled.admin.get("/settings/audit", params=query)
        assert answer.status_code == 200
        return rows(answer.text)

    one = shown(thing="1.2.3.1", user="bob")
    assert len(one) == 2 and all("Hong, Gildong" in row for row in one), one
    assert "Print images Done Hong, Gildong" in one[0] and "3 pages" in one[0]
    assert "Open images" in one[1]
    assert shown(patient="gildong", user="bob") == one
    assert len(shown(patient="Lucía", verb="study.print")) == 1
    assert shown(patient="Nobody at all") == []
    assert len(shown(period=str(datetime.now(UTC).year), user="bob")) >= 4
    assert shown(period="1999-12") == []
    assert "Enter 2026, 2026-11" in filled.admin.get("/settings/audit?period=soon").text
    whole = filled.admin.get("/settings/audit?patient=gildong&user=bob&period=2020..2099").text
    [address] = re.findall(r'href="(/api/v1/audit\?[^"]+)"', whole)
    table = filled.admin.get(address.replace("&amp;", "&")).text
    assert "1.2.3.1" in table and "1.2.3.2" not in table
    assert "study.print" not in re.sub(r'(title|value)="[^"]*"', "", whole), "no codes"
    lists = [row for row in shown() if "GET /storage" in row or "GET /settings/audit" in row]
    assert any("Audit GET /settings/audit" in row for row in lists), "pages by their names"
    assert lists and all("List viewed" in row for row in lists)
    assert any("User bob" in row for row in shown(verb="user.create") + shown(verb="login")), "people by their names"
    panel = filled.admin.get("/storage/studies/1.2.3.1/panel").text
    assert "Printed, bob" in panel and "/settings/audit?thing=1.2.3.1" in panel


def test_a_summary_shows_its_period(filled: Web) -> None:
    with filled.database.write() as session:
        detail: dict[str, object] = {"count": 2, "since": "2026-11-20T04:50:00+00:00"}
        audit.by(session, audit.Named("bob"), "login", "", "", detail=detail)
    (row,) = (row for row in rows(filled.admin.get("/settings/audit").text) if "2 more entries" in row)
    assert re.search(r"2 more entries \(\d{1,2} Nov 2026 \d\d:\d\d - .* \d\d:\d\d\)", row), row
    day = datetime(2026, 11, 20, 12, 50, tzinfo=UTC)
    assert re.fullmatch(r"\d\d:50-\d\d:55", page._during(day.replace(minute=55), day.isoformat()))


@pytest.mark.parametrize(
    ("text", "days"),
    [("2026", 365), ("2026-02", 28), ("2026-02-03", 1), ("2026-02-03..2026-02-05", 3), ("tomorrow", None), ("0000", None), ("9999", None)],
)  # fmt: skip
def test_a_period_is_whole_days(text: str, days: int | None) -> None:
    found = page.period_of(text)
    assert (found is None) == (days is None)
    if found and days:
        assert abs((found[1] - found[0]).total_seconds() / 86400 - days) < 0.1
