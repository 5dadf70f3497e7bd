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

#define URLS_MAX 16

static uint8_t *put_string(uint8_t *at, const char *text);

Bytes
publication_encode(MemberAction action, uint64_t member_id)
{
	const char *name = action == MEMBER_PUBLISH ? config.name : "";
	const char *list = action == MEMBER_PUBLISH ? config.advertise_client_urls
												: config.initial_advertise_peer_urls;
	ConfigUrl urls[URLS_MAX];
	int count = config_urls(list, urls, URLS_MAX);
	EntryHeader header = {0};
	EntryMember member = {.member_id = member_id,
						  .action = action,
						  .max_learners = 1,
						  .name_length = (uint32_t) strlen(name)};
	size_t length = sizeof(header) + sizeof(member) + 4 + strlen(name);
	uint8_t *payload, *at;

	Check(count >= 0);
	for (int i = 0; i < count; i++)
		length += 4 + strlen(urls[i].text);
	if (action == MEMBER_PUBLISH)
		member.client_url_count = (uint32_t) count;
	else
		member.peer_url_count = (uint32_t) count;
	payload = at = malloc(length);
	Check(payload != NULL);
	memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	memcpy(at, &member, sizeof(member));
	at = put_string(at + sizeof(member), name);
	for (int i = 0; i < count; i++)
		at = put_string(at, urls[i].text);
	Check((size_t) (at - payload) == length);
	return (Bytes){payload, length};
}

static uint8_t *
put_string(uint8_t *at, const char *text)
{
	uint32_t length = (uint32_t) strlen(text);

	memcpy(at, &length, sizeof(length));
	memcpy(at + sizeof(length), text, length);
	return at + sizeof(length) + length;
}
