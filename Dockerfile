# The two images of the project, for any builder (nothing here needs BuildKit):
#   docker build --target operator -t llmops-operator .
#   docker build --target sidecar -t llmops-sidecar .
# Build base: Python 3.11 with venv and a shell. Runtime base: the same Python at the same path; it needs no shell.
ARG BUILD_BASE=python:3.11-slim-bookworm
ARG RUNTIME_BASE=python:3.11-slim-bookworm

# Each dependency stage makes a virtual environment without pip, bytecode included, tests left out. The project is found
# beside it by a .pth file, so that a change of the sources leaves the large layer as it is. The lock file is complete, less
# what pyproject.toml leaves out on purpose: nothing beside it is looked for.
FROM ${BUILD_BASE} AS pip
RUN python3 -m venv /opt/pip

FROM pip AS operator-dependencies
COPY requirements/operator.txt /tmp/requirements.txt
RUN python3 -m venv --without-pip /opt/llmops \
 && /opt/pip/bin/pip --python /opt/llmops/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
    --require-hashes --requirement /tmp/requirements.txt \
 && echo /opt/llmops/app > "$(/opt/llmops/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/llmops.pth" \
 && find /opt/llmops/lib \( -type d -name tests -o -name '*.pyx' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) \
    -prune -exec rm -rf {} + \
 && /opt/llmops/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/llmops/lib

FROM pip AS sidecar-dependencies
COPY requirements/sidecar.txt /tmp/requirements.txt
RUN python3 -m venv --without-pip /opt/llmops \
 && /opt/pip/bin/pip --python /opt/llmops/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
    --require-hashes --requirement /tmp/requirements.txt \
 && echo /opt/llmops/app > "$(/opt/llmops/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/llmops.pth" \
 && find /opt/llmops/lib \( -type d -name tests -o -name '*.pyx' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) \
    -prune -exec rm -rf {} + \
 && /opt/llmops/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/llmops/lib

FROM ${BUILD_BASE} AS operator-source
COPY operator/llmops_operator /opt/llmops/app/llmops_operator
COPY sidecars/llmops_sidecars /opt/llmops/app/llmops_sidecars
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/llmops/app

FROM ${BUILD_BASE} AS sidecar-source
COPY sidecars/llmops_sidecars /opt/llmops/app/llmops_sidecars
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/llmops/app

FROM ${RUNTIME_BASE} AS operator
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=operator-dependencies /opt/llmops /opt/llmops
COPY --from=operator-source /opt/llmops/app /opt/llmops/app
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["/opt/llmops/bin/python", "-m", "llmops_operator"]

FROM ${RUNTIME_BASE} AS sidecar
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=sidecar-dependencies /opt/llmops /opt/llmops
COPY --from=sidecar-source /opt/llmops/app /opt/llmops/app
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["/opt/llmops/bin/python", "-m", "llmops_sidecars"]
