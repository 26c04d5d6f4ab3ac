"""One more field in the model of a node is all that a new option takes (issue of structure, part 4)."""

from typing import Annotated

from app.api import nodes as rest
from app.nodes import file_schema
from app.nodes.option_kit import Option
from app.nodes.option_model import NodeOptions, fields_of
from app.pages import node_form
from tests.support import doctables


class _More(NodeOptions):
    keep_alive: Annotated[
        int, Option("Keep-alive interval", "Seconds between echoes", unit="s", row="limits", bounds=(5, 600))
    ] = 60


def test_a_new_field_is_in_the_form_in_rest_in_the_file_and_in_the_documentation() -> None:
    shown = [
        one
        for section in node_form.layout(_More)
        for row in section.rows
        for line in row.lines
        for one in line
        if one.name == "keep_alive"
    ]
    assert [one.option.label for one in shown] == ["Keep-alive interval"] and shown[0].widget == "number"
    assert node_form.blank(_More).values["keep_alive"] == "60"
    assert "keep_alive" in node_form.typed_model(_More).model_fields
    body = rest.body_model(_More).model_json_schema()["properties"]["keep_alive"]
    assert body["title"] == "Keep-alive interval" and (body["minimum"], body["maximum"]) == (5, 600)
    in_file = file_schema.schema(_More)["properties"]["nodes"]["items"]["properties"]["keep_alive"]
    assert (in_file["minimum"], in_file["maximum"]) == (5, 600)
    row = next(line for line in doctables.node_options(_More).splitlines() if "`keep_alive`" in line)
    assert "Keep-alive interval (s)" in row and "Seconds between echoes" in row


def test_the_present_fields_have_a_label_and_a_sentence() -> None:
    for name, one in fields_of().items():
        assert one.option.label and one.option.help, name
