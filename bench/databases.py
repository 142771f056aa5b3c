"""The servers with their table, and the ways to their own clients."""

import contextlib
import os
import subprocess

import servers
from build import HERE

ORDER = "order by updated, id"
POSTGRESQL_OPTIONS = ["-c", "shared_buffers=1GB"]
MARIADB_OPTIONS = ["--innodb-buffer-pool-size=1G"]


class PostgreSQL:
    """The server with the table, and the ways to its own client."""

    title = "PostgreSQL"

    def __init__(self, stack):
        self.server = stack.enter_context(servers.PostgreSQL(durable=True, options=POSTGRESQL_OPTIONS))
        system = self.server.system()
        # Not Debian's psql of /usr/bin: that is a Perl script, which takes its time to find this one.
        psql = servers.program("psql", self.server.programs)
        self.client = [psql, "--no-psqlrc", "--quiet", "--host", system["host"], "--port", str(system["port"]),
                       "--username", system["username"], "--dbname", system["database"]]
        self.environment = {**os.environ, "PGPASSWORD": system["password"]}
        self.url = "postgresql://{username}:{password}@{host}:{port}/{database}".format(**system)

    def fill(self, rows):
        self.run("customers.postgresql.sql", rows)

    def run(self, file, rows):
        """Runs a file of this folder, with :rows."""
        subprocess.run([*self.client, "--set", f"rows={rows}", "--set", "ON_ERROR_STOP=1", "--file",
                        os.path.join(HERE, file)], env=self.environment, check=True, stdin=subprocess.DEVNULL)

    def copy(self, query, form=""):
        return [*self.client, "--command", f"copy ({query}) to stdout {form}"]

    def describe(self):
        settings = self.server.sql("select name, current_setting(name) from pg_settings where source = 'command line'"
                                   " and setting !~ '^/' and name not in ('port', 'listen_addresses') order by name")
        version = self.server.sql("show server_version")[0][0]
        return {"version": f"PostgreSQL {version}", "settings": dict(settings)}

    def plan(self):
        """How it reads the table in order."""
        plan = self.server.sql(f"explain (costs off) select * from customers {ORDER}")
        return " / ".join(line.strip() for (line,) in plan)

    @contextlib.contextmanager
    def log_of_statements(self):
        """Sessions that begin inside write their statements into the log; gives what has come since."""
        self.server.sql("alter role sesam set log_statement = 'all'")
        begin = os.path.getsize(self.server.log)

        def since_begin():
            with open(self.server.log, errors="replace") as log:
                log.seek(begin)
                return log.read()
        try:
            yield since_begin
        finally:
            self.server.sql("alter role sesam reset log_statement")


class MariaDB:
    """The same for MariaDB."""

    title = "MariaDB"

    def __init__(self, stack, options=()):
        self.server = stack.enter_context(servers.MariaDB(durable=True, options=[*MARIADB_OPTIONS, *options]))
        system = self.server.system()
        self.client = ["mariadb", "--no-defaults", "--host", system["host"], "--port", str(system["port"]),
                       "--user", system["username"], "--default-character-set=utf8mb4", system["database"]]
        self.environment = {**os.environ, "MYSQL_PWD": system["password"]}

    def fill(self, postgresql):
        columns = ("id, name, email, country, balance, score, active::int, birth, created at time zone 'UTC',"
                   " updated at time zone 'UTC', notes")
        command = postgresql.copy(f"select {columns} from customers order by id")
        with subprocess.Popen(command, env=postgresql.environment, stdout=subprocess.PIPE) as rows:
            self.run("customers.mariadb.sql", stdin=rows.stdout)
        if rows.returncode != 0:
            raise RuntimeError("psql could not hand out the rows")

    def run(self, file, stdin=subprocess.DEVNULL):
        """Runs a file of this folder."""
        subprocess.run([*self.client, "--local-infile=1", "--execute", f"source {os.path.join(HERE, file)}"],
                       env=self.environment, stdin=stdin, stdout=subprocess.DEVNULL, check=True)

    def read(self, query):
        return [*self.client, "--quick", "--batch", "--skip-column-names", "--execute", query]

    def describe(self):
        settings = self.server.sql(
            "select lower(variable_name), global_value from information_schema.system_variables"
            " where global_value_origin = 'COMMAND-LINE' and global_value not like '/%'"
            " and variable_name not in ('PORT', 'BIND_ADDRESS') order by 1")
        return {"version": f"MariaDB {self.server.sql('select version()')[0][0]}", "settings": dict(settings)}

    def plan(self):
        plan = self.server.sql(f"explain select * from customers {ORDER}")[0]
        return " / ".join(str(part) for part in plan if part is not None)
