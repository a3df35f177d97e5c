"""Fail where an exception that pyproject.toml names for one file is no longer needed."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WILDCARDS = "*"
# a relative import inside callbacks/ is taken for one of `callbacks`: for the whole folder
NOT_OURS = {"TID251"}


def is_needed(file: str, code: str) -> bool:
    """Whether ruff finds the fault in the file when nothing is excepted."""
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--select", code]
    command += ["--config", "lint.per-file-ignores = {}", file]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1


def main() -> int:
    """Print what can go; the number is the exit status."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignored = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    files = {file: codes for file, codes in ignored.items() if WILDCARDS not in file}
    idle = [
        f"{file}: {code}"
        for file, codes in files.items()
        if file.endswith(".py")
        for code in codes
        if code not in NOT_OURS and not is_needed(file, code)
    ]
    for line in idle:
        print(f"No longer needed in pyproject.toml, per-file-ignores: {line}")
    return len(idle)


if __name__ == "__main__":
    sys.exit(main())
