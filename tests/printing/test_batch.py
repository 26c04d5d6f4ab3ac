"""Several prints in one request: all are queued or none, and a repeated request orders nothing again."""

from pathlib import Path
from typing import Any

from app.printing.settings import PrintSettings
from app.settings import save
from tests.archive.make import ct_bytes
from tests.printing.conftest import Printer, Store
from tests.support.client import Web

KEY = "0123456789abcdef"


def _two(store: Store, tmp_path: Path) -> list[dict[str, Any]]:
    """Orders for two patients; only the image of the first has a pixel spacing."""
    for number, more in ((1, {"PixelSpacing": [0.5, 0.5]}), (2, {})):
        made = ct_bytes(f"1.2.9{number}.1.1", f"1.2.9{number}", f"1.2.9{number}.1", PatientID=f"P{number}", **more)
        (tmp_path / f"{number}.dcm").write_bytes(made)
    uids = store([tmp_path / "1.dcm", tmp_path / "2.dcm"])
    return [{"items": [{"sop_instance_uid": uid}]} for uid in uids]


def _total(web: Web) -> int:
    total: int = web.bob.get("/api/v1/prints").json()["total"]
    return total


def test_all_prints_of_a_batch_are_queued_and_made(web: Web, printer: Printer, store: Store, tmp_path: Path) -> None:
    answer = web.bob.post("/api/v1/prints/batch", json={"prints": _two(store, tmp_path)})
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert not made["repeated"] and [one["study_instance_uid"] for one in made["items"]] == ["1.2.91", "1.2.92"]
    assert printer.work() == 2
    assert [one["state"] for one in web.bob.get("/api/v1/prints").json()["items"]] == ["done", "done"]


def test_a_refused_print_queues_none_of_the_batch_and_is_named(web: Web, store: Store, tmp_path: Path) -> None:
    orders = [{**one, "scaling": "actual"} for one in _two(store, tmp_path)]
    answer = web.bob.post("/api/v1/prints/batch", json={"prints": orders, "key": KEY})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "prints-refused", "prints.1.scaling")
    (refused,) = problem["errors"]
    assert refused["field"] == "prints.1.scaling" and "its pixel size is unknown" in refused["message"]
    assert "1 of 2 prints" in problem["detail"] and _total(web) == 0
    spanish = web.bob.post("/api/v1/prints/batch", json={"prints": orders}, headers={"Accept-Language": "es"}).json()
    assert spanish["errors"][0]["message"] != refused["message"] and spanish["detail"] != problem["detail"]
    # The form names a field of a malformed order the same way, and a batch of one answers with the fault itself.
    orders[0]["layout"] = "9x9"
    assert web.bob.post("/api/v1/prints/batch", json={"prints": orders}).json()["field"] == "prints.0.layout"
    alone = web.bob.post("/api/v1/prints/batch", json={"prints": orders[1:]}).json()
    assert (alone["code"], alone["field"]) == ("actual-size-impossible", "scaling")
    corrected = [{**one, "scaling": "fit", "layout": "1x1"} for one in orders]
    assert web.bob.post("/api/v1/prints/batch", json={"prints": corrected, "key": KEY}).status_code == 202
    assert _total(web) == 2


def test_the_same_key_orders_once(web: Web, store: Store, tmp_path: Path) -> None:
    orders = _two(store, tmp_path)
    body = {"prints": orders, "key": KEY}
    first = web.bob.post("/api/v1/prints/batch", json=body).json()
    again = web.bob.post("/api/v1/prints/batch", json=body)
    assert again.status_code == 202 and again.json()["repeated"]
    assert [one["id"] for one in again.json()["items"]] == [one["id"] for one in first["items"]]
    assert "batch" not in first["items"][0]["options"] and _total(web) == 2
    other = web.bob.post("/api/v1/prints/batch", json={"prints": orders[:1], "key": KEY})
    assert (other.status_code, other.json()["field"]) == (409, "key")
    # A key belongs to its user, and without a key every request is an order.
    assert not web.admin.post("/api/v1/prints/batch", json=body).json()["repeated"]
    assert not web.bob.post("/api/v1/prints/batch", json={"prints": orders}).json()["repeated"]


def test_a_repeated_batch_with_another_password_is_refused(web: Web, store: Store, tmp_path: Path) -> None:
    orders = _two(store, tmp_path)
    sealed = [{**one, "password": "Tulip-7"} for one in orders]
    for sent, changed in ((orders, sealed), (sealed, [sealed[0], {**sealed[1], "password": "Tulip-8"}])):
        key = f"{KEY}-{len(sent[0])}"
        assert web.bob.post("/api/v1/prints/batch", json={"prints": sent, "key": key}).status_code == 202
        refused = web.bob.post("/api/v1/prints/batch", json={"prints": changed, "key": key})
        assert (refused.status_code, refused.json()["field"]) == (409, "key")
        assert "another password" in refused.json()["detail"]
        assert web.bob.post("/api/v1/prints/batch", json={"prints": sent, "key": key}).json()["repeated"]


def test_a_batch_of_which_prints_were_deleted_is_not_ordered_again(web: Web, store: Store, tmp_path: Path) -> None:
    body = {"prints": _two(store, tmp_path), "key": KEY}
    made = web.bob.post("/api/v1/prints/batch", json=body).json()["items"]
    for left, one in ((1, made[0]), (0, made[1])):
        assert web.bob.delete(f"/api/v1/prints/{one['id']}").status_code == 204
        again = web.bob.post("/api/v1/prints/batch", json=body)
        assert again.status_code == 409 and "deleted since" in again.json()["detail"] and _total(web) == left


def test_a_batch_is_refused_without_the_write_lock(web: Web, store: Store, tmp_path: Path) -> None:
    orders = [{**one, "scaling": "actual"} for one in _two(store, tmp_path)]
    assert _total(web) == 0  # signed in before the lock is taken
    with web.database.write():
        assert web.bob.post("/api/v1/prints/batch", json={"prints": orders}).json()["code"] == "prints-refused"
    with web.database.write() as session:
        save(session, PrintSettings(queued_per_user=1), "admin")
    with web.database.write():  # the quota comes before the images
        assert web.bob.post("/api/v1/prints/batch", json={"prints": orders}).status_code == 429


def test_a_batch_that_exceeds_the_queue_of_the_user_queues_nothing(web: Web, store: Store, tmp_path: Path) -> None:
    orders = _two(store, tmp_path)
    with web.database.write() as session:
        save(session, PrintSettings(queued_per_user=1), "admin")
    answer = web.bob.post("/api/v1/prints/batch", json={"prints": orders})
    assert answer.status_code == 429 and "2 prints cannot be added" in answer.json()["detail"] and _total(web) == 0
    assert web.bob.post("/api/v1/prints/batch", json={"prints": orders[:1]}).status_code == 202


def test_a_priority_is_a_number_and_unknown_keys_are_refused(web: Web, store: Store, tmp_path: Path) -> None:
    one = _two(store, tmp_path)[0]
    for wrong in (True, "9", " 5 ", 9.0):
        assert web.bob.post("/api/v1/prints", json={**one, "priority": wrong}).json()["field"] == "priority"
    made = web.bob.post("/api/v1/prints", json={**one, "priority": 9}).json()
    changed = web.admin.patch(f"/api/v1/prints/{made['id']}", json={"priority": 2, "colour": "red"})
    assert (changed.status_code, changed.json()["field"]) == (422, "colour")


def test_a_batch_shows_nothing_of_another_facility(web: Web, store: Store, tmp_path: Path) -> None:
    orders = _two(store, tmp_path)
    answer = web.dora.post("/api/v1/prints/batch", json={"prints": orders})
    assert answer.status_code in (403, 422)
    assert "pixel size" not in answer.text
