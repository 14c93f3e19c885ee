using System.Security.Cryptography;
using System.Text;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>Arrays go to the kernel's md and come back, both ways.</summary>
[Trait("Peer", "md in QEMU")]
public sealed class MdKernelTests
{
    private const string Wait = "settle() { mdadm --wait /dev/$1 >/dev/null 2>&1; while [ \"$(cat /sys/block/$1/md/sync_action)\" != idle ]; do usleep 50000; done; }\n";

    private static readonly (RaidLevel Level, int Members)[] Shapes =
        [(RaidLevel.Raid1, 2), (RaidLevel.Raid5, 4), (RaidLevel.Raid6, 5), (RaidLevel.Raid10, 4)];

    [Fact]
    public async Task Ours_CheckedDegradedWrittenAndReaddedByTheKernel_ComeBackWhole()
    {
        using var files = new MemberFiles(Shapes.Sum(shape => shape.Members), 12 << 20);
        var script = new StringBuilder(Wait);
        var contents = new List<byte[]>();
        var first = 0;
        foreach (var (level, members) in Shapes)
        {
            var own = files.Paths.GetRange(first, members);
            var array = await ArrayCreation.CreateAsync(
                new ArrayDefinition { Level = level, Name = $"r{(int)level}", Slots = members, ChunkBytes = 65536, AssumeClean = true }, files.Open(own));
            contents.Add(await MemberFiles.FillAsync(array, (int)level));
            await array.StopAsync();
            var (md, n) = ($"md{(int)level}", (int)level);
            var disks = string.Join(' ', Enumerable.Range(first, members).Select(i => $"/dev/vd{(char)('a' + i)}"));
            var victim = $"/dev/vd{(char)('a' + first + 1)}";
            script.Append($"""
                mdadm --assemble /dev/{md} {disks}
                echo "RO{n} $(sha256sum < /dev/{md} | cut -c1-64)"
                echo "DEG{n} $(cat /sys/block/{md}/md/degraded)"
                echo check > /sys/block/{md}/md/sync_action; settle {md}
                echo "MIS{n} $(cat /sys/block/{md}/md/mismatch_cnt)"
                mdadm /dev/{md} --fail {victim}; mdadm /dev/{md} --remove {victim}
                dd if=/bin/busybox of=/dev/{md} bs=4096 seek=100 count=150 conv=notrunc,fsync 2>/dev/null
                mdadm /dev/{md} --re-add {victim} 2>&1; settle {md}
                echo "AFTER{n} $(sha256sum < /dev/{md} | cut -c1-64)"
                mdadm --stop /dev/{md}

                """);
            first += members;
        }

        var output = await MdKernel.RunAsync(files, script + "echo DONE");
        first = 0;
        for (var i = 0; i < Shapes.Length; i++)
        {
            var (level, members) = Shapes[i];
            var n = (int)level;
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(contents[i])), MdKernel.Value(output, $"RO{n}"));
            Assert.Equal("0", MdKernel.Value(output, $"DEG{n}"));
            Assert.Equal("0", MdKernel.Value(output, $"MIS{n}"));
            Assert.Contains($"re-added /dev/vd{(char)('a' + first + 1)}", output, StringComparison.Ordinal);
            await CheckAsync(files.Paths.GetRange(first, members), files, MdKernel.Value(output, $"AFTER{n}"));
            first += members;
        }
    }

    [Fact]
    public async Task Theirs_CreatedAndWrittenByTheKernel_AreOpenedByUs()
    {
        (RaidLevel Level, int Members)[] shapes = [(RaidLevel.Raid0, 2), .. Shapes];
        using var files = new MemberFiles(shapes.Sum(shape => shape.Members), 12 << 20);
        var script = new StringBuilder(Wait);
        var first = 0;
        foreach (var (level, members) in shapes)
        {
            var (md, n) = ($"md{(int)level}", (int)level);
            var disks = string.Join(' ', Enumerable.Range(first, members).Select(i => $"/dev/vd{(char)('a' + i)}"));
            var bitmap = level == RaidLevel.Raid0 ? "" : "--bitmap=internal";
            var wait = level == RaidLevel.Raid0 ? "" : $"settle {md}";
            script.Append($"""
                mdadm --create /dev/{md} --run --homehost=kernel --level={n} --raid-devices={members} --chunk=64 {bitmap} {disks} 2>&1
                {wait}
                dd if=/bin/busybox of=/dev/{md} bs=4096 seek=70 conv=notrunc,fsync 2>/dev/null
                echo "SUM{n} $(sha256sum < /dev/{md} | cut -c1-64)"
                mdadm --stop /dev/{md}

                """);
            first += members;
        }

        var output = await MdKernel.RunAsync(files, script + "echo DONE");
        first = 0;
        foreach (var (level, members) in shapes)
        {
            await CheckAsync(files.Paths.GetRange(first, members), files, MdKernel.Value(output, $"SUM{(int)level}"));
            first += members;
        }
    }

    private static async Task CheckAsync(List<string> paths, MemberFiles files, string sum)
    {
        await using var array = await ArrayAssembly.OpenAsync(files.Open(paths));
        Assert.False(array.IsDegraded);
        Assert.False(array.IsDirty);
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        Assert.Equal(sum, Convert.ToHexStringLower(SHA256.HashData(content)));
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
    }
}
