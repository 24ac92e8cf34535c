"""``python -m local.answers``: every question of docs/queries.md, asked anew of the settings' warehouse."""

from __future__ import annotations

from loaders.warehouse.client import warehouse_of
from local.answers.page import PAGE, PICTURES, refreshed
from segue.settings import get_settings


def main() -> None:
    """Write the page and its pictures."""
    text, pictures = refreshed(PAGE.read_text(encoding="utf-8"), warehouse_of(get_settings()))
    PAGE.write_text(text, encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, drawing in pictures.items():
        (PICTURES / f"{name}.svg").write_text(drawing, encoding="utf-8")
    print(f"{len(pictures)} answers in {PAGE}")


if __name__ == "__main__":
    main()
