/*
 * Runs a fuzzer's LLVMFuzzerTestOneInput() over the files and folders named in the arguments: the
 * committed corpus as an ordinary test, for builds without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX ((size_t)4 * 1024 * 1024)

static int run_file(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        perror(path);
        return -1;
    }
    uint8_t *data = malloc(FILE_MAX);
    if (!data)
        abort();
    size_t n = fread(data, 1, FILE_MAX, f);
    (void)fclose(f);
    /* An exact copy, so that the sanitizer sees a read behind the end. */
    uint8_t *exact = malloc(n > 0 ? n : 1);
    if (!exact)
        abort();
    memcpy(exact, data, n);
    free(data);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

static int run_path(const char *path, int *runs);

static int run_folder(const char *path, int *runs)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) {
        perror(path);
        return -1;
    }
    int r = 0;
    for (int i = 0; i < n; i++) {
        char child[4096];
        if (names[i]->d_name[0] != '.') {
            (void)snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
            if (run_path(child, runs) < 0)
                r = -1;
        }
        free(names[i]);
    }
    free(names);
    return r;
}

static int run_path(const char *path, int *runs)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        perror(path);
        return -1;
    }
    if (S_ISDIR(st.st_mode))
        return run_folder(path, runs);
    (*runs)++;
    return run_file(path);
}

int main(int argc, char **argv)
{
    int runs = 0;
    int r = 0;
    for (int i = 1; i < argc; i++)
        if (run_path(argv[i], &runs) < 0)
            r = 1;
    printf("%d inputs\n", runs);
    return r;
}
