"""The page of all settings, from the settings themselves."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from local.site.markup import code, page, table
from segue.settings import PROJECT_ROOT, Settings

INTRODUCTION = """\
Every setting is an environment variable, or a line of the file that `SEGUE_ENV_FILE` names (`segue local
up` writes one). A setting without a default that is not given means "not used": an endpoint that is not
given is Google Cloud's own. Lists are separated by commas."""


def settings_page() -> str:
    """Name, type, default and meaning of every setting, in the order of their declaration: groups last."""
    prefix = str(Settings.model_config["env_prefix"])
    rows = [
        [code(prefix + name.upper()), _type(field), _default(field), field.description or ""]
        for name, field in sorted(
            Settings.model_fields.items(), key=lambda each: each[0] not in Settings.__annotations__
        )
    ]
    return page("Settings", INTRODUCTION, [table(["setting", "value", "default", "what it is"], rows)])


def _type(field: FieldInfo) -> str:
    return " or ".join(_names(field.annotation))


def _names(annotation: Any) -> list[str]:
    if annotation is type(None):
        return []
    if get_origin(annotation) is Literal:
        return [code(value) for value in get_args(annotation)]
    if get_origin(annotation) in (tuple, list, frozenset, set):
        inner = [name for each in get_args(annotation) if each is not ... for name in _names(each)]
        return [f"list of {' or '.join(dict.fromkeys(inner))}"]
    if get_args(annotation):
        return [name for each in get_args(annotation) for name in _names(each)]
    words = {
        "str": "text",
        "bool": "true or false",
        "int": "whole number",
        "float": "number",
        "SecretStr": "secret",
    }
    name = getattr(annotation, "__name__", str(annotation))
    return [words.get(name, name.lower())]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required() or value is None:
        return "–"
    if isinstance(value, tuple | list | set | frozenset):
        value = ",".join(map(str, value))
    return code(str(value).replace(f"{PROJECT_ROOT}/", "")) if str(value) else "empty"
