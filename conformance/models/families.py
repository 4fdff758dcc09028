"""The references of test/models/families.test.ts: small models of each family by transformers and PyTorch.

python3 conformance/models/families.py test/models/reference
with torch and transformers in PYTHONPATH.
"""

import json
import sys

import torch
import transformers as hf
from folder import written
from weights import differentiated, fill

TOKENS = [[5, 3, 17, 2, 9, 28, 11], [7, 4, 21, 13, 1, 1, 1]]
MASK = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]]
TYPES = [[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]]

BERT = dict(vocab_size=29, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
            max_position_embeddings=24, pad_token_id=1)
DISTIL = dict(vocab_size=29, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=24, pad_token_id=1)
GPT2 = dict(vocab_size=29, n_embd=16, n_layer=2, n_head=4, n_positions=24, bos_token_id=0, eos_token_id=0)
LLAMA = dict(vocab_size=29, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=24, max_position_embeddings=24)

# Name, class, config, whether the inputs have token types.
CASES = [
    ("bert", hf.BertModel, hf.BertConfig(**BERT), True),
    ("bert-classification", hf.BertForSequenceClassification, hf.BertConfig(**BERT, num_labels=3), True),
    ("bert-masked", hf.BertForMaskedLM, hf.BertConfig(**BERT, hidden_act="gelu_new"), True),
    ("roberta", hf.RobertaModel, hf.RobertaConfig(**BERT, type_vocab_size=1), False),
    ("roberta-classification", hf.RobertaForSequenceClassification, hf.RobertaConfig(**BERT, type_vocab_size=1, num_labels=3), False),
    ("roberta-masked", hf.RobertaForMaskedLM, hf.RobertaConfig(**BERT, type_vocab_size=1), False),
    ("xlm-roberta-classification", hf.XLMRobertaForSequenceClassification, hf.XLMRobertaConfig(**BERT, type_vocab_size=1), False),
    ("distilbert", hf.DistilBertModel, hf.DistilBertConfig(**DISTIL), False),
    ("distilbert-classification", hf.DistilBertForSequenceClassification, hf.DistilBertConfig(**DISTIL), False),
    ("distilbert-masked", hf.DistilBertForMaskedLM, hf.DistilBertConfig(**DISTIL), False),
    ("gpt2", hf.GPT2Model, hf.GPT2Config(**GPT2), False),
    ("gpt2-language", hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2), False),
    ("gpt2-untied", hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2, tie_word_embeddings=False, n_inner=20, scale_attn_by_inverse_layer_idx=True), False),
    ("llama", hf.LlamaModel, hf.LlamaConfig(**LLAMA), False),
    ("llama-language", hf.LlamaForCausalLM, hf.LlamaConfig(**LLAMA, rope_theta=500.0, rms_norm_eps=1e-5, attention_bias=True), False),
    ("llama-linear", hf.LlamaForCausalLM, hf.LlamaConfig(**LLAMA, tie_word_embeddings=True, rope_scaling={"type": "linear", "factor": 4.0}), False),
    ("qwen2", hf.Qwen2ForCausalLM, hf.Qwen2Config(**LLAMA, rope_theta=1000000.0), False),
    ("qwen2-tied", hf.Qwen2ForCausalLM, hf.Qwen2Config(**LLAMA, tie_word_embeddings=True), False),
]


def results(output):
    """What heddle gives too, by its names."""
    if "logits" in output:
        return {"logits": output.logits}
    found = {"lastHiddenState": output.last_hidden_state}
    if "pooler_output" in output:
        found["poolerOutput"] = output.pooler_output
    return found


def case(kind, config, with_types):
    model = kind(config).eval()
    fill(model)
    inputs = {"input_ids": torch.tensor(TOKENS), "attention_mask": torch.tensor(MASK)}
    if with_types:
        inputs["token_type_ids"] = torch.tensor(TYPES)
    found = results(model(**inputs))
    # Where a token only fills up its row nothing is promised: it takes no part in what is differentiated.
    real = torch.tensor(MASK)
    found = {name: x * real.unsqueeze(-1) if x.dim() == 3 else x for name, x in found.items()}
    return {
        **written(model),
        "tokens": TOKENS,
        "mask": MASK,
        **({"tokenTypes": TYPES} if with_types else {}),
        **differentiated(model, found),
    }


if __name__ == "__main__":
    for name, kind, config, with_types in CASES:
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            json.dump(case(kind, config, with_types), file)
            file.write("\n")
