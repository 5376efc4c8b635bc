/*
 * Any bytes as a content pack: refused, or every text of it can be said, is valid UTF-8, and comes
 * out the same twice.
 */
#include "common/content/content.h"
#include "common/content/utf8.h"

#include <stdlib.h>
#include <string.h>

#define LINT_BYTES_MAX 4096 /* the lint says each step some hundred times */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition)
        abort();
}

static void check_lines(struct flz_view text)
{
    while (text.len > 0) {
        const uint8_t *lf = memchr(text.data, '\n', text.len);
        demand(lf != NULL);
        size_t len = (size_t)(lf - text.data);
        demand(utf8_is_line((struct flz_view){.data = text.data, .len = len}));
        text = (struct flz_view){.data = lf + 1, .len = text.len - len - 1};
    }
}

static void say(const struct content_pack *pack, uint32_t scenario, uint32_t step, uint64_t seed)
{
    static const struct content_names names = {"Camille", "Camille Durand", "", ""};
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL, again = FLZ_BUF_NULL;
    demand(content_body(pack, scenario, step, seed, &names, &body) == 0);
    demand(content_body(pack, scenario, step, seed, &names, &again) == 0);
    demand(flz_view_equal(flz_buf_view(&body), flz_buf_view(&again)));
    check_lines(flz_buf_view(&body));
    demand(content_variants(pack, scenario, step) > 0);
}

static void on_finding(void *userdata, uint32_t line, const char *text)
{
    demand(line > 0 && text[0] != '\0');
    ++*(int *)userdata;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(content_freep) struct content_pack *pack = NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    int findings = 0;
    if (content_parse((struct flz_view){.data = data, .len = size}, "fuzz", &pack, &msg) < 0) {
        demand(msg.text[0] != '\0');
        return 0;
    }
    for (uint32_t scenario = 0; scenario < content_scenarios(pack); scenario++) {
        demand(content_subject(pack, scenario, size, &text) == 0);
        for (uint32_t step = 0; step < content_turns(pack, scenario); step++)
            say(pack, scenario, step, size);
    }
    demand(content_footer(pack, "network", "contact", &text) == 0);
    if (size <= LINT_BYTES_MAX)
        demand(content_lint(pack, on_finding, &findings) == findings);
    return 0;
}
