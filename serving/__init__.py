"""The read side: wire contract, row keys and the lookup client."""
