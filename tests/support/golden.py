"""Golden files: pairs in plain text. `python -m tests.support.golden` writes the answers anew.

`tests/golden/sql/*.txt` hold queries and the plans they become; `tests/golden/review/*.py` are
scripts, beside the review of each. A change of an answer is a change of what people sign: read
the difference before committing it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mc2.client.plan_words import step_words
from mc2.client.review import review_plan, review_text
from mc2.errors import PlanError
from mc2.formats.manifest import UsagePolicy
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan
from mc2.planner.script import compile_here
from tests.support.catalogs import AT, PACKAGES, catalog, catalog_of, contract, manifests

FOLDER = Path(__file__).resolve().parents[1] / "golden"
SQL = sorted((FOLDER / "sql").glob("*.txt"))
SCRIPTS = sorted((FOLDER / "review").glob("*.py"))
_ANSWER = "\n----\n"
_NEXT = "\n====\n"


@dataclass(frozen=True)
class Pair:
    """A query and the words of its plan, or of its error."""

    query: str
    answer: str


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file."""
    blocks = path.read_text().strip("\n").split(_NEXT)
    return [Pair(*b.partition(_ANSWER)[::2]) for b in blocks]


def plan_of(query: str) -> Plan:
    """The plan that releases the result of one query."""
    script = f'import mc2\njob = mc2.Job("query")\nr = job.sql({query!r})\njob.release("r", r, to="institute")'
    return compile_here(script, name="query.py", catalog=catalog(), packages=PACKAGES)


def answer_to(query: str) -> str:
    """The plan of a query in words, with the columns of its result; or why there is none."""
    script = 'import mc2\njob = mc2.Job("query")\nr = job.sql("""' + query + '""")\n'
    script += 'job.release("r", r, to="institute")'
    try:
        plan = compile_here(script, name="query.py", catalog=catalog(), packages=PACKAGES)
    except PlanError as error:
        # The query starts on line 3 of the script, in column 16.
        line, column = error.line - 2, error.column - (15 if error.line == 3 else 0)
        message = str(error).removeprefix(f"line {error.line}, column {error.column}: ")
        return f"error at line {line}, column {column}: {message}\nhint: {error.hint}"
    lines = [f"{i + 1}. {step_words(plan, i)}" for i in range(len(plan.nodes))]
    schema = plan.nodes[plan.outputs[0].node].schema
    assert schema is not None
    columns = (f"{c.name} {c.type}{'' if c.nullable else ' not null'}" for c in schema.columns)
    return "\n".join([*lines, "-> " + ", ".join(columns)])


def review_of(path: Path) -> str:
    """The review of a script. Its first lines may say `# tier:` and `# policy:`."""
    source = path.read_text()
    rules = contract()
    policies = {}
    for line in source.split("\n"):
        if line.startswith("# tier: "):
            rules = contract(min_tier=line.removeprefix("# tier: "))
        if line.startswith("# policy: "):
            dataset, columns, recipients = line.removeprefix("# policy: ").split("; ")
            policies[dataset] = UsagePolicy(
                columns=None if columns == "all" else tuple(sorted(columns.split(", "))),
                recipients=None if recipients == "all" else tuple(sorted(recipients.split(", "))),
            )
    known = manifests(policies=policies)
    plan = compile_here(source, name=path.name, catalog=catalog_of(rules, known), packages=PACKAGES)
    read = {i.dataset: known[i.dataset] for i in plan.inputs}
    return review_text(review_plan(check_plan(plan), rules, read, at=AT))


def main() -> None:
    """Write all answers anew."""
    for path in SQL:
        pairs = read_pairs(path)
        blocks = (p.query + _ANSWER + answer_to(p.query) for p in pairs)
        path.write_text(_NEXT.join(blocks) + "\n")
    for path in SCRIPTS:
        path.with_suffix(".txt").write_text(review_of(path))
    sys.stdout.write(f"{len(SQL)} files of queries, {len(SCRIPTS)} reviews\n")


if __name__ == "__main__":
    main()
