"""The references of test/models/vision.test.ts: small models of images by transformers, timm and PyTorch.

python3 conformance/models/vision.py test/models/reference/vision
with torch, transformers and timm (and torchvision, which it imports) in PYTHONPATH.
"""

import json
import sys

import timm
import torch
import transformers as hf
from folder import written
from weights import differentiated, fill, images, rounded

VIT = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, image_size=16, patch_size=8)
RESNET = dict(embedding_size=8, hidden_sizes=[16, 24], depths=[2, 1])
CONVNEXT = dict(num_stages=2, hidden_sizes=[8, 12], depths=[2, 1], patch_size=4)

# Name, class, config, whether it is in training mode.
CASES = [
    ("vit", hf.ViTModel, hf.ViTConfig(**VIT), False),
    ("vit-classification", hf.ViTForImageClassification, hf.ViTConfig(**VIT, num_labels=3, qkv_bias=False), False),
    ("resnet", hf.ResNetModel, hf.ResNetConfig(**RESNET), False),
    ("resnet-classification", hf.ResNetForImageClassification, hf.ResNetConfig(**RESNET, num_labels=3, downsample_in_bottleneck=True), False),
    ("resnet-basic", hf.ResNetForImageClassification, hf.ResNetConfig(**RESNET, layer_type="basic", downsample_in_first_stage=True), True),
    ("convnext", hf.ConvNextModel, hf.ConvNextConfig(**CONVNEXT), False),
    ("convnext-classification", hf.ConvNextForImageClassification, hf.ConvNextConfig(**CONVNEXT, num_labels=3, layer_scale_init_value=0), False),
]
# As timm names them.
TIMM = ["mobilenetv3_small_050", "tf_mobilenetv3_large_075"]


def results(output):
    if "logits" in output:
        return {"logits": output.logits}
    return {"lastHiddenState": output.last_hidden_state, "poolerOutput": output.pooler_output}


def case(kind, config, training):
    model = kind(config).train(training)
    fill(model)
    shape = [3, 3, *([16, 16] if isinstance(config, hf.ViTConfig) else [32, 24])]
    found = results(model(images(shape)))
    reference = {**written(model), "images": shape, "training": training, **differentiated(model, found)}
    if training:
        reference["buffers"] = {name: rounded(x) for name, x in model.named_buffers()}
    return reference


def case_of_timm(name):
    model = timm.create_model(name, num_classes=5).eval()
    fill(model)
    shape = [2, 3, 45, 38]
    return {
        "config": {"architecture": name, "num_classes": 5},
        "weights": {key: list(x.shape) for key, x in model.state_dict().items()},
        "images": shape,
        "training": False,
        **differentiated(model, {"logits": model(images(shape))}),
    }


if __name__ == "__main__":
    cases = {name: case(*rest) for name, *rest in CASES} | {name: case_of_timm(name) for name in TIMM}
    for name, reference in cases.items():
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            json.dump(reference, file)
            file.write("\n")
