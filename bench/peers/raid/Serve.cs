using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.RaidBench;

/// <summary>Our server in a process of its own, as the peers are, until its standard input ends.</summary>
internal static class Serve
{
    public static async Task<int> RunAsync(string[] words)
    {
        var stop = new CancellationTokenSource();
        RaidArray? array = null;
        INbdExport export;
        EndPoint endpoint = int.TryParse(words[0], CultureInfo.InvariantCulture, out var port) ? new IPEndPoint(IPAddress.Loopback, port) : new UnixDomainSocketEndPoint(words[0]);
        switch (words[1..])
        {
            case ["memory", var bytes]: export = new MemoryExport(int.Parse(bytes, CultureInfo.InvariantCulture)); break;
            case ["file", var path]: export = new DeviceExport(await OpenAsync(path), ""); break;
            case ["array", var level, .. var members]:
                var devices = new List<IMemberDevice>();
                foreach (var member in members) devices.Add(await OpenAsync(member));
                array = await ArrayCreation.CreateAsync(new ArrayDefinition
                {
                    Level = (RaidLevel)int.Parse(level, CultureInfo.InvariantCulture), Name = "bench", Slots = members.Length, ChunkBytes = 64 * 1024, AssumeClean = true,
                }, devices);
                if (array.Geometry.HasParity) await MakeParityAsync(array);
                _ = SettleAsync(array, stop.Token);
                export = new ArrayExport(array, "");
                break;
            default: throw new ArgumentException("serve SOCKET|PORT memory BYTES | file PATH | array LEVEL MEMBER...");
        }

        await using (NbdServer.Start(endpoint, [export]))
        {
            Console.WriteLine("ready");
            await Console.In.ReadToEndAsync();
        }

        await stop.CancelAsync();
        if (array is not null) await array.StopAsync();
        return 0;
    }

    private static async Task<IMemberDevice> OpenAsync(string member) =>
        member.Contains("://", StringComparison.Ordinal) ? await NbdClient.ConnectAsync(member) : FileDevice.Open(member);

    private static async Task MakeParityAsync(RaidArray array) => await array.ScrubAsync(repair: true);

    // As the program's own host does.
    private static async Task SettleAsync(RaidArray array, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(5));
        try
        {
            while (await timer.WaitForNextTickAsync(stop)) await array.SettleAsync();
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private sealed class MemoryExport(int bytes) : INbdExport
    {
        private readonly byte[] _content = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);

        public string Name => "";

        public string Description => "memory";

        public long Length => _content.Length;

        public bool IsReadOnly => false;

        public bool FlushCoversAllConnections => true;

        public bool CanTrim => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            _content.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
            return default;
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            buffer.Span.CopyTo(_content.AsSpan((int)offset));
            return default;
        }

        public ValueTask FlushAsync() => default;

        public ValueTask TrimAsync(long offset, long length) => default;
    }
}
