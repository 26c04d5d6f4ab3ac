"""Some attributes of a kept header are what reading all of it says, for every real file and for every hostile one."""

from pathlib import Path

import pytest

from app.dicom import dicomjson, kept
from app.dicom.header import NotDicom, scan
from app.dicom.picking import pick
from tests.support import hostile, samples

TAGS = (
    0x00080016, 0x00080060, 0x00080080, 0x00081030, 0x00081032, 0x00081111, 0x00081140, 0x00100010, 0x00180060,
    0x0020000D, 0x00280010, 0x00400275, 0x0040A730, 0x00540016, 0x30060020, 0x52009229, 0x52009230,
)  # fmt: skip


def _header(path: Path) -> bytes | None:
    with path.open("rb") as file:
        try:
            return scan(file.fileno(), path.stat().st_size).kept
        except NotDicom:
            return None


def test_it_says_what_the_whole_header_says(shared_data: Path) -> None:
    seen = found = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.suffix in (".csv", ".json", ".txt", ".md") or (raw := _header(path)) is None:
            continue
        whole, some = kept.unpack(raw), pick(raw, TAGS)
        assert [int(e.tag) for e in some] == [t for t in sorted((*TAGS, 0x00080005)) if t in whole], path
        same = {tag: element for tag, element in dicomjson.to_json(whole).items() if int(tag, 16) in TAGS}
        assert {t: e for t, e in dicomjson.to_json(some).items() if t != "00080005"} == {
            t: e for t, e in same.items() if t != "00080005"
        }, path
        seen, found = seen + 1, found + len(some)
    assert seen > (300 if samples.is_whole(shared_data) else 200) and found > 1000


@pytest.mark.parametrize("bad", [b for b in hostile.catalogue() if not b.is_zip], ids=lambda b: b.name)
def test_nothing_of_a_stranger_breaks_it(bad: hostile.Bad, tmp_path: Path) -> None:
    (tmp_path / "bad.dcm").write_bytes(bad.make("1.2.3.9"))
    raw = _header(tmp_path / "bad.dcm")
    if raw is not None:
        pick(raw, TAGS)
        pick(raw, (0x00210010, 0x00080001))
