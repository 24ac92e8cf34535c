"""Segue: daily subscriber marts in BigQuery and offer segments in Bigtable."""
