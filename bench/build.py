"""Makes what is measured, in a temporary folder: the service with -O2, and the packages of the Express peer."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
CFLAGS = "-O2"


def run(command, log, **more):
    """Runs a command whose output nobody wants to see unless it fails."""
    with open(log, "ab") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, **more)
    if done.returncode != 0:
        with open(log, errors="replace") as text:
            raise RuntimeError(f"{' '.join(command)} failed:\n{text.read()[-3000:]}")


def copy_sources(target):
    """What git knows or would add, so that no object of another build comes along."""
    names = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           stdout=subprocess.PIPE, check=True).stdout.split(b"\0")
    there = sorted({name for name in names if name and os.path.isfile(os.path.join(TOP.encode(), name))})
    with subprocess.Popen(["tar", "-C", TOP, "--null", "--files-from=-", "-cf", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as pack:
        unpack = subprocess.Popen(["tar", "-C", target, "-xf", "-"], stdin=pack.stdout)
        pack.stdin.write(b"\0".join(there))
        pack.stdin.close()
        if unpack.wait() != 0:
            raise RuntimeError("cannot copy the sources")


def build_service(folder):
    """Builds sesam-sql and returns its path."""
    source = os.path.join(folder, "source")
    os.mkdir(source)
    copy_sources(source)
    log = os.path.join(folder, "build.log")
    run(["./autogen.sh"], log, cwd=source)
    run(["./configure", f"CFLAGS={CFLAGS}"], log, cwd=source)
    run(["make", f"-j{os.cpu_count()}", "sesam-sql"], log, cwd=source)
    return os.path.join(source, "sesam-sql")


def install_express(folder):
    """Installs the packages of the Express peer and returns the path of its program beside them."""
    target = os.path.join(folder, "express")
    os.mkdir(target)
    for name in ("package.json", "peer_express.js"):
        with open(os.path.join(HERE, name)) as source, open(os.path.join(target, name), "w") as copy:
            copy.write(source.read())
    run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], os.path.join(folder, "npm.log"), cwd=target)
    return os.path.join(target, "peer_express.js")
