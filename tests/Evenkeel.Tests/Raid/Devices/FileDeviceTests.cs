using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Devices.Uring;
using Xunit;

namespace Evenkeel.Tests.Raid.Devices;

/// <summary>Files by way of the page cache, of io_uring without it, and of the thread pool: the same bytes.</summary>
public sealed partial class FileDeviceTests : IDisposable
{
    private const int Bytes = 2 << 20;
    private readonly string _path = Path.Combine(Directory.CreateTempSubdirectory("evenkeel-file-").FullName, "disk");

    public FileDeviceTests()
    {
        using var file = File.Create(_path);
        file.SetLength(Bytes);
    }

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_path)!, recursive: true);

    [Theory(Timeout = 60_000)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task ManyAtOnce_ReadWhatWasWritten(bool direct, bool ring)
    {
        Assert.SkipWhen(ring && Ring.Shared is null, "this kernel offers no io_uring");
        await using var device = FileDevice.Open(_path, readOnly: false, direct, ring ? Ring.Shared : null);
        Assert.True(!direct || device.IsDirect || !CanBeDirect(), "O_DIRECT was not taken");
        var content = new byte[Bytes];
        new Random(1).NextBytes(content);
        // Whole pieces in aligned buffers, others in memory that is not.
        await Parallel.ForAsync(0, Bytes / 8192, TestContext.Current.CancellationToken, async (i, _) =>
        {
            using var buffer = IoBuffer.Rent(8192);
            var bytes = i % 3 == 0 ? content.AsMemory(i * 8192, 8192) : buffer.Memory[..8192];
            content.AsMemory(i * 8192, 8192).CopyTo(bytes);
            await device.WriteAsync(i * 8192L, bytes);
        });
        await device.FlushAsync();
        await Parallel.ForAsync(0, Bytes / 4096, TestContext.Current.CancellationToken, async (i, _) =>
        {
            using var buffer = IoBuffer.Rent(4096);
            var bytes = i % 3 == 0 ? new byte[4096] : buffer.Memory[..4096];
            await device.ReadAsync(i * 4096L, bytes);
            Assert.True(bytes.Span.SequenceEqual(content.AsSpan(i * 4096, 4096)));
        });
        await device.DisposeAsync();
        Assert.True((await File.ReadAllBytesAsync(_path, TestContext.Current.CancellationToken)).AsSpan().SequenceEqual(content));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task BeyondTheEnd_IsAnErrorAndTheFileDoesNotGrow(bool direct)
    {
        await using var device = FileDevice.Open(_path, direct: direct);
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await device.WriteAsync(Bytes - 512, new byte[1024]));
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await device.ReadAsync(Bytes, new byte[512]));
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await device.ZeroAsync(Bytes - 512, 1024));
        Assert.Equal(Bytes, new FileInfo(_path).Length);
    }

    [Fact(Timeout = 60_000)]
    public async Task Read_ColdPages_ComeThroughTheRing()
    {
        Assert.SkipWhen(Ring.Shared is null, "this kernel offers no io_uring");
        var content = new byte[Bytes];
        new Random(2).NextBytes(content);
        await File.WriteAllBytesAsync(_path, content, TestContext.Current.CancellationToken);
        await using (var direct = FileDevice.Open(_path)) await direct.FlushAsync();
        using (var evicted = File.OpenHandle(_path)) Assert.Equal(0, Forget(evicted, 0, 0, 4)); // POSIX_FADV_DONTNEED
        await using var device = FileDevice.Open(_path, readOnly: false, direct: false, Ring.Shared);
        var read = new byte[Bytes];
        await device.ReadAsync(0, read);
        Assert.True(read.AsSpan().SequenceEqual(content));
    }

    [Fact]
    public async Task Zero_GivesTheRoomBack_AndExtentsShowIt()
    {
        await using var device = FileDevice.Open(_path);
        var content = new byte[Bytes];
        new Random(3).NextBytes(content);
        await device.WriteAsync(0, content);
        Assert.Equal((false, (long)Bytes), device.ExtentAt(0));
        await device.ZeroAsync(1 << 20, 1 << 19);
        Assert.Equal((false, 1L << 20), device.ExtentAt(0));
        Assert.Equal((true, 1L << 19), device.ExtentAt(1 << 20));
        var read = new byte[4096];
        await device.ReadAsync(1 << 20, read);
        Assert.True(read.AsSpan().IndexOfAnyExcept((byte)0) < 0);
    }

    [Fact]
    public void Open_HeldByAnother_IsRefused()
    {
        using var holder = FileDeviceHandle();
        Assert.Throws<IOException>(() => FileDevice.Open(_path));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dispose_WithCallsUnderWay_ClosesAfterTheLast_AndLaterOnesFailAsCallsDo(bool ring)
    {
        Assert.SkipWhen(ring && Ring.Shared is null, "this kernel offers no io_uring");
        for (var round = 0; round < 20; round++)
        {
            var device = FileDevice.Open(_path, readOnly: false, direct: false, ring ? Ring.Shared : null);
            await device.WriteAsync(0, new byte[Bytes]);
            var flushes = Enumerable.Range(0, 4).Select(_ => device.FlushAsync().AsTask()).ToArray();
            await device.DisposeAsync().AsTask().WaitAsync(TestContext.Current.CancellationToken);
            await using (FileDevice.Open(_path)) await Task.WhenAll(flushes);
            await Assert.ThrowsAsync<IOException>(async () => await device.FlushAsync());
            await Assert.ThrowsAsync<IOException>(async () => await device.WriteAsync(0, new byte[512]));
            await Assert.ThrowsAsync<IOException>(async () => await device.ReadAsync(0, new byte[512]));
            await Assert.ThrowsAsync<IOException>(async () => await device.ZeroAsync(0, 512));
        }
    }

    [Fact]
    public void Rent_Buffers_AreAlignedAndDistinct()
    {
        var buffers = new[] { 1, 4096, 4097, 20000, 70000, 300000, 1 << 20, 5000000 }.Select(IoBuffer.Rent).ToArray();
        for (var i = 0; i < buffers.Length; i++) buffers[i].Span.Fill((byte)i);
        for (var i = 0; i < buffers.Length; i++)
        {
            Assert.True(buffers[i].Span.IndexOfAnyExcept((byte)i) < 0, "two buffers share memory");
            Assert.True(!buffers[i].IsPinned || IsAligned(buffers[i].Span));
        }

        foreach (var buffer in buffers) buffer.Dispose();
    }

    private static unsafe bool IsAligned(Span<byte> span)
    {
        fixed (byte* first = span) return (long)first % 4096 == 0;
    }

    private FileStream FileDeviceHandle() => new(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);

    // tmpfs, where a machine has its temporary files there, takes no O_DIRECT before Linux 6.6.
    private bool CanBeDirect()
    {
        using var handle = File.OpenHandle(_path, FileMode.Open, FileAccess.ReadWrite);
        return NativeFile.TrySetDirect(handle);
    }

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Forget(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, long length, int advice);
}
