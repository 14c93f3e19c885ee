namespace Evenkeel.RaidBench;

/// <summary>NBD servers over Unix sockets: requests a second, and the server's processor time for each.</summary>
internal static class ServerPart
{
    private const int Bytes = 256 << 20;
    private const double Seconds = 1.5;

    private static readonly (string Pattern, string Block, int Depth)[] Loads =
    [
        ("randread", "4k", 1), ("randwrite", "4k", 1), ("randread", "4k", 32), ("randwrite", "4k", 32), ("read", "1m", 4), ("write", "1m", 4),
    ];

    public static Task MemoryAsync(Table table, int rounds, WorkDirectory work) => RunAsync(table, rounds, work,
    [
        ("Evenkeel", socket => Peer.OursAsync(socket, "memory", $"{Bytes}")),
        ("nbdkit", socket => Peer.OtherAsync(socket, "nbdkit", "--foreground", "--unix", socket, "memory", $"{Bytes}")),
    ]);

    public static Task FileAsync(Table table, int rounds, WorkDirectory work)
    {
        var file = work.Filled("disk", Bytes);
        return RunAsync(table, rounds, work,
        [
            ("Evenkeel", socket => Peer.OursAsync(socket, "file", file)),
            ("nbdkit", socket => Peer.OtherAsync(socket, "nbdkit", "--foreground", "--unix", socket, "file", file)),
            ("qemu-nbd", socket => Peer.OtherAsync(socket, "qemu-nbd", "--persistent", "--shared=8", "--format=raw", $"--socket={socket}", file)),
        ]);
    }

    private static async Task RunAsync(Table table, int rounds, WorkDirectory work, (string Name, Func<string, Task<Peer>> Start)[] systems)
    {
        for (var round = 0; round < rounds; round++)
        {
            foreach (var (name, start) in round % 2 == 0 ? systems.AsEnumerable() : Enumerable.Reverse(systems))
            {
                var socket = work.Socket();
                await using var peer = await start(socket);
                var uri = $"nbd+unix:///?socket={socket}";
                await Fio.NbdAsync(uri, "randrw", "4k", 32, 2); // compiled, cached
                foreach (var (pattern, block, depth) in Loads)
                {
                    var before = peer.CpuSeconds;
                    var rate = await Fio.NbdAsync(uri, pattern, block, depth, Seconds);
                    table.Add($"{pattern} {block}, depth {depth}, requests/s", name, rate);
                    table.Add($"{pattern} {block}, depth {depth}, server µs each", name, (peer.CpuSeconds - before) * 1e6 / (rate * Seconds));
                }
            }
        }
    }
}
