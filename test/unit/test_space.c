/*
 * test_space.c
 *	  Pages are reused exactly when nobody can see them: random lives of pages under all kinds of
 * pins, against a list that is searched in full each time.
 *
 * test/unit/test_space.c
 */
#include "rusd.h"

#include "pagecache/checkpoint.h"
#include "pagecache/space.h"

#include "pages_fixture.h"

#include "cmocka_all.h"

#define FRAMES 1000

typedef enum Fate
{
	FATE_FREE,
	FATE_USED,
	FATE_DEAD
} Fate;

/* What the space should know of a page. */
typedef struct Life
{
	Fate fate;
	uint64_t birth;
	uint64_t death;
} Life;

typedef struct World
{
	Shm *shm;
	PageSpace *space;
	Random random;
	Life lives[FRAMES];
	uint64_t published;
} World;

static void
world_begin(World *world, uint64_t seed)
{
	memset(world, 0, sizeof(*world));
	world->random.state = seed;
	world->shm = pages_shm_create(FRAMES);
	assert_int_equal(space_create(world->shm, 0, NULL, 0, &world->space), RUSD_OK);
}

static void
world_end(World *world)
{
	space_destroy(world->space);
	pages_shm_destroy(world->shm);
}

static uint64_t
world_allocate(World *world)
{
	uint64_t taken = atomic_load(&world->shm->positions->pages_taken);
	const PageHeader *header = space_allocate(world->space, PAGE_LEAF);
	Life *life = &world->lives[header->number];

	/* So raft sees that the applier is at work. */
	assert_int_equal(atomic_load(&world->shm->positions->pages_taken), taken + 1);
	/* [pagecache-1]: it was free, and it is the lowest that was. */
	assert_int_equal(life->fate, FATE_FREE);
	for (uint64_t page = 0; page < header->number; page++)
		assert_int_not_equal(world->lives[page].fate, FATE_FREE);
	assert_int_equal(header->birth, space_root(world->space));
	assert_int_equal(atomic_load(&world->shm->page_meta[header->number].state), PAGE_RESIDENT);
	*life = (Life){.fate = FATE_USED, .birth = header->birth};
	return header->number;
}

static void
world_free(World *world, uint64_t page)
{
	Life *life = &world->lives[page];

	space_free(world->space, page, life->birth);
	life->death = space_root(world->space);
	life->fate = life->birth == life->death ? FATE_FREE : FATE_DEAD;
}

static void
world_publish(World *world)
{
	RootState root = {.number = space_root(world->space)};

	shm_root_write(world->shm, &root);
	world->published = root.number;
	space_published(world->space);
	assert_int_equal(space_root(world->space), root.number + 1);
}

/* May somebody be at a root of [birth, death)? */
static bool
can_be_seen(const World *world, const Life *life)
{
	const Shm *shm = world->shm;
	uint64_t durable = atomic_load(&shm->positions->durable_root);

	if (life->death > world->published)
		return true;
	if (durable >= life->birth && durable < life->death)
		return true;
	if (atomic_load(&shm->checkpoint_root->root_given) != 0 &&
		shm->checkpoint_root->root.number >= life->birth &&
		shm->checkpoint_root->root.number < life->death)
		return true;
	for (uint32_t slot = 0; slot < shm->layout.slot_count; slot++)
	{
		uint64_t results = atomic_load(&shm->areas[slot]->result_pin);

		if (atomic_load(&shm->heads[slot].state) == SLOT_FREE)
			continue;
		for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
		{
			uint64_t root = atomic_load(&shm->areas[slot]->snapshot_pins[pin]);

			if (root != 0 && root >= life->birth && root < life->death)
				return true;
		}
		if ((results & 0xffff) != 0 && life->death > results >> 16)
			return true;
	}
	return false;
}

/* [pagecache-2], [pagecache-3]: reused exactly when it cannot be seen. */
static void
world_reclaim(World *world)
{
	uint64_t free_pages = 0;
	uint64_t used = 0;
	uint64_t end = 0;

	space_reclaim(world->space);
	for (uint64_t page = 0; page < FRAMES; page++)
	{
		Life *life = &world->lives[page];

		if (life->fate == FATE_DEAD && !can_be_seen(world, life))
			life->fate = FATE_FREE;
		free_pages += life->fate == FATE_FREE;
		used += life->fate == FATE_USED;
		if (life->fate != FATE_FREE)
			end = page + 1;
	}
	assert_int_equal(space_frames_free(world->space), free_pages);
	assert_int_equal(space_pages_used(world->space), used);
	assert_int_equal(space_pages_end(world->space), end);
}

/* Backends and the checkpointer come and go. */
static void
world_pin(World *world)
{
	Shm *shm = world->shm;
	uint32_t slot = (uint32_t) random_below(&world->random, shm->layout.slot_count);
	BackendArea *area = shm->areas[slot];
	_Atomic uint64_t *pin = &area->snapshot_pins[random_below(&world->random, SNAPSHOT_PINS)];

	switch (random_below(&world->random, 8))
	{
		case 0:
		case 1:
			if (world->published > 0)
				atomic_store(pin, world->published);
			break;
		case 2:
		case 3:
			atomic_store(pin, 0);
			break;
		case 4:
			/* The applier counts results of the root being built. */
			atomic_store(&area->result_pin, space_root(world->space) << 16 | 3);
			break;
		case 5:
			for (slot = 0; slot < shm->layout.slot_count; slot++)
				atomic_store(&shm->areas[slot]->result_pin, 0);
			break;
		case 6:
			if (atomic_load(&shm->positions->durable_root) == shm->checkpoint_root->root.number &&
				world->published > 0)
			{
				shm->checkpoint_root->root.number = world->published;
				atomic_fetch_add(&shm->checkpoint_root->root_given, 1);
			}
			else
				atomic_store(&shm->positions->durable_root, shm->checkpoint_root->root.number);
			break;
		default:
			/* A process ends without having let go; its slot is cleared, and used again. */
			atomic_store(&shm->heads[slot].state, SLOT_DEAD);
			world_reclaim(world);
			atomic_store(&shm->heads[slot].state, SLOT_FREE);
			world_reclaim(world);
			memset((void *) area->snapshot_pins, 0, sizeof(area->snapshot_pins));
			atomic_store(&area->result_pin, 0);
			atomic_store(&shm->heads[slot].state, SLOT_LIVE);
			break;
	}
}

static void
pages_are_reused_when_nobody_can_see_them(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++)
	{
		World world;

		world_begin(&world, seed);
		for (int i = 0; i < 4000; i++)
		{
			uint64_t page = random_below(&world.random, FRAMES);

			switch (random_below(&world.random, 10))
			{
				case 0:
				case 1:
				case 2:
				case 3:
					world_reclaim(&world);
					if (space_frames_free(world.space) > 0 &&
						space_pages_used(world.space) < FRAMES / 2)
						(void) world_allocate(&world);
					break;
				case 4:
				case 5:
				case 6:
					for (int tries = 0; tries < FRAMES; tries++, page = (page + 1) % FRAMES)
					{
						if (world.lives[page].fate != FATE_USED)
							continue;
						world_free(&world, page);
						break;
					}
					break;
				case 7:
					world_publish(&world);
					world_reclaim(&world);
					break;
				case 8:
					world_pin(&world);
					break;
				default:
					world_reclaim(&world);
					break;
			}
		}
		world_end(&world);
	}
}

static void
a_page_that_lived_in_one_root_is_free_at_once(void **state)
{
	World world;
	uint64_t page;

	(void) state;
	world_begin(&world, 1);
	page = world_allocate(&world);
	world_free(&world, page);
	assert_int_equal(space_frames_free(world.space), FRAMES);
	assert_int_equal(world_allocate(&world), page);
	world_end(&world);
}

static void
a_death_counts_when_its_root_is_published(void **state)
{
	World world;
	uint64_t page;

	(void) state;
	world_begin(&world, 1);
	page = world_allocate(&world);
	world_publish(&world);
	world_free(&world, page);
	/* The published root still has it. */
	world_reclaim(&world);
	assert_int_equal(space_frames_free(world.space), FRAMES - 1);
	world_publish(&world);
	world_reclaim(&world);
	assert_int_equal(space_frames_free(world.space), FRAMES);
	world_end(&world);
}

static void
deaths_alone_bring_pages_back(void **state)
{
	World world;

	(void) state;
	world_begin(&world, 1);
	/* Nobody calls space_reclaim: publishing does when enough have died. */
	for (int root = 0; root < 2000; root++)
	{
		const PageHeader *page = space_allocate(world.space, PAGE_LEAF);
		uint64_t number = page->number;
		uint64_t birth = page->birth;

		world_publish(&world);
		space_free(world.space, number, birth);
	}
	assert_true(space_pages_end(world.space) < 400);
	world_end(&world);
}

static void
the_recovered_checkpoint_is_kept(void **state)
{
	Shm *shm = pages_shm_create(FRAMES);
	PageSpace *space;
	uint64_t used[FRAMES / 64 + 1] = {0};
	uint64_t copied[FRAMES / 64 + 1] = {0};

	(void) state;
	used[0] = 0xf0;
	used[2] = 1;
	assert_int_equal(space_create(shm, 41, used, 200, &space), RUSD_OK);
	assert_int_equal(space_root(space), 42);
	assert_int_equal(space_pages_end(space), 129);
	assert_int_equal(space_pages_used(space), 5);
	assert_int_equal(space_copy_used(space, copied), 129);
	assert_memory_equal(copied, used, sizeof(used));
	assert_int_equal(atomic_load(&shm->page_meta[4].state), PAGE_ABSENT);
	assert_int_equal(atomic_load(&shm->page_meta[3].state), PAGE_FREE);
	assert_int_equal(space_lowest_free(space), 0);

	/* It is durable although the checkpointer has not said so yet. */
	space_free(space, 4, 40);
	shm_root_write(shm, &(RootState){.number = 42});
	space_published(space);
	space_reclaim(space);
	assert_int_equal(space_frames_free(space), FRAMES - 5);
	/* The pager has it in hand when the next checkpoint is durable. */
	atomic_store(&shm->positions->durable_root, 42);
	atomic_store(&shm->page_meta[4].state, PAGE_LOADING);
	space_reclaim(space);
	assert_int_equal(space_frames_free(space), FRAMES - 5);
	/* [pagecache-7] */
	atomic_store(&shm->page_meta[4].state, PAGE_ABSENT);
	space_reclaim(space);
	assert_int_equal(space_frames_free(space), FRAMES - 4);
	assert_int_equal(atomic_load(&shm->page_meta[4].state), PAGE_FREE);
	space_destroy(space);
	pages_shm_destroy(shm);
}

static void
more_pages_than_frames_are_refused(void **state)
{
	Shm *shm = pages_shm_create(FRAMES);
	PageSpace *space;
	uint64_t used[FRAMES / 64 + 2] = {0};

	(void) state;
	used[FRAMES / 64 + 1] = 1;
	assert_int_equal(space_create(shm, 1, used, (FRAMES / 64 + 1) * 64 + 1, &space),
					 RUSD_NO_MEMORY);
	pages_shm_destroy(shm);
}

/* [pagecache-4]: what can be allocated is what is told to be free, to the last frame. */
static void
every_frame_can_be_used(void **state)
{
	World world;

	(void) state;
	world_begin(&world, 1);
	while (space_frames_free(world.space) > 0)
		(void) world_allocate(&world);
	assert_int_equal(space_pages_end(world.space), FRAMES);
	assert_int_equal(space_lowest_free(world.space), PAGE_NONE);
	world_publish(&world);
	/* The last resort: allocation takes back what nobody sees, even if nobody asked for it. */
	world_free(&world, 500);
	world_publish(&world);
	world.lives[500].fate = FATE_FREE;
	assert_int_equal(world_allocate(&world), 500);
	world_end(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_reused_when_nobody_can_see_them),
		cmocka_unit_test(a_page_that_lived_in_one_root_is_free_at_once),
		cmocka_unit_test(a_death_counts_when_its_root_is_published),
		cmocka_unit_test(deaths_alone_bring_pages_back),
		cmocka_unit_test(the_recovered_checkpoint_is_kept),
		cmocka_unit_test(more_pages_than_frames_are_refused),
		cmocka_unit_test(every_frame_can_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
