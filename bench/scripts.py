"""The references of the push side: scripts for psql and mariadb, with the rows of each batch in a file of its own."""

import os
import subprocess

COLUMNS = ("name", "email", "country", "balance", "score", "active", "birth", "created", "updated", "notes")


class Files:
    """The rows of a query of PostgreSQL in files of COPY's text form, so many rows in each."""

    def __init__(self, postgresql, folder, query, rows, batch):
        os.mkdir(folder)
        self.paths = [os.path.join(folder, f"{first:08}") for first in range(1, rows + 1, batch)]
        lines = [f"\\copy ({query} where id between {first} and {min(first + batch - 1, rows)} order by id) to '{path}'"
                 for first, path in zip(range(1, rows + 1, batch), self.paths)]
        subprocess.run([*postgresql.client, "--set", "ON_ERROR_STOP=1", "--file", "-"], env=postgresql.environment,
                       input="\n".join(lines) + "\n", text=True, check=True)

    def script(self, path, first, each):
        """Writes a script: the lines `first` once, and `each` for every file, with FILE for its path."""
        with open(path, "w", encoding="utf-8") as out:
            out.write(first + "\n")
            for file in self.paths:
                out.write(each.replace("FILE", file) + "\n")
        return path


UPSERT = f"""begin;
\\copy incoming from 'FILE'
insert into customers select * from incoming on conflict (id) do update
    set {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)};
commit;"""

UPDATE = f"""begin;
\\copy incoming from 'FILE'
update versioned set {", ".join(f"{name} = incoming.{name}" for name in COLUMNS)}, version = versioned.version + 1
    from incoming where versioned.id = incoming.id and versioned.version = incoming.version;
commit;"""

LOAD = """start transaction;
load data local infile 'FILE' into table incoming character set utf8mb4;
insert into customers select * from incoming;
commit;
truncate table incoming;"""


def incoming(table):
    return f"create temporary table incoming (like {table}) on commit delete rows;"


def psql_upserts(postgresql, files, path):
    """One transaction a file: COPY into a temporary table, and INSERT ... ON CONFLICT from it."""
    return [*postgresql.client, "--set", "ON_ERROR_STOP=1", "--file", files.script(path, incoming("customers"), UPSERT)]


def psql_updates(postgresql, files, path):
    """The same with UPDATE ... FROM the temporary table where the version is the same."""
    return [*postgresql.client, "--set", "ON_ERROR_STOP=1", "--file", files.script(path, incoming("versioned"), UPDATE)]


def mariadb_loads(mariadb, files, path):
    """One transaction a file: LOAD DATA LOCAL into a temporary table without indexes, and INSERT ... SELECT."""
    first = "create temporary table incoming as select * from customers limit 0;"
    return [*mariadb.client, "--local-infile=1", "--execute", f"source {files.script(path, first, LOAD)}"]
