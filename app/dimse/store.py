"""C-STORE as SCP (PS3.4 B.2.3, PS3.7 9.3.1): what `network.receiving` does, once for each request."""

from app.dimse.exchange import Exchange, FinalResponse, Request
from app.network import commands
from app.network.receiving import CANNOT_UNDERSTAND, DataSetReceiver


def serve(exchange: Exchange, request: Request) -> FinalResponse:
    """Receives one object into the archive."""
    if not request.has_data:
        return FinalResponse(CANNOT_UNDERSTAND, "A C-STORE needs a data set")
    lane = exchange.store_lane
    if lane is None:
        limit = exchange.settings.max_object_gib << 30
        lane = DataSetReceiver(exchange.reader, exchange.services.archive, exchange.agreed.source, limit)
        exchange.store_lane = lane
    done = lane.store(request.context_id, request.abstract, request.syntax, request.command)
    exchange.finish_data_set()
    warned = done.status != commands.SUCCESS and done.size > 0
    stored = done.size > 0
    return FinalResponse(done.status, done.comment, done.size, objects=stored, warned=warned, failed=not stored)
