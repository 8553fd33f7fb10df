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
from dataclasses import dataclass

FOREVER = math.inf

START = 64
"""Requests in flight at the start where the recipe names no limit."""
CEILING = 512
"""Requests in flight at most where the recipe names no limit."""


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
        self.limit = min(START, self.ceiling)
        self._doubling = True
        self._best = 0.0
        self._hold = 0
        self._cut_at = -FOREVER
        self._bad = self._seen = 0.0
        self._begin(-FOREVER)

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
            self._begin(sent)
        if sent < self._since:
            return
        self._answers += 1
        if self._answers < self.limit:
            return
        throughput = self._answers / max(now - self._since, 1e-6)
        grew = throughput >= 1.2 * self._best
        self._best = max(self._best, throughput)
        if self._full and self.limit < self.ceiling:
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
        self._begin(now)

    def failed(self, now: float, sent: float) -> None:
        """Note a timeout, a 5xx or a broken connection; cut the limit if they are many and none has been cut since."""
        self._weigh(1.0)
        if sent > self._cut_at and self._bad >= 2.5 and self._bad > self.SHARE * self._seen:
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

    def __init__(self, per_minute: float, now: float, burst: float = 0.25) -> None:
        self.rate = per_minute / 60
        self._room = max(1.0, self.rate * burst)
        self._level = self._room
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
    a storm: everything waits, and then goes on a little below the rate at which it was really answered: between the starts
    of two storms a server has let through exactly what it allows. After a calm the rate is raised, in growing steps.

    Between the storm and the first answer after it, one request at a time asks, if pauses did not help before.
    """

    SHARE = 0.08
    PAUSE = 0.5
    LONGEST = 60.0
    CALM = 12.0

    def __init__(self, now: float) -> None:
        self.paused_until = -FOREVER
        self.storms = 0
        self.bucket: Bucket | None = None  # None: as fast as the server answers
        self._window = 32.0
        self._bad = self._seen = 0.0
        self._strikes = 0  # storms in a row without an answer in between
        self._storm_at = now
        self._resumed_at = now
        self._sent = self._rejected = 0
        self._grow_at = FOREVER
        self._step = 1.05
        self._late = 0.2  # seconds until a 429 comes back
        self._asking_since: float | None = None

    def ready(self, now: float) -> float:
        """Return when the next request may be sent."""
        if now < self.paused_until:
            return self.paused_until
        if self._strikes > 1 and self._asking_since is not None and now < self._asking_since + 2 * self._late:
            return self._asking_since + 2 * self._late + 1e-3
        return now if self.bucket is None else self.bucket.ready(now, 1.0)

    def take(self, now: float) -> None:
        """Note that a request is sent."""
        self._sent += 1
        if self._asking_since is None:
            self._asking_since = now
        if self.bucket is not None:
            self.bucket.take(now, 1.0)
            if now >= self._grow_at:
                self._grow_at = now + 2.0
                self.bucket.set_rate(now, self.bucket.rate * self._step)
                self._step = min(self._step * 1.05, 1.5)

    def answered(self, now: float, sent: float, limit: int) -> None:
        """Note that a request was not turned away."""
        self._weigh(0.0, limit)
        if sent >= self._resumed_at:
            self._strikes = 0

    def rejected(self, now: float, sent: float, wait: float | None, limit: int) -> bool:
        """Note a 429; return True if everything has to wait from now on.

        Args:
            sent: When the request was sent; those from before a storm tell nothing new about it.
            wait: Seconds that the server asks to wait, if it says so.
            limit: Requests that may be in flight.
        """
        self._rejected += 1
        self._late += 0.2 * (min(now - sent, 10.0) - self._late)
        if sent < self._resumed_at and self.storms:
            if wait is not None and now < self.paused_until:
                self.paused_until = max(self.paused_until, now + wait)
            return False
        self._weigh(1.0, limit)
        few = self._seen < 12 or self._strikes > 0
        if self._bad < (0.95 if few else 2.5) or self._bad <= self.SHARE * self._seen:
            return False
        self._storm(now, wait)
        return True

    def _storm(self, now: float, wait: float | None) -> None:
        passed = now - self._storm_at
        measured = max(self._sent - self._rejected, 1) / max(passed, 1.0)
        old = FOREVER if self.bucket is None else self.bucket.rate
        rate = 0.94 * measured
        if old < FOREVER:
            # Too short a time tells little: then only a part is taken away.
            rate = min(rate, 0.97 * old) if passed > 1.0 and self._sent > 20 else 0.7 * old
            rate = max(rate, 0.1 * old)
        rate = max(rate, 1 / 60)
        if self.bucket is None:
            self.bucket = Bucket(rate * 60, now, burst=0.02)
        self.bucket.set_rate(now, rate)
        self._strikes += 1
        self.storms += 1
        pause = min(self.PAUSE * 2.0 ** (self._strikes - 1), self.LONGEST) if wait is None else wait
        self.paused_until = max(self.paused_until, now + pause)
        self._resumed_at = self.paused_until
        self._storm_at, self._sent, self._rejected = now, 0, 0
        self._asking_since = None
        self._bad, self._seen = 0.0, 12.0
        self._grow_at = self.paused_until + self.CALM
        self._step = 1.05

    def _weigh(self, bad: float, limit: int) -> None:
        fade = 1 - 1 / max(self._window, limit)
        self._bad = self._bad * fade + bad
        self._seen = self._seen * fade + 1
