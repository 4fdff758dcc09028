// Installs the Python libraries that heddle's files are compared with into a folder of .peers, once; prints that folder.
import { printInstalled } from './python-packages.mjs'

printInstalled([
  'numpy==2.4.6',
  'safetensors==0.8.0',
  // TensorBoard's reader of event files, and what that imports.
  'tensorboard==2.21.0',
  'protobuf==7.36.2',
  'absl-py==2.3.1',
  'packaging==25.0',
  'six==1.17.0',
  // scikit-learn's models, beside which an example's stands.
  'scikit-learn==1.9.1',
  'scipy==1.17.1',
  'joblib==1.6.0',
  'threadpoolctl==3.8.0',
  'narwhals==2.29.0',
])
