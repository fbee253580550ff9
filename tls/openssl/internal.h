// What the C files of this package share.

#ifndef LONGMEN_INTERNAL_H
#define LONGMEN_INTERNAL_H

#include "evp.h"

// longmen_error returns "what: reason" in memory of malloc; the reason is that
// of the oldest error in the thread's queue, which is the cause of the others. Only
// the reason's name is taken: an error's free text may cite what was read,
// such as a token's PIN.
char *longmen_error(const char *what);

// longmen_describe fills in what out.key is; a key of no use is freed, with its
// engine, and becomes an error. The numbers of a key in a token cannot be checked.
longmen_key longmen_describe(longmen_key out, int in_token);

#endif
