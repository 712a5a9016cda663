"""Wake words by pymicro-wakeword, the only importer of its library: small networks, a tenth of a small core."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

from edgeagent.errors import ModelError
from edgeagent.messages import Frame

BUILT_IN = tuple(sorted(one.value for one in Model))
_MARK = slice(4, 8)
_TFLITE = b"TFL3"
LARGEST_BYTES = 4 << 20
MOST_AVERAGED = 100


class MicroWakeWords:
    """Looks for several wake words at once, on the same features."""

    def __init__(self, wanted: Sequence[str], cutoff: float | None) -> None:
        """Load the words, each by the name of a built-in one or by the path of its JSON file beside its .tflite.

        `cutoff` is the probability from which a word counts, in place of each model's own. Raise ModelError if a file
        is missing or no model: the library would end the process.
        """
        self._features = MicroWakeWordFeatures()
        self._words = [_loaded(one) for one in wanted]
        if cutoff is not None:
            self.use_cutoff(cutoff)

    def use_cutoff(self, cutoff: float) -> None:
        """Have words count from this probability on, in place of each model's own."""
        for word in self._words:
            word.probability_cutoff = cutoff

    def __call__(self, frame: Frame) -> str | None:
        """Return the wake word that ends in this frame, as it is spoken."""
        found = None
        for features in self._features.process_streaming(frame):
            for word in self._words:
                if word.process_streaming(features):
                    found = found or str(word.wake_word)
        return found

    def reset(self) -> None:
        """Forget the sound so far."""
        self._features.reset()
        for word in self._words:
            word.reset()


def _loaded(wanted: str) -> MicroWakeWord:
    if wanted in BUILT_IN:
        return MicroWakeWord.from_config(str(files("pymicro_wakeword") / "models" / f"{wanted}.json"))
    path = Path(wanted).expanduser()
    remedy = f"Name one of {', '.join(BUILT_IN)}, or the JSON file of a microWakeWord model."
    try:
        config = json.loads(path.read_text("utf-8"))
        network = path.parent / Path(config["model"]).name
        cutoff, window = config["micro"]["probability_cutoff"], config["micro"]["sliding_window_size"]
        is_whole = isinstance(config["wake_word"], str) and 0 < float(cutoff) <= 1 and 0 < int(window) <= MOST_AVERAGED
        data = network.read_bytes()[: LARGEST_BYTES + 1]
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}", remedy=remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a microWakeWord model's JSON file: {error!r}", remedy=remedy) from error
    if not is_whole:
        raise ModelError(f"{path}: wake_word, probability_cutoff or sliding_window_size is wrong", remedy=remedy)
    if data[_MARK] != _TFLITE or len(data) > LARGEST_BYTES:
        raise ModelError(f"{network}: not a TFLite model", remedy=remedy)
    try:
        return MicroWakeWord.from_config(path)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(f"{path}: cannot be loaded: {error}", remedy=remedy) from error
