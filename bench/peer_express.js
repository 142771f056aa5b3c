// The Express peer: what one writes from Sesam's Node template when a table has to become a source.
// A query stream piped row by row into the response, with respect for back-pressure. Reads $DATABASE_URL and $PORT.
'use strict';
const { once } = require('node:events');
const express = require('express');
const { Pool } = require('pg');
const QueryStream = require('pg-query-stream');

const ROWS_PER_FETCH = 1000;
const pool = new Pool({ connectionString: process.env.DATABASE_URL });
const app = express();

function toEntity(row) {
  const entity = { _id: String(row.id), _updated: row.updated.toISOString() };
  for (const [name, value] of Object.entries(row)) {
    if (value === null) continue;
    entity[name] = value instanceof Date ? `~t${value.toISOString()}` : value;
  }
  return entity;
}

async function sendEntities(query, response) {
  const client = await pool.connect();
  try {
    const rows = client.query(
      new QueryStream(query, [], { batchSize: ROWS_PER_FETCH, highWaterMark: ROWS_PER_FETCH }));
    response.type('json');
    let separator = '[';
    for await (const row of rows) {
      if (!response.write(separator + JSON.stringify(toEntity(row)))) await once(response, 'drain');
      separator = ',';
    }
    response.end(separator === '[' ? '[]' : ']');
  } finally {
    client.release();
  }
}

app.get('/customers', (request, response, next) => {
  sendEntities('select * from customers order by updated, id', response).catch(next);
});

app.listen(Number(process.env.PORT), '127.0.0.1');
