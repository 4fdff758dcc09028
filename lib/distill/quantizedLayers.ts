// Layers of int8 inference: what quantisation puts in the place of linear and convolution layers.
import { Cell } from '../cell.js'
import { Conv2d, type ConvLayerOptions } from '../nn/conv.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { full, zeros } from '../ops/create.js'
import { abs, add, div, maximum, mul } from '../ops/element.js'
import { quantizedConv2d, quantizedLinear, quantizeTensor } from '../ops/quantized.js'
import { max } from '../ops/reduce.js'
import type { Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'

/** What stands where a layer was folded into the one before it: gives its input. */
export class Folded extends Module {
  constructor(
    /** The class of what was there. */
    readonly was: string,
  ) {
    super()
  }
  forward(x: Tensor): Tensor {
    return x
  }
}

/** How a layer's input is quantised: u8, with a zero point unless that is 0. */
export interface InputGrid {
  readonly scale: Cell
  readonly zeroPoint: Cell | undefined
}

export const inputGrid = (name: string, hasZeroPoint: boolean): InputGrid => ({
  scale: new Cell(full([], 1), { name: `${name} scale` }),
  zeroPoint: hasZeroPoint ? new Cell(zeros([], { dtype: 'i32' }), { name: `${name} zero point` }) : undefined,
})

export interface QuantizedLayerParts {
  readonly weightShape: Shape
  readonly hasBias: boolean
  readonly input: InputGrid
  /** Of the layer that takes the result as it is; undefined: the result is f32. */
  readonly output: InputGrid | undefined
  /** Whether a ReLU follows inside the kernel. */
  readonly relu: boolean
}

/** Cells: weight i8, weightScale f32 [O], bias f32 [O], and the scales and zero points of what goes in and out. */
abstract class QuantizedLayer extends Module {
  readonly weight: Cell
  readonly weightScale: Cell
  readonly bias: Cell | undefined
  readonly inputScale: Cell
  readonly inputZeroPoint: Cell | undefined
  /** The next layer's, where it takes the result as it is. */
  readonly outputScale: Cell | undefined
  readonly outputZeroPoint: Cell | undefined
  readonly relu: boolean

  constructor({ weightShape, hasBias, input, output, relu }: QuantizedLayerParts) {
    super()
    const channels = [weightShape[0] as number]
    this.weight = new Cell(zeros(weightShape, { dtype: 'i8' }), { name: 'quantized weight' })
    this.weightScale = new Cell(full(channels, 1), { name: 'weight scale' })
    this.bias = hasBias ? new Cell(zeros(channels), { name: 'quantized bias' }) : undefined
    this.inputScale = input.scale
    this.inputZeroPoint = input.zeroPoint
    this.outputScale = output?.scale
    this.outputZeroPoint = output?.zeroPoint
    this.relu = relu
    this.training = false
  }

  protected options() {
    const { outputScale, relu } = this
    return {
      input: { scale: this.inputScale, zeroPoint: this.inputZeroPoint },
      output: outputScale && { scale: outputScale, zeroPoint: this.outputZeroPoint },
      bias: this.bias,
      activation: relu ? ('relu' as const) : ('none' as const),
    }
  }
}

/** `Linear` in int8: takes f32, or u8 from the layer before it. */
export class QuantizedLinear extends QuantizedLayer {
  forward(x: Tensor): Tensor {
    return quantizedLinear(x, this.weight, this.weightScale, this.options())
  }
}

export type ConvGeometry = Omit<ConvLayerOptions, 'bias' | 'dtype'>

/** `Conv2d` in int8: takes f32, or u8 from the layer before it. */
export class QuantizedConv2d extends QuantizedLayer {
  constructor(
    parts: QuantizedLayerParts,
    readonly geometry: ConvGeometry,
  ) {
    super(parts)
  }
  forward(x: Tensor): Tensor {
    return quantizedConv2d(x, this.weight, this.weightScale, { ...this.geometry, ...this.options() })
  }
}

/** `Linear` in int8 without calibration: each row of the input is quantised by its own largest element. */
export class DynamicQuantizedLinear extends Module {
  readonly weight: Cell
  readonly weightScale: Cell
  readonly bias: Cell | undefined

  constructor(weightShape: Shape, hasBias: boolean) {
    super()
    const channels = [weightShape[0] as number]
    this.weight = new Cell(zeros(weightShape, { dtype: 'i8' }), { name: 'quantized weight' })
    this.weightScale = new Cell(full(channels, 1), { name: 'weight scale' })
    this.bias = hasBias ? new Cell(zeros(channels), { name: 'quantized bias' }) : undefined
  }

  forward(x: Tensor): Tensor {
    const scale = maximum(div(max(abs(x), { axes: -1, keepDims: true }), 127), 1e-12)
    const rows = quantizeTensor(div(x, scale), { scale: 1, dtype: 'i8' })
    const y = mul(quantizedLinear(rows, this.weight, this.weightScale, { input: { scale: 1, dtype: 'i8' } }), scale)
    return this.bias ? add(y, this.bias) : y
  }
}

/** The layers that can be quantised, and no subclasses: what those do differently would be lost. */
export const isQuantizable = (module: Module): module is Linear | Conv2d =>
  Object.getPrototypeOf(module) === Linear.prototype || Object.getPrototypeOf(module) === Conv2d.prototype
