"""A destination of the chaos run: `python -m tests.chaos.pacs PORT TITLE LEDGER CONTROL`. Made with pynetdicom, so that the
judge is not the stack that is judged.

Each object is written to the ledger (time, UID, digest, status) before it is answered. The digest is the SHA-256 of the
data set's bytes; of an object that came as JPEG-LS it is that of the pixels and whose they are (`of_pixels`). The
control file says how it behaves: `ok`, `slow SECONDS`, `full` (0xA700), `refuse` (0xC000), `reset` (the connection is
cut in the middle of an answer)."""

import hashlib
import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

JPEG_LS = "1.2.840.10008.1.2.4.80"
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", JPEG_LS]


def of_pixels(uid: str, patient_id: str, pixels: bytes) -> str:
    """What two encodings of one object have in common."""
    return hashlib.sha256(f"{uid} {patient_id} ".encode() + pixels).hexdigest()


def _digest(event: Any) -> str:
    if event.context.transfer_syntax != JPEG_LS:
        return hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
    from imagecodecs import jpegls_decode
    from pydicom.encaps import generate_frames

    ds = event.dataset
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    return of_pixels(str(ds.SOPInstanceUID), str(ds.PatientID), jpegls_decode(frame).tobytes())


class Pacs:
    def __init__(self, ledger: Path, control: Path) -> None:
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.control = control

    def behaviour(self) -> list[str]:
        try:
            return self.control.read_text().split() or ["ok"]
        except OSError:
            return ["ok"]

    def store(self, event: Any) -> int:
        how = self.behaviour()
        uid = str(event.request.AffectedSOPInstanceUID)
        status = {"full": 0xA700, "refuse": 0xC000}.get(how[0], 0x0000)
        line = f"{time.time():.3f} {uid} {_digest(event)} {status:04X}\n"
        os.write(self.ledger, line.encode())
        if how[0] == "slow":
            time.sleep(float(how[1]))  # a slow peer
        if how[0] == "reset":
            connection = event.assoc.dul.socket.socket
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        return status


def main(port: int, title: str, ledger: Path, control: Path) -> None:
    pacs = Pacs(ledger, control)
    ae = AE(title)
    ae.maximum_pdu_size = 131072
    ae.maximum_associations = 20
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, SYNTAXES)
    ae.add_supported_context(Verification)
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, pacs.store)])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
