# Airflow's components and the command line: one image, so that they can never disagree about the code.
FROM python:3.11.13-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/segue
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON=/usr/local/bin/python
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY clients/python/pyproject.toml clients/python/README.md clients/python/
RUN uv sync --locked --no-dev --no-install-workspace
COPY . .
RUN uv sync --locked --no-dev
# The parsed dbt project travels with the code that it was parsed from: no worker parses it again.
ENV SEGUE_DBT_PARSED_DIR=/opt/segue/dbt_parsed
RUN .venv/bin/segue parse

FROM python:3.11.13-slim-bookworm
# What LightGBM is linked with.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home segue \
    && install --directory --owner segue /var/lib/segue /var/lib/segue/state /var/lib/segue/gcs
COPY --from=build /opt/segue /opt/segue
ENV PATH=/opt/segue/.venv/bin:$PATH PYTHONUNBUFFERED=1 SEGUE_DBT_PARSED_DIR=/opt/segue/dbt_parsed
WORKDIR /opt/segue
USER segue
