"""Public posts of a network, gathered politely, with a record of where each came from."""
