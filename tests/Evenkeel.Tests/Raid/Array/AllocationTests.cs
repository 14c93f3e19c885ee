using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>A request on its usual way allocates nothing: no collector's pause grows with the load.</summary>
public sealed class AllocationTests
{
    [Theory]
    [InlineData(RaidLevel.Raid0, 3)]
    [InlineData(RaidLevel.Raid1, 2)]
    [InlineData(RaidLevel.Raid5, 4)]
    [InlineData(RaidLevel.Raid6, 5)]
    [InlineData(RaidLevel.Raid10, 4)]
    public async Task ReadsAndWrites_OnTheirUsualWay_AllocateNothing(RaidLevel level, int members)
    {
        var disks = Enumerable.Range(0, members).Select(IMemberDevice (i) => new MemoryDisk($"m{i}", 4 << 20)).ToArray();
        var array = await ArrayCreation.CreateAsync(new ArrayDefinition { Level = level, Name = "a", Slots = members, ChunkBytes = 16384, AssumeClean = true }, disks);
        var small = new byte[4096];
        var row = new byte[array.Geometry.DataMembers * 16384];
        Run(200);
        // What the runtime itself allocates now and then (compiling anew what is hot) is not a request's.
        Assert.Equal(0, Enumerable.Range(0, 5).Min(_ => Allocated(() => Run(1000))));

        // All ends at once on this thread: nothing waits for a disk.
        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                Done(array.WriteAsync(i % 64 * 4096, small));
                Done(array.ReadAsync(i % 64 * 4096, small));
                if (level is RaidLevel.Raid5 or RaidLevel.Raid6) Done(array.WriteAsync(0, row));
            }
        }
    }

    private static long Allocated(Action act)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        act();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void Done(ValueTask task)
    {
        Assert.True(task.IsCompletedSuccessfully);
        task.GetAwaiter().GetResult();
    }

    private sealed class MemoryDisk(string name, int bytes) : IMemberDevice
    {
        private readonly byte[] _content = new byte[bytes];

        public string Name => name;

        public long Length => bytes;

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

        public ValueTask DisposeAsync() => default;
    }
}
