"""A small, quick C-STORE sender for load and chaos: one socket, prepared bytes, TCP_NODELAY. Not the product's own
sender on purpose, so that one fault does not hide another (PS3.8 9.3, PS3.7 9.3.1)."""

import io
import socket
import struct
from dataclasses import dataclass

from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification


@dataclass(frozen=True, slots=True)
class Prepared:
    """One object ready to send: its identity and its data set as bytes in `transfer_syntax`."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes


def make_ct(
    study: str,
    series: str,
    number: int,
    *,
    size: int = 512,
    patient_id: str = "BENCH",
    name: str = "Bench^Load",
    fill: bytes = b"",
) -> Prepared:
    """A synthetic CT of size x size x 16 bit (525 KB at 512) with UIDs of its own."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = name, patient_id, "19700101", "O"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20261120", "101500", "A1", "1"
    ds.StudyDescription, ds.SeriesDescription, ds.ReferringPhysicianName = "Bench study", "Axial", "Who^Ever"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, number
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 1
    ds.Rows = ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = 1, -1024, 40, 400
    want = size * size * 2
    pattern = fill or struct.pack("<256H", *range(0, 4096, 16))
    ds.PixelData = (pattern * (want // len(pattern) + 1))[:want]
    ds["PixelData"].VR = "OW"
    return prepare(ds)


def prepare(ds: Dataset) -> Prepared:
    buffer = io.BytesIO()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = FileDataset(None, ds, file_meta=meta, preamble=b"\0" * 128)
    dcmwrite(buffer, whole, enforce_file_format=True)
    raw = buffer.getvalue()
    group_length = struct.unpack_from("<I", raw, 140)[0]
    return Prepared(str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ExplicitVRLittleEndian), raw[144 + group_length :])


def renumber(
    template: Prepared,
    instance: str,
    old_study: str = "",
    new_study: str = "",
    old_series: str = "",
    new_series: str = "",
) -> Prepared:
    """A copy under other UIDs of the same length: no encoding, so that the load is the receiver's."""
    assert len(instance) == len(template.sop_instance_uid)
    data = template.data.replace(template.sop_instance_uid.encode(), instance.encode(), 1)
    for old, new in ((old_study, new_study), (old_series, new_series)):
        if old:
            assert len(old) == len(new)
            data = data.replace(old.encode(), new.encode(), 1)
    return Prepared(template.sop_class_uid, instance, template.transfer_syntax, data)


def _command(message_id: int, item: Prepared) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    body = (
        element(0x0002, item.sop_class_uid.encode())
        + element(0x0100, struct.pack("<H", 0x0001))
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0700, struct.pack("<H", 0))
        + element(0x0800, struct.pack("<H", 1))
        + element(0x1000, item.sop_instance_uid.encode())
    )
    return element(0x0000, struct.pack("<I", len(body))) + body


class Sender:
    """One association that sends prepared objects one after another."""

    def __init__(
        self,
        port: int,
        *,
        called: str = "FILMROOM",
        calling: str = "BENCH",
        host: str = "127.0.0.1",
        nodelay: bool = True,
        syntax: str = str(ExplicitVRLittleEndian),
        sop_class: str = str(CTImageStorage),
        timeout: float = 60,
    ) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        if nodelay:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = A_ASSOCIATE()
        request.application_context_name = "1.2.840.10008.3.1.1.1"
        request.calling_ae_title, request.called_ae_title = calling, called
        context = build_context(sop_class, syntax)
        context.context_id = 1
        request.presentation_context_definition_list = [context]
        length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
        length.maximum_length_received = 16384
        implementation.implementation_class_uid = "1.2.3.4.5"
        request.user_information = [length, implementation]
        self.socket.sendall(A_ASSOCIATE_RQ(request).encode())
        kind, body = self._pdu()
        if kind != 2:
            raise ConnectionError(f"association not accepted (PDU type {kind}: {body.hex()})")
        answer = A_ASSOCIATE_AC()
        answer.decode(bytes([kind, 0]) + struct.pack(">I", len(body)) + body)
        result = answer.to_primitive()
        if result.presentation_context_definition_results_list[0].result != 0:
            raise ConnectionError("the presentation context was not accepted")
        self.max_pdu = min(result.maximum_length_received or 131072, 131072)
        self.message_id = 0

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise ConnectionError("the receiver closed the connection")
            parts += part
        return bytes(parts)

    def _pdu(self) -> tuple[int, bytes]:
        head = self._exactly(6)
        return head[0], self._exactly(struct.unpack(">I", head[2:])[0])

    def send(self, item: Prepared) -> tuple[int, str]:
        """The C-STORE status and the Error Comment, once the receiver has answered."""
        self.message_id = self.message_id % 65535 + 1
        command = _command(self.message_id, item)
        pieces = [struct.pack(">BBII", 4, 0, len(command) + 6, len(command) + 2) + b"\x01\x03", command]
        size = self.max_pdu - 6
        view = memoryview(item.data)
        for start in range(0, len(view), size):
            part = view[start : start + size]
            last = 2 if start + size >= len(view) else 0
            pieces += [struct.pack(">BBII", 4, 0, len(part) + 6, len(part) + 2) + bytes([1, last]), part]
        self._write(pieces)
        return self._answer()

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        for start in range(0, len(pieces), 64):
            batch = [memoryview(piece) for piece in pieces[start : start + 64]]
            while batch:
                sent = self.socket.sendmsg(batch)
                while batch and sent >= len(batch[0]):
                    sent -= len(batch.pop(0))
                if batch and sent:
                    batch[0] = batch[0][sent:]

    def _answer(self) -> tuple[int, str]:
        body = b""
        while True:
            kind, pdu = self._pdu()
            if kind != 4:
                raise ConnectionError(f"PDU type {kind} instead of an answer")
            offset = 0
            while offset < len(pdu):
                size = struct.unpack_from(">I", pdu, offset)[0]
                body += pdu[offset + 6 : offset + 4 + size]
                last = pdu[offset + 5] & 2
                offset += 4 + size
            if last:
                break
        status, comment, offset = -1, "", 0
        while offset < len(body):
            _, number, size = struct.unpack_from("<HHI", body, offset)
            value = body[offset + 8 : offset + 8 + size]
            if number == 0x0900:
                status = struct.unpack("<H", value)[0]
            elif number == 0x0902:
                comment = value.decode("latin-1").strip("\0 ")
            offset += 8 + size
        return status, comment

    def release(self) -> None:
        self.socket.sendall(b"\x05\0\0\0\0\x04\0\0\0\0")
        try:
            self._pdu()
        finally:
            self.socket.close()

    def abort(self) -> None:
        """Drops the connection without a word."""
        self.socket.close()
