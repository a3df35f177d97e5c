"""JupyterLab in the system's browser without a window, as tests use it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Page", "browser", "driver", "server", "until", "write"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

SECONDS = 180.0
"""What anything may take, on a busy machine too."""

PANEL = "jupyterapp.shell.currentWidget"
SESSION = f"{PANEL}?.sessionContext?.session"

CELLS = "const cell = document.querySelectorAll('.jp-CodeCell')[arguments[0]];"


def browser() -> str | None:
    """The system's browser, if its driver is there too."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found if shutil.which("chromedriver") else None


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """JupyterLab that serves a folder, at a free port of the loopback; its settings stay there too.

    Yields
    ------
    str
        The address, which asks for no password.
    """
    homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    homes = (*homes, "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
    }
    log = folder / ".lab.log"
    with log.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())],
            cwd=folder,
            env=os.environ | {home: str(folder / f".{home.lower()}") for home in homes},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        address = re.compile(r"(http://127\.0\.0\.1:\d+)/lab")
        until(lambda: address.search(log.read_text()) or run.poll() is not None)
        assert run.poll() is None, log.read_text()
        yield address.search(log.read_text())[1]
    finally:
        run.terminate()  # which ends its kernels too
        run.wait(SECONDS)


@contextmanager
def driver(program: str) -> Iterator[Any]:
    """A browser without a window, by Selenium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1100,2000")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    opened = webdriver.Chrome(options=options, service=service)
    opened.set_script_timeout(SECONDS)
    try:
        yield opened
    finally:
        opened.quit()


def until(known: Callable[[], Any], every: float = 0.02) -> Any:
    """What a call gives as soon as it gives something."""
    end = time.monotonic() + SECONDS
    while not (found := known()):
        assert time.monotonic() < end, f"not within {SECONDS:.0f} s"
        time.sleep(every)
    return found


def write(file: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells that were not run."""
    empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    made = [{**empty, "id": f"cell-{i}", "source": source} for i, source in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": made, "metadata": {"kernelspec": kernel}}
    file.write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


class Page:
    """A notebook that JupyterLab has opened, with a kernel.

    Parameters
    ----------
    driver
        Of Selenium.
    address : str
        Of the server.
    file : Path
        The notebook, in the server's folder.
    """

    def __init__(self, driver: Any, address: str, file: Path) -> None:
        self.driver, self.file = driver, file
        driver.get(f"{address}/lab/tree/{file.name}?reset")
        until(lambda: self.script("return !!window.jupyterapp?.shell?.currentWidget"))
        until(lambda: self.script(f"return {SESSION}?.kernel?.status === 'idle'"))
        drawn = "document.querySelectorAll('.jp-CodeCell .jp-InputPrompt').length"
        until(lambda: self.script(f"return {drawn} === {PANEL}.content?.widgets?.length"))

    def script(self, text: str, *arguments: Any) -> Any:
        """What JavaScript returns."""
        return self.driver.execute_script(text, *arguments)

    def command(self, name: str, **arguments: Any) -> None:
        """A command of JupyterLab's menus, which has ended afterwards."""
        ended = self.driver.execute_async_script(
            "const [name, given, done] = arguments;"
            "jupyterapp.commands.execute(name, given).then(() => done(''), e => done(String(e)))",
            name,
            arguments,
        )
        assert not ended, ended

    def press(self, name: str) -> None:
        """Click a button of the notebook's toolbar."""
        where = f".jp-NotebookPanel-toolbar [data-command='{name}']"
        self.driver.find_element("css selector", where).click()

    def run(self, cell: int) -> None:
        """Begin to run a cell."""
        self.script(f"{PANEL}.content.activeCellIndex = arguments[0]", cell)
        self.script("void jupyterapp.commands.execute('notebook:run-cell')")

    def ended(self, cell: int) -> bool:
        """Whether a cell has been run."""
        prompt = self.script(CELLS + "return cell.querySelector('.jp-InputPrompt').innerText", cell)
        return re.search(r"\d", prompt) is not None

    def ran(self, cell: int) -> list[str]:
        """Run a cell to its end; its outputs."""
        self.run(cell)
        until(lambda: self.ended(cell))
        return self.outputs(cell)

    def outputs(self, cell: int) -> list[str]:
        """The texts of a cell's outputs, as they are shown."""
        texts = "[...cell.querySelectorAll('.jp-OutputArea-output')].map(o => o.innerText)"
        return self.script(f"{CELLS} return {texts}", cell)

    def wear(self, theme: str) -> None:
        """Change the colours of the page, ``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.command("apputils:change-theme", theme=theme)
        worn = "return document.body.dataset.jpThemeName === arguments[0]"
        until(lambda: self.script(worn, theme))
