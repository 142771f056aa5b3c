"""The Flask peer: what one writes from Sesam's Python template when a table has to become a sink.

The whole body by request.get_json, Transit values one by one in Python, psycopg2's execute_values with ON CONFLICT,
one commit a request. Reads $DATABASE_URL; gunicorn serves it."""
import os
from base64 import b64decode

import psycopg2
from flask import Flask, jsonify, request
from psycopg2.extras import execute_values

app = Flask(__name__)
connection = psycopg2.connect(os.environ["DATABASE_URL"])
ROWS_PER_STATEMENT = 1000
COLUMNS = ("id", "name", "email", "country", "balance", "score", "active", "birth", "created", "updated", "notes")
UPSERT = (f"insert into customers ({', '.join(COLUMNS)}) values %s on conflict (id) do update set "
          + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:]))


def from_transit(value):
    """Bytes as such; of datetimes, decimals and the like the text, which PostgreSQL reads faster than Python would."""
    if not isinstance(value, str) or not value.startswith("~"):
        return value
    tag, text = value[1:2], value[2:]
    if tag == "b":
        return b64decode(text)
    return text if tag in "tfur" else value[1:]


def to_row(entity):
    return tuple(from_transit(entity.get(name)) for name in COLUMNS)


@app.post("/customers")
def customers():
    rows = [to_row(entity) for entity in request.get_json()]
    with connection, connection.cursor() as cursor:
        execute_values(cursor, UPSERT, rows, page_size=ROWS_PER_STATEMENT)
    return jsonify({"written": len(rows)})
