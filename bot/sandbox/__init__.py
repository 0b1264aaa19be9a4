"""An embedded network that speaks Mastodon's API, with a web page: for the demo, tests and a first try."""
