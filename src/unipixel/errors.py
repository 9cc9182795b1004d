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
