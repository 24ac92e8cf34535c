"""Landing: a day's files, held to their contracts, become one arrival day of the raw tables."""
