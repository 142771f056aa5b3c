"""What is pushed over HTTP: bodies that lie ready in a file, and a client that costs next to nothing."""

import os
import re
import socket
import subprocess

import polls

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CLOSE = re.compile(rb"(?im)^connection: *close")
ANSWER_SECONDS = 600


class Bodies:
    """A file of bodies, one a line. `rows` entities in all."""

    def __init__(self, path, rows):
        self.path = path
        self.rows = rows
        self.pieces = []  # (offset, size)
        with open(path, "rb") as lines:
            offset = 0
            for line in lines:
                self.pieces.append((offset, len(line) - 1))
                offset += len(line)

    @property
    def size(self):
        return sum(size for _, size in self.pieces)


def make_bodies(postgresql, path, view, rows, batch):
    """The entities of a view as arrays of so many, made by PostgreSQL itself."""
    query = (f"select '[' || string_agg(entity, ',' order by id) || ']' from {view} where id <= {rows}"
             f" group by (id - 1) / {batch} order by (id - 1) / {batch}")
    with open(path, "wb") as out:
        subprocess.run([*postgresql.client, "--tuples-only", "--no-align", "--set", "FETCH_COUNT=1",
                        "--command", query], env=postgresql.environment, stdin=subprocess.DEVNULL, stdout=out,
                       check=True)
    bodies = Bodies(path, rows)
    if len(bodies.pieces) != -(-rows // batch):
        raise RuntimeError(f"{len(bodies.pieces)} bodies of {view}, where {rows} rows in {batch} were wanted")
    return bodies


def join_bodies(bodies, path, size, count):
    """So many bodies, each as long as goes into `size` bytes, of other entities each. Returns them with `rows` set
    to what is in them."""
    entities = 0
    with open(bodies.path, "rb") as source, open(path, "wb") as out:
        pieces = iter(bodies.pieces)
        for _ in range(count):
            arrays = []
            length = 1
            for offset, piece in pieces:
                if length + piece - 1 > size:
                    break
                source.seek(offset)
                arrays.append(source.read(piece)[1:-1])
                length += piece - 1
            else:
                raise RuntimeError(f"too few entities for {count} bodies of {size} bytes")
            out.write(b"[" + b",".join(arrays) + b"]\n")
            entities += sum(each.count(b'{"_id":') for each in arrays)
    return Bodies(path, entities)


class Client(polls.KeepAlive):
    """Posts bodies on one connection. The kernel sends them out of the file, so that hardly any of the machine's
    time is ours."""

    def __init__(self, port, bodies):
        self.port = port
        self.file = open(bodies.path, "rb")
        self._connect()

    def post(self, path, piece):
        """The answer's body. Anything but 200 is an error."""
        offset, size = piece
        head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {size}\r\n\r\n")
        if self.socket is None:
            self._connect()
        self.socket.sendall(head.encode(), socket.MSG_MORE)
        self._send(offset, size)
        answer = self.receive()
        status = STATUS.match(answer)
        if not status or status[1] != b"200":
            raise RuntimeError(f"{path}: unexpected answer {answer[:1000]!r}")
        if CLOSE.search(polls.head_of(answer)):
            self._disconnect()
        return polls.body_of(answer)

    def close(self):
        self._disconnect()
        self.file.close()

    def _connect(self):
        super().__init__(self.port)
        self.socket.settimeout(None)  # sendfile would have to ask before each piece
        seconds = ANSWER_SECONDS.to_bytes(8, "little") + bytes(8)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)

    def _disconnect(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _send(self, offset, size):
        end = offset + size
        while offset < end:
            offset += os.sendfile(self.socket.fileno(), self.file.fileno(), offset, end - offset)
