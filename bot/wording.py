"""A verdict in words, in the mention's language. Pure: the same mention and verdict always read the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from bot.locale import Band, Locale, language_for, locales
from bot.messages import Declined, Judged, Mention, Notice, Opinion, Reply, Verdict

# An @ that is followed by this calls nobody, and looks as before.
WORD_JOINER = "\u2060"
AT = re.compile("[@\uff20\ufe6b]")

BANDS: tuple[Band, ...] = get_args(Band)


@dataclass(frozen=True)
class Voice:
    """A language, and which of its ways of saying things one reply uses."""

    locale: Locale
    turn: int

    def pick(self, variants: Sequence[str]) -> str:
        """One way of saying it; the next turn's is another one."""
        return variants[self.turn % len(variants)]

    def say(self, text: str, **values: object) -> str:
        """A text of the locale with all its placeholders filled in."""
        named = {command: words[0] for command, words in self.locale.commands.items()}
        openers = {name: self.pick(getattr(self.locale, name)) for name in ("hello", "sorry", "done")}
        return text.format(**named, **openers, **values)


def reply_to(
    mention: Mention,
    verdict: Verdict,
    *,
    room: int,
    length: Callable[[str], int] = len,
    attempt: int = 0,
) -> Reply:
    """Put a verdict into words.

    Args:
        mention: What is being answered; its key decides which words are used.
        verdict: What the judge thinks of its photos.
        room: How long the text may be beside the mention's warning, as `length` counts. What does not fit
            goes, the last line first, but never the judge's caution.
        length: How long a text is, as the network counts.
        attempt: How often this reply was tried before: another attempt uses other words.
    """
    warning = inert(mention.warning)
    room -= length(warning) - length(mention.warning)
    language = language_for(mention.language)
    digest = hashlib.blake2b(mention.key.encode(), digest_size=8).digest()
    voice = Voice(locales()[language], int.from_bytes(digest) + attempt)
    caution = verdict.caution if verdict.best else ""
    text = _fitted(_lines(voice, verdict), caution, lambda text: length(text) <= room)
    return Reply(text=text, visibility=mention.visibility, warning=warning, language=language)


def inert(text: str) -> str:
    """What somebody else wrote, such that nobody is notified of it."""
    return AT.sub(rf"\g<0>{WORD_JOINER}", text)


def _fitted(lines: list[str], caution: str, fits: Callable[[str], bool]) -> str:
    """As many of the lines as fit together with the caution."""

    def together(*lines: str) -> str:
        return "\n".join([*lines, caution] if caution else lines)

    while len(lines) > 1 and not fits(together(*lines)):
        lines.pop()
    if fits(together(*lines)):
        return together(*lines)
    first = _cut(lines[0], lambda first: fits(together(first)))
    return _cut(together(first), fits)


def _cut(text: str, fits: Callable[[str], bool]) -> str:
    if fits(text):
        return text
    while text and not fits(f"{text}…"):
        text = text[:-1].rstrip()
    return f"{text}…"


def _lines(voice: Voice, verdict: Verdict) -> list[str]:
    """What there is to say, what matters most first."""
    if verdict.notice:
        return [_notice(voice, verdict.notice, verdict.deleted)]
    match verdict.opinions:
        case ():
            return [_notice(voice, "help", 0)]
        case (only,):
            lines = _about(voice, only, verdict.reference_name)
        case several:
            lines = _ranking(voice, several)
    if verdict.best and verdict.accuracy is not None:
        # Never all ten: that was a test, too.
        lines.append(voice.say(voice.locale.accuracy, times=min(round(verdict.accuracy * 10), 9)))
    return lines


def _notice(voice: Voice, notice: Notice, deleted: int) -> str:
    if notice == "deleted":
        forms = voice.locale.deleted
        return voice.say((forms.none, forms.one, forms.many)[min(deleted, 2)], count=deleted)
    return voice.say(voice.locale.notices[notice])


def _about(voice: Voice, opinion: Opinion, reference_name: str) -> list[str]:
    locale = voice.locale
    if isinstance(opinion, Declined):
        return [voice.say(locale.declined_alone, reason=_reason(voice, opinion))]
    words = voice.say(voice.pick(locale.verdicts[_band(opinion)]), score=_score(opinion))
    lines = [voice.say(locale.preview, verdict=words) if opinion.from_video else words]
    if opinion.percentile is not None and reference_name:
        percent = _percent(opinion.percentile)
        lines.append(voice.say(locale.comparison, percent=percent, reference=reference_name))
    return lines


def _ranking(voice: Voice, opinions: Sequence[Opinion]) -> list[str]:
    """Best first, each photo by its number in the post; at the end those that could not be judged."""
    locale = voice.locale
    numbered = list(enumerate(opinions, start=1))
    judged = [(n, o) for n, o in numbered if isinstance(o, Judged)]
    judged.sort(key=lambda pair: pair[1].score, reverse=True)
    first = voice.pick(locale.ranking) if len(judged) > 1 else locale.no_ranking
    lines = [voice.say(first, photo=judged[0][0] if judged else None)]
    for n, opinion in judged:
        line = locale.ranked_preview if opinion.from_video else locale.ranked
        lines.append(voice.say(line, photo=n, score=_score(opinion)))
    declined = [(n, o) for n, o in numbered if isinstance(o, Declined)]
    return lines + [voice.say(locale.declined_among, photo=n, reason=_reason(voice, o)) for n, o in declined]


def _reason(voice: Voice, opinion: Declined) -> str:
    """Why a photo has no score, and what to do about it."""
    value, limit = round(opinion.value or 0), round(opinion.limit or 0)
    return voice.say(voice.locale.declined[opinion.reason], value=value, limit=limit)


def _band(opinion: Judged) -> Band:
    share = opinion.score if opinion.percentile is None else opinion.percentile
    return BANDS[4 - min(int(share * 5), 4)]


def _score(opinion: Judged) -> str:
    return f"{round(opinion.score * 100)}/100"


def _percent(share: float) -> int:
    # Never 0 % or 100 %: the reference is a sample.
    return min(max(round(share * 100), 1), 99)
