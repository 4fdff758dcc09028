"""The references of test/models/t5.test.ts: small T5 models by transformers and PyTorch, and what they generate.

python3 conformance/models/t5.py test/models/reference/t5
with torch and transformers in PYTHONPATH.
"""

import json
import sys

import torch
import transformers as hf
from families import MASK, TOKENS
from folder import written
from weights import differentiated, fill, weight

T5 = dict(vocab_size=29, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
          relative_attention_max_distance=12, decoder_start_token_id=0, dropout_rate=0.1)
TARGETS = [[0, 3, 8, 21, 9, 14], [0, 27, 6, 11, 0, 0]]
TARGET_MASK = [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]
# Longer than the distances that have buckets of their own.
LONG = [[(7 * i + 3) % 28 + 1 for i in range(30)], [(5 * i + 2) % 28 + 1 for i in range(30)]]

# Name, class, config, sources, their mask.
CASES = [
    ("encoder", hf.T5EncoderModel, hf.T5Config(**T5), TOKENS, MASK),
    ("model", hf.T5Model, hf.T5Config(**T5, num_decoder_layers=1), TOKENS, MASK),
    ("tied", hf.T5ForConditionalGeneration, hf.T5Config(**T5), TOKENS, MASK),
    ("gated", hf.T5ForConditionalGeneration, hf.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False), TOKENS, MASK),
    ("long", hf.T5ForConditionalGeneration, hf.T5Config(**T5), LONG, [[1] * 30, [1] * 25 + [0] * 5]),
]
SOURCES = [[5, 3, 17, 2, 9], [7, 4], [11, 28, 6, 1, 19, 23, 8, 2, 14, 4, 4, 20, 13, 26, 3, 10, 12, 15]]


def case(kind, config, tokens, mask):
    model = kind(config).eval()
    fill(model)
    inputs = {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}
    if kind is not hf.T5EncoderModel:
        inputs |= {"decoder_input_ids": torch.tensor(TARGETS), "decoder_attention_mask": torch.tensor(TARGET_MASK)}
    out = model(**inputs)
    real = torch.tensor(mask if kind is hf.T5EncoderModel else TARGET_MASK).unsqueeze(-1)
    name, x = ("logits", out.logits) if "logits" in out else ("lastHiddenState", out.last_hidden_state)
    reference = {**written(model), "tokens": tokens, "mask": mask, **differentiated(model, {name: x * real})}
    if kind is not hf.T5EncoderModel:
        reference |= {"targets": TARGETS, "targetMask": TARGET_MASK}
    return reference


def generation():
    config = hf.T5Config(**T5)
    model = hf.T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            # Sharper than the other references, so that the most likely token is clear.
            parameter.copy_(weight(key, parameter.shape) * 3)
    runs = []
    for source in SOURCES:
        ids = torch.tensor([source])
        for options in ({}, {"num_beams": 3}, {"num_beams": 4, "length_penalty": 0.2}):
            for eos in (28, 1, 9, 22):
                out = model.generate(ids, max_new_tokens=20, do_sample=False, eos_token_id=eos, **options)[0]
                made = out[1:].tolist()
                if eos in made:
                    made = made[: made.index(eos)]
                runs.append({"prompt": source, "options": options, "eos": eos, "tokens": made})
    weights = {key: list(x.shape) for key, x in model.named_parameters()}
    return {"config": {**config.to_dict(), "architectures": ["T5ForConditionalGeneration"]}, "weights": weights, "runs": runs}


if __name__ == "__main__":
    cases = {name: case(*rest) for name, *rest in CASES} | {"generation": generation()}
    for name, reference in cases.items():
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            json.dump(reference, file)
            file.write("\n")
