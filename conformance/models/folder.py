"""What transformers writes of a model: its config, and names and shapes of its weights."""

import json
import tempfile

from safetensors import safe_open


def written(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        with open(f"{folder}/config.json") as file:
            config = json.load(file)
        with safe_open(f"{folder}/model.safetensors", "pt") as file:
            shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
    return {"config": config, "weights": shapes}
