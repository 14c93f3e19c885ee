using System.Net.Sockets;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>
/// File systems on our arrays, brought there by <c>volume attach</c> (nbdfuse and a loop mount), under random writes, truncations and
/// holes while a member fails and returns. Then the file holds what it should, the file system's own checker is content, and parity agrees.
/// </summary>
[Trait("Peer", "libnbd (nbdfuse), e2fsprogs, xfsprogs"), Trait("Machine", "shared")]
public sealed class FileSystemTests : IDisposable
{
    private readonly MemberFiles _files = new(4, 200 << 20);
    private readonly string _mount;
    private readonly string _image;

    public FileSystemTests() => (_mount, _image) = (_files.Beside("mnt"), _files.Beside("image"));

    public void Dispose() => _files.Dispose();

    [Theory]
    [InlineData("ext4", RaidLevel.Raid5)]
    [InlineData("xfs", RaidLevel.Raid6)]
    public async Task Stress_OnAFileSystem_WhileAMemberFailsAndReturns(string kind, RaidLevel level)
    {
        var array = await _files.CreateAsync(level, 4);
        await using (NbdServer.Start(new UnixDomainSocketEndPoint(_files.Beside("nbd")), [new ArrayExport(array, "vol")]))
        {
            byte[] content = [];
            await WhileAttachedAsync(mounts: false, () => Tool.RunAsync($"mkfs.{kind}", [.. kind == "ext4" ? new[] { "-q", "-F" } : ["-q", "-f"], _image]));
            await WhileAttachedAsync(mounts: true, async () =>
            {
                var comingAndGoing = Task.Run(() => ComeAndGoAsync(array), TestContext.Current.CancellationToken);
                content = Stress(Path.Combine(_mount, "file"), seed: (int)level);
                await comingAndGoing;
            });
            await WhileAttachedAsync(mounts: true, async () =>
            {
                var read = await File.ReadAllBytesAsync(Path.Combine(_mount, "file"), TestContext.Current.CancellationToken);
                Assert.True(read.AsSpan().SequenceEqual(content), "the file does not hold what was written");
            });
            await WhileAttachedAsync(mounts: false, () => Tool.RunAsync(kind == "ext4" ? "e2fsck" : "xfs_repair", [.. kind == "ext4" ? new[] { "-f", "-n" } : ["-n"], _image]));
        }

        Assert.False(array.IsDegraded);
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        await array.StopAsync();
    }

    [Fact]
    public async Task Detach_WhileTheFileIsInUseForAnotherMoment_WaitsForItsEnd()
    {
        var array = await _files.CreateAsync(RaidLevel.Raid5, 4);
        await using (NbdServer.Start(new UnixDomainSocketEndPoint(_files.Beside("nbd")), [new ArrayExport(array, "vol")]))
        {
            await AttachAsync(mounts: false);
            Task<string> detached;
            using (File.OpenRead(_image))
            {
                detached = DetachAsync(mounts: false);
                await Assert.ThrowsAsync<TimeoutException>(() => detached.WaitAsync(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
            }

            await detached;
            Assert.False(File.Exists(_image));
        }

        await array.StopAsync();
    }

    private static async Task ComeAndGoAsync(RaidArray array)
    {
        for (var round = 0; round < 2; round++)
        {
            var member = array.Members.First(member => member.Slot == round + 1);
            await array.FailAsync(member);
            await array.RemoveAsync(member);
            await array.AddAsync(Evenkeel.Raid.Devices.FileDevice.Open(member.Device.Name));
            await array.RebuildAsync(stop: TestContext.Current.CancellationToken);
        }
    }

    // In the manner of fsx: every read is compared with a model.
    private static byte[] Stress(string path, int seed)
    {
        const int longest = 4 << 20;
        var random = new Random(seed);
        var model = new byte[longest];
        var length = 0;
        using var file = new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        for (var i = 0; i < 1500; i++)
        {
            var (at, count) = (random.Next(longest), random.Next(1, 65536));
            switch (random.Next(10))
            {
                case < 5:
                    count = Math.Min(count, longest - at);
                    random.NextBytes(model.AsSpan(at, count));
                    RandomAccess.Write(file.SafeFileHandle, model.AsSpan(at, count), at);
                    length = Math.Max(length, at + count);
                    break;
                case < 8:
                    if (at >= length) break;
                    count = Math.Min(count, length - at);
                    var read = new byte[count];
                    Assert.Equal(count, RandomAccess.Read(file.SafeFileHandle, read, at));
                    Assert.True(read.AsSpan().SequenceEqual(model.AsSpan(at, count)), $"operation {i}: {count} bytes at {at}");
                    break;
                case 8:
                    file.SetLength(at);
                    if (at < length) model.AsSpan(at, length - at).Clear();
                    length = at;
                    break;
                default:
                    file.Flush(flushToDisk: true);
                    break;
            }
        }

        file.Flush(flushToDisk: true);
        return model[..length];
    }

    private async Task WhileAttachedAsync(bool mounts, Func<Task> work)
    {
        await AttachAsync(mounts);
        try
        {
            await work();
        }
        finally
        {
            await DetachAsync(mounts);
        }
    }

    private Task<string> AttachAsync(bool mounts) => Tool.RunAsync(
        Program, ["volume", "attach", $"nbd+unix:///vol?socket={_files.Beside("nbd")}", "--file", _image, .. mounts ? new[] { "--mount", _mount } : []]);

    private Task<string> DetachAsync(bool mounts) => Tool.RunAsync(Program, ["volume", "detach", _image, .. mounts ? new[] { "--mount", _mount } : []]);

    private static string Program => Path.Combine(AppContext.BaseDirectory, "evenkeel");
}
