# The BigQuery emulator, from the same lock as on a machine without containers.
FROM python:3.11.13-slim-bookworm
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/bigquery_emulator
COPY local/bigquery_emulator/pyproject.toml local/bigquery_emulator/uv.lock ./
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON=/usr/local/bin/python
RUN uv sync --locked
# The same number as in the segue image: both write to the volume that stands for Cloud Storage.
RUN useradd --uid 10001 --create-home segue \
    && install --directory --owner segue /var/lib/segue /var/lib/segue/bigquery /var/lib/segue/gcs
ENV PATH=/opt/bigquery_emulator/.venv/bin:$PATH
USER segue
# DuckDB looks for its extensions in the user's home, and would download the one that is missing.
RUN python -c "from duckdb_extensions import import_extension; import_extension('spatial')"
EXPOSE 9050 9060
COPY local/bigquery_emulator ./
CMD ["python", "main.py", "start", "--persistent", "--data-dir", "/var/lib/segue/bigquery", \
     "--rest-host", "0.0.0.0", "--rest-port", "9050", "--grpc-host", "0.0.0.0", "--grpc-port", "9060", \
     "--project", "segue-local", "--log-level", "warning"]
