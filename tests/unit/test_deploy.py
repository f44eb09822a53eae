"""The recipes under deploy/: what can be checked without the machines that they are for."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.pe_images import DEPLOY, deploy_script

from mc2.cli.main import COMMANDS
from mc2.enclave import known_packages, measured_code
from mc2.enclave.__main__ import _parser

REPOSITORY = DEPLOY.parent
RECIPES = ("uki", "container", "gramine", "cvm", "nitro", "spark")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_says_whether_it_was_run(recipe: str) -> None:
    text = (DEPLOY / recipe / "README.md").read_text()
    assert re.search(r"^\*\*Run: (yes|no)\.\*\*", text, re.MULTILINE)
    table = (DEPLOY / "README.md").read_text()
    said = re.search(rf"^\| \[{recipe}\]\(.*\| (yes|no)[:|; ]", table, re.MULTILINE)
    assert said is not None
    assert f"**Run: {said[1]}.**" in text


@pytest.mark.parametrize("readme", sorted(DEPLOY.rglob("README.md")), ids=lambda p: p.parent.name)
def test_links_and_commands_of_the_recipes(readme: Path) -> None:
    text = readme.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (readme.parent / link).exists(), link
    for name, options in re.findall(
        r"(?<![\w/:])mc2 ([a-z]+)\b([^\n|`]*)", "\n".join(blocks(text))
    ):
        assert name in COMMANDS, name
        shown = help_of(name, options)
        for option in re.findall(r"--[a-z][a-z-]+", options):
            assert option in shown, f"mc2 {name} {option}"


def blocks(text: str) -> list[str]:
    found = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [re.sub(r"\\\n\s*", " ", block) for block in found]


def help_of(name: str, options: str) -> str:
    from importlib import import_module

    import click

    command = import_module(f"mc2.cli.{name}").command
    if isinstance(command, click.Group):
        command = command.commands[shlex.split(options, comments=True)[0]]
    return " ".join(o for parameter in command.params for o in (*parameter.opts, "--help"))


# --- the container


def test_the_containerfile_copies_what_is_there_and_starts_what_exists() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (REPOSITORY / source).exists(), source
    command = json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])  # type: ignore[index]  # it is there
    for option in (word for word in command if word.startswith("--")):
        assert option in help_of(command[0], "")
    assert "USER mc2" in text
    assert "--require-hashes" in text


# --- Gramine


def test_the_manifest_is_toml_and_the_enclave_is_no_debug_enclave() -> None:
    raw = (DEPLOY / "gramine" / "worker.manifest.template").read_text()
    known = {"prefix", "python", "stdlib", "arch_libdir", "gramine.libos", "gramine.runtimedir()"}
    assert set(re.findall(r"\{\{ (.*?) \}\}", raw)) == known
    manifest = tomllib.loads(re.sub(r"\{\{ (.*?) \}\}", r"X/\1", raw))
    sgx = manifest["sgx"]
    assert sgx["debug"] is False
    assert sgx["remote_attestation"] == "dcap"
    assert "allowed_files" not in sgx  # what MRENCLAVE does not cover
    assert "insecure__use_host_env" not in manifest["loader"]
    module = manifest["loader"]["argv"].index("mc2.enclave")
    asked = _parser().parse_args(manifest["loader"]["argv"][module + 1 :])
    assert (asked.tee, asked.unsafe_unconfined) == ("sgx", True)
    mounted = {mount.get("uri") for mount in manifest["fs"]["mounts"]}
    trusted = {uri.rstrip("/") for uri in sgx["trusted_files"]}
    assert {uri for uri in mounted if uri} <= trusted


# --- the bootable image


def test_the_image_has_the_packages_that_an_enclave_imports() -> None:
    tree = deploy_script("tree")
    names = {name.removesuffix("-cpu") for name in tree.DISTRIBUTIONS}
    assert names == set(known_packages.KNOWN_PACKAGES) - {"mc2"}


def test_the_guest_starts_the_worker_as_it_must_be_measured() -> None:
    source = ast.parse((DEPLOY / "uki" / "init.py").read_text())
    values = {
        node.targets[0].id: node.value
        for node in source.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(values["ISOLATED"]) == measured_code.ISOLATED


def test_the_guests_first_program_needs_the_standard_library_only() -> None:
    source = ast.parse((DEPLOY / "uki" / "init.py").read_text())
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
        for node in ast.walk(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names


def test_the_workers_options_are_those_of_the_worker() -> None:
    source = ast.parse((DEPLOY / "uki" / "build.py").read_text())
    (words,) = (
        node.value
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WORKER"
    )
    asked = _parser().parse_args([*ast.literal_eval(words), "--listen", "tcp:0.0.0.0:5000"])
    assert asked.tee == "tpm"


def test_an_archive_does_not_depend_on_times_or_on_the_order_of_files(tmp_path: Path) -> None:
    import os

    found = []
    for number, names in enumerate((("a", "b", "c"), ("c", "b", "a"))):
        tree = tmp_path / str(number)
        (tree / "d").mkdir(parents=True)
        for name in names:
            (tree / "d" / name).write_text(name)
            os.utime(tree / "d" / name, (number, number))
        (tree / "run").write_text("#!")
        (tree / "run").chmod(0o750 if number else 0o711)
        (tree / "link").symlink_to("/d/a")
        found.append(deploy_script("cpio").write_cpio(tree))
    assert found[0] == found[1]
    listed = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.stdin.buffer.read().count(b'070701'))"],
        input=found[0], capture_output=True, check=True,
    )  # fmt: skip
    assert int(listed.stdout) == 7  # d, three files, run, link, the trailer


def test_a_stub_without_room_for_another_section_is_refused() -> None:
    from tests.support.pe_images import pe_image

    pe = deploy_script("pe")
    full = pe_image(*((f".s{n}", b"x") for n in range(10)))
    with pytest.raises(pe.PeError, match="room"):
        pe.add_sections(full, [(f".t{n}", b"x") for n in range(20)])
    with pytest.raises(pe.PeError, match="not a PE"):
        pe.add_sections(b"ELF" + bytes(200), [])
    with pytest.raises(pe.PeError, match="unsigned"):
        pe.add_sections(pe_image((".text", b"x"), signature=b"s" * 8), [])
