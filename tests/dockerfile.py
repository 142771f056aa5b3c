"""Builds what a Dockerfile says where no container engine runs: each stage is a folder that debootstrap makes, RUN is a
chroot. It knows what ours has in it, and refuses the rest.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess

SUITES = {"debian:12-slim": "bookworm"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the slim image leaves out, what it keeps apt from leaving behind, and that nothing waits for the disk.
SLIM = {"etc/dpkg/dpkg.cfg.d/docker": "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n"
                                      "path-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\nforce-unsafe-io\n",
        "etc/apt/apt.conf.d/docker-clean": 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n'
                                           'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";\n'}


class BuildError(Exception):
    """A step that failed, with the end of what it said."""


class NoBase(Exception):
    """No root folder can be made here."""


def instructions(path):
    """Its instructions: (word, rest), with lines joined that end in a backslash."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).split("\n"):
        if line.strip():
            word, rest = line.split(None, 1)
            yield word.upper(), rest.strip()


def command_of(text):
    """A command in either form, as a list."""
    return json.loads(text) if text.startswith("[") else ["/bin/sh", "-c", text]


def ignored(path, patterns):
    """Does .dockerignore keep this file of the tree out? The last pattern that fits decides."""
    out = False
    for pattern in patterns:
        keep, pattern = pattern.startswith("!"), pattern.lstrip("!").strip("/")
        parts = path.split("/")
        heads = ["/".join(parts[:i + 1]) for i in range(len(parts))]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            fits = any(fnmatch.fnmatchcase(head, pattern) for head in heads)
        out = not keep if fits else out
    return out


def make_context(top, folder):
    """The files of the tree that a build gets to see."""
    with open(os.path.join(top, ".dockerignore"), encoding="utf-8") as file:
        patterns = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    for where, folders, files in os.walk(top):
        here = os.path.relpath(where, top)
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            path = os.path.normpath(os.path.join(here, name))
            if not ignored(path, patterns):
                os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
                shutil.copy2(os.path.join(top, path), os.path.join(folder, path))


class Stage:
    """One FROM, and what follows it."""

    def __init__(self, root):
        self.root = root
        self.folder = "/"
        self.environment = {"PATH": PATH}
        self.user = "0:0"
        self.volumes, self.entrypoint, self.command, self.health, self.stop = [], [], [], None, "SIGTERM"

    def inside(self, path):
        return self.root + os.path.normpath(os.path.join(self.folder, path))

    def run(self, text):
        shell = f"cd {shlex.quote(self.folder)} && {text}"
        done = subprocess.run(["chroot", self.root, "/bin/sh", "-c", shell], env=self.environment, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise BuildError(f"RUN {text}\n{done.stdout.decode(errors='replace')[-6000:]}")

    def copy(self, text, stages, context):
        words = shlex.split(text)
        source = context
        if words[0].startswith("--from="):
            source = stages[words.pop(0).removeprefix("--from=")].root
        *places, target = words
        for place in places:
            path = os.path.join(source, place.lstrip("/"))
            if os.path.isdir(path):
                shutil.copytree(path, self.inside(target), symlinks=True, dirs_exist_ok=True)
            else:
                to = self.inside(target) + ("/" if target.endswith("/") else "")
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(path, to)

    def do(self, word, rest, stages, context):
        if word == "RUN":
            self.run(rest)
        elif word == "COPY":
            self.copy(rest, stages, context)
        elif word == "WORKDIR":
            self.folder = os.path.join(self.folder, rest)
            os.makedirs(self.inside("."), exist_ok=True)
        elif word == "ENV":
            self.environment.update(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            self.user = rest
        elif word == "VOLUME":
            self.volumes += rest.split()
        elif word == "ENTRYPOINT":
            self.entrypoint = command_of(rest)
        elif word == "CMD":
            self.command = command_of(rest)
        elif word == "HEALTHCHECK":
            self.health = command_of(rest[rest.index("CMD") + 3:].strip())
        elif word == "STOPSIGNAL":
            self.stop = rest
        elif word != "EXPOSE":
            raise BuildError(f"{word} is not known here")


def mirror():
    """Where this machine has its packages from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Release: bookworm"],
                          stdout=subprocess.PIPE, encoding="utf-8", check=False)
    sites = done.stdout.split()
    if not sites:
        raise BuildError("apt knows no place to have the packages of Debian 12 from")
    return sites[0]


def make_base(work, suite):
    """A folder like the slim image of a suite."""
    root = os.path.join(work, suite)
    for path, text in SLIM.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
    done = subprocess.run(["debootstrap", "--variant=minbase", suite, root, mirror()], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise NoBase(f"debootstrap could not make a root folder: {done.stdout.decode(errors='replace')[-600:]}")
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        if os.path.exists(path):
            shutil.copyfile(path, root + path)
    proxy = subprocess.run(["apt-config", "dump", "Acquire"], stdout=subprocess.PIPE, check=True).stdout.decode()
    with open(os.path.join(root, "etc/apt/apt.conf.d/proxy"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in proxy.split("\n") if "Proxy" in line)
    shutil.rmtree(os.path.join(root, "var/cache/apt/archives"))
    return root


def build(top, work, say):
    """All stages of the tree's Dockerfile, in folders in work; say is told each step. Returns the last stage, and the folder
    of its base."""
    stages, bases, stage = {}, {}, None
    context = os.path.join(work, "context")
    make_context(top, context)
    for number, (word, rest) in enumerate(instructions(os.path.join(top, "Dockerfile"))):
        say(f"{word} {rest[:100]}")
        if word != "FROM":
            stage.do(word, rest, stages, context)
            continue
        image, *alias = re.split(r"\s+as\s+", rest, flags=re.IGNORECASE)
        if image not in bases:
            bases[image] = make_base(work, SUITES[image])
        root = os.path.join(work, f"stage-{number}")
        subprocess.run(["cp", "-a", "--reflink=auto", bases[image], root], check=True)
        stage = Stage(root)
        stages[alias[0] if alias else str(len(stages))] = stage
    return stage, bases[image]


def added(root, base):
    """The bytes of all files that the base has not, or has otherwise."""
    total = 0
    for where, _, files in os.walk(root):
        for name in files:
            path = os.path.join(where, name)
            old = base + path.removeprefix(root)
            new = os.lstat(path)
            if not os.path.lexists(old) or (os.lstat(old).st_size, os.lstat(old).st_mtime_ns) != (new.st_size, new.st_mtime_ns):
                total += new.st_size
    return total
