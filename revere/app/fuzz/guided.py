"""Atheris over the same target: mutations that reach new lines of our code are kept and built upon.

Run as a process of its own (``python -m revere.app.fuzz.guided RUNS SEED FOLDER``), since libFuzzer ends the process
that it runs in. Its mutator knows the grammar: valid frames of our structs, our own ways to spoil them, libFuzzer's.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from revere.core.errors import RevereError

if TYPE_CHECKING:
    from revere.core.assets import Protocol

FRAME_MAX_BYTES: Final = 8_192
SEEDS: Final = 400
LIMIT_S: Final = 900.0
_DONE: Final = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERED: Final = re.compile(r"cov: (\d+)")


def installed() -> bool:
    """Whether atheris is there (a development dependency, for Python 3.11 on x86 Linux)."""
    return importlib.util.find_spec("atheris") is not None


def guided(runs: int, seed: int = 0) -> dict[str, Any]:
    """Have atheris try ``runs`` frames; raises with what it said when one broke a rule."""
    with tempfile.TemporaryDirectory(prefix="revere-fuzz-") as folder:
        ran = subprocess.run(
            [sys.executable, "-m", "revere.app.fuzz.guided", str(runs), str(seed or 1), folder],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
    done, covered = _DONE.search(ran.stderr), _COVERED.findall(ran.stderr)
    if ran.returncode != 0 or done is None:
        said = ran.stdout + ran.stderr
        raise RevereError(
            "a frame broke a rule", where="fuzz", got=said[max(0, said.find("Uncaught Python")) :][:4_000]
        )
    return {"guided_frames": int(done[1]), "guided_unhandled": 0, "guided_places_reached": int(covered[-1])}


def main(runs: int, seed: int, folder: Path) -> None:
    """Fuzz until ``runs`` frames are tried; never returns."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["revere.links"]):
        target = importlib.import_module("revere.app.fuzz.target")
        run = importlib.import_module("revere.app.fuzz.run")
        spoil = importlib.import_module("revere.app.fuzz.spoil")
    protocols: list[Protocol] = list(target.EDITIONS)
    actions = {protocol: list(target.EDITIONS[protocol].CALLS) for protocol in protocols}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def enter() -> Any:
        return target.Stations().__enter__()

    stations, tally = loop.run_until_complete(enter()), target.Tally()

    def packed(rng: random.Random) -> bytes:
        at = rng.randrange(len(protocols))
        raw, action = run.Frames(rng).next(protocols[at])
        return b"".join((bytes([at, actions[protocols[at]].index(action)]), raw))

    def one(data: bytes) -> None:
        if len(data) < 2:
            return
        protocol = protocols[data[0] % len(protocols)]
        action = actions[protocol][data[1] % len(actions[protocol])]
        with run.told(data[2:], protocol):
            target.check_readers(data[2:], protocol, action, tally)
            loop.run_until_complete(stations.feed(data[2:], protocol, tally))

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        way = rng.randrange(4)
        if way == 0 or len(data) < 3:
            made = packed(rng)
        elif way == 1:
            text = data[2:].decode("utf-8", "replace")
            made = data[:2] + spoil.spoil_text(text, rng).encode("utf-8", "surrogatepass")
        else:
            made = bytes(atheris.Mutate(data, most))
        kept: bytes = made[:most]
        return kept

    rng = random.Random(seed)
    for number in range(SEEDS):
        (folder / f"{number}").write_bytes(packed(rng)[:FRAME_MAX_BYTES])
    arguments = [f"-runs={runs}", f"-seed={seed}", f"-max_len={FRAME_MAX_BYTES}", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *arguments, str(folder)], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
