using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;

namespace Evenkeel.RaidBench;

/// <summary>A member is away while some chunks are written; bytes that its return moves to it, against bytes of those chunks.</summary>
internal static class ResyncPart
{
    public static async Task RunAsync(Table table)
    {
        var devices = new[] { new Counting(256 << 20), new Counting(256 << 20) };
        var array = await ArrayCreation.CreateAsync(new ArrayDefinition { Level = RaidLevel.Raid1, Name = "resync", Slots = 2, AssumeClean = true }, devices);
        var away = array.Members[1];
        await array.FailAsync(away);
        await array.RemoveAsync(away);
        var random = new Random(1);
        for (var i = 0; i < 200; i++) await array.WriteAsync(random.Next((int)(array.Length / 4096)) * 4096L, new byte[4096]);
        var dirty = 0L;
        var before = devices[1].Written;
        var added = await array.AddAsync(devices[1]);
        var total = 0L;
        await array.RebuildAsync(new Relay(progress => total = progress.TotalBytes));
        dirty = total;
        table.Add("bytes written to the member that returned", "Evenkeel", devices[1].Written - before);
        table.Add("bytes written to the member that returned", "bytes of the chunks that differ", dirty);
        if (added.State != MemberState.InSync) throw new InvalidOperationException("It did not return.");
    }

    private sealed class Relay(Action<SyncProgress> report) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => report(value);
    }

    private sealed class Counting(int bytes) : IMemberDevice
    {
        private readonly byte[] _content = new byte[bytes];

        public long Written { get; private set; }

        public string Name => "memory";

        public long Length => bytes;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            _content.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
            return default;
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            Written += buffer.Length;
            buffer.Span.CopyTo(_content.AsSpan((int)offset));
            return default;
        }

        public ValueTask FlushAsync() => default;

        public ValueTask DisposeAsync() => default;
    }
}
