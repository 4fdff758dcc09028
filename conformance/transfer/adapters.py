"""The references of test/transfer/peft.test.ts: small models with adapters by PEFT, transformers and PyTorch.

python3 conformance/transfer/adapters.py test/transfer/reference
with torch, transformers and peft (0.9: the first with DoRA) in PYTHONPATH.
"""

import json
import os
import sys
import tempfile

import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from safetensors import safe_open

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "models"))
from families import BERT, DISTIL, GPT2, LLAMA, MASK, TOKENS  # noqa: E402
from weights import rounded, waves, weight  # noqa: E402

# Name, class, config of the model, config of the adapter.
CASES = [
    ("bert-lora", hf.BertForSequenceClassification, hf.BertConfig(**BERT, num_labels=3),
     dict(r=4, lora_alpha=6, modules_to_save=["classifier"])),
    ("bert-biases", hf.BertForSequenceClassification, hf.BertConfig(**BERT, num_labels=3),
     dict(r=2, lora_alpha=2, bias="all", target_modules=["dense"])),
    ("bert-dora", hf.BertModel, hf.BertConfig(**BERT), dict(r=3, lora_alpha=6, use_dora=True, target_modules="encoder.*(query|dense)")),
    ("bert-embedding", hf.BertModel, hf.BertConfig(**BERT), dict(r=2, lora_alpha=4, target_modules=["word_embeddings", "key"])),
    ("distilbert-lora", hf.DistilBertForSequenceClassification, hf.DistilBertConfig(**DISTIL), dict(r=4, lora_alpha=4, bias="lora_only", target_modules=["q_lin", "v_lin"])),
    ("gpt2-lora", hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2),
     dict(r=4, lora_alpha=3, use_rslora=True, fan_in_fan_out=True, target_modules=["c_attn", "c_proj"],
          rank_pattern={"mlp.c_proj": 2}, alpha_pattern={"h.1.attn.c_attn": 5})),
    ("llama-lora", hf.LlamaForCausalLM, hf.LlamaConfig(**LLAMA), dict(r=2, lora_alpha=4, layers_to_transform=[1])),
    ("llama-dora", hf.LlamaForCausalLM, hf.LlamaConfig(**LLAMA), dict(r=2, lora_alpha=4, use_dora=True, use_rslora=True, target_modules=["q_proj", "k_proj", "down_proj"])),
]


def name_of(key):
    """The name of a parameter in an adapter's file."""
    return key.replace(".default", "").replace("modules_to_save.", "")


def case(kind, config, adapter):
    base = kind(config)
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            parameter.copy_(weight(name, parameter.shape))
    with tempfile.TemporaryDirectory() as folder:
        base.save_pretrained(folder, safe_serialization=True)
        with open(f"{folder}/config.json") as file:
            written = json.load(file)
        with safe_open(f"{folder}/model.safetensors", "pt") as file:
            shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
    model = get_peft_model(base, LoraConfig(**adapter)).eval()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            if "lora_" in name or "modules_to_save" in name:
                parameter.copy_(weight(name_of(name), parameter.shape))
                # Magnitudes are lengths.
                if "magnitude" in name:
                    parameter.add_(1)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        with open(f"{folder}/adapter_config.json") as file:
            adapter_config = json.load(file)
        with safe_open(f"{folder}/adapter_model.safetensors", "pt") as file:
            adapter_shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
    # Lists that are sets in PEFT come in any order.
    for key in ("target_modules", "modules_to_save"):
        if isinstance(adapter_config[key], list):
            adapter_config[key].sort()
    output = model(input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK))
    found = output.logits if "logits" in output else output.last_hidden_state
    # Where a token only fills up its row nothing is promised: it takes no part in what is differentiated.
    if found.dim() == 3:
        found = found * torch.tensor(MASK).unsqueeze(-1)
    (found.flatten() * waves(found.numel())).sum().backward()
    gradients = {}
    for name, parameter in trained.items():
        # A pooler that nothing takes has none.
        if parameter.grad is None:
            continue
        gradient = parameter.grad.flatten()
        gradients[name_of(name)] = rounded(torch.stack([gradient.norm(), (gradient * waves(gradient.numel(), 1)).sum()]))
    return {
        "config": written,
        "weights": shapes,
        "adapterConfig": adapter_config,
        "adapterWeights": adapter_shapes,
        "tokens": TOKENS,
        "mask": MASK,
        "output": rounded(found),
        # Of each parameter that is trained: the gradient's length, and its product with cos(1), cos(2), ...
        "gradients": gradients,
    }


if __name__ == "__main__":
    for name, kind, config, adapter in CASES:
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            json.dump(case(kind, config, adapter), file)
            file.write("\n")
