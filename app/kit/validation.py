"""A validation error of pydantic as a message: translated where it is known."""

from collections.abc import Mapping
from typing import Any

from app.kit.phrases import Phrase, as_phrase, of_fault, phrase

_PREFIXES = ("Value error, ", "Assertion failed, ")  # prefix that pydantic adds to a message


def message_of(error: Mapping[str, Any]) -> Phrase:
    """The message of one entry of ValidationError.errors(). It never holds the value, which may be a patient's."""
    context = error.get("ctx") or {}
    match error["type"]:
        case "value_error" if isinstance(context.get("error"), Exception):
            return of_fault(context["error"])
        case "missing":
            return phrase("Field required")
        case "greater_than_equal":
            return phrase("Input should be greater than or equal to {limit}", limit=context["ge"])
        case "greater_than":
            return phrase("Input should be greater than {limit}", limit=context["gt"])
        case "less_than_equal":
            return phrase("Input should be less than or equal to {limit}", limit=context["le"])
        case "less_than":
            return phrase("Input should be less than {limit}", limit=context["lt"])
        case "int_type" | "int_parsing":
            return phrase("Input should be a valid integer")
        case "float_parsing":
            return phrase("Input should be a valid number, unable to parse string as a number")
        case "string_type":
            return phrase("Input should be a valid string")
        case "literal_error" | "enum":
            return phrase("Input should be {known}", known=context["expected"])
        case "string_too_short" if context["min_length"] != 1:
            return phrase("String should have at least {count} characters", count=context["min_length"])
        case "string_too_long" if context["max_length"] != 1:
            return phrase("String should have at most {count} characters", count=context["max_length"])
    message = str(error["msg"])
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return as_phrase(message)
