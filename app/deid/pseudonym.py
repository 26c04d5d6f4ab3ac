"""Keyed replacements: the same secret and project give the same new UID, name and shift of days, forever; without the
secret none can be computed back or guessed (HMAC-SHA-256)."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import date, timedelta

_LONGEST_SHIFT = 3650  # days


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """key: the installation's secret for this purpose; project: what is to fit together has the same one."""

    key: bytes
    project: str = ""

    def _digest(self, kind: str, value: str) -> bytes:
        message = "\0".join((kind, self.project, value))
        return hmac.new(self.key, message.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()

    def uid(self, uid: str) -> str:
        """A new UID under 2.25 (PS3.5 B.2): 128 bits that look like a version 4 UUID."""
        raw = bytearray(self._digest("uid", uid)[:16])
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(raw, 'big')}"

    def patient(self, identity: str) -> str:
        """What stands as name and id: ANON and ten letters and digits."""
        return "ANON" + base64.b32encode(self._digest("patient", identity)[:8]).decode()[:10]

    def shift(self, identity: str) -> int:
        """Days that a patient's dates move into the past, 1 to 3650."""
        return int.from_bytes(self._digest("shift", identity)[:8], "big") % _LONGEST_SHIFT + 1


def shifted(value: str, days: int) -> str | None:
    """A DA or DT moved back by days, its time of day kept; None when it is no date (PS3.5 6.2)."""
    head, tail = value.strip()[:8], value.strip()[8:]
    try:
        day = date(int(head[:4]), int(head[4:6]), int(head[6:8])) if len(head) == 8 and head.isdigit() else None
        moved = day - timedelta(days=days) if day else None
    except (ValueError, OverflowError):
        return None
    return moved.strftime("%Y%m%d").rjust(8, "0") + tail if moved else None
