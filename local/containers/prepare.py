"""What has to be there before Airflow's components start: the newest segments online."""

from __future__ import annotations

from local.platform import reload_bigtable
from segue.settings import get_settings


def main() -> None:
    """Load the Bigtable emulator again, which forgets everything when it stops."""
    reload_bigtable(get_settings(), print)


if __name__ == "__main__":
    main()
