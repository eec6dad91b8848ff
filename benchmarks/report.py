"""The figures as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.machine import Machine

# Less than this share of a ratio is scatter.
FALL: Final = 0.2


def describe(machine: Machine) -> dict[str, Any]:
    """Say what kind of machine it is, and how busy with other things when the benchmarks begin."""
    info = machine.docker(
        "info", "--format", "{{.NCPU}}|{{.MemTotal}}|{{.OperatingSystem}}|{{.ServerVersion}}"
    )
    cores, memory, system, engine = info.strip().split("|")
    return {
        "cores": int(cores),
        "memory_gib": round(int(memory) / 2**30, 1),
        "system": system,
        "docker": engine,
        "load_before": float(machine.run("cat", "/proc/loadavg").split()[0]),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the table."""
    if not (about := figures.get("machine")):
        return ""
    lines = [
        "",
        (
            f"{figures['when']}   {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
            f"Docker {about['docker']}, load {about['load_before']} before"
        ),
    ]
    for kind, ways in figures.get("requests", {}).items():
        lines += ["", f"{kind:34}{'rate':>10}{'p50':>10}{'p99':>10}{'gateway : this':>16}"]
        for way, each in ways.items():
            times = (f"{each[p]:>7.1f} ms" if p in each else f"{'':10}" for p in ("p50_ms", "p99_ms"))
            ratio = f"{each['ratio']:>16.2f}" if "ratio" in each else ""
            lines.append(f"  {way:32}{each['rate']:>8,.0f}/s{''.join(times)}{ratio}".rstrip())

    def row(what: str, rate: float, beside: str = "") -> None:
        lines.append(f"{what:34}{rate:>8,.0f}/s{beside}")

    if latency := figures.get("latency"):
        lines += ["", f"{'at half the rate, open loop':34}{'rate':>10}{'p50':>10}{'p99':>10}"]
        for what, each in latency.items():
            row(f"  {what}", each["rate"], f"{each['p50_ms']:>7.1f} ms{each['p99_ms']:>7.1f} ms")
        each = latency["order"]
        lines.append(
            f"  {'from a 200 to the row':42}{each['stored_p50_ms']:>7.1f} ms{each['stored_p99_ms']:>7.1f} ms"
        )
    if paused := figures.get("paused"):
        lines += ["", "orders while the broker stands still"]
        row("  kept on the volume", paused["accepted"])
        row("  handed over afterwards", paused["handed_over"])
        row("  with new orders meanwhile", paused["new_meanwhile"])
    if backlog := figures.get("backlog"):
        lines += ["", "a backlog of orders"]
        row("  stored by billing-app", backlog["billing_app"])
        row("  inserted by 500, PostgreSQL alone", backlog["postgresql"])
    if sizes := figures.get("sizes"):
        lines += ["", f"{'at rest':44}{'memory':>10}{'image':>12}"]
        lines += [
            f"{name:44}{each['memory_mib']:>6.0f} MiB{each['image_mb']:>9.0f} MB"
            for name, each in sizes.items()
        ]
        lines.append(f"{'together':44}{sum(each['memory_mib'] for each in sizes.values()):>6.0f} MiB")
    if about["load_before"] > about["cores"] / 2:
        lines += [
            "",
            "The machine was busy with something else: these figures are no measure of the platform.",
        ]
    return "\n".join(lines)


def fallen(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Say which ratios are more than a fifth below an earlier result; rates depend on the machine."""
    for kind, ways in now.get("requests", {}).items():
        for way, each in ways.items():
            earlier = before.get("requests", {}).get(kind, {}).get(way, {})
            if "ratio" in each and "ratio" in earlier and each["ratio"] < (1 - FALL) * earlier["ratio"]:
                yield (
                    f"SLOWER: {kind}, beside {way}: {each['ratio']:.2f} where benchmarks/results.json has "
                    f"{earlier['ratio']:.2f}."
                )
