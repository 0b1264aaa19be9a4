"""X.

Calls go through tweepy; the stream is read by us, because tweepy's reconnects without a pause when it is
closed cleanly, and dies of an event without a tag and of whatever its reader raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis, RedisError

from bot.budget import Budget
from bot.logs import Log
from bot.messages import Mention, Reply
from bot.networks import x_stream, x_text, x_wire
from bot.networks.accounts import XAccount
from bot.networks.base import Alive, NetworkError, Page, Posted
from bot.networks.x_client import Client

LOG = Log(__name__)

MAX_LENGTH = 280
MAX_PICTURES = 4
PAGE_SIZE = 100
# More than X has at hand of anything; a look must end.
MOST_PAGES = 100

# A mention may show up after one with a higher id, and some right behind `since_id` never do: the cursor
# stays this far behind, and every look begins as far before it. The ledger knows which ones it has seen.
OVERLAP = timedelta(seconds=30)
# The bits of an id below its milliseconds.
BITS_BELOW_TIME = 22
IDS_IN_OVERLAP = int(OVERLAP.total_seconds() * 1000) << BITS_BELOW_TIME
BEFORE_ALL_IDS = "1"

# tweepy writes the same names with underscores.
QUERY: dict[str, Any] = {name.replace(".", "_"): list(values) for name, values in x_wire.FIELDS.items()}
QUERY_OWN: dict[str, Any] = {"tweet_fields": ["author_id", "created_at", "referenced_tweets"]}


def connect(account: XAccount, redis: Redis) -> X:
    """Log in.

    Raises:
        NetworkError: X cannot be reached, does not accept the tokens, or nobody can count what it costs.
    """
    try:
        budget = Budget(redis, "x", account.daily_budget, account.monthly_budget)
        return X(Client(account, budget), account)
    except RedisError as error:
        raise NetworkError(f"without Redis nothing is asked of X: {error}") from None


class X:
    """The bot's account on X."""

    name = "x"

    def __init__(self, client: Client, account: XAccount) -> None:
        self._client = client
        self._account = account
        self._pacing = x_stream.Pacing()
        me = client.get_me(user_auth=True).get("data")
        found = x_wire.each(x_wire.User, [me])
        if not found:
            raise NetworkError("GET /2/users/me: X does not tell whose tokens these are")
        self._me = found[0]
        client.budget.read("users", [self._me.id], account.price_user)
        LOG.info("logged in", network=self.name, account=self._me.username, server=str(account.url))

    def mentions_after(self, cursor: str | None) -> Page:
        """The mentions after the cursor, oldest first; the latest ones for no cursor."""
        since = _before(cursor) if cursor else None
        answers = list(self._pages(self._client.get_users_mentions, since, QUERY))
        heard = [pair for answer in answers for pair in self._read(answer)]
        heard.sort(key=lambda pair: int(pair[0].id))
        mentions = tuple(mention for _, mention in heard if mention)
        if cursor is None:
            # The very first look: what lies before this page is not the bot's business any more.
            first = heard[0][0].id if heard and answers[0].meta.get("next_token") else BEFORE_ALL_IDS
            last = heard[-1][0].id if heard else BEFORE_ALL_IDS
            return Page(mentions, str(max(int(last), int(first) + IDS_IN_OVERLAP)), next=None)
        settled = [post.id for post, _ in heard if post.created_at < datetime.now(UTC) - OVERLAP]
        newest = settled[-1] if settled and int(settled[-1]) > int(cursor) else None
        return Page(mentions, newest, next=None)

    def watch(self, deliver: Callable[[Mention], None], alive: Alive) -> None:
        """Deliver mentions as they happen until the stream ends; call `alive` at signs of life."""
        if self._account.stream == "off":
            raise NetworkError("X_STREAM is off; mentions are polled", permanent=True)
        with self._pacing.attempt():
            x_stream.keep_rules(self._client, self._me.username)
            with x_stream.opened(self._client) as (lines, hang_up):
                alive(hang_up)
                for line in lines:
                    alive(hang_up)
                    for mention in self._in_event(line):
                        deliver(mention)

    def length(self, text: str) -> int:
        """Length of a text as X counts."""
        return x_text.length(text)

    def room(self, mention: Mention) -> int:  # noqa: ARG002
        """Room for a reply: X adds the handle of who is answered by itself, and does not count that."""
        return MAX_LENGTH

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply. X keeps no idempotency keys: a repeated call posts again or is a duplicate."""
        if mention.visibility != "public":
            message = f"{mention.key} is for its author's followers only; a reply on X would be for everybody"
            raise NetworkError(message, trouble="gone", permanent=True)
        pictures = [
            self._client.upload(picture.content, picture.kind, picture.description)
            for picture in reply.pictures[:MAX_PICTURES]
        ]
        with self._client.budget.spending(self._account.price_reply):
            answer = self._client.create_tweet(
                text=x_text.unlinked(reply.text),
                in_reply_to_tweet_id=mention.id,
                media_ids=pictures or None,
                user_auth=True,
            )
            return self._posted(_id(answer))

    def find_reply(self, mention: Mention) -> Posted | None:
        """The bot's own reply to this mention, if X shows one among the bot's posts."""
        for answer in self._pages(self._client.get_users_tweets, mention.id, QUERY_OWN):
            for post, _ in self._read(answer):
                if post.refers_to("replied_to") == mention.id:
                    return self._posted(post.id)
        return None

    def delete(self, reply_id: str) -> None:
        """Delete one of the bot's own posts; one that is gone already is fine."""
        try:
            self._client.delete_tweet(reply_id, user_auth=True)
        except NetworkError as error:
            if error.trouble != "gone":
                raise

    def missing(self, ids: Sequence[str]) -> set[str]:
        """Which of these posts X says are deleted, or not for the bot to see."""
        if not ids:
            return set()
        found = self._client.get_tweets(list(ids), tweet_fields=["created_at"], user_auth=True)
        answer = x_wire.Answer.model_validate(found)
        self._client.budget.read("posts", [post.id for post in answer.posts], self._account.price_post)
        return answer.unseen & set(ids)

    def _pages(
        self, look: Callable[..., Any], since: str | None, query: dict[str, Any]
    ) -> Iterator[x_wire.Answer]:
        """The posts that are younger than `since`, the youngest first; without it, only the first page."""
        token = None
        for _ in range(MOST_PAGES):
            found = look(
                self._me.id,
                since_id=since,
                pagination_token=token,
                max_results=PAGE_SIZE,
                user_auth=True,
                **query,
            )
            answer = x_wire.Answer.model_validate(found)
            yield answer
            token = answer.meta.get("next_token")
            if not token or since is None:
                return
        LOG.warning("more than X was asked for", network=self.name, since=since)

    def _read(self, answer: x_wire.Answer) -> list[tuple[x_wire.Tweet, Mention | None]]:
        around, posts = x_wire.Around.of(answer), answer.posts
        self._count(posts, around)
        if further := x_wire.quoted_by_parents(posts, around, self._me.id):
            around = around.with_posts(self._shown(further))
        return [(post, x_wire.mention_from(post, around, self._me.id)) for post in posts]

    def _shown(self, ids: list[str]) -> x_wire.Answer:
        """Posts as X shows them; none, and a line in the log, if it does not."""
        try:
            answer = x_wire.Answer.model_validate(
                self._client.get_tweets(ids[:PAGE_SIZE], user_auth=True, **QUERY)
            )
        except NetworkError as error:
            # They must not keep the bot from hearing who mentions it.
            LOG.warning("posts unknown", network=self.name, error=str(error))
            return x_wire.Answer()
        self._count(answer.posts, x_wire.Around.of(answer))
        return answer

    def _count(self, posts: Sequence[x_wire.Tweet], around: x_wire.Around) -> None:
        budget, account = self._client.budget, self._account
        budget.read("posts", [post.id for post in (*posts, *around.posts.values())], account.price_post)
        budget.read("users", list(around.users), account.price_user)

    def _in_event(self, line: bytes) -> list[Mention]:
        answer = x_wire.event(line) if line else None
        if answer is None:
            return []
        if answer.errors and not answer.data:
            raise NetworkError(f"X ends the stream: {str(answer.errors)[:300]}")
        mentions = [mention for _, mention in self._read(answer) if mention]
        self._client.budget.check()
        return mentions

    def _posted(self, id_: str) -> Posted:
        return Posted(id_, f"https://x.com/{self._me.username}/status/{id_}")


def _before(cursor: str) -> str:
    """The id that a post had which was made some time before another."""
    return str(max(int(BEFORE_ALL_IDS), int(cursor) - IDS_IN_OVERLAP))


def _id(answer: dict[str, Any]) -> str:
    data = answer.get("data")
    if isinstance(data, dict) and data.get("id"):
        return str(data["id"])
    raise NetworkError("POST /2/tweets: X gave the reply no id", unknown=True)
