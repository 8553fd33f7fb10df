"""What may be sent, and when: the sizes and rates of one server, without any input or output.

Every time is a float in seconds on the caller's monotonic clock, given as `now`; nothing here sleeps or draws.

- `Concurrency` is how many requests are in flight: AIMD with a slow start (RFC 5681's scheme, with a round trip counted in
  answers).
- `Bucket` paces what the recipe's `limits:` name: requests or tokens a minute.
- `Credit` keeps to what the server's own headers say is left.
- `Rate` learns, from 429s alone, how fast a server that says nothing lets itself be asked.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

FOREVER = math.inf

START = 64
"""Requests in flight at the start where the recipe names no limit."""
START_NAMED = 128
"""Requests in flight at the start, or as many as the recipe names if those are fewer."""
CEILING = 512
"""Requests in flight at most where the recipe names no limit."""
FEW = 64
"""Requests in flight up to which a share of failures is also held against what chance makes of few outcomes."""


def beyond_noise(bad: float, seen: float) -> bool:
    """Return whether `bad` of `seen` outcomes are more than a server makes that fails at random at up to 6 %."""
    expected = 0.06 * seen
    return bad > expected + 3 * math.sqrt(expected) + 1


class Concurrency:
    """How many requests may be in flight.

    It doubles a round trip as long as throughput grows with it, then creeps up; it is cut, at most once a round trip, when
    the server fails or is late. A single failure in a hundred is no sign of load, so it is the share that counts.

    Args:
        ceiling: The recipe's `limits.concurrency`; None: 512.
    """

    CUT = 0.7
    SHARE = 0.1

    def __init__(self, ceiling: int | None = None) -> None:
        self.ceiling = ceiling or CEILING
        # Who names a number has a reason to. Half of a large one costs a single round trip, and a provider's cap is met
        # more softly.
        self.limit = min(START if ceiling is None else max(START_NAMED, ceiling // 2), self.ceiling)
        self._doubling = True
        self._best = 0.0
        self._hold = 0
        self._cut_at = -FOREVER
        self._bad = self._seen = 0.0
        self._begin(-FOREVER)

    @property
    def calm(self) -> bool:
        """True while failures are no more than noise."""
        return not beyond_noise(self._bad, self._seen)

    def _begin(self, now: float) -> None:
        self._since = now
        self._answers = 0
        self._full = False

    def taken(self, in_flight: int) -> None:
        """Note that so many are in flight now."""
        if in_flight >= self.limit:
            self._full = True

    def answered(self, now: float, sent: float) -> None:
        """Note an answer to what was sent at `sent`; once a round trip, think about growing."""
        self._weigh(0.0)
        if self._since == -FOREVER:
            self._since = sent
        if sent < self._since:
            return
        self._answers += 1
        if self._answers < self.limit:
            return
        if self._full:
            self._think(self._answers / max(now - self._since, 1e-6))
        self._begin(now)

    def _think(self, throughput: float) -> None:
        """Grow, or not, after a round trip in which as many were in flight as may be."""
        grew = throughput >= 1.2 * self._best
        self._best = max(self._best, throughput)
        if self.limit < self.ceiling:
            if self._doubling and grew:
                self.limit = min(self.limit * 2, self.ceiling)
            elif self._hold:
                self._hold -= 1
            elif throughput < 0.7 * self._best:
                # More in flight only wait longer there. The memory of the best fades, as servers change.
                self._doubling, self._hold = False, 8
                self._best *= 0.9
            else:
                self._doubling = False
                self.limit = min(self.limit + max(1, self.limit // 8), self.ceiling)

    def failed(self, now: float, sent: float) -> None:
        """Note a timeout, a 5xx or a broken connection; cut the limit if they are many and none has been cut since."""
        self._weigh(1.0)
        many = self._bad >= 2.5 and self._bad > self.SHARE * self._seen
        if self.limit <= FEW:
            many = many and beyond_noise(self._bad, self._seen)
        if sent > self._cut_at and many:
            self.cut(now, 1)

    def cut(self, now: float, floor: int) -> None:
        """Take a part of the limit away, but leave what the server is known to carry."""
        self.limit = min(self.limit, max(4, floor, int(self.limit * self.CUT)))
        self.limit = min(self.limit, self.ceiling)
        self._doubling = False
        self._best = 0.0
        self._cut_at = now
        self._begin(now)

    def _weigh(self, bad: float) -> None:
        fade = 1 - 1 / max(32, self.limit)
        self._bad = self._bad * fade + bad
        self._seen = self._seen * fade + 1


class Bucket:
    """So many requests or tokens a minute, evenly: what was saved up lasts for `burst` seconds.

    A taking larger than what is there is allowed once the bucket is not in debt, and paid for afterwards: a request with
    more tokens than a second allows must still be sent.
    """

    def __init__(self, per_minute: float, now: float, burst: float = 0.02) -> None:
        self.rate = per_minute / 60
        self._room = max(1.0, self.rate * burst)
        self._level = 1.0
        self._at = now

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._room, self._level + (now - self._at) * self.rate)
            self._at = now

    def ready(self, now: float, amount: float) -> float:
        """Return when `amount` may be taken: `now` or later."""
        self._fill(now)
        short = min(amount, self._room) - self._level
        return now if short <= 1e-9 else now + short / self.rate

    def take(self, now: float, amount: float) -> None:
        """Take `amount`; the level may become negative."""
        self._fill(now)
        self._level -= amount

    def correct(self, amount: float) -> None:
        """Take more, or give back where `amount` is negative: what a request really used, once that is known."""
        self._level = min(self._room, self._level - amount)

    def set_rate(self, now: float, rate: float, burst: float = 0.02) -> None:
        """Go on at `rate` a second; nothing is saved up."""
        self._fill(now)
        self.rate = rate
        self._room = max(1.0, rate * burst)
        self._level = min(self._level, self._room)


@dataclass(slots=True)
class Credit:
    """What a server says is left of its allowance (requests, or tokens), counted down by what was sent since.

    Servers count when a request arrives but tell when its answer is ready, so what was sent in between is taken off.
    Which kind of window they keep is not told; when nothing is left and nothing is in flight, one request asks.
    """

    left: float = FOREVER
    until: float = FOREVER  # when the server's count begins anew
    probe: float = 0.0  # when one request may ask though nothing is left
    _taken: float = 0.0
    _said: float = -1.0

    @property
    def taken(self) -> float:
        """Everything that was ever taken: noted when a request is sent, given back to `told` with its answer."""
        return self._taken

    def take(self, amount: float) -> None:
        """Count `amount` as sent."""
        self._taken += amount
        self.left -= amount

    def told(self, now: float, left: float, taken: float, limit: float | None, reset: float | None) -> None:
        """Note the headers of an answer.

        Args:
            left: What is left of the allowance.
            taken: `self.taken` just after the request was sent that was answered; older news than known is ignored.
            limit: The whole allowance, if told.
            reset: Seconds until it is whole again, if told.
        """
        if taken < self._said:
            return
        self._said = taken
        self.left = left - (self._taken - taken)
        self.until = now + (60.0 if reset is None else reset)
        # With a steady refill the next one is there after this; with a window that starts anew the probe finds out.
        used = max(1.0, (limit or 0.0) - left)
        self.probe = min(self.until, now + (max(0.05, (reset or 60.0) / used) if limit else 1.0))

    def ready(self, now: float, amount: float, alone: bool) -> float:
        """Return when `amount` may be sent; `alone`: nothing is in flight whose answer would tell more."""
        if self.left >= amount:
            return now
        if now >= self.until:
            self.left = FOREVER
            return now
        return max(now, self.probe) if alone else self.until


class Rate:
    """How fast a server may be asked, learnt from its 429s.

    One 429 among many answers is the server's noise and only that request waits. When their share is above `SHARE` it is
    a storm: everything waits, and then goes on a little below the rate at which it was really let through in the seconds
    before. At the very beginning, with too few outcomes for a share, `FIRST` that name no time to wait are a storm; one is not.
    The first rate is a guess and is raised quickly until the next storm; one that was confirmed is raised again only
    after a calm, in small steps that grow.

    Where the pause did not help, it is doubled, and afterwards a few requests, then one, ask before the others go on.
    """

    SHARE = 0.08
    ENOUGH = 12  # outcomes for a share
    FIRST = 4
    PAUSE = 0.5
    LONGEST = 60.0
    CALM = 8.0

    def __init__(self, now: float) -> None:
        self.paused_until = -FOREVER
        self.storms = 0
        self.bucket: Bucket | None = None  # None: as fast as the server answers
        self._bad = self._seen = 0.0
        self._strikes = 0  # storms in a row without an answer in between
        self._resumed_at = now
        self._began = now  # start of the last storm that did not follow on another
        self._before = now  # start of the one before
        self._let_through: deque[float] = deque(maxlen=8192)  # when what was not turned away was sent
        self._settled = False
        self._grow_at = FOREVER
        self._step = 1.0
        self._late = 0.2  # seconds until a 429 comes back
        self._probes = -1  # requests that may be sent before it is known whether the pause helped; -1: it is
        self._asked_at: float | None = None

    @property
    def calm(self) -> bool:
        """True while 429s are no more than noise: no rate was learnt from them, and nobody pauses for them."""
        return self.bucket is None and not self._strikes and not beyond_noise(self._bad, self._seen)

    def ready(self, now: float) -> float:
        """Return when the next request may be sent."""
        if now < self.paused_until:
            return self.paused_until
        if self._probes == 0 and self._asked_at is not None:
            # A 429 would have come by then; an answer may take much longer.
            heard = self._asked_at + 1.5 * self._late + 0.05
            if now < heard:
                return heard
            self._probes = -1
        return now if self.bucket is None else self.bucket.ready(now, 1.0)

    def take(self, now: float) -> None:
        """Note that a request is sent."""
        self._let_through.append(now)
        if self._probes > 0:
            self._probes -= 1
            if self._asked_at is None:
                self._asked_at = now
        if self.bucket is not None:
            self.bucket.take(now, 1.0)
            if now >= self._grow_at:
                self._grow_at = now + (2.0 if self._settled else 0.5)
                self.bucket.set_rate(now, self.bucket.rate * self._step)
                self._step = min(self._step * 1.005, 1.5)

    def answered(self, now: float, sent: float, limit: int) -> None:
        """Note that a request was not turned away."""
        self._weigh(0.0, limit)
        if sent >= self._resumed_at:
            self._strikes = 0
            self._probes = -1

    def rejected(self, now: float, sent: float, wait: float | None, limit: int) -> bool:
        """Note a 429; return True if it is plain that too much was sent.

        Args:
            sent: When the request was sent; those from before a storm tell nothing new about it.
            wait: Seconds that the server asks to wait, if it says so.
            limit: Requests that may be in flight.
        """
        self._late += 0.2 * (min(now - sent, 10.0) - self._late)
        with suppress(ValueError):
            self._let_through.remove(sent)
        if sent < self._resumed_at and self.storms:
            if wait is not None and now < self.paused_until:
                self.paused_until = self._resumed_at = max(self.paused_until, now + wait)
            return False
        self._weigh(1.0, limit)
        many = self._many(limit)
        first = self._seen < self.ENOUGH and (wait is not None or self._alike(limit))
        if not (many or first or (self._strikes > 1 and self._probes >= 0)):
            return False
        sure = many or self._strikes > 0
        self._storm(now, wait, sure)
        return sure

    def _alike(self, limit: int) -> bool:
        """True if the very first outcomes are 429s, and more than noise of what was sent: 429s may come long before answers."""
        # Old outcomes fade, so that four count a little less than 4.
        if self._bad < self.FIRST - 0.5 or self._bad <= 0.5 * self._seen:
            return False
        return limit > FEW or beyond_noise(self._bad, len(self._let_through) + self._bad)

    def _many(self, limit: int) -> bool:
        """True if 429s are more than noise.

        With few in flight few outcomes are looked at, and of 32 or 64 of them a share of 5 % often is 8 %: as long as no
        storm has shown that there is a cap at all, more is wanted then than that the share is above `SHARE`.
        """
        if self._seen < self.ENOUGH or self._bad < 2.5 or self._bad <= self.SHARE * self._seen:
            return False
        return self.bucket is not None or limit > FEW or beyond_noise(self._bad, self._seen)

    def _storm(self, now: float, wait: float | None, sure: bool) -> None:
        self._strikes += 1
        self.storms += 1
        longer = self._strikes - 1 if wait is None else self._strikes - 6
        pause = min(self.PAUSE * 2.0**longer, self.LONGEST) if longer >= 0 else 0.0
        self.paused_until = max(self.paused_until, now + max(pause, wait or 0.0))
        if self._strikes == 1:
            self._before, self._began = self._began, now
        if sure:
            self._learn(now)
        self._resumed_at = self.paused_until
        self._probes, self._asked_at = 24 if self._strikes == 1 else 1, None
        self._bad, self._seen = 0.0, float(self.ENOUGH)
        self._grow_at = self.paused_until + (self.CALM if self._settled else 0.5)
        self._step = 1.01 if self._settled else 1.25

    def _learn(self, now: float) -> None:
        """Set the rate by what was let through since the storm before.

        With the pauses it is too low where a server forgets what was not used, without them too high where a server saves
        it up: the truth is between.
        """
        times = self._let_through
        if self._strikes == 1:
            # After a long calm, the last two seconds, or as long as it takes to count 32.
            start = min(now - 2.0, times[-32] if len(times) >= 32 else -FOREVER)
            resting, working = now - max(start, self._before), now - max(start, self._resumed_at)
            start = max(start, self._before)
        else:
            # The pause was too short, so the time in which so many were let through is longer than it seemed.
            start = self._before
            resting = working = self.paused_until - start
        count = sum(1 for sent in times if sent >= start)
        if count < 10:  # too few to tell a rate; the pauses get longer instead
            return
        rate = 0.94 * count / math.sqrt(max(resting, 1.0) * max(working, 0.5 if self.bucket else 1.0))
        if self.bucket is None:
            self.bucket = Bucket(60 * rate, now, burst=0.02)
        else:
            old = self.bucket.rate
            if self._strikes == 1 and (self._settled or now - self._resumed_at > 2.0):
                # It went well at little less for a while: the step was too much, not the rate wrong.
                rate = max(rate, 0.86 * old if self._settled else 0.75 * old)
            rate = max(min(rate, 0.97 * old), 0.1 * old, 1 / 60)
            self._settled = self._settled or self._strikes == 1
        self.bucket.set_rate(now, rate)

    def _weigh(self, bad: float, limit: int) -> None:
        fade = 1 - 1 / max(32, limit)
        self._bad = self._bad * fade + bad
        self._seen = self._seen * fade + 1
