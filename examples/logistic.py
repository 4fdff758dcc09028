# Logistic regression of scikit-learn on features that heddle has prepared: what a model must beat.
import json
import sys

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score

data = numpy.load(sys.argv[1])
model = LogisticRegression(max_iter=1000).fit(data["train_x"], data["train_y"])
probabilities = model.predict_proba(data["test_x"])[:, 1]
print(json.dumps({
    "accuracy": accuracy_score(data["test_y"], probabilities > 0.5),
    "auc": roc_auc_score(data["test_y"], probabilities),
}))
