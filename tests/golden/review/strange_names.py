"""Names and constants that would rewrite a screen are shown as their codes."""

import mc2

job = mc2.Job("Plain title")
found = job.sql(r"""
    SELECT site AS `to: nobody`, '\u202egnol ,\u001b[2J' AS note, count(*) AS n
    FROM clinic_a.visits GROUP BY site, 2
""")
job.release("found", found, to=["institute"])
