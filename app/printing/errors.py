"""Errors of print orders."""

from app.kit.errors import AppError, Invalid


class ActualSizeImpossible(Invalid):
    """An image has no pixel spacing in the patient, so actual size is not possible (PRN-3)."""

    code = "actual-size-impossible"


class NothingToPrint(Invalid):
    code = "nothing-to-print"


class OutputNotAvailable(Invalid):
    code = "output-not-available"


class PrintsRefused(Invalid):
    """Prints of a batch cannot be printed, so none was queued; `extra["errors"]` lists each with its reason."""

    code = "prints-refused"


class TypesettingFailed(AppError):
    """The typesetter did not answer in time or died; the job fails with this sentence and is tried again."""

    code = "typesetting-failed"
