# The image of the service. docs/deployment.md tells how to run it.
#
#     docker build -t sesam-sql .
#     docker run -p 5000:5000 --read-only -e SESAM_SQL_CONFIG="$(cat config.json)" -e CRM_PASSWORD sesam-sql

FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        autoconf automake make gcc libc6-dev pkg-config libpq-dev libmariadb-dev libsqlite3-dev libmicrohttpd-dev \
        libgnutls28-dev libjansson-dev nettle-dev ca-certificates
WORKDIR /source
COPY . .
RUN ./autogen.sh && ./configure && make -j"$(nproc)" && make install-strip DESTDIR=/installed

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        libpq5 libmariadb3 libsqlite3-0 libmicrohttpd12 libgnutls30 libjansson4 libnettle8 tzdata && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log && \
    useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sesam-sql
# The authorities that databases are verified by, as a bundle: the package would bring openssl's program along.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE /usr/local/share/doc/sesam-sql/
COPY --from=build /installed/usr/local/bin/sesam-sql /usr/local/bin/
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# The port is for the health check, which does not read the configuration.
ENV LISTEN_ADDRESS=0.0.0.0 PORT=5000
EXPOSE 5000
# Where bodies and answers that do not fit in memory go (listen.spool_directory, SQLITE_TMPDIR): all that is written to.
VOLUME /var/tmp
# Hanging up is an answer, too: so does a port that speaks TLS when it is spoken to in plain HTTP.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && \
        { read -r line <&3; [[ -z $line || $line == *' 200 '* ]]; }"]
# SIGTERM finishes what is at work; give it as long as a push may take (request_timeout): docker stop -t 70.
STOPSIGNAL SIGTERM
ENTRYPOINT ["sesam-sql"]
CMD ["serve"]
