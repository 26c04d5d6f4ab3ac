"""What the clock runs in this room."""

from app.jobs.clock import Clock, ClockContext


def settle_studies(context: ClockContext) -> None:
    from app.archive import service

    with context.database.read() as session:
        if not service.may_settle(session):
            return
    with context.database.write() as session:
        service.settle(session)


def sweep_store(context: ClockContext) -> None:
    context.archive.sweep()


VERBS: Clock = {settle_studies: 1.0, sweep_store: 60.0}
