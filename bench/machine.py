"""What the times were taken on: without it they mean nothing."""

import json
import os
import platform
import re
import subprocess

import build


def output(*command):
    """The first line a command prints, or None if it cannot."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip().partition("\n")[0]


def field(path, name):
    with open(path) as lines:
        for line in lines:
            key, _, value = line.partition("=" if "=" in line else ":")
            if key.strip() == name:
                return value.strip().strip('"')
    return None


def describe():
    return {
        "processor": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME"),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def python_package(name):
    """The version of a module's package."""
    import importlib.metadata
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def node_package(express, name):
    path = os.path.join(os.path.dirname(express), "node_modules", name, "package.json")
    with open(path) as text:
        return json.load(text)["version"]


def first_number(text):
    found = re.search(r"\d+(\.\d+)+[\w.+~-]*", text or "")
    return found[0] if found else None


def versions(binary, flask, express=None):
    """Of all that takes part but the servers, which are asked themselves: of Flask, if it does, and of Express, if
    it is there."""
    found = {
        "sesam-sql": first_number(output(binary, "--version")),
        "revision": revision(),
        "compiler": output("cc", "--version"),
        "psql": first_number(output("psql", "--version")),
        "mariadb client": first_number((output("mariadb", "--version") or "").partition("Distrib")[2]),
        "curl": first_number(output("curl", "--version")),
        "Python": platform.python_version(),
    }
    if flask:
        found["Flask"] = python_package("Flask")
        found["gunicorn"] = python_package("gunicorn")
        found["psycopg2"] = python_package("psycopg2")
    if express:
        found["Node"] = first_number(output("node", "--version"))
        for name in ("express", "pg", "pg-query-stream"):
            found[name] = node_package(express, name)
    return found


def revision():
    """The commit, with a plus if more than that was built."""
    commit = output("git", "-C", build.TOP, "rev-parse", "--short", "--verify", "--quiet", "HEAD")
    changed = output("git", "-C", build.TOP, "status", "--porcelain", "--", "src", "configure.ac", "Makefile.am")
    return commit and commit + ("+" if changed else "")
