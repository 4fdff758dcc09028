/** The public face of heddle/data. @module heddle/data */
import '../ops/methods.js'

export { DataError, type DataErrorCode, type DataPlace } from '../runtime/errors.js'
export { type CollateRules, collate, type HostBatch, type PadField } from './collate.js'
export {
  assemble,
  type Column,
  type Columns,
  columnsOf,
  type NumberStatistics,
  type StringStatistics,
  samplesOf,
  statistics,
} from './columns.js'
export { type CsvOptions, type CsvRow, type CsvType, readCsv } from './csv.js'
export {
  type Dataset,
  type DatasetLike,
  dataset,
  IndexedDataset,
  type RandomAccess,
  type Sequence,
  StreamDataset,
} from './dataset.js'
export { type RandomErasingOptions, randAugment, randomErasing } from './image/augment.js'
export {
  autoContrast,
  brightness,
  type ColorJitterOptions,
  colorJitter,
  contrast,
  equalize,
  hue,
  normalize,
  posterize,
  saturation,
  sharpness,
  solarize,
} from './image/color.js'
export { type DecodeOptions, decodeImage } from './image/decode.js'
export { ImageFolder, type ImageSample, imageFolder } from './image/folder.js'
export {
  centerCrop,
  crop,
  flip,
  randomCrop,
  randomFlip,
  randomResizedCrop,
  randomRotation,
  resize,
  rotate,
  type Size,
} from './image/geometry.js'
export { cutmix, type MixOptions, mixup } from './image/mix.js'
export { compose, type Image, type ImageTransform } from './image/pixels.js'
export { type LineOptions, readJsonLines, readLines } from './jsonLines.js'
export { DataLoader, type LoaderOptions, type LoaderState } from './loader.js'
export { fromModule, type ModuleOptions } from './module.js'
export { ParquetDataset, type ParquetOptions, readParquet } from './parquet.js'
export type { ParquetRow } from './parquetFile.js'
export { Random } from './philox.js'
export type { Collate } from './produce.js'
export type { HostArray, NumericArray, SampleContext } from './sample.js'
export { type BatchSampler, type BucketOptions, bucketSampler, type Sampler, weightedSampler } from './sampler.js'
export type { TextSource } from './source.js'
export { type Fractions, kFold, type Parts, split, splitByGroup, splitByTime } from './split.js'
export type { Batch } from './tensors.js'
export {
  deleteWords,
  type MaskTokensOptions,
  maskTokens,
  maskWords,
  replaceWords,
  swapWords,
  type TextTransform,
} from './text/augment.js'
export { type EncodeOptions, loadTokenizer, Tokenizer } from './text/tokenizer.js'
export { tokenWindows, type WindowSample } from './text/windows.js'
export {
  type EncoderOptions,
  HashingEncoder,
  type HashingEncoderOptions,
  OneHotEncoder,
  OrdinalEncoder,
} from './transform/encoder.js'
export { MissingIndicator, SimpleImputer, type SimpleImputerOptions } from './transform/imputer.js'
export { IterativeImputer, type IterativeImputerOptions } from './transform/iterative.js'
export { KNNImputer, type KNNImputerOptions } from './transform/nearest.js'
export { Pipeline } from './transform/pipeline.js'
export { MinMaxScaler, RobustScaler, StandardScaler } from './transform/scaler.js'
export { type ColumnOptions, Transform, type TransformJSON, transformFromJSON } from './transform/transform.js'
