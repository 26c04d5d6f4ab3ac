"""Mutated PDUs against a real receiver with a real archive, over TCP.

A stream is what a caller sends on one connection: a valid talk (association, echoes, objects, queries, release) whose
PDUs are mutated, left out, doubled, put in another order. After each the receiver must close in time, without a fault
of ours in its log; in the end it must still serve, with no thread, file or memory more than before."""

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from functools import cache

from app.network import commands, pdu
from app.network.pdu import Context
from tests.archive.make import ct
from tests.fuzz.mutate import mutated
from tests.fuzz.watch import Faults, Report, handles
from tests.support.dimse import Station

CT, VERIFICATION, FIND, MOVE, GET, COMMIT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.1.1",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.1.20.1",
)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_IDS = {VERIFICATION: 1, CT: 3, FIND: 5, MOVE: 7, GET: 9, COMMIT: 11}
# Settings of the receiver: queries and retrievals of a stranger are served, or the fuzz would end at the interface.
OPEN = {"network_timeout": 5, "idle_timeout": 5, "artim": 2, "query_callers": "all"}
_HANG = 20.0  # seconds after which a connection that should have been closed counts as hung


@cache
def _object() -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False  # read by the writer
    ds = ct(sop="1.2.826.0.1.3680043.10.1.1")
    del ds.file_meta
    write_dataset(out, ds)
    return bytes(out.getvalue())


@cache
def _identifier() -> bytes:
    """A study query, Explicit VR Little Endian."""
    parts = ((0x0008, 0x0052, b"CS", b"STUDY "), (0x0010, 0x0010, b"PN", b"D*"), (0x0020, 0x000D, b"UI", b""))
    return b"".join(struct.pack("<HH2sH", g, e, vr, len(v)) + v for g, e, vr, v in parts)


def _command(chance: random.Random, sop_class: str, field: int, data: bool) -> bytes:
    elements: dict[int, int | str] = {
        commands.SOP_CLASS: sop_class,
        commands.COMMAND_FIELD: field,
        commands.MESSAGE_ID: chance.randrange(1, 65536),
        commands.PRIORITY: 0,
        commands.DATA_SET_TYPE: 0x0102 if data else commands.NO_DATA_SET,
    }
    if field == commands.C_STORE_RQ:
        elements[commands.SOP_INSTANCE] = "1.2.826.0.1.3680043.10.1.1"
    if field == 0x0021:  # C-MOVE-RQ
        elements[0x0600] = "NOWHERE"
    if field == 0x0130:  # N-ACTION-RQ
        elements[0x1001], elements[0x1008] = "1.2.840.10008.1.20.1.1", 1
        elements[0x0003] = COMMIT
    return commands.encode(elements)


def _message(chance: random.Random) -> list[bytes]:
    """One valid DIMSE message as PDUs, its data set in one to five fragments."""
    sop_class, field, data = chance.choice(
        (
            (VERIFICATION, commands.C_ECHO_RQ, b""),
            (CT, commands.C_STORE_RQ, _object()),
            (CT, commands.C_STORE_RQ, _object()),
            (FIND, 0x0020, _identifier()),
            (MOVE, 0x0021, _identifier()),
            (GET, 0x0010, _identifier()),
            (COMMIT, 0x0130, _identifier()),
            (FIND, commands.C_CANCEL_RQ, b""),
        )
    )
    number = _IDS[sop_class]
    pdus = [pdu.p_data(number, 3, _command(chance, sop_class, field, bool(data)))]
    size = max(1, len(data) // chance.randint(1, 5))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return pdus + [pdu.p_data(number, 2 if at == len(pieces) - 1 else 0, piece) for at, piece in enumerate(pieces)]


def stream(chance: random.Random) -> list[bytes]:
    """The PDUs of one connection, about two thirds of them after an association that stands."""
    contexts = [Context(number, sop_class, [EXPLICIT, IMPLICIT]) for sop_class, number in _IDS.items()]
    pdus = [pdu.encode_request("FILMROOM", "FUZZ", contexts, chance.choice((0, 4096, 16384, 131072)))]
    for _ in range(chance.randint(1, 8)):
        pdus += _message(chance)
    pdus.append(chance.choice((pdu.RELEASE_RQ_BYTES, pdu.encode_abort(0, 0), b"")))
    first = 0 if chance.random() < 0.3 else 1  # mutate the request itself in a third of the streams
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(first, len(pdus))
        way = chance.random()
        if way < 0.8:
            pdus[at] = mutated(chance, pdus[at])
        elif way < 0.87:
            del pdus[at]
        elif way < 0.94:
            pdus.insert(at, chance.choice(pdus))
        else:
            other = chance.randrange(first, len(pdus))
            pdus[at], pdus[other] = pdus[other], pdus[at]
        if len(pdus) <= first:
            break
    return pdus


def _talk(port: int, pdus: list[bytes]) -> str:
    """Sends them all, then waits for the end; how it ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=_HANG) as sock:
        reader = threading.Thread(target=_drain, args=(sock,), daemon=True)
        reader.start()
        with contextlib.suppress(OSError):
            for one in pdus:
                sock.sendall(one)
            sock.shutdown(socket.SHUT_WR)
        reader.join(_HANG)
        return "hung" if reader.is_alive() else "ended"


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def run(station: Station, count: int, seed: int) -> Report:
    """Sends at least so many PDUs, mutated ones among them."""
    report, before = Report(), (0, 0)
    with Faults() as faults:
        for number, pdus in enumerate(_streams(seed, count, report)):
            started = time.monotonic()
            report.count(_talk(station.port, pdus))
            report.worst = max(report.worst, time.monotonic() - started)
            if not before[0] and report.done >= count // 10:
                station.calm()
                report.level()
                before = threading.active_count(), handles()
            if faults.found:
                report.faults += [f"seed {seed}, stream {number}: {one}" for one in faults.found]
                faults.found.clear()
    station.calm()
    report.end()
    now = threading.active_count(), handles()
    if now[0] > before[0] + 2 or now[1] > before[1] + 4:
        report.faults.append(f"threads and files grew from {before} to {now}")
    return report


def _streams(seed: int, count: int, report: Report) -> Iterator[list[bytes]]:
    number = 0
    while report.done < count:
        pdus = stream(random.Random(f"{seed}-{number}"))
        number += 1
        report.done += len(pdus)
        yield pdus
