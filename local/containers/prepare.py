"""What has to be there before Airflow's components start: dbt's manifest, and the newest segments online."""

from __future__ import annotations

from local.platform import reload_bigtable
from runs.dbt import parse
from segue.settings import get_settings


def main() -> None:
    """Parse the dbt project and load the Bigtable emulator again, which forgets everything when it stops."""
    settings = get_settings()
    print(parse(settings))
    reload_bigtable(settings, print)


if __name__ == "__main__":
    main()
