"""Health check of an Airflow container: asks the API server how a part of Airflow is; exit code 0 is healthy.

``airflow jobs check`` would say the same, but imports Airflow every few seconds in every container.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request


def main() -> int:
    """``health.py metadatabase|scheduler|dag_processor|triggerer``."""
    part = sys.argv[1]
    # The execution API is how the containers reach the API server.
    base = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].removesuffix("/execution/")
    with urllib.request.urlopen(f"{base}/api/v2/monitor/health", timeout=8) as answer:
        health = json.load(answer)[part]
    print(health)
    return 0 if health["status"] == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main())
