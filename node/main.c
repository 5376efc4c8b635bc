#include "common/sys/daemon.h"
#include "node/config.h"
#include "node/server.h"

const char *argp_program_version = "fluenzr-node " FLZ_VERSION;

static struct config config;

static int on_check(struct flz_msg *msg)
{
    return node_config_check(&config, msg);
}

static int on_run(struct flz_log *log)
{
    return node_run(&config, log);
}

int main(int argc, char **argv)
{
    const struct daemon daemon = {
        .name = "fluenzr-node",
        .about = "A node of a FluenzR network: holds the credentials of its accounts and carries "
                 "their exchange tasks out over SMTP and IMAP.",
        .config_path = "/etc/fluenzr/fluenzr-node.yaml",
        .keys = node_config_keys,
        .keys_count = node_config_keys_count,
        .config = &config,
        .settings = &config.daemon,
        .on_check = on_check,
        .on_run = on_run,
    };
    return daemon_main(&daemon, argc, argv);
}
