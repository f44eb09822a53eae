"""Ten copies of a table make every group look ten times as large. No review may fall for it."""

import mc2

job = mc2.Job("Honest at first sight")
copies = " UNION ALL ".join(["SELECT patient, glucose FROM clinic_a.visits"] * 10)
found = job.sql(f"""
    SELECT patient, max(glucose) AS glucose FROM ({copies}) AS t
    GROUP BY patient HAVING count(*) >= 10
""")
job.release("found", found, to=["institute"])
