// What is worth keeping between processes, such as measured choices: small files in the user's cache folder.
#pragma once

#include <optional>
#include <string>

namespace heddle::cuda {

/// HEDDLE_CACHE, else $XDG_CACHE_HOME/heddle, else ~/.cache/heddle; empty where none of them is set.
std::string cacheFolder();

/// What was last kept under a key, which may be any bytes. Nothing where there is none or the file is damaged.
std::optional<std::string> readCached(const std::string& kind, const std::string& key);

/// Keeps a value. Readers see the old file or the new one whole, whoever writes beside us. A folder that cannot be
/// written is no error: the value is found out again next time.
void writeCached(const std::string& kind, const std::string& key, const std::string& value);

}  // namespace heddle::cuda
