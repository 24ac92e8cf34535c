"""Pages in the Airflow UI: what became of a day, what there is, and what the offers would be.

HTML and SVG made here, without scripts, without a build and without the internet.
"""
