"""The reference of test/models/minilm.test.ts: embeddings of all-MiniLM-L6-v2 by transformers and PyTorch.

python3 conformance/models/minilm.py FOLDER > test/models/reference/minilm.json
with torch, transformers and tokenizers in PYTHONPATH, and FOLDER the model's (see scripts/minilm.mjs).
"""

import json
import random
import sys

import torch
from transformers import AutoModel, AutoTokenizer

SUBJECTS = ["A cat", "The old engineer", "Nobody", "My neighbour's dog", "The committee", "An orchestra", "She", "Every student"]
VERBS = ["watches", "quietly repairs", "has never seen", "argues about", "dreams of", "paid for", "painted", "measures"]
OBJECTS = ["the river", "three broken clocks", "a train to Lisbon", "the price of bread", "an unusual theorem", "snow in June",
           "the neural network's loss", "her grandmother's recipe"]
WHERE = ["", " in the morning", ", unfortunately", " on Mars", " while it rains", " at 7:45 p.m."]

FIXED = [
    ("The weather is lovely today.", "It's so sunny outside!"),
    ("He drove to the stadium.", "The stock market fell by 3.5% on Tuesday."),
    ("How do I reset my password?", "I can't log in to my account"),
    ("Ein Satz auf Deutsch.", "A sentence in German."),
    ("naïve café résumé", "naive cafe resume"),
    ("x = np.dot(a, b) + c", "Multiply two matrices and add a vector."),
    ("", "?"),
    ("你好,世界", "Hello, world"),
    ("unbelievableantidisestablishmentarianism", "A very long word"),
    ("word " * 400, "words"),
]


def sentences():
    draw = random.Random(0)
    texts = [text for pair in FIXED for text in pair]
    while len(texts) < 100:
        text = draw.choice(SUBJECTS) + " " + draw.choice(VERBS) + " " + draw.choice(OBJECTS) + draw.choice(WHERE)
        count = draw.choice([1, 1, 1, 3])
        texts.append(" ".join([text + "."] * count) if count == 1 else f"{text}. Then again, {text.lower()}. " * count)
    return texts


def main():
    folder = sys.argv[1]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    texts = sentences()
    embeddings = []
    lengths = []
    with torch.no_grad():
        for text in texts:
            # One at a time: no padding takes part. 256 is the folder's max_seq_length.
            ids = tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
            hidden = model(**ids).last_hidden_state
            lengths.append(hidden.shape[1])
            embeddings.append(torch.nn.functional.normalize(hidden.mean(1), dim=-1)[0])
    table = torch.stack(embeddings)
    rounded = lambda x: float(f"{x:.7g}")
    json.dump(
        {
            "texts": texts,
            "tokens": lengths,
            "first": [[rounded(x) for x in row[:8].tolist()] for row in table],
            # Against a fixed direction, so that every component counts.
            "projection": [rounded(x) for x in (table @ torch.cos(torch.arange(384.0))).tolist()],
            "similarities": [rounded((table[2 * i] @ table[2 * i + 1]).item()) for i in range(10)],
        },
        sys.stdout,
        ensure_ascii=False,
        indent=0,
    )


main()
