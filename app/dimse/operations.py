"""The DIMSE requests that are served, and the permission that each requires (SEC-9).

An operation gets the association's Exchange and the request; it returns the last Answer, or raises Refused or an
AppError (answered with its DIMSE status and words). A data set that it has not read is read away after it."""

from collections.abc import Callable
from dataclasses import dataclass

from app.dimse import commit, find, get, move, store
from app.dimse.exchange import Exchange, FinalResponse, Request
from app.network import commands
from app.security.verbs import Verb


@dataclass(frozen=True, slots=True)
class ServedOperation:
    """kind: what the transfer log calls it."""

    kind: str
    verb: Verb
    serve: Callable[[Exchange, Request], FinalResponse]


def serve_echo(exchange: Exchange, request: Request) -> FinalResponse:
    """C-ECHO (PS3.7 9.3.5)."""
    return FinalResponse(commands.SUCCESS)


OPERATIONS: dict[int, ServedOperation] = {
    commands.C_ECHO_RQ: ServedOperation("echo", Verb.NODE_ECHO, serve_echo),
    commands.C_FIND_RQ: ServedOperation("find", Verb.STUDY_SEARCH, find.serve),
    commands.C_STORE_RQ: ServedOperation("store", Verb.STUDY_IMPORT, store.serve),
    commands.C_MOVE_RQ: ServedOperation("move", Verb.STUDY_SEND, move.serve),
    commands.C_GET_RQ: ServedOperation("get", Verb.STUDY_EXPORT, get.serve),
    commands.N_ACTION_RQ: ServedOperation("commit", Verb.STUDY_IMPORT, commit.handle_request),
    commands.N_EVENT_REPORT_RQ: ServedOperation("commit", Verb.STUDY_IMPORT, commit.handle_report),
}
