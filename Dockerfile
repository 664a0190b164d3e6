FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.txt requirements-sbom.txt ./
RUN python -m venv /opt/kvs && \
    /opt/kvs/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements.txt
RUN python -m venv /opt/sbom && \
    /opt/sbom/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-sbom.txt
# What .dockerignore lets through: the packages and their metadata. The tools that install them stay behind.
COPY . .
RUN /opt/kvs/bin/pip install --no-deps --no-build-isolation --no-compile . && /opt/kvs/bin/pip uninstall -y setuptools pip
# Compiled here, since no node can write it down. Not the hundreds of languages that nothing here is printed in.
RUN python -m compileall -q -x /pygments/ /opt/kvs/lib && \
    /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /opt/kvs/sbom.cdx.json /opt/kvs/bin/python

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="kvs" \
      org.opencontainers.image.description="A sharded, replicated key-value store, spoken to with curl" \
      org.opencontainers.image.version="4.0.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
# /data gets its owner before it becomes a volume, or new volumes would belong to root. Its group is root's, as which OpenShift runs
# whatever user it makes up. What installs or builds goes: pip, setuptools and wheel, where Python's image and where Debian has them.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data kvs && \
    install -d -o kvs -g root -m 0770 /data && \
    rm -rf /usr/local/bin/pip* /usr/local/bin/wheel /usr/share/python-wheels /usr/lib/python3*/ensurepip && \
    cd /usr/local/lib/python3.11 && rm -rf ensurepip \
        site-packages/pip* site-packages/setuptools* site-packages/wheel* site-packages/pkg_resources site-packages/*distutils*
COPY --from=build /opt/kvs /opt/kvs
ENV PATH=/opt/kvs/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
# As a number: whoever demands that it is not root cannot look up a name.
USER 10001:10001
VOLUME /data
EXPOSE 13800
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["kvs", "health"]
# Signals that come while Python starts are kept for the node, which lets them in as soon as it can act on them.
CMD ["env", "--block-signal=TERM,INT,HUP", "python", "-m", "node"]
ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION
