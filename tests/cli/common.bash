# What the suites share. FLUENZR_BIN is the folder of the programs.
bats_require_minimum_version 1.5.0

setup_dirs()
{
    export FLUENZR_BIN="${FLUENZR_BIN:-$BATS_TEST_DIRNAME/../../build/asan/bin}"
    export NO_COLOR=1 HOME="$BATS_TEST_TMPDIR" TZ=UTC
    unset FLUENZR_ADMIN FLUENZR_ENDPOINT FLUENZR_NODE_ENDPOINT
    export D="$BATS_TEST_TMPDIR"
}

ctl()
{
    "$FLUENZR_BIN/fluenzrctl" "$@"
}

# make_network DIR [OPTION…]: keys of a network whose administrators use DIR/c.sock.
make_network()
{
    local dir=$1
    shift
    ctl -q init --dir "$dir" --name world --contact stop@world.test \
        --admin-endpoint "ipc://$dir/c.sock" "$@"
}
