"""The reference of test/models/generate.test.ts: sequences that transformers generates.

python3 conformance/models/generation.py test/models/reference
with torch and transformers in PYTHONPATH.
"""

import json
import sys

import torch
import transformers as hf
from families import GPT2, LLAMA
from weights import weight

PROMPTS = [[5, 3, 17, 2, 9], [7, 4], [11, 28, 6, 1, 19, 23, 8, 2, 14]]
MODELS = [
    ("gpt2", hf.GPT2LMHeadModel, hf.GPT2Config(**{**GPT2, "n_positions": 64})),
    ("llama", hf.LlamaForCausalLM, hf.LlamaConfig(**{**LLAMA, "max_position_embeddings": 64})),
]


def main():
    results = {}
    for name, kind, config in MODELS:
        model = kind(config).eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                # Sharper than the other references, so that the most likely token is clear.
                parameter.copy_(weight(key, parameter.shape) * 2)
        runs = []
        for prompt in PROMPTS:
            ids = torch.tensor([prompt])
            for options in ({}, {"num_beams": 3}, {"num_beams": 4, "length_penalty": 0.2}):
                for eos in (28, 0, 9):
                    out = model.generate(ids, max_new_tokens=20, do_sample=False, eos_token_id=eos, pad_token_id=0, **options)[0]
                    made = out[len(prompt):].tolist()
                    if eos in made:
                        made = made[: made.index(eos)]
                    runs.append({"prompt": prompt, "options": options, "eos": eos, "tokens": made})
        results[name] = {"config": {**config.to_diff_dict(), "architectures": [kind.__name__]},
                         "weights": {key: list(x.shape) for key, x in model.named_parameters()}, "runs": runs}
    with open(f"{sys.argv[1]}/generation.json", "w") as file:
        json.dump(results, file)
        file.write("\n")


main()
