using System.Diagnostics;
using System.Net.Sockets;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>libnbd's and QEMU's clients against our server, nbdkit's server against our client, over Unix sockets.</summary>
[Trait("Peer", "libnbd, qemu-utils, nbdkit"), Trait("Machine", "shared")]
public sealed class NbdPeerTests
{
    [Fact]
    public async Task Nbdinfo_OurArray_SeesWhatWePromise()
    {
        using var files = new MemberFiles(4, 16 << 20);
        await using var array = await files.CreateAsync(RaidLevel.Raid5, 4);
        await using var server = NbdServer.Start(new UnixDomainSocketEndPoint(files.Beside("nbd")), [new ArrayExport(array, "vol"), new ArrayExport(array, "look", readOnly: true)]);
        var text = await Tool.RunAsync("nbdinfo", Uri(files, "vol"));
        Assert.Contains($"export-size: {array.Length}", text, StringComparison.Ordinal);
        foreach (var promise in new[] { "can_flush: true", "can_fua: true", "can_zero: true", "can_multi_conn: true", "can_cache: true", "can_trim: true", "is_read_only: false", "base:allocation", "block_size_minimum: 512" })
            Assert.Contains(promise, text, StringComparison.Ordinal);
        Assert.Contains("protocol: newstyle-fixed without TLS, using structured packets", text, StringComparison.Ordinal);
        Assert.Contains("is_read_only: true", await Tool.RunAsync("nbdinfo", Uri(files, "look")), StringComparison.Ordinal);
        var list = await Tool.RunAsync("nbdinfo", "--list", Uri(files, ""));
        Assert.Contains("export=\"vol\"", list, StringComparison.Ordinal);
        Assert.Contains("RAID 5 of 4", list, StringComparison.Ordinal);
        Assert.Contains("data", await Tool.RunAsync("nbdinfo", "--map", Uri(files, "vol")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NbdcopyAndQemu_InAndOut_ReturnTheSameBytes()
    {
        using var files = new MemberFiles(5, 16 << 20);
        var array = await files.CreateAsync(RaidLevel.Raid6, 5);
        var content = new byte[array.Length];
        new Random(7).NextBytes(content);
        var (source, target, third) = (files.Beside("in"), files.Beside("out"), files.Beside("third"));
        await File.WriteAllBytesAsync(source, content, TestContext.Current.CancellationToken);
        await using (var server = NbdServer.Start(new UnixDomainSocketEndPoint(files.Beside("nbd")), [new ArrayExport(array, "vol")]))
        {
            await Tool.RunAsync("nbdcopy", "--flush", "--connections=4", source, Uri(files, "vol"));
            await Tool.RunAsync("nbdcopy", Uri(files, "vol"), target);
            var copied = await File.ReadAllBytesAsync(target, TestContext.Current.CancellationToken);
            Assert.True(content.AsSpan().SequenceEqual(copied));
            await Tool.RunAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", source, Uri(files, "vol"));
            var output = await Tool.RunAsync("qemu-io", "-f", "raw", "-c", "write -f -P 0x5a 12288 70000", "-c", "write -z 1M 256k", "-c", "flush", "-c", "read -P 0x5a 12288 70000", "-c", "read -P 0 1M 256k", Uri(files, "vol"));
            Assert.DoesNotContain("failed", output, StringComparison.Ordinal);
            await Tool.RunAsync("qemu-img", "convert", "-f", "raw", "-O", "raw", Uri(files, "vol"), third);
        }

        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        await array.StopAsync();
        content.AsSpan(12288, 70000).Fill(0x5a);
        content.AsSpan(1 << 20, 256 << 10).Clear();
        var converted = await File.ReadAllBytesAsync(third, TestContext.Current.CancellationToken);
        Assert.True(content.AsSpan().SequenceEqual(converted));
    }

    [Fact]
    public async Task Client_NbdkitLosesAMember_ArrayGoesOnDegraded()
    {
        using var files = new MemberFiles(2, 16 << 20);
        var sockets = new[] { files.Beside("a"), files.Beside("b") };
        var kits = new List<Process>();
        try
        {
            for (var i = 0; i < 2; i++) kits.Add(await StartNbdkitAsync(sockets[i], files.Paths[i]));
            var options = new NbdClientOptions { Deadline = TimeSpan.FromSeconds(20) };
            var legs = new[] { await NbdClient.ConnectAsync($"nbd+unix:///?socket={sockets[0]}", options), await NbdClient.ConnectAsync($"nbd+unix:///?socket={sockets[1]}", options) };
            var array = await Evenkeel.Raid.Array.ArrayCreation.CreateAsync(
                new Evenkeel.Raid.Array.ArrayDefinition { Level = RaidLevel.Raid1, Name = "net", Slots = 2, AssumeClean = true }, legs);
            var content = await MemberFiles.FillAsync(array, 3);
            kits[1].Kill();
            await kits[1].WaitForExitAsync(TestContext.Current.CancellationToken);
            File.Delete(sockets[1]);
            content.AsSpan(0, 65536).Fill(9);
            await array.WriteAsync(0, content.AsMemory(0, 65536));
            await array.FlushAsync();
            Assert.True(array.IsDegraded);
            var read = new byte[content.Length];
            await array.ReadAsync(0, read);
            Assert.True(content.AsSpan().SequenceEqual(read));
            await array.StopAsync();
        }
        finally
        {
            foreach (var kit in kits)
            {
                if (!kit.HasExited) kit.Kill();
                kit.Dispose();
            }
        }
    }

    [Fact]
    public async Task Fio_VerifiesItsOwnWrites_OnADegradedArray()
    {
        using var files = new MemberFiles(5, 16 << 20);
        var array = await files.CreateAsync(RaidLevel.Raid6, 5);
        await array.FailAsync(array.Members[3]);
        await using (NbdServer.Start(new UnixDomainSocketEndPoint(files.Beside("nbd")), [new ArrayExport(array, "vol")]))
        {
            await Tool.RunAsync("fio", "--name=verify", "--ioengine=nbd", $"--uri={Uri(files, "vol")}", "--rw=randwrite", "--bsrange=512-64k", "--bs_unaligned=0",
                "--blockalign=512", "--size=24m", "--iodepth=16", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--fsync=50");
        }

        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        await array.StopAsync();
    }

    [Fact]
    public async Task Map_OfAServedFile_ShowsItsHoles()
    {
        using var files = new MemberFiles(1, 16 << 20);
        await using var device = Evenkeel.Raid.Devices.FileDevice.Open(files.Paths[0]);
        await device.WriteAsync(4 << 20, Enumerable.Repeat((byte)1, 1 << 20).ToArray());
        await using var server = NbdServer.Start(new UnixDomainSocketEndPoint(files.Beside("nbd")), [new DeviceExport(device, "vol")]);
        var map = await Tool.RunAsync("nbdinfo", "--map", Uri(files, "vol"));
        Assert.Matches(@"\s0\s+4194304\s+3\s+hole,zero", " " + map);
        Assert.Matches(@"4194304\s+1048576\s+0\s+data", map);
        await Tool.RunAsync("qemu-io", "-f", "raw", "-c", "discard 4M 1M", "-c", "flush", Uri(files, "vol"));
        Assert.DoesNotContain("data", await Tool.RunAsync("nbdinfo", "--map", Uri(files, "vol")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_AgainstQemuNbd_WritesZeroesAndReadsBack()
    {
        using var files = new MemberFiles(1, 16 << 20);
        var socket = files.Beside("q");
        using var qemu = Process.Start(new ProcessStartInfo("qemu-nbd", ["--persistent", "--format=raw", "--discard=unmap", $"--socket={socket}", files.Paths[0]]))!;
        try
        {
            while (!File.Exists(socket) && !qemu.HasExited) await Task.Delay(20, TestContext.Current.CancellationToken);
            var expected = new byte[16 << 20];
            await using (var client = await NbdClient.ConnectAsync($"nbd+unix:///?socket={socket}"))
            {
                Assert.True(client.CanDiscard);
                var random = new Random(4);
                for (var i = 0; i < 60; i++)
                {
                    var (at, count) = (random.Next(expected.Length / 512 - 300) * 512, random.Next(1, 300) * 512);
                    if (i % 4 == 3)
                    {
                        expected.AsSpan(at, count).Clear();
                        await client.ZeroAsync(at, count);
                        continue;
                    }

                    random.NextBytes(expected.AsSpan(at, count));
                    await client.WriteAsync(at, expected.AsMemory(at, count));
                }

                await client.FlushAsync();
                var read = new byte[expected.Length];
                await client.ReadAsync(0, read);
                Assert.True(read.AsSpan().SequenceEqual(expected));
            }

            Assert.True((await File.ReadAllBytesAsync(files.Paths[0], TestContext.Current.CancellationToken)).AsSpan().SequenceEqual(expected));
        }
        finally
        {
            qemu.Kill();
            await qemu.WaitForExitAsync(CancellationToken.None);
        }
    }

    // nbdkit's filters make a slow member, and one that fails requests at random.
    [Theory]
    [InlineData("delay", "wdelay=20", "in time")]
    [InlineData("error", "error-pwrite-rate=100%", "error")]
    public async Task Array_SlowOrFailingLeg_IsEjectedAndTheWriteSucceeds(string filter, string setting, string words)
    {
        using var files = new MemberFiles(2, 16 << 20);
        var socket = files.Beside("leg");
        var ready = files.Beside("fails-now");
        string[] trigger = filter == "error" ? [$"error-file={ready}"] : [];
        using var kit = Process.Start(new ProcessStartInfo("nbdkit", ["--foreground", "--unix", socket, $"--filter={filter}", "file", files.Paths[1], setting, .. trigger]))!;
        try
        {
            while (!File.Exists(socket) && !kit.HasExited) await Task.Delay(20, TestContext.Current.CancellationToken);
            var reasons = new System.Collections.Concurrent.ConcurrentQueue<string>();
            // The metadata are there already: the delay is for writes, and creating the array writes.
            await (await files.CreateAsync(RaidLevel.Raid1, 2)).StopAsync();
            var leg = await NbdClient.ConnectAsync($"nbd+unix:///?socket={socket}", new NbdClientOptions { Deadline = TimeSpan.FromSeconds(1) });
            await File.WriteAllTextAsync(ready, "", TestContext.Current.CancellationToken);
            var watch = Stopwatch.StartNew();
            var array = await Evenkeel.Raid.Array.ArrayAssembly.OpenAsync(
                [files.Open([files.Paths[0]])[0], leg], new Evenkeel.Raid.Array.ArrayOptions { OnEvent = happened => reasons.Enqueue($"{happened.Kind} {happened.Detail}") });
            await array.WriteAsync(0, new byte[4096]);
            await array.FlushAsync();
            Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15));
            Assert.True(array.IsDegraded);
            Assert.Contains(reasons, reason => reason.StartsWith("Fail", StringComparison.Ordinal) && reason.Contains(words, StringComparison.Ordinal));
            await array.StopAsync();
        }
        finally
        {
            kit.Kill();
            await kit.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static async Task<Process> StartNbdkitAsync(string socket, string file)
    {
        var kit = Process.Start(new ProcessStartInfo("nbdkit", ["--foreground", "--unix", socket, "file", file]))!;
        // The socket's appearance is nbdkit's own sign that it serves.
        while (!File.Exists(socket) && !kit.HasExited) await Task.Delay(20, TestContext.Current.CancellationToken);
        Assert.False(kit.HasExited, "nbdkit did not start");
        return kit;
    }

    private static string Uri(MemberFiles files, string export) => $"nbd+unix:///{export}?socket={files.Beside("nbd")}";
}
