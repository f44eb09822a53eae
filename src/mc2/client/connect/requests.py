"""What the client sends, as plain JSON values; what this version cannot name is refused."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mc2.client.connect.proto import base_pb2, commands_pb2, relations_pb2
from mc2.errors import PlanError
from mc2.planner.connect.message import Json, unsupported

_MOST_BYTES: Final = 128 * 1024 * 1024
_M = TypeVar("_M", bound=Message)


def operation(plan: base_pb2.Plan) -> tuple[str, Json]:
    """`root` or `command`, and the relation or command itself. Raises: PlanError."""
    kind = plan.WhichOneof("op_type")
    if kind == "compressed_operation":
        return _unpacked(plan.compressed_operation)
    if kind not in {"root", "command"}:
        raise PlanError("the client sent no plan")
    return kind, values(getattr(plan, kind))


def relation(plan: base_pb2.Plan) -> Json:
    """The DataFrame of a plan. Raises: PlanError if it is a command."""
    kind, found = operation(plan)
    if kind != "root":
        raise PlanError("there is no DataFrame in what the client sent")
    return found


def values(found: Message) -> Json:
    """A message as JSON values. Raises: PlanError."""
    _check_known(found)
    try:
        result: dict[str, Any] = json_format.MessageToDict(found, preserving_proto_field_name=True)
    except (TypeError, json_format.Error):
        raise unsupported("an extension of Spark Connect") from None
    return result


def message(found: Json, into: _M) -> _M:
    """JSON values as a message again."""
    json_format.ParseDict(dict(found), into)
    return into


def _unpacked(packed: base_pb2.Plan.CompressedOperation) -> tuple[str, Json]:
    import zstandard

    try:
        raw = zstandard.ZstdDecompressor().decompress(packed.data, max_output_size=_MOST_BYTES)
        if packed.op_type == base_pb2.Plan.CompressedOperation.OP_TYPE_RELATION:
            return "root", values(relations_pb2.Relation.FromString(raw))
        if packed.op_type == base_pb2.Plan.CompressedOperation.OP_TYPE_COMMAND:
            return "command", values(commands_pb2.Command.FromString(raw))
    except (zstandard.ZstdError, DecodeError):
        raise PlanError("the client's plan does not decompress") from None
    raise PlanError("the client sent no plan")


def _check_known(found: Message) -> None:
    """Refuse fields of a newer client: what this version cannot name must not be left out."""
    waiting: list[Message] = [found]
    while waiting:
        part = waiting.pop()
        if len(UnknownFieldSet(part)):
            raise unsupported(
                f"a part of {part.DESCRIPTOR.name} that this version does not know",
                "use a PySpark client of the version in mc2's extra [connect]",
            )
        for field, value in part.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                inner = (
                    value.values()
                    if field.message_type.fields_by_name["value"].message_type
                    else ()
                )
                waiting.extend(inner)
            elif field.is_repeated:
                waiting.extend(value)
            else:
                waiting.append(value)
