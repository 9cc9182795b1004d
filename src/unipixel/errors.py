"""Errors that a user can mend. Each message says what was found, what was expected and what to do."""


class UniPixelError(ValueError):
    """Base of every error that bad input can cause; the command line turns it into exit code 2."""


class MediaError(UniPixelError):
    """A picture or video cannot be found, read or decoded."""


class PromptError(UniPixelError):
    """A point, box, mask or scribble does not fit its clip."""


class RequestError(UniPixelError):
    """A question, conversation or option is unusable."""


class WeightsError(UniPixelError):
    """A checkpoint is missing, damaged or does not match its configuration."""


class ConfigError(UniPixelError):
    """A configuration value is unknown or contradicts another one."""


class OutputError(UniPixelError):
    """A result cannot be written where it should go."""


class SessionError(UniPixelError):
    """A session, one of its objects or a file that holds one cannot be used."""


class DataError(UniPixelError):
    """A file of a data set is missing, damaged or not as its layout says.

    Attributes:
        file: path of the file, as text; empty where it is not known (`data.registry` fills it in).
        place: where in it: a line, or the way to a field such as `videos.3f.frames[2]`; empty for the
            whole file.
        found: what is there.
        expected: what should be there, or how to mend it.
    """

    def __init__(self, file: object, place: str, found: str, expected: str) -> None:
        self.file = str(file)
        self.place = place
        self.found = found
        self.expected = expected
        where = ", ".join(part for part in (self.file, place) if part)
        super().__init__(f"{where}: found {found}; expected {expected}.")

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str, str, str]]:
        """Loader processes hand errors on; by default only the message would travel."""
        return type(self), (self.file, self.place, self.found, self.expected)


class SampleUnusable(DataError):
    """A sample of which no conversation can be made; loaders count it by its `reason` and take another.

    Attributes:
        sample: its name.
        reason: in a few words, to be counted.
    """

    def __init__(self, sample: str, reason: str, expected: str) -> None:
        super().__init__("", f"sample {sample}", reason, expected)
        self.sample = sample
        self.reason = reason

    def __reduce__(self) -> tuple[type["SampleUnusable"], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.sample, self.reason, self.expected)


class LeftOut(SampleUnusable):
    """A sample that limits leave out, or in which nothing is asked for; nothing is wrong with it."""
