# policy: clinic_a.visits; age, glucose, site; clinic_b
"""The clinic lets nobody but the other clinic receive anything, and not by patient."""

import mc2

job = mc2.Job("Too much")
found = job.sql("SELECT patient, max(glucose) AS top FROM clinic_a.visits GROUP BY patient")
job.release("found", found, to=["institute"])
