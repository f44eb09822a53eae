"""A loop that writes queries: readers of the review see each result."""

import mc2

job = mc2.Job("Two questions to each clinic")
LEAST = 20
for clinic in ["clinic_a", "clinic_b"]:
    visits = job.table(f"{clinic}.visits")
    job.view(f"visits_of_{clinic}", visits)
    for column in [c for c in visits.column_names if c in ("site", "smoker")]:
        result = job.sql(f"""
            SELECT {column}, count(*) AS n, min(age) AS youngest FROM visits_of_{clinic}
            GROUP BY {column} HAVING count(*) >= {LEAST}
        """)
        job.release(f"{clinic}_by_{column}", result, to=[clinic, "institute"])
