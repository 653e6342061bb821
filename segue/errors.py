"""Errors for people: a headline that states the rule and the value that came, and a fix."""

EXIT_FAILED = 1  # a step failed; a rerun starts clean
EXIT_USAGE = 2  # the input or the call is wrong; a rerun fails the same way
EXIT_RETRY = 75  # a temporary fault (EX_TEMPFAIL of sysexits.h); a rerun may succeed


class SegueError(Exception):
    """An error that a person can act on.

    Args:
        headline: the rule and the value that broke it.
        fix: how to correct it.
    """

    exit_code = EXIT_FAILED

    def __init__(self, headline: str, fix: str = "") -> None:
        super().__init__(f"{headline} {fix}".strip())
        self.headline = headline
        self.fix = fix

    def __reduce__(self):
        return (type(self), (self.headline, self.fix))


class InputError(SegueError):
    """The input breaks a rule: a missing file, a wrong column, an unknown listener."""

    exit_code = EXIT_USAGE


class UnavailableError(SegueError):
    """A server or a store did not answer in time; the same call may succeed later."""

    exit_code = EXIT_RETRY
