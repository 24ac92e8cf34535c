"""Embedded defaults for one machine: emulators, PostgreSQL, Airflow, a generated company."""
