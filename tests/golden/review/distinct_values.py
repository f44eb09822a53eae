"""Different values are still values of single rows."""

import mc2

job = mc2.Job("Which patients are in both clinics?")
shared = job.sql("""
    SELECT DISTINCT a.patient
    FROM clinic_a.visits AS a LEFT SEMI JOIN clinic_b.visits AS b ON a.patient = b.patient
""")
job.release("shared", shared, to=["clinic_a", "clinic_b"])
