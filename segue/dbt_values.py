"""Declared values as dbt macros, by which models know what was declared."""

from __future__ import annotations

import json
from typing import Any


def value_macro(name: str, values: list[dict[str, Any]]) -> str:
    """A macro of that name that returns the objects as plain Jinja values.

    Models may so loop over them, and compute constants. Given to dbt as a variable of the same name, others
    count instead.
    """
    # No text of a file may end the block. JSON's own braces are never followed by a percent sign.
    objects = [json.dumps(each, ensure_ascii=False).replace("{%", "\\u007b%") for each in values]
    listed = ",\n".join(f"    {each}" for each in objects)
    return (
        f"{{% macro {name}() -%}}\n"
        "    {%- set declared -%}{% raw %}\n"
        f"[\n{listed}\n]\n"
        "    {% endraw %}{%- endset -%}\n"
        f'    {{{{ return(var("{name}", fromjson(declared))) }}}}\n'
        "{%- endmacro %}\n"
    )
