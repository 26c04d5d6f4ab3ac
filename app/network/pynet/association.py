"""A pynetdicom Association over a Wire, with limits and with words for how it ended."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from app.network import pdu
from app.network.pynet.limits import BUDGET, EMPTY_LIMIT, QUEUED_LIMIT, UNSENT_LIMIT, PynetLimits
from app.network.pynet.transport import WireSocket
from app.network.wire import Wire

log = logging.getLogger(__name__)
_LOOK = 0.02  # seconds an acceptor waits for a message between two looks at aborts, silence and the end of the role

# Switches of the whole process. Identifiers name patients, and formatting them for a log costs time.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False


class WireAssociation(Association):
    """mode: pynetdicom's "acceptor" or "requestor". stopping: true when the process ends.

    fault: why this side ended the association; empty when it did not."""

    def __init__(
        self,
        ae: ApplicationEntity,
        mode: str,
        wire: Wire,
        limits: PynetLimits,
        first: bytes = b"",
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(ae, mode)
        self.fault = ""
        self._stopping = stopping
        self._end: tuple[str, str] | None = None  # FSM event and action that ended it
        self._serving = threading.Lock()
        self._event_reports = 0
        self.dul = _Dul(self)
        self.dimse: _Messages = _Messages(self, limits)
        self.acse_timeout = limits.artim
        self.dimse_timeout = limits.pdu
        self.network_timeout = limits.idle
        self._local_address = str(wire.sock.getsockname()[0])
        self.set_socket(WireSocket(self, wire, limits, self.set_reason, first))
        self.bind(evt.EVT_FSM_TRANSITION, self._note_transition)
        self.bind(evt.EVT_DIMSE_RECV, self._count_event_reports)

    def _bind_defaults(self) -> None:
        """Without the handlers that write every PDU and message into a log."""
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))

    @property
    def local_address(self) -> str:
        """The local end of the connection."""
        return self._local_address

    @property
    def has_ended(self) -> bool:
        """Whether no response reaches the peer any more; pynetdicom notices it only between two requests."""
        return self._end is not None or bool(self.fault) or not self.dul.is_alive()

    def set_reason(self, why: str) -> None:
        """Notes why this side ends the association; the first reason counts."""
        self.fault = self.fault or why

    def fail(self, why: str) -> None:
        """Ends the association with an A-ABORT of the provider, from any thread."""
        self.set_reason(why)
        self.dul.event_queue.put("Evt19")

    def check_stop(self) -> None:
        """Called by the reactor of an acceptor between two messages."""
        if self._stopping() and not self.fault:
            self.set_reason("we stop")
            self.abort()

    @property
    def ending(self) -> str:
        """How it ended, for the log."""
        if self.is_released:
            return "released"
        if self.fault:
            return f"aborted by us: {self.fault}"
        event, action = self._end or ("", "")
        if event == "Evt16":
            return "aborted by the peer"
        if action == "AA-8":
            return "aborted by us: " + ("a PDU that cannot be read" if event == "Evt19" else "an unexpected PDU")
        return "the connection was dropped"

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """One at a time: pynetdicom serves an N-EVENT-REPORT in a thread of its own."""
        with self._serving:
            try:
                if context_id not in self._accepted_cx:
                    self.set_reason("a message on a context that was not accepted")
                elif not msg.is_valid_request and not msg.is_valid_response:
                    self.fail("an incomplete request")
                    return
                super()._serve_request(msg, context_id)
            finally:
                if type(msg).__name__ == "N_EVENT_REPORT" and msg.is_valid_request:
                    self._event_reports -= 1
                self.dimse.served()
                self.dul._idle_timer.restart()  # the peer waited for us: that was not its own silence

    def _count_event_reports(self, event: Any) -> None:
        if type(event.message).__name__ == "N_EVENT_REPORT_RQ":
            self._event_reports += 1
            if self._event_reports > QUEUED_LIMIT:
                self.fail("more requests at a time than were agreed")

    def _note_transition(self, event: Any) -> None:
        ends = event.fsm_event in ("Evt15", "Evt16", "Evt17", "Evt18", "Evt19") or event.action == "AA-8"
        if self._end is None and ends:
            self._end = (event.fsm_event, event.action)
            if event.fsm_event == "Evt15":  # abort by this side; without a reason here, pynetdicom sets one
                silent = self.dul.idle_timer_expired()
                self.set_reason("silent for too long" if silent else "a request that is not offered here")


class _Dul(DULServiceProvider):
    """The thread that reads and writes. It never keeps the process alive, and a fault in it ends the association."""

    def __init__(self, assoc: WireAssociation) -> None:
        super().__init__(assoc)
        self.daemon = True

    def run(self) -> None:
        try:
            super().run()
        except Exception as fault:  # noqa: BLE001 - pynetdicom has noted it; without this the traceback goes to the console
            log.debug("the state machine failed: %s", type(fault).__name__)
            assoc = self.assoc
            assert isinstance(assoc, WireAssociation)
            assoc.set_reason("an event that does not fit the state of the association")
            if self.socket is not None and self.socket.socket is not None:
                self.socket.send(pdu.encode_abort(pdu.BY_PROVIDER, pdu.UNEXPECTED_PDU))


class _Messages(DIMSEServiceProvider):
    """Messages within limits. Bytes are counted until what they belong to has been served."""

    def __init__(self, assoc: WireAssociation, limits: PynetLimits) -> None:
        super().__init__(assoc)
        self._owner = assoc
        self._limit = limits.message
        self._held = 0
        self._empty = 0
        self._lock = threading.Lock()

    def receive_primitive(self, primitive: P_DATA) -> None:
        values = primitive.presentation_data_value_list
        size = sum(len(value) for _, value in values)
        if why := self._limit_fault(size, all(len(value) <= 1 for _, value in values)):
            self._owner.fail(why)
            return
        try:
            super().receive_primitive(primitive)
        except Exception as fault:  # noqa: BLE001
            log.debug("a message cannot be read: %s", type(fault).__name__)
            self._owner.fail("a message that cannot be read")

    def _limit_fault(self, size: int, empty: bool) -> str:
        """Why no more is taken; empty where it is. What is taken is held."""
        self._empty = self._empty + 1 if empty else 0
        if self._empty > EMPTY_LIMIT:
            return "fragments without content, again and again"
        if self.msg_queue.qsize() >= QUEUED_LIMIT:
            return "more requests at a time than were agreed"
        with self._lock:
            if self._held + size > self._limit:
                return f"a message of more than {self._limit} bytes"
            if not BUDGET.reserve(size):
                return "the messages of all associations take too much memory"
            self._held += size
        return ""

    def served(self) -> None:
        """A message has been served; when none is left, nothing is held."""
        if self.message is None and self.msg_queue.empty():
            self.drop()

    def drop(self) -> None:
        """Gives back what is held."""
        with self._lock:
            BUDGET.release(self._held)
            self._held = 0

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Not faster than the peer reads: pynetdicom's queue has no limit."""
        while self.dul.to_provider_queue.qsize() > UNSENT_LIMIT and not self._owner.has_ended:
            time.sleep(0.001)
        super().send_msg(primitive, context_id)

    def get_msg(self, block: bool = False) -> Any:
        """block: for a request that waits for its response; else for the reactor, which an acceptor's thread
        leaves waiting a little instead of returning at once: an idle association then costs 50 turns a second, not
        1000, and a message is served the moment it has come."""
        if block:
            return super().get_msg(block)
        if self.assoc.is_requestor:
            return next_request(self, 0.0)
        self._owner.check_stop()
        return next_request(self, _LOOK)


def next_request(messages: DIMSEServiceProvider, seconds: float) -> Any:
    """The next item of the queue for the reactor of an association, within `timeout` seconds: requests. A response is
    left to who waits for it. pynetdicom's reactor takes that too when it passes the checkpoint just before the request
    is sent; the request then fails by its timeout."""
    waiting, checkpoint = messages.msg_queue, messages.assoc._reactor_checkpoint

    def is_for_us() -> bool:
        """Without a request under way (the checkpoint is open) a response is not expected and is discarded."""
        if not waiting.queue:
            return False
        message = waiting.queue[0][1]
        return checkpoint.is_set() or (message is not None and message.MessageIDBeingRespondedTo is None)

    with waiting.not_empty:
        if not is_for_us() and seconds:
            waiting.not_empty.wait(seconds)
        return waiting.queue.popleft() if is_for_us() else (None, None)
