"""Posts in, labelled photos out. Needs the [train] extra."""
