"""The tables that are pushed to: emptied or filled before a run, compared after it."""


class Target:
    """A table in PostgreSQL, beside the views of what it can hold (push.postgresql.sql)."""

    def __init__(self, postgresql, table):
        self.sql = postgresql.server.sql
        self.table = table
        self.held = None  # the view it holds, as fill left it
        self.sums = {}  # of views

    def empty(self):
        self.held = None
        self.sql(f"truncate {self.table}")
        self.sql("checkpoint")

    def fill(self, view):
        """As after a load long ago: nothing is left to do for the server that would fall into the times."""
        if self.held != view:
            self.sql(f"truncate {self.table}")
            self.sql(f"insert into {self.table} select * from {view} order by id")
            self.sql(f"vacuum (freeze, analyze) {self.table}")
        self.held = view
        self.sql("checkpoint")

    def check(self, view, who):
        if view not in self.sums:
            self.sums[view] = self._sum(view)
        if self._sum(self.table) != self.sums[view]:
            raise RuntimeError(f"{who}: table {self.table} does not hold the rows of {view}")
        if self.held != view:
            self.held = None

    def count(self):
        return self.sql(f"select count(*) from {self.table}")[0][0]

    def log_position(self):
        """Bytes of write-ahead log since the server was made."""
        return int(self.sql("select pg_current_wal_insert_lsn() - '0/0'")[0][0])

    def _sum(self, relation):
        return self.sql(f"select count(*), sum(hashtextextended(t::text, 0)::numeric) from {relation} t")[0]


class MariaDBTarget:
    """The table `customers` in MariaDB. The only view of it is `wanted`, where the rows are."""

    def __init__(self, mariadb, rows):
        self.sql = mariadb.server.sql
        self.limit = f"where id <= {rows}"
        self.sum = None

    def empty(self):
        self.sql("truncate table customers")

    def check(self, view, who):
        self.sum = self.sum or self._sum(f"{view} {self.limit}")
        if self._sum("customers") != self.sum:
            raise RuntimeError(f"{who}: table customers does not hold the rows of {view}")

    def log_position(self):
        return 0

    def _sum(self, relation):
        names = ("id", "name", "email", "country", "balance", "score", "active", "birth", "created", "updated", "notes")
        row = "concat_ws('|', " + ", ".join(f"ifnull({name}, '-')" for name in names) + ")"
        return self.sql(f"select count(*), sum(conv(left(md5({row}), 12), 16, 10)) from {relation}")[0]


class Stage:
    """What a table holds before a run, and must hold after it: views, or None when it is empty."""

    def __init__(self, target, before, after):
        self.target = target
        self.before = before
        self.after = after

    def prepare(self):
        if self.before is None:
            self.target.empty()
        else:
            self.target.fill(self.before)

    def check(self, who):
        self.target.check(self.after, who)
