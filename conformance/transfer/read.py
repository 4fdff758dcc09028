"""The logits of a causal model with an adapter, as PEFT reads both: what test/transfer/peft.test.ts compares with.

python3 conformance/transfer/read.py MODEL ADAPTER '[[1, 2, 3]]'
with torch, transformers and peft in PYTHONPATH.
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
model = PeftModel.from_pretrained(base, sys.argv[2]).eval()
with torch.no_grad():
    json.dump(model(input_ids=torch.tensor(json.loads(sys.argv[3]))).logits.flatten().tolist(), sys.stdout)
