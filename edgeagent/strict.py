"""The form of files that people or machines write for edgeagent: nothing unknown in them, and never changed."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A form. What was wrong is told without what was written: a file may hold secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
