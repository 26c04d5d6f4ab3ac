"""C-FIND as SCP (PS3.4 C.4.1.3, PS3.7 9.3.2): patient and study root, all levels, hierarchical and relational.

Higher unique keys may be missing whether relational queries were negotiated or not: there is no limit that the caller
does not set. Nothing of the database stays open while the peer reads."""

from collections.abc import Iterator

from app.archive.search.columns import Level
from app.archive.search.find import BadQuery, Chunk, Finding
from app.audit.tally import AuditedAction
from app.dicom import query
from app.dicom.identifier import BadIdentifier
from app.dicom.matching import Key
from app.dicom.query import Query
from app.dimse.answers import Answers
from app.dimse.exchange import Exchange, FinalResponse, OperationRefused, Request
from app.kit.phrases import phrase
from app.network import commands
from app.network.information_models import MODELS, UNIQUE_KEYS
from app.security.verbs import Verb

_LEVELS: dict[str, Level] = {"PATIENT": "patient", "STUDY": "study", "SERIES": "series", "IMAGE": "instance"}
_RETRIEVE_AE, _AVAILABILITY, _LEVEL = "00080054", "00080056", "00080052"
_EXPLICIT = "1.2.840.10008.1.2.1"
_RELATIONAL, _COMBINED, _FUZZY = range(3)  # bits of the extended negotiation (PS3.4 C.5.1.1.1)


def serve(exchange: Exchange, request: Request) -> FinalResponse:
    """Sends a pending response for each match, in batches; the last answer has the final status."""
    if not request.has_data:
        raise OperationRefused(commands.DOES_NOT_MATCH, "A C-FIND needs an identifier")
    model = MODELS.get(request.abstract)
    if (
        model is None
        or model.service != "find"
        or commands.text(request.command, commands.SOP_CLASS) != request.abstract
    ):
        raise OperationRefused(commands.SOP_CLASS_NOT_SUPPORTED, "SOP class is not one of C-FIND, or not the context's")
    explicit = request.syntax == _EXPLICIT
    try:
        asked = query.parse(exchange.identifier(request.context_id), explicit)
    except BadIdentifier as fault:
        raise OperationRefused(
            commands.UNABLE_TO_PROCESS, phrase("The identifier cannot be read: {fault}", fault=fault)
        ) from None
    level = _level(request, asked)
    try:
        finding = Finding(
            exchange.actor,
            level,
            _keys(asked, level),
            fuzzy=exchange.agreed.flag(request.abstract, _FUZZY),
            combined=exchange.agreed.flag(request.abstract, _COMBINED),
        )
        return _answer(exchange, request, finding, _answers(exchange, asked, finding, explicit), asked.level)
    except BadQuery as fault:
        raise OperationRefused(fault.dimse, fault.detail, (fault.tag,) if fault.tag else ()) from None


def _level(request: Request, asked: Query) -> Level:
    levels = MODELS[request.abstract].levels
    if asked.level not in levels:
        wanted = ", ".join(levels)
        words = phrase("Query/Retrieve Level must be one of {wanted}", wanted=wanted)
        raise OperationRefused(commands.DOES_NOT_MATCH, words, (query.LEVEL,))
    return _LEVELS[asked.level]


def _keys(asked: Query, level: Level) -> list[Key]:
    """The keys to match and to answer: those of the identifier, sequences asked as a whole, the level's unique key."""
    own = [key for key in asked.keys if key.path[0] not in (_RETRIEVE_AE, _AVAILABILITY) and _is_key(key)]
    own += [Key((tag,), "SQ", "") for tag, inside in asked.sequences.items() if not inside]
    unique = f"{UNIQUE_KEYS[asked.level]:08X}"  # type: ignore[index]
    if all(key.path[0] != unique for key in own):
        own.append(Key((unique,), "UI" if level != "patient" else "LO", ""))
    return own


def _is_key(key: Key) -> bool:
    """The time zone is returned, not matched: adjusting queries to it was not agreed (PS3.4 C.5.1.1.1)."""
    return int(key.path[0], 16) != query.TIMEZONE or not key.value


def _answers(exchange: Exchange, asked: Query, finding: Finding, explicit: bool) -> Answers:
    title = exchange.agreed.called or exchange.services.own_title
    constants = {_LEVEL: asked.level, _RETRIEVE_AE: title}
    if int(_AVAILABILITY, 16) in asked.tags:
        constants[_AVAILABILITY] = "ONLINE"
    fixed = [term.strip() for term in exchange.agreed.admission.options.character_set.split("\\") if term.strip()]
    return Answers(finding.paths, constants, finding.header_tags, asked.terms, fixed, explicit)


def _answer(
    exchange: Exchange, request: Request, finding: Finding, answers: Answers, asked_level: str
) -> FinalResponse:
    status = commands.PENDING_UNSUPPORTED_KEYS if finding.unsupported else commands.PENDING
    pending = exchange.pending(request, status)
    limit = exchange.settings.query_limit
    for number, chunk in enumerate(finding.chunks(exchange.services.database)):
        if not number:
            _trace(exchange, asked_level)
        if exchange.services.stopping.is_set():
            return FinalResponse(commands.OUT_OF_RESOURCES, "Filmroom stops", pending.bytes, objects=pending.count)
        for identifier in _encoded(answers, chunk):
            if limit and pending.count >= limit:
                pending.flush()
                words = phrase("More than {limit} matches: narrow the query", limit=limit)
                return FinalResponse(commands.OUT_OF_RESOURCES, words, pending.bytes, objects=pending.count)
            if pending.add(identifier) and exchange.cancelled(request.message_id):
                return FinalResponse(commands.CANCELLED, "", pending.bytes, objects=pending.count)
        if exchange.cancelled(request.message_id):
            return FinalResponse(commands.CANCELLED, "", pending.bytes, objects=pending.count)
    pending.flush()
    return FinalResponse(commands.SUCCESS, "", pending.bytes, objects=pending.count)


def _trace(exchange: Exchange, level: str) -> None:
    """One entry in the audit trail for the lists of one kind that one caller is answered within some minutes, before the
    first answer of them goes out."""
    actor = exchange.actor
    exchange.services.looks.count(
        AuditedAction(
            actor.name,
            str(Verb.STUDY_SEARCH),
            thing="list",
            thing_id=f"C-FIND {level}",
            facility_id=actor.facility_id,
            address=actor.address,
            actor_kind=actor.kind,
            detail={"by": "C-FIND"},
            who_id=actor.user_id or exchange.agreed.admission.node_id or "",  # callers that are neither: by address
        )
    )


def _encoded(answers: Answers, chunk: Chunk) -> Iterator[bytes]:
    if chunk.headers is None:
        return iter(answers.encode(chunk.rows))
    return iter(answers.encode_with(chunk.rows, chunk.headers))
