"""Makes the pictures in docs/images from new trainings: ``python tools/make_images.py``. Needs chromium."""

import base64
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COMMAND = str(Path(sys.executable).with_name("trpo-fast"))
PORT = 6123
ALL_RUNS = base64.b64encode(b'{"TRPO_1":true}').decode()


def run(*arguments: object) -> None:
    """Run a trpo-fast command."""
    subprocess.run([COMMAND, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def screenshot(url: str, name: str, width: int, height: int, wait_ms: int = 0) -> None:
    """Save a screenshot of a page as a PNG."""
    waiting = [f"--virtual-time-budget={wait_ms}"] if wait_ms else []
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *waiting,
         f"--window-size={width},{height}", f"--screenshot={IMAGES / name}", url],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120.0,
    )  # fmt: skip


def screenshot_tensorboard(folder: Path) -> None:
    """Save a screenshot of TensorBoard with the runs in ``folder``."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", f"--logdir={folder}", f"--port={PORT}", "--load_fast=false"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        time.sleep(20.0)
        page = f"http://localhost:{PORT}/?darkMode=false#scalars&runSelectionState={ALL_RUNS}"
        screenshot(page, "tensorboard.png", 1500, 900, wait_ms=40_000)
    finally:
        server.terminate()


def main() -> None:
    """Train, then take screenshots and plot."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hopper, board = folder / "Hopper-v5", folder / "tensorboard"
        run("train", "Hopper-v5", "-n", 200_000, "--seed", 1, "-f", hopper, "--tensorboard", board)
        screenshot_tensorboard(board)
        runs = [folder / f"CartPole-v1_{seed}" for seed in range(1, 6)]
        for seed, out in enumerate(runs, start=1):
            run("train", "CartPole-v1", "-n", 50_000, "--seed", seed, "-f", out)
        run("plot", *runs, "--out", IMAGES / "curves.png")
        run("plot", hopper, "--diagnostics", "--out", IMAGES / "diagnostics.png")


if __name__ == "__main__":
    main()
