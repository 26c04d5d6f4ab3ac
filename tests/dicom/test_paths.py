"""The path rule of ARC-1, for any input."""

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.dicom.paths import object_path, safe_part

ANY = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="aAbB.~ _-1\\/\0\nçÇ", max_size=12),
    st.sampled_from(
        ["", ".", "..", "CON", "con", "NUL.txt", "COM1", "LPT9.dcm", "~", "../../etc/passwd", "C:\\x", "a" * 255]
    ),
)
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


@given(ANY)
def test_a_part_fits_every_file_system(raw: str) -> None:
    part = safe_part(raw)
    assert 1 <= len(part.encode()) <= 100
    assert part.isascii() and part.isprintable()
    assert not set(part) & set('/\\:*?"<>|')
    assert not part.startswith((".", " ", "~")) and not part.endswith((".", " "))
    assert part.split(".")[0].strip().lower() not in RESERVED


@given(ANY, ANY)
@example("PAT1", "pat1")
@example("a", "a~")
@example("", "_")
@example("é", unicodedata.normalize("NFD", "é"))
def test_two_texts_never_share_a_part_even_without_case(one: str, other: str) -> None:
    assert (safe_part(one).casefold() == safe_part(other).casefold()) == (one == other)


@given(st.tuples(ANY, ANY, ANY, ANY))
def test_an_object_stays_below_the_root(parts: tuple[str, str, str, str]) -> None:
    path = PurePosixPath(object_path(*parts))
    assert not path.is_absolute()
    assert len(path.parts) == 4 and ".." not in path.parts
    assert path.suffix == ".dcm"
    assert not any(part.startswith(".") for part in path.parts)


@given(st.tuples(ANY, ANY, ANY, ANY), st.tuples(ANY, ANY, ANY, ANY))
def test_two_objects_never_share_a_path(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (object_path(*one).casefold() == object_path(*other).casefold()) == (one == other)


@pytest.mark.parametrize("plain", ["PAT001", "1.2.840.10008.1", "DOE JANE", "A-1_B", "0"])
def test_ordinary_parts_stay_as_they_are(plain: str) -> None:
    assert safe_part(plain) == plain


def test_the_rule_does_not_change() -> None:
    """Stored paths are in the index, yet people and scripts rely on them: a change needs a migration."""
    assert object_path("P/1", "1.2", "1.2.3", "1.2.3.4") == "P_1~h7tbfbsfobbhdyywk3zuoxxkmi/1.2/1.2.3/1.2.3.4.dcm"
