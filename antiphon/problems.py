"""The situations the command line expects, each a sentence that says what to do.

A problem ends the command without a traceback, with its exit status: 2 when what was
asked cannot be done, 1 when a verdict is bad, 3 when none can be given yet. Not for
programmer errors: those keep their traceback.
"""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from typer import Exit, Typer
from typer.core import TyperGroup

from antiphon.terminal import complain

USAGE = 2
BAD_VERDICT = 1
# Nothing is wrong as far as can be said, and that is not everything.
NOT_SETTLED = 3
INTERRUPTED = 130


class Problem(Exception):
    """Something the user can put right; the message says how."""

    exit_status = USAGE


class NothingListening(Problem):
    """No region, or no AWS endpoint, answers where it was expected."""


class ProblemReportingGroup(TyperGroup):
    """A command group that prints a Problem as one sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; turn expected situations into a sentence and a status."""
        try:
            return super().invoke(ctx)
        except Problem as problem:
            complain(str(problem))
            raise Exit(problem.exit_status) from None
        except (BotoCoreError, ClientError) as error:
            complain(f"the AWS endpoint did not do what was asked: {error}")
            raise Exit(USAGE) from None
        except KeyboardInterrupt:
            complain("interrupted")
            raise Exit(INTERRUPTED) from None


def new_command_group(help_text: str) -> Typer:
    """Make a Typer application whose commands report problems as sentences."""
    return Typer(
        cls=ProblemReportingGroup,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
