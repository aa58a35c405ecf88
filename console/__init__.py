"""What a user sees on the terminal: errors as one message with an exit code, progress with the time left."""

from console.board import Board
from console.errors import UserError, command
from console.progress import track
from console.verbs import add_verb

__all__ = ["Board", "UserError", "add_verb", "command", "track"]
