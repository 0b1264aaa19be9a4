"""Calls to X: tweepy's, sent where the settings say, with a timeout, within the budget, failing in our words.

tweepy alone would go to one address only, wait for ever, and fall over answers that are no JSON object.
"""

from __future__ import annotations

from typing import Any

import requests
import tweepy

from bot.budget import Budget
from bot.networks.accounts import XAccount
from bot.networks.base import NetworkError
from bot.networks.x_errors import http_error, transport_errors

USER_AGENT = "deepselfie (a bot that judges photos)"
TIMEOUT_SECONDS = 10
MAX_DESCRIPTION = 1000
SEGMENT_BYTES = 1 << 20


class Client(tweepy.Client):  # type: ignore[misc]
    """The bot's account on X, and the app that it belongs to."""

    def __init__(self, account: XAccount, budget: Budget) -> None:
        super().__init__(return_type=dict)
        self.budget = budget
        self._url = str(account.url).rstrip("/")
        # Signed over the address that is really called: a rewritten one would not fit its signature.
        self._user = tweepy.OAuth1UserHandler(
            account.consumer_key.get_secret_value(),
            account.consumer_secret.get_secret_value(),
            account.access_token.get_secret_value(),
            account.access_token_secret.get_secret_value(),
        ).apply_auth()
        self._app = tweepy.OAuth2BearerHandler(account.bearer_token.get_secret_value())
        self.session.headers["User-Agent"] = USER_AGENT

    def request(
        self, method: str, route: str, params: Any = None, json: Any = None, user_auth: bool = False
    ) -> requests.Response:
        """Make a call whose answer is a JSON object. All of tweepy's own come here.

        Raises:
            NetworkError: It failed.
        """
        response = self.send(method, route, user_auth=user_auth, params=params, json=json)
        doing = f"{method} {route}"
        with transport_errors(doing, method):
            if isinstance(response.json(), dict):
                return response
        raise NetworkError(f"{doing}: X answered what is no JSON object", unknown=method != "GET")

    def send(self, method: str, route: str, *, user_auth: bool, **more: Any) -> requests.Response:
        """Make any call, as the account or else as the app.

        Raises:
            NetworkError: It failed, or there is no money left for it.
        """
        self.budget.check()
        doing = f"{method} {route}"
        wanted: dict[str, Any] = {
            "auth": self._user if user_auth else self._app,
            "timeout": TIMEOUT_SECONDS,
            "allow_redirects": False,
        }
        with transport_errors(doing, method):
            response: requests.Response = self.session.request(method, self._url + route, **wanted | more)
        if not 200 <= response.status_code < 300:
            with response, transport_errors(doing, method):
                raise http_error(response, doing)
        return response

    def upload(self, content: bytes, kind: str, description: str) -> str:
        """Upload a picture with its description, and return its id.

        Raises:
            NetworkError: It failed.
        """
        route = "/2/media/upload"
        about = {"media_category": "tweet_image", "media_type": kind, "total_bytes": len(content)}
        answer = self.request("POST", f"{route}/initialize", json=about, user_auth=True).json()
        try:
            media = str(answer["data"]["id"])
        except (LookupError, TypeError):
            raise NetworkError(f"POST {route}/initialize: X gave the picture no id") from None
        for index, start in enumerate(range(0, len(content), SEGMENT_BYTES)):
            segment = {"media": ("picture", content[start : start + SEGMENT_BYTES], kind)}
            place = {"segment_index": str(index)}
            self.send("POST", f"{route}/{media}/append", user_auth=True, files=segment, data=place)
        self.request("POST", f"{route}/{media}/finalize", user_auth=True)
        if description:
            metadata = {"alt_text": {"text": description[:MAX_DESCRIPTION]}}
            self.request(
                "POST", "/2/media/metadata", json={"id": media, "metadata": metadata}, user_auth=True
            )
        return media
