"""PostgreSQL under load: four senders of one-object studies, which settle meanwhile, and the database stopped and started in the
middle. Nothing acknowledged is lost, and no sender hears anything but success, or "come again" while the database is away."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.support import postgres
from tests.support.live import Live, running
from tests.support.sender import Prepared, Sender, make_ct, renumber
from tests.support.waiting import pace

pytestmark = [pytest.mark.slow, pytest.mark.peer]
SENDERS = 4
SEED = 22
STUDY, SERIES = "1.2.826.0.1.3680043.10.1000000000000000001", "1.2.826.0.1.3680043.10.1000000000000000002"


@dataclass
class _Load:
    """What all senders did. away: whether the database is."""

    until: float
    acknowledged: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    put_off: int = 0
    away: threading.Event = field(default_factory=threading.Event)


def _one_object_study(template: Prepared, dice: random.Random) -> Prepared:
    def digits(length: int) -> str:
        return "".join(dice.choices("123456789", k=length))

    instance = template.sop_instance_uid[:-18] + digits(18)
    return renumber(template, instance, STUDY, STUDY[:-18] + digits(18), SERIES, SERIES[:-18] + digits(18))


def _send(live: Live, number: int, load: _Load) -> None:
    dice = random.Random(SEED * 100 + number)
    template = make_ct(STUDY, SERIES, 1, size=16)
    try:
        sender = Sender(live.dicom_port)
        while time.monotonic() < load.until:
            item = _one_object_study(template, dice)
            while True:
                was_away = load.away.is_set()
                status, words = sender.send(item)
                if status == 0:
                    load.acknowledged.append(item.sop_instance_uid)
                    break
                if status & 0xFF00 != 0xA700 or not (was_away or load.away.is_set()):
                    load.errors.append(f"{status:04X} {words}")
                    break
                load.put_off += 1
                pace(0.1)
        sender.release()
    except Exception as fault:
        load.errors.append(repr(fault))


def _run(tmp_path: Path, seconds: float) -> None:
    with (
        postgres.cluster() as cluster,
        postgres.database(cluster.url) as url,
        running(tmp_path / "data", "--database-url", url, "--receivers", "2", "--workers", "2") as live,
    ):
        load = _Load(time.monotonic() + seconds)
        senders = [threading.Thread(target=_send, args=(live, number, load)) for number in range(SENDERS)]
        for one in senders:
            one.start()
        time.sleep(seconds * 0.75)  # the load itself: until then the first studies settle
        load.away.set()
        cluster.stop()
        time.sleep(1.5)  # how long the database is away
        cluster.start()
        live.wait_ready()
        load.until = max(load.until, time.monotonic() + 2)  # it works again
        before = len(load.acknowledged)
        time.sleep(1)  # load after the return, in which errors still count as expected
        load.away.clear()
        for one in senders:
            one.join(60)
            assert not one.is_alive()
        assert not load.errors, load.errors[:10]
        assert load.put_off and len(load.acknowledged) > before > 0
        with psycopg.connect(url) as connection:
            stored = dict(connection.execute("SELECT sop_instance_uid, path FROM instance").fetchall())
            settled = connection.execute("SELECT count(*) FROM study WHERE state = 'settled'").fetchone()
        lost = [
            uid for uid in load.acknowledged if uid not in stored or not (live.data / "store" / stored[uid]).exists()
        ]
        assert not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged objects are gone"
        assert settled and settled[0], "studies settled meanwhile"
        log = (cluster.folder / "log").read_text()
        assert "deadlock detected" not in log, log[log.index("deadlock detected") :][:2000]
        lines = [line for path in (live.data / "logs").iterdir() for line in path.read_text().splitlines()]
        away = [line for line in lines if ("cannot be reached" in line and " ERROR " in line) or "Traceback" in line]
        assert len(away) < 30, "one line a minute and process, no traces"
        print(f"{len(load.acknowledged)} acknowledged, {load.put_off} put off, {len(lines)} log lines")


def test_a_sample_of_the_load(tmp_path: Path) -> None:
    _run(tmp_path, 9)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_minute_of_load(tmp_path: Path) -> None:
    _run(tmp_path, 60)
