"""Texts for permissions and audit verbs: verbs of permissions, token scopes and the audit trail, and the kinds
of things they are done to."""

from app.http.i18n import gettext as _
from app.http.i18n import translate
from app.kit.phrases import phrase

# As an infinitive: it names a permission, and is shown beside an outcome (done, denied, failed).
_WORDS = {
    "study.search": phrase("Search studies"),
    "study.view": phrase("Open images"),
    "study.read": phrase("Read data of a study"),
    "study.import": phrase("Import images"),
    "study.export": phrase("Export images"),
    "study.print": phrase("Print images"),
    "study.send": phrase("Send images"),
    "study.anonymize": phrase("Anonymized copy"),
    "study.delete": phrase("Delete images"),
    "study.annotate": phrase("Save annotations"),
    "tag.edit": phrase("Change attributes"),
    "query.retrieve": phrase("Query and retrieve"),
    "query.ask": phrase("Search other archives"),
    "query.cancel": phrase("Cancel a query"),
    "retrieve.cancel": phrase("Cancel a retrieval"),
    "retrieve.retry": phrase("Retry a retrieval"),
    "retrieve.drop": phrase("Remove a retrieval from the list"),
    "node.read": phrase("View nodes and transfers"),
    "node.create": phrase("Add a node"),
    "node.edit": phrase("Change nodes"),
    "node.delete": phrase("Remove a node"),
    "node.pause": phrase("Pause a node"),
    "node.resume": phrase("Resume a node"),
    "node.echo": phrase("Test a node"),
    "node.test": phrase("Run the self-test of a node"),
    "node.export": phrase("Export the list of nodes"),
    "caller.ignore": phrase("Hide an unknown caller"),
    "caller.show": phrase("Show an unknown caller again"),
    "caller.forget": phrase("Delete an unknown caller"),
    "transfer.cancel": phrase("Cancel a transfer"),
    "transfer.retry": phrase("Retry a transfer"),
    "transfer.drop": phrase("Remove a transfer from the list"),
    "transfer.priority": phrase("Change the priority of a transfer"),
    "commitment.give": phrase("Send a storage commitment"),
    "commitment.get": phrase("Receive a storage commitment"),
    "route.create": phrase("Add a route"),
    "route.edit": phrase("Change routes"),
    "route.enable": phrase("Turn a route on"),
    "route.disable": phrase("Turn a route off"),
    "route.order": phrase("Change the order of routes"),
    "route.delete": phrase("Remove a route"),
    "route.fire": phrase("Apply a route to stored studies"),
    "route.retry": phrase("Retry a route"),
    "route.drop-run": phrase("Stop a run of a route"),
    "route.drop": phrase("Cancel a failed run of a route"),
    "print.cancel": phrase("Cancel a print"),
    "print.retry": phrase("Print again"),
    "print.priority": phrase("Change the priority of a print"),
    "print.delete": phrase("Remove a print"),
    "print.read": phrase("Open a print"),
    "job.own": phrase("View own background jobs"),
    "job.all": phrase("View all background jobs"),
    "conflict.decide": phrase("Resolve conflicts"),
    "profile.edit": phrase("Change anonymization profiles"),
    "anonymization.delete": phrase("Delete an anonymized copy"),
    "layout.edit": phrase("Change print layouts"),
    "mask.edit": phrase("Change masks"),
    "crossref.read": phrase("View the identity behind an anonymized copy"),
    "settings.read": phrase("View settings"),
    "settings.edit": phrase("Change settings"),
    "certificate.add": phrase("Add a certificate"),
    "certificate.use": phrase("Choose a certificate"),
    "certificate.remove": phrase("Remove a certificate"),
    "certificate.revocations": phrase("Load a revocation list"),
    "certificate.warn": phrase("Warn about an expiring certificate"),
    "store.check": phrase("Check stored files"),
    "user.admin": phrase("Manage users and roles"),
    "user.create": phrase("Add a user"),
    "user.edit": phrase("Change a user"),
    "user.delete": phrase("Delete a user"),
    "user.password": phrase("Change a password"),
    "role.edit": phrase("Change a role"),
    "role.delete": phrase("Delete a role"),
    "second-factor.on": phrase("Enable the second factor"),
    "second-factor.off": phrase("Disable the second factor"),
    "token.create": phrase("Create a token"),
    "token.delete": phrase("Delete a token"),
    "facility.admin": phrase("Manage facilities"),
    "facility.create": phrase("Add a facility"),
    "facility.edit": phrase("Change a facility"),
    "facility.delete": phrase("Delete a facility"),
    "session.admin": phrase("Manage sessions"),
    "session.close": phrase("Sign out"),
    "session.unlock": phrase("Unlock the screen"),
    "login": phrase("Sign in"),
    "audit.read": phrase("Read the audit trail"),
    "event.follow": phrase("Follow events"),
    "metrics.read": phrase("Read metrics"),
    "health.read": phrase("View the system status"),
    "self": phrase("Change own preferences and password"),
}
_THINGS = {
    "study": phrase("Study"),
    "list": phrase("List"),
    "print": phrase("Print"),
    "series": phrase("Series"),
    "instance": phrase("Object"),
    "conflict": phrase("Conflict"),
    "anonymization": phrase("Copy"),
    "query": phrase("Query"),
    "node": phrase("Node"),
    "caller": phrase("Caller"),
    "commitment": phrase("Storage commitment"),
    "route": phrase("Route"),
    "certificate": phrase("Certificate"),
    "facility": phrase("Facility"),
    "user": phrase("User"),
    "role": phrase("Role"),
    "token": phrase("Token"),
    "session": phrase("Session"),
    "settings": phrase("Settings"),
}


_DECISIONS = {
    "keep-first": phrase("Keep stored"),
    "overwrite": phrase("Replace"),
    "save-as-new": phrase("Save as new"),
}


def verb_words(verb: str) -> str:
    """A verb in words of this request's language; one that a newer or older version wrote stays its code. `metrics`, a scope of tokens, is `metrics.read`."""
    return translate(_WORDS.get(verb) or _WORDS.get(f"{verb}.read", verb))


def decision_words(decision: str) -> str:
    """Texts for decisions on a conflict."""
    return translate(_DECISIONS.get(decision, decision[:64]))


def target_words(thing: str) -> str:
    """The kind of thing it was done to."""
    return translate(_THINGS.get(thing, thing))


def verb_choices() -> list[tuple[str, str]]:
    """(verb, words) of all, in the order of the words."""
    return sorted(((verb, verb_words(verb)) for verb in _WORDS), key=lambda one: one[1].casefold())


def history_words(verb: str) -> str:
    """Texts for the history of a study."""
    done = {
        "study.view": _("Opened"),
        "study.read": _("Data read"),
        "study.search": _("Data read"),
        "study.print": _("Printed"),
        "print.retry": _("Printed again"),
        "study.send": _("Sent"),
        "study.export": _("Exported"),
        "study.anonymize": _("Anonymized"),
        "study.import": _("Imported"),
        "study.delete": _("Deleted"),
        "conflict.decide": _("Conflict resolved"),
        "query.retrieve": _("Retrieved"),
    }
    return done.get(verb) or verb_words(verb)
