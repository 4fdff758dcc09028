"""The references of test/models/clip.test.ts: small CLIP models by transformers and PyTorch.

python3 conformance/models/clip.py test/models/reference/clip
with torch and transformers in PYTHONPATH.
"""

import json
import sys

import torch
import transformers as hf
from families import MASK, TOKENS
from folder import written
from weights import differentiated, fill, images

TEXT = dict(vocab_size=29, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
            max_position_embeddings=24, bos_token_id=5, eos_token_id=28, pad_token_id=1, projection_dim=12)
VISION = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, image_size=16, patch_size=8,
              projection_dim=12)
SHAPE = [2, 3, 16, 16]
# Each has an end: the last real token.
ENDING = [TOKENS[0][:-1] + [28], TOKENS[1][:3] + [28, 1, 1, 1]]


def both(text):
    config = hf.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=12)
    model = hf.CLIPModel(config).eval()
    fill(model)
    out = model(input_ids=torch.tensor(ENDING), attention_mask=torch.tensor(MASK), pixel_values=images(SHAPE), return_loss=True)
    found = {"logitsPerImage": out.logits_per_image, "textEmbeddings": out.text_embeds, "imageEmbeddings": out.image_embeds,
             "loss": out.loss}
    return {**written(model), "tokens": ENDING, "mask": MASK, "images": SHAPE, **differentiated(model, found)}


def text():
    model = hf.CLIPTextModelWithProjection(hf.CLIPTextConfig(**TEXT, hidden_act="gelu")).eval()
    fill(model)
    out = model(input_ids=torch.tensor(ENDING))
    found = {"embeddings": out.text_embeds, "lastHiddenState": out.last_hidden_state}
    return {**written(model), "tokens": ENDING, **differentiated(model, found)}


def vision():
    model = hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**VISION)).eval()
    fill(model)
    out = model(pixel_values=images(SHAPE))
    found = {"embeddings": out.image_embeds, "lastHiddenState": out.last_hidden_state}
    return {**written(model), "images": SHAPE, **differentiated(model, found)}


if __name__ == "__main__":
    # The second one as the first configs were: the end is the token with the highest number.
    for name, reference in {"both": both(TEXT), "both-old": both({**TEXT, "eos_token_id": 2}), "text": text(), "vision": vision()}.items():
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            json.dump(reference, file)
            file.write("\n")
