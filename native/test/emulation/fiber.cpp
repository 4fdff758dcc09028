// Switching saves the callee-saved registers on one stack and takes them from the other; AddressSanitizer is told.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the emulation switches stacks on x86-64 and arm64 only"
#endif

// void heddle_switch_stack(void** save, void* load)
#if defined(__x86_64__)
asm(R"(
.text
.local heddle_switch_stack
.type heddle_switch_stack, @function
heddle_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size heddle_switch_stack, .-heddle_switch_stack
)");
#else
asm(R"(
.text
.local heddle_switch_stack
.type heddle_switch_stack, %function
heddle_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#endif
extern "C" void heddle_switch_stack(void** save, void* load);

namespace heddle::emulation {

namespace {

constexpr size_t kStackBytes = size_t{256} << 10;

thread_local Fiber* running = nullptr;
thread_local void* resumer = nullptr;  // the stack pointer of whoever resumed the running fiber

#ifdef __SANITIZE_ADDRESS__
thread_local const void* resumerStack = nullptr;
thread_local size_t resumerBytes = 0;
#endif

}  // namespace

Fiber::Fiber() : stack_(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

void Fiber::start(void (*body)()) {
#ifdef __SANITIZE_ADDRESS__
  // Of the body before it, whose last frames never returned.
  __asan_unpoison_memory_region(stack_, kStackBytes);
#endif
  body_ = body;
  done_ = false;
  auto top = reinterpret_cast<uintptr_t>(stack_) + kStackBytes;
#if defined(__x86_64__)
  // Six registers, the address to return to, and the alignment that a call leaves.
  auto* frame = reinterpret_cast<void**>(top - 8) - 7;
  for (int i = 0; i < 6; i++) frame[i] = nullptr;
  frame[6] = reinterpret_cast<void*>(&Fiber::enter);
  frame[7] = nullptr;
#else
  auto* frame = reinterpret_cast<void**>(top - 160);
  for (int i = 0; i < 20; i++) frame[i] = nullptr;
  frame[11] = reinterpret_cast<void*>(&Fiber::enter);
#endif
  pointer_ = frame;
}

void Fiber::resume() {
  running = this;
#ifdef __SANITIZE_ADDRESS__
  void* shadow = nullptr;
  __sanitizer_start_switch_fiber(&shadow, stack_, kStackBytes);
#endif
  heddle_switch_stack(&resumer, pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
#endif
  running = nullptr;
}

void Fiber::yield() {
  Fiber* self = running;
#ifdef __SANITIZE_ADDRESS__
  void* shadow = nullptr;
  __sanitizer_start_switch_fiber(self->done_ ? nullptr : &shadow, resumerStack, resumerBytes);
#endif
  heddle_switch_stack(&self->pointer_, resumer);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(shadow, &resumerStack, &resumerBytes);
#endif
}

void Fiber::enter() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &resumerStack, &resumerBytes);
#endif
  Fiber* self = running;
  self->body_();
  self->done_ = true;
  yield();
  std::abort();  // a fiber that has returned is not resumed
}

}  // namespace heddle::emulation
