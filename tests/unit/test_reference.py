"""Reference pages say what the code says."""

import re
from pathlib import Path

from mc2.errors import error_types

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_error_code_is_documented_with_its_exit_code():
    rows = re.findall(
        r"^\| (\d+) \| ([^|]*) \|", (DOCS / "reference/exit-codes.md").read_text(), re.MULTILINE
    )
    documented = {
        code: int(exit_code) for exit_code, codes in rows for code in re.findall(r"`(\w+)`", codes)
    }
    assert documented == {code: kind.exit_code for code, kind in error_types().items()}


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        broken += [
            f"{page.relative_to(DOCS.parent)}: {target}"
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
            if "://" not in target and not (page.parent / target).exists()
        ]
    assert not broken


def sections(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings, and those that it sets itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", shown).strip().replace(" ", "-"))
    return found


def test_links_to_sections_lead_to_one():
    broken = []
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target, section in re.findall(r"\]\(([^):#]*)#([^)]+)\)", page.read_text()):
            other = page.parent / target if target else page
            if other.suffix == ".md" and section not in sections(other):
                broken.append(f"{page.relative_to(DOCS.parent)}: {target}#{section}")
    assert not broken


def test_paths_that_the_threat_model_names_exist():
    roots = (DOCS.parent / "src" / "mc2", DOCS.parent)
    text = (DOCS / "threat-model.md").read_text()
    named = set(re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?|confine\.py)`", text))
    missing = [n for n in named if not any((root / n).exists() for root in roots)]
    assert named
    assert not missing
