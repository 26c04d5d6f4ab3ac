"""Report of the changes, readable by the user who created the copy: tags, actions, counts, never a value."""

import json
import zlib
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.deid.profile import Profile
from app.deid.walker import EditCounts, describe
from app.kit.phrases import Phrase


def build(profile: Profile, tally: EditCounts, instances: int, skipped: dict[Phrase, int]) -> dict[str, Any]:
    """private: how many private attributes went, all together; they are not listed one by one."""
    lines, private = [], 0
    for (tag, action), count in sorted(tally.actions.items()):
        if tag >> 16 & 1:
            private += count
            continue
        lines.append(
            {"tag": f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "name": describe(tag), "action": action, "count": count}
        )
    return {
        "profile": profile.name,
        "options": list(profile.options.chosen()),
        "method": [{"code": code, "scheme": "DCM", "meaning": meaning} for code, meaning in profile.codes()],
        "instances": instances,
        "skipped": [{"reason": reason, "count": count} for reason, count in sorted(skipped.items())],
        "attributes": lines,
        "private_removed": private,
        "uids_replaced": len(tally.uids),
        "warnings": [{"text": text, "count": count} for text, count in sorted(tally.warnings.items())],
    }


def seal_uids(key: bytes, uids: dict[str, str]) -> bytes:
    """The cross-reference, unreadable without the key."""
    nonce = token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, zlib.compress(json.dumps(sorted(uids.items())).encode()), None)


def open_uids(key: bytes, sealed: bytes) -> list[tuple[str, str]]:
    plain = zlib.decompress(AESGCM(key).decrypt(sealed[:12], sealed[12:], None))
    return [(old, new) for old, new in json.loads(plain)]
