"""What happens to an utterance, step by step, as lines that a person enjoys. The daemon of a board never loads it."""

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.text import Text

from edgeagent.logs import printable
from edgeagent.messages import Step, Transcript
from edgeagent.timeline import as_row

_STYLES: Mapping[str, str] = {
    "woken": "bold cyan",
    "hearing": "dim",
    "heard": "bold",
    "understood": "green",
    "question": "yellow",
    "rejected": "yellow",
    "because": "dim",
    "published": "cyan",
    "done": "green",
    "failed": "red",
    "answered": "bold magenta",
}
_FIRST_EXIT = 0


class PrintedTimeline:
    """Prints a coloured line per step, with the time since the step before it."""

    def __init__(
        self,
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
        *,
        explains: bool = False,
    ) -> None:
        """Print to `console`, by default standard output; with `explains` also how each sentence was understood."""
        self._explains = explains
        self.console = console or Console(highlight=False)
        self._clock = clock
        self._last_at = clock()
        self._partials: list[str] = []

    def __call__(self, step: Step) -> None:
        """Print one step."""
        now = self._clock()
        took_s, self._last_at = now - self._last_at, now
        if isinstance(step, Transcript) and not step.is_final:
            self._partials.append(step.text)
            return
        if isinstance(step, Transcript):
            self._print_partials(step)
        row = as_row(step)
        text, note = _words(row)
        if row["step"] not in {"heard", "hearing"}:
            note = f"{note}  +{1000 * took_s:.1f} ms".strip()
        reasons = (*row.get("why", ()), *filter(None, [row.get("allowed_by") if row["step"] == "published" else ""]))
        for reason in reasons if self._explains else ():
            self._line("because", reason, "")
        self._line(row["step"], text, note)

    def _print_partials(self, final: Transcript) -> None:
        """Show how the sentence grew while it was spoken: what each partial transcript added to the one before."""
        whole = final.text.split()
        counts = {len(words) for text in self._partials if (words := text.split()) == whole[: len(words)]}
        self._partials.clear()
        if len(counts) > 1:
            ends = sorted(counts)
            parts = [" ".join(whole[start:end]) for start, end in pairwise([0, *ends])]
            self._line("hearing", " … ".join(part for part in parts if part), "")

    def _line(self, name: str, text: str, note: str) -> None:
        style = _STYLES.get(name, "")
        line = Text.assemble(("  " + name.ljust(12), style), (printable(text), "" if name != "hearing" else "dim"))
        if note:
            line.append(f"   {printable(note)}", "dim")
        self.console.print(line, soft_wrap=True)


def _words(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return a row's main text and its remark."""
    match row["step"]:
        case "heard" if row["ended_by"] == "text":
            return row["text"], "typed"
        case "heard":
            waited_ms = row["after_last_word_ms"]
            waited = "" if waited_ms is None else f" {waited_ms} ms after the last word"
            return row["text"] or "(no words)", f"{row['sound_s']} s of sound, ended by {row['ended_by']}{waited}"
        case "understood":
            slots = "  ".join(f"{name}={_short(value)}" for name, value in row["slots"].items())
            by = "exit 0, the grammar" if row["exit"] == _FIRST_EXIT else f"exit {row['exit']}, the model"
            doubt = f"; {row['doubt']}" if row["doubt"] else ""
            when = "  ".join(f"{name}={_short(value)}" for name, value in row.get("when", {}).items())
            return f"{row['intent']}  {slots}  {when}".rstrip(), f"by {by}, {row['confidence']:.0%} sure{doubt}"
        case "question":
            return f"{row['kind']}: {', '.join(row['choices'])}", ""
        case "rejected":
            return f"{row['reason']}: {row['detail']}" if row["detail"] else row["reason"], ""
        case "published":
            return f"{row['topic']}  {row['payload']}", ""
        case "done":
            done = f"{row['device']}: {row['capability']} is {_short(row['value'])}"
            return done, f"acknowledged after {row['took_ms']} ms"
        case "failed":
            return f"{row['device']}: {row['reason']}", ""
        case _:
            return str(row.get("text", "")), ""


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
