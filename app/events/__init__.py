"""Changes as numbered rows: pages, WebSockets and webhooks follow them.

    events.append(session, "study.arriving", {"study_instance_uid": uid, "instances": 12}, facility_id=...)

Readers ask `after(session, last_id)`; `Follower` wakes them. Topics are `<thing>.<what>`; payloads hold ids and
counts."""

from app.events.models import NOBODY, Event
from app.events.stream import Follower, after, append, following, newest, of_topic, prune, use_folder

__all__ = ["NOBODY", "Event", "Follower", "after", "append", "following", "newest", "of_topic", "prune", "use_folder"]
