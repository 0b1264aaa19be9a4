"""The `deepselfie` command: finds the sub-command, and imports nothing that it does not need."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

# Where each sub-command lives, as a string: so --help is instant, and the listener's image does without
# ONNX Runtime.
COMMANDS = {
    "demo": ("bot.command:demo", "run a whole bot on this machine, with a web page to try it on"),
    "score": ("model.command:score", "judge photo files, without any network"),
    "listen": ("bot.command:listen", "watch the network for mentions"),
    "work": ("worker.command:work", "judge the photos of mentions"),
    "worker": ("worker.measuring:worker", "measure this machine, and say which settings suit its workers"),
    "respond": ("bot.command:respond", "post the replies"),
    "probe": ("bot.probe:probe", "ask the process that runs here whether it is well"),
    "login": ("bot.login.command:login", "get the bot's account on a network ready, step by step"),
    "doctor": ("bot.doctor.command:doctor", "check everything that the bot needs, and say what to do"),
    "status": ("bot.operations:status", "show how the bot is doing"),
    "retry": ("bot.operations:retry", "give failed mentions another chance"),
    "forget": ("bot.operations:forget", "delete what is held about somebody"),
    "model": ("model.making:model", "make a judge: datasets, training, evaluation, export"),
    "sandbox": ("bot.command:sandbox", "run the embedded network, to try a bot without an account anywhere"),
}

DEMO_PORT = 8015
INTERRUPTED = 130

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
    _take_dry_run("listen", arguments)
    from bot import service

    return service.listen()


def respond(arguments: Sequence[str]) -> int:
    """Run the responder."""
    _take_dry_run("respond", arguments)
    from bot import service

    return service.respond()


def _take_dry_run(command: str, arguments: Sequence[str]) -> None:
    """Read the arguments; as BOT_DRY_RUN the wish reaches the jobs that the process runs, too."""
    parser = _parser(command, "It needs REDIS_URL, and an account: see README.md.")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="everything but the post: the replies are logged, and their mentions count as dealt with "
        "(the same as BOT_DRY_RUN=yes)",
    )
    _take_log_format(parser)
    if parser.parse_args(arguments).dry_run:
        os.environ["BOT_DRY_RUN"] = "yes"


def _take_log_format(parser: argparse.ArgumentParser) -> None:
    from bot import logs

    logs.add_option(parser)


def demo(arguments: Sequence[str]) -> int:
    """Run the demo."""
    parser = _demo_parser()
    options = parser.parse_args(arguments)
    if options.once and not options.photo:
        parser.error("--once needs --photo FILE")
    port = options.port if options.port is not None else 0 if options.once else DEMO_PORT
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        from bot import demo as demonstration
        from bot.processes import ProcessDied
        from bot.queues import RedisUnavailable

        wanted = demonstration.Options(port, options.data, options.photo, options.once, options.json)
        try:
            demonstration.run(wanted)
        except (demonstration.DemoFailed, ProcessDied, RedisUnavailable) as error:
            return complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED if options.once else 0
    return 0


def _demo_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "demo",
        "It starts an embedded Redis (or uses REDIS_URL, which should be a database of its own), the sandbox "
        "network, listener, worker and responder, and prints a line a mention. Nothing leaves this machine, "
        "except that a link that you post is opened.",
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="the page's port (8015; any free one with --once)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep everything in DIR instead of for this run only"
    )
    parser.add_argument("--photo", type=Path, metavar="FILE", help="post this photo at the start")
    parser.add_argument(
        "--once",
        action="store_true",
        help="print the reply to --photo and end; exit status 1 if none came in 60 s",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object an answer; with --once: score (0-1), label, reply, seconds, reply_url",
    )
    return parser


def sandbox(arguments: Sequence[str]) -> int:
    """Run the sandbox network."""
    options = _sandbox_parser().parse_args(arguments)
    from bot import logs
    from bot.sandbox.server import serve
    from bot.settings import Settings, SettingsError, load

    log = logs.Log(__name__)
    try:
        logs.setup(load(Settings, os.environ).log_format)
        serve(
            options.host,
            options.port,
            options.data,
            calls=options.calls,
            dialect=options.dialect,
            ready=lambda url: log.info("listening", url=url),
        )
    except (SettingsError, OSError) as error:
        return complain(error)
    return 0


def _sandbox_parser() -> argparse.ArgumentParser:
    from bot.sandbox.dialects import DIALECTS

    parser = _parser(
        "sandbox", "SANDBOX_TOKEN is the bot's access token; without it, one is made up in DIR/bot.token."
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (%(default)s); behind Docker or a proxy 0.0.0.0",
    )
    parser.add_argument(
        "--port", type=_port, default=DEMO_PORT, metavar="N", help="port, 0 for any free one (%(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="where posts and photos are kept"
    )
    parser.add_argument(
        "--dialect",
        choices=list(DIALECTS),
        default="mastodon",
        help="which server's habits it has (%(default)s)",
    )
    parser.add_argument(
        "--calls",
        type=int,
        default=7500,
        metavar="N",
        help="API calls a person may make in five minutes (%(default)s)",
    )
    _take_log_format(parser)
    return parser


def complain(error: object) -> int:
    """Say in one sentence why a command ends, and return the exit status for that."""
    print(f"deepselfie: {error}", file=sys.stderr)
    return 1


def _parser(command: str, more: str = "") -> argparse.ArgumentParser:
    purpose = COMMANDS[command][1]
    description = f"{purpose[0].upper()}{purpose[1:]}. {more}".strip()
    return argparse.ArgumentParser(prog=f"deepselfie {command}", description=description)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 (any free one) to 65535")
    return int(text)


def _load(path: str) -> Callable[[Sequence[str]], int]:
    module, _, name = path.partition(":")
    command: Callable[[Sequence[str]], int] = getattr(import_module(module), name)
    return command
