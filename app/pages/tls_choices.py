"""What a node's form offers about TLS: profiles, our certificates, and the authorities that are trusted."""

from dataclasses import dataclass

from app.http import ReadSession
from app.http.i18n import gettext as _
from app.http.i18n import say
from app.trust import queries as certificate_queries
from app.trust import tls

Choices = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TlsChoices:
    """Each a list of (value, word)."""

    profiles: Choices
    certificates: Choices
    checks: Choices
    callers: Choices
    authorities: Choices


def tls_choices(session: ReadSession) -> TlsChoices:
    own = certificate_queries.of_kind(session, "own")
    trusted = [*certificate_queries.of_kind(session, "authority"), *certificate_queries.of_kind(session, "trusted")]
    return TlsChoices(
        profiles=[("", _("As the settings say")), *((name, say(title)) for name, title in tls.TITLES.items())],
        certificates=[("", _("Not chosen")), *dict.fromkeys((one.name, one.name) for one in own)],
        checks=[
            ("name", _("A trusted authority and its host name")),
            ("ca", _("A trusted authority")),
            ("fingerprint", _("The fingerprint below")),
        ],
        callers=[
            ("", _("Nothing")),
            ("trusted", _("A certificate that is trusted")),
            ("fingerprint", _("The one of the fingerprint below")),
            ("authority", _("One of the authority below")),
        ],
        authorities=[("", _("None")), *((one.fingerprint, one.name) for one in trusted)],
    )
