import mc2

job = mc2.Job("What drives diabetes?")
rows = [job.table("clinic_a.visits"), job.table("clinic_b.visits")]
inputs = ["glucose", "bmi", "age"]

curve = mc2.linear.LogisticRegression(C=4.0).fit(rows, "diabetic", features=inputs)
line = mc2.linear.LinearRegression().fit(rows, "cost", features=inputs)
kinds = mc2.clusters.KMeans(4, random_state=7, n_init=3).fit(rows, features=inputs)

job.release("curve", curve, to=["clinic_a", "clinic_b"])
job.release("line", line, to=["institute"])
job.release("kinds", kinds, to=["institute"])
job.release("kind_of", kinds.predict(rows, keep=["patient"], name="kind"), to=["clinic_a"])
