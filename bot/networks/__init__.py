"""The networks people mention the bot on: one file a network, behind one protocol (base.py)."""

from bot.networks.base import Network
from bot.networks.mastodon import Mastodon
from bot.settings import NetworkSettings


def connect(settings: NetworkSettings) -> Network:
    """Log in to the network that the settings name.

    Raises:
        NetworkError: It cannot be reached, or does not accept the token.
    """
    return Mastodon.connect(str(settings.mastodon_url), settings.mastodon_token.get_secret_value())
