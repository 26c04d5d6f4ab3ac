"""Which service was tried with which other program, and by which test: docs/integrator/network.md is written from here.

`python -m tests.support.matrix` writes the table; tests/test_matrix.py fails when the table says something else, or names
a test that is not there. As no test may fail in CI, the table is what was seen to work at that commit."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "integrator" / "network.md"
BEGIN, END = "<!-- matrix: written by tests/support/matrix.py -->", "<!-- end of matrix -->"
PEERS = ("DCMTK 3.6.7", "Orthanc 1.10.1", "GDCM 3.0.21", "CTN 3.2.0", "pynetdicom 3", "Filmroom")


@dataclass(frozen=True)
class Cell:
    """role: SCP when the other program asks us, SCU when we ask it. test: file::function below tests/."""

    service: str
    role: str
    peer: str
    test: str


CELLS = [
    Cell("C-ECHO", "SCP", "DCMTK 3.6.7", "dimse/test_store.py::test_it_answers_an_echo"),
    Cell("C-ECHO", "SCP", "CTN 3.2.0", "interop/test_ctn.py::test_ctn_echoes"),
    Cell("C-ECHO", "SCP", "Orthanc 1.10.1", "interop/test_orthanc.py::test_it_stores_from_and_sends_to_orthanc"),
    Cell("C-ECHO", "SCP", "GDCM 3.0.21", "interop/test_second_stack.py::test_gdcm_echoes_and_stores_to_us"),
    Cell("C-ECHO", "SCP", "pynetdicom 3", "interop/test_second_stack.py::test_programs_of_pynetdicom_echo_and_store_to_us"),
    Cell("C-ECHO", "SCU", "DCMTK 3.6.7", "peers/test_nodes.py::test_an_echo_that_works_is_remembered"),
    Cell("C-ECHO", "SCU", "CTN 3.2.0", "interop/test_ctn.py::test_ctn_is_echoed"),
    Cell("C-ECHO", "SCU", "Orthanc 1.10.1", "interop/test_orthanc.py::test_it_stores_from_and_sends_to_orthanc"),
    Cell("C-ECHO", "SCU", "pynetdicom 3", "interop/test_second_stack.py::test_an_archive_of_pynetdicom_takes_finds_moves_and_gives"),
    Cell("C-ECHO", "SCU", "Filmroom", "interop/test_live.py::test_a_study_comes_in_and_goes_on_to_another_node"),
    Cell("C-STORE", "SCP", "DCMTK 3.6.7", "dimse/test_store.py::test_what_storescu_sends_is_stored_byte_for_byte"),
    Cell("C-STORE", "SCP", "Orthanc 1.10.1", "interop/test_orthanc.py::test_it_stores_from_and_sends_to_orthanc"),
    Cell("C-STORE", "SCP", "CTN 3.2.0", "interop/test_ctn.py::test_ctn_stores_to_us"),
    Cell("C-STORE", "SCP", "GDCM 3.0.21", "interop/test_second_stack.py::test_gdcm_echoes_and_stores_to_us"),
    Cell("C-STORE", "SCP", "pynetdicom 3", "interop/test_second_stack.py::test_programs_of_pynetdicom_echo_and_store_to_us"),
    Cell("C-STORE", "SCU", "DCMTK 3.6.7", "peers/test_transfers.py::test_a_study_arrives_unchanged"),
    Cell("C-STORE", "SCU", "Orthanc 1.10.1", "interop/test_orthanc.py::test_it_stores_from_and_sends_to_orthanc"),
    Cell("C-STORE", "SCU", "CTN 3.2.0", "interop/test_ctn.py::test_ctn_takes_what_we_send"),
    Cell("C-STORE", "SCU", "pynetdicom 3", "interop/test_second_stack.py::test_an_archive_of_pynetdicom_takes_finds_moves_and_gives"),
    Cell("C-STORE", "SCU", "Filmroom", "interop/test_live.py::test_a_study_comes_in_and_goes_on_to_another_node"),
    Cell("C-FIND", "SCP", "DCMTK 3.6.7", "dimse/test_find.py::test_findscu_at_every_level"),
    Cell("C-FIND", "SCP", "Orthanc 1.10.1", "dimse/test_find.py::test_orthanc_finds"),
    Cell("C-FIND", "SCP", "GDCM 3.0.21", "dimse/test_find.py::test_gdcmscu_finds"),
    Cell("C-FIND", "SCP", "pynetdicom 3", "interop/test_second_stack.py::test_programs_of_pynetdicom_find_move_and_get"),
    Cell("C-FIND", "SCU", "DCMTK 3.6.7", "interop/test_finding.py::test_it_finds_at_every_level"),
    Cell("C-FIND", "SCU", "Orthanc 1.10.1", "interop/test_retrieve_live.py::test_orthanc_is_queried_and_gives_by_move_and_get"),
    Cell("C-FIND", "SCU", "pynetdicom 3", "interop/test_second_stack.py::test_an_archive_of_pynetdicom_takes_finds_moves_and_gives"),
    Cell("C-FIND", "SCU", "Filmroom", "interop/test_retrieve_live.py::test_a_second_filmroom_gives_by_dicom_and_by_dicomweb"),
    Cell("C-MOVE", "SCP", "DCMTK 3.6.7", "dimse/test_move.py::test_every_level_arrives_unchanged"),
    Cell("C-MOVE", "SCP", "Orthanc 1.10.1", "interop/test_orthanc_retrieve.py::test_moves_and_commitment_with_orthanc"),
    Cell("C-MOVE", "SCP", "GDCM 3.0.21", "dimse/test_move.py::test_gdcmscu_moves_to_itself"),
    Cell("C-MOVE", "SCP", "pynetdicom 3", "interop/test_second_stack.py::test_programs_of_pynetdicom_find_move_and_get"),
    Cell("C-MOVE", "SCU", "DCMTK 3.6.7", "interop/test_finding.py::test_it_moves_and_gets"),
    Cell("C-MOVE", "SCU", "Orthanc 1.10.1", "interop/test_retrieve_live.py::test_orthanc_is_queried_and_gives_by_move_and_get"),
    Cell("C-MOVE", "SCU", "pynetdicom 3", "interop/test_second_stack.py::test_an_archive_of_pynetdicom_takes_finds_moves_and_gives"),
    Cell("C-GET", "SCP", "DCMTK 3.6.7", "dimse/test_get.py::test_every_level_arrives_unchanged"),
    Cell("C-GET", "SCP", "pynetdicom 3", "interop/test_second_stack.py::test_programs_of_pynetdicom_find_move_and_get"),
    Cell("C-GET", "SCU", "DCMTK 3.6.7", "interop/test_finding.py::test_it_moves_and_gets"),
    Cell("C-GET", "SCU", "Orthanc 1.10.1", "interop/test_retrieve_live.py::test_orthanc_is_queried_and_gives_by_move_and_get"),
    Cell("C-GET", "SCU", "pynetdicom 3", "interop/test_second_stack.py::test_an_archive_of_pynetdicom_takes_finds_moves_and_gives"),
    Cell("C-GET", "SCU", "Filmroom", "interop/test_retrieve_live.py::test_a_second_filmroom_gives_by_dicom_and_by_dicomweb"),
    Cell("Storage Commitment", "SCP", "pynetdicom 3", "dimse/test_commit.py::test_a_caller_that_goes_is_told_on_an_association_of_ours"),
    Cell("Storage Commitment", "SCP", "Orthanc 1.10.1", "interop/test_orthanc_retrieve.py::test_moves_and_commitment_with_orthanc"),
    Cell("Storage Commitment", "SCU", "pynetdicom 3", "peers/test_commitment_scu.py::test_the_answer_may_come_on_the_association_of_the_request"),
    Cell("Storage Commitment", "SCU", "Orthanc 1.10.1", "interop/test_orthanc_retrieve.py::test_moves_and_commitment_with_orthanc"),
    Cell("Storage Commitment", "SCU", "Filmroom", "dimse/test_commit.py::test_both_ways_with_itself"),
    Cell("DICOM TLS", "SCP", "DCMTK 3.6.7", "dimse/test_tls.py::test_dcmtk_echoes_and_stores_by_tls"),
    Cell("DICOM TLS", "SCP", "Orthanc 1.10.1", "peers/test_tls_out.py::test_orthanc_by_tls_in_both_directions"),
    Cell("DICOM TLS", "SCU", "DCMTK 3.6.7", "peers/test_tls_out.py::test_it_echoes_and_stores_to_dcmtk"),
    Cell("DICOM TLS", "SCU", "Orthanc 1.10.1", "peers/test_tls_out.py::test_orthanc_by_tls_in_both_directions"),
    Cell("DICOMweb QIDO and WADO", "SCP", "Orthanc 1.10.1", "interop/test_orthanc_web.py::test_orthanc_finds_fetches_and_stores_here"),
    Cell("DICOMweb QIDO and WADO", "SCU", "Orthanc 1.10.1", "interop/test_orthanc_web.py::test_studies_and_parts_come_by_wado"),
    Cell("DICOMweb QIDO and WADO", "SCU", "Filmroom", "interop/test_retrieve_live.py::test_a_second_filmroom_gives_by_dicom_and_by_dicomweb"),
    Cell("DICOMweb STOW", "SCP", "Orthanc 1.10.1", "interop/test_orthanc_web.py::test_orthanc_finds_fetches_and_stores_here"),
    Cell("DICOMweb STOW", "SCU", "Orthanc 1.10.1", "interop/test_orthanc_web.py::test_it_takes_what_we_send_and_then_only_what_it_lacks"),
    Cell("DICOMweb STOW", "SCU", "Filmroom", "peers/test_destinations.py::test_a_second_filmroom_takes_them_by_stow"),
]  # fmt: skip


def table() -> str:
    """The matrix as Markdown; each mark links to its test."""
    lines = ["| service | Filmroom is | " + " | ".join(PEERS) + " |", "|---" * (len(PEERS) + 2) + "|"]
    for service, role in dict.fromkeys((cell.service, cell.role) for cell in CELLS):
        mine = {cell.peer: cell for cell in CELLS if (cell.service, cell.role) == (service, role)}
        marks = [f"[yes](../../tests/{mine[peer].test.split('::')[0]})" if peer in mine else "" for peer in PEERS]
        lines.append(f"| {service} | {role} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def written(text: str) -> str:
    """The document with the table as it should be."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{rest[rest.index(END) :]}"


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


if __name__ == "__main__":
    DOC.write_text(written(DOC.read_text()))
