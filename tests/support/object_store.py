"""Jobs on Spark whose blocks stand in a bucket of a real S3 server on this machine, as JSON.

build/outside/bin/python -m tests.support.object_store MASTER FOLDER jobs
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from tests.support.spark_driver import Driver
from tests.support.spark_jobs import MARKER

BUCKET = "sealed"
PLACE = f"s3://{BUCKET}/blocks"


def serve() -> ThreadedMotoServer:
    """A server on loopback; this process and all that it starts find it by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return server


def objects(client: Any) -> dict[str, bytes]:
    """All that the bucket holds."""
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {o["Key"]: client.get_object(Bucket=BUCKET, Key=o["Key"])["Body"].read() for o in found}


def jobs(driver: Driver, client: Any) -> dict[str, Any]:
    """A job that is looked at, and one in which the bucket loses all blocks of the first tasks."""
    held: dict[str, bytes] = {}
    lost: list[str] = []

    class Watched:
        """Sees the bucket before each task, and may remove objects."""

        def __init__(self, honest: Any, inputs: set[str], *, lose: bool) -> None:
            self.honest, self.inputs, self.lose = honest, inputs, lose

        def __getattr__(self, name: str) -> Any:
            return getattr(self.honest, name)

        def assign(self, *arguments: Any) -> None:
            found = objects(client)
            held.update(found)
            blocks = [k for k in found if k.rpartition("/")[2] not in self.inputs]
            if self.lose and blocks and not lost:
                lost.extend(blocks)
                for key in blocks:
                    client.delete_object(Bucket=BUCKET, Key=key)
            self.honest.assign(*arguments)

    first = driver.job(wrap=lambda tasks, inputs: Watched(tasks, inputs, lose=False))
    second = driver.job(wrap=lambda tasks, inputs: Watched(tasks, inputs, lose=True))
    marks = [MARKER.encode(), *(bytes.fromhex(k) for k in first["keys"])]
    return {
        "first": first,
        "second": second,
        "held": len(held),
        "folders": sorted({key.split("/")[1].split("-")[0] for key in held}),
        "plain": sum(any(m in raw for m in marks) for raw in held.values()),
        "lost": len(lost),
        "left": sorted(objects(client)),
    }


def main() -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    master, folder, _ = sys.argv[1:]
    server = serve()
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="blocks/attempt-of-a-driver-that-died/x", Body=b"old")
    driver = Driver(master, Path(folder), {}, storage=PLACE)
    try:
        with driver.backend:  # removes what an earlier driver left
            left_over = sorted(objects(client))
            found = jobs(driver, client)
    finally:
        driver.stop()
        server.stop()
    print("\n" + json.dumps({**found, "left_over": left_over}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
