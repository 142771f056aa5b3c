"""What is measured runs as processes of ours: started on a free port, asked for their peak memory, ended."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import servers

START_SECONDS = 60
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """In the child, before exec: nothing stays behind, whatever becomes of us."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Process:
    """A program that serves HTTP on $PORT of this machine."""

    def __init__(self, name, command, folder, environment, ready="/"):
        self.name = name
        self.port = servers.free_port()
        self.log = os.path.join(folder, f"{name}-{self.port}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [part.replace("$PORT", str(self.port)) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=die_with_parent, env={**os.environ, **environment, "PORT": str(self.port)})
        try:
            self._wait(ready)
        except BaseException:
            self.close()
            raise

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def peak_kib(self):
        """The peak resident memory of the process and of its children, added up."""
        return sum(high_water_kib(pid) for pid in family(self.process.pid))

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wait(self, path):
        """Until it answers; any status will do, since the peers know no other path than their own."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(self.url(path), timeout=5).close()
                return
            except urllib.error.HTTPError as answer:
                if answer.code < 500:
                    return
                error = answer
            except OSError as refused:
                error = refused
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not answer: {error}\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-2000:]


def high_water_kib(pid):
    """The peak resident memory so far, as the kernel keeps it."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has ended")


def family(pid):
    """A process and all below it."""
    yield pid
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            for child in children.read().split():
                yield from family(int(child))
