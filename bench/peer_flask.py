"""The Flask peer: what one writes from Sesam's Python template when a table has to become a source.

A generator over a named (server-side) cursor, one entity at a time, values as Transit. Reads $DATABASE_URL;
gunicorn serves it."""
import json
import os
from datetime import date, datetime, timezone
from decimal import Decimal

import psycopg2
from flask import Flask, Response
from psycopg2.extras import RealDictCursor

app = Flask(__name__)
ROWS_PER_FETCH = 1000


def to_transit(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("~t%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return f"~t{value.isoformat()}"
    if isinstance(value, Decimal):
        return f"~f{value}"
    return value


def to_entity(row):
    entity = {name: to_transit(value) for name, value in row.items() if value is not None}
    entity["_id"] = str(row["id"])
    entity["_updated"] = row["updated"].isoformat()
    return entity


def stream_entities(query):
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection:
        with connection.cursor("entities", cursor_factory=RealDictCursor) as cursor:
            cursor.itersize = ROWS_PER_FETCH
            cursor.execute(query)
            separator = "["
            for row in cursor:
                yield separator + json.dumps(to_entity(row))
                separator = ","
    yield "[]" if separator == "[" else "]"


@app.get("/customers")
def customers():
    entities = stream_entities("select * from customers order by updated, id")
    return Response(entities, mimetype="application/json")
