"""Settings from the environment; NAME may also come from the file that NAME_FILE names, or from SECRETS_DIR.

Every field's alias is its variable's name. README.md documents each one, and a test proves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bot.environment import SettingsError, read
from bot.etiquette import Rules
from bot.record import Policy

__all__ = ["BotSettings", "Group", "ListenerSettings", "Settings", "SettingsError", "load", "read"]

Count = Annotated[int, Field(ge=1)]


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True)

    @property
    def secrets(self) -> set[str]:
        """What must never show up anywhere: every secret, and of an address only its password."""
        values = {value.get_secret_value() for _, value in self if isinstance(value, SecretStr)}
        addresses = {value for value in values if "://" in value}
        # A password may hold anything: it begins after the first colon and ends at the last @.
        people = {address.partition("://")[2].rpartition("@")[0] for address in addresses}
        passwords = {person.partition(":")[2] for person in people}
        others = values - addresses
        # Each as it is, and as it stands in an address.
        forms = others | {quote(value, safe="") for value in others}
        return (forms | passwords | {unquote(password) for password in passwords}) - {""}


class Settings(Group):
    """Base of every process's settings."""

    redis_url: SecretStr = Field(
        SecretStr("redis://localhost:6379/0"),
        alias="REDIS_URL",
        description="where Redis or Valkey listens, with its password if it has one",
    )
    redis_password: SecretStr | None = Field(
        None, alias="REDIS_PASSWORD", description="Redis' password, where REDIS_URL has none"
    )
    log_format: Literal["text", "json"] = Field(
        "text", alias="LOG_FORMAT", description="one log line an event, for people (text) or programs (json)"
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0, alias="METRICS_PORT", description="port for /metrics, /healthz and /readyz; 0: none"
    )
    metrics_host: str = Field(
        "127.0.0.1", alias="METRICS_HOST", description="address on which METRICS_PORT is opened"
    )

    @property
    def redis_address(self) -> str:
        """REDIS_URL with its password, for nobody's eyes."""
        address = self.redis_url.get_secret_value()
        try:
            place = urlsplit(address)
        except ValueError:  # that it is none, `connect` says
            return address
        user, _, host = place.netloc.rpartition("@")
        if self.redis_password is None or ":" in user or not (host or place.scheme == "unix"):
            return address
        password = quote(self.redis_password.get_secret_value(), safe="")
        return urlunsplit(place._replace(netloc=f"{user}:{password}@{host}"))


class BotSettings(Settings):
    """What listener and responder both have to know."""

    promise_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        60,
        alias="BOT_PROMISE_SECONDS",
        description="seconds after which a mention that is still not answered counts as late",
    )
    when_late: Literal["apologise", "silence"] = Field(
        "apologise",
        alias="BOT_WHEN_LATE",
        description="what a late mention gets: one apology, or silence",
    )
    retention_days: Annotated[float, Field(gt=0, le=3650)] = Field(
        30, alias="BOT_RETENTION_DAYS", description="days for which the outcome of a mention is kept"
    )
    dry_run: Literal["no", "yes"] = Field(
        "no", alias="BOT_DRY_RUN", description="whether replies are only logged, not posted (yes), or posted"
    )

    @property
    def policy(self) -> Policy:
        """What the ledger has to know of these."""
        return Policy(
            promise_seconds=self.promise_seconds,
            apologise=self.when_late == "apologise",
            retention_seconds=int(self.retention_days * 24 * 3600),
        )


class ListenerSettings(BotSettings):
    """What only the listener needs."""

    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        20,
        alias="BOT_POLL_SECONDS",
        description="seconds between two looks for mentions that the stream did not deliver",
    )
    catch_up_minutes: Annotated[float, Field(gt=0, le=60 * 24 * 365)] = Field(
        60,
        alias="BOT_CATCH_UP_MINUTES",
        description="after a pause, mentions older than this many minutes are skipped, not answered late",
    )
    user_per_minute: Count = Field(
        5, alias="BOT_USER_PER_MINUTE", description="mentions of one author that are answered in any minute"
    )
    user_per_day: Count = Field(
        30, alias="BOT_USER_PER_DAY", description="mentions of one author that are answered in any 24 hours"
    )
    newcomer_days: Annotated[float, Field(ge=0, le=3650)] = Field(
        7,
        alias="BOT_NEWCOMER_DAYS",
        description="days for which an account counts as new, where the network tells its age",
    )
    newcomer_per_minute: Count = Field(
        2, alias="BOT_NEWCOMER_PER_MINUTE", description="the same as BOT_USER_PER_MINUTE, for a new account"
    )
    newcomer_per_day: Count = Field(
        10, alias="BOT_NEWCOMER_PER_DAY", description="the same as BOT_USER_PER_DAY, for a new account"
    )
    # Mastodon takes 300 posts in 3 hours; what is left of them is for confirmations that nothing limits.
    per_hour: Count = Field(
        90, alias="BOT_PER_HOUR", description="mentions of all authors that are answered in any hour"
    )
    per_thread: Count = Field(
        2, alias="BOT_PER_THREAD", description="mentions in one thread that are answered"
    )
    photos_of: Literal["author", "anyone"] = Field(
        "author",
        alias="BOT_PHOTOS_OF",
        description="whose photos are judged: the author's of the mention, or anyone's that it replies to",
    )
    sensitive: Literal["decline", "judge"] = Field(
        "decline",
        alias="BOT_SENSITIVE",
        description="whether photos that are marked as sensitive are declined or judged",
    )
    blocklist: Path | None = Field(
        None,
        alias="BOT_BLOCKLIST",
        description="a file with a handle or domain a line whose mentions are skipped",
    )

    @property
    def rules(self) -> Rules:
        """What the etiquette has to know of these."""
        return Rules(
            per_minute=self.user_per_minute,
            per_day=self.user_per_day,
            newcomer=timedelta(days=self.newcomer_days),
            newcomer_per_minute=self.newcomer_per_minute,
            newcomer_per_day=self.newcomer_per_day,
            per_thread=self.per_thread,
            per_hour=self.per_hour,
            catch_up=timedelta(minutes=self.catch_up_minutes),
            photos_of=self.photos_of,
            sensitive=self.sensitive,
            when_late=self.when_late,
        )


G = TypeVar("G", bound=Group)


def load(kind: type[G], environment: Mapping[str, str]) -> G:
    """Read some settings.

    Raises:
        SettingsError: A variable is missing, malformed, or names a file that cannot be read.
    """
    values = {}
    for field in kind.model_fields.values():
        name = str(field.alias)
        if (value := read(name, environment)) is not None:
            values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(kind, values, dict(e)) for e in error.errors())) from None


def _sentence(kind: type[Group], values: Mapping[str, str], error: Mapping[str, object]) -> str:
    name = str(error["loc"][0])  # type: ignore[index]
    field = next(field for field in kind.model_fields.values() if field.alias == name)
    if error["type"] == "missing":
        return f"{name} is not set; set it, or {name}_FILE, to {field.description}"
    shown = "" if field.annotation is SecretStr else f" is {values[name]!r}, which is wrong"
    return f"{name}{shown}: {error['msg']}; it is {field.description}"
