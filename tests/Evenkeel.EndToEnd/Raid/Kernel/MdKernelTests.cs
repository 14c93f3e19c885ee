using System.Security.Cryptography;
using System.Text;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>
/// Linux md itself: it assembles, checks, writes and mends our arrays, and we open, check and mend its. One boot for all of it, because
/// under software emulation that is what costs.
/// </summary>
[Trait("Peer", "Linux md (qemu-system-x86, busybox-static, mdadm)")]
[Trait("Stage", "long")]
public sealed partial class MdKernelTests : IDisposable
{
    private const int MemberBytes = 8 << 20;
    private const int PatternAt = 1 << 20;
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-md-").FullName;
    private readonly Dictionary<string, string> _disks = [];
    private readonly byte[] _pattern = new byte[1 << 20];
    private readonly StringBuilder _script = new("""
        say() { echo "EK $*"; }
        word() { case $1 in 0) echo raid0;; 1) echo raid1;; 5) echo raid5;; 6) echo raid6;; 10) echo raid10;; esac; }
        rest() { until [ "$(cat /sys/block/md1/md/sync_action 2>/dev/null || echo idle)" = idle ]; do usleep 50000; done; }
        sum() { sha256sum /dev/md1 | cut -d' ' -f1; }
        put() { [ -b /dev/md1 ] && dd if=/pattern of=/dev/md1 bs=64k seek=$1 conv=fsync 2>/dev/null || say "$2 write-failed"; }
        check() { if [ -e /sys/block/md1/md/sync_action ]; then rest; echo check > /sys/block/md1/md/sync_action; rest; say "$1 mismatches $(cat /sys/block/md1/md/mismatch_cnt)"; fi; }
        end() { mdadm --stop /dev/md1 2>/dev/null || say "$1 stop-failed"; }

        """);

    public MdKernelTests() => new Random(77).NextBytes(_pattern);

    public static IReadOnlyList<(RaidLevel Level, int Members)> Levels =>
        [(RaidLevel.Raid0, 3), (RaidLevel.Raid1, 2), (RaidLevel.Raid5, 4), (RaidLevel.Raid6, 5), (RaidLevel.Raid10, 4)];

    [Fact]
    public async Task ArraysOfEitherSide_GivenToTheOther_HoldTheSameAndAgree()
    {
        var expected = new Dictionary<string, byte[]>();
        foreach (var (level, members) in Levels)
        {
            var name = $"a{(int)level}";
            expected[name] = await MakeOursAsync(name, level, members, array => Task.CompletedTask);
            _script.AppendLine($"mdadm --assemble /dev/md1 /dev/by/{name}-* 2>/tmp/e || say {name} \"$(cat /tmp/e)\"");
            _script.AppendLine($"say {name} sum $(sum); check {name}; grep -q bitmap: /proc/mdstat && say {name} bitmap; put 16 {name}; end {name}");
            _script.AppendLine($"mdadm --create /dev/md1 --run --metadata=1.2 {(level is RaidLevel.Raid1 ? "" : "--chunk=64 ")}--level={(int)level} --raid-devices={members} "
                + $"{(level is RaidLevel.Raid0 ? "" : "--bitmap=internal ")}{(level is RaidLevel.Raid5 or RaidLevel.Raid0 ? "" : "--assume-clean ")}"
                + $"$(for i in $(seq 0 {members - 1}); do echo /dev/by/k{(int)level}-$i; done) >/tmp/e 2>&1 || say k{(int)level} \"$(cat /tmp/e)\"");
            _script.AppendLine($"put 16 k{(int)level}; check k{(int)level}; end k{(int)level}");
            AddBlank($"k{(int)level}", members);
        }

        // Degraded: the fourth member is not given to the guest.
        expected["d5"] = await MakeOursAsync("d5", RaidLevel.Raid5, 4, array => Task.CompletedTask, given: 3);
        _script.AppendLine("mdadm --assemble --run /dev/md1 /dev/by/d5-* 2>/tmp/e || say d5 \"$(cat /tmp/e)\"; say d5 sum $(sum); put 16 d5; end d5");

        // Failed here and re-added there: the bitmap must be enough.
        var missed = new byte[64 * 1024];
        new Random(5).NextBytes(missed);
        expected["b1"] = await MakeOursAsync("b1", RaidLevel.Raid1, 2, async array =>
        {
            await array.SettleAsync();
            await array.FailAsync(array.Members[1]);
            await array.RemoveAsync(array.Members[1]);
            await array.WriteAsync(3 << 20, missed);
        });
        missed.CopyTo(expected["b1"], 3 << 20);
        var untouched = Corrupt(Disk("b1", 1), 5 << 20);
        _script.AppendLine("mdadm --assemble --run /dev/md1 /dev/by/b1-0 2>/tmp/e || say b1 \"$(cat /tmp/e)\"");
        _script.AppendLine("mdadm /dev/md1 --re-add /dev/by/b1-1 2>/tmp/e || say b1 \"$(cat /tmp/e)\"; mdadm --wait /dev/md1; rest; say b1 state $(cat /sys/block/md1/md/degraded); end b1");

        // Failed there and re-added here.
        AddBlank("kb1", 2);
        _script.AppendLine("mdadm --create /dev/md1 --run --metadata=1.2 --level=1 --raid-devices=2 --bitmap=internal --bitmap-chunk=64K --assume-clean /dev/by/kb1-0 /dev/by/kb1-1 >/tmp/e 2>&1 || say kb1 \"$(cat /tmp/e)\"");
        _script.AppendLine("put 16 kb1; end kb1; mdadm --assemble /dev/md1 /dev/by/kb1-0 /dev/by/kb1-1 2>/dev/null; mdadm /dev/md1 --fail /dev/by/kb1-1 --remove /dev/by/kb1-1 2>/dev/null; put 64 kb1; end kb1");

        await AddPartialParityAsync(expected);
        AddPartialParityReset();

        var said = await MdGuest.RunAsync(await GuestKernel.FetchAsync(), _directory, _disks, _script.ToString(), _pattern);

        Assert.False(said.Any(line => line.Contains("failed", StringComparison.Ordinal) || line.Contains("mdadm:", StringComparison.Ordinal)), string.Join('\n', said));
        foreach (var (level, members) in Levels)
        {
            string ours = $"a{(int)level}", theirs = $"k{(int)level}";
            Assert.Contains($"{ours} sum {Hash(expected[ours])}", said);
            if (level != RaidLevel.Raid0) Assert.Contains($"{ours} mismatches 0", said);
            if (level != RaidLevel.Raid0) Assert.Contains($"{ours} bitmap", said);
            _pattern.CopyTo(expected[ours], PatternAt);
            await AssertWholeAsync(ours, members, expected[ours]);
            if (level != RaidLevel.Raid0) Assert.Contains($"{theirs} mismatches 0", said);
            await AssertWholeAsync(theirs, members, null);
        }

        Assert.Contains($"d5 sum {Hash(expected["d5"])}", said);
        _pattern.CopyTo(expected["d5"], PatternAt);
        await AssertDegradedIsMendedAsync(expected["d5"]);

        Assert.Contains("b1 state 0", said);
        Assert.True(untouched.AsSpan().SequenceEqual(ReadRaw(Disk("b1", 1), 5 << 20)), "md copied more than what the bitmap names");
        await AssertReAddIsShortAsync();

        await AssertPartialParityAsync(said, expected);
        // b1's data, with the planted fault out of the way, is what both of its members hold.
        await AssertReAddedHoldsAsync(expected["b1"]);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static string Hash(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    private string Disk(string name, int index) => Path.Combine(_directory, $"{name}-{index}.img");

    private IReadOnlyList<IMemberDevice> Open(string name, int members) => [.. Enumerable.Range(0, members).Select(index => FileDevice.Open(Disk(name, index)))];

    private void AddBlank(string name, int members, int? given = null)
    {
        for (var index = 0; index < members; index++)
        {
            using (var file = File.Create(Disk(name, index))) file.SetLength(MemberBytes);
            if (index < (given ?? members)) _disks[$"{name}-{index}"] = Disk(name, index);
        }
    }

    private async Task<byte[]> MakeOursAsync(string name, RaidLevel level, int members, Func<RaidArray, Task> then, int? given = null)
    {
        AddBlank(name, members, given);
        var array = await ArrayCreation.CreateAsync(
            new ArrayDefinition { Level = level, Name = name, Slots = members, ChunkBytes = 64 * 1024, AssumeClean = true }, Open(name, members));
        var content = await MemberFiles.FillAsync(array, members);
        await then(array);
        await array.StopAsync();
        return content;
    }

    // What md wrote is there, what it did not touch too, and redundancy agrees by our reckoning.
    private async Task AssertWholeAsync(string name, int members, byte[]? expected)
    {
        await using var array = await ArrayAssembly.OpenAsync(Open(name, members));
        Assert.False(array.IsDegraded, name);
        Assert.Equal(0, array.OutOfSyncBytes);
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        if (expected is null) _pattern.CopyTo(expected = new byte[array.Length], PatternAt);
        Assert.True(content.AsSpan().SequenceEqual(expected), $"{name} does not hold what it should");
        Assert.Equal(0, await array.ScrubAsync(repair: false));
    }

    private async Task AssertDegradedIsMendedAsync(byte[] expected)
    {
        await using var array = await ArrayAssembly.OpenAsync(Open("d5", 3));
        Assert.True(array.IsDegraded);
        await array.AddAsync(FileDevice.Open(Disk("d5", 3)));
        await array.RebuildAsync();
        Assert.False(array.IsDegraded);
        Assert.Equal(0, await array.ScrubAsync(repair: false));
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        Assert.True(content.AsSpan().SequenceEqual(expected));
    }

    private async Task AssertReAddIsShortAsync()
    {
        await using var array = await ArrayAssembly.OpenAsync(Open("kb1", 1));
        Assert.True(array.IsDegraded);
        // What is not named by the bitmap must not be copied: a planted fault stays.
        var planted = Corrupt(Disk("kb1", 1), 2 << 20);
        await array.AddAsync(FileDevice.Open(Disk("kb1", 1)));
        await array.RebuildAsync();
        Assert.False(array.IsDegraded);
        Assert.Equal(8, await array.ScrubAsync(repair: true));
        Assert.NotEmpty(planted);
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        Assert.True(content.AsSpan(PatternAt, _pattern.Length).SequenceEqual(_pattern));
        Assert.True(content.AsSpan(4 << 20, _pattern.Length).SequenceEqual(_pattern));
        Assert.Equal(0, await array.ScrubAsync(repair: false));
    }

    private async Task AssertReAddedHoldsAsync(byte[] expected)
    {
        await using var array = await ArrayAssembly.OpenAsync(Open("b1", 2));
        Assert.False(array.IsDegraded);
        Assert.Equal(8, await array.ScrubAsync(repair: true));
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        Assert.True(content.AsSpan().SequenceEqual(expected));
    }

    // Bytes of a member's data area, by their place in the data; both sides put data at 1 MiB on disks of this size.
    private static byte[] Corrupt(string disk, int at)
    {
        using var file = File.Open(disk, FileMode.Open);
        var bytes = new byte[512];
        new Random(at).NextBytes(bytes);
        file.Position = (1 << 20) + at;
        file.Write(bytes);
        return bytes;
    }

    private static byte[] ReadRaw(string disk, int at)
    {
        using var file = File.OpenRead(disk);
        var bytes = new byte[512];
        file.Position = (1 << 20) + at;
        file.ReadExactly(bytes);
        return bytes;
    }
}
