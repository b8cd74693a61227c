"""Worker: the RQ process that runs background jobs; start as many as you need. The jobs are rows in the database."""

from __future__ import annotations

from typing import Any

from flask import Flask
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from app import create_app
from app.kernel import db, jobs


class JobWorker(Worker):  # type: ignore[misc]  # RQ publishes no types
    """A worker whose forked child opens a database connection of its own."""

    def main_work_horse(self, *args: Any, **kwargs: Any) -> None:
        db.engine().dispose(close=False)
        super().main_work_horse(*args, **kwargs)


def main(app: Flask | None = None) -> None:
    app = app or create_app()
    connection = Redis.from_url(app.extensions["settings"].redis_url)
    with app.app_context():
        # One queue, no scheduler, short intervals: a killed job is found again within a minute, by its lease.
        queue = Queue(jobs.QUEUE, connection=connection, serializer=JSONSerializer)
        worker = JobWorker(
            [queue],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=30,
            maintenance_interval=30,
            job_monitoring_interval=10,
        )
        jobs.wake_workers()
        worker.work(with_scheduler=False, logging_level="WARNING")


if __name__ == "__main__":
    main()
