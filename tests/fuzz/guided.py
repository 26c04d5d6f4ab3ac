"""Coverage-guided fuzzing (atheris, Apache 2.0) of what reads bytes of strangers: PDUs, command sets, headers.

`python -m tests.fuzz.guided SECONDS`: each decoder gets its share. What a decoder may raise is named; all else is a find."""

import contextlib
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SHARES = ("associate", "command", "header", "query", "identifier", "references")


def _targets() -> dict[str, object]:
    from app.dicom import identifier as identifiers
    from app.dicom import query as queries
    from app.dicom.header import NotDicom, scan_bytes
    from app.dicom.identifier import BadIdentifier
    from app.network import commands, pdu
    from app.network import commitment_data as commitments

    def associate(data: bytes) -> None:
        with contextlib.suppress(pdu.BadPdu):
            pdu.decode_associate(data)

    def command(data: bytes) -> None:
        with contextlib.suppress(commands.BadCommand):
            commands.decode(data)

    def header(data: bytes) -> None:
        with contextlib.suppress(NotDicom):
            scan_bytes(bytes(128) + b"DICM" + data)

    def query(data: bytes) -> None:
        for explicit in (True, False):
            with contextlib.suppress(BadIdentifier):
                queries.parse(data, explicit)

    def identifier(data: bytes) -> None:
        for explicit in (True, False):
            with contextlib.suppress(BadIdentifier):
                identifiers.decode(data, explicit=explicit)

    def references(data: bytes) -> None:
        for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
            with contextlib.suppress(commitments.BadReferences):
                commitments.decode(data, syntax)

    return {
        "associate": associate,
        "command": command,
        "header": header,
        "query": query,
        "identifier": identifier,
        "references": references,
    }


def _corpus(name: str, folder: Path) -> None:
    import random

    from tests.fuzz import objects, streams

    if name == "header":
        for number, data in enumerate(objects.seeds()):
            (folder / str(number)).write_bytes(data[132:])
        return
    if name in ("query", "identifier", "references"):
        for number, data in enumerate(_identifiers()):
            (folder / str(number)).write_bytes(data)
        return
    for number in range(30):
        pdus = streams.stream(random.Random(number))
        (folder / str(number)).write_bytes(pdus[0][6:] if name == "associate" else pdus[min(1, len(pdus) - 1)][12:])


def _identifiers() -> list[bytes]:
    """Queries, retrievals and requests of commitment, in both encodings."""
    from app.dicom import identifier
    from app.network.commitment_data import Reference, References, encode

    keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "Müller*", "StudyDate": "20240101-", "StudyInstanceUID": ""}
    made = [identifier.encode(keys, ("ISO_IR 192",), explicit=explicit) for explicit in (True, False)]
    asked = References("1.2.3", [Reference("1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{n}") for n in range(3)])
    return made + [encode(asked, syntax) for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")]


def _peak_so_far() -> int:
    """MB. The kernel hands a new process the peak of the one it was forked from, and libFuzzer looks at that: a large
    test run would be taken for growth."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _one(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["app.network", "app.dicom"]):
        target = _targets()[name]
    with tempfile.TemporaryDirectory() as folder:
        _corpus(name, Path(folder))
        arguments = [
            sys.argv[0],
            folder,
            f"-max_total_time={seconds}",
            "-max_len=65536",
            "-timeout=5",
            f"-rss_limit_mb={_peak_so_far() + 768}",
        ]
        atheris.Setup([*arguments, "-verbosity=0", "-print_final_stats=1"], target)
        atheris.Fuzz()


def main(arguments: list[str]) -> int:
    if len(arguments) == 2:
        _one(arguments[0], int(arguments[1]))
        return 0
    seconds = max(1, int(arguments[0]) // len(SHARES))
    failed = 0
    for name in SHARES:
        print(f"guided: {name}, {seconds} s", flush=True)
        code = subprocess.run([sys.executable, "-m", "tests.fuzz.guided", name, str(seconds)], check=False).returncode
        if code:
            print(f"guided: {name} FOUND SOMETHING (exit {code})", flush=True)
        failed += bool(code)
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
