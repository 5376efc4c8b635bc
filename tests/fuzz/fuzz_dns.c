/*
 * Answers of name servers, as bytes from the network: never more records or longer texts than the
 * bounds, and nothing but a whole answer is a finding. The first byte chooses the type asked for.
 */
#include "common/sys/dns.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A,   DNS_AAAA, DNS_CNAME, DNS_MX,
                                          DNS_PTR, DNS_TXT,  DNS_SRV};
    static struct dns_answer answer;
    if (size == 0)
        return 0;
    enum dns_type type = types[data[0] % (sizeof types / sizeof types[0])];
    dns_answer_parse((struct flz_view){data + 1, size - 1}, type, &answer);
    assert(answer.count <= DNS_RECORDS_MAX && answer.chain_count <= DNS_CHAIN_MAX);
    assert((answer.outcome == DNS_FOUND) == (answer.count > 0));
    assert((answer.outcome == DNS_FAILED) == (answer.reason[0] != '\0'));
    for (size_t i = 0; i < answer.count; i++) {
        const struct dns_record *record = &answer.records[i];
        assert(strlen(record->host) < FLZ_DOMAIN_MAX);
        assert((type == DNS_TXT) == (record->text != NULL));
        assert(!record->text || strlen(record->text) < DNS_TEXT_MAX);
    }
    dns_answer_deinit(&answer);
    return 0;
}
