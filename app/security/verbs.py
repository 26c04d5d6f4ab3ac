"""The verbs, and the default permission matrix of SEC-9: one row per verb (tests/http/test_permissions.py)."""

from enum import StrEnum


class Verb(StrEnum):
    """Permissions. The value is used in the audit trail and in token scopes."""

    STUDY_SEARCH = "study.search"
    STUDY_VIEW = "study.view"
    STUDY_IMPORT = "study.import"
    STUDY_EXPORT = "study.export"
    STUDY_PRINT = "study.print"
    STUDY_SEND = "study.send"
    STUDY_ANONYMIZE = "study.anonymize"
    STUDY_DELETE = "study.delete"
    STUDY_ANNOTATE = "study.annotate"
    TAG_EDIT = "tag.edit"
    QUERY_RETRIEVE = "query.retrieve"
    NODE_READ = "node.read"
    NODE_EDIT = "node.edit"
    NODE_ECHO = "node.echo"
    ROUTE_EDIT = "route.edit"  # also the bench, which shows patient data
    JOB_OWN = "job.own"
    JOB_ALL = "job.all"
    CONFLICT_DECIDE = "conflict.decide"
    PROFILE_EDIT = "profile.edit"
    LAYOUT_EDIT = "layout.edit"  # own print layouts
    MASK_EDIT = "mask.edit"  # masks and arranging rules
    CROSSREF_READ = "crossref.read"
    SETTINGS_READ = "settings.read"
    SETTINGS_EDIT = "settings.edit"
    USER_ADMIN = "user.admin"
    FACILITY_ADMIN = "facility.admin"
    SESSION_ADMIN = "session.admin"
    AUDIT_READ = "audit.read"
    EVENT_FOLLOW = "event.follow"
    METRICS_READ = "metrics.read"
    HEALTH_READ = "health.read"
    SELF = "self"  # own preferences, password, second factor, tokens


_EVERYONE = {Verb.SELF, Verb.EVENT_FOLLOW, Verb.STUDY_SEARCH, Verb.STUDY_VIEW, Verb.JOB_OWN, Verb.STUDY_IMPORT}
_TECHNICIAN = _EVERYONE | {
    Verb.STUDY_EXPORT,
    Verb.STUDY_PRINT,
    Verb.STUDY_SEND,
    Verb.STUDY_ANONYMIZE,
    Verb.STUDY_ANNOTATE,
    Verb.QUERY_RETRIEVE,
    Verb.NODE_READ,
    Verb.NODE_ECHO,
    Verb.LAYOUT_EDIT,
}

# role name -> (verbs, sees every facility)
DEFAULT_ROLES: dict[str, tuple[frozenset[Verb], bool]] = {
    "administrator": (frozenset(Verb), True),
    "radiologist": (frozenset(_TECHNICIAN), True),
    "technician": (frozenset(_TECHNICIAN), False),
    "facility": (frozenset(_EVERYONE), False),
}
