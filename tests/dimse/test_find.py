"""C-FIND as SCP: what findscu, gdcmscu and Orthanc ask is found, in a character set that the caller understands."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from app.archive import Source
from app.nodes import service
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.security.settings import SecuritySettings
from app.settings import save
from app.trust import certificates
from app.trust.settings import TlsSettings
from tests.archive.make import ct_bytes
from tests.dimse.patients import study_uid
from tests.support import dcmtk, hostile
from tests.support.client import actor
from tests.support.dimse import Station
from tests.support.finding import EXPLICIT, IMPLICIT, PATIENT_ROOT, STUDY_ROOT, ask, connected, data_set, findscu
from tests.support.orthanc import orthanc
from tests.support.pki import Authority
from tests.support.postgres import free_port

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("model", ["-P", "-S"])
@pytest.mark.parametrize("syntax", ["-xi", "-xe", "-xb"])
def test_findscu_at_every_level(asked: Station, model: str, syntax: str) -> None:
    port = asked.port
    if model == "-P":
        patients = findscu(port, model, syntax, QueryRetrieveLevel="PATIENT", PatientID="", PatientName="")
        assert sorted(patients.of("PatientID")) == ["P1", "P2", "P3", "P5"]
    studies = findscu(port, model, syntax, QueryRetrieveLevel="STUDY", PatientID="P3", StudyInstanceUID="")
    assert sorted(studies.of("StudyInstanceUID")) == [study_uid(3), study_uid(4)]
    keys = {"PatientID": "P1", "StudyInstanceUID": study_uid(1)}
    series = findscu(port, model, syntax, QueryRetrieveLevel="SERIES", **keys, SeriesInstanceUID="", Modality="")
    assert [str(m) for m in series.of("Modality")] == ["CT", "SR"]
    keys["SeriesInstanceUID"] = f"{study_uid(1)}.1"
    images = findscu(port, model, syntax, QueryRetrieveLevel="IMAGE", **keys, SOPInstanceUID="", InstanceNumber="")
    assert [int(n) for n in images.of("InstanceNumber")] == [1, 2, 3]
    for found in (studies, series, images):
        assert "Received Final Find Response (Success)" in found.output
        assert all(answer.RetrieveAETitle == "FILMROOM" for answer in found.answers)


def test_the_retired_patient_study_model_still_answers(asked: Station) -> None:
    found = findscu(asked.port, "-O", QueryRetrieveLevel="STUDY", PatientID="P2", StudyInstanceUID="")
    assert found.of("StudyInstanceUID") == [study_uid(2)]
    assert "DataSetDoesNotMatchSOPClass" in findscu(asked.port, "-O", QueryRetrieveLevel="SERIES").output


def test_what_an_answer_holds(asked: Station) -> None:
    names = [
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "StudyDescription",
        "ReferringPhysicianName",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "InstanceAvailability",
        "RequestingService",
        "InstitutionName",
    ]
    (one,) = findscu(asked.port, "-S", QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(1), **dict.fromkeys(names, "")).answers  # fmt: skip
    got = {name: str(one[name].value) for name in names}
    assert got == {
        "PatientName": "Müller^Jürgen", "PatientID": "P1", "PatientBirthDate": "19610203", "PatientSex": "M",
        "StudyDate": "20240102", "StudyTime": "101112", "AccessionNumber": "ACC1", "StudyID": "1",
        "StudyDescription": "CT Thorax", "ReferringPhysicianName": "House^Gregory", "ModalitiesInStudy": "['CT', 'SR']",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2", "NumberOfPatientRelatedStudies": "1",
        "NumberOfPatientRelatedSeries": "2", "NumberOfPatientRelatedInstances": "4", "NumberOfStudyRelatedSeries": "2",
        "NumberOfStudyRelatedInstances": "4", "InstanceAvailability": "ONLINE", "RequestingService": "Ward 1", "InstitutionName": "Klinik Süd",
    }  # fmt: skip
    assert one.QueryRetrieveLevel == "STUDY"
    (image,) = findscu(
        asked.port, "-S", QueryRetrieveLevel="IMAGE", SOPInstanceUID=f"{study_uid(1)}.1.2", Rows="", BitsAllocated="",
        KVP="", SliceThickness="", SOPClassUID="", NumberOfFrames="",
    ).answers  # fmt: skip
    assert (image.Rows, image.BitsAllocated, image.KVP, image.SliceThickness) == (4, 16, 120, 2.5)
    assert image.NumberOfFrames == 1 and image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


def test_sequences_are_matched_and_answered(asked: Station) -> None:
    step = {"RequestAttributesSequence[0].ScheduledProcedureStepID": "STEP2"}
    (one,) = findscu(asked.port, "-S", QueryRetrieveLevel="SERIES", SeriesInstanceUID="", **step).answers
    assert one.SeriesInstanceUID == f"{study_uid(2)}.1"
    assert one.RequestAttributesSequence[0].ScheduledProcedureStepID == "STEP2"
    assert not findscu(asked.port, "-S", QueryRetrieveLevel="SERIES", **dict.fromkeys(step, "STEP9")).answers


def _query(folder: Path, terms: str | list[str] | None, syntax: str = EXPLICIT, **keys: Any) -> Path:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientName": "", **keys}
    if terms is not None:
        keys = {"SpecificCharacterSet": terms, **keys}
    path = folder / "query.dcm"
    dcmwrite(path, data_set(**keys), implicit_vr=syntax == IMPLICIT, little_endian=True, enforce_file_format=False)
    return path


LATIN, CYRILLIC, JAPANESE = "ISO_IR 100", "ISO_IR 144", ["ISO 2022 IR 6", "ISO 2022 IR 87"]


@pytest.mark.parametrize(
    ("terms", "name", "number", "answered"),
    [
        (LATIN, "Müller^*", 1, LATIN),
        (CYRILLIC, "Иванов*", 5, CYRILLIC),
        ("ISO_IR 192", "*太郎*", 2, "ISO_IR 192"),
        (JAPANESE, "Yamada*=山田^太郎", 2, JAPANESE),
        (JAPANESE, "Muller*", 1, "ISO_IR 192"),
        ("GB18030", "Мус*", 0, ""),
        ("GB18030", "Yamada*", 2, "GB18030"),
        (LATIN, "Yamada*", 2, "ISO_IR 192"),
        (None, "Muller*", 1, "ISO_IR 192"),
        (None, "Doe*", 3, None),
        ("ISO_IR 999", "Muller*", 1, "ISO_IR 192"),
    ],
)
def test_names_are_asked_and_answered_in_the_callers_character_set(
    asked: Station, tmp_path: Path, terms: Any, name: str, number: int, answered: Any
) -> None:
    with_encoding = terms if terms != "ISO_IR 999" else None
    query = _query(tmp_path, with_encoding, PatientName=name)
    if terms == "ISO_IR 999":
        query = _query(tmp_path, terms, PatientName=name)
    found = findscu(asked.port, "-S", query)
    assert (study_uid(number) in found.of("StudyInstanceUID")) == (number > 0), found.output
    for answer in found.answers:
        got = answer.get("SpecificCharacterSet")
        assert (list(got) if isinstance(answered, list) else got) == answered
        assert str(answer.PatientName) in {
            "Müller^Jürgen", "Иванов^Иван", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Doe^Jane",
        }  # fmt: skip


def test_a_nodes_own_character_set_wins(asked: Station, tmp_path: Path) -> None:
    with asked.database.write() as session:
        values = NodeValues("latin", "LATIN", "127.0.0.1", 104, character_set="ISO_IR 100")
        service.create_node(session, actor(asked.database, "admin"), values)
    found = findscu(asked.port, "-S", _query(tmp_path, "ISO_IR 192"), calling="LATIN")
    assert set(found.of("SpecificCharacterSet")) == {"ISO_IR 100"}
    shown = {str(name) for name in found.of("PatientName")}
    assert "Müller^Jürgen" in shown and "??????^????" in shown, "what Latin 1 cannot write is marked"


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        (("--patientroot", "--patient", "--key", "10,10=Doe*", "--key", "10,20="), 1),
        (("--studyroot", "--study", "--key", "8,20=20240101-20240131", "--key", "20,d="), 3),
        (("--studyroot", "--series", "--key", f"20,d={study_uid(1)}", "--key", "20,e="), 2),
        (("--studyroot", "--image", "--key", f"20,d={study_uid(1)}", "--key", f"20,e={study_uid(1)}.1"), 3),
    ],
)
def test_gdcmscu_finds(asked: Station, caplog: pytest.LogCaptureFixture, keys: tuple[str, ...], count: int) -> None:
    """Debian's gdcmscu dies when it has released the association, whoever answers (Orthanc too), and with it goes what it
    would have printed. That it read all answers and the last status shows in its release."""
    caplog.set_level("INFO")
    titles = ("--aetitle", "GDCMSCU", "--call", "FILMROOM")
    dcmtk.run("gdcmscu", "--find", *keys, *titles, "127.0.0.1", str(asked.port))
    asked.calm()
    assert f"released; find 1 with 0000, {count} objects" in caplog.text


@pytest.mark.slow
def test_orthanc_finds(asked: Station, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc", asked.port) as (_, client):
        levels = {
            "Patient": ({"PatientID": "P3"}, 1),
            "Study": ({"PatientName": "DOE*", "StudyDate": "20231201-20240101"}, 2),
            "Series": ({"StudyInstanceUID": study_uid(1)}, 2),
            "Instance": ({"StudyInstanceUID": study_uid(1), "SeriesInstanceUID": f"{study_uid(1)}.1"}, 3),
        }
        for level, (keys, count) in levels.items():
            made = client.post("/modalities/filmroom/query", json={"Level": level, "Query": keys})
            assert made.status_code == 200, made.text
            answers = client.get(f"{made.json()['Path']}/answers?expand&simplify").json()
            assert len(answers) == count, (level, answers)
        studies = client.post(
            "/modalities/filmroom/query", json={"Level": "Study", "Query": {"PatientName": "*"}}
        ).json()
        shown = client.get(f"{studies['Path']}/answers?expand&simplify").json()
        # Orthanc keeps answers in its own default set, Latin 1: more than that it cannot show
        assert {"Müller^Jürgen", "Doe^Jane"} <= {answer["PatientName"] for answer in shown} and len(shown) == 5


def test_optional_keys_that_are_not_supported_are_told(asked: Station) -> None:
    with connected(asked.port) as association:
        keys = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(1), PatientName="")
        plain = ask(association, STUDY_ROOT, keys)
        assert (plain.pending, plain.status) == ({0xFF00}, 0)
        keys.KVP = None
        assert ask(association, STUDY_ROOT, keys).pending == {0xFF01}, "not the same in a whole study"


def test_levels_and_values_that_do_not_fit_are_refused_with_the_element(asked: Station) -> None:
    with connected(asked.port) as association:
        for level, model in (("PATIENT", STUDY_ROOT), ("NONSENSE", PATIENT_ROOT), ("", PATIENT_ROOT)):
            wrong = ask(association, model, data_set(QueryRetrieveLevel=level, PatientID=""))
            assert (wrong.status, wrong.offending) == (0xA900, [0x00080052]) and "must be one of" in wrong.words
        missing = ask(association, STUDY_ROOT, data_set(PatientID=""))
        assert missing.status == 0xA900
        bad = Dataset()
        bad.QueryRetrieveLevel = "STUDY"
        bad.add_new(0x00080020, "LO", "soon")
        wrong = ask(association, STUDY_ROOT, bad)
        assert (wrong.status, wrong.offending) == (0xC000, [0x00080020]) and "not a date" in wrong.words
        assert ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", PatientID="P1")).status == 0


def test_the_trail_names_who_searched(asked: Station) -> None:
    """One entry for the searches of one kind by one caller within five minutes, and one that counts the others."""
    from app.audit import AuditEvent

    def rows() -> list[AuditEvent]:
        with asked.database.read() as session:
            found = session.query(AuditEvent).filter_by(thing="list", thing_id="C-FIND SERIES")
            return list(found.order_by(AuditEvent.id))

    asked.receiver._services.looks.flush()
    before = len(rows())
    for _ in range(3):
        findscu(asked.port, "-S", QueryRetrieveLevel="SERIES", StudyInstanceUID="", calling="QUERY")
    assert [(row.actor_name, row.actor_kind, row.verb) for row in rows()[before:]] == [
        ("query", "node", "study.search")
    ]
    asked.receiver._services.looks.flush()
    assert [row.detail.get("count") for row in rows()[before:]] == [None, 2]


def test_the_transfer_log_has_it(asked: Station) -> None:
    from sqlalchemy import func

    from app.nodes import operation_log
    from app.nodes.models import NetworkOperation

    def count() -> int:
        operation_log.flush(asked.database)
        with asked.database.read() as session:
            rows = session.query(func.count()).select_from(NetworkOperation)
            return int(rows.filter_by(kind="find", peer="query", objects=5, result="success").scalar() or 0)

    before = count()
    findscu(asked.port, "-S", QueryRetrieveLevel="STUDY", calling="QUERY")
    asked.wait(lambda: count() == before + 1)


@pytest.mark.parametrize("syntax", ["-xi", "-xe"])
def test_every_item_of_the_requests_is_answered(receiver: Station, syntax: str) -> None:
    items = []
    for number in (1, 2):
        items.append(item := Dataset())
        item.ScheduledProcedureStepID, item.RequestedProcedureID = f"STEP{number}", f"REQ{number}"
    incoming = receiver.archive.receive(Source("test"))
    incoming.write(ct_bytes(RequestAttributesSequence=items))
    assert receiver.archive.ingest(incoming).status == "stored"
    receiver.set(query_callers="all")
    with receiver.database.write() as session:
        save(session, SecuritySettings(facility_isolation=False), "test")
    step = {"RequestAttributesSequence[0].ScheduledProcedureStepID": "STEP2"}
    (one,) = findscu(receiver.port, "-S", syntax, QueryRetrieveLevel="SERIES", SeriesInstanceUID="", **step).answers
    got = [(item.ScheduledProcedureStepID, item.RequestedProcedureID) for item in one.RequestAttributesSequence]
    assert got == [("STEP1", "REQ1"), ("STEP2", "REQ2")]


HARMS = ("vr-", "charset", "name-", "uid-sql", "window", "spacing", "rescale", "nested", "negative", "palette", "voi")


def test_damaged_objects_are_found_and_break_no_answer(receiver: Station) -> None:
    stored = 0
    for number, bad in enumerate(hostile.catalogue()):
        if bad.name.startswith(HARMS):
            incoming = receiver.archive.receive(Source("test"))
            incoming.write(bad.make(f"1.2.826.0.1.66.{number}"))
            stored += receiver.archive.ingest(incoming).status == "stored"
    assert stored > 15
    receiver.set(query_callers="all")
    with receiver.database.write() as session:
        save(session, SecuritySettings(facility_isolation=False), "test")
    names = [
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "StudyDescription",
        "Rows",
        "InstanceNumber",
        "NumberOfFrames",
        "WindowCenter",
        "PixelSpacing",
        "RescaleIntercept",
        "RescaleSlope",
        "VOILUTSequence",
        "ReferencedImageSequence",
        "RedPaletteColorLookupTableDescriptor",
        "StudyDate",
        "SmallestImagePixelValue",
        "PixelAspectRatio",
    ]
    for terms in ("ISO_IR 100", "ISO_IR 192", None):
        for level in ("IMAGE", "SERIES", "STUDY"):
            keys = data_set(QueryRetrieveLevel=level, **dict.fromkeys(names, None) | {"SpecificCharacterSet": terms})
            with connected(receiver.port, syntaxes=(EXPLICIT,)) as association:
                found = ask(association, STUDY_ROOT, keys)
            assert found.status == 0 and len(found.answers) == stored, level


def test_findscu_asks_by_tls(asked: Station, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, modality = authority.pair("filmroom", "localhost", "127.0.0.1"), authority.pair("ct1", "ct1.example")
    with asked.database.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(asked.config), "own", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
        save(session, TlsSettings(enabled=True, dicom_tls_port=(port := free_port())), "test")
    asked.receiver.ways.invalidate()
    asked.wait(lambda: asked.receiver.tls.port == port, 30)
    shown = ("+tls", str(modality.key), str(modality.certificate), "+cf", str(authority.file))
    found = findscu(port, "-S", *shown, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert len(found.answers) == 5, found.output


SCRIPTS = ("Arab", "Fren", "Germ", "Greek", "H31", "H32", "Hbrw", "I2", "JapMulti", "KoreanMulti", "Russ", "X1", "X2")


def test_names_of_every_script_are_found_in_their_own_character_set(
    receiver: Station, shared_data: Path, tmp_path: Path
) -> None:
    """Real objects of all scripts of the standard's examples (PS3.5 H to K): asked with the very bytes of the object, and
    answered in the set of the question, with the very name; and found by a letter in UTF-8."""
    stored = {}
    for script in SCRIPTS:
        path = shared_data / "charset" / f"chr_{script}.dcm"
        stored[script] = dcmread(path)
        incoming = receiver.archive.receive(Source("test"))
        incoming.write(path.read_bytes())
        assert receiver.archive.ingest(incoming).status == "stored"
    receiver.set(query_callers="all")
    with receiver.database.write() as session:
        save(session, SecuritySettings(facility_isolation=False), "test")
    for script, ds in stored.items():
        terms = ds.SpecificCharacterSet
        query = _query(tmp_path, terms if isinstance(terms, str) else list(terms), PatientName=ds.PatientName)
        answers = {one.StudyInstanceUID: one for one in findscu(receiver.port, "-S", query).answers}
        answer = answers[ds.StudyInstanceUID]
        assert (answer.SpecificCharacterSet, answer.PatientName) == (terms, ds.PatientName), script
        letter = str(ds.PatientName).split("=")[-1][:1]
        by_letter = findscu(receiver.port, "-S", _query(tmp_path, "ISO_IR 192", PatientName=f"{letter}*"))
        assert ds.StudyInstanceUID in by_letter.of("StudyInstanceUID") and len(by_letter.answers) < 8, script
