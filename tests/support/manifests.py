"""Kubernetes manifests against the schemas of one version, and the commands in them; as JSON.

build/outside/bin/python -m tests.support.manifests MANIFEST
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

VERSION = "1.37"


def errors(manifest: dict[str, Any]) -> list[str]:
    """What a strict reader of this version refuses."""
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{manifest.get('kind')}: {error}"]
    return []


def main() -> int:
    found = list(yaml.safe_load_all(Path(sys.argv[1]).read_text()))
    inner = [
        yaml.safe_load(text)
        for manifest in found
        if manifest["kind"] == "ConfigMap"
        for text in manifest["data"].values()
    ]
    deployed = next(m for m in found if m["kind"] == "Deployment")
    wrong = copy.deepcopy(deployed)
    wrong["spec"]["template"]["spec"]["containers"][0]["comand"] = ["mc2"]
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    print(
        json.dumps(
            {
                "kinds": sorted(m["kind"] for m in found),
                "pods": len(inner),
                "errors": [e for m in (*found, *inner) for e in errors(m)],
                "can_fail": len(errors(wrong)),
                "command": [*container["command"], *container["args"]],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
