"""PyTorch's side of the kernel cases of bench/cuda/cases.ts: every copy of a case as a call on data of its own."""

import torch
import torch._functorch.config
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# The graph of a forward run is differentiated again and again.
torch._functorch.config.donated_buffer = False

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
EPS = 1e-5
# Its CUDA graphs would copy every operand into memory of their own first: the calls are captured as they are instead.
COMPILED = {"mode": "max-autotune-no-cudagraphs", "dynamic": False, "fullgraph": True}
BACKENDS = {"torch flash": SDPBackend.FLASH_ATTENTION, "torch cudnn": SDPBackend.CUDNN_ATTENTION}


def _row_functions(columns):
    """Forward functions of the row-wise cases; the operands that have gradients come first."""
    return {
        "softmax": lambda x: torch.softmax(x, -1),
        "layerNorm": lambda x, weight, bias: F.layer_norm(x, (columns,), weight, bias, EPS),
        "rmsNorm": lambda x, weight: F.rms_norm(x, (columns,), weight, EPS),
        "crossEntropy": lambda x, targets: F.cross_entropy(x, targets, reduction="none"),
    }


def _row_operands(kind, rows, columns, options):
    x = torch.randn(rows, columns, **options)
    if kind == "crossEntropy":
        return [x, torch.randint(columns, (rows,), device=options["device"])]
    vectors = {"softmax": 0, "layerNorm": 2, "rmsNorm": 1}[kind]
    return [x] + [torch.randn(columns, **options) for _ in range(vectors)]


def _gradient_call(output, operands):
    wanted = [operand for operand in operands if operand.requires_grad]
    cotangent = torch.randn_like(output)
    return lambda: torch.autograd.grad(output, wanted, cotangent, retain_graph=True)


def _row_calls(kind, peer, sizes, copies, options):
    backward = kind.endswith("Grad")
    base = kind.removesuffix("Grad")
    function = _row_functions(sizes["columns"])[base]
    if peer == "torch.compile":
        function = torch.compile(function, **COMPILED)
    calls = []
    for _ in range(copies):
        operands = _row_operands(base, sizes["rows"], sizes["columns"], options)
        if backward:
            operands = [one.requires_grad_() if one.is_floating_point() else one for one in operands]
            calls.append(_gradient_call(function(*operands), operands))
        else:
            calls.append(lambda operands=operands: function(*operands))
    return calls


def _copy_calls(sizes, copies, options):
    pairs = [
        (torch.randn(sizes["rows"], sizes["columns"], **options), torch.empty(sizes["rows"], sizes["columns"], **options))
        for _ in range(copies)
    ]
    return [lambda source=source, target=target: target.copy_(source) for source, target in pairs]


def _adamw(p, g, m, v, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    """AdamW in place, with moments in f32 whatever the parameter is."""
    step.add_(1)
    wide = g.float()
    m.mul_(beta1).add_(wide, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(wide, wide, value=1 - beta2)
    update = (m / (1 - beta1**step)) / ((v / (1 - beta2**step)).sqrt() + eps)
    p.copy_(p.float() * (1 - lr * decay) - lr * update)


def _adamw_calls(peer, case, copies, options):
    if peer == "torch.compile":
        # One flat tensor: the best layout there is for it.
        elements = case["sizes"]["elements"]
        wide = {**options, "dtype": torch.float32}
        run = torch.compile(_adamw, **COMPILED)
        states = []
        for _ in range(copies):
            p, g = (torch.randn(elements, **options) * 0.02 for _ in range(2))
            m, v = torch.zeros(elements, **wide), torch.zeros(elements, **wide)
            states.append((p, g, m, v, torch.zeros((), **wide)))
        return [lambda state=state: run(*state) for state in states]
    calls = []
    for _ in range(copies):
        parameters = [torch.nn.Parameter(torch.randn(shape, **options) * 0.02) for shape in case["shapes"]]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        fast = {"fused": True, "capturable": True} if options["device"] == "cuda" else {}
        calls.append(torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, **fast).step)
    return calls


def _matmul_calls(sizes, copies, options):
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    pairs = [(torch.randn(m, k, **options), torch.randn(n, k, **options)) for _ in range(copies)]
    return [lambda a=a, w=w: torch.matmul(a, w.t()) for a, w in pairs]


def _conv_calls(kind, sizes, copies, options):
    stride, padding = [sizes["stride"]] * 2, [sizes["padding"]] * 2
    calls = []
    for _ in range(copies):
        x = torch.randn(sizes["batch"], sizes["channels"], sizes["extent"], sizes["extent"], **options)
        w = torch.randn(sizes["outputs"], sizes["channels"], sizes["kernel"], sizes["kernel"], **options)
        dy = torch.randn(sizes["batch"], sizes["outputs"], sizes["out"], sizes["out"], **options)
        x, w, dy = (tensor.to(memory_format=torch.channels_last) for tensor in (x, w, dy))
        if kind == "conv":
            calls.append(lambda x=x, w=w: F.conv2d(x, w, stride=stride, padding=padding))
            continue
        wanted = [kind == "convInputGrad", kind == "convWeightGrad", False]
        calls.append(
            lambda x=x, w=w, dy=dy: torch.ops.aten.convolution_backward(
                dy, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, wanted
            )
        )
    return calls


def _attention_calls(kind, peer, sizes, copies, options):
    shape = (sizes["batch"], sizes["length"], sizes["heads"], sizes["width"])
    backward = kind == "attentionGrad"

    def attend(q, k, v):
        with sdpa_kernel(BACKENDS[peer]):
            return F.scaled_dot_product_attention(q, k, v, is_causal=bool(sizes["causal"]))

    calls = []
    for _ in range(copies):
        # Views of [B,T,H,D], as a transformer's projections give them.
        operands = [torch.randn(shape, **options).transpose(1, 2).requires_grad_(backward) for _ in range(3)]
        if backward:
            calls.append(_gradient_call(attend(*operands), operands))
        else:
            calls.append(lambda operands=operands: attend(*operands))
    return calls


def kernel_calls(case, peer, device):
    """The calls of a case, one per copy."""
    kind, sizes, copies = case["kind"], case["sizes"], case["copies"]
    options = {"device": device, "dtype": DTYPES[case["dtype"]]}
    if kind == "copy":
        return _copy_calls(sizes, copies, options)
    if kind == "adamw":
        return _adamw_calls(peer, case, copies, options)
    if kind == "matmul":
        return _matmul_calls(sizes, copies, options)
    if kind.startswith("conv"):
        return _conv_calls(kind, sizes, copies, options)
    if kind.startswith("attention"):
        return _attention_calls(kind, peer, sizes, copies, options)
    return _row_calls(kind, peer, sizes, copies, options)
