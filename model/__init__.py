"""What a judge of photos is, and how one is made."""
