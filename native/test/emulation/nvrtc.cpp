// NVRTC's functions, played by the host's C++ compiler. Its "code" is the path of a shared object (compiler.h), which
// lies in a folder that all test processes share and is made once per source.
// HEDDLE_CUDA_EMULATION_SOURCES=<folder> also keeps every source there, to be compiled by the real NVRTC.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

extern char** environ;

namespace {

namespace files = std::filesystem;

constexpr int kSuccess = 0;
constexpr int kCompilation = 6;

struct Program {
  std::string source;
  std::string code;
  std::string log;
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

void write(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::string hashOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

/// The exit status; what the program says goes to `log`.
int run(const std::vector<std::string>& words, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int started = posix_spawnp(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (started != 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Where code lies, and the compiler's words up to the source.
struct Compiler {
  std::string folder;
  std::vector<std::string> command;
  std::string library;  // this one, which has the symbols that kernels use

  Compiler() {
    Dl_info info;
    dladdr(reinterpret_cast<const void*>(&read), &info);
    library = info.dli_fname;
    // No optimisation: the time goes into compiling, not into the few elements of tests. C's own headers are a third of
    // the size of the C++ library's.
    command = {HEDDLE_EMULATION_COMPILER, "-std=c++17",        "-O0",        "-fPIC", "-w",
               "-fno-strict-aliasing",    "-ffp-contract=off", "-nostdinc++"};
#ifdef __SANITIZE_ADDRESS__
    command.insert(command.end(), {"-O1", "-fsanitize=address", "-g1"});
#endif
    const std::string builtins = std::string(HEDDLE_EMULATION_HEADERS) + "/test/emulation/device_builtins.h";
    std::string key = read(builtins);
    for (const std::string& word : command) key += word;
    const char* temporary = std::getenv("TMPDIR");
    folder = std::string(temporary && *temporary ? temporary : "/tmp") + "/heddle-emulation-" +
             std::to_string(getuid()) + "/" + hashOf(key);
    files::create_directories(folder);
    command.insert(command.end(), {"-include", builtins});
  }
};

const Compiler& compiler() {
  static const Compiler found;
  return found;
}

/// What compiler.h looks for, per kernel.
std::string entriesOf(const std::string& source) {
  static const std::regex kernel(R"re(extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\()re");
  std::string text;
  for (std::sregex_iterator it(source.begin(), source.end(), kernel), end; it != end; ++it) {
    const std::string name = (*it)[1];
    text += "extern \"C\" void " + name + "_call(void** arguments) { " + name +
            "(*static_cast<Operands*>(arguments[0])); }\n";
    text += "extern \"C\" const size_t " + name + "_parameter_bytes = sizeof(Operands);\n";
  }
  return text;
}

}  // namespace

#define EMULATED extern "C" __attribute__((visibility("default"))) int

// No version of the real one, for what it compiles is not for it.
EMULATED nvrtcVersion(int* major, int* minor) { return *major = 0, *minor = 0, kSuccess; }
EMULATED nvrtcGetNumSupportedArchs(int* count) { return *count = 2, kSuccess; }
EMULATED nvrtcGetSupportedArchs(int* architectures) {
  architectures[0] = 75;
  architectures[1] = 80;
  return kSuccess;
}

EMULATED nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*,
                            const char* const*) {
  return *program = new Program{source, "", ""}, kSuccess;
}
EMULATED nvrtcDestroyProgram(Program** program) {
  delete *program;
  return *program = nullptr, kSuccess;
}

EMULATED nvrtcCompileProgram(Program* program, int, const char* const*) {
  const std::string name = hashOf(program->source);
  if (const char* sources = std::getenv("HEDDLE_CUDA_EMULATION_SOURCES"); sources && *sources) {
    files::create_directories(sources);
    write(std::string(sources) + "/" + name + ".cu", program->source);
  }
  const std::string object = compiler().folder + "/" + name + ".so";
  program->code = "heddle-emulation:" + object;
  if (files::exists(object)) return kSuccess;
  const std::string own = compiler().folder + "/" + name + "." + std::to_string(getpid());
  write(own + ".cpp", program->source + entriesOf(program->source));
  std::vector<std::string> words = compiler().command;
  words.insert(words.end(),
               {"-shared", own + ".cpp", "-o", own + ".so", "-nostdlib", compiler().library, "-lm", "-lc"});
  const int status = run(words, own + ".log");
  program->log = read(own + ".log");
  if (status == 0) files::rename(own + ".so", object);
  files::remove(own + ".cpp");
  files::remove(own + ".log");
  return status == 0 ? kSuccess : kCompilation;
}

EMULATED nvrtcGetCUBINSize(Program* program, size_t* bytes) { return *bytes = program->code.size() + 1, kSuccess; }
EMULATED nvrtcGetCUBIN(Program* program, char* code) {
  return std::memcpy(code, program->code.c_str(), program->code.size() + 1), kSuccess;
}
EMULATED nvrtcGetPTXSize(Program*, size_t* bytes) { return *bytes = 0, kCompilation; }
EMULATED nvrtcGetPTX(Program*, char*) { return kCompilation; }
EMULATED nvrtcGetProgramLogSize(Program* program, size_t* bytes) { return *bytes = program->log.size() + 1, kSuccess; }
EMULATED nvrtcGetProgramLog(Program* program, char* log) {
  return std::memcpy(log, program->log.c_str(), program->log.size() + 1), kSuccess;
}
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int result) {
  return result == kCompilation ? "NVRTC_ERROR_COMPILATION" : "emulated error";
}
