"""Those who change the table, each in its own rows, so that everybody knows what a row's next version is."""

import itertools
import os
import random
import time

import pymysql

PADDING = "x" * 200
DELETED = None  # the version of a row that is gone; its key does not come again
HOT_ROWS = 10  # that everybody changes: -1, -2, ...
SHORT, LONG = 0.15, 1.8  # seconds a transaction stays open, most times and sometimes

# The updated column: its type with its default, what an update sets it to (one of several at random), and its unit.
MODES = {
    "time": {
        "postgresql": ("timestamptz not null default now()",
                       ["now()", "now()", "statement_timestamp()", "clock_timestamp()"]),
        "mysql": ("datetime(6) not null default now(6)", ["now(6)"]),
        "sqlite": ("text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
                   ["strftime('%Y-%m-%d %H:%M:%f', 'now')"]),
    },
    "second": {
        "postgresql": ("timestamptz(0) not null default now()", ["now()"]),
        "mysql": ("datetime not null default now()", ["now()"]),
        "sqlite": ("text not null default current_timestamp", ["current_timestamp"]),
    },
    "zoneless": {"postgresql": ("timestamp not null default now()", ["now()", "localtimestamp"])},
    "timestamp": {"mysql": ("timestamp(6) not null default now(6)", ["now(6)"])},
    "epoch": {
        "postgresql": ("bigint not null default floor(extract(epoch from now()) * 1000)",
                       ["floor(extract(epoch from now()) * 1000)"], "ms"),
        "mysql": ("bigint not null default (floor(unix_timestamp(now(6)) * 1000))",
                  ["floor(unix_timestamp(now(6)) * 1000)"], "ms"),
        "sqlite": ("integer not null default (unixepoch())", ["unixepoch()"], "s"),
    },
    # The table has no column that tells of changes, and rows are deleted, too: a log that triggers keep tells.
    "changelog": {"postgresql": ("integer", ["0"]), "mysql": ("integer", ["0"]), "sqlite": ("integer", ["0"])},
    "xid8": {"postgresql": ("xid8 not null default pg_current_xact_id()", ["pg_current_xact_id()"])},
}


class Table:
    """The table, and the statements that change it."""

    def __init__(self, soak):
        self.soak = soak
        self.column, self.times, *unit = MODES[soak.arguments.mode][soak.arguments.database]
        self.logged = soak.arguments.mode == "changelog"
        self.tracking = {"tracking": "changelog"} if self.logged else {
            "updated_column": {"column": "updated", "unit": unit[0]} if unit else "updated"}
        self.numbers = itertools.count(1)

    def make(self, rows):
        database = self.soak.database
        database.sql(f"create table soak (id bigint not null primary key, version bigint not null, "
                     f"padding varchar(250) not null, updated {self.column})")
        database.sql("create index soak_updated on soak (updated, id)")
        done = {-row: 1 for row in range(1, rows + 1)}
        database.sql(f"insert into soak (id, version, padding) values " +
                     ", ".join(f"({row}, {version}, '{PADDING}')" for row, version in done.items()))
        self.soak.note("made", done)

    def change(self, row, version, exists, chance):
        """The statement that brings a row to a version."""
        updated = chance.choice(self.times)
        if exists:
            return f"update soak set version = {version}, updated = {updated} where id = {row}"
        return (f"insert into soak (id, version, padding, updated) "
                f"values ({row}, {version}, '{PADDING}', {updated})")

    def change_hot(self, row, chance):
        """The next version of a row that is everybody's: the table says which, in the order of the locks."""
        return f"update soak set version = version + 1, updated = {chance.choice(self.times)} where id = {row}"

    def slow_insert(self, row, version, chance, function):
        sleep = f"{function}({chance.random() * SHORT * 4:.3f})"
        return (f"insert into soak (id, version, padding, updated) "
                f"select {row}, {version}, '{PADDING}', {chance.choice(self.times)} from (select {sleep}) s")


class Writer:
    """Transactions of all kinds, one after the other. A kind is a method whose name says what it does; it
    returns what it committed."""

    kinds = ("at_once", "late", "late", "late", "late_to_a_hot_row", "rolls_back", "breaks", "savepoints")
    refused = ()  # errors that end a transaction, and change nothing

    def __init__(self, soak, number):
        self.soak, self.number = soak, number
        self.name = f"writer {number}"
        self.random = random.Random(f"{soak.arguments.seed} writer {number}")
        self.mine = {}  # id: version
        self.connection = None

    # -- statements

    def connect(self):
        return self.soak.database.connect()

    def sql(self, statement):
        cursor = self.connection.cursor()
        cursor.execute(statement)
        cursor.close()

    def number_of(self, statement):
        cursor = self.connection.cursor()
        cursor.execute(statement)
        number = cursor.fetchone()[0]
        cursor.close()
        return number

    def some(self, most=4):
        """New versions for a few rows, half of them new rows, and their statements. Most rows are written only
        once: a version that is lost must not be hidden by the next."""
        changes, statements = {}, []
        for _ in range(self.random.randint(1, most)):
            old = [row for row in list(self.mine)[:30] if row not in changes]
            exists = bool(old) and self.random.random() < 0.4
            row = self.random.choice(old) if exists else self.random.randrange(2 ** 40) * 100 + self.number
            if row in changes or (not exists and row in self.mine):
                continue
            if exists and self.soak.table.logged and self.random.random() < 0.5:
                changes[row] = DELETED
                self.soak.doomed.add(row)
                statements.append(f"delete from soak where id = {row}")
                continue
            changes[row] = next(self.soak.table.numbers)
            statements.append(self.soak.table.change(row, changes[row], exists, self.random))
        return changes, statements

    def transaction(self):
        """A name that no other transaction of the server has."""
        return f"soak {os.getpid()} {self.number} {next(self.soak.table.numbers)}"

    def wait(self):
        time.sleep(self.random.random() * (LONG if self.random.random() < 0.1 else SHORT))

    # -- kinds

    def at_once(self):
        changes, statements = self.some(most=1)
        self.sql(statements[0])
        return changes

    def late(self):
        changes, statements = self.some()
        self.sql("begin")
        for statement in statements:
            self.sql(statement)
            if self.random.random() < 0.3:
                self.wait()
        self.wait()
        self.sql("commit")
        return changes

    def rolls_back(self, end=True):
        _, statements = self.some()
        self.sql("begin")
        for statement in statements:
            self.sql(statement)
        self.wait()
        if end:
            self.sql("rollback")
        return {}

    def late_to_a_hot_row(self):
        """The transaction may be older than the one whose version it replaces: the row goes back in time."""
        changes, statements = self.some(most=2)
        row = -self.random.randint(1, HOT_ROWS)
        self.sql("begin")
        for statement in statements:
            self.sql(statement)
        self.wait()
        self.sql(self.soak.table.change_hot(row, self.random))
        version = self.number_of(f"select version from soak where id = {row}")
        self.wait()
        self.sql("commit")
        return {**changes, row: version}

    def breaks(self):
        """The session goes in the midst of a transaction."""
        self.rolls_back(end=False)
        self.connection.close()
        self.connection = self.connect()
        return {}

    def savepoints(self):
        """What comes before and behind stays, what is between goes; the last is in a savepoint that is kept."""
        first, first_statements = self.some()
        _, between = self.some()
        self.sql("begin")
        for statement in first_statements:
            self.sql(statement)
        self.sql("savepoint a")
        # the same row twice would be another version of it: only new ones, so that nothing is locked in between
        for statement in (one for one in between if one.startswith("insert")):
            self.sql(statement)
        self.wait()
        self.sql("rollback to savepoint a")
        self.sql("savepoint b")
        row, version = self.random.randrange(2 ** 40) * 100 + self.number, next(self.soak.table.numbers)
        self.sql(self.soak.table.change(row, version, False, self.random))
        self.sql("release savepoint b")
        self.wait()
        self.sql("commit")
        return {**first, row: version}

    # -- its life

    def one(self):
        kind = self.random.choice(self.kinds)
        try:
            changes = getattr(self, kind)()
        except self.refused as error:
            if not self.is_refusal(error):
                raise
            self.sql("rollback")
            kind, changes = "refused", {}
        for row, version in changes.items():
            if version is DELETED:
                del self.mine[row]
            elif row > 0:
                self.mine[row] = version
        self.soak.note(kind, changes)

    def is_refusal(self, error):
        return False

    def run(self):
        self.connection = self.connect()
        try:
            while not self.soak.stopped.is_set():
                self.one()
                if self.random.random() < 0.3:
                    time.sleep(self.random.random() * SHORT)
        finally:
            self.connection.close()


class PostgreSQLWriter(Writer):
    kinds = (*Writer.kinds, "one_message", "prepares", "prepares", "long_statement")

    def one_message(self):
        """Several transactions in one message: now() of the last is when the message came."""
        first, first_statements = self.some(most=2)
        second, second_statements = self.some(most=2)
        if set(first) & set(second):
            return {}
        nap = f"select pg_sleep({self.random.random() * SHORT:.3f})"
        self.sql("; ".join(["begin", nap, *first_statements, "commit", nap, "begin", nap, *second_statements, nap,
                            "commit"]))
        return {**first, **second}

    def prepares(self):
        changes, statements = self.some()
        name = self.transaction()
        self.sql("begin")
        for statement in statements:
            self.sql(statement)
        self.wait()
        self.sql(f"prepare transaction '{name}'")
        self.wait()
        good = self.random.random() < 0.8
        self.sql(f"{'commit' if good else 'rollback'} prepared '{name}'")
        return changes if good else {}

    def long_statement(self):
        row, version = self.random.randrange(2 ** 40) * 100 + self.number, next(self.soak.table.numbers)
        self.sql(self.soak.table.slow_insert(row, version, self.random, "pg_sleep"))
        return {row: version}


class MariaDBWriter(Writer):
    kinds = (*Writer.kinds, "one_message", "prepares", "prepares_and_leaves", "long_statement")
    refused = pymysql.err.OperationalError

    def is_refusal(self, error):
        return error.args[0] in (1205, 1213)  # lock wait, deadlock

    def connect(self):
        system = self.soak.database.system()
        return pymysql.connect(host=system["host"], port=system["port"], user=system["username"],
                               password=system["password"], database=system["database"], autocommit=True,
                               client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
                               init_command="set time_zone = '+00:00'")

    def one_message(self):
        changes, statements = self.some()
        nap = f"do sleep({self.random.random() * SHORT:.3f})"
        cursor = self.connection.cursor()
        cursor.execute("; ".join(["begin", nap, *statements, nap, "commit"]))
        while cursor.nextset():
            pass
        cursor.close()
        return changes

    def prepared(self):
        changes, statements = self.some()
        name = self.transaction()
        self.sql(f"xa start '{name}'")
        try:
            for statement in statements:
                self.sql(statement)
            self.wait()
        except self.refused:
            self.sql(f"xa end '{name}'")
            self.sql(f"xa rollback '{name}'")
            raise
        self.sql(f"xa end '{name}'")
        self.sql(f"xa prepare '{name}'")
        return changes, name

    def finish(self, changes, name):
        self.wait()
        good = self.random.random() < 0.8
        self.sql(f"xa {'commit' if good else 'rollback'} '{name}'")
        return changes if good else {}

    def prepares(self):
        return self.finish(*self.prepared())

    def prepares_and_leaves(self):
        """The session goes, the transaction stays, and another session ends it."""
        changes, name = self.prepared()
        self.connection.close()
        self.connection = self.connect()
        while True:
            try:
                return self.finish(changes, name)
            except pymysql.err.OperationalError as error:
                if error.args[0] != 1397:  # not yet let go of
                    raise

    def long_statement(self):
        row, version = self.random.randrange(2 ** 40) * 100 + self.number, next(self.soak.table.numbers)
        self.sql(self.soak.table.slow_insert(row, version, self.random, "sleep"))
        return {row: version}


class SQLiteWriter(Writer):
    kinds = ("at_once", "at_once", *Writer.kinds)

    def connect(self):
        connection = super().connect()
        connection.execute("pragma busy_timeout = 60000")
        return connection

    def sql(self, statement):
        super().sql("begin immediate" if statement == "begin" else statement)

    def wait(self):
        """Shorter than elsewhere: all the others wait, too."""
        time.sleep(self.random.random() * (LONG if self.random.random() < 0.02 else SHORT / 8))


class Locker:
    """Makes MariaDB's writers wait for metadata locks, after they have read the clock."""

    name = "locker"

    def __init__(self, soak):
        self.soak = soak

    def run(self):
        chance = random.Random(f"{self.soak.arguments.seed} locker")
        connection = self.soak.database.connect()
        cursor = connection.cursor()
        number = 0
        while not self.soak.stopped.wait(0.5 + chance.random()):
            number += 1
            if chance.random() < 0.5:
                cursor.execute(f"alter table soak comment = '{number}'")
                self.soak.counts["altered"] += 1
            else:
                cursor.execute("lock tables soak write")
                time.sleep(chance.random() * SHORT * 3)
                cursor.execute("unlock tables")
                self.soak.counts["locked"] += 1
        connection.close()


def writers_of(soak):
    kind = {"postgresql": PostgreSQLWriter, "mysql": MariaDBWriter, "sqlite": SQLiteWriter}[soak.arguments.database]
    made = [kind(soak, number) for number in range(soak.arguments.writers)]
    return made + [Locker(soak)] if soak.arguments.database == "mysql" else made
