"""Local storage, Incoming and conflicts, asked by the cast on both databases."""

import re

import pytest
from httpx import Response

from app.archive import Source
from tests.archive.make import ct_bytes
from tests.pages.conftest import facility, put
from tests.support.client import Web


def studies(html: str) -> list[str]:
    return re.findall(r'<tr class="item[^"]*"[^>]* data-study="([0-9.]+)"', html)


def test_each_facility_sees_its_own(filled: Web) -> None:
    assert studies(filled.admin.get("/storage").text) == ["1.2.3.2", "1.2.3.3", "1.2.3.1"]
    assert studies(filled.bob.get("/storage").text) == ["1.2.3.2", "1.2.3.1"]
    assert studies(filled.dora.get("/storage").text) == ["1.2.3.3"]
    assert studies(filled.dora.get("/").text) == ["1.2.3.3"]


@pytest.mark.parametrize("part", ["series", "panel"])
def test_another_facilitys_study_does_not_exist(filled: Web, part: str) -> None:
    assert filled.bob.get(f"/storage/studies/1.2.3.1/{part}").status_code == 200
    assert filled.dora.get(f"/storage/studies/1.2.3.1/{part}").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=ram", ["1.2.3.2"]),
        ("q=lucia+ramirez", ["1.2.3.2"]),
        ("name=吉洞+洪", ["1.2.3.1"]),
        ("acc=N", ["1.2.3.1"]),
        ("date=2025", ["1.2.3.2"]),
        ("mod=MR", []),
        ("mod=CT&mod=MR&date=2024", ["1.2.3.3", "1.2.3.1"]),
        ("id=P&sort=name", ["1.2.3.3", "1.2.3.1", "1.2.3.2"]),
    ],
)
def test_the_filter_row_finds(filled: Web, query: str, found: list[str]) -> None:
    answer = filled.admin.get(f"/storage?{query}")
    assert answer.status_code == 200
    assert studies(answer.text) == found


def test_names_are_data(filled: Web) -> None:
    for page in ("/storage", "/", "/storage/studies/1.2.3.3/panel"):
        text = filled.admin.get(page).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def test_the_next_rows_follow_without_gap(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pages.storage.PAGE", 2)
    for n in range(5):
        put(web, sop=f"1.2.9.{n}.1.1", study=f"1.2.9.{n}", series=f"1.2.9.{n}.1", StudyDate=f"2024010{n + 1}")
    found, address = [], "/storage"
    while address:
        answer = web.admin.get(address, headers={"HX-Request": "true", "HX-Request-Type": "partial"})
        found += studies(answer.text)
        more = re.search(r'hx-get="(/storage\?[^"]*cursor=[^"]+)"', answer.text)
        address = more.group(1).replace("&amp;", "&") if more else ""
        assert len(found) <= 5
    assert found == [f"1.2.9.{n}" for n in (4, 3, 2, 1, 0)]


def test_a_role_sees_only_the_actions_it_may_do(filled: Web) -> None:
    acts = lambda client: set(re.findall(r'data-act="(\w+)"', client.get("/storage").text))  # noqa: E731
    assert "delete" in acts(filled.admin)
    assert acts(filled.bob) == {"view", "print", "send", "export", "anonymize"}
    assert acts(filled.charlie) == {"view"}


def test_settings_are_for_administrators(filled: Web) -> None:
    assert 'href="/settings"' in filled.admin.get("/storage").text
    assert 'href="/settings"' not in filled.bob.get("/storage").text


def test_a_conflict_is_shown_to_administrators_and_decided(filled: Web) -> None:
    north = facility(filled, "North")
    assert put(filled, facility_id=north, PatientName="Hong^Gildong=洪^吉洞", StudyDescription="Other") == "conflict"
    assert "on hold" in filled.admin.get("/storage").text
    assert 'href="/conflicts"' not in filled.bob.get("/storage").text
    assert filled.bob.get("/conflicts").status_code == 403
    page = filled.admin.get("/conflicts").text
    assert "Same object, different content" in page
    assert '<span class="title">Hong, Gildong' in page, "who decides sees whose study it is"
    told = re.sub(r"<[^>]+>|\s+", " ", page)
    told = re.sub(" +", " ", told)
    assert "Accession Number (0008,0050) N1 A1" in told, "the stored value, then the later"
    assert re.search(r"Study Description \(0008,1030\) [^(]* Other ", told)
    assert "Replace deletes the stored object" in page
    [conflict] = re.findall(r'id="c-([^"]+)"', page)
    answer = filled.admin.post(f"/conflicts/{conflict}", data={"decision": "keep-first"})
    assert answer.status_code == 303
    assert 'id="c-' not in filled.admin.get("/conflicts").text
    trail = filled.admin.get("/api/v1/audit?verb=conflict.decide").json()["items"]
    assert next(one["thing_id"] for one in trail if one["thing"] == "study") == "1.2.3.1"


def test_a_conflict_says_what_overwriting_would_delete(filled: Web) -> None:
    north = facility(filled, "North")
    assert put(filled, facility_id=north, PatientID="Another") == "conflict"
    page = filled.admin.get("/conflicts").text
    assert "Same object, different content" in page
    assert put(filled, facility_id=north, PatientID="Another", sop="1.2.3.1.77.1") == "conflict"
    page = filled.admin.get("/conflicts").text
    assert "Same study, different patient" in page
    assert "Replace deletes the stored study of the other patient with all its objects" in page


def test_conflicts_of_one_study_are_decided_together(filled: Web) -> None:
    north = facility(filled, "North")
    for n in (77, 78, 79):
        assert put(filled, facility_id=north, PatientID="Another", sop=f"1.2.3.1.{n}.1") == "conflict"
    page = filled.admin.get("/conflicts").text
    assert page.count("Same study, different patient") == 1 and "3 / 3" in page and ">Another</td>" in page
    chosen = re.findall(r'name="conflict" value="([^"]+)"', page)
    assert len(chosen) == 3 and page.count("The 3 later objects are deleted.") == 1
    assert all(
        "data-sure" in button for button in re.findall(r'<button[^>]*value="(?:keep-first|overwrite)"[^>]*>', page)
    )
    first = filled.admin.post(f"/conflicts/{chosen[0]}", data={"decision": "keep-first"})
    assert first.status_code == 303
    assert (
        filled.admin.post("/conflicts/together", data={"decision": "keep-first", "conflict": chosen}).status_code == 303
    )
    assert "No conflicts" in filled.admin.get("/conflicts").text


def test_versions_of_one_object_are_chosen_from(filled: Web) -> None:
    """Overwriting by both in turn lost the first of them."""
    north = facility(filled, "North")
    for words in ("B", "C"):
        assert put(filled, facility_id=north, PatientName="Hong^Gildong", StudyDescription=words) == "conflict"
    cut = ct_bytes(PatientName="Hong^Gildong", StudyDescription="D")[:-6]
    incoming = filled.services.archive.receive(Source(kind="upload", calling_ae="CUTTER", facility_id=north))
    incoming.write(cut)
    assert filled.services.archive.ingest(incoming).status == "conflict"
    page = filled.admin.get("/conflicts").text
    assert "3 later versions of one object: select one." in page and "1 object, 3 later versions" in page
    whole, _, single = page.partition("<details")
    assert 'value="overwrite"' not in whole and 'value="save-as-new"' not in whole
    assert single.count('value="overwrite"') == 3 and single.count("/picture") == 3
    assert "The pixel data ends early: the file is truncated." in single and "CUTTER" in single
    [sure] = {one for one in re.findall(r'data-sure="([^"]+)"', single) if "Replace deletes" in one}
    assert (
        sure.startswith("Hong, Gildong") and "1.2.3.1.1.1: " in sure and "The other versions remain unresolved." in sure
    )
    ids = re.findall(r'id="c-([^"]+)"', single)
    for decision in ("overwrite", "save-as-new"):
        refused = filled.admin.post("/conflicts/together", data={"decision": decision, "conflict": ids})
        assert refused.status_code == 409 and "select one" in refused.text
        refused = filled.admin.post(f"/api/v1/conflicts/{ids[0]}/decision", json={"decision": decision})
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "This object has 3 later versions: select one.",
        )
    assert re.findall(r'id="c-([^"]+)"', filled.admin.get("/conflicts").text) == ids, "nothing was changed"
    picture = filled.admin.get(f"/conflicts/{ids[-1]}/picture")
    assert (picture.status_code, picture.content[:2]) == (200, b"\xff\xd8")
    assert filled.bob.get(f"/conflicts/{ids[-1]}/picture").status_code == 403
    answer = filled.admin.post(f"/conflicts/{ids[1]}", data={"decision": "overwrite"})
    page = filled.admin.get(answer.headers["location"]).text
    assert "The later object replaces the stored one. 2 other versions of this object remain unresolved." in page
    assert set(re.findall(r'id="c-([^"]+)"', page)) == {ids[0], ids[2]}
    audit = filled.admin.get("/settings/audit?verb=conflict.decide").text
    assert re.search(r'title="Replace">Replace', audit), "the row says which decision"


def test_a_study_of_several_senders_counts_for_them_by_name(filled: Web) -> None:
    north = facility(filled, "North")
    assert put(filled, facility_id=north, sop="1.2.3.1.1.77", PatientName="Hong^Gildong") == "stored"
    incoming = filled.services.archive.receive(Source(kind="upload", actor_name="bob", facility_id=north))
    incoming.write(ct_bytes("1.2.3.1.1.78", PatientName="Hong^Gildong"))
    assert filled.services.archive.ingest(incoming).status == "stored"
    page = filled.admin.get("/").text
    assert "several" in page and "\\" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)


def test_an_arrival_without_a_name_shows_its_patient_id(filled: Web) -> None:
    where = {"sop": "1.2.3.9.1.1", "study": "1.2.3.9", "series": "1.2.3.9.1"}
    assert put(filled, facility_id=facility(filled, "North"), **where, PatientName="", PatientID="NN-4711") == "stored"
    page = filled.admin.get("/").text
    assert re.search(r'>No name</a> <span class="alt mono">NN-4711</span>', page)


@pytest.mark.parametrize(
    ("before", "back"),
    [
        ("http://testserver/storage?mod=CT", "/storage?mod=CT"),
        ("http://elsewhere.example/storage", "/viewer?study=1.2.3.1"),
        ("http://testserver/print?study=1.2.3.1", "/viewer?study=1.2.3.1"),
    ],
)
def test_the_composer_goes_back_to_the_page_before(filled: Web, before: str, back: str) -> None:
    page = filled.admin.get("/print?study=1.2.3.1", headers={"Referer": before}).text
    assert f'href="{back}" aria-label="Back"' in page or re.search(rf'<a[^>]*href="{re.escape(back)}"[^>]*Back', page)


def test_the_first_row_is_not_opened_by_being_the_first(filled: Web) -> None:
    """Its panel says what the row says; the trace of an opened study is for those that somebody chose."""

    def looks() -> int:
        return int(filled.admin.get("/api/v1/audit?verb=study.view&thing_id=1.2.3.1").json()["total"])

    first = filled.bob.get("/storage/studies/1.2.3.1/panel?first=1").text
    assert "Hong, Gildong" in first and "/thumbnail" not in first and "History" not in first and looks() == 0
    assert "/thumbnail" in filled.bob.get("/storage/studies/1.2.3.1/panel").text and looks() == 1


def test_theme_and_language_work_without_script(web: Web) -> None:
    back = {"Referer": "http://testserver/storage?mod=CT"}
    answer = web.bob.post("/preferences/theme", data={"theme": "contrast"}, headers=back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/storage?mod=CT")
    assert 'data-theme="contrast"' in web.bob.get("/storage").text
    assert web.bob.post("/preferences/language", data={"language": "es"}, headers=back).status_code == 303
    assert '<html lang="es"' in web.bob.get("/storage").text
    away = {"Referer": "http://elsewhere.example//evil"}
    assert web.bob.post("/preferences/theme", data={"theme": ""}, headers=away).headers["location"] == "/"
    assert web.bob.post("/preferences/theme", data={"theme": "pink"}).status_code == 422


def heads(html: str) -> list[str]:
    """The columns after the patient's, by their class."""
    row = html[html.index("<thead>") : html.index('<tr class="filters">')]
    return re.findall(r'<th[^>]*class="c-(\w+)', row)[1:]  # without the one that unfolds


def choose(web: Web, *columns: str, do: str = "", back: str = "/storage") -> Response:
    return web.admin.post(
        "/storage/columns", data={"column": list(columns), "do": do, "back": back}, follow_redirects=False
    )


def test_a_person_chooses_the_columns_and_their_order(filled: Web) -> None:
    usual = heads(filled.admin.get("/storage").text)
    assert usual == ["id", "born", "age", "date", "mod", "desc", "acc", "fac", "images", "state"]
    assert (
        choose(filled, "date", "ref", "from", "acc", back="/storage?name=hong").headers["location"]
        == "/storage?name=hong"
    )
    shown = filled.admin.get("/storage")
    assert heads(shown.text) == ["date", "ref", "from", "acc"]
    assert "CT_A801" in shown.text
    assert "N1" in filled.admin.get("/storage/rows").text and "洪" in filled.admin.get("/storage/rows").text
    assert heads(filled.bob.get("/storage").text) == [one for one in usual if one != "fac"], "another person's stay"
    choose(filled, "date", "ref", "from", do="up:from")
    assert heads(filled.admin.get("/storage").text) == ["date", "from", "ref"]
    choose(filled, "date", do="usual")
    assert heads(filled.admin.get("/storage").text) == usual


def test_what_no_column_shows_stays_filtered_and_strangers_are_passed_over(filled: Web) -> None:
    choose(filled, "date", "nothing", "date", "password", back="//evil.example/")
    shown = filled.admin.get("/storage?acc=N1&mod=CT")
    assert heads(shown.text) == ["date"]
    assert '<input type="hidden" name="acc" value="N1">' in shown.text
    assert '<input type="hidden" name="mod" value="CT">' in shown.text
    assert choose(filled, back="//evil.example/").headers["location"] == "/"
    assert len(heads(filled.admin.get("/storage").text)) == 10, "none at all is the usual choice"
