"""Runs the program with a terminal, as somebody who sits at it."""

import os
import pty
import select
import time


class Terminal:
    """A program whose standard input, error and output are a terminal, the output only where no other file is given."""

    def __init__(self, program, *arguments, out=None, environment=None):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SESAM_SQL")}
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if out is not None:
                os.dup2(out, 1)
            os.execve(program, [program, *arguments], {**clean, **(environment or {})})
        self.ended = False

    def look(self, seconds=0.0):
        """Takes what is shown within so many seconds."""
        if self.ended or not select.select([self.fd], [], [], seconds)[0]:
            return
        try:
            block = os.read(self.fd, 65536)
        except OSError:  # how Linux tells that nobody is at the other end any more
            block = b""
        self.shown += block.decode(errors="replace")
        self.ended = not block

    def wait_for(self, text, seconds=60):
        until = time.monotonic() + seconds
        while text not in self.shown and not self.ended and time.monotonic() < until:
            self.look(0.1)
        assert text in self.shown, self.shown

    def type(self, keys):
        os.write(self.fd, keys)

    def finish(self, seconds=60):
        """The exit status, after all was shown. Whoever still waits at the end is hung up."""
        until = time.monotonic() + seconds
        while not self.ended and time.monotonic() < until:
            self.look(0.1)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
