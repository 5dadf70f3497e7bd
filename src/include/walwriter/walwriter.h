/*
 * walwriter.h
 *	  Process walwriter: the loop around wal_writer_step.
 *
 * src/include/walwriter/walwriter.h
 */
#ifndef WALWRITER_H
#define WALWRITER_H

does_not_return extern void walwriter_main(void);

#endif /* WALWRITER_H */
