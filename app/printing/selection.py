"""Which frames an order means: looked up, and refused with the field where something is not here or fits nothing."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.archive import content
from app.dicom import registry
from app.imaging import presentation
from app.kit.errors import Invalid, NotFound
from app.kit.phrases import phrase
from app.printing import queries
from app.printing.errors import NothingToPrint
from app.printing.order import MAX_ITEMS, OrderItem, PrintOrder
from app.printing.queries import PrintableInstance
from app.security import Actor, may_see
from app.viewing import states


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of an order: frames page by page (None: an empty cell) and the instances they come from."""

    items: list[OrderItem | None]
    found: dict[str, PrintableInstance]


def select(session: Session, actor: Actor, order: PrintOrder) -> Selection:
    """The frames that an order means. Raises NotFound, NothingToPrint and Invalid with the field."""
    if order.items is not None:
        return _from_items(session, actor, order.items)
    if order.study_instance_uid is not None:
        study = queries.study(session, order.study_instance_uid)
        if study is None or not may_see(actor, study.facility_id):
            raise NotFound("Study not found.", field="study_instance_uid")
        found = queries.images_of(session, study_uid=order.study_instance_uid)
    else:
        assert order.series_instance_uid is not None
        pair = queries.series_and_study(session, order.series_instance_uid)
        if pair is None or not may_see(actor, pair[1].facility_id):
            raise NotFound("Series not found.", field="series_instance_uid")
        found = queries.images_of(session, series_uid=order.series_instance_uid)
    if not found:
        hint = (
            "The selected images contain no pixel data."
            if holds_empty_images(session, order.study_instance_uid, order.series_instance_uid)
            else "Printing of reports and other documents is not supported."
        )
        raise NothingToPrint("No images to print.", hint=hint)
    if sum(f.instance.number_of_frames for f in found) > MAX_ITEMS:
        raise Invalid(
            phrase("The maximum is {most} images.", most=MAX_ITEMS),
            hint="Select a series or individual images.",
            field="items",
        )
    items: list[OrderItem | None] = [
        OrderItem(sop_instance_uid=f.instance.sop_instance_uid, frame=frame)
        for f in found
        for frame in range(1, f.instance.number_of_frames + 1)
    ]
    return Selection(items, {f.instance.sop_instance_uid: f for f in found})


def holds_empty_images(session: Session, study_uid: str | None, series_uid: str | None = None) -> bool:
    """Whether a study or series has objects of an image class without frames; what else has none is a document."""
    classes = queries.undrawable_classes(session, study_uid=study_uid, series_uid=series_uid)
    return any("Image Storage" in registry.name(uid) for uid in classes)


def _from_items(session: Session, actor: Actor, items: list[OrderItem | None]) -> Selection:
    uids = list(dict.fromkeys(item.sop_instance_uid for item in items if item))
    if not uids:
        raise NothingToPrint("All cells are empty.", hint="Select at least one image.", field="items")
    found = queries.instances(session, uids)
    for index, item in enumerate(items):
        if item is None:
            continue
        one = found.get(item.sop_instance_uid)
        field = f"items.{index}"
        if one is None or not may_see(actor, one.study.facility_id):
            raise NotFound("Image not found.", field=f"{field}.sop_instance_uid")
        if one.instance.number_of_frames < 1:
            raise NothingToPrint(
                phrase("Item {number} is not an image.", number=index + 1), field=f"{field}.sop_instance_uid"
            )
        if item.frame > one.instance.number_of_frames:
            many = one.instance.number_of_frames
            raise Invalid(
                phrase("Item {number} has frames 1 to {many}.", number=index + 1, many=many), field=f"{field}.frame"
            )
    _check_states(session, actor, items, found)
    return Selection(items, found)


def _check_states(
    session: Session, actor: Actor, items: list[OrderItem | None], found: dict[str, PrintableInstance]
) -> None:
    """Presentation states that are asked for are here, may be seen, belong to the image's study and refer to it."""
    wanted = {item.presentation_state_uid for item in items if item and item.presentation_state_uid}
    known = queries.instances(session, sorted(wanted))
    headers = {
        uid: content.header(session, one.instance)
        for uid, one in known.items()
        if may_see(actor, one.study.facility_id)
    }
    for index, item in enumerate(items):
        if item is None or not item.presentation_state_uid:
            continue
        uid, field = item.presentation_state_uid, f"items.{index}.presentation_state_uid"
        here = uid in headers and known[uid].study.id == found[item.sop_instance_uid].study.id
        if not here or not states.is_state(known[uid].instance):
            raise NotFound("Presentation state not found in the study of the image.", field=field)
        if not presentation.refers_to(headers[uid], item.sop_instance_uid):
            raise Invalid("The presentation state does not refer to this image.", field=field)
