"""cuBLASLt and cuDNN called bare: builds gpu/bare with nvcc, once, and runs a case of it in a process of its own."""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bare")


def _folders(kind):
    """Where the toolkit and pip keep headers (`include`) or libraries (`lib`)."""
    toolkits = [os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    if compiler := shutil.which("nvcc"):
        toolkits.append(os.path.dirname(os.path.dirname(os.path.realpath(compiler))))
    names = [kind] if kind == "include" else [kind, kind + "64"]
    found = [os.path.join(root, name) for root in toolkits if root for name in names]
    found += [folder for path in sys.path for folder in glob.glob(f"{path or '.'}/nvidia/*/{kind}")]
    found += [folder for folder in os.environ.get("HEDDLE_CUDA_PATH", "").split(":") if folder and kind == "lib"]
    return [folder for folder in dict.fromkeys(found) if os.path.isdir(folder)]


def _file_in(folders, name):
    for folder in folders:
        if os.path.exists(os.path.join(folder, name)):
            return folder
    raise RuntimeError(f"{name} is in none of {', '.join(folders) or 'no folder'}")


def build():
    """The program, built where there is none of these sources yet. Raises where a tool, header or library is missing."""
    compiler = shutil.which("nvcc")
    if not compiler:
        raise RuntimeError("there is no nvcc on the path")
    sources = sorted(glob.glob(f"{SOURCES}/*.cpp"))
    digest = hashlib.sha256()
    for path in sorted(glob.glob(f"{SOURCES}/*")):
        with open(path, "rb") as file:
            digest.update(file.read())
    program = os.path.join(tempfile.gettempdir(), f"heddle-bare-{digest.hexdigest()[:16]}")
    if os.path.exists(program):
        return program
    headers, libraries = _folders("include"), _folders("lib")
    needed = {_file_in(headers, name) for name in ("cublasLt.h", "cudnn.h")}
    flags = [f"-I{folder}" for folder in needed] + [f"-L{folder}" for folder in libraries]
    for name in ("libcublasLt.so.13", "libcudnn.so.9"):
        flags += ["-Xlinker", f"-rpath={_file_in(libraries, name)}", "-Xlinker", f"-l:{name}"]
    command = [compiler, "-O2", "-std=c++17", "-o", program + ".part", *sources, *flags]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode != 0:
        raise RuntimeError(f"nvcc could not build gpu/bare: {(built.stderr or built.stdout).strip()[-600:]}")
    os.replace(program + ".part", program)
    return program


def measure(case):
    """The row's figures for a case of the same name as heddle's."""
    sizes = case["sizes"]
    names = ("m", "n", "k") if case["kind"] == "matmul" else ("rows", "columns")
    arguments = [case["kind"], case["dtype"], *(str(sizes[name]) for name in names), str(case["copies"])]
    ran = subprocess.run([build(), *arguments], capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr.strip()[-600:] or f"it ended with {ran.returncode}")
    return {**json.loads(ran.stdout), "copies": case["copies"], "replayed": True}
