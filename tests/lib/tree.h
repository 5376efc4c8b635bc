/*
 * Folders that tests make, copy, damage and fill.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A fresh folder under $TMPDIR or /tmp; the path is freed, and all in it removed, by tree_free(),
 * which also unmounts what tree_mount() left there. NULL when it cannot be made. */
char *tree_new(const char *name);
void tree_free(char *path);

/* Copies the files of a folder (no subfolders) into a new one. 0 or -errno. */
int tree_copy(const char *from, const char *to);
void tree_remove(const char *path);

/* The first file, by name, that begins or ends with `part`: its path. */
bool tree_find(const char *folder, const char *part, char *ret_path, size_t size);

void tree_flip(const char *path, off_t offset, int bit);

/* Fills the file system of `path` with that file until about `leave` bytes are free. */
void tree_fill(const char *path, uint64_t leave);

/* Mounts an empty "tmpfs" or "ext4" (on a loop device) of that size. 0, or -1 and errno. */
int tree_mount(const char *path, const char *type, unsigned mebibytes);
void tree_unmount(const char *path);

/* Ends the ext4 under `path` as a power cut would: nothing more reaches the disk. 0 or -1. */
int tree_power_cut(const char *path);
/* Mounts the disk of a tree_mount() again after tree_unmount(). 0 or -1. */
int tree_remount(const char *path);
