"""Jobs whose blocks, or results, stand in a bucket of a real S3 server on this machine, as JSON.

build/outside/bin/python -m tests.support.object_store MASTER FOLDER jobs|results

The jobs run on Spark; for results the workers of one process are enough.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from mc2.client.results import OpenedTable
from mc2.errors import DatasetError
from tests.support.spark_driver import Driver
from tests.support.spark_jobs import MARKER
from tests.support.world import world

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


def results(folder: Path, client: Any) -> dict[str, Any]:
    """A party fetches results past the coordinator: as they are, altered, and gone."""
    with world(folder, results=f"s3://{BUCKET}") as made:
        made.agree()
        made.bring()
        job_id = made.job()
        held = objects(client)

        def fetch(storage: str) -> list[Any]:
            try:
                found = made.cy.results(job_id, storage=storage)["visits"]
            except DatasetError as error:
                return [error.code]
            assert isinstance(found, OpenedTable)
            return found.table.to_pylist()

        places = ("", f"s3://{BUCKET}")
        whole = [fetch(place) for place in places]
        for key, raw in held.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=raw[:-1])
        short = [fetch(place)[0] for place in places]
        for key in held:
            client.delete_object(Bucket=BUCKET, Key=key)
        gone = [fetch(place)[0] for place in places]
        here = {name.removeprefix("sha256:") for name in made.store.blobs.walk()}
    names = {key.rpartition("/")[2] for key in held}
    return {
        "held": len(held),
        "in_folder": len(names & here),
        "same": whole[0] == whole[1] and len(whole[0]) > 1,
        "short": short,
        "gone": gone,
    }


def run_jobs(master: str, folder: Path, client: Any) -> dict[str, Any]:
    """What happens to blocks."""
    client.put_object(Bucket=BUCKET, Key="blocks/attempt-of-a-driver-that-died/x", Body=b"old")
    driver = Driver(master, folder, {}, storage=PLACE)
    try:
        with driver.backend:  # removes what an earlier driver left
            left_over = sorted(objects(client))
            return {**jobs(driver, client), "left_over": left_over}
    finally:
        driver.stop()


def main() -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    master, folder, what = sys.argv[1:]
    server = serve()
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    try:
        if what == "results":
            found = results(Path(folder), client)
        else:
            found = run_jobs(master, Path(folder), client)
    finally:
        server.stop()
    print("\n" + json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
