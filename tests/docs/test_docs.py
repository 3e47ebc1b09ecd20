"""Every code block of README.md and docs/ is executed, page by page, in an empty folder.

- a `{code-block}` with a caption, or a block whose first line is `# file: NAME`, is a file of
  that name, written as it stands;
- `python` blocks of a page share one namespace; those with `>>>` are checked as doctests;
- `console` blocks run their `$` lines in a shell and compare what is shown below them, if
  anything, where `...` stands for any text. A command ends with status 0 unless its line ends
  in `# status N`;
- `yaml` and `json` blocks without a caption are fragments: they must parse.

`text` blocks are left alone. Nothing else may be used.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not {"_build", "generated"} & set(p.parts)),
]
FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.M | re.S)
STATUS = re.compile(r"\s+# status (\d+)$")
MARKUP = {"{toctree}", "{include}", "{math}", "{note}", "{warning}", "{eval-rst}", "{figure}"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page; `file` is its caption."""

    page: Path
    line: int
    language: str
    text: str
    file: str = ""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    source = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        language, body, file = match["info"].strip(), match["body"], ""
        if language.startswith("{code-block}"):
            language = language.removeprefix("{code-block}").strip()
            while option := re.match(r":(\w+):[ ]*(.*)\n", body):
                file = option[2] if option[1] == "caption" else file
                body = body[option.end() :]
            body = body.removeprefix("\n")
        elif language.split(" ")[0] in MARKUP:
            continue
        elif named := re.match(r"# file: (\S+)\n", body):
            file = named[1]
        yield Block(page, line, language, body, file)


def run_console(block: Block) -> None:
    """Run the commands of a block and compare their output with what is shown."""
    command, shown = "", []
    for line in [*block.text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                run_command(block, command, "\n".join(shown))
            command, shown = line[2:], []
        else:
            shown.append(line)


def run_command(block: Block, command: str, shown: str) -> None:
    wanted = STATUS.search(command)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = f"{block.where}: $ {command}\n{done.stdout}"
    assert done.returncode == (int(wanted[1]) if wanted else 0), said
    if shown.strip():
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        same = doctest.OutputChecker().check_output(shown.strip(), done.stdout.strip(), flags)
        assert same, f"{said}\nshown in the page:\n{shown}"


def run_python(block: Block, names: dict[str, object]) -> None:
    if ">>>" not in block.text:
        exec(compile("\n" * block.line + block.text, str(block.page), "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(
        block.text, names, block.where, str(block.page), block.line
    )
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags)
    failed = runner.run(test, out=report.append, clear_globs=False).failed
    names.update(test.globs)
    assert not failed, "".join(report)


def run_block(block: Block, names: dict[str, object]) -> None:
    if block.file:
        target = Path(block.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "console":
        run_console(block)
    elif block.language == "python":
        run_python(block, names)
    else:
        assert block.language == "text", f"{block.where}: {block.language!r} is not executed"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        try:
            run_block(block, names)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{block.where}: {type(error).__name__}: {error}") from error


def test_the_runner_notices_wrong_output_and_wrong_status(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    run_console(Block(page, 1, "console", "$ echo one two\none ...\n"))
    with pytest.raises(AssertionError, match="shown in the page"):
        run_console(Block(page, 1, "console", "$ echo one\ntwo\n"))
    with pytest.raises(AssertionError):
        run_console(Block(page, 1, "console", "$ exit 4\n"))
    run_console(Block(page, 1, "console", "$ exit 4  # status 4\n"))
    with pytest.raises(AssertionError, match="is not executed"):
        run_block(Block(page, 1, "rust", "fn main() {}"), {})
