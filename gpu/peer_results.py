"""The rows of a stage, written to disk one by one: the same file as bench/cuda/results.ts keeps."""

import json
import os


class Results:
    def __init__(self, path, build, session):
        """Goes on with the file at `path` if it is of this `build`; one of another build is put aside as `.old`."""
        self.path, self.build, self.session = path, build, session
        rows = []
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if os.path.exists(path):
            with open(path) as file:
                found = json.load(file)
            if found["build"] == build:
                rows = found["rows"]
            else:
                os.replace(path, path + ".old")
        self.by_key = {(row["case"], row.get("peer", "")): row for row in rows}

    def has(self, case, peer):
        """Whether it has been measured; what failed with an error has not."""
        row = self.by_key.get((case, peer))
        return row is not None and "error" not in row

    def add(self, row):
        """Adds a row in the place of the one its case and peer had, and writes the file anew: whole, or not at all."""
        self.by_key[(row["case"], row.get("peer", ""))] = {**row, "session": self.session}
        with open(self.path + ".part", "w") as file:
            json.dump({"build": self.build, "rows": list(self.by_key.values())}, file, indent=1)
            file.write("\n")
        os.replace(self.path + ".part", self.path)

    @property
    def rows(self):
        return list(self.by_key.values())
