"""Where the folders of the code lie that are no Python packages.

In a checkout they lie beside the rooms; in a wheel in ``segue/shipped``, because ``dbt``, at the root of an
environment, is dbt's own package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
_SHIPPED: Final = _HERE / "shipped"
_IS_CHECKOUT: Final = not _SHIPPED.is_dir()
_ROOT: Final = _HERE.parent if _IS_CHECKOUT else _SHIPPED

ROOMS_DIR: Final = _HERE.parent
"""The Python packages lie under here, in an environment beside those of others."""
CHECKOUT_DIR: Final = _ROOT if _IS_CHECKOUT else None
DBT_PROJECT_DIR: Final = _ROOT / "dbt"
DAGS_DIR: Final = _ROOT / "dags"
WORKING_DIR: Final = _ROOT if _IS_CHECKOUT else Path.cwd()
"""What is written by default lies under here; nothing is written into an environment."""
