"""Fills an installation's index with many studies quickly: rows only, no files. For search tests and benches.

PYTHONPATH=. .venv/bin/python -m tests.support.bulk DATA_FOLDER 100000"""

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.archive.rows import fold_id, fold_name, modality_bit, sort_key
from app.archive.search.ddl import fts_text
from app.db import Database
from app.dicom import names

FAMILY = [
    "Smith",
    "Jones",
    "Müller",
    "García",
    "Rodríguez",
    "Łukasz",
    "Ørsted",
    "O'Brien",
    "Nguyen",
    "Kim",
    "Yamada",
    "Ivanov",
    "Öztürk",
    "Silva",
    "Rossi",
    "Dubois",
    "Novák",
    "Andersson",
    "Papadopoulos",
    "Haddad",
    "Cohen",
    "Patel",
    "Singh",
    "Chen",
    "Wang",
    "Li",
    "Zhang",
    "Weber",
    "Schmidt",
    "Fischer",
    "Lopez",
    "Martin",
    "Brown",
    "Taylor",
]
GIVEN = [
    "Anna",
    "José",
    "Jürgen",
    "Zoë",
    "Mary",
    "John",
    "Peter",
    "Maria",
    "Élise",
    "Håkon",
    "Ivan",
    "Yuki",
    "Tarou",
    "Fatima",
    "Ali",
    "Noor",
    "Chloé",
    "Lucas",
    "Emma",
    "Olivia",
    "Liam",
    "Noah",
    "Mia",
    "Sofía",
    "Mateo",
    "Hannah",
    "Paul",
    "Laura",
    "Marta",
    "Piotr",
]
KANJI = ("山田^太郎", "김^희중", "王^小明", "佐藤^花子")
DESCRIPTIONS = [
    f"{part} {how}"
    for part in (
        "CT Thorax",
        "MR Brain",
        "XR Hand",
        "US Abdomen",
        "CT Abdomen",
        "MR Knee",
        "PET Whole Body",
        "MG Screening",
    )
    for how in ("", "with contrast", "without contrast", "follow-up", "emergency", "Control")
]
MODALITIES = ("CT", "MR", "CR", "DX", "US", "MG", "PT", "NM", "XA", "ZZ")
WEIGHTS = (30, 25, 15, 10, 12, 5, 1.5, 1, 0.45, 0.05)


def patients(count: int, facilities: list[str | None], chance: random.Random) -> Iterator[dict[str, Any]]:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(1, count + 1):
        name = f"{chance.choice(FAMILY)}{chance.choice(['', '', '', str(number % 97)])}^{chance.choice(GIVEN)}"
        if chance.random() < 0.02:
            name += f"={chance.choice(KANJI)}"
        pid = f"{chance.choice(['P', 'MRN', 'A-'])}{number:07d}"
        facility = chance.choice(facilities)
        birth = date(1930, 1, 1) + timedelta(days=chance.randrange(33000))
        yield {
            "id": number, "identity": f"{facility or ''}\\{pid}", "patient_id": pid, "issuer_of_patient_id": "",
            "patient_name": name, "birth_date": f"{birth:%Y%m%d}", "sex": chance.choice("MF"), "fold": fold_name(name),
            "pid_fold": fold_id(pid), "facility_id": facility, "birth_time": "", "ethnic_group": "", "comments": "",
            "other_patient_ids": "", "other_patient_names": "", "created_at": moment,
        }  # fmt: skip


_EMPTY = [
    "referring_physician",
    "physicians_of_record",
    "reading_physicians",
    "admitting_diagnoses",
    "patient_age",
    "patient_size",
    "patient_weight",
    "occupation",
    "patient_history",
    "timezone_offset",
]


def studies(count: int, people: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    start = date(2015, 1, 1)
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(1, count + 1):
        person = chance.choice(people)
        day = f"{start + timedelta(days=chance.randrange(3900)):%Y%m%d}"
        clock = f"{chance.randrange(24):02d}{chance.randrange(60):02d}{chance.randrange(60):02d}"
        kinds = sorted({*chance.choices(MODALITIES, WEIGHTS), *(["SR"] if chance.random() < 0.1 else [])})
        mask = 0
        for kind in kinds:
            mask |= modality_bit(kind)
        description = chance.choice(DESCRIPTIONS)
        yield {
            "id": number, "patient_pk": person["id"], "study_instance_uid": f"1.2.826.0.1.{number}",
            "facility_id": person["facility_id"], "study_date": day, "study_time": clock, "dt": sort_key(day, clock),
            "accession_number": f"ACC{number:08d}", "study_id": str(number), "description": description,
            "description_fold": names.fold(description), "referring_fold": "", "character_set": "ISO_IR 192",
            "sop_classes": "1.2.840.10008.5.1.4.1.1.2", "modalities": "\\".join(kinds), "modmask": mask,
            **{key: person[key] for key in (
                "patient_name", "patient_id", "issuer_of_patient_id", "birth_date", "sex", "fold", "pid_fold")},
            "series_count": 3, "instance_count": 30, "bytes": 15_000_000, "state": "settled", "source": "BULK",
            "received_at": moment + timedelta(seconds=number), "last_received_at": moment + timedelta(seconds=number),
            "locked": False, **dict.fromkeys(_EMPTY, ""),
        }  # fmt: skip


class _Writer:
    """Batches of rows by the driver's own bulk way."""

    def __init__(self, connection: Any, postgresql: bool) -> None:
        self.cursor = connection.cursor()
        self.postgresql = postgresql

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        columns = list(rows[0])
        if self.postgresql:
            with self.cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row([json.dumps(v) if isinstance(v, list) else v for v in row.values()])
            return
        marks = ", ".join("?" * len(columns))
        values = [tuple(_stored(v) for v in row.values()) for row in rows]
        self.cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)

    def know(self, table: str) -> None:
        """PostgreSQL plans the foreign key checks of a table it believes empty as scans: tell it how large it is."""
        if self.postgresql:
            self.cursor.execute(f"ANALYZE {table}")


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    return json.dumps(value) if isinstance(value, list) else value


def _chunks(rows: Iterator[dict[str, Any]], size: int = 20_000) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    yield chunk


def fill(
    database: Database, count: int, facilities: list[str | None] | None = None, seed: int = 1, series_each: int = 3
) -> None:
    """Adds `count` studies of count/2 patients to an empty index. facilities: ids that exist; None among them: without."""
    chance = random.Random(seed)
    with database.write() as session:
        writer = _Writer(session.connection().connection, database.dialect == "postgresql")
        people = list(patients(max(1, count // 2), facilities or [None], chance))
        writer.write("patient", people)
        writer.know("patient")
        if not writer.postgresql:
            texts = [{"rowid": p["id"], "words": fts_text(p["fold"], p["pid_fold"])} for p in people]
            writer.write("patient_words", texts)
            writer.write("patient_parts", [{"rowid": t["rowid"], "parts": t["words"]} for t in texts])
        per_facility: dict[str, int] = {}
        for chunk in _chunks(studies(count, people, chance)):
            writer.write("study", chunk)
            writer.know("study")
            kinds = [(row, kind) for row in chunk for kind in row["modalities"].split("\\")]
            writer.write(
                "study_modality", [{"study_pk": row["id"], "modality": kind, "dt": row["dt"]} for row, kind in kinds]
            )
            writer.write("series", [row for study in chunk for row in _series(study, series_each)])
            for row in chunk:
                name = f"studies:{row['facility_id'] or ''}"
                per_facility[name] = per_facility.get(name, 0) + 1
        writer.write("counter", [{"name": name, "value": value} for name, value in per_facility.items()])
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE study")
            connection.exec_driver_sql("VACUUM ANALYZE patient")
            connection.exec_driver_sql("VACUUM ANALYZE study_modality")


_SERIES_EMPTY = [
    "body_part",
    "laterality",
    "protocol_name",
    "manufacturer",
    "model_name",
    "station_name",
    "institution",
    "series_date",
    "series_time",
    "pps_start_date",
    "pps_start_time",
    "scheduled_step_id",
    "requested_procedure_id",
    "performing_physician",
    "operators",
    "frame_of_reference_uid",
    "timezone_offset",
]


def _series(study: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        yield {
            "id": study["id"] * 10 + number, "study_pk": study["id"],
            "series_instance_uid": f"{study['study_instance_uid']}.{number}",
            "modality": study["modalities"].split("\\")[0], "series_number": number, "description": f"Series {number}",
            "instance_count": 10, "bytes": 5_000_000, "received_at": study["received_at"],
            **dict.fromkeys(_SERIES_EMPTY, ""),
        }  # fmt: skip


def main() -> None:
    from app import config as boot
    from app.db import migrate, open_database
    from app.db.models import load_all

    load_all()
    config = boot.load({"data": sys.argv[1]})
    database = open_database(config)
    migrate.upgrade(config, database)
    fill(database, int(sys.argv[2]))


if __name__ == "__main__":
    main()
