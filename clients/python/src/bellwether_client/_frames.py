"""Frames of `bellwether.v1`, as text and as values."""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Never
from uuid import UUID

import bson
from bson import json_util
from bson.binary import UUID_SUBTYPE, Binary, UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

Frame = dict[str, Any]

# A reply may hold dates that `datetime` cannot: they come as `bson.datetime_ms.DatetimeMS`.
_JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    tz_aware=True,
)
_WRITES: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
_EXACT: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)

_HOST = re.compile(r"\[[0-9a-f.:]*:[0-9a-f.:]*\]|[\w.-]+", re.ASCII | re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")
_PATH = re.compile(r"[\w!$%&'()*+,\-./:;=@~]*", re.ASCII)

_READS = {"find", "aggregate", "count", "distinct", "listCollections", "listIndexes"}

# Errors at which a client stops.
FINAL = {
    "bad_command", "bad_frame", "command_not_allowed", "id_expired", "id_reused", "mongo", "reply_not_kept",
    "result_too_large", "too_deep", "unauthenticated", "forbidden",
}  # fmt: skip

# The fields of a server's frames that are looked at, where they are not null.
_FIELDS: dict[str, type] = {
    **dict.fromkeys(["type", "id", "code", "outcome", "message", "hint", "server", "role"], str),
    **dict.fromkeys(["epoch", "server_time_ms", "retry_after_ms", "max_message_bytes", "max_deadline_ms"], int),
    **dict.fromkeys(["coordinator", "limits", "mongo", "result"], dict),
    "replayed": bool,
}


def command_text(command: Mapping[str, Any]) -> str:
    """Writes a command in Extended JSON, its fields in their order.

    A dictionary that is a value in Extended JSON, such as `{"$oid": "…"}` or `{"$uuid": "…"}`, is
    written as it is.

    Raises `bson.errors.BSONError`, `OverflowError`, `TypeError` or `ValueError` for a command that
    cannot be written. Such a command holds a value that BSON does not have. Examples are a set, a
    key that is no text, and an integer of more than 64 bits.
    """
    try:
        # BSON decides the type of each value, as it does for PyMongo. The JSON writer alone would
        # turn a key such as 1 into "1", and would write integers of any size.
        exact = bson.decode(bson.encode(command, codec_options=_WRITES), codec_options=_EXACT)
        return json.dumps(_extended(exact), ensure_ascii=False, separators=(",", ":"))
    except RecursionError as error:
        raise ValueError("the command is nested too deeply: 100 levels are the most") from error


def _extended(value: Any) -> Any:
    """Gives what `json` writes as Extended JSON.

    An integer stays one, since `$timestamp` and `$minKey` take no other.
    """
    if isinstance(value, dict):
        return {field: _extended(inner) for field, inner in value.items()}
    if isinstance(value, list):
        return [_extended(inner) for inner in value]
    return value if type(value) in (str, int, bool, type(None)) else json_util.default(value, _JSON)


def check_text(text: str) -> Mapping[str, Any]:
    """Gives the fields of a command that is written in Extended JSON, without their types.

    Raises `ValueError` if the text is not one JSON object in UTF-8. Everything else is the server's
    to judge.
    """

    def refuse(constant: str) -> Never:
        raise ValueError(f"{constant} is not JSON")

    try:
        # Numbers of any size are the server's to judge.
        fields = json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the command is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("the command is not a JSON object")  # noqa: TRY004
    return fields


def only_reads(command: Mapping[str, Any]) -> bool:
    """Returns `True` if the command only reads, so that it never has an effect."""
    name = next(iter(command), None)
    if name == "transaction":
        parts = command["transaction"]
        return isinstance(parts, list | tuple) and all(isinstance(part, Mapping) and only_reads(part) for part in parts)
    return name in _READS


def hello(cluster: str | None) -> str:
    """Writes the first frame of a connection."""
    frame = {"type": "hello", "client": "bellwether-python/0.1"}
    return json.dumps(frame if cluster is None else {**frame, "cluster": cluster})


def parse(text: str | bytes) -> Frame:
    """Reads a frame of a server. Raises `ValueError` if the text is none."""
    try:
        frame = json.loads(text)
    except RecursionError as error:
        raise ValueError("a frame is nested too deeply") from error
    if not isinstance(text, str) or not isinstance(frame, dict) or "type" not in frame:
        raise ValueError("the server sent something that is not a frame")
    limits = frame.get("limits")
    for fields in [frame, limits] if isinstance(limits, dict) else [frame]:
        for name, kind in _FIELDS.items():
            # Exactly: `True` is an `int`, too.
            if fields.get(name) is not None and type(fields[name]) is not kind:
                raise ValueError(f"the server sent a frame with a wrong {name}")
    return frame


def decode(value: Any) -> Any:
    """Gives the values of the package `bson` for a value in canonical Extended JSON.

    An object that only looks like a type, such as `{"$date": null}`, stays a dictionary.
    """
    if isinstance(value, list):
        return [decode(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    fields = {field: decode(inner) for field, inner in value.items()}
    # These make no type in the canonical form. A validator, for example, holds the operator
    # `$regex`.
    if "$regex" in fields or "$uuid" in fields:
        return fields
    try:
        made = json_util.object_hook(fields.copy(), _JSON)
    except Exception:  # noqa: BLE001  `bson` raises many kinds for a value of another type.
        return fields
    # The package refuses a UUID that is not 16 bytes long. MongoDB does not.
    is_uuid = isinstance(made, Binary) and made.subtype == UUID_SUBTYPE and len(made) == 16
    return made.as_uuid() if is_uuid else made


def make_id(time_ms: int) -> str:
    """Makes the id of a new command, a UUID of version 7.

    `time_ms` is the time in milliseconds since 1970. `execute` takes it from the server that is
    sent the command. A caller who makes an id needs a clock that is less than an hour ahead, and an
    id is refused 24 hours later.
    """
    version, variant = 7 << 76 | secrets.randbits(12) << 64, 2 << 62 | secrets.randbits(62)
    return str(UUID(int=(time_ms & (1 << 48) - 1) << 80 | version | variant))


def address(server: str) -> str:
    """Gives the URL of a server: of `127.0.0.1:7001`, for example, `ws://127.0.0.1:7001/v1`.

    Raises `ValueError` for a text that is no address.
    """
    scheme, _, rest = (server if "://" in server else f"ws://{server}").partition("://")
    scheme = scheme.lower()
    authority, _, path = rest.partition("/")
    has_port = authority.rfind(":") > authority.rfind("]")
    host, _, port = authority.rpartition(":") if has_port else (authority, "", "443" if scheme == "wss" else "80")
    needed = {
        "the scheme must be ws or wss": scheme in ("ws", "wss"),
        "the host is missing": host,
        "the host is not a name or an address": _HOST.fullmatch(host),
        "the port is missing": has_port or "://" in server,
        "the port is not a number from 1 to 65535": _PORT.fullmatch(port) and 0 < int(port) < 65_536,
        "the path holds a character that is not allowed there": _PATH.fullmatch(path),
    }
    if problem := next((problem for problem, is_met in needed.items() if not is_met), None):
        form = "write host:port or ws://host:port/v1"
        raise ValueError(f"{server!r} is not the address of a server: {problem}; {form}")
    return f"{scheme}://{host.lower()}:{int(port)}/{path or 'v1'}"
