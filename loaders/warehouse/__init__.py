"""BigQuery: clients, operational tables, dbt builds and publication."""
