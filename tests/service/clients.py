"""The clients that people run SQL with: psql, mysql and sqlite3."""

import os
import subprocess


def command_of(database):
    system = database.system()
    if database.type == "postgresql":
        return (["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", system["host"], "-p", str(system["port"]), "-U",
                 system["username"], "-d", system["database"], "-f", "-"], {"PGPASSWORD": system["password"]})
    if database.type == "mysql":
        where = ["-S", system["host"]] if system["host"].startswith("/") else [
            "-h", system["host"], "-P", str(system["port"]), "--protocol=tcp"]
        return ["mysql", "--no-defaults", *where, "-u", system["username"], system["database"]], {
            "MYSQL_PWD": system["password"]}
    return ["sqlite3", "-bail", system["path"]], {}


def apply(database, sql):
    """Runs a script as its reader would, and returns what the client said."""
    command, environment = command_of(database)
    done = subprocess.run(command, input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                          timeout=120, check=False, env={**os.environ, **environment})
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr + sql
    return done.stdout
