FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.txt ./
RUN python -m venv /opt/kvs && \
    /opt/kvs/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt
# What .dockerignore lets through: the packages and their metadata. The tools that install them stay behind.
COPY . .
RUN /opt/kvs/bin/pip install --no-deps --no-build-isolation . && /opt/kvs/bin/pip uninstall -y setuptools pip

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="kvs" \
      org.opencontainers.image.description="A sharded, replicated key-value store, spoken to with curl" \
      org.opencontainers.image.version="3.0"
# /data gets its owner before it becomes a volume, or new volumes would belong to root.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data kvs && install -d -o kvs -g kvs -m 0750 /data
COPY --from=build /opt/kvs /opt/kvs
ENV PATH=/opt/kvs/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
# As a number: whoever demands that it is not root cannot look up a name.
USER 10001:10001
VOLUME /data
EXPOSE 13800
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["kvs", "health"]
# Signals that come while Python starts are kept for the node, which lets them in as soon as it can act on them.
CMD ["env", "--block-signal=TERM,INT,HUP", "python", "-m", "node"]
