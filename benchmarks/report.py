"""The figures as a table for people."""

from __future__ import annotations

from typing import Any

from benchmarks.machine import Machine


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
    about = figures["machine"]
    lines = [
        "",
        (
            f"{figures['when']}   {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
            f"Docker {about['docker']}, load {about['load_before']} before"
        ),
        "",
        f"{'':44}{'ours':>10}{'beside it':>12}{'ratio':>8}",
    ]

    def row(what: str, ours: float, beside: float | None = None, ratio: float | None = None) -> None:
        lines.append(
            f"{what:44}{ours:>8,.0f}/s"
            + ("" if beside is None else f"{beside:>10,.0f}/s")
            + ("" if ratio is None else f"{ratio:>8.2f}")
        )

    if movies := figures.get("movies"):
        row("GET /api/movies, 3 films (nginx instead)", movies["gateway"], movies["nginx"], movies["ratio"])
        row("  inventory-app alone", movies["inventory"])
        lines.append(
            f"  the ratio in single rounds: {movies['ratio_lowest']:.2f} to {movies['ratio_highest']:.2f}"
        )
    if orders := figures.get("orders"):
        row(
            "POST /api/billing (one publisher, no HTTP)", orders["gateway"], orders["broker"], orders["ratio"]
        )
    if paused := figures.get("paused"):
        row("  the broker paused: kept on the volume", paused["accepted"])
        row("  handed over afterwards", paused["handed_over"])
        row("  with new orders meanwhile", paused["new_meanwhile"])
    if backlog := figures.get("backlog"):
        row(
            "orders stored (PostgreSQL, inserts by 500)",
            backlog["billing_app"],
            backlog["postgresql"],
            backlog["ratio"],
        )
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
