using Evenkeel.Raid.Devices;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Devices;

/// <summary>Writes that return before the device has them: in order, bounded, and never more behind than somebody who takes over was told.</summary>
public sealed class BacklogDeviceTests : IAsyncDisposable
{
    private const int Limit = 1 << 20, Block = 64 * 1024, Blocks = Limit / Block;
    private readonly SimulatedDisk _disk = new(new PowerSupply(1), 8 << 20, "leg");
    private readonly SlowLine _line;
    private BacklogDevice _device;

    public BacklogDeviceTests() => _device = new BacklogDevice("leg", _line = new SlowLine(_disk), Limit, blocks: false, () => { });

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static byte[] Filled(byte value) => [.. Enumerable.Repeat(value, Block)];

    public ValueTask DisposeAsync()
    {
        _line.Cut();
        return _device.DisposeAsync();
    }

    [Fact]
    public async Task Write_OnALineThatStands_ReturnsAtOnceAndIsCountedUntilItIsThere()
    {
        await _device.WriteAsync(0, Filled(1));
        await _device.WriteAsync(Block, Filled(2));
        Assert.Equal(2 * Block, _device.BacklogBytes);
        Assert.Empty(_line.Done);
        Assert.True(_device.Age > TimeSpan.Zero);
        _line.Open();
        await _device.DurableAsync().WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Equal(0, _device.BacklogBytes);
        Assert.Equal(TimeSpan.Zero, _device.Age);
    }

    [Fact]
    public async Task WritesAndFlushes_AreCarriedOutInTheirOrder()
    {
        for (var i = 0; i < 6; i++)
        {
            await _device.WriteAsync(i * Block, Filled((byte)i));
            if (i % 2 == 1) await _device.FlushAsync();
        }

        _line.Open();
        await _device.DurableAsync().WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Equal([0, Block, -1, 2 * Block, 3 * Block, -1, 4 * Block, 5 * Block, -1], _line.Done);
    }

    [Fact]
    public async Task Write_WhenTheBacklogIsFull_FailsAtOnceAndTheDeviceKeepsWhatItHad()
    {
        for (var i = 0; i < Blocks; i++) await _device.WriteAsync(i * Block, Filled((byte)(i + 1)));
        Assert.Equal(Limit, _device.BacklogBytes);
        await Assert.ThrowsAsync<IOException>(async () => await _device.WriteAsync(0, Filled(99)).AsTask().WaitAsync(TimeSpan.FromSeconds(5), Token));
        Assert.Contains("backlog is full", _device.Behind, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(async () => await _device.FlushAsync());
        await Assert.ThrowsAsync<IOException>(async () => await _device.DurableAsync());
        // Only what was on its way arrives, from the first on and without a gap.
        _line.Open();
        await _device.DisposeAsync();
        Assert.Equal(Enumerable.Range(0, _line.Done.Count).Select(i => (long)i * Block), _line.Done);
        Assert.True(_line.Done.Count < Blocks + 1);
    }

    [Fact]
    public async Task Write_WhenTheBacklogIsFullAndItIsHeld_WaitsForTheReleaseAlone()
    {
        _device.Hold();
        for (var i = 0; i < Blocks; i++) await _device.WriteAsync(i * Block, Filled(1));
        var waiting = _device.WriteAsync(0, Filled(2)).AsTask();
        await Task.Delay(200, Token); // Nothing but the release ends the wait.
        Assert.False(waiting.IsCompleted, "a write returned that makes the leg lack more than whoever takes over there was told");
        Assert.Equal(1, _device.Frozen);
        _device.Release();
        await Assert.ThrowsAsync<IOException>(async () => await waiting.WaitAsync(TimeSpan.FromSeconds(5), Token));
        Assert.Equal(0, _device.Frozen);
    }

    [Fact]
    public async Task Write_AfterTheLineBrokeAndItIsHeld_ReturnsUpToTheBoundAndThenWaits()
    {
        _device.Hold();
        for (var i = 0; i < 4; i++) await _device.WriteAsync(i * Block, Filled(1));
        _line.Cut();
        await UntilAsync(() => _device.Behind is not null);
        for (var i = 4; i < Blocks; i++) await _device.WriteAsync(i * Block, Filled(1)).AsTask().WaitAsync(TimeSpan.FromSeconds(5), Token);
        await _device.FlushAsync();
        Assert.Equal(Limit, _device.BacklogBytes);
        var waiting = _device.WriteAsync(0, Filled(2)).AsTask();
        await Task.Delay(200, Token);
        Assert.False(waiting.IsCompleted);
        _device.Release();
        await Assert.ThrowsAsync<IOException>(async () => await waiting.WaitAsync(TimeSpan.FromSeconds(5), Token));
    }

    [Fact]
    public async Task Write_WhenTheBacklogIsFullAndItBlocks_WaitsUntilThereIsRoom()
    {
        await _device.DisposeAsync();
        var line = new SlowLine(_disk);
        _device = new BacklogDevice("leg", line, Limit, blocks: true, () => { });
        for (var i = 0; i < Blocks; i++) await _device.WriteAsync(i * Block, Filled(1));
        var waiting = _device.WriteAsync(Limit, Filled(2)).AsTask();
        await Task.Delay(200, Token);
        Assert.False(waiting.IsCompleted);
        line.Open();
        await waiting.WaitAsync(TimeSpan.FromSeconds(10), Token);
        await _device.DurableAsync().WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Null(_device.Behind);
    }

    [Fact]
    public async Task Room_WhileMoreThanHalfIsTaken_IsWaitedFor()
    {
        for (var i = 0; i < Blocks / 2 + 1; i++) await _device.WriteAsync(i * Block, Filled(1));
        var room = _device.RoomAsync(Token).AsTask();
        await Task.Delay(100, Token);
        Assert.False(room.IsCompleted);
        _line.Open();
        await room.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    /// <summary>Whatever sizes writes have and however the line gets on: no more than the bound, and in the end the same content.</summary>
    [Fact]
    public async Task Backlog_UnderWritesOfAllSizes_NeverExceedsItsBound()
    {
        await _device.DisposeAsync();
        var line = new SlowLine(_disk);
        _device = new BacklogDevice("leg", line, Limit, blocks: true, () => { });
        var random = new Random(5);
        var content = new byte[4 << 20];
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var letting = Task.Run(async () =>
        {
            // The line gets on by fits and starts.
            for (; !ended.IsCancellationRequested; await Task.Delay(1, Token)) line.Let(random.Next(1, 40));
        }, Token);
        for (var i = 0; i < 400; i++)
        {
            var length = Random.Shared.Next(1, 300) * 512;
            var at = Random.Shared.Next(0, (content.Length - length) / 512) * 512;
            Random.Shared.NextBytes(content.AsSpan(at, length));
            await _device.WriteAsync(at, content.AsMemory(at, length)).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Token);
            Assert.InRange(_device.BacklogBytes, 0, Limit);
        }

        await _device.DurableAsync().WaitAsync(TimeSpan.FromSeconds(20), Token);
        var found = new byte[content.Length];
        await _disk.ReadAsync(0, found);
        Assert.True(content.AsSpan().SequenceEqual(found));
        Assert.Null(_device.Behind);
        await ended.CancelAsync();
        await letting;
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        for (var until = DateTime.UtcNow.AddSeconds(10); !holds(); await Task.Delay(5, Token)) Assert.True(DateTime.UtcNow < until, "not in time");
    }
}
