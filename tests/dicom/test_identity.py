"""Same patient or not: the safe side is two."""

from app.dicom.identity import patient_key


def test_id_and_name_make_a_patient_however_the_name_is_written() -> None:
    assert patient_key("7", "A", "DOE^JANE", "", "1.2") == patient_key("7", "A", "Doe^Jane^^^", "19700101", "1.3")


def test_the_same_id_with_another_name_or_issuer_is_somebody_else() -> None:
    one = patient_key("7", "A", "DOE^JANE", "", "1.2")
    assert one not in (patient_key("7", "B", "DOE^JANE"), patient_key("7", "A", "ROE^JANE"))


def test_without_an_id_the_day_of_birth_tells_namesakes_apart() -> None:
    one = patient_key("", "", "DOE^JANE", "19700101", "1.2")
    assert one == patient_key("", "", "DOE^JANE", "19700101", "1.3")
    assert one != patient_key("", "", "DOE^JANE", "19800101", "1.3")


def test_who_has_neither_id_nor_name_is_nobody_elses_patient() -> None:
    assert patient_key("", "", "", "", "1.2") != patient_key("", "", "", "", "1.3")
