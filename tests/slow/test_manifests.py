"""The Kubernetes manifests of deploy/, which no cluster here has run."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from tests.slow.test_object_store import PYTHON
from tests.spark.conftest import ROOT

from mc2.cli.start import command
from mc2.spark.__main__ import _parser

pytestmark = pytest.mark.slow
MANIFEST = ROOT / "deploy" / "spark" / "kubernetes.yaml"


def test_the_manifests_are_what_kubernetes_reads() -> None:
    assert PYTHON.exists(), "run `make build/outside/.installed`"
    done = subprocess.run(
        [PYTHON, "-m", "tests.support.manifests", MANIFEST],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["errors"] == []
    assert found["can_fail"] == 1
    assert found["pods"] == 1
    assert {"Deployment", "Service", "Role", "PersistentVolumeClaim"} <= set(found["kinds"])
    name, verb, *arguments = found["command"]
    assert (name, verb) == ("mc2", "start")
    with command.make_context(verb, arguments) as context:
        assert context.params["master"].startswith("k8s://https://")
        assert context.params["backend"] == "spark"
        settings = context.params["spark_conf"]
    assert all(re.fullmatch(r"spark\.[A-Za-z.]+=\S+", text) for text in settings)
    asked = [f"--spark-conf={text}" for text in settings]
    folder = ["--folder", "/mnt/mc2/coordinator"]
    assert _parser().parse_args([*folder, *asked]).spark_conf == list(settings)
