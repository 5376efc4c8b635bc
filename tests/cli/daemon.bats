# How the daemons begin: arguments and settings, before anything is opened.
load common.bash

setup()
{
    setup_dirs
    CONF="$BATS_TEST_DIRNAME/../../deploy/conf"
}

daemons()
{
    printf '%s\n' fluenzr-coordinator fluenzr-node
}

@test "--check calls each sample good, and a slip in it by line" {
    for daemon in $(daemons); do
        run -0 "$FLUENZR_BIN/$daemon" --check --config "$CONF/$daemon.yaml"
        [[ $output == *"$daemon.yaml: good" ]]
        sed 's/^state_dir:/state_dri:/' "$CONF/$daemon.yaml" > "$D/slip.yaml"
        run --separate-stderr -78 "$FLUENZR_BIN/$daemon" --check -c "$D/slip.yaml"
        [[ $stderr == "$daemon: slip.yaml:"*"state_dri"*"state_dir"* && -z $output ]]
    done
}

@test "--show prints every key with its source, and can be read back" {
    for daemon in $(daemons); do
        "$FLUENZR_BIN/$daemon" --show -c "$CONF/$daemon.yaml" > "$D/shown.yaml"
        grep -q "^state_dir: .*# .*$daemon.yaml:[0-9]" "$D/shown.yaml"
        grep -q '^  level: info' "$D/shown.yaml"
        "$FLUENZR_BIN/$daemon" --show -c "$D/shown.yaml" | sed 's/ *#.*//' > "$D/again.yaml"
        diff <(sed 's/ *#.*//' "$D/shown.yaml") "$D/again.yaml"
    done
}

@test "the samples name every key" {
    for daemon in $(daemons); do
        run -1 grep '# default' <("$FLUENZR_BIN/$daemon" --show -c "$CONF/$daemon.yaml")
    done
}

@test "no settings: exit 78 and the path; unknown argument: exit 64" {
    for daemon in $(daemons); do
        run --separate-stderr -78 "$FLUENZR_BIN/$daemon" -c "$D/none.yaml"
        [[ $stderr == "$daemon: $D/none.yaml: "*"No such file"* ]]
        run --separate-stderr -64 "$FLUENZR_BIN/$daemon" now
        [[ $stderr == *"unexpected argument 'now'"* ]]
        run --separate-stderr -64 "$FLUENZR_BIN/$daemon" --frobnicate
        run -0 "$FLUENZR_BIN/$daemon" --version
        [[ $output == "$daemon "[0-9]* ]]
    done
}

@test "--restored is the coordinator's alone" {
    run -0 "$FLUENZR_BIN/fluenzr-coordinator" --restored --check -c "$CONF/fluenzr-coordinator.yaml"
    run --separate-stderr -64 "$FLUENZR_BIN/fluenzr-node" --restored --check
}
