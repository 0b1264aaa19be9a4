"""The conversation: from a mention on a network to one reply."""
