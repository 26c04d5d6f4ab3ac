"""Peak memory of the roles while a 2 GB object comes in and is read again, above idle."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.bench.table import Row
from tests.support import live as live_server


def write_multiframe(path: Path, frames: int, size: int = 512) -> tuple[str, str, str]:
    """A multi-frame object of frames x size x size x 16 bit, streamed to disk. Answers study, series, instance UID."""
    from pydicom import Dataset, FileMetaDataset, dcmwrite
    from pydicom.dataset import FileDataset
    from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage as Kind

    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = Kind, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Bench^Large", "LARGE", "19700101", "O"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = (
        "20261120",
        "120000",
        "",
        "1",
        "",
    )
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.ConversionType = "OT", 1, 1, "WSD"
    ds.Rows = ds.Columns = size
    ds.NumberOfFrames, ds.SamplesPerPixel, ds.PhotometricInterpretation = frames, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = (
        Kind,
        ds.SOPInstanceUID,
        ExplicitVRLittleEndian,
    )
    dcmwrite(path, FileDataset(None, ds, file_meta=meta, preamble=b"\0" * 128), enforce_file_format=True)
    base = os.urandom(4096)
    frame = bytearray(b"".join(bytes((b & 0xFF, i & 0x0F)) for i, b in enumerate(base * (size * size // 4096))))
    length = frames * size * size * 2
    with path.open("ab") as out:
        out.write(b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
        for number in range(frames):
            frame[0:2] = number.to_bytes(2, "little")
            out.write(frame)
    assert dcmread(path, stop_before_pixels=True).NumberOfFrames == frames
    return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID


class Peak:
    """Samples the memory (PSS: shared pages counted once) of all processes below a supervisor."""

    def __init__(self, live: live_server.Live) -> None:
        self.live, self.peak, self._stop = live, 0, threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def pids(self) -> list[int]:
        known, found = {}, [self.live.process.pid]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    known[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
        for pid in found:
            found += [child for child, parent in known.items() if parent == pid]
        return found

    def now(self) -> int:
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += (
                sum(int(n) for n in re.findall(r"^(?:Private_Clean|Private_Dirty|Swap):\s+(\d+) kB", text, re.M)) * 1024
            )
        return total

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            self.peak = max(self.peak, self.now())

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def run(frames: int = 4000) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        study, series, instance = write_multiframe(folder / "large.dcm", frames)
        with live_server.running(folder / "data") as live:
            with live.client() as client:
                client.get("/storage")
            time.sleep(3)  # the memory of a server that does nothing
            idle = Peak(live).now()
            with Peak(live) as receiving:
                started = time.perf_counter()
                subprocess.run(
                    [
                        "storescu",
                        "-aec",
                        "FILMROOM",
                        "-pdu",
                        "131072",
                        "127.0.0.1",
                        str(live.dicom_port),
                        str(folder / "large.dcm"),
                    ],
                    check=True,
                    env=os.environ | {"TCP_NODELAY": "1"},
                )
                seconds = time.perf_counter() - started
            with Peak(live) as showing, live.client() as client:
                with client.stream("GET", f"/api/v1/series/{series}/frames") as stream:
                    received = sum(len(chunk) for chunk in stream.iter_raw())
                assert received >= frames * 524288
                assert client.get(f"/api/v1/studies/{study}/manifest").status_code == 200
                for number in (1, frames // 2, frames):
                    assert client.get(f"/api/v1/instances/{instance}/frames/{number}/preview").status_code == 200
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    mb = 1024 * 1024
    return [
        Row(
            "memory",
            "receiving a 2 GB object, above idle",
            (receiving.peak - idle) / mb,
            "MB",
            "limit",
            300,
            less_is_better=True,
        ),
        Row(
            "memory",
            "showing a 2 GB object, above idle",
            (showing.peak - idle) / mb,
            "MB",
            "limit",
            300,
            less_is_better=True,
        ),
        Row("memory", "2 GB object received, stored and indexed", seconds, "s"),
    ]
