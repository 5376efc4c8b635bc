// How long LEMON's preflow takes to assign the first messages of the pool that bench_plan wrote: to
// candidates that may be written to, within quotas and inbound. It knows nothing of times, replies
// and weights. One line: messages that could be sent, that are assigned, CPU seconds.
#include <lemon/preflow.h>
#include <lemon/smart_graph.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <vector>

static double cpu_seconds()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
    FILE *f = argc > 1 ? fopen(argv[1], "r") : nullptr;
    uint32_t n, each;
    if (!f || fread(&n, sizeof n, 1, f) != 1 || fread(&each, sizeof each, 1, f) != 1)
        return 1;
    std::vector<uint32_t> rows(size_t(n) * (each + 2));
    if (fread(rows.data(), sizeof(uint32_t), rows.size(), f) != rows.size())
        return 1;

    double begin = cpu_seconds();
    lemon::SmartDigraph graph;
    graph.reserveNode(int(2 * n + 2));
    graph.reserveArc(int(n * (each + 2)));
    std::vector<lemon::SmartDigraph::Node> nodes;
    for (uint32_t i = 0; i < 2 * n + 2; i++)
        nodes.push_back(graph.addNode());
    lemon::SmartDigraph::ArcMap<int> capacity(graph);
    long wanted = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *row = &rows[size_t(i) * (each + 2)];
        capacity[graph.addArc(nodes[2 * n], nodes[i])] = int(row[0]);
        capacity[graph.addArc(nodes[n + i], nodes[2 * n + 1])] = int(row[1]);
        wanted += row[0];
        for (uint32_t k = 0; k < each; k++)
            capacity[graph.addArc(nodes[i], nodes[n + row[2 + k]])] = 1;
    }
    lemon::Preflow<lemon::SmartDigraph> preflow(graph, capacity, nodes[2 * n], nodes[2 * n + 1]);
    double built = cpu_seconds();
    preflow.run();
    printf("LEMON preflow: wanted %ld assigned %d seconds %.3f, and %.3f to build the graph\n",
           wanted, preflow.flowValue(), cpu_seconds() - built, built - begin);
    return 0;
}
