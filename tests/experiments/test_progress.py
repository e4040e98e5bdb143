"""Progress with and without a terminal, and messages between the bars."""

import io
import re

import pytest
from tqdm import tqdm

from experiments import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(text, height=6, width=100):
    """What a terminal shows: the sequences that tqdm and `progress` write, and no others."""
    lines, row, column = [""] * height, 0, 0
    for token in re.findall(r"\x1b\[[0-9]*[A-Z]|\r|\n|[^\x1b\r\n]", text):
        if token == "\r":
            column = 0
        elif token == "\n":
            row, column = row + 1, 0
        elif token == "\x1b[A":
            row -= 1
        elif token == "\x1b[J":
            lines[row:] = [lines[row][:column]] + [""] * (height - row - 1)
        else:
            assert not token.startswith("\x1b"), repr(token)
            lines[row] = lines[row].ljust(column)[:column] + token + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_a_message_stands_above_the_bars_of_all_processes(monkeypatch):
    out = Terminal()
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr("sys.stdout", out)
    # Of another process, which tqdm here does not know: two bars that are longer than the message.
    out.write("seed 0: joint:  50%|#####     | 75/150 and more of it\n")
    out.write("seed 1: plain:  20%|##        | 30/150 and more of it\r\x1b[A")
    progress.say("seed 2: Dice 80.00")
    assert screen(out.getvalue()) == ["seed 2: Dice 80.00", *[""] * 5]


def test_a_bar_of_this_process_is_drawn_again(monkeypatch):
    out = Terminal()
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr("sys.stdout", out)
    with progress.steps(4, title="seed 0") as bar:
        assert isinstance(bar, tqdm)
        bar.update()
        progress.say("seed 0: Dice 80.00")
        first, second, *_ = screen(out.getvalue())
        assert first == "seed 0: Dice 80.00" and second.startswith("seed 0:") and "1/4" in second
    assert screen(out.getvalue())[1] == ""  # it vanishes


@pytest.mark.parametrize(("total", "lines"), [(3, 3), (10, 10), (150, 10), (1234, 10)])
def test_without_a_terminal_every_tenth_is_a_line(total, lines, capsys):
    with progress.steps(total, title="search") as bar:
        for _ in range(total):
            bar.update()
    written = capsys.readouterr().err.splitlines()
    assert len(written) == lines and written[-1] == f"search: {total} of {total}"
    progress.say("done")
    assert capsys.readouterr().out == "done\n"
