"""``python -m segue``: the same as the command ``segue``."""

from cli import app

app(prog_name="segue")
