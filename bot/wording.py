"""A verdict in words. Pure: the same verdict always reads the same."""

from __future__ import annotations

import re

from bot.messages import Declined, Judged, Mention, Notice, Opinion, Reason, Reply, Verdict

NOTICES: dict[Notice, str] = {
    "help": "Hi! Mention me with a photo, attached or linked, and I'll tell you how good it looks to me.",
    "our_fault": "Sorry, something went wrong on my side. Please try again later.",
    "busy": "So many photos are waiting that I wouldn't get to yours in time. Please try again later.",
    "slow_down": "That's enough photos for now. Ask me again in a while.",
    "sensitive": "I leave photos alone that are marked as sensitive.",
    "not_yours": "I only judge photos for whoever posted them. Mention me with one of your own.",
    "stopped": "Done: I won't answer you any more. Tell me to start if you change your mind.",
    "started": "Done: I answer you. Mention me with a photo. Tell me to stop, and I will.",
    "deleted": "Done: I deleted {count}.",
}
NOTHING_TO_DELETE = "Done: there is no reply of mine to you left that I know of."

# An @ that is followed by this calls nobody, and looks as before.
WORD_JOINER = "\u2060"
AT = re.compile("[@\uff20\ufe6b]")

# One sentence a reason; {value} and {limit} are what was measured and what is allowed.
DECLINED: dict[Reason, str] = {
    "empty": "That file is empty (0 bytes). Could you send it again?",
    "not_a_photo": "That isn't a photo I can open. JPEG, PNG, GIF, WebP, AVIF and HEIC work.",
    "damaged": "That photo is damaged or cut off, I can't open it. Could you send it again?",
    "too_many_pixels": "That photo has {value:.0f} megapixels, I can look at up to {limit:.0f}. "
    "Could you send a smaller one?",
    "too_costly": "That photo takes more to open than I can spare. "
    "Could you save it as a plain JPEG and try again?",
    "too_many_bytes": "That file is larger than the {limit:.0f} MB I can take. Could you send a smaller one?",
    "bad_link": "I can't open that link. A plain http or https address works.",
    "not_found": "There is nothing at that link (error {value:.0f}). Is it still right?",
    "server_error": "The server behind that link answered with error {value:.0f}. Please try again later.",
    "unreachable": "I couldn't reach that link. Is it right, and open to everyone?",
    "forbidden_address": "I only open links to the public internet, and that one leads elsewhere.",
    "too_slow": "That link took longer than {limit:.0f} seconds, so I gave up. "
    "Could you attach the photo instead?",
    "no_picture": "I found no picture on that page. Could you attach the photo, or link to it directly?",
    "video": "I only look at photos so far, and that video has no preview picture.",
    "audio": "I only look at photos, not at sound.",
}


def reply_to(mention: Mention, verdict: Verdict, *, room: int) -> Reply:
    """Put a verdict into words.

    Args:
        mention: What is being answered.
        verdict: What the judge thinks of its photos.
        room: Characters the text may have beside the mention's warning. What does not fit goes, the last
            photos first, but never the judge's caution.
    """
    warning = inert(mention.warning)
    room -= len(warning) - len(mention.warning)
    lines, caution = _lines(verdict), verdict.caution if verdict.best else ""
    while len(lines) > 1 and len("\n".join([*lines, caution])) > room:
        lines.pop()
    text = "\n".join([*lines, caution]).strip()
    if len(text) > room:
        text = text[: max(room - 1, 0)].rstrip() + "…"
    return Reply(text=text, visibility=mention.visibility, warning=warning)


def inert(text: str) -> str:
    """What somebody else wrote, such that nobody is notified of it."""
    return AT.sub(rf"\g<0>{WORD_JOINER}", text)


def _lines(verdict: Verdict) -> list[str]:
    if verdict.notice:
        return [_notice(verdict.notice, verdict.deleted)]
    match verdict.opinions:
        case ():
            return [NOTICES["help"]]
        case (only,):
            return [_sentence(only, verdict.reference_name)]
        case several:
            return _ranking(several)


def _notice(notice: Notice, deleted: int) -> str:
    if notice == "deleted" and deleted == 0:
        return NOTHING_TO_DELETE
    return NOTICES[notice].format(count="my reply to you" if deleted == 1 else f"{deleted} replies to you")


def _sentence(opinion: Opinion, reference_name: str) -> str:
    if isinstance(opinion, Declined):
        return declined(opinion)
    subject = "I looked at the preview picture: " if opinion.from_video else ""
    score = f"{subject}{_points(opinion)}"
    if opinion.percentile is None or not reference_name:
        return f"{score}."
    return f"{score}, better than {_percent(opinion.percentile)} % of {reference_name}."


def _ranking(opinions: tuple[Opinion, ...]) -> list[str]:
    """Best first, each photo by its number in the post; at the end those that could not be judged."""
    numbered = list(enumerate(opinions, start=1))
    judged = [(n, o) for n, o in numbered if isinstance(o, Judged)]
    judged.sort(key=lambda pair: pair[1].score, reverse=True)
    lines = [f"Photo {n}: {_points(o)}{' (preview picture)' if o.from_video else ''}" for n, o in judged]
    lines += [f"Photo {n}: {declined(o)}" for n, o in numbered if isinstance(o, Declined)]
    return ["Best first:", *lines] if len(judged) > 1 else lines


def declined(opinion: Declined) -> str:
    """Why a photo has no score, and what to do about it."""
    return DECLINED[opinion.reason].format(value=opinion.value or 0, limit=opinion.limit or 0)


def _points(opinion: Judged) -> str:
    return f"{round(opinion.score * 100)}/100"


def _percent(share: float) -> int:
    # Never 0 % or 100 %: the reference is a sample.
    return min(max(round(share * 100), 1), 99)
