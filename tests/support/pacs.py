"""Archives to query and retrieve from: DCMTK's dcmqrscp, and studies made for the purpose."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from tests.support import dcmtk
from tests.support.postgres import free_port
from tests.support.waiting import eventually

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ROOT = "1.2.826.0.1.3680043.9.7100"


@dataclass(frozen=True)
class Made:
    """One study on the disk. series: Series Instance UID -> its SOP Instance UIDs."""

    uid: str
    files: list[Path]
    series: dict[str, list[str]]

    @property
    def instances(self) -> list[str]:
        return [uid for uids in self.series.values() for uid in uids]


def make_study(
    folder: Path,
    number: int,
    *,
    name: str = "Ramírez^Lucía",
    patient_id: str = "80-11862",
    series: Sequence[tuple[str, int]] = (("CT", 3), ("CT", 2)),
    date: str = "20260903",
    description: str = "Abdomen and pelvis",
    accession: str = "A-2609-0114",
    charset: str = "ISO_IR 192",
    side: int = 16,
) -> Made:
    """series: (modality, images) of each."""
    folder.mkdir(parents=True, exist_ok=True)
    study = f"{ROOT}.{number}"
    files, made = [], {}
    for s, (modality, count) in enumerate(series, 1):
        uids = []
        for i in range(1, count + 1):
            ds = Dataset()
            ds.SpecificCharacterSet = charset
            ds.SOPClassUID = MR if modality == "MR" else CT
            ds.SOPInstanceUID = f"{study}.{s}.{i}"
            ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.{s}"
            ds.StudyDate, ds.StudyTime, ds.StudyID = date, "102000", str(number)
            ds.AccessionNumber, ds.Modality, ds.StudyDescription = accession, modality, description
            ds.SeriesDescription = f"{modality} {s}"
            ds.SeriesNumber, ds.InstanceNumber = s, i
            ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = name, patient_id, "19610202", "F"
            ds.ReferringPhysicianName = ""
            ds.Rows = ds.Columns = side
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
            chance = np.random.default_rng(number * 1000 + s * 100 + i)
            ds.PixelData = chance.integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            path = folder / f"{number}-{s}-{i}.dcm"
            ds.save_as(path, enforce_file_format=True)
            files.append(path)
            uids.append(str(ds.SOPInstanceUID))
        made[f"{study}.{s}"] = uids
    return Made(study, files, made)


def make_two_studies(folder: Path) -> list[Made]:
    """Two studies of two patients whose names begin alike."""
    return [
        make_study(folder, 1),
        make_study(folder, 2, name="Ramos^Teófilo", patient_id="74-30118", series=[("MR", 2)], date="20260312"),
    ]


@contextlib.contextmanager
def dcmqrscp(
    folder: Path,
    our_port: int,
    *,
    title: str = "DCMQR",
    destinations: str = "FILMROOM",
    more: str = "",
    rights: str = "RW",
) -> Iterator[int]:
    """A dcmqrscp with an empty archive that knows us as FILMROOM; its port. more: further lines of its table of hosts;
    rights: R for one that stores nothing."""
    port = free_port()
    store = folder / "store"
    store.mkdir(parents=True)
    (folder / "qr.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 65536\nMaxAssociations = 32\n"
        f"HostTable BEGIN\nus = ({destinations}, 127.0.0.1, {our_port})\n{more}HostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{title} {store} {rights} (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [dcmtk.program("dcmqrscp"), "-v", "-c", str(folder / "qr.cfg")],
            stdout=log,
            stderr=log,
            env=os.environ | dcmtk.QUICK,
        )
    try:
        eventually(
            lambda: dcmtk.echoscu(port, title).code == 0, f"dcmqrscp answers (log: {folder / 'log'})", process=process
        )
        yield port
    finally:
        process.terminate()
        process.wait(60)
