// What attention compiles per instruction-set level, in order of use.
#include "tile_loops.h"

#include "philox_loops.h"

#include "attention_dropout_loops.h"

#include "attention_loops.h"

#include "attention_few_queries_loops.h"

#include "attention_grad_loops.h"
