"""Keyed replacements: the same secret and project give the same new UID, name and shift of days, forever; without the
secret none can be computed back or guessed (HMAC-SHA-256)."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

_LONGEST_SHIFT = 3650  # days
_DAY = 24 * 3600 * 1_000_000  # microseconds


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
        """Replacement for name and id: ANON and ten letters and digits."""
        return "ANON" + base64.b32encode(self._digest("patient", identity)[:8]).decode()[:10]

    def shift(self, identity: str) -> timedelta:
        """How far a patient's moments go into the past: 1 to 3650 days, and less than a day to the microsecond."""
        days = int.from_bytes(self._digest("shift", identity)[:8], "big") % _LONGEST_SHIFT + 1
        clock = int.from_bytes(self._digest("clock", identity)[:8], "big") % (_DAY - 1) + 1
        return timedelta(days=days, microseconds=clock)
