"""Every `antiphon ...` line of the documents is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from antiphon.cli import app

# What the parser raises; typer keeps its own, and shows this one subclass of it.
REFUSED: type[Exception] = typer.BadParameter.__base__

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([PROJECT / "README.md", *PROJECT.glob("docs/*.md")])
IN_A_BLOCK = re.compile(r"^(?:\$ )?(antiphon [a-z].*)$")
IN_A_SENTENCE = re.compile(r"`(antiphon\s[a-z][^`]*)`")
# A comment, which some documents set off by blanks alone, or what is typed after it.
AFTER = re.compile(r"(\s(#|\||>|&&)|\s{2,}).*$")


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a document, in its blocks and in its sentences."""
    block = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            block = not block
        elif block and (found := IN_A_BLOCK.match(line.strip())):
            yield AFTER.sub("", found[1]).strip()
    for found in IN_A_SENTENCE.finditer(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield " ".join(found[1].split())


def all_commands() -> list[tuple[str, str]]:
    return [
        (document.name, command)
        for document in DOCUMENTS
        for command in dict.fromkeys(commands(document.read_text()))
    ]


def variants(command: str) -> Iterator[list[str]]:
    """Yield what a command line may stand for: `a|b` is either, `[x]` may be left out."""
    whole = command
    while (shorter := re.sub(r"\[[^\[\]]*\]", "", whole)) != whole:
        whole = shorter
    whole = re.sub(r"\b[NR]\b", "1", whole)
    # Some options take only a file that there is.
    whole = re.sub(r"\bFILE\b", str(PROJECT / "README.md"), whole)
    choices: list[list[str]] = [[]]
    for word in shlex.split(whole.replace("…", "").replace("...", "")):
        alternatives = word.split("|")
        choices = [[*chosen, one] for chosen in choices for one in alternatives]
    yield from choices


def parse(words: list[str]) -> None:
    """Parse as the command line does, without running anything.

    Raises REFUSED if it would be. What is only named, as in "see `antiphon dlq`",
    may lack its arguments.
    """
    command = typer.main.get_command(app)
    context = command.make_context("antiphon", [], resilient_parsing=True)
    rest = words
    while hasattr(command, "commands"):
        if not rest:
            return
        name, *rest = rest
        found = command.get_command(context, name)
        if found is None:
            raise REFUSED(f"no command {name}")
        command = found
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    if rest:
        command.make_context(words[-1], list(rest), parent=context.parent)


@pytest.mark.parametrize(("document", "command"), all_commands(), ids=str)
def test_a_documented_command_is_one(document: str, command: str):
    for words in variants(command):
        try:
            parse(words[1:])
        except REFUSED as error:
            pytest.fail(f"{document}: {' '.join(words)}: {error}")


def test_the_documents_have_commands():
    assert len(all_commands()) > 40


@pytest.mark.parametrize(
    "command", ["antiphon nosuch", "antiphon verify --nosuch", "antiphon region drain a b"]
)
def test_a_command_that_is_none_is_found(command: str):
    [words] = variants(command)
    with pytest.raises(REFUSED):
        parse(words[1:])


def test_both_forms_are_read():
    text = "See `antiphon\nverify`.\n```\n$ antiphon dlq list  # all\n```\n"
    assert sorted(commands(text)) == ["antiphon dlq list", "antiphon verify"]
