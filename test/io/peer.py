# Python's side of the round trips: writes files from a description, and describes files.
# Of .npy arrays, the path is a folder of files called like the arrays.
# A description is {name: [dtype, shape, hex of the elements in row-major order]}.
import json
import os
import sys

import numpy as np
import safetensors
import safetensors.numpy

NUMPY = {"f64": "<f8", "f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4", "i8": "|i1", "u8": "|u1", "bool": "|b1"}
NAMES = {np.dtype(code): name for name, code in NUMPY.items()}
STORED = {"f64": "F64", "f32": "F32", "f16": "F16", "bf16": "BF16", "i64": "I64", "i32": "I32", "i8": "I8", "u8": "U8", "bool": "BOOL"}
FULL = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32", "i8": "int8", "u8": "uint8", "bool": "bool"}


def arrays(description):
    return {
        name: np.frombuffer(bytes.fromhex(data), dtype=NUMPY[dtype]).reshape(shape)
        for name, (dtype, shape, data) in description.items()
    }


def describe(loaded):
    return {
        name: [NAMES[array.dtype.newbyteorder("=")], list(array.shape), np.ascontiguousarray(array).tobytes().hex()]
        for name, array in loaded.items()
    }


def write(kind, path, description):
    if kind == "safetensors":
        # The arrays own the memory that the specs point at.
        held = {name: np.frombuffer(bytes.fromhex(data), dtype=np.uint8) for name, (_, _, data) in description.items()}
        tensors = {
            name: safetensors.TensorSpec(
                dtype=FULL[dtype], shape=shape, data_ptr=held[name].ctypes.data, data_len=held[name].nbytes
            )
            for name, (dtype, shape, _) in description.items()
        }
        with open(path, "wb") as file:
            file.write(safetensors.serialize(tensors, {"format": "np"}))
    elif kind == "npz":
        np.savez(path, **arrays(description))
    elif kind == "npz-compressed":
        np.savez_compressed(path, **arrays(description))
    else:
        for name, array in arrays(description).items():
            write_npy(kind, f"{path}/{name}.npy", array)


def write_npy(kind, path, array):
    if kind == "npy-fortran":
        array = np.array(array, order="F")
    if kind == "npy-big-endian":
        array = array.astype(array.dtype.newbyteorder(">"))
    if kind == "npy-version-2":
        with open(path, "wb") as file:
            np.lib.format.write_array(file, array, version=(2, 0))
    else:
        np.save(path, array)


def read(kind, path):
    if kind == "safetensors":
        with open(path, "rb") as file:
            entries = safetensors.deserialize(file.read())
        names = {stored: name for name, stored in STORED.items()}
        return {name: [names[info["dtype"]], info["shape"], bytes(info["data"]).hex()] for name, info in entries}
    if kind == "safetensors-numpy":
        return describe(safetensors.numpy.load_file(path))
    if kind == "npz":
        with np.load(path, allow_pickle=False) as archive:
            return describe(dict(archive))
    return describe({name[:-4]: np.load(f"{path}/{name}", allow_pickle=False) for name in sorted(os.listdir(path))})


order, kind, path = sys.argv[1:4]
if order == "write":
    write(kind, path, json.load(sys.stdin))
else:
    json.dump(read(kind, path), sys.stdout)
