# policy: clinic_a.visits; age, glucose, site; clinic_b
"""Only allowed columns, even to count rows; and for the clinic that may receive."""

import mc2

job = mc2.Job("Just enough")
job.release("n", job.sql("SELECT count(*) AS n FROM clinic_a.visits"), to=["clinic_b"])
