using System.Net;
using System.Net.Sockets;

namespace Evenkeel.RaidBench;

/// <summary>A mirror of two legs over TCP against one such leg behind the same kind of server: writes of 4 KiB, one at a time.</summary>
internal static class MirrorPart
{
    private const long Bytes = 256 << 20;

    public static async Task RunAsync(Table table, int rounds, WorkDirectory work)
    {
        string[] files = [work.Filled("leg-a", Bytes), work.Filled("leg-b", Bytes), work.Filled("leg-c", Bytes)];
        for (var round = 0; round < rounds; round++)
        {
            int[] ports = [FreePort(), FreePort(), FreePort()];
            var socket = work.Socket();
            await using var a = await Peer.OursAsync($"{ports[0]}", "file", files[0]);
            await using var b = await Peer.OursAsync($"{ports[1]}", "file", files[1]);
            await using var alone = await Peer.OursAsync($"{ports[2]}", "file", files[2]);
            await using var mirror = await Peer.OursAsync(socket, "array", "1", $"nbd://127.0.0.1:{ports[0]}/", $"nbd://127.0.0.1:{ports[1]}/");
            var single = work.Socket();
            await using var front = await Peer.OursAsync(single, "file", $"nbd://127.0.0.1:{ports[2]}/");
            string both = $"nbd+unix:///?socket={socket}", one = $"nbd+unix:///?socket={single}";
            foreach (var uri in new[] { both, one }) await Fio.NbdAsync(uri, "randrw", "4k", 8, 2);
            var turns = round % 2 == 0 ? new[] { true, false } : [false, true];
            foreach (var mirrored in turns) await AddAsync(mirrored, "bits to be set on the way", 2);
            // All of it, so that the bitmap names every chunk: what a volume at work meets.
            await Fio.NbdAsync(both, "write", "1m", 4, 2);
            foreach (var mirrored in turns) await AddAsync(mirrored, "bits set", 1.5);

            async Task AddAsync(bool mirrored, string bits, double seconds) => table.Add(
                $"randwrite 4k, depth 1, {bits}, requests/s", mirrored ? "Evenkeel" : "one leg over TCP", await Fio.NbdAsync(mirrored ? both : one, "randwrite", "4k", 1, seconds));
        }
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
