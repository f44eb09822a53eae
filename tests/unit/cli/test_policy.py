"""`mc2 policy`: new sections, all problems with lines, plain words, and what became weaker."""

from __future__ import annotations

import json
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import CommandLine

from mc2.attestation.policy import SECTION_TYPES, AttestationPolicy
from mc2.client.policy_defaults import KINDS, find_kind, proposal, read_section, sample
from mc2.client.policy_diff import Direction, compare, judge_of
from mc2.client.policy_files import read_policy_file, section_problems
from mc2.client.policy_new import toml
from mc2.errors import FormatError, UsageError

SNP, TDX, AZURE, TPM = "amd-sev-snp/v1", "intel-tdx/v1", "azure-tdx-vtpm/v1", "tpm2-quote/v1"
SPACE = "google-confidential-space/v1"
OWN = {
    "measurements": "ab" * 48,
    "mrenclave": "ab" * 32,
    "mrtd": "ab" * 48,
    "rtmr0": "any",
    "rtmr1": "ab" * 48,
    "rtmr2": "ab" * 48,
    "pcr0": "ab" * 48,
    "pcrs.4": "ab" * 32,
    "code": "ab" * 32,
    "image_digests": "ab" * 32,
    "arguments": "any",
    "audiences": "https://example.org",
    "roots": "sha256:" + "ab" * 32,
    "root": "sha256:" + "ab" * 32,
}


@pytest.fixture
def mc2_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def settings(kind: str, within: str = "") -> list[str]:
    """All own values of a kind, as options."""
    begin = KINDS[kind]
    names = [n for own in begin.own for n in OWN if n.partition(".")[0] == own.field]
    found = [part for name in names for part in ("--set", f"{within}{name}={OWN[name]}")]
    return found + (settings(begin.hardware, "hardware.") if begin.hardware else [])


def policy(**sections: dict[str, Any]) -> AttestationPolicy:
    return AttestationPolicy.read(sections)


def write(path: Path, kind: str, section: dict[str, Any], before: str = "") -> Path:
    lines = [before, f'[attestation."{kind}"]', *(f"{n} = {toml(v)}" for n, v in section.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


# --- new


@pytest.mark.parametrize("kind", SECTION_TYPES)
def test_new_is_refused_until_it_is_filled_in(
    mc2_command: CommandLine, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "policy.toml"
    assert mc2_command("policy", "new", "--kind", kind, "--out", file).code == 0
    done = mc2_command("policy", "check", file, "--json")
    assert done.code == 3
    inner = KINDS[kind].hardware
    own = [*KINDS[kind].own, *(KINDS[inner].own if inner else ())]
    problems = done.json["problems"]
    assert {p["text"].split("'")[1] for p in problems} == {f.field for f in own}
    assert all(p["line"] for p in problems)
    # Filling in is taking the comment off.
    file.write_text(file.read_text().replace("# FILL IN: ", ""))
    assert mc2_command("policy", "check", file).code == 0


@pytest.mark.parametrize("kind", SECTION_TYPES)
def test_new_with_own_values_is_in_order(
    mc2_command: CommandLine, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "policy.toml"
    done = mc2_command("policy", "new", "--kind", kind, *settings(kind), "--out", file)
    assert done.code == 0, done.err
    text = file.read_text()
    assert "FILL IN:" not in text
    for default in KINDS[kind].defaults:
        assert f"\n{default.field} = " in text
        assert default.dated in text
    done = mc2_command("policy", "check", file, "--json")
    assert done.code == 0, done.err
    found = read_policy_file(file).policy
    assert done.json["policy"] == found.digest
    explained = mc2_command("policy", "explain", file, "--json").json
    assert explained["weaker_than_proposed"] == {kind: []}
    assert found.sections[kind].describe()[0] in mc2_command("policy", "explain", file).out


def test_new_prints_where_no_file_is_named(mc2_command: CommandLine, tmp_path: Path) -> None:
    done = mc2_command("policy", "new", "--kind", "snp")
    assert f'[attestation."{SNP}"]' in done.out
    (tmp_path / "there.toml").touch()
    done = mc2_command("policy", "new", "--kind", "snp", "--out", tmp_path / "there.toml")
    assert done.code == 2
    assert (tmp_path / "there.toml").read_text() == ""
    assert mc2_command("policy", "new", "--kind", "snp", "--out", tmp_path / "no" / "x").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kind", "sev"),
        ("--kind", ""),
        ("--kind", "azure"),
        ("--kind", "snp", "--set", "measurements"),
        ("--kind", "snp", "--set", "measurements="),
        ("--kind", "snp", "--set", "max_vmpl=3"),
        ("--kind", "snp", "--set", "pcrs.4=" + "ab" * 32),
        ("--kind", "tpm", "--set", "pcrs=" + "ab" * 32),
        ("--kind", "azure-snp", "--set", "hardware=x"),
    ],
)
def test_senseless_wishes_are_refused(mc2_command: CommandLine, arguments: tuple[str, ...]) -> None:
    assert mc2_command("policy", "new", *arguments).code == 2


def test_own_values_of_a_wrong_form_are_refused(mc2_command: CommandLine) -> None:
    done = mc2_command("policy", "new", "--kind", "snp", "--set", "measurements=abcd")
    assert done.code == 3
    assert "48 bytes" in done.err


def test_short_names_of_kinds() -> None:
    words = {"snp": SNP, "tdx": TDX, "sgx": "intel-sgx/v1", "nitro": "aws-nitro/v1", "tpm": TPM,
             "azure-snp": "azure-snp-vtpm/v1", "azure-tdx": AZURE, "google": SPACE,
             "simulated": "mc2-simulated/v1", SNP: SNP}  # fmt: skip
    assert {word: find_kind(word) for word in words} == words
    with pytest.raises(UsageError):
        find_kind("vtpm2")


def test_every_section_type_has_a_beginning() -> None:
    assert KINDS.keys() == SECTION_TYPES.keys()
    for kind in KINDS:
        read_section(kind, sample(kind))


# --- check


def test_every_problem_is_said_with_its_line(mc2_command: CommandLine, tmp_path: Path) -> None:
    section = sample(SNP) | {"measurements": ["AB"], "max_vmpl": 9, "bogus": 1, "waived": ["x"]}
    del section["allow_smt"]
    file = write(
        tmp_path / "p.toml", SNP, section, before='extra = 1\n[attestation."no/v1"]\nx = 1'
    )
    done = mc2_command("policy", "check", file, "--json")
    assert done.code == 3
    lines = file.read_text().splitlines()
    found = {
        (lines[p["line"] - 1].split(" = ")[0].strip(), p["text"]) for p in done.json["problems"]
    }
    assert {name for name, _ in found} == {
        "extra", '[attestation."no/v1"]', f'[attestation."{SNP}"]', "measurements", "max_vmpl",
        "bogus", "waived",
    }  # fmt: skip
    assert f"{file}:1: 'extra'" in done.err
    assert "7 problems" in done.error["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_alone_is_found_wrong(kind: str) -> None:
    good = sample(kind)
    for name in good:
        for wrong in (None, "", {"x": 1}, [1], -1):
            places = [place for place, _ in section_problems(kind, {**good, name: wrong})]
            inner = name == "hardware" and KINDS[kind].hardware
            if places == [] and wrong in ({"x": 1}, "") and name in {"environment", "support"}:
                continue
            assert places, (name, wrong)
            assert all(place[:1] == (name,) for place in places) or inner
        missing = {n: v for n, v in good.items() if n != name}
        assert any(f"'{name}' is missing" in text for _, text in section_problems(kind, missing))


def test_fields_that_depend_on_each_other() -> None:
    section = sample(SNP) | {"product_lines": ["Genoa", "Milan", "Turin"]}
    ((place, text),) = section_problems(SNP, section)
    assert place == ("min_tcb",)
    assert "Milan" in text
    section = sample(TPM) | {"bank": "sha384"}
    ((place, text),) = section_problems(TPM, section)
    assert place == ("pcrs",)
    assert "48 bytes" in text


def test_problems_within_the_hardware_of_azure(mc2_command: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    mc2_command("policy", "new", "--kind", AZURE, *settings(AZURE), "--out", file)
    text = file.read_text().replace("max_collateral_days = 30", "max_collateral_days = 0")
    file.write_text(text)
    (problem,) = mc2_command("policy", "check", file, "--json").json["problems"]
    assert text.splitlines()[problem["line"] - 1] == "max_collateral_days = 0"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        ("x = 1", 0),
        ("[attestation]", 1),
        ("attestation = 1", 1),
        ("a = 1\nb = = 2", 2),
        (f'[attestation]\n"{SNP}" = 1', 2),
        (f'[attestation."{SNP}"]\nmax_vmpl = 1.5', 2),
        ("\xff", 0),
        ("{}", 0),
        ("{", 0),
        ("[1]", 0),
    ],
)
def test_files_that_hold_no_policy(
    mc2_command: CommandLine, tmp_path: Path, text: str, line: int
) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text, encoding="latin-1")
    done = mc2_command("policy", "check", file, "--json")
    assert done.code == 3
    assert done.json["problems"][0]["line"] == line
    with pytest.raises(FormatError):
        read_policy_file(file)
    assert mc2_command("policy", "check", tmp_path / "nowhere").code == 2


def test_json_as_it_stands_in_contracts(mc2_command: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    contract = {"members": [], "min_tier": "hardware-cvm", "attestation": {SNP: sample(SNP)}}
    for value in ({SNP: sample(SNP)}, {"attestation": {SNP: sample(SNP)}}, contract):
        file.write_text(json.dumps(value))
        assert mc2_command("policy", "check", file).code == 0


def test_a_contract_is_read_whole(mc2_command: CommandLine, tmp_path: Path) -> None:
    head = 'api_version = "mc2/contract/v1"\nmin_tier = "hardware-cvm"\nname = "study"'
    file = write(tmp_path / "c.toml", SNP, sample(SNP), before=head)
    done = mc2_command("policy", "check", file, "--json")
    assert done.code == 3
    assert len(done.json["problems"]) == 1
    assert "there is no" in done.json["problems"][0]["text"]
    tier = read_policy_file(file).min_tier
    assert tier is not None
    assert mc2_command("policy", "explain", file, "--json").json["min_tier"] == tier.word


# --- explain and diff


def test_departures_from_the_proposals_are_explained(
    mc2_command: CommandLine, tmp_path: Path
) -> None:
    section = sample(SNP) | {"require_crl": False, "max_vmpl": 1, "min_guest_svn": 2}
    file = write(tmp_path / "p.toml", SNP, section)
    found = mc2_command("policy", "explain", file, "--json").json["weaker_than_proposed"][SNP]
    assert [line.split(":")[0] for line in found] == ["max_vmpl", "require_crl"]
    assert "keep silent" in found[1]
    assert "Weaker than proposed" in mc2_command("policy", "explain", file).out


def all_fields(kind: str) -> set[str]:
    return set(sample(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_meaning_for_comparison(kind: str) -> None:
    names = all_fields(kind)
    assert names
    assert dataclass_fields(SECTION_TYPES[kind])
    for name in names - {"hardware"}:
        judge_of(name)


A, B = "aa" * 48, "bb" * 48
CHANGES = [
    (SNP, "measurements", [A], [A, B], "weaker"),
    (SNP, "measurements", [A, B], [A], "stronger"),
    (SNP, "measurements", [A], [B], "different"),
    (SNP, "host_data", "any", ["aa" * 32], "stronger"),
    (SNP, "host_data", ["aa" * 32], "any", "weaker"),
    (SNP, "min_guest_svn", 2, 1, "weaker"),
    (SNP, "min_guest_svn", 1, 10, "stronger"),
    (SNP, "max_vmpl", 0, 1, "weaker"),
    (SNP, "allow_migration", False, True, "weaker"),
    (SNP, "allow_smt", True, False, "stronger"),
    (SNP, "require_crl", True, False, "weaker"),
    (SNP, "require_alias_check", False, True, "stronger"),
    (SNP, "waived", [], ["milan-vcek-seed"], "weaker"),
    (SNP, "denied_platforms", [], ["chip:" + A], "stronger"),
    (SNP, "denied_keys", ["sha256:" + "aa" * 32], [], "weaker"),
    (TDX, "min_tcb_date", "2024-11-13T00:00:00Z", "2023-11-13T00:00:00Z", "weaker"),
    (TDX, "min_tcb_evaluation_number", 9, 18, "stronger"),
    (TDX, "statuses", ["UpToDate"], ["OutOfDate", "UpToDate"], "weaker"),
    (TDX, "allowed_attributes", ["PKS", "SEPT_VE_DISABLE"], ["SEPT_VE_DISABLE"], "stronger"),
    (AZURE, "waive_sept_ve_disable", False, True, "weaker"),
    (AZURE, "pcrs", {"4": ["aa" * 32]}, {"4": ["aa" * 32], "7": ["aa" * 32]}, "stronger"),
    (TPM, "pcrs", {"4": ["aa" * 32], "7": ["aa" * 32]}, {"4": ["aa" * 32]}, "weaker"),
    (TPM, "pcrs", {"4": ["aa" * 32]}, {"4": ["aa" * 32, "bb" * 32]}, "weaker"),
    (TPM, "pcrs", {"4": ["aa" * 32]}, {"7": ["aa" * 32]}, "different"),
    (TPM, "origins", ["activated"], ["activated", "certified"], "weaker"),
    (TPM, "code", ["aa" * 32], "any", "weaker"),
    (TPM, "code", ["aa" * 32, "bb" * 32], ["aa" * 32], "stronger"),
    (TPM, "resets", {"ek:aa": [1, 1]}, "any", "weaker"),
    (TPM, "resets", {"ek:aa": [1, 1]}, {"ek:aa": [1, 1], "ek:bb": [2, 2]}, "weaker"),
    (TPM, "resets", {"ek:aa": [1, 1]}, {"ek:aa": [2, 2]}, "different"),
    (SPACE, "support", "STABLE", "USABLE", "weaker"),
    (SPACE, "support", "STABLE", "LATEST", "stronger"),
    (SPACE, "arguments", ["--x"], "any", "weaker"),
    (SPACE, "arguments", ["--x"], ["--y"], "different"),
    (SPACE, "environment", "any", {"A": "1"}, "stronger"),
    ("intel-sgx/v1", "isvprodid", 0, 1, "different"),
]


@pytest.mark.parametrize(("kind", "field", "old", "new", "direction"), CHANGES)
def test_directions(kind: str, field: str, old: Any, new: Any, direction: str) -> None:
    base = sample(kind)
    before = policy(**{kind: base | {field: old}})
    after = policy(**{kind: base | {field: new}})
    (change,) = compare(before, after)
    assert (change.field, change.direction.value) == (field, direction)
    assert compare(before, before) == ()
    opposite = {"weaker": "stronger", "stronger": "weaker"}
    (back,) = compare(after, before)
    assert back.direction.value == opposite.get(direction, direction)


def test_firmware_minimums() -> None:
    base = sample(SNP)
    least = base["min_tcb"]
    assert isinstance(least, dict)
    for number, direction in ((22, Direction.WEAKER), (24, Direction.STRONGER)):
        changed = {**least, "Genoa": {**least["Genoa"], "snp": number}}
        (change,) = compare(policy(**{SNP: base}), policy(**{SNP: base | {"min_tcb": changed}}))
        assert change.direction is direction
        assert "Genoa snp" in change.text
    mixed = {**least, "Genoa": {**least["Genoa"], "snp": 22, "ucode": 9}}
    (change,) = compare(policy(**{SNP: base}), policy(**{SNP: base | {"min_tcb": mixed}}))
    assert change.direction is Direction.DIFFERENT


def test_kinds_come_and_go_and_hardware_counts() -> None:
    one, two = policy(**{SNP: sample(SNP)}), policy(**{SNP: sample(SNP), TDX: sample(TDX)})
    assert [c.direction for c in compare(one, two)] == [Direction.WEAKER]
    assert [c.direction for c in compare(two, one)] == [Direction.STRONGER]
    inner = sample(AZURE)["hardware"]
    assert isinstance(inner, dict)
    changed = sample(AZURE) | {"hardware": {**inner, "allow_smt": False}}
    (change,) = compare(policy(**{AZURE: sample(AZURE)}), policy(**{AZURE: changed}))
    assert (change.field, change.direction) == ("hardware.allow_smt", Direction.STRONGER)


def test_diff_on_the_command_line(mc2_command: CommandLine, tmp_path: Path) -> None:
    old = write(tmp_path / "a.toml", SNP, sample(SNP), before='min_tier = "hardware-cvm"')
    weak = sample(SNP) | {"max_vmpl": 1, "allow_smt": False}
    new = write(tmp_path / "b.toml", SNP, weak, before='min_tier = "simulated"')
    done = mc2_command("policy", "diff", old, new)
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["weaker", "weaker", "stronger"]
    found = mc2_command("policy", "diff", old, new, "--json").json
    assert {(c["field"], c["direction"]) for c in found} == {
        ("max_vmpl", "weaker"), ("min_tier", "weaker"), ("allow_smt", "stronger"),
    }  # fmt: skip
    assert mc2_command("policy", "diff", old, old).out == "the same rules\n"


def test_proposals_are_the_defaults_of_the_kind() -> None:
    for kind, begin in KINDS.items():
        found = proposal(kind, {})
        assert all(found[d.field] == d.value for d in begin.defaults)
