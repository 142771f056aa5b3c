"""What the works of both sides share: the program that is measured, and the processes it is measured in."""

import json
import sys

import build
from measure import alternate
from process import Process


class Bench:
    def __init__(self, arguments, folder, stack):
        self.arguments = arguments
        self.folder = folder
        self.stack = stack
        self.binary = arguments.binary or build.build_service(folder)

    def serve(self, configuration):
        """A service of its own for each work, so that its peak memory is the work's."""
        return Process("sesam-sql", [self.binary, "serve"], self.folder,
                       {"SESAM_SQL_CONFIG": json.dumps(configuration)}, ready="/health")

    def flask(self, url, module):
        command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", "127.0.0.1:$PORT", "--timeout", "600",
                   "--chdir", build.HERE, f"{module}:app"]
        return Process("flask", command, self.folder, {"DATABASE_URL": url})

    def alternate(self, opponents):
        alternate(opponents, self.arguments.rounds, self.arguments.slow_rounds)


def configuration(system, **sections):
    """One system, as a user would write it, and what is read from it or written to it."""
    return {"listen": {"address": "127.0.0.1", "port": 5000, "authentication": {"type": "none"}},
            "systems": {"bench": {**system, "timezone": "UTC"}}, **sections}
