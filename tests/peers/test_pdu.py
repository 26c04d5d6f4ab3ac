"""PDUs and command sets: round trips, and nothing but the named faults for any bytes at all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.network import commands, pdu
from app.network.commands import BadCommand
from app.network.pdu import BadPdu, Context, ContextResult

_uids = st.from_regex(r"\A[1-9][0-9]{0,6}(\.[1-9][0-9]{0,6}){2,6}\Z")
_titles = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=16)


@settings(deadline=None)  # shared machines pause
@given(_titles, _titles, st.lists(st.tuples(_uids, st.lists(_uids, min_size=1, max_size=5)), max_size=20))
def test_a_request_comes_back_as_it_was(called: str, calling: str, wanted: list[tuple[str, list[str]]]) -> None:
    contexts = [Context(2 * n + 1, uid, transfer) for n, (uid, transfer) in enumerate(wanted)]
    data = pdu.encode_request(called, calling, contexts, 16384)
    assert data[0] == pdu.ASSOCIATE_RQ and int.from_bytes(data[2:6], "big") == len(data) - 6
    found = pdu.decode_associate(data[6:])
    assert (found.called, found.calling, found.contexts) == (called, calling, contexts)
    assert (found.max_length, found.application_context) == (16384, pdu.APPLICATION_CONTEXT)
    results = [ContextResult(c.id, n % 5, c.transfer[0]) for n, c in enumerate(contexts)]
    accepted = pdu.decode_associate(pdu.encode_accept(found, results, 0)[6:])
    assert accepted.results == results and accepted.titles == found.titles


@settings(deadline=None)  # shared machines pause
@given(st.binary(max_size=400))
def test_no_bytes_break_the_association_decoder(data: bytes) -> None:
    for body in (data, bytes(68) + data):
        try:
            pdu.decode_associate(body)
        except BadPdu as fault:
            assert fault.reason == pdu.INVALID_PARAMETER


@settings(deadline=None)  # shared machines pause
@given(st.binary(max_size=200))
def test_no_bytes_break_the_command_decoder(data: bytes) -> None:
    try:
        found = commands.decode(data)
    except BadCommand:
        return
    for element in found:
        assert isinstance(commands.number(found, element), int)
        assert isinstance(commands.text(found, element), str)


@settings(deadline=None)  # shared machines pause
@given(_uids, st.integers(0, 65535), st.text(max_size=100))
def test_a_command_comes_back_as_it_was(uid: str, status: int, words: str) -> None:
    shown = commands.comment(words)
    assert len(shown) <= 64 and shown.isascii() and "\\" not in shown
    data = commands.encode({commands.SOP_CLASS: uid, commands.STATUS: status, commands.ERROR_COMMENT: shown})
    found = commands.decode(data)
    assert int.from_bytes(found[0], "little") == len(data) - 12
    assert (commands.text(found, commands.SOP_CLASS), commands.number(found, commands.STATUS)) == (uid, status)
    assert commands.text(found, commands.ERROR_COMMENT) == shown.strip()
    assert all(len(value) % 2 == 0 for value in found.values())


def test_a_short_status_is_not_taken_for_success() -> None:
    assert commands.number({commands.STATUS: b"\0"}, commands.STATUS, 0x0110) == 0x0110


def test_control_characters_of_a_comment_are_replaced() -> None:
    """They reached the page of transfers as they were."""
    answer = commands.decode(commands.encode({commands.ERROR_COMMENT: b"\x1b[31mFull\0 disk\r\n "}))
    assert commands.text(answer, commands.ERROR_COMMENT) == "[31mFull  disk"
    command = {commands.SOP_INSTANCE: b"1.2.3\0"}
    assert commands.text(command, commands.SOP_INSTANCE) == "1.2.3"
