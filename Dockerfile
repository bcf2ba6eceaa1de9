# The service in a container: docs/deployment.md tells how to build and run it.
ARG BASE=python:3.13-slim

FROM ${BASE} AS packages
COPY requirements.txt .
# What serves needs neither pip nor pytest.
RUN grep -v '^pytest' requirements.txt > serving.txt \
    && python3 -m venv /opt/todo \
    && /opt/todo/bin/pip install --no-cache-dir --requirement serving.txt \
    && /opt/todo/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
# The platform's own DATABASE_URL, or APP_DATABASE_URL, takes the place of the one here.
ENV PATH=/opt/todo/bin:$PATH \
    FLASK_APP=todo.py \
    MALLOC_ARENA_MAX=1 \
    PORT=8000 \
    DATABASE_URL=sqlite:////data/todo.db
WORKDIR /srv/todo
COPY --from=packages /opt/todo /opt/todo
COPY todo.py gunicorn.conf.py ./
COPY static static
# Mount a volume here. The line VOLUME would say so too, but platforms as Railway refuse it.
RUN install -d -o 10001 -g 10001 -m 700 /data && chmod -R a+rX .
# A number shows Kubernetes that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python3", "-c", "import os; from http.client import HTTPConnection; c = HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health'); exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "--config", "gunicorn.conf.py", "todo:create_app()"]
