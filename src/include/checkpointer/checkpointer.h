/*
 * checkpointer.h
 *	  Process checkpointer: the loop around checkpointer_step.
 *
 * src/include/checkpointer/checkpointer.h
 */
#ifndef CHECKPOINTER_H
#define CHECKPOINTER_H

does_not_return extern void checkpointer_main(void);

#endif /* CHECKPOINTER_H */
