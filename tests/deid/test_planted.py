"""Nothing that was planted comes out."""

from io import BytesIO

import pytest
from pydicom import dcmread

from app.deid.files import anonymize
from app.deid.profile import PROFILES, resolve
from app.deid.pseudonym import Pseudonyms
from tests.deid.planted import planted_object

KEY = Pseudonyms(b"k" * 32)


@pytest.mark.parametrize("profile", ["basic"])
def test_no_planted_identifier_leaves(profile: str) -> None:
    data, planted = planted_object()
    assert len(planted) >= 760
    assert all(token in data for token in planted), "the planting itself must work"
    out = BytesIO()
    anonymize(BytesIO(data), out, resolve(profile), KEY)
    clean = out.getvalue()
    leaked = {where: token for token, where in planted.items() if token in clean}
    assert not leaked


def test_every_profile_is_readable_afterwards() -> None:
    data, _ = planted_object()
    for name in PROFILES:
        out = BytesIO()
        anonymize(BytesIO(data), out, resolve(name), KEY)
        again = dcmread(BytesIO(out.getvalue()))
        assert again.PixelData == b"\x01\x02" * 128
        str(again)
