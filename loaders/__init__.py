"""Everything that moves data in or out: landing files, the warehouse, Bigtable."""
