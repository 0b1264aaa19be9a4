"""Good or bad by likes, for the audience that a post had: the rule of the first @deepselfie's author.

Posts by people with about as many followers compete in groups; in each, those with the most likes are good
and those with the fewest bad. All of it is relational and in whole numbers: all engines give the same labels.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

import ibis
from pydantic import BaseModel, ConfigDict, Field, model_validator

DAY = 86400
BAD, GOOD = 0, 1
PLACE = "_place"
_GROUP, _RANK, _SIZE = "_group", "_rank", "_size"  # no names that a table's own columns may have

Count = Annotated[int, Field(ge=0)]


class Rules(BaseModel):
    """Which posts compete, and how many of them win."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: int
    """The day of the collection, in seconds since 1970."""
    older_than: Count = 30
    """Days; a younger post is still being liked."""
    followers: tuple[Count, Count] = (100, 20_000)
    """Fewest and most: below, likes are chance; above, they are fame."""
    max_tags: Count = 15
    faces: Count = 0
    """Fewest faces in a photo, as the column `faces` tells; 0 keeps all."""
    bonus: Count = 5
    """How much larger each tag makes the audience, in percent of the followers."""
    group: Annotated[int, Field(ge=2)] = 100
    good: Annotated[int, Field(ge=1)] = 50
    """How many of a group, those with the most likes."""
    bad: Annotated[int, Field(ge=1)] = 50
    """How many of a group, those with the fewest."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.good + self.bad > self.group:
            raise ValueError(f"{self.good} good and {self.bad} bad are more than the {self.group} of a group")
        if self.followers[0] > self.followers[1]:
            raise ValueError(f"followers from {self.followers[0]} to {self.followers[1]} are nobody's")
        return self


def newest(posts: ibis.Table, engine: Any) -> int:
    """When the newest post was posted, in whole seconds since 1970."""
    return int(engine.to_pyarrow(posts.posted_at.max().truncate("s").epoch_seconds()).as_py())


def competing(posts: ibis.Table, rules: Rules) -> ibis.Table:
    """Only the posts that are old enough and whose audience is neither too small nor too large."""
    if rules.faces:
        posts = posts.filter(posts.faces >= rules.faces)
    return posts.filter(
        posts.posted_at < _moment(posts, rules.as_of - rules.older_than * DAY),
        posts.followers.between(*rules.followers),
        posts.tags <= rules.max_tags,
    )


def _moment(posts: ibis.Table, seconds: int) -> Any:
    """Make a time of the kind that the posts have, with a zone or without."""
    kind = posts.posted_at.type()
    moment = datetime.fromtimestamp(seconds, UTC)
    return ibis.literal(moment if kind.timezone else moment.replace(tzinfo=None), kind)


def labelled(posts: ibis.Table, rules: Rules) -> ibis.Table:
    """Call the competing posts good or bad.

    Args:
        posts: Only those that compete.
        rules: How many make a group, and how many of it win and lose.

    Returns:
        The posts that won or lost, with `label` (0 bad, 1 good) and PLACE, their rank by audience. Of equal
        audiences, and of equal likes, the smaller id comes first. A last group that is not full is left out.
    """
    audience = posts.followers * (100 + rules.bonus * posts.tags)
    posts = posts.mutate(ibis.row_number().over(order_by=[audience, posts.id]).name(PLACE))
    posts = posts.mutate((posts[PLACE] // rules.group).name(_GROUP))
    posts = posts.mutate(
        ibis.row_number().over(group_by=posts[_GROUP], order_by=[posts.likes, posts.id]).name(_RANK),
        posts.count().over(group_by=posts[_GROUP]).name(_SIZE),
    )
    won = posts[_RANK] >= rules.group - rules.good
    posts = posts.filter(posts[_SIZE] == rules.group, won | (posts[_RANK] < rules.bad))
    return posts.mutate(label=won.ifelse(GOOD, BAD).cast("int64")).drop(_GROUP, _RANK, _SIZE)
