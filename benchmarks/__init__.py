"""How fast deepselfie is: each benchmark prints a ratio to a limit or a peer measured in the same run."""
