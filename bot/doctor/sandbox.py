"""The account on the sandbox network, which does all that a token asks of it: it only has to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.calls import CallFailed, bearer, call
from bot.doctor.finding import Finding, failed, ok
from bot.networks.accounts import START_SANDBOX, SandboxAccount
from bot.settings import load


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the account."""
    account = load(SandboxAccount, environment)
    server = str(account.url).rstrip("/")
    try:
        me = call(
            "GET",
            f"{server}/api/v1/accounts/verify_credentials",
            bearer(account.token.get_secret_value()),
        )
    except CallFailed as error:
        yield failed("sandbox", f"{error}; {START_SANDBOX}")
        return
    if me.ok:
        yield ok("sandbox", f"{server} takes its token for @{me.body.get('acct')}")
    else:
        yield failed("sandbox", f"{server} answers {me.reason}; is SANDBOX_TOKEN the one that it uses?")
