using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>Partial parity logs: the power goes while a row is half written, and the other side makes the parity good from the log.</summary>
public sealed partial class MdKernelTests
{
    private const int Chunk = 64 * 1024;
    private readonly byte[] _torn = new byte[8192];

    // Row 3: parity is on member 0, the block that is written on member 1; member 3 is not given in the degraded case.
    private const long TornAt = 3 * 3 * Chunk + 16384;

    // The data land, their parity does not.
    private async Task<byte[]> MakeTornAsync(string name, int given)
    {
        AddBlank(name, 4, given);
        var mains = new Mains();
        var members = Open(name, 4).Select(device => (IMemberDevice)new CutDevice(device, mains)).ToArray();
        var array = await ArrayCreation.CreateAsync(
            new ArrayDefinition { Level = RaidLevel.Raid5, Name = name, Slots = 4, ChunkBytes = Chunk, AssumeClean = true, PartialParityLog = true }, members);
        var content = await MemberFiles.FillAsync(array, 44);
        new Random(6).NextBytes(_torn);
        mains.CutBefore = (device, offset) => device == Disk(name, 0) && offset >= 1 << 20;
        await Assert.ThrowsAnyAsync<IOException>(async () => await array.WriteAsync(TornAt, _torn));
        foreach (var member in members) await member.DisposeAsync();
        _torn.CopyTo(content, TornAt);
        var data = ReadRaw(Disk(name, 1), 3 * Chunk + 16384);
        Assert.True(data.AsSpan().SequenceEqual(_torn.AsSpan(0, 512)), "the data were to land before the cut");
        return content;
    }

    private async Task AddPartialParityAsync(Dictionary<string, byte[]> expected)
    {
        foreach (var (name, given) in new[] { ("p5", 4), ("pd5", 3) })
        {
            expected[name] = await MakeTornAsync(name, given);
            _script.AppendLine($"mdadm --assemble --run /dev/md1 /dev/by/{name}-* 2>/tmp/e || say {name} \"$(cat /tmp/e)\"; say {name} resync $(cat /sys/block/md1/md/resync_start)");
            _script.AppendLine($"say {name} sum $(sum); {(given == 4 ? $"check {name}; " : "")}put 16 {name}; end {name}");
        }

        // Theirs, stopped in order.
        AddBlank("kp5", 3);
        _script.AppendLine(CreateWithLog("kp5", 3) + "; put 16 kp5; check kp5; end kp5");
    }

    // Theirs, reset in the midst of writes. The last thing that the guest does.
    private void AddPartialParityReset()
    {
        AddBlank("kc5", 4);
        _script.AppendLine(CreateWithLog("kc5", 4) + "; put 16 kc5");
        foreach (var start in new[] { 0, 100, 700 })
            _script.AppendLine($"(i={start}; while :; do dd if=/pattern of=/dev/md1 bs=4k count=3 seek=$i conv=fsync,notrunc 2>/dev/null; i=$(( (i * 7 + 11) % 200 + {start} )); done) &");
        _script.AppendLine("sleep 1; echo EK end; usleep 300000; echo b > /proc/sysrq-trigger; sleep 60");
    }

    private static string CreateWithLog(string name, int members) =>
        $"mdadm --create /dev/md1 --run --metadata=1.2 --chunk=64 --level=5 --raid-devices={members} --consistency-policy=ppl --assume-clean "
        + $"{string.Join(' ', Enumerable.Range(0, members).Select(i => $"/dev/by/{name}-{i}"))} >/tmp/e 2>&1 || say {name} \"$(cat /tmp/e)\"";

    private async Task AssertPartialParityAsync(IReadOnlyList<string> said, Dictionary<string, byte[]> expected)
    {
        foreach (var name in new[] { "p5", "pd5" }) Assert.Contains($"{name} sum {Hash(expected[name])}", said);
        Assert.Contains("p5 resync none", said);
        Assert.Contains("p5 mismatches 0", said);
        _pattern.CopyTo(expected["p5"], PatternAt);
        await AssertWholeAsync("p5", 4, expected["p5"]);
        Assert.Contains("kp5 mismatches 0", said);
        await AssertWholeAsync("kp5", 3, null);

        await using var array = await ArrayAssembly.OpenAsync(Open("kc5", 4));
        Assert.True(array.IsDirty, "the guest was to be reset while it wrote");
        Assert.Equal(0, array.OutOfSyncBytes);
        Assert.Equal(0, await array.ScrubAsync(repair: false));
    }
}
