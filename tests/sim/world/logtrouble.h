/* What goes wrong with the coordinator's log, one layer above its disk. */
#pragma once

/* Another writer takes office: the next append is fenced off. */
void logtrouble_fence(void);
/* The next append has an unknown outcome: it has happened, or it has not. */
void logtrouble_unknown(void);
