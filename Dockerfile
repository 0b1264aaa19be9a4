# One image a kind of process; which one, RUNTIME says:
#
#   bot      listener and responder: Bluesky and X besides Mastodon, no ONNX Runtime
#   cpu      worker, and the operator's commands
#   gpu      worker on an NVIDIA card: CUDA and cuDNN come with onnxruntime-gpu's wheels, so that the host needs
#            NVIDIA's driver and container toolkit, and this image no CUDA of its own
#   sandbox  the embedded network, to try a bot without an account anywhere
#
#   docker build --build-arg RUNTIME=bot --tag deepselfie:bot .
#
# BuildKit is not needed.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# 1. What deepselfie depends on. Nothing here depends on its code, so a change of that installs nothing anew.
FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml constraints.txt ./
COPY deploy/requirements.py deploy/
ARG RUNTIME=cpu
# The builder's own pip fills the environment, which therefore holds none. Python compiles what it installs: with
# a read-only root it could not keep that later, and each start would take a second or two longer.
RUN python -m venv --without-pip /opt/deepselfie \
 && python deploy/requirements.py "${RUNTIME}" > requirements.txt \
 && python -m pip --python /opt/deepselfie/bin/python install --requirement requirements.txt --constraint constraints.txt

# 2. deepselfie's code, as pip lays it out: the same for every kind of image.
FROM ${PYTHON_IMAGE} AS code
# For whoever clears up behind builds: `docker image prune --filter label=deepselfie.stage=code`.
LABEL deepselfie.stage=code
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt ./
# What builds it; and an environment in the place of the real one, whose Python its command will name.
RUN python -m pip install --constraint constraints.txt setuptools \
 && python -m venv --without-pip /opt/deepselfie
COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && python -m pip --python /opt/deepselfie/bin/python install --no-deps --no-index --prefix /code wheels/*.whl

# 3. Both, and nothing that only builds.
FROM ${PYTHON_IMAGE}
# A number, because a host that shares files with a container has only that in common with it. It is the owner
# of /sandbox, and so of the volume that is mounted there.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin deepselfie \
 && install --directory --owner 10001 --group 10001 /sandbox
ARG RUNTIME=cpu
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="deepselfie" \
      org.opencontainers.image.description="A bot that looks at the photo you mention it with and replies with a score (${RUNTIME})" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
# Nothing is written: the root may be read-only, with /tmp in memory.
ENV PATH=/opt/deepselfie/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    METRICS_PORT=9100 METRICS_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
EXPOSE 9100
# Does its main loop turn? That it can do its work is another question: `deepselfie probe --ready`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["deepselfie", "probe"]
ENTRYPOINT ["deepselfie"]
CMD ["--help"]
# What changes comes last, the rarest first.
COPY --from=dependencies /opt/deepselfie /opt/deepselfie
COPY --from=code /code /opt/deepselfie
ARG REVISION=unknown
LABEL org.opencontainers.image.revision="${REVISION}"
