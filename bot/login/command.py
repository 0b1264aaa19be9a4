"""`deepselfie login`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

INTERRUPTED = 130

LOGINS = {"mastodon": "bot.login.mastodon", "bluesky": "bot.login.bluesky", "x": "bot.login.x"}

DESCRIPTION = """\
Make the bot's account on a network ready: create the app and the token, or check those you have, mark the
account as automated, and keep the secrets in files that only you can read.

Questions and advice go to standard error, the settings to standard output, so that

  deepselfie login mastodon >> .env

asks you all it needs and leaves in .env what listen and respond need. Where SECRETS_DIR is set, as it is in
containers, all of it goes there, and nothing is left to do but to restart them. Then `deepselfie doctor`
checks it all.
docs/networks.md says what each network wants, and what it costs."""


def login(arguments: Sequence[str]) -> int:
    """Log in to a network."""
    options = _parser().parse_args(arguments)
    from bot.calls import CallFailed
    from bot.environment import typed
    from bot.login import LoginFailed
    from bot.login.conversation import Conversation
    from bot.login.vault import Vault

    vault = Vault(options.secrets)
    # Where the bot looks into the vault, it finds its settings there too.
    keeps_all = str(options.secrets) == os.environ.get("SECRETS_DIR")
    conversation = Conversation(sys.stdin, sys.stderr, sys.stdout, vault.note if keeps_all else None)
    url = options.url or os.environ.get(f"{options.network.upper()}_URL")
    more = {"reads_token": options.token} if options.network == "mastodon" else {}
    try:
        import_module(LOGINS[options.network]).log_in(conversation, vault, url, **more)
    except (LoginFailed, CallFailed) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    how = (
        f"it is all in {options.secrets.name}/; restart"
        if keeps_all
        else "put these settings into the environment of"
    )
    conversation.say(f"Next: {how} what listens and responds, and run {typed('doctor')}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie login",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", choices=LOGINS, metavar="NETWORK", help=f"one of {', '.join(LOGINS)}")
    parser.add_argument("--url", help="the network's server; for mastodon, where the account is")
    parser.add_argument(
        "--secrets",
        type=Path,
        default=Path(os.environ.get("SECRETS_DIR", "secrets")),
        metavar="DIR",
        help="where the secrets are kept, a file each (%(default)s)",
    )
    parser.add_argument(
        "--token",
        type=_standard_input,
        default=False,
        metavar="-",
        help="mastodon: use the token that standard input gives, in place of making one",
    )
    return parser


def _standard_input(text: str) -> bool:
    if text != "-":
        # Its value is not repeated: it may be the token.
        raise argparse.ArgumentTypeError(
            "everybody on this machine can read command lines; write --token - and give the token on "
            "standard input"
        )
    return True
