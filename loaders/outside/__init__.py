"""Files of others, read as tables: CSV, NDJSON and Parquet."""
