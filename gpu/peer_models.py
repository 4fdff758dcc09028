"""PyTorch's side of the training steps of bench/cuda/steps.ts: GPT-2 and ResNet-50, compiled."""

import torch
import torch.nn as nn
import torch.nn.functional as F

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.contract(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    """nn.GPT of heddle: learned positions, pre-norm blocks, the tanh GELU, a tied output layer."""

    def __init__(self, layers, heads, width, context, vocabSize, **_):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabSize, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return logits.view(-1, logits.shape[-1])


class ConvNorm(nn.Sequential):
    def __init__(self, channels, outputs, kernel, stride=1, padding=0):
        super().__init__(
            nn.Conv2d(channels, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs)
        )


class Bottleneck(nn.Module):
    EXPANSION = 4

    def __init__(self, channels, width, stride):
        super().__init__()
        outputs = width * self.EXPANSION
        self.reduce = ConvNorm(channels, width, 1)
        self.conv = ConvNorm(width, width, 3, stride, 1)
        self.expand = ConvNorm(width, outputs, 1)
        self.shortcut = ConvNorm(channels, outputs, 1, stride) if stride != 1 or channels != outputs else nn.Identity()

    def forward(self, x):
        inner = F.relu(self.conv(F.relu(self.reduce(x))))
        return F.relu(self.expand(inner) + self.shortcut(x))


class ResNet50(nn.Module):
    """ResNet50 of bench/cuda/resnet50.ts."""

    def __init__(self, width, blocks, classes, **_):
        super().__init__()
        self.stem = ConvNorm(3, width, 7, 2, 3)
        layers, channels = [], width
        for stage, count in enumerate(blocks):
            for position in range(count):
                layers.append(Bottleneck(channels, width * 2**stage, 2 if stage > 0 and position == 0 else 1))
                channels = width * 2**stage * Bottleneck.EXPANSION
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        return self.head(self.blocks(x).mean((2, 3)))


def _gpt2(sizes, device, dtype):
    model = GPT2(**sizes).to(device, dtype)
    shape = (sizes["batch"], sizes["context"])
    tokens, targets = (torch.randint(sizes["vocabSize"], shape, device=device) for _ in range(2))
    return model, tokens, targets.view(-1), torch.optim.AdamW, {"lr": 1e-4, "weight_decay": 0.01}


def _resnet50(sizes, device, dtype):
    model = ResNet50(**sizes).to(device, dtype).to(memory_format=torch.channels_last)
    images = torch.randn(sizes["batch"], 3, sizes["extent"], sizes["extent"], device=device, dtype=dtype)
    labels = torch.randint(sizes["classes"], (sizes["batch"],), device=device)
    images = images.to(memory_format=torch.channels_last)
    return model, images, labels, torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}


def training_step(case, device, mode, autocast):
    """
    A step as it is usually written: model and loss compiled in `mode` (None: not at all), the optimizer fused. With
    `autocast` parameters are f32 and the model computes in bf16; else both are of the case's dtype.
    """
    dtype = torch.float32 if autocast else DTYPES[case["dtype"]]
    make = {"gpt2": _gpt2, "resnet50": _resnet50}[case["model"]]
    model, x, y, optimizer, settings = make(case["sizes"], device, dtype)
    update = optimizer(model.parameters(), fused=device == "cuda", **settings)

    def loss_of(x, y):
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            return F.cross_entropy(model(x), y)

    compiled = torch.compile(loss_of, mode=mode, dynamic=False) if mode else loss_of

    def step():
        update.zero_grad(set_to_none=True)
        loss = compiled(x, y)
        loss.backward()
        update.step()
        return loss

    return step
