// NVIDIA's libraries, opened at run time: none is needed to load this one.
#pragma once

#include <string>

#include "../core/backend.h"

namespace heddle::cuda {

/// Looks for a library by its file name (`libcublasLt.so.13`): in HEDDLE_CUDA_PATH, beside this library, in CUDA_PATH,
/// by the system's loader, and in pip's `nvidia/*/lib` folders.
LibrarySearch findLibrary(const std::string& name);

/// Opens it, once per process and for good. Throws Error unsupported with the places looked at.
void* openLibrary(const std::string& name);

/// The address of a function. Throws Error unsupported where the library, found too old, has none of that name.
void* findFunction(void* library, const char* name);

/// Sets a pointer of a table to the function of that name.
template <typename Function>
void bind(void* library, const char* name, Function*& pointer) {
  pointer = reinterpret_cast<Function*>(findFunction(library, name));
}

}  // namespace heddle::cuda
