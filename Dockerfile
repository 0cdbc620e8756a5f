# One image for every service: they share nearly all of their code, and `command` says which one runs.
FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/runtime.txt ./
RUN python -m venv /opt/securitybot && \
    /opt/securitybot/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY common common
COPY services services
COPY migrations migrations
RUN /opt/securitybot/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /app securitybot
COPY --from=build /opt/securitybot /opt/securitybot
COPY config /app/config
WORKDIR /app
# Fewer malloc arenas: a service has up to 30 threads, most of them waiting.
ENV PATH=/opt/securitybot/bin:$PATH PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 SECURITYBOT_HTTP_HOST=0.0.0.0
USER securitybot
STOPSIGNAL SIGTERM
ENTRYPOINT ["securitybot"]
CMD ["run", "all"]
