/*
 * simrandom.h
 *	  Random numbers of the simulations: a seed repeats a run.  (splitmix64)
 *
 * test/sim/simrandom.h
 */
#ifndef SIMRANDOM_H
#define SIMRANDOM_H

typedef struct SimRandom
{
	uint64_t state;
} SimRandom;

static inline uint64_t
sim_random(SimRandom *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 to below - 1; below > 0. */
static inline uint64_t
sim_below(SimRandom *random, uint64_t below)
{
	return sim_random(random) % below;
}

static inline bool
sim_percent(SimRandom *random, unsigned percent)
{
	return sim_below(random, 100) < percent;
}

#endif /* SIMRANDOM_H */
