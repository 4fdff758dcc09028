"""Folders that heddle has written, read by transformers and timm: no name is missing or unexpected, and outputs are the references'.

node dist/conformance/models/write.js FOLDER; python3 conformance/models/loaded.py FOLDER test/models/reference
with torch, transformers and timm in PYTHONPATH.
"""

import json
import os
import sys

import timm
import torch
import transformers as hf
from safetensors.torch import load_file
from weights import images

written, references = sys.argv[1:]


def report(name, architecture, wrong, worst):
    print(f"{name}: {architecture}, {'nothing missing or unexpected' if not wrong else wrong}, outputs within {worst:.1e}")
    assert not wrong and worst < 1e-4, name


def by_timm(name, reference):
    """timm takes the weights strictly."""
    config = reference["config"]
    model = timm.create_model(config["architecture"], num_classes=config["num_classes"]).eval()
    model.load_state_dict(load_file(f"{written}/{name}/model.safetensors"))
    with torch.no_grad():
        found = model(images(reference["images"])).flatten()
    report(name, config["architecture"], {}, (found - torch.tensor(reference["outputs"]["logits"])).abs().max().item())


for name in sorted(os.listdir(written)):
    with open(f"{references}/{name.replace('.', '/', 1)}.json") as file:
        reference = json.load(file)
    if "architecture" in reference["config"]:
        by_timm(name, reference)
        continue
    architecture = reference["config"]["architectures"][0]
    model, info = getattr(hf, architecture).from_pretrained(f"{written}/{name}", output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value}
    inputs = {}
    for key, argument in (("tokens", "input_ids"), ("mask", "attention_mask"), ("targets", "decoder_input_ids"),
                          ("targetMask", "decoder_attention_mask"), ("tokenTypes", "token_type_ids")):
        if key in reference:
            inputs[argument] = torch.tensor(reference[key])
    if "images" in reference:
        inputs["pixel_values"] = images(reference["images"])
    with torch.no_grad():
        out = model.train(reference.get("training", False))(**inputs)
    names = {"logits": "logits", "lastHiddenState": "last_hidden_state", "poolerOutput": "pooler_output",
             "logitsPerImage": "logits_per_image", "textEmbeddings": "text_embeds", "imageEmbeddings": "image_embeds"}
    worst = 0.0
    for key, expected in reference["outputs"].items():
        if key not in names or names[key] not in out:
            continue
        found = out[names[key]].flatten()
        expected = torch.tensor(expected)
        # Where a token only fills up its row the reference has 0.
        worst = max(worst, ((found - expected) * (expected != 0)).abs().max().item())
    report(name, architecture, wrong, worst)
