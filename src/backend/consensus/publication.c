/*
 * publication.c
 *	  The log entries by which a member makes itself known: its addition at bootstrap, its name and
 * client URLs after each start (BOOT-25).
 *
 * src/backend/consensus/publication.c
 */
#include "rusd.h"

#include "consensus/publication.h"
#include "utils/config.h"

static uint8_t *put_string(uint8_t *at, const char *text);

Bytes
member_entry_encode(const EntryMember *member, const char *name, const char *const *urls)
{
	EntryHeader header = {0};
	EntryMember filled = *member;
	uint32_t count = member->peer_url_count + member->client_url_count;
	size_t length = sizeof(header) + sizeof(filled) + 4 + strlen(name);
	uint8_t *payload, *at;

	filled.name_length = (uint32_t) strlen(name);
	for (uint32_t i = 0; i < count; i++)
		length += 4 + strlen(urls[i]);
	payload = at = malloc(length);
	Check(payload != NULL);
	memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	memcpy(at, &filled, sizeof(filled));
	at = put_string(at + sizeof(filled), name);
	for (uint32_t i = 0; i < count; i++)
		at = put_string(at, urls[i]);
	Check((size_t) (at - payload) == length);
	return (Bytes){payload, length};
}

Bytes
publication_encode(uint64_t member_id)
{
	ConfigUrl urls[CONFIG_URLS_MAX];
	const char *texts[CONFIG_URLS_MAX];
	int count = config_urls(config.advertise_client_urls, urls, CONFIG_URLS_MAX);
	EntryMember member = {.member_id = member_id, .action = MEMBER_PUBLISH, .max_learners = 1};

	Check(count >= 0);
	member.client_url_count = (uint32_t) count;
	for (int i = 0; i < count; i++)
		texts[i] = urls[i].text;
	return member_entry_encode(&member, config.name, texts);
}

static uint8_t *
put_string(uint8_t *at, const char *text)
{
	uint32_t length = (uint32_t) strlen(text);

	memcpy(at, &length, sizeof(length));
	memcpy(at + sizeof(length), text, length);
	return at + sizeof(length) + length;
}
