/*
 * pager.h
 *	  Process pager: the loop around pager_step.
 *
 * src/include/pager/pager.h
 */
#ifndef PAGER_H
#define PAGER_H

does_not_return extern void pager_main(void);

#endif /* PAGER_H */
