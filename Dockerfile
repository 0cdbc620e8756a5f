# One image for every service, with a command each: they share nearly all of their code and packages (one image to scan,
# pull and roll back, and releases of services that talk to each other never mix), and the command says which one runs.
FROM python:3.13-slim AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Versions and hashes come from the lock; wheels only, so that nothing is built by a build system that it does not name.
COPY requirements/runtime.txt ./
RUN python -m venv --without-pip /opt/securitybot && \
    python -m pip --python /opt/securitybot/bin/python install \
        --no-compile --require-hashes --only-binary :all: -r runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY common common
COPY services services
COPY migrations migrations
RUN python -m pip --python /opt/securitybot/bin/python install --no-compile --no-deps --no-build-isolation . && \
    python -m pip --python /opt/securitybot/bin/python uninstall --yes setuptools wheel
# What only debuggers, the packages' own tests and the colours of source code (rich's pygments) need are 25 MB.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils && \
    find /opt/securitybot/lib -name '*.so' -exec strip --strip-unneeded {} + && \
    find /opt/securitybot/lib -type d \( -name tests -o -name testing -o -name 'pygments*' \) -prune -exec rm -rf {} +

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --home-dir /app --no-create-home securitybot && \
    install -d -o 10000 -g 10000 -m 0755 /secrets
COPY --from=build /opt/securitybot /opt/securitybot
# The file system is read-only at run time: what our modules load is compiled now, and nothing else, which saves 20 MB.
RUN export PATH=/opt/securitybot/bin:$PATH SECURITYBOT_DATABASE_URL=sqlite:////tmp/compile.db && \
    python -c "import pkgutil, common, services, urllib.request; [__import__(module.name) for package in \
        (common, services) for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.')]" && \
    securitybot migrate && securitybot alerts list && rm /tmp/compile.db*
COPY config /app/config
WORKDIR /app
# Fewer malloc arenas: a service has up to 30 threads, most of them waiting.
ENV PATH=/opt/securitybot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 \
    SECURITYBOT_HTTP_HOST=0.0.0.0 SECURITYBOT_HTTP_PORT=8080
USER 10001:10001
EXPOSE 8080
# A service told to stop finishes its batch and is gone within 10 s (common/service.py); give it 15.
STOPSIGNAL SIGTERM
# Can it work? `curl :8080/readyz` says why not. -I and -S: four times as quick as a Python with all its packages.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["securitybot"]
CMD ["run", "all"]
