"""Questions in Markdown: a query, a line that says how its answer is drawn, the answer, and the picture.

    ```sql
    select …
    ```

    <!-- picture: NAME; kind=bars|intervals; label=COLUMN[,COLUMN]; value=COLUMN; …; title=WORDS -->

    | … the answer … |

    ![WORDS](images/queries/NAME.svg)

What is below the line is made; a picture shows what the table above it says, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loaders.warehouse.client import Warehouse
from loaders.warehouse.formats import text
from loaders.warehouse.queries import ask, plan
from local.answers.picture import draw
from segue.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "queries.md"
PICTURES = PROJECT_ROOT / "docs" / "images" / "queries"

_QUESTION = re.compile(
    r"```sql\n(?P<sql>(?:(?!```).*\n)*)```\n\n<!-- picture: (?P<name>[\w-]+); (?P<how>.*?) -->\n"
    r"(?P<table>(?:\n?\|.*)*)\n*(?:!\[.*\n*)?"
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


@dataclass(frozen=True)
class Answer:
    """A result as the page shows it: texts, by row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, table: str) -> Answer:
        """Of a table in Markdown."""
        header, _, *rows = (
            [cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()
        )
        return cls(header, rows)

    def markdown(self) -> str:
        """The table; numbers are to the right."""
        marks = [
            "---:" if all(_NUMBER.fullmatch(row[place]) for row in self.rows if row[place]) else "---"
            for place in range(len(self.columns))
        ]
        return "".join(f"| {' | '.join(line)} |\n" for line in (self.columns, marks, *self.rows))

    def records(self) -> list[dict[str, str]]:
        """The rows by their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Question:
    """A query of the page with its answer, and how that is drawn."""

    name: str
    sql: str
    how: Mapping[str, str]
    answer: Answer | None

    def picture(self) -> str:
        """The drawing of the answer."""
        assert self.answer is not None
        return draw(self.answer.records(), self.how)


def questions(page: str) -> Iterator[Question]:
    """Those that have a picture, in their order."""
    return map(_question, _QUESTION.finditer(page))


def refreshed(page: str, warehouse: Warehouse) -> tuple[str, dict[str, str]]:
    """The page with answers from ``warehouse``, and its pictures by their names.

    Raises:
        loaders.warehouse.queries.QueryError: a query is refused.
    """

    def asked(sql: str) -> Answer:
        rows = ask(warehouse, plan(warehouse, sql))
        columns = [field.name for field in rows.schema]
        return Answer(columns, [[text(value) for value in row.values()] for row in rows])

    return _answered(page, asked)


def _answered(page: str, asked: Callable[[str], Answer]) -> tuple[str, dict[str, str]]:
    pictures: dict[str, str] = {}

    def replace(found: re.Match[str]) -> str:
        question = _question(found)
        answer = asked(question.sql)
        pictures[question.name] = Question(question.name, question.sql, question.how, answer).picture()
        image = f"![{question.how['title']}](images/queries/{question.name}.svg)"
        kept = found[0][: found.start("table") - found.start()]
        return f"{kept}\n{answer.markdown()}\n{image}\n\n"

    return _QUESTION.sub(replace, page), pictures


def _question(found: re.Match[str]) -> Question:
    how = dict(part.strip().split("=", 1) for part in found["how"].split(";"))
    answer = Answer.of(found["table"].strip()) if found["table"] else None
    return Question(found["name"], found["sql"], how, answer)
