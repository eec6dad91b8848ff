"""One run: a load, faults by a schedule, quiet, and the count."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from tests.faults.platform_under_test import DEAD_LETTER_QUEUE, QUEUE, Platform
from tests.faults.schedule import Step
from tests.faults.verdict import Excuse, Verdict, judge
from tests.library.order_load import OrderLoad
from tests.library.orders import Journal
from tests.library.settings import ROOT, gateway_url

RATE: Final = 60.0
"""Orders per second: what two cores bear beside six containers that are restarted all the time."""

CRASH_SECONDS: Final = {"rabbitmq": 30.0}
USUAL_CRASH_SECONDS: Final = 15.0
QUIET_SECONDS: Final = 180.0
COLUMNS: Final = (
    "faults", "sent", "accepted", "refused", "cut", "other answers",
    "stored", "lost", "doubled", "dead letters",
)  # fmt: skip


class Suite:
    """Runs a schedule against a platform.

    Args:
        platform: what is broken and healed. It must be well.
        seed: for the report; the schedule follows from it.
        again: the command that repeats the run.
        say: prints a line of progress.
        rate: orders per second, at most.
    """

    def __init__(
        self, platform: Platform, *, seed: int, again: str, say: Callable[[str], None], rate: float = RATE
    ) -> None:
        self._platform = platform
        self._again = again
        self._say = say
        self._rate = rate
        self.run_name = f"f{seed}-{uuid.uuid4().hex[:6]}"
        self._journal = Journal(ROOT / ".cache" / "faults" / f"{self.run_name}.tsv", self.run_name)
        self._poison: list[str] = []
        self._excuses: list[Excuse] = []
        self._healing: dict[str, list[float]] = defaultdict(list)
        self._slow: list[str] = []

    def run(self, steps: Iterator[Step]) -> Verdict:
        """Do the steps under load, wait for quiet, count, and print the table."""
        self._platform.wait_until_well()
        others = self._platform.rows_of_others(self.run_name)
        load = OrderLoad(self._journal, gateway_url, self._rate)
        with load:
            for number, step in enumerate(steps, 1):
                load.check()
                self._do(number, step)
        self._say("waiting until no order is on the way any more")
        try:
            self._platform.wait_until_quiet(QUIET_SECONDS + len(self._journal.orders) / 100)
            unrest = ""
        except AssertionError as error:
            # What was lost is worth knowing then too.
            unrest = str(error)
        verdict = self._count(others)
        if unrest:
            verdict.findings["platforms that do not come to rest"].append(unrest)
        self._journal.close()
        self._report(verdict)
        return verdict

    def _do(self, number: int, step: Step) -> None:
        self._put_poison_in(number)
        started = time.monotonic()
        healed = started
        with ExitStack() as stack:
            for place, fault in enumerate(step.faults):
                if place:
                    time.sleep(step.gap)
                stack.enter_context(fault.broken(self._platform))
            # A crash is over when it has happened; what is left open is held for the step's time.
            healed = time.monotonic()
            if any(fault.seconds[1] for fault in step.faults):
                time.sleep(step.seconds)
                healed = time.monotonic()
        last = self._platform.wait_until_well()
        well = time.monotonic()
        # Seconds after the last thing that went wrong, its healing included.
        took = well - healed
        for fault in step.faults:
            self._healing[fault.name].append(took)
            limit = max(CRASH_SECONDS.get(victim, USUAL_CRASH_SECONDS) for victim in fault.victims)
            if fault.crash and len(step.faults) == 1 and took > limit:
                self._slow.append(f"{fault.name}: {took:.1f} s, more than {limit:.0f} s")
        if any(fault.excuses for fault in step.faults):
            self._excuses.append(Excuse(started, well))
        accepted = sum(bool(order.accepted_ids) for order in self._journal.orders)
        self._say(
            f"{number:4}  {step.name}: {healed - started:.0f} s, well again after {took:.1f} s"
            f"{f' (at last: {last})' if took > USUAL_CRASH_SECONDS else ''}; "
            f"{len(self._journal.orders)} sent, {accepted} accepted"
        )

    def _put_poison_in(self, number: int) -> None:
        """Put in a message that is no order: it must end in the dead letters, and only such must."""
        text = f"no order: {number} of {self.run_name}"
        self._platform.page().put_in(QUEUE, text)
        self._poison.append(text)

    def _count(self, others: int) -> Verdict:
        dead_letters = self._platform.page().look_at(DEAD_LETTER_QUEUE)
        verdict = judge(
            self._journal.orders,
            self._platform.rows(self.run_name),
            dead_letters,
            self._excuses,
            run=self.run_name,
        )
        if (now := self._platform.rows_of_others(self.run_name)) != others:
            verdict.findings["rows that nobody asked for"].append(f"{now - others} rows of users of no run")
        texts = {message["payload"] for message in dead_letters}
        for text in self._poison:
            if text not in texts:
                verdict.findings["messages that are no orders and vanished"].append(text)
        verdict.figures["faults"] = sum(map(len, self._healing.values()))
        return verdict

    def _report(self, verdict: Verdict) -> None:
        say = self._say
        say("")
        say("seconds from healed, or crashed, to all healthy")
        for name, seconds in sorted(self._healing.items()):
            say(f"    {name:44} {len(seconds):3} times, {min(seconds):5.1f} to {max(seconds):5.1f}")
        for line in self._slow:
            say(f"    slow: {line}")
        say("")
        say(" | ".join(COLUMNS))
        say(" | ".join(f"{verdict.figures[column]:>{len(column)},}" for column in COLUMNS))
        if verdict.findings:
            say("")
            for line in verdict.lines():
                say(line)
            say(f"the journal of every request: {self._journal.path}")
            say(f"again, with the same faults: {self._again}")


def until(seconds: float, steps: Iterator[Step]) -> Iterator[Step]:
    """Give steps until the time is over; the last one may end after it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield next(steps)
