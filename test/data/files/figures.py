# Writes scikit-learn.json: what scikit-learn 1.9.1 makes of a table with missing values, for scalers.test.ts.
import json
import pathlib
import warnings
import numpy
import sklearn
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

warnings.simplefilter("ignore")
random = numpy.random.default_rng(0)
whole = random.normal(size=(30, 4)) @ random.normal(size=(4, 4)) * [1, 10, 0.1, 1000] + [0, 5, 2, -300]
table = numpy.round(whole, 3)
table[random.random(table.shape) < 0.12] = numpy.nan
new = numpy.round(whole[:8] * 1.1, 3)
new[random.random(new.shape) < 0.3] = numpy.nan

transforms = {
    "StandardScaler": StandardScaler(),
    "MinMaxScaler": MinMaxScaler(feature_range=(-1, 2)),
    "RobustScaler": RobustScaler(quantile_range=(10, 80)),
    "mean": SimpleImputer(),
    "median": SimpleImputer(strategy="median"),
    "uniform": KNNImputer(n_neighbors=4),
    "distance": KNNImputer(n_neighbors=4, weights="distance"),
    "IterativeImputer": IterativeImputer(LinearRegression(), max_iter=6, tol=0),
}
rows = lambda array: [[None if numpy.isnan(x) else float(x) for x in row] for row in array]
figures = {name: rows(one.fit(table).transform(new)) for name, one in transforms.items()}
words = [{"pet": "dog", "town": "Zürich"}, {"pet": "cat", "town": "Oslo"}]
hashed = FeatureHasher(n_features=16).transform(words).toarray()
file = pathlib.Path(__file__).parent / "scikit-learn.json"
file.write_text(json.dumps({"table": rows(table), "new": rows(new), "words": words, "hashed": hashed.tolist(), **figures}))
print(sklearn.__version__)
