"""The references of test/models/imageProcessor.test.ts: what transformers' and timm's processors make of one image.

python3 conformance/models/processors.py test/models/reference/processors.json
with torch, transformers, timm and Pillow in PYTHONPATH.
"""

import json
import sys

import numpy as np
import transformers as hf
from PIL import Image
from timm.data import create_transform, resolve_data_config
from weights import rounded, weight

CASES = [
    ("vit", hf.ViTImageProcessor(size={"height": 9, "width": 11})),
    ("vit-larger", hf.ViTImageProcessor(size={"height": 30, "width": 45}, resample=3, do_normalize=False)),
    ("clip", hf.CLIPImageProcessor(size={"shortest_edge": 12}, crop_size={"height": 10, "width": 10})),
    ("clip-padded", hf.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 12, "width": 8}, resample=1)),
    ("convnext", hf.ConvNextImageProcessor(size={"shortest_edge": 12}, crop_pct=0.875, resample=3)),
    ("nearest", hf.ViTImageProcessor(size={"height": 9, "width": 11}, resample=0)),
    ("box", hf.ViTImageProcessor(size={"height": 9, "width": 31}, resample=4)),
]
TIMM = {"input_size": [3, 12, 12], "crop_pct": 0.875, "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225]}
SHAPE = [3, 21, 27]


def main():
    pixels = ((weight("pixels", SHAPE) * 2 + 0.5) * 256).floor().clamp(0, 255).byte()
    image = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    cases = {}
    for name, processor in CASES:
        out = processor(image, return_tensors="pt")["pixel_values"][0]
        cases[name] = {"file": "preprocessor_config.json", "config": json.loads(processor.to_json_string()),
                       "shape": list(out.shape), "pixels": rounded(out)}
    transform = create_transform(**resolve_data_config(pretrained_cfg=TIMM))
    out = transform(Image.fromarray(image))
    cases["timm"] = {"file": "config.json", "config": {"pretrained_cfg": TIMM}, "shape": list(out.shape), "pixels": rounded(out)}
    with open(sys.argv[1], "w") as file:
        json.dump({"image": SHAPE, "cases": cases}, file)
        file.write("\n")


main()
