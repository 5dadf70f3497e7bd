/*
 * crc32c.h
 *	  CRC-32C (Castagnoli), the checksum of everything that rusd stores.
 *
 * src/include/port/crc32c.h
 */
#ifndef CRC32C_H
#define CRC32C_H

/*
 * Extends crc (0 to begin) over length bytes; initial value and final xor as usual, so that
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b.  Any process.  Uses the instruction
 * of SSE 4.2 (every x86-64 build) or of ARMv8 (where the compiler is told that the CPU has it).
 */
extern uint32_t crc32c(uint32_t crc, const void *data, size_t length);

/* The same by tables: what other CPUs use, and what the tests compare with. */
extern uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif /* CRC32C_H */
