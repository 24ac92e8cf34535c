"""The offers table itself: its layout and, with the extra ``segue-client[bigtable]``, direct reads of it.

``schema`` and ``row_key`` need nothing; ``reader`` needs google-cloud-bigtable.
"""
