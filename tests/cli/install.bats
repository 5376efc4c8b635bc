# What "cmake --install" lays down, and whether the units and the samples find it there.
load common.bash

setup()
{
    setup_dirs
    run -0 cmake --install "$FLUENZR_BIN/.." --prefix "$D/usr"
    DEPLOY="$BATS_TEST_DIRNAME/../../deploy"
}

@test "install: three programs, packs, samples, providers, units, users, folders" {
    for program in fluenzr-coordinator fluenzr-node fluenzrctl; do
        [ -x "$D/usr/bin/$program" ]
    done
    diff -r -x README.md "$DEPLOY/content" "$D/usr/share/fluenzr/content"
    diff -r "$DEPLOY/conf" "$D/usr/share/fluenzr/conf" | grep -v 'Only in .*: providers.yaml' && false
    cmp "$DEPLOY/providers.yaml" "$D/usr/share/fluenzr/conf/providers.yaml"
    cmp "$DEPLOY/systemd/fluenzr.sysusers" "$D/usr/lib/sysusers.d/fluenzr.conf"
    cmp "$DEPLOY/systemd/fluenzr.tmpfiles" "$D/usr/lib/tmpfiles.d/fluenzr.conf"
}

@test "install: what units and samples name below /usr is there" {
    named=$(grep -rhoE '/usr/(bin|share)/[A-Za-z0-9./_-]*[A-Za-z0-9_-]' \
        "$D/usr/lib/systemd/system" "$D/usr/share/fluenzr/conf" | sort -u)
    [[ $named == *fluenzr-node* && $named == *OPERATING.md* && $named == *content* ]]
    while read -r path; do
        [ -e "$D$path" ] || { echo "$path is not there"; false; }
    done <<< "$named"
}

@test "install: the samples are right for where they stand" {
    sed -i "s|/etc/fluenzr/providers.yaml|$D/usr/share/fluenzr/conf/providers.yaml|; s|/usr/share|$D/usr/share|" \
        "$D/usr/share/fluenzr/conf/"*.yaml
    run -0 "$D/usr/bin/fluenzr-node" --config "$D/usr/share/fluenzr/conf/fluenzr-node.yaml" --show
    run -0 "$D/usr/bin/fluenzr-coordinator" \
        --config "$D/usr/share/fluenzr/conf/fluenzr-coordinator.yaml" --show
}

@test "install: nothing is written outside of the prefix" {
    [ "$(find "$D" -mindepth 1 -maxdepth 1)" = "$D/usr" ]
    [ "$(ls "$D/usr")" = "bin
lib
share" ]
}

@test "install: the node can write where its sample puts the vault's key" {
    folder=$(dirname "$(sed -n '/^vault:/,/^[a-z]/s/^  name: *//p' "$D/usr/share/fluenzr/conf/fluenzr-node.yaml")")
    grep -q "^ReadWritePaths=.*-$folder\$" "$D/usr/lib/systemd/system/fluenzr-node.service"
    grep -q "^d $folder 0700 fluenzr-node " "$D/usr/lib/tmpfiles.d/fluenzr.conf"
}
