"""The hand scanner sees what pydicom sees, in every file there is."""

import os
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from app.dicom import kept
from app.dicom.header import Header, NotDicom, scan
from app.dicom.walk import WANTED

PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def read(path: Path) -> Header | str:
    with path.open("rb") as file:
        try:
            return scan(file.fileno(), os.fstat(file.fileno()).st_size)
        except NotDicom as no:
            return str(no)


def files(folder: Path) -> list[Path]:
    package = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(p for f in (folder, package) for p in f.rglob("*") if p.is_file())


def theirs(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, force=True)
        except Exception:
            return None


def keys_of(dataset: Dataset) -> list[int]:
    """Iterating a Dataset would read every value."""
    return [int(t) for t in dataset.keys()]  # noqa: SIM118


def _clean(value: object) -> str:
    return ("" if value is None else str(value)).replace("\0", "").strip().rstrip("=^")


@pytest.mark.slow
def test_all_real_files_read_as_pydicom_reads_them(shared_data: Path) -> None:
    compared = 0
    for path in files(shared_data):
        if path.name == "j2k_too_short_meta.dcm":
            continue  # pydicom believes a false group length there and loses the data set; we do not
        header, dataset = read(path), theirs(path)
        if isinstance(header, str):
            if dataset is not None:  # refused: pydicom cannot find what is required either
                missing = [
                    k
                    for k in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
                    if not dataset.get(k)
                ]
                assert missing, (path, header)
            continue
        assert dataset is not None, path
        _same_texts(path, header, dataset)
        _same_elements(path, header, dataset)
        _same_pixels(path, header, dataset)
        compared += 1
    assert compared > 450


def _same_texts(path: Path, header: Header, dataset: Dataset) -> None:
    for tag in (0x00100020, 0x00081030, 0x0008103E, 0x00080080, 0x00080060, 0x0020000D, 0x00080018, 0x00200013):
        element = dataset.get(tag)
        value = "" if element is None else element.value
        first = value[0] if isinstance(value, (list, pydicom.multival.MultiValue)) and value else value
        assert header.text(tag) == _clean(first), (path, hex(tag))
    if dataset.get("PatientName"):
        assert header.name(0x00100010) == _clean(dataset.PatientName), path


def _same_elements(path: Path, header: Header, dataset: Dataset) -> None:
    ours = kept.unpack(header.kept)
    bulk = {b.tag for b in kept.bulks(header.kept)}
    expected = set(keys_of(dataset)) - PIXELS - {0xFFFCFFFC, 0x7FE00001, 0x7FE00002}
    if header.pixel_bytes == -1:  # what follows encapsulated pixel data stays in the file only
        expected = {t for t in expected if t < 0x7FE00010}
    got = set(keys_of(ours)) - {0x7FE00001, 0x7FE00002}
    if not header.warnings:
        assert got | bulk == expected, path
    for tag in got:
        assert ours[tag].value == dataset[tag].value or str(ours[tag]) == str(dataset[tag]), (path, hex(tag))
    assert set(header.values) <= WANTED


def _same_pixels(path: Path, header: Header, dataset: Dataset) -> None:
    found = next((dataset[t] for t in PIXELS if t in dataset), None)
    assert (found is not None) == bool(header.pixel_tag), path
    if found is None or header.deflated or header.pixel_bytes is None or header.pixel_offset is None:
        return
    raw = path.read_bytes()
    if header.pixel_bytes >= 0:
        assert raw[header.pixel_offset : header.pixel_offset + header.pixel_bytes] == found.value, path
    else:
        assert raw[header.pixel_offset : header.pixel_offset + 4] == b"\xfe\xff\x00\xe0", path


@pytest.mark.parametrize("name", ["chr_Arab", "chr_Greek", "chr_H31", "chr_I2", "chr_X1", "chr_X2", "chr_KoreanMulti"])
def test_character_sets(shared_data: Path, name: str) -> None:
    path = shared_data / "charset" / f"{name}.dcm"
    header, dataset = read(path), theirs(path)
    assert isinstance(header, Header) and dataset is not None
    assert header.name(0x00100010) == _clean(dataset.PatientName)
    assert not header.name(0x00100010).isascii()
