"""Two parties hold different columns of the same patients; the institute gets the quality only."""

import mc2
from mc2 import xgboost

job = mc2.Job("Visits and laboratory, joined")
joined = job.sql("""
    SELECT v.patient, v.age, v.bmi, v.diabetic, v.day < DATE '2025-07-01' AS early, l.sugar
    FROM clinic_a.visits AS v
    JOIN (SELECT patient, avg(value) AS sugar FROM clinic_b.labs
          WHERE test = 'hba1c' GROUP BY patient) AS l
      ON v.patient = l.patient
""")
training = job.sql("SELECT * FROM {joined} WHERE early", joined=joined)
testing = job.sql("SELECT * FROM {joined} WHERE NOT early", joined=joined)
features = ["age", "bmi", "sugar"]
known = xgboost.DMatrix(training, label="diabetic", features=features, missing=-1)
other = xgboost.DMatrix(testing, label="diabetic", features=features, missing=-1)
model = xgboost.train(
    {"objective": "binary:logistic", "eval_metric": ["auc", "logloss"]},
    known,
    num_boost_round=200,
    evals=[(known, "known"), (other, "other")],
    early_stopping_rounds=10,
)
risk = model.predict(other, rounds="best", keep=["patient"], name="risk")
job.release("quality", model.history(), to=["institute"])
job.release("risk", risk, to="clinic_a")
