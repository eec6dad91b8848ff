"""The count at the end: what was promised, what is stored, and every difference."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.platform_under_test import Row
from tests.library.orders import CUT, SentOrder

SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Excuse:
    """A time in which the gateway may refuse or cut orders; seconds of the monotonic clock."""

    begins: float
    ends: float


@dataclass
class Verdict:
    """What a run came to.

    Attributes:
        figures: the columns of the table.
        findings: kind of finding, and a line for each order that it is about.
    """

    figures: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def lines(self) -> list[str]:
        """The findings for people; the first few of each kind."""
        lines = []
        for kind, examples in self.findings.items():
            lines.append(f"{len(examples)} {kind}:")
            lines += [f"    {example}" for example in examples[:SHOWN]]
            if len(examples) > SHOWN:
                lines.append(f"    … and {len(examples) - SHOWN} more, in the journal")
        return lines


def judge(
    orders: Sequence[SentOrder],
    rows: Iterable[Row],
    dead_letters: Iterable[dict[str, Any]],
    excuses: Sequence[Excuse],
    *,
    run: str,
) -> Verdict:
    """Compare what was answered with what is stored.

    Args:
        orders: everything that was sent.
        rows: the rows of the run's users.
        dead_letters: the messages in the dead letters, as the management page shows them.
        excuses: when orders could be refused.
        run: the run's name.
    """
    verdict = Verdict()
    sent = {order.user_id: order for order in orders}
    stored: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        stored[row.user_id].append(row)
        verdict.figures["stored"] += 1
        if row.user_id not in sent:
            verdict.findings["rows that nobody asked for"].append(f"order {row.order_id} of {row.user_id}")
    for order in orders:
        _judge_answers(verdict, order, excuses)
        _judge_rows(verdict, order, stored[order.user_id])
    for message in dead_letters:
        verdict.figures["dead letters"] += 1
        if run in message["payload"] and _user_of(message) in sent:
            verdict.findings["good orders in the dead letters"].append(
                f"{message['payload'][:200]}: {message['properties'].get('headers')}"
            )
    return verdict


def _judge_answers(verdict: Verdict, order: SentOrder, excuses: Sequence[Excuse]) -> None:
    verdict.figures["sent"] += 1
    verdict.figures["accepted"] += bool(order.accepted_ids)
    for answer in order.answers:
        who = f"{order.user_id}: {answer.status} {answer.text}, {answer.ended_at - answer.sent_at:.1f} s"
        if answer.status == 200:
            continue
        if answer.status not in {CUT, 503}:
            verdict.figures["other answers"] += 1
            verdict.findings["answers that are neither 200 nor 503"].append(who)
            continue
        word = "cut" if answer.status == CUT else "refused"
        verdict.figures[word] += 1
        if answer.text.startswith("no Retry-After"):
            verdict.findings["refusals without Retry-After"].append(who)
        excused = any(
            excuse.begins <= answer.ended_at and answer.sent_at <= excuse.ends for excuse in excuses
        )
        if not excused:
            kind = f"orders {word} although the gateway was not hit and had room"
            verdict.findings[kind].append(who)


def _judge_rows(verdict: Verdict, order: SentOrder, rows: Sequence[Row]) -> None:
    accepted, ids = order.accepted_ids, {row.order_id for row in rows}
    for order_id in accepted - ids:
        verdict.figures["lost"] += 1
        verdict.findings["orders lost"].append(
            f"{order.user_id}: 200 for order {order_id}, which is not stored"
        )
    if len(accepted) > 1:
        verdict.findings["keys with two orders"].append(
            f"{order.user_id}: 200 for each of {sorted(accepted)}"
        )
    if len(rows) > 1:
        verdict.figures["doubled"] += len(rows) - 1
        verdict.findings["orders doubled"].append(f"{order.user_id}: stored as {sorted(ids)}")
    for row in rows:
        if row.content != order.content:
            verdict.findings["orders with another content"].append(
                f"order {row.order_id} of {order.user_id}: {row.content} instead of {order.content}"
            )


def _user_of(message: dict[str, Any]) -> object:
    try:
        content = json.loads(message["payload"])
    except ValueError:
        return None
    return content.get("user_id") if isinstance(content, dict) else None
