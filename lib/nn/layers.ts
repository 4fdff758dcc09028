// Layers without parameters: activations, dropout, pooling, reshaping.
import { elu, type GeluOptions, gelu, hardswish, leakyRelu, mish, relu, silu, softplus } from '../ops/activation.js'
import { numberIn } from '../ops/arguments.js'
import { sigmoid, tanh } from '../ops/element.js'
import {
  type AvgPoolOptions,
  adaptiveAvgPool,
  avgPool1d,
  avgPool2d,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
} from '../ops/pool.js'
import { dropout } from '../ops/random.js'
import { logSoftmax, softmax } from '../ops/softmax.js'
import { flatten } from '../ops/view.js'
import type { PerAxis } from '../ops/window.js'
import type { Tensor } from '../tensor.js'
import { type Layer, Module } from './module.js'

/** A layer that applies a function of one tensor. */
function layerOf(op: (x: Tensor) => Tensor): new () => Module & Layer {
  return class extends Module {
    forward(x: Tensor): Tensor {
      return op(x)
    }
  }
}

/** max(x, 0). */
export class ReLU extends layerOf(relu) {}
/** x sigmoid(x). */
export class SiLU extends layerOf(silu) {}
/** x tanh(softplus(x)). */
export class Mish extends layerOf(mish) {}
/** x relu6(x + 3) / 6. */
export class Hardswish extends layerOf(hardswish) {}
/** log(1 + e^x). */
export class Softplus extends layerOf(softplus) {}
/** 1 / (1 + e^-x). */
export class Sigmoid extends layerOf(sigmoid) {}
/** The hyperbolic tangent. */
export class Tanh extends layerOf(tanh) {}

/** `gelu`, exact or by tanh. */
export class GELU extends Module {
  constructor(readonly options: GeluOptions = {}) {
    super()
  }
  forward(x: Tensor): Tensor {
    return gelu(x, this.options)
  }
}

/** `leakyRelu` with the given slope, default 0.01. */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super()
  }
  forward(x: Tensor): Tensor {
    return leakyRelu(x, { slope: this.slope })
  }
}

/** `elu` with the given alpha, default 1. */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super()
  }
  forward(x: Tensor): Tensor {
    return elu(x, { alpha: this.alpha })
  }
}

/** `softmax` along an axis, default the last. */
export class Softmax extends Module {
  constructor(readonly axis = -1) {
    super()
  }
  forward(x: Tensor): Tensor {
    return softmax(x, { axis: this.axis })
  }
}

/** `logSoftmax` along an axis, default the last. */
export class LogSoftmax extends Module {
  constructor(readonly axis = -1) {
    super()
  }
  forward(x: Tensor): Tensor {
    return logSoftmax(x, { axis: this.axis })
  }
}

/** Zeros with probability `p` (default 0.5) while training; nothing in `eval` mode. */
export class Dropout extends Module {
  constructor(readonly p = 0.5) {
    super()
    numberIn('Dropout', 'p', p, 0, 1)
  }
  forward(x: Tensor): Tensor {
    return dropout(x, this.p, { training: this.training })
  }
}

/** The axes from `start` (default 1) to `end` (default the last) as one. */
export class Flatten extends Module {
  constructor(
    readonly start = 1,
    readonly end = -1,
  ) {
    super()
  }
  forward(x: Tensor): Tensor {
    return flatten(x, this.start, this.end)
  }
}

/** A layer that pools over windows of `kernel`. */
function poolOf<O>(
  op: (x: Tensor, kernel: PerAxis, options?: O) => Tensor,
): new (
  kernel: PerAxis,
  options?: O,
) => Module & Layer {
  return class extends Module {
    constructor(
      readonly kernel: PerAxis,
      readonly options?: O,
    ) {
      super()
    }
    forward(x: Tensor): Tensor {
      return op(x, this.kernel, this.options)
    }
  }
}

type MaxPoolOptions = PoolOptions & { readonly dilation?: PerAxis }

/** `maxPool1d` over windows of a kernel. */
export class MaxPool1d extends poolOf<MaxPoolOptions>(maxPool1d) {}
/** `maxPool2d` over windows of a kernel. */
export class MaxPool2d extends poolOf<MaxPoolOptions>(maxPool2d) {}
/** `avgPool1d` over windows of a kernel. */
export class AvgPool1d extends poolOf<AvgPoolOptions>(avgPool1d) {}
/** `avgPool2d` over windows of a kernel. */
export class AvgPool2d extends poolOf<AvgPoolOptions>(avgPool2d) {}

/** `adaptiveAvgPool` to a spatial size, default 1. */
export class AdaptiveAvgPool extends Module {
  constructor(readonly size: PerAxis = 1) {
    super()
  }
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool(x, this.size)
  }
}
