# Two images: the edge, and the cache in front of it; compose.yaml runs both.
#
#   docker build -t imgproxy .
#   docker build -t imgproxy-nginx --target nginx .
#   docker run --rm -p 8080:8080 imgproxy serve --host 0.0.0.0 --demo

# -- the cache: nginx.conf as it is in the repository, and the edge by its name in the network --------------

# Debian's nginx, because nginx's own image has no module that purges.
FROM debian:bookworm-slim AS nginx

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libnginx-mod-http-cache-purge nginx \
    && rm -rf /var/lib/apt/lists/* \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log

COPY nginx.conf /etc/nginx/nginx.conf
RUN sed -i 's/server 127.0.0.1:8080;/server imgproxy:8080;/' /etc/nginx/nginx.conf

VOLUME /var/cache/imgproxy
EXPOSE 80
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1/healthz"]
CMD ["nginx", "-g", "daemon off;"]

# -- the edge ----------------------------------------------------------------------------------------------

FROM python:3.12-slim-bookworm AS build

COPY pyproject.toml README.md LICENSE requirements.lock requirements-build.lock /source/
COPY imgproxy /source/imgproxy
COPY docs/errors /source/docs/errors
# Nothing is installed whose hash is not in a lock (`make lock`). Every dependency comes as a wheel but pyvips,
# which is built without a compiler, as we are: by what the second lock names, and pip fetches nothing else.
RUN python -m venv /source/build \
    && /source/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --only-binary :all: -r /source/requirements-build.lock \
    && /source/build/bin/pip wheel --no-cache-dir --disable-pip-version-check --require-hashes \
        --only-binary :all: --no-binary pyvips --no-build-isolation \
        -r /source/requirements.lock -w /source/wheels \
    && /source/build/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-index --no-deps \
        --no-build-isolation /source -w /source/wheels \
    && python -m venv /opt/imgproxy \
    && /opt/imgproxy/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps \
        /source/wheels/*.whl \
    && /opt/imgproxy/bin/pip uninstall --yes --quiet pip

FROM python:3.12-slim-bookworm AS imgproxy

# The workers' system call filter, and something for the text in SVG to be drawn with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends fonts-dejavu-core libseccomp2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/imgproxy imgproxy \
    && install -d -m 0700 -o imgproxy /var/lib/imgproxy/data /var/lib/imgproxy/data/objects

COPY --from=build /opt/imgproxy /opt/imgproxy

# Arenas of malloc are kept per thread and hold what was freed; workers set the same for themselves. Resident
# after 3,000 pictures, glibc 2.36: the server 100 MB without it, 93 with, 99 by jemalloc 5.3; a worker 100, 73
# and 79, and 6 % more CPU by jemalloc. Giving back all from 128 KiB up: 48, for 4 % more CPU; not worth it.
# Where Landlock or seccomp is missing, the start fails and says so; IMGPROXY_SANDBOX=prefer serves without.
ENV PATH=/opt/imgproxy/bin:/usr/local/bin:/usr/bin:/bin \
    MALLOC_ARENA_MAX=2 \
    IMGPROXY_SANDBOX=require

# A number, so that Kubernetes can see that it is not root.
USER 10001
WORKDIR /var/lib/imgproxy
# Objects and results, unless settings put them elsewhere.
VOLUME /var/lib/imgproxy/data
# Metrics are on the loopback of the container, IMGPROXY_ADMIN_PORT; what scrapes them has to be in its network.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["imgproxy"]
CMD ["serve", "--host", "0.0.0.0"]
