"""The reference of test/transfer/prompt.test.ts: small language models with prompts and prefixes by PEFT.

python3 conformance/transfer/prompts.py > test/transfer/prompts.json
with torch, transformers and peft in PYTHONPATH.
"""

import json
import os
import sys

import torch
import transformers as hf
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "models"))
from families import GPT2, LLAMA  # noqa: E402
from weights import rounded, waves, weight  # noqa: E402

TOKENS = [[5, 3, 17, 2, 9], [7, 4, 21, 13, 1]]
# Heads of keys and values as many as of queries: this version of PEFT knows no others.
MODELS = [
    (hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2)),
    (hf.LlamaForCausalLM, hf.LlamaConfig(**{**LLAMA, "num_key_value_heads": 4})),
]
KINDS = [PromptTuningConfig, PrefixTuningConfig]


def main():
    cases = []
    for kind, config in MODELS:
        for adapter in KINDS:
            base = kind(config)
            with torch.no_grad():
                for name, parameter in base.named_parameters():
                    parameter.copy_(weight(name, parameter.shape))
            shapes = {name: list(parameter.shape) for name, parameter in base.named_parameters()}
            model = get_peft_model(base, adapter(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
            table = model.prompt_encoder["default"].embedding.weight
            with torch.no_grad():
                table.copy_(weight("prompt_embeddings", table.shape))
            output = model(input_ids=torch.tensor(TOKENS)).logits[:, -len(TOKENS[0]):]
            (output.flatten() * waves(output.numel())).sum().backward()
            gradient = table.grad.flatten()
            cases.append({
                "kind": model.peft_config["default"].peft_type.value,
                "config": {**config.to_diff_dict(), "architectures": [kind.__name__]},
                "weights": shapes,
                "shape": list(table.shape),
                "tokens": TOKENS,
                "output": rounded(output),
                "gradient": rounded(torch.stack([gradient.norm(), (gradient * waves(gradient.numel(), 1)).sum()])),
            })
    json.dump(cases, sys.stdout)
    print()


main()
