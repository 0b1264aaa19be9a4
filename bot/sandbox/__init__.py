"""An embedded network with a web page, speaking the part of Mastodon's API that the bot uses."""
