# The gateway in a container: settings in /etc/tierway, what it keeps in /var/lib/tierway.
#
#   docker build -t tierway .
#   docker run -p 8080:8080 -v "$PWD/tierway.yaml:/etc/tierway/tierway.yaml:ro" -v tierway:/var/lib/tierway tierway
#
# With the semantic cache and its embedding model, which torch writes once while the image is built (about 90 MB more):
#
#   docker build --target semantic -t tierway-semantic .

FROM python:3.13-slim AS build
WORKDIR /src
# First the locked packages, each checked by its hash: this layer changes only when the lock does.
COPY requirements.lock constraints.txt ./
RUN pip wheel --no-cache-dir --no-deps --require-hashes -r requirements.lock -c constraints.txt -w /wheels
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
COPY policies ./policies
COPY router ./router
COPY cache ./cache
# Nothing but the folder of checked files is a source here, so the versions are those of the lock, while tests and
# linters, which the project does not require, stay behind.
RUN pip install --no-cache-dir --no-index --find-links /wheels setuptools \
 && pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation -w /dist . \
 && python -m venv --without-pip /opt/tierway \
 && pip --python /opt/tierway/bin/python install --no-cache-dir --no-index --find-links /wheels /dist/*.whl

# The model is written here; nothing of torch gets into the image that serves.
FROM build AS model
RUN pip --python /opt/tierway/bin/python install --no-cache-dir --no-index --find-links /wheels "$(ls /dist/*.whl)[semantic]" \
 && pip install --no-cache-dir --find-links /wheels -c constraints.txt "$(ls /dist/*.whl)[semantic,export]" \
 && XDG_CACHE_HOME=/models python -m cache.embedders.export

FROM python:3.13-slim AS runtime
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/tierway tierway \
 && install -d -o tierway -g tierway -m 0700 /var/lib/tierway \
 && install -d /etc/tierway
COPY --from=build /opt/tierway /opt/tierway
ENV PATH=/opt/tierway/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root. A relative path to the state lands in the working folder.
USER 10001:10001
WORKDIR /var/lib/tierway
VOLUME /var/lib/tierway
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tierway", "serve", "--host", "0.0.0.0", "--config", "/etc/tierway/tierway.yaml"]

FROM runtime AS semantic
COPY --from=model /opt/tierway /opt/tierway
COPY --from=model /models /opt/models
ENV XDG_CACHE_HOME=/opt/models

FROM runtime
