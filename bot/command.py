"""The `deepselfie` command: finds the sub-command, and imports nothing that it does not need."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

# Where each sub-command lives, as a string: so --help is instant, and the listener's image does without
# ONNX Runtime.
COMMANDS = {
    "demo": ("bot.command:demo", "run a whole bot on this machine, with a web page to try it on"),
    "score": ("model.command:score", "judge photo files, without any network"),
    "listen": ("bot.command:listen", "watch the network for mentions"),
    "work": ("worker.command:work", "judge the photos of mentions"),
    "respond": ("bot.command:respond", "post the replies"),
    "sandbox": ("bot.command:sandbox", "run the embedded network, to try a bot without an account anywhere"),
}

EPILOG = "`deepselfie COMMAND --help` explains a command. Settings are environment variables: see README.md."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="deepselfie",
        description="A bot that looks at the photo you mention it with and replies with a score.",
        epilog=f"commands:\n{listing}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="what to do, see below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.version:
        from importlib.metadata import version

        print(f"deepselfie {version('deepselfie')}")
        return 0
    if chosen.command is None:
        parser.print_help()
        return 2
    if chosen.command not in COMMANDS:
        parser.error(f"no command {chosen.command!r}; there are {', '.join(COMMANDS)}")
    return _load(COMMANDS[chosen.command][0])(chosen.arguments)


def listen(arguments: Sequence[str]) -> int:
    """Run the listener."""
    _parser("listen", "It needs MASTODON_URL, MASTODON_TOKEN and REDIS_URL.").parse_args(arguments)
    from bot import logs, queues
    from bot.listener import Listener
    from bot.networks import connect
    from bot.networks.base import NetworkError
    from bot.settings import ListenerSettings, SettingsError, load

    try:
        settings = load(ListenerSettings, os.environ)
        logs.setup(settings.log_format)
        redis = queues.connect(settings.redis_url.get_secret_value())
        listener = Listener(connect(settings), redis, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listener.stop())
        listener.run()
    except (SettingsError, queues.RedisUnavailable, NetworkError) as error:
        return complain(error)
    return 0


def respond(arguments: Sequence[str]) -> int:
    """Run the responder."""
    _parser("respond", "It needs MASTODON_URL, MASTODON_TOKEN and REDIS_URL.").parse_args(arguments)
    from bot import logs, queues
    from bot.networks.base import NetworkError
    from bot.responder import responder
    from bot.settings import NetworkSettings, SettingsError, load

    try:
        settings = load(NetworkSettings, os.environ)
        logs.setup(settings.log_format)
        redis = queues.connect(settings.redis_url.get_secret_value())
        responder()
        queues.serve(redis, queues.REPLIES)
    except (SettingsError, queues.RedisUnavailable, NetworkError) as error:
        return complain(error)
    return 0


def complain(error: object) -> int:
    """Say in one sentence why a command ends, and return the exit status for that."""
    print(f"deepselfie: {error}", file=sys.stderr)
    return 1


def _parser(command: str, more: str = "") -> argparse.ArgumentParser:
    purpose = COMMANDS[command][1]
    description = f"{purpose[0].upper()}{purpose[1:]}. {more}".strip()
    return argparse.ArgumentParser(prog=f"deepselfie {command}", description=description)


def _load(path: str) -> Callable[[Sequence[str]], int]:
    module, _, name = path.partition(":")
    command: Callable[[Sequence[str]], int] = getattr(import_module(module), name)
    return command
