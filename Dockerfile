# One image with the commands web, worker, clock and migrate (deploy/entrypoint). Settings come from the environment.
#   docker build -t frontdesk .
#   docker build -t frontdesk:demo --build-arg REQUIREMENTS=requirements-local.txt .     includes what the sandbox needs

FROM python:3.13-slim AS libraries
ARG REQUIREMENTS=requirements.txt
COPY ${REQUIREMENTS} /tmp/requirements.txt
# Wheels only: nothing is compiled, no compiler is needed, and every file is verified by its hash.
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps --only-binary :all: -r /tmp/requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 FILES_DIR=/data/files SANDBOX_DATA=/data/sandbox.db
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin frontdesk \
 && install -d -o frontdesk -g frontdesk /data /data/files
COPY --from=libraries /venv /venv
WORKDIR /frontdesk
# Owned by root, so that the program cannot change its own files.
COPY . .
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["deploy/entrypoint", "health"]
ENTRYPOINT ["deploy/entrypoint"]
CMD ["web"]
