"""The networks people mention the bot on: one file a network, behind one protocol (base.py)."""
